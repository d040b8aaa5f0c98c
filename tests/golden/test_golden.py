"""Numbers change only when somebody says so: then `python tests/golden/renew.py`, and a line in the changelog."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spyral_core import lineage

from .columns import Columns, moved, summary

COLUMN = "solver/deuteron/run_0001.parquet:ke"


@pytest.mark.slow
def test_every_column_of_the_embedded_experiment_is_what_it_was(golden: dict[str, Any], analysed: Columns) -> None:
    lines = moved(golden["columns"], {name: summary(column) for name, column in analysed.items()})
    now = lineage.versions()
    others = [
        f"{name} {version}, here {now.get(name)}"
        for name, version in golden["versions"].items()
        if now.get(name) != version
    ]
    lines += [f"the golden values were made with {', '.join(others)}"] if lines and others else []
    assert not lines, "columns moved; if that is meant: python tests/golden/renew.py\n" + "\n".join(lines)


def test_a_change_is_named_with_its_column_and_size() -> None:
    values = np.linspace(1.0, 4.0, 31)
    before = {COLUMN: summary(values)}
    assert moved(before, {COLUMN: summary(values * (1 + 1e-8))}) == []
    (line,) = moved(before, {COLUMN: summary(np.where(values == 4.0, 4.4, values))})
    assert line.startswith(f"{COLUMN}: moved by 0.1 of its largest value: greatest 4.0 → 4.4, mean 2.5 → 2.51")
    assert moved(before, {}) == [f"{COLUMN}: is gone"]
    assert any("finite 31 → 30" in line for line in moved(before, {COLUMN: summary(np.r_[values[:-1], np.nan])}))


@pytest.mark.parametrize("other", [[1, 3, 2], [1, 2, 4], [1, 2]])
def test_whole_numbers_are_held_exactly_and_in_their_order(other: list[int]) -> None:
    before = {COLUMN: summary(np.array([1, 2, 3]))}
    assert moved(before, {COLUMN: summary(np.array([1, 2, 3], dtype=np.int32))}) == []
    assert moved(before, {COLUMN: summary(np.array(other))})


def test_words_are_held_exactly() -> None:
    before = {COLUMN: summary(np.array(["noisy", ""], dtype=object))}
    assert moved(before, {COLUMN: summary(np.array(["noisy", "x"], dtype=object))})
