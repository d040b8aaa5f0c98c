"""A small experiment whose processes are killed at random moments."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from spyral_core.compiled import base_folder

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "profiles", "envs", "spyral_core")
CONFIGURATION: dict[str, Any] = {
    "results": "results",
    "simulate": {"seed": 7, "runs": 2, "events": 10, "gas": "gas.json"},
    "runs": "1-2",
    "max_rejected_share": 1.0,
    "solver": {"gas": "gas.json", "gates": ["deuteron.json"]},
    "running": {"chunk_events": 3},
}
INPUTS = {
    "gas.json": '{"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}',
    "deuteron.json": '{"name": "d", "Z": 1, "A": 2, "vertices": [[0, 0], [1e12, 0], [1e12, 10], [0, 10], [0, 0]]}',
}


@dataclass
class Outcome:
    """Kills that were tried, by what was killed; `lost` says what went wrong, and is to stay empty."""

    tried: int = 0
    by_target: dict[str, int] = field(default_factory=dict)
    finished_first: int = 0
    completed: int = 0
    unlocked: int = 0
    lost: list[str] = field(default_factory=list)


class Experiment:
    """The project and a small simulated experiment in a folder of its own."""

    def __init__(self, folder: Path, cores: int = 4) -> None:
        self.folder, self._project, self._cores = folder / "work", folder / "project", cores
        self.folder.mkdir(parents=True)
        self._project.mkdir()
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, self._project / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, self._project / part)
        for name, text in INPUTS.items():
            (self.folder / name).write_text(text)
        self.configure(CONFIGURATION)

    def configure(self, configuration: dict[str, Any]) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(configuration))

    def start(self, *arguments: str, log: str = "snakemake.log") -> subprocess.Popen[bytes]:
        """Snakemake in a process group of its own."""
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        command = [snakemake, "--snakefile", str(self._project / "Snakefile"), "--configfile", "config.yaml"]
        with (self.folder / log).open("wb") as output:
            return subprocess.Popen(
                [*command, "--cores", str(self._cores), *arguments],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(self._project), "NUMBA_CACHE_DIR": str(base_folder())},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def finish(self, *arguments: str) -> tuple[int, str]:
        """Snakemake to its end: exit code and what it said."""
        code = self.start(*arguments).wait()
        return code, (self.folder / "snakemake.log").read_text(errors="replace")

    def tables(self) -> dict[str, str]:
        """The digest of every table, by its path below the results."""
        results = self.folder / "results"
        files = [path for pattern in ("*.h5", "*.parquet") for path in sorted(results.rglob(pattern))]
        return {str(path.relative_to(results)): sha256(path.read_bytes()).hexdigest() for path in files}

    def clear(self) -> None:
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def processes_of(group: int) -> dict[str, list[int]]:
    """Processes of a session by kind: `snakemake`, `stage`, `worker`; for Linux."""
    found: dict[str, list[int]] = {"snakemake": [], "stage": [], "worker": []}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != group or fields[0] == "Z":
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "multiprocessing.spawn" in command:
                found["worker"].append(int(entry.name))
            elif "-m spyral_core" in command and "/bash" not in command.split(" ")[0]:
                found["stage"].append(int(entry.name))
            elif int(entry.name) == group:
                found["snakemake"].append(int(entry.name))
    return found


def kill_some(
    experiment: Experiment, reference: dict[str, str], number: int, longest: float, chance: random.Random
) -> Outcome:
    """Start the experiment again and again and kill something of it, `number` times; then let it finish."""
    outcome = Outcome()
    experiment.clear()
    must_unlock = False
    while outcome.tried < number:
        if must_unlock:
            must_unlock = _unlock(experiment, outcome)
        process = experiment.start()
        target, which = _kill_one(process, chance.uniform(0.3, longest), chance)
        code = process.wait()
        _end_of_session(process.pid, outcome)
        if target is None:
            outcome.finished_first += 1
        else:
            outcome.tried += 1
            outcome.by_target[f"{target} {which}"] = outcome.by_target.get(f"{target} {which}", 0) + 1
            must_unlock = target in ("snakemake", "everything")
        _check_no_half_table(experiment, reference, outcome)
        if target is None and code == 0:
            _check_complete(experiment, reference, outcome)
            experiment.clear()
    if must_unlock:
        _unlock(experiment, outcome)
    code, said = experiment.finish()
    if code != 0:
        outcome.lost.append(f"the last run failed: {said[-300:]}")
    _check_complete(experiment, reference, outcome)
    return outcome


def _kill_one(process: subprocess.Popen[bytes], after: float, chance: random.Random) -> tuple[str | None, str]:
    """Kill a process of the session, or all of them, after some seconds: what was killed, and how."""
    until = time.monotonic() + after
    while time.monotonic() < until:
        if process.poll() is not None:
            return None, ""
        time.sleep(0.02)
    which = chance.choice([signal.SIGTERM, signal.SIGKILL])
    wanted = chance.choice(["snakemake", "stage", "worker", "everything"])
    while process.poll() is None:  # a stage or a worker may not be there yet
        members = processes_of(process.pid)
        with contextlib.suppress(ProcessLookupError):
            if wanted == "everything":
                os.killpg(process.pid, which)
                return wanted, which.name
            if members[wanted]:
                os.kill(chance.choice(members[wanted]), which)
                return wanted, which.name
        if wanted != "snakemake" and time.monotonic() > until + 5:
            wanted = "stage" if wanted == "worker" else "snakemake"
        time.sleep(0.02)
    return None, ""


def _end_of_session(session: int, outcome: Outcome) -> None:
    """Wait for what is left of a session; nothing may outlive it for long."""
    for _ in range(600):
        left = processes_of(session)
        if not any(left.values()):
            return
        time.sleep(0.1)
    outcome.lost.append(f"processes went on after the end of Snakemake: {left}")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def _unlock(experiment: Experiment, outcome: Outcome) -> bool:
    """After Snakemake itself was killed: unlock as its message says, if it says so. False: nothing is locked now."""
    code, said = experiment.finish("--dry-run")
    code, said = experiment.finish() if "LockException" in said or code else (0, "")
    if code != 0:
        if "--unlock" not in said:
            outcome.lost.append(f"Snakemake failed without saying what to do: {said[-300:]}")
        experiment.finish("--unlock")
        outcome.unlocked += 1
    return False


def _check_no_half_table(experiment: Experiment, reference: dict[str, str], outcome: Outcome) -> None:
    for name, digest in experiment.tables().items():
        if "/." not in f"/{name}" and reference.get(name) != digest:
            outcome.lost.append(f"{name} looks complete and is not")


def _check_complete(experiment: Experiment, reference: dict[str, str], outcome: Outcome) -> None:
    outcome.completed += 1
    made = experiment.tables()
    if made != reference:
        different = sorted(name for name in made.keys() | reference.keys() if made.get(name) != reference.get(name))
        outcome.lost.append(f"tables differ from an undisturbed run: {different}")
