"""What is said in two places is the same in both."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import spyral_core

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW_ONLY = {"snakemake", "snakemake-executor-plugin-slurm", "pygments"}


def bounds(requirements: list[str]) -> dict[str, str]:
    """`numpy>=2.0,<3` → numpy: >=2.0,<3."""
    return {re.split("[ <>=]", text)[0]: re.sub(r"^[\w-]+ ?", "", text) for text in requirements}


def test_the_version() -> None:
    assert PROJECT["version"] == spyral_core.__version__


def test_the_conda_environment_holds_what_a_job_needs() -> None:
    listed = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())["dependencies"]
    from_conda = [entry for entry in listed if isinstance(entry, str) and entry != "pip"]
    from_pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    found = bounds(from_conda) | bounds(from_pip)
    assert found.pop("python") == PROJECT["requires-python"]
    needed = bounds(PROJECT["dependencies"])
    assert found == {name: bound for name, bound in needed.items() if name not in WORKFLOW_ONLY}
