"""What is wrong is said once, clearly, before any job."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from .conftest import CONFIGURATION, FILES, Workspace


def refused(workspace: Workspace, **sections: Any) -> str:
    """What Snakemake says of the configuration with these sections replaced; nothing may have been made."""
    configuration = {**copy.deepcopy(CONFIGURATION), **sections}
    workspace.configure({key: value for key, value in configuration.items() if value is not ...})
    done = workspace.snakemake()
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert not (workspace.folder / "results/logs").exists()
    message = [line for line in done.stderr.splitlines() if line.strip() and "profile" not in line]
    assert message[0].startswith("configuration: ")
    return "\n".join(message)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"clustre": {}}, ["config.yaml: 1 fault", "clustre: unknown key; allowed here: cluster, detector"]),
        ({"cluster": {"min_cloud_size": "many"}}, ["cluster.min_cloud_size", "valid integer (found 'many')"]),
        ({"detector": {"magnetic_field": 200}}, ["detector.magnetic_field", "less than or equal to 20"]),
        ({"traces": "data"}, ["exactly one of `traces`", "both are"]),
        ({"simulate": ...}, ["exactly one of `traces`", "neither is"]),
        ({"simulate": ..., "traces": "absent"}, ["traces: no such folder: absent"]),
        ({"runs": "1-"}, ["runs: '1-'", "write for example '94-97, 99'"]),
        ({"runs": "8-9"}, ["no run to analyse", "simulate.runs is 2"]),
        ({"solver": {"gas": "absent.json"}}, ["solver.gas: no such file: absent.json"]),
        ({"solver": {"gas": "inputs/gas.json", "gates": ["absent.json"]}}, ["solver.gates: no such file: absent.json"]),
        ({"detector": {"garfield_file": "absent.txt"}}, ["detector.garfield_file: no such file: absent.txt"]),
        ({"pads": {"geometry": "absent.csv"}}, ["pads.geometry: no such file: absent.csv"]),
        ({"phases": {"cluster": "absent.module:process"}}, ["phases.cluster: 'absent.module:process'"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_faults_of_the_configuration(empty: Workspace, sections: dict[str, Any], said: list[str]) -> None:
    message = refused(empty, **sections)
    assert all(part in message for part in said), message
    assert len(message.splitlines()) <= 2


def test_gates_that_would_share_a_folder(empty: Workspace) -> None:
    other = empty.folder / "inputs/other/deuteron.json"
    other.parent.mkdir()
    other.write_text(FILES["inputs/deuteron.json"])
    gates = ["inputs/deuteron.json", "inputs/other/deuteron.json"]
    assert "would both write solver/deuteron" in refused(empty, solver={"gas": "inputs/gas.json", "gates": gates})


@pytest.mark.parametrize("folder", ["results", "results/measured", "results/../results/deep/measured"])
def test_measured_traces_inside_the_results(empty: Workspace, folder: str) -> None:
    (empty.folder / folder).mkdir(parents=True)
    (empty.folder / folder / "run_0001.h5").write_text("measured")
    assert "lies inside the results" in refused(empty, simulate=..., traces=folder)


def test_a_simulation_over_measured_traces(empty: Workspace) -> None:
    measured = empty.folder / "results/traces/run_0001.h5"
    measured.parent.mkdir(parents=True)
    measured.write_text("measured")
    assert "was not made by a simulation" in refused(empty)
    assert measured.read_text() == "measured"


def test_runs_without_a_file_are_named_and_left_out(empty: Workspace) -> None:
    for run in (1, 3):
        path = empty.folder / f"measured/run_{run:04d}.h5"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    configuration = {key: value for key, value in CONFIGURATION.items() if key != "simulate"}
    empty.configure({**configuration, "traces": "measured", "runs": "1-5", "skip_runs": [5]})
    done = empty.snakemake("--dry-run")
    assert done.returncode == 0
    assert "Left out, no file in measured: runs 2, 4\n" in done.stderr
    assert empty.planned()["pointcloud"] == 2


def test_a_users_configuration_replaces_the_embedded_experiment(empty: Workspace) -> None:
    (empty.folder / "measured").mkdir()
    (empty.folder / "measured/run_0001.h5").touch()
    empty.configure({"traces": "measured", "runs": 1})
    assert empty.planned() == {"survey": 1, "pointcloud": 1, "cluster": 1, "estimate": 1, "report": 1}


def test_the_slurm_profile_is_accepted_as_it_stands(tmp_path: Path, empty: Workspace) -> None:
    root = Path(__file__).parents[2]
    (empty.project / "slurm").symlink_to("profiles/slurm")
    here = Workspace(empty.project, empty.project)
    config = str(empty.folder / "config.yaml")
    done = here.snakemake("--profile", "slurm", "--directory", str(empty.folder), "--dry-run", config=config)
    (empty.project / "slurm").unlink()
    assert done.returncode == 0, done.stderr
    assert (root / "slurm").readlink() == Path("profiles/slurm")
