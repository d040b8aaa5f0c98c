"""A copy of the project in which the workflow can be run and changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "profiles", "envs", "spyral_core")

CONFIGURATION: dict[str, Any] = {
    "results": "results",
    "simulate": {"seed": 1, "runs": 2, "events": 4, "gas": "inputs/simulated_gas.json"},
    "runs": "1-2",
    "max_rejected_share": 1.0,
    "solver": {"gas": "inputs/gas.json", "gates": ["inputs/deuteron.json"], "ic_min_val": 500.0, "ic_max_val": 2000.0},
    "reaction": {"projectile": [6, 16], "target": [1, 2], "ejectile": [1, 2], "beam_energy": 184.1},
}
FILES = {
    "inputs/simulated_gas.json": '{"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}',
    "inputs/gas.json": '{"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}',
    "inputs/deuteron.json": '{"name": "d", "Z": 1, "A": 2, '
    '"vertices": [[0, 0], [1e12, 0], [1e12, 10], [0, 10], [0, 0]]}',
}


@dataclass
class Workspace:
    """A project and a working directory, each a copy of its own."""

    project: Path
    folder: Path

    def configure(self, configuration: dict[str, Any], name: str = "config.yaml") -> None:
        (self.folder / name).write_text(yaml.safe_dump(configuration, sort_keys=False))

    def snakemake(self, *arguments: str, config: str = "config.yaml") -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the working directory, on the copied project."""
        files = ["--snakefile", str(self.project / "Snakefile"), "--configfile", config]
        return self.run(str(Path(sys.executable).with_name("snakemake")), *files, "--cores", "2", *arguments)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m spyral_core` of the copied project in the working directory."""
        return self.run(sys.executable, "-m", "spyral_core", *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(self.project)}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def planned(self, *arguments: str) -> dict[str, int]:
        """The jobs that Snakemake would run: rule → number."""
        done = self.snakemake("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        table = re.search(r"^Job stats:\n.*\n-+ .*\n((?:\w+ +\d+\n)+)", done.stdout + done.stderr, re.MULTILINE)
        jobs = dict(line.split() for line in table[1].splitlines()) if table else {}
        return {rule: int(number) for rule, number in jobs.items() if rule not in ("default", "all", "total")}


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the project, and a working directory with a small configuration and nothing made."""
    project, folder = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("pristine")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, project / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, project / part)
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    workspace = Workspace(project, folder)
    workspace.configure(CONFIGURATION)
    return workspace


@pytest.fixture(scope="session")
def touched(pristine: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A working directory in which Snakemake has recorded every product as made; the products are empty files."""
    folder = tmp_path_factory.mktemp("touched") / "work"
    shutil.copytree(pristine.folder, folder)
    workspace = Workspace(pristine.project, folder)
    summary = workspace.snakemake("--summary").stdout.splitlines()[1:]
    for line in summary:
        product = folder / line.split("\t")[0]
        product.parent.mkdir(parents=True, exist_ok=True)
        product.touch()
    done = workspace.snakemake("--touch", "--forceall")
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace


@pytest.fixture
def workspace(touched: Workspace, tmp_path: Path) -> Workspace:
    """A copy of `touched` for one test, with a project of its own."""
    for source, name in ((touched.project, "project"), (touched.folder, "work")):
        shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Workspace(tmp_path / "project", tmp_path / "work")


@pytest.fixture
def empty(pristine: Workspace, tmp_path: Path) -> Workspace:
    """A copy of `pristine` for one test, on the session's project."""
    shutil.copytree(pristine.folder, tmp_path / "work")
    return Workspace(pristine.project, tmp_path / "work")
