"""The pad plane, built in or from tables, and what is said of tables that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.detector import pads
from spyral_core.detector.lattice import lattice
from spyral_core.errors import ConfigurationError

LINE_ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}


def write_table(path: Path, header: str, columns: NDArray[np.float64], end: str = "\n") -> Path:
    lines = [header, *(",".join(f"{value:.9g}" for value in row) for row in columns)]
    path.write_bytes((end.join(lines) + end).encode())
    return path


def mid_heights() -> NDArray[np.float64]:
    return np.stack([lattice().x, lattice().mid_y], axis=1)


def centroids() -> NDArray[np.float64]:
    return np.stack([pads.builtin().x, pads.builtin().y], axis=1)


def test_the_plane_gives_true_centroids() -> None:
    plane = pads.builtin()
    np.testing.assert_allclose(plane.vertices.mean(axis=1), centroids(), atol=1e-11)
    assert plane.x.dtype == plane.y.dtype == plane.scale.dtype == np.float64
    assert plane.beam.dtype == np.bool_
    assert plane.vertices.shape == (10240, 3, 2)


def test_the_plane_cannot_be_changed_by_accident() -> None:
    for array in vars(pads.builtin()).values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_122_beam_pads_stand_around_the_axis() -> None:
    beam = pads.builtin().beam
    assert beam.sum() == 122
    distance = np.hypot(pads.builtin().x, pads.builtin().y)
    assert distance[beam].max() < distance[~beam].max()
    assert np.all(pads.builtin().scale[beam] == 0.5)


def test_beam_pads_are_those_whose_centre_in_the_table_is_within_20_mm(shared: Path) -> None:
    table = np.loadtxt(shared / "pad_plane" / "padxy.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(pads.builtin().beam, np.hypot(*table.T) < 20.0)


def test_the_experiments_tables_give_the_builtin_plane(shared: Path) -> None:
    folder = shared / "pad_plane"
    plane = pads.load(folder / "padxy.csv", "mid-height", folder / "pad_scale.csv")
    for name, array in vars(plane).items():
        np.testing.assert_allclose(array, getattr(pads.builtin(), name), atol=1e-4)


@pytest.mark.parametrize("end", LINE_ENDS.values(), ids=LINE_ENDS.keys())
def test_tables_of_any_line_end_are_read(tmp_path: Path, end: str) -> None:
    plane = pads.load(
        write_table(tmp_path / "xy.csv", "x,y", mid_heights(), end),
        "mid-height",
        write_table(tmp_path / "scale.csv", "scale", lattice().size[:, None], end),
    )
    np.testing.assert_allclose(plane.y, pads.builtin().y, atol=1e-6)
    np.testing.assert_array_equal(plane.scale, pads.builtin().scale)


def test_a_table_of_centroids_is_taken_as_it_is(tmp_path: Path) -> None:
    plane = pads.load(write_table(tmp_path / "xy.csv", "x,y", centroids()), "centroid")
    np.testing.assert_allclose(np.stack([plane.x, plane.y], axis=1), centroids(), atol=1e-6)
    np.testing.assert_allclose(plane.vertices, pads.builtin().vertices, atol=1e-6)


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_a_turned_shifted_or_mirrored_table_moves_the_triangles_with_it(tmp_path: Path, mirror: float) -> None:
    angle = 0.4
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ np.diag([1.0, mirror])
    shift = np.array([1.5, -0.7])
    plane = pads.load(write_table(tmp_path / "xy.csv", "x,y", mid_heights() @ turn + shift))
    np.testing.assert_allclose(np.stack([plane.x, plane.y], axis=1), centroids() @ turn + shift, atol=1e-5)
    np.testing.assert_allclose(plane.vertices, pads.builtin().vertices @ turn + shift, atol=1e-5)


def test_a_pad_that_is_measured_off_its_place_stays_there(tmp_path: Path) -> None:
    table = mid_heights()
    table[77] += (0.3, -0.2)
    plane = pads.load(write_table(tmp_path / "xy.csv", "x,y", table))
    assert plane.x[77] - pads.builtin().x[77] == pytest.approx(0.3, abs=1e-3)
    assert plane.y[77] - pads.builtin().y[77] == pytest.approx(-0.2, abs=1e-3)


def test_old_scales_are_areas(tmp_path: Path) -> None:
    path = write_table(tmp_path / "scale.csv", "scale", lattice().size[:, None] ** 2)
    np.testing.assert_array_equal(pads.load(scale=path).scale, pads.builtin().scale)


@pytest.mark.parametrize(
    ("scales", "found"),
    [([1.0, 0.5, 0.25], "0.25, 0.5, 1"), ([1.0, 2.0], "1, 2"), ([0.0], "0")],
)
def test_other_scales_are_refused(tmp_path: Path, scales: list[float], found: str) -> None:
    path = write_table(tmp_path / "scale.csv", "scale", np.resize(scales, 10240)[:, None])
    with pytest.raises(ConfigurationError, match=rf"scale\.csv: holds the scales {found}; allowed: 1\.0"):
        pads.load(scale=path)


def geometry_text(change: str) -> str:
    lines = ["x,y", *(f"{x:.6f},{y:.6f}" for x, y in mid_heights())]
    match change:
        case "no header":
            lines.pop(0)
        case "short":
            lines.pop()
        case "long":
            lines.append("0,0")
        case "text":
            lines[5] = "0,abc"
        case "nan":
            lines[5] = "0,nan"
        case "third column":
            lines = [f"{line},1" for line in lines]
        case "ragged":
            lines[7] += ",1"
        case "swapped":
            lines[10], lines[4000] = lines[4000], lines[10]
        case "empty":
            lines = []
        case "centimetres":
            lines = ["x,y", *(f"{x / 10:.6f},{y / 10:.6f}" for x, y in mid_heights())]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no header", "first line holds numbers"),
        ("short", "has 10239 rows after the header; allowed: 10240"),
        ("long", "has 10241 rows"),
        ("text", "line 6: 'abc' is not a finite number"),
        ("nan", "line 6: 'nan' is not a finite number"),
        ("third column", r"has 3 column\(s\); allowed: 2"),
        ("ragged", r"line 8 has 3 column\(s\) where the header has 2"),
        ("swapped", "away from its place in the AT-TPC's lattice"),
        ("empty", "is empty"),
        ("centimetres", "0.1 × 0.1 times the size"),
    ],
)
def test_wrong_geometries_are_refused(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "xy.csv"
    path.write_text(geometry_text(change))
    with pytest.raises(ConfigurationError, match=rf"xy\.csv: .*{message}"):
        pads.load(path)


@pytest.mark.parametrize(("holds", "table"), [("centroid", mid_heights()), ("mid-height", centroids())])
def test_mid_heights_and_centroids_are_not_mistaken_for_each_other(
    tmp_path: Path, holds: pads.GeometryHolds, table: NDArray[np.float64]
) -> None:
    path = write_table(tmp_path / "xy.csv", "x,y", table)
    with pytest.raises(ConfigurationError, match=r"pads\.geometry_holds"):
        pads.load(path, holds)


def test_absent_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.csv: cannot be read: No such file"):
        pads.load(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"binary\.csv: is not a text file"):
        pads.load(tmp_path / "binary.csv")
