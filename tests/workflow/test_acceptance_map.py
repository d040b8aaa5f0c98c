"""An acceptance map beside the results is an input of the report; what it is planned to simulate is a workflow."""

from __future__ import annotations

from spyral_core.acceptance import files

from .conftest import Workspace


def test_a_new_map_makes_the_report_again_and_nothing_else(workspace: Workspace) -> None:
    assert workspace.planned() == {}
    summary = workspace.folder / "results" / files.FOLDER / files.SUMMARY
    summary.parent.mkdir()
    summary.write_text("{}")
    assert workspace.planned() == {"report": 1}


def test_a_plan_is_a_configuration_for_snakemake(empty: Workspace) -> None:
    arguments = ("--energies", "2", "4", "--angles", "60", "80", "--vertices", "200", "700", "--tracks", "600")
    done = empty.python("acceptance", "--config", "config.yaml", "--plan", *arguments, "-o", "map")
    assert done.returncode == 0, done.stderr
    (empty.folder / "config.yaml").write_text((empty.folder / "map" / files.CONFIGURATION).read_text())
    stages = ("simulate", "survey", "pointcloud", "cluster", "estimate", "solve")
    assert empty.planned() == dict.fromkeys(stages, 2) | {"report": 1}
