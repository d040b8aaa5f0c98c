"""What jobs ask of a cluster, by the profile as it stands: no Slurm is needed to plan."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WALLTIME, NODE_MEMORY = 720, 32000
CHAIN = ("survey", "pointcloud", "cluster", "estimate")
CONFIGURATION = """\
traces: measured
runs: 1-2
solver: {gas: gas.json, gates: [one.json, other.json]}
"""
GIGABYTES = {1: 0.001, 2: 4000.0}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What Snakemake says it would do with a tiny run and one that no node can take in one job."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "measured").mkdir()
    for run, gigabytes in GIGABYTES.items():
        with (folder / f"measured/run_{run:04d}.h5").open("wb") as file:
            file.truncate(int(gigabytes * 1e9))  # a hole: no space is taken
    (folder / "config.yaml").write_text(CONFIGURATION)
    for name in ("gas", "one", "other"):
        (folder / f"{name}.json").write_text("{}")
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    done = subprocess.run(
        [snakemake, "--profile", "slurm", "--dry-run", "--directory", folder, "--configfile", folder / "config.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def asked(plan: str) -> dict[int, dict[str, dict[str, int]]]:
    """Memory and time by run and stage."""
    found: dict[int, dict[str, dict[str, int]]] = defaultdict(dict)
    for job in re.split(r"\n *\[", plan):
        rule = re.search(r"^ *rule (\w+):", job, re.MULTILINE)
        run = re.search(r"wildcards: .*run=(\d+)", job)
        if rule and run:
            found[int(run[1])][rule[1]] = {
                name: int(value) for name, value in re.findall(r"\b(mem_mb|runtime)=(\d+)", job)
            }
    return found


def test_the_short_stages_of_a_run_are_submitted_together(plan: str) -> None:
    assert sorted(re.findall(r"Group job (\S+)", plan)) == ["run_0001", "run_0002"]
    assert len(re.findall(r"^rule solve:", plan, re.MULTILINE)) == 4


def test_memory_and_time_grow_with_the_run(asked: dict[int, dict[str, dict[str, int]]]) -> None:
    for stage in ("pointcloud", "cluster", "estimate", "solve"):
        small, large = asked[1][stage], asked[2][stage]
        assert small["mem_mb"] < large["mem_mb"], stage
    assert asked[1]["solve"]["runtime"] < asked[2]["solve"]["runtime"]


def test_no_job_asks_for_more_than_a_node_and_the_walltime(asked: dict[int, dict[str, dict[str, int]]]) -> None:
    assert {stage["mem_mb"] for stage in asked[2].values()} <= set(range(NODE_MEMORY + 1))
    assert asked[2]["cluster"]["mem_mb"] == NODE_MEMORY
    assert asked[2]["solve"]["runtime"] == WALLTIME
    together = sum(asked[2][stage]["runtime"] for stage in CHAIN)
    assert WALLTIME - len(CHAIN) <= together <= WALLTIME
