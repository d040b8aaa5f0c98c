"""Garfield tables: what is taken from them, and what is said of files that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.detector.garfield import read_garfield
from spyral_core.errors import ConfigurationError

PLANE = 2.9995  # [cm]
Z = np.arange(3.0, 8.0)
RHO = np.arange(-3.0, 4.0)


def rows_of(z: NDArray[np.float64] = Z, rho: NDArray[np.float64] = RHO) -> NDArray[np.float64]:
    """A table (cm, ns) of a drift at 1 cm/µs that carries electrons outwards and across, in proportion to rho · z."""
    start_z, start_rho = (axis.ravel() for axis in np.meshgrid(z, rho, indexing="ij"))
    drift = start_z - PLANE
    return np.stack(
        [
            start_z,
            start_rho,
            np.full_like(start_z, PLANE),
            start_rho * (1.0 + 0.002 * drift),
            0.001 * start_rho * drift,
            1000.0 * drift + start_rho**2,
        ],
        axis=1,
    )


def write(folder: Path, rows: NDArray[np.float64]) -> Path:
    path = folder / "drift.txt"
    np.savetxt(path, rows, delimiter="\t")
    return path


def select(rows: NDArray[np.float64], z: float, rho: float) -> int:
    return int(np.flatnonzero((rows[:, 0] == z) & (rows[:, 1] == rho))[0])


def test_lengths_are_in_mm_and_rho_is_folded(tmp_path: Path) -> None:
    table = read_garfield(write(tmp_path, rows_of()))
    np.testing.assert_allclose(table.z, 10.0 * Z)
    np.testing.assert_allclose(table.rho, [0.0, 10.0, 20.0, 30.0])
    drift = 10.0 * (Z - PLANE)[:, None]
    np.testing.assert_allclose(table.final_rho, table.rho * (1.0 + 0.0002 * drift))
    np.testing.assert_allclose(table.final_transverse, 0.0001 * table.rho * drift, atol=1e-12)
    np.testing.assert_allclose(table.drift_time[:, 1:], 100.0 * drift + (table.rho[1:] / 10.0) ** 2)


def test_the_order_of_the_lines_does_not_matter(tmp_path: Path) -> None:
    ordered = read_garfield(write(tmp_path, rows_of()))
    shuffled = read_garfield(write(tmp_path, np.random.default_rng(1).permutation(rows_of())))
    for name, values in vars(ordered).items():
        np.testing.assert_array_equal(getattr(shuffled, name), values)


@pytest.mark.parametrize("rho", [np.arange(0.0, 4.0), np.array([-3.0, -1.0, 1.0, 3.0])], ids=["one side", "no axis"])
def test_one_side_is_enough_and_the_axis_may_be_absent(tmp_path: Path, rho: NDArray[np.float64]) -> None:
    table = read_garfield(write(tmp_path, rows_of(rho=rho)))
    assert table.rho[0] == 0.0
    assert np.all(table.final_rho[:, 0] == 0.0)
    assert np.all(table.final_transverse[:, 0] == 0.0)
    np.testing.assert_array_equal(table.drift_time[:, 0], table.drift_time[:, 1])


def test_electrons_that_hit_a_wall_are_left_out(tmp_path: Path) -> None:
    rows = rows_of()
    for side in (-3.0, 3.0):
        rows[select(rows, 6.0, side), 2:] = (4.5, 3.9 * side / 3.0, 0.2, 800.0)
    rows[select(rows, 5.0, -2.0), 2:] = (0.0, -2.0, 0.0, 6000.0)
    table = read_garfield(write(tmp_path, rows))
    lost = np.isnan(table.drift_time)
    assert np.argwhere(lost).tolist() == [[3, 3]]
    np.testing.assert_array_equal(np.isnan(table.final_rho), lost)
    assert table.final_rho[2, 2] == pytest.approx(20.0 * (1.0 + 0.002 * (5.0 - PLANE)))


def test_an_electron_that_goes_astray_on_the_axis_is_not_believed(tmp_path: Path) -> None:
    rows = rows_of()
    expected = read_garfield(write(tmp_path, rows))
    rows[select(rows, 5.0, 0.0), 5] += 105.0
    np.testing.assert_array_equal(read_garfield(write(tmp_path, rows)).drift_time, expected.drift_time)


def test_the_way_behind_the_pad_plane_takes_no_time(tmp_path: Path) -> None:
    rows = rows_of()
    expected = read_garfield(write(tmp_path, rows)).drift_time
    for side in (-2.0, 2.0):
        row = select(rows, 6.0, side)
        rows[row, 2] -= 0.2
        rows[row, 5] += 200.0
    np.testing.assert_allclose(read_garfield(write(tmp_path, rows)).drift_time, expected, rtol=1e-9)


def changed(change: Callable[[NDArray[np.float64]], object]) -> NDArray[np.float64]:
    rows = rows_of()
    change(rows)
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (rows_of()[:-1], "34 lines do not fill the grid of 5 z by 7 rho"),
        (np.concatenate([rows_of(), rows_of()[:1]]), "36 lines do not fill the grid"),
        (rows_of(z=Z[:1]), r"has 1 step\(s\) in z"),
        (rows_of(rho=np.array([-1.0, 0.0, 1.0])), "two different distances from the axis"),
        (rows_of()[:, :5], "line 1 reads .*; allowed: six numbers"),
        (changed(lambda rows: rows[:, 5].put([8], np.nan)), "line 9 reads"),
        (changed(lambda rows: np.negative(rows[:, 5], out=rows[:, 5])), "no electron from"),
        (changed(lambda rows: rows[:, 5].put(np.arange(35), 40.0)), "z runs from the pad plane to the window"),
        (changed(lambda rows: rows[14:21, 5].fill(500.0)), "from z = 50 mm arrive before those from 40 mm"),
        (changed(lambda rows: rows[14:21, 2].fill(8.0)), "fewer than two electrons from z = 50 mm"),
        (changed(lambda rows: rows[14:21, 3].__imul__(-1.0)[6:].fill(0.5)), "land in another order"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, rows: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"drift\.txt: .*{message}"):
        read_garfield(write(tmp_path, rows))


def test_text_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "drift.txt"
    path.write_text("z\trho\tfz\tfrho\ttransverse\ttime\n")
    with pytest.raises(ConfigurationError, match=r"drift\.txt: line 1 reads 'z\\trho.*allowed: .* no header"):
        read_garfield(path)
    path.write_text("\n")
    with pytest.raises(ConfigurationError, match=r"drift\.txt: is empty"):
        read_garfield(path)
    with pytest.raises(ConfigurationError, match=r"absent\.txt: cannot be read"):
        read_garfield(tmp_path / "absent.txt")


def test_the_sides_of_a_real_table_are_mirror_images(shared: Path) -> None:
    """Rows at ±rho are one physics: final rho and final transverse change sign, the time does not."""
    rows = np.loadtxt(shared / "garfield" / "electrons_h2_300torr.txt").reshape(98, 55, 6)
    mirrored = rows[:, ::-1] * np.array([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])
    both = (np.abs(rows[..., 2] - PLANE) < 0.5) & (np.abs(mirrored[..., 2] - PLANE) < 0.5)
    difference = np.abs(rows - mirrored)[both]
    assert np.all(difference.max(axis=0) <= (0.0, 0.0, 0.0025, 0.0025, 0.0025, 7.0))


def test_a_real_table_is_read(shared: Path) -> None:
    table = read_garfield(shared / "garfield" / "electrons_h2_300torr.txt")
    assert table.drift_time.shape == (98, 28)
    lost = np.isnan(table.drift_time)
    assert np.argwhere(lost[:, :27]).tolist() == [[27, 26]]
    assert np.flatnonzero(~lost[:, 27]).tolist() == [0, 1, 2, 3]
    assert (table.z[-1] - table.z[0]) / (table.drift_time[-1, 0] - table.drift_time[0, 0]) == pytest.approx(
        0.01215, rel=1e-3
    )


def test_the_delay_of_electrons_of_a_real_table_goes_as_rho_squared(shared: Path) -> None:
    """Near the axis the field obeys Laplace's equation: its z component, and with it the delay, changes as rho².

    As the times stand in the table they do not: those behind the pad plane are too long.
    """
    path = shared / "garfield" / "electrons_h2_300torr.txt"
    table = read_garfield(path)
    delay = (table.drift_time - table.drift_time[:, :1])[-10:, 1:27].mean(axis=0)
    rows = np.loadtxt(path).reshape(98, 55, 6)
    as_given = (rows[:, 28:54, 5] - rows[:, 28:29, 5])[-10:].mean(axis=0)
    assert np.corrcoef(table.rho[1:27] ** 2, delay)[0, 1] < -0.99
    assert np.corrcoef(table.rho[1:27] ** 2, as_given)[0, 1] > 0.0
