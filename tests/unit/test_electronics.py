"""Which pad is at which channel."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from spyral_core.detector.electronics import load_electronics, pad_of_channel, pads_of_channels
from spyral_core.errors import ConfigurationError

OLD = "cobo,asad,aget,aget channel,pad\n"
NEW = "cobo,asad,aget,channel,detector keyword,detector channel\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "map.csv"
    path.write_text(text)
    return path


def test_the_old_map(tmp_path: Path) -> None:
    table = load_electronics(write(tmp_path, OLD + "7,2,1,10,9908\n0,0,0,62,10239\n"))
    assert table.dtype == np.int32
    assert table.shape == (8, 4, 4, 68)
    assert pad_of_channel(table, 7, 2, 1, 10) == 9908
    assert pad_of_channel(table, 0, 0, 0, 62) == 10239
    assert np.count_nonzero(table >= 0) == 2


def test_the_new_map_holds_other_detectors_too(tmp_path: Path) -> None:
    rows = "7,2,1,10,pad,9908\n10,0,0,1,si_upstream_front,3\n0,0,0,62,pad,3\n10,0,0,2,mesh,\n"
    table = load_electronics(write(tmp_path, NEW + rows))
    assert pad_of_channel(table, 7, 2, 1, 10) == 9908
    assert pad_of_channel(table, 0, 0, 0, 62) == 3
    assert pad_of_channel(table, 10, 0, 0, 1) == -1
    assert np.count_nonzero(table >= 0) == 2


@pytest.mark.parametrize(
    "place", [(8, 0, 0, 0), (-1, 0, 0, 0), (0, 4, 0, 0), (0, 0, -1, 0), (0, 0, 0, 68), (0, 0, 0, -1), (7, 2, 1, 11)]
)
def test_there_is_no_pad_elsewhere(tmp_path: Path, place: tuple[int, int, int, int]) -> None:
    assert pad_of_channel(load_electronics(write(tmp_path, OLD + "7,2,1,10,9908\n")), *place) == -1


@pytest.mark.parametrize("name", ["pad_electronics.csv", "pad_electronics_legacy.csv"])
def test_the_experiments_maps(shared: Path, name: str) -> None:
    """Rows of a trace file, in any order and among places that hold no pad, against a dictionary."""
    path = shared / "pad_plane" / name
    with path.open(newline="") as file:
        wiring = {tuple(map(int, row[:4])): int(row[4]) for row in list(csv.reader(file))[1:] if row}
    assert len(wiring) == 10240
    table = load_electronics(path)
    rows = np.random.default_rng(5).integers((0, 0, 0, 0), (12, 5, 5, 70), (20000, 4)).astype(np.int16)
    rows = np.concatenate([rows, np.array(list(wiring), dtype=np.int16)])
    expected = [wiring.get(tuple(row), -1) for row in rows.tolist()]
    found = pads_of_channels(table, rows)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)
    assert set(found.tolist()) == {-1, *range(10240)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OLD + "7,4,1,10,9908\n", r"line 2: asad is 4; allowed: integers 0 … 3"),
        (OLD + "7,2,1,68,9908\n", r"line 2: channel is 68; allowed: integers 0 … 67"),
        (OLD + "7,2,1,10,10240\n", r"line 2: pad is 10240; allowed: integers 0 … 10239"),
        (OLD + "-1,2,1,10,5\n", r"line 2: cobo is -1"),
        (OLD + "7,2,1,1.5,5\n", r"line 2: channel is 1.5"),
        (OLD + "7,2,1,x,5\n", r"line 2: 'x' is not a finite number"),
        (OLD + "7,2,1,10,5\n7,2,1,10,6\n", r"line 3: cobo 7, .* was given before \(line 2, pad 5\)"),
        (OLD + "7,2,1,10,5\n7,2,1,11,5\n", r"line 3: pad 5 was given before \(line 2\)"),
        (OLD, "names no pad"),
        (NEW + "7,2,1,10,mesh,5\n", "names no pad"),
        ("cobo,asad,aget,pad\n1,1,1,1\n", "has 4 columns; allowed"),
        ("7,2,1,10,9908\n", "first line holds numbers"),
        ("", "is empty"),
    ],
)
def test_wrong_maps_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"map\.csv: {message}|map\.csv: .*{message}"):
        load_electronics(write(tmp_path, text))
