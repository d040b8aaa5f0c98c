"""The same command gives the same bytes, whatever ran before it in the same process."""

from __future__ import annotations

from pathlib import Path

import pytest

from spyral_core import paths

from .chain import make


def content(results: Path) -> dict[str, bytes]:
    """The bytes of every file."""
    return {str(path.relative_to(results)): path.read_bytes() for path in results.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_neither_repetition_nor_the_order_of_runs_changes_a_byte(tmp_path: Path) -> None:
    make(tmp_path / "first", 8, [1, 2])
    make(tmp_path / "again", 8, [2, 1])
    assert content(tmp_path / "first") == content(tmp_path / "again")
    not_made = {"report", "hypotheses", "hypotheses_rejected", "species"}  # the embedded experiment has a gate
    assert len(content(tmp_path / "first")) == 2 * len(set(paths.PATTERNS) - not_made)
