"""Which runs are analysed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyral_core import runs
from spyral_core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-2", [1, 2]),
        ("94-97, 99", [94, 95, 96, 97, 99]),
        (" 7 ", [7]),
        ("3,1-2,2", [1, 2, 3]),
        ("5 - 5", [5]),
        ("0008", [8]),
    ],
)
def test_numbers_and_ranges(text: str, expected: list[int]) -> None:
    assert runs.parse(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-3", "1--2", "1;2", "2-1", "1,,2", "1.5", "1-9999999", "٣"])
def test_anything_else_is_refused_with_the_text_that_is_wrong(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^runs: "):
        runs.parse(text)


@given(st.sets(st.integers(min_value=0, max_value=9999), min_size=1))
def test_ranges_are_read_back(numbers: set[int]) -> None:
    assert runs.parse(runs.ranges(list(numbers))) == sorted(numbers)


def test_runs_without_a_file_are_named(tmp_path: Path) -> None:
    for run in (1, 3, 4):
        (tmp_path / f"run_{run:04d}.h5").touch()
    assert runs.select("1-5", [4], None, tmp_path) == ([1, 3], [2, 5])


def test_simulated_runs_exist_from_one_to_their_number(tmp_path: Path) -> None:
    assert runs.select("0-4", [], 3, tmp_path) == ([1, 2, 3], [0, 4])


@pytest.mark.parametrize(("text", "skip"), [("7-8", []), ("1", [1])])
def test_no_run_at_all_is_an_error(tmp_path: Path, text: str, skip: list[int]) -> None:
    (tmp_path / "run_0001.h5").touch()
    with pytest.raises(ConfigurationError, match="no run to analyse"):
        runs.select(text, skip, None, tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        runs.select("1", [], None, tmp_path / "nowhere")
