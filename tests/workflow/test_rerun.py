"""Exactly what a change makes stale is made again."""

from __future__ import annotations

import copy
import os
import time
from pathlib import Path
from typing import Any

import pytest

from spyral_core.catalog import STAGES

from .conftest import CONFIGURATION, FILES, Workspace

AFTER = {
    "simulate": ("simulate", "survey", "pointcloud", "cluster", "estimate", "solve"),
    "survey": ("survey", "pointcloud", "cluster", "estimate", "solve"),
    "pointcloud": ("pointcloud", "cluster", "estimate", "solve"),
    "cluster": ("cluster", "estimate", "solve"),
    "estimate": ("estimate", "solve"),
    "solve": ("solve",),
}


def jobs(*stages: str, runs: int = 2) -> dict[str, int]:
    """Those stages for each run, and the report."""
    return {**dict.fromkeys(stages, runs), "report": 1}


def changed(**sections: Any) -> dict[str, Any]:
    """The configuration with some keys of some sections replaced."""
    configuration = copy.deepcopy(CONFIGURATION)
    for name, value in sections.items():
        if isinstance(value, dict):
            configuration.setdefault(name, {}).update(value)
        else:
            configuration[name] = value
    return configuration


def test_nothing_when_nothing_changed(workspace: Workspace) -> None:
    assert workspace.planned() == {}


def test_nothing_when_small_files_were_touched(workspace: Workspace) -> None:
    future = time.time() + 10
    touched = [workspace.folder / name for name in ("config.yaml", *FILES)]
    touched += [path for path in workspace.project.rglob("*") if path.is_file()]
    for path in touched:
        os.utime(path, (future, future))
    assert workspace.planned() == {}


def test_nothing_when_the_configuration_says_the_same_in_other_words(workspace: Workspace) -> None:
    reworded = changed(
        simulate={"runs": 2, "beam": {}},
        detector={"magnetic_field": 2.85, "electric_field": 45000},
        cluster={"hdbscan": {"min_points": 3}, "overlap_join": None},
        solver={"ic_min_val": 500, "ic_max_val": 2e3},
        max_rejected_share=1,
        running={"chunk_events": 7, "max_threads": 1},
    )
    workspace.configure(dict(reversed(reworded.items())))
    assert workspace.planned() == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cluster": {"min_cloud_size": 51}}, jobs(*AFTER["cluster"])),
        pytest.param({"cluster": {"hdbscan": {"min_points": 4}}}, jobs(*AFTER["cluster"]), marks=pytest.mark.slow),
        pytest.param({"estimate": {"smoothing_factor": 90.0}}, jobs(*AFTER["estimate"]), marks=pytest.mark.slow),
        ({"solver": {"ic_min_val": 501.0}}, jobs("solve")),
        ({"solver": {"gas": "inputs/simulated_gas.json"}}, jobs("solve")),
        ({"detector": {"magnetic_field": 2.8}}, jobs(*AFTER["estimate"])),
        pytest.param({"get": {"peak_threshold": 41.0}}, jobs(*AFTER["survey"]), marks=pytest.mark.slow),
        pytest.param({"simulate": {"seed": 2}}, jobs(*AFTER["simulate"]), marks=pytest.mark.slow),
        pytest.param({"simulate": {"runs": 3}}, {}, marks=pytest.mark.slow),
        ({"simulate": {"runs": 3}, "runs": "1-3"}, jobs(*AFTER["simulate"], runs=1)),
        pytest.param({"reaction": {"beam_energy": 180.0}}, jobs(), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_what_a_change_of_the_configuration_reruns(
    workspace: Workspace, change: dict[str, Any], expected: dict[str, int]
) -> None:
    workspace.configure(changed(**change))
    assert workspace.planned() == expected


def test_a_second_gate_leaves_the_first_alone(workspace: Workspace) -> None:
    (workspace.folder / "inputs/proton.json").write_text(FILES["inputs/deuteron.json"].replace('"A": 2', '"A": 1'))
    workspace.configure(changed(solver={"gates": ["inputs/deuteron.json", "inputs/proton.json"]}))
    plan = workspace.snakemake("--dry-run").stdout
    assert workspace.planned() == jobs("solve")
    assert "results/solver/proton/run_0001.parquet" in plan
    assert "output: results/solver/deuteron" not in plan


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("inputs/deuteron.json", "[0, 10]", "[0, 9]", jobs("solve")),
        ("inputs/gas.json", "300.0", "301.0", jobs("solve")),
        ("inputs/simulated_gas.json", "300.0", "301.0", jobs(*AFTER["simulate"])),
    ],
)
def test_what_a_changed_file_reruns(
    workspace: Workspace, file: str, old: str, new: str, expected: dict[str, int]
) -> None:
    path = workspace.folder / file
    path.write_text(path.read_text().replace(old, new))
    assert workspace.planned() == expected


def test_a_survey_that_finds_other_pads_reruns_the_fits_of_its_run(workspace: Workspace) -> None:
    """Not only through the point clouds: the fit itself asks which pads could have been silent."""
    survey = workspace.folder / "results/survey/run_0001.parquet"
    survey.write_bytes(b"another mask")
    future = time.time() + 10
    os.utime(survey, (future, future))
    assert workspace.planned() == jobs(*AFTER["pointcloud"], runs=1)
    solved = "results/solver/deuteron/run_0001.parquet"
    assert workspace.planned(solved, "--allowed-rules", "solve") == {"solve": 1}


def module_file(project: Path, name: str) -> Path:
    return project.joinpath(*STAGES[name].module.split(".")).with_suffix(".py")


@pytest.mark.slow
@pytest.mark.parametrize("stage", list(AFTER))
def test_a_stage_and_what_follows_when_its_code_changes(workspace: Workspace, stage: str) -> None:
    path = module_file(workspace.project, stage)
    path.write_text(path.read_text() + "\n_CHANGED = 1\n")
    assert workspace.planned() == jobs(*AFTER[stage])


def test_a_stage_and_what_follows_when_code_that_it_imports_changes(workspace: Workspace) -> None:
    path = workspace.project / "spyral_core/clustering/hdbscan.py"
    path.write_text(path.read_text() + "\n_CHANGED = 1\n")
    assert workspace.planned() == jobs(*AFTER["cluster"])


def test_the_report_alone_when_its_code_changes(workspace: Workspace) -> None:
    path = module_file(workspace.project, "report")
    path.write_text(path.read_text() + "\n_CHANGED = 1\n")
    assert workspace.planned() == jobs()


def test_nothing_when_only_words_about_the_code_change(workspace: Workspace) -> None:
    for stage in AFTER:
        path = module_file(workspace.project, stage)
        text = path.read_text()
        assert text.startswith('"""')
        path.write_text('"""Other words.' + text.removeprefix('"""') + "\n# A remark.\n")
    assert workspace.planned() == {}
