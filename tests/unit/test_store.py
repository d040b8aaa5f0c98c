"""Tables are written whole or not at all, and read back as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spyral_core import store
from spyral_core.errors import DataError
from spyral_core.tables import Column, Table

CHILD = Table("points", (Column("x", "float64", "mm", "place"), Column("pad", "int32", "", "pad number")))
PARENT = Table(
    "events",
    (
        Column("event", "int64", "", "number"),
        Column("first_point", "int64", "", "row"),
        Column("n_points", "int64", "", "count"),
    ),
    owns=(("points", "first_point", "n_points"),),
)
LINEAGE = {"stage": "test", "run": 1}


def write(path: Path, sizes: list[int], pieces: list[int]) -> None:
    """Events of `sizes` points, appended in pieces of so many events."""
    with store.TableWriter(path, (PARENT, CHILD), LINEAGE) as writer:
        first = 0
        for number in pieces:
            part = sizes[first : first + number]
            n_points = sum(part)
            writer.append("events", {"event": np.arange(first, first + len(part)), "n_points": np.array(part, int)})
            start = sum(sizes[:first])
            rows = np.arange(start, start + n_points)
            writer.append("points", {"x": rows * 0.5, "pad": rows % 10240})
            first += number
        writer.counts = {"events": len(sizes)}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 30), max_size=12))
def test_each_event_owns_its_points(tmp_path: Path, sizes: list[int]) -> None:
    path = tmp_path / "run.h5"
    write(path, sizes, [1] * len(sizes))
    with store.TableReader(path) as reader:
        events = reader.read("events")
        assert reader.n_rows("points") == sum(sizes)
        assert reader.counts == {"events": len(sizes)}
        for number, (first, n_points) in enumerate(zip(events["first_point"], events["n_points"], strict=True)):
            points = reader.read("points", int(first), int(n_points))
            expected = np.arange(sum(sizes[:number]), sum(sizes[: number + 1]))
            np.testing.assert_array_equal(points["x"], expected * 0.5)


def test_blocks_are_read_back_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BLOCK_ROWS", 64)
    sizes = [int(size) for size in np.random.default_rng(1).integers(0, 200, 60)]
    write(tmp_path / "run.h5", sizes, [7] * 9)
    with store.TableReader(tmp_path / "run.h5") as reader:
        np.testing.assert_array_equal(reader.read("points")["x"], np.arange(sum(sizes)) * 0.5)
        np.testing.assert_array_equal(reader.read("events")["n_points"], sizes)


def test_a_short_table_takes_no_more_place_than_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    write(path, [3, 4], [1, 1])
    with h5py.File(path) as file:
        assert file["points/x"].id.get_storage_size() == 7 * 8
        assert file["events/event"].id.get_storage_size() == 2 * 8


def test_an_empty_table_has_all_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    write(path, [], [])
    with store.TableReader(path) as reader:
        assert {name: len(values) for name, values in reader.read("points").items()} == {"x": 0, "pad": 0}
    store.write_parquet(tmp_path / "empty.parquet", CHILD, {"x": (), "pad": ()}, LINEAGE)
    frame = store.read_parquet(tmp_path / "empty.parquet")
    assert frame.schema == {"x": pl.Float64, "pad": pl.Int32}
    assert frame.height == 0


def test_columns_say_their_unit_and_meaning(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    write(path, [1], [1])
    with h5py.File(path) as file:
        assert dict(file["points/x"].attrs) == {"unit": "mm", "meaning": "place"}


def test_the_lineage_is_read_back_from_both_kinds(tmp_path: Path) -> None:
    write(tmp_path / "run.h5", [2], [1])
    store.write_parquet(tmp_path / "run.parquet", CHILD, {"x": [1.0], "pad": [3]}, LINEAGE, {"events": 1})
    assert store.read_lineage(tmp_path / "run.h5") == LINEAGE
    assert store.read_metadata(tmp_path / "run.parquet") == {"lineage": LINEAGE, "counts": {"events": 1}}
    (tmp_path / "other.txt").write_text("other")
    assert store.read_lineage(tmp_path / "other.txt") is None


def test_nothing_is_left_of_a_file_whose_writing_failed(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("what was there before")
    with (
        pytest.raises(RuntimeError, match="in the middle"),
        store.TableWriter(path, (PARENT, CHILD), LINEAGE) as writer,
    ):
        writer.append("points", {"x": [1.0], "pad": [1]})
        raise RuntimeError("in the middle")
    assert path.read_text() == "what was there before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "values",
    [{"x": [1.0]}, {"x": [1.0], "pad": [1], "y": [1.0]}, {"x": [1.0, 2.0], "pad": [1]}],
    ids=["missing column", "unknown column", "unequal length"],
)
def test_columns_that_do_not_fit_the_table_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="table points"):
        store.as_columns(CHILD, values)


@pytest.mark.parametrize("content", [b"", b"not a file of ours", b"\x89HDF\r\n\x1a\n" + b"\x00" * 50])
def test_damaged_files_are_data_errors_that_name_the_file(tmp_path: Path, content: bytes) -> None:
    for name, read in (("run.h5", store.open_hdf5), ("run.parquet", store.read_parquet)):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            read(path)
        path.unlink()
        with pytest.raises(DataError, match="no such file"):
            read(path)
