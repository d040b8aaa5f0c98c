"""A cluster for the tests, and a folder with a small experiment as its user would have it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from .cluster import Slurm, UnavailableError, started

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "profiles", "envs", "spyral_core")
SITE = {"slurm_partition": "ci", "walltime": "60", "node_cores": "2", "node_mem_mb": "4000"}
GAS = '{"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}'
GATE = '{"name": "all", "Z": 1, "A": 2, "vertices": [[0, 0], [1e12, 0], [1e12, 10], [0, 10], [0, 0]]}'
CONFIGURATION: dict[str, Any] = {
    "simulate": {"seed": 1, "runs": 2, "events": 10, "gas": "gas.json"},
    "runs": "1-2",
    "max_rejected_share": 1.0,
    "solver": {"gas": "gas.json", "gates": ["all.json"]},
    "reaction": {"projectile": [6, 16], "target": [1, 2], "ejectile": [1, 2], "beam_energy": 184.1},
    "phases": {"cluster": "misbehave:cluster", "solve": "misbehave:solve"},
    "running": {"chunk_events": 4},
}


@dataclass
class Experiment:
    """A checkout of the project, and a folder with a configuration, in which its workflow works."""

    checkout: Path
    folder: Path

    def start(self, log: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Snakemake in the background, all that it says in a file."""
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        files = ("--directory", str(self.folder), "--configfile", str(self.folder / "config.yaml"))
        environment = os.environ | {"PYTHONPATH": f"{self.folder}:{self.checkout}"}
        with (self.folder / log).open("wb") as file:
            return subprocess.Popen(
                [snakemake, *files, *arguments],
                cwd=self.checkout,
                env=environment,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def finish(self, process: subprocess.Popen[bytes], log: str, seconds: float) -> None:
        """Wait for a Snakemake that must succeed."""
        try:
            assert process.wait(seconds) == 0, self.said(log)
        finally:
            kill(process)

    def said(self, log: str) -> str:
        return (self.folder / log).read_text(errors="replace")

    def order(self, what: str, stage: str, run: int) -> Path:
        """Make a stage of a run misbehave once; the file that will be there when it does."""
        order = self.folder / "misbehave" / f"{stage}_{run}"
        order.parent.mkdir(exist_ok=True)
        order.with_suffix(".seen").unlink(missing_ok=True)
        order.write_text(what)
        return order.with_suffix(".seen")

    def tables(self) -> dict[str, bytes]:
        """The bytes of every table under the results."""
        results = self.folder / "results"
        return {
            str(path.relative_to(results)): path.read_bytes()
            for pattern in ("*.h5", "*.parquet")
            for path in results.rglob(pattern)
        }


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process at once with all that it started here."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    try:
        with started() as running:
            yield running
    except UnavailableError as reason:
        pytest.skip(f"no Slurm: {reason}")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the one place of the profile filled in that a user has to."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, folder / part)
    (folder / "slurm").symlink_to((ROOT / "slurm").readlink())
    profile = folder / "profiles/slurm/config.yaml"
    lines = profile.read_text().splitlines()
    for key, value in SITE.items():
        (at,) = [number for number, line in enumerate(lines) if line.lstrip(" #").startswith(f"{key}:")]
        lines[at] = f"  {key}: {value}"
    profile.write_text("\n".join(lines))
    return folder


def experiment(checkout: Path, folder: Path) -> Experiment:
    """A small experiment."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIGURATION, sort_keys=False))
    (folder / "gas.json").write_text(GAS)
    (folder / "all.json").write_text(GATE)
    shutil.copy2(Path(__file__).with_name("misbehave.py"), folder)
    return Experiment(checkout, folder)
