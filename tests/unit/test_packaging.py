"""What is said in two places is the same in both."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import spyral_core
from spyral_core import lineage

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK_TEXT = (ROOT / "envs/requirements.lock").read_text()
LOCK = {
    canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", LOCK_TEXT, re.MULTILINE)
}
WORKFLOW_ONLY = {"snakemake", "snakemake-executor-plugin-slurm", "pygments"}


def conda_environment() -> list[str]:
    """Every entry of the conda environment, from conda and from pip, without blanks: `numpy==2.4.6`."""
    listed = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())["dependencies"]
    from_conda = [entry for entry in listed if isinstance(entry, str) and entry != "pip"]
    from_pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    return [entry.replace(" ", "") for entry in from_conda + from_pip]


def test_the_version() -> None:
    assert PROJECT["version"] == spyral_core.__version__


def test_the_lock_file_holds_nothing_but_exact_versions() -> None:
    lines = [line for line in LOCK_TEXT.splitlines() if not line.startswith("#")]
    assert len(lines) == len(LOCK)


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_the_lock_file_is_within_the_ranges(text: str) -> None:
    wanted = Requirement(text)
    assert wanted.specifier.contains(LOCK[canonicalize_name(wanted.name)])


def test_the_lock_file_holds_all_that_what_it_holds_needs() -> None:
    waiting, seen = [Requirement(text) for text in PROJECT["dependencies"]], set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        assert name in LOCK, f"{wanted} is not in the lock file"
        assert wanted.specifier.contains(LOCK[name]), f"the lock file has {name} {LOCK[name]}, {wanted} is needed"
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        # another version than the locked one may need other things
        if (name, *wanted.extras) in seen or installed.version != LOCK[name]:
            continue
        seen.add((name, *wanted.extras))
        further = [Requirement(text) for text in installed.requires or []]
        extras = wanted.extras or {""}
        waiting += [
            item for item in further if item.marker is None or any(item.marker.evaluate({"extra": e}) for e in extras)
        ]


def test_the_lock_file_holds_every_library_whose_version_a_lineage_records() -> None:
    assert set(lineage.versions()) - {"python", "spyral-core"} <= set(LOCK)


def test_the_conda_environment_holds_what_a_job_needs_at_the_locked_versions() -> None:
    pinned = [entry for entry in conda_environment() if not entry.startswith("python=")]
    found = dict(entry.split("==") for entry in pinned)
    assert found == {name: LOCK[name] for name in found}
    needed = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]} - WORKFLOW_ONLY
    assert needed <= set(found)


def test_lock_file_conda_environment_and_container_are_of_one_python() -> None:
    of_lock = re.search(r"Python (3\.\d+)", LOCK_TEXT)
    of_container = re.search(r"^FROM \S+/python:(3\.\d+)-", (ROOT / "envs/Dockerfile").read_text(), re.MULTILINE)
    assert of_lock is not None and of_container is not None
    of_conda = next(entry for entry in conda_environment() if entry.startswith("python="))
    assert of_lock[1] == of_container[1] == of_conda.removeprefix("python=")
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(of_lock[1])


def test_the_container_installs_the_locked_versions_and_no_others() -> None:
    text = (ROOT / "envs/Dockerfile").read_text()
    assert "COPY envs/requirements.lock /opt/spyral_core/envs/requirements.lock" in text
    installs = re.findall(r"pip install (.*?)(?: &&|$)", text, re.MULTILINE)
    assert len(installs) == 2
    assert all("-r /opt/spyral_core/envs/requirements.lock" in line or "--no-deps" in line for line in installs)
