"""Full disks, locked folders and inputs that change: one line that says why, and nothing left that looks complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import disk

pytestmark = pytest.mark.slow
Simulated = tuple[Path, Path]


@pytest.mark.parametrize(("stage", "kilobytes"), [("pointcloud", 60), ("pointcloud", 100), ("simulate", 1500)])
def test_a_full_disk_leaves_nothing_and_is_said(
    stage: str, kilobytes: int, simulated: Simulated, tmp_path: Path
) -> None:
    try:
        assert disk.full_disk(simulated[0].parent, simulated[1], tmp_path, kilobytes, stage) == []
    except disk.NotPermitted as reason:
        pytest.skip(f"a small file system cannot be mounted here: {reason}")


def test_a_read_only_folder_is_said(simulated: Simulated, tmp_path: Path) -> None:
    try:
        assert disk.read_only(simulated[0].parent, simulated[1], tmp_path) == []
    except disk.NotPermitted as reason:
        pytest.skip(f"a small file system cannot be mounted here: {reason}")


def test_a_file_in_the_place_of_a_folder_is_said(simulated: Simulated, tmp_path: Path) -> None:
    assert disk.not_permitted(simulated[0].parent, simulated[1], tmp_path) == []


@pytest.mark.parametrize(("how", "threads"), [("replaced", 1), ("removed", 2)])
def test_an_input_that_changes_while_it_is_read_fails_the_job(
    how: str, threads: int, simulated: Simulated, tmp_path: Path
) -> None:
    assert disk.changed_while_read(simulated[0].parent, simulated[1], tmp_path, how, threads) == []
