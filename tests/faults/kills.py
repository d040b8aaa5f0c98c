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

ROOT = Path(__file__).parents[2]
CONFIGURATION: dict[str, Any] = {
    "results": "results",
    "simulate": {"seed": 7, "runs": 2, "events": 6, "gas": "gas.json"},
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
    """Kills that were tried, by what was killed; `lost` says what went wrong, and is to stay empty.

    `sessions`: starts of Snakemake that met a kill. `slowest`: the longest time [s] that Snakemake, or a process of its
    session, went on after the last kill.
    """

    tried: int = 0
    by_target: dict[str, int] = field(default_factory=dict)
    sessions: int = 0
    completed: int = 0
    unlocked: int = 0
    slowest: float = 0.0
    lost: list[str] = field(default_factory=list)


class Experiment:
    """A small simulated experiment in a folder of its own, analysed by the code at `ROOT`.

    Not by a copy: numba keeps compiled kernels by the path of their source.
    """

    def __init__(self, folder: Path, cores: int = 4) -> None:
        self.folder, self._cores = folder, cores
        self.folder.mkdir(parents=True)
        for name, text in INPUTS.items():
            (self.folder / name).write_text(text)
        self.configure(CONFIGURATION)

    def configure(self, configuration: dict[str, Any]) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(configuration))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Snakemake in a process group of its own."""
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        command = [snakemake, "--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml"]
        with (self.folder / "snakemake.log").open("wb") as output:
            return subprocess.Popen(
                [*command, "--cores", str(self._cores), *arguments],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def finish(self, *arguments: str) -> tuple[int, str]:
        """Snakemake to its end: exit code and what it said."""
        code = self.start(*arguments).wait()
        return code, self.said()

    def said(self) -> str:
        """What Snakemake said the last time."""
        return (self.folder / "snakemake.log").read_text(errors="replace")

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
    """Start the experiment again and again and kill something of it, `number` times; then let it finish.

    `longest` is the time [s] from one kill to the next, at most. Snakemake goes on with what does not depend on a job
    that was killed, so that it may meet several kills before it ends.
    """
    outcome = Outcome()
    experiment.clear()
    snakemake_killed = False
    while outcome.tried < number:
        process = experiment.start()
        killed: list[str] = []
        while outcome.tried < number and (target := _kill_one(process, chance.uniform(0.3, longest), chance)):
            last = time.monotonic()
            killed.append(target)
            outcome.tried += 1
            outcome.by_target[target] = outcome.by_target.get(target, 0) + 1
        code = process.wait()
        _end_of_session(process.pid, outcome)
        _check_no_half_table(experiment, reference, outcome)
        if killed:
            outcome.sessions += 1
            outcome.slowest = max(outcome.slowest, time.monotonic() - last)
            snakemake_killed = any(target.startswith(("snakemake", "everything")) for target in killed)
        elif code == 0:
            _check_complete(experiment, reference, outcome)
            experiment.clear()
        elif not snakemake_killed or not _unlock(experiment, outcome):
            outcome.lost.append(f"Snakemake failed by itself: {experiment.said()[-300:]}")
            break
    code, said = experiment.finish()
    if code != 0 and snakemake_killed and _unlock(experiment, outcome):
        code, said = experiment.finish()
    if code != 0:
        outcome.lost.append(f"the last run failed: {said[-300:]}")
    _check_complete(experiment, reference, outcome)
    return outcome


def _kill_one(process: subprocess.Popen[bytes], after: float, chance: random.Random) -> str:
    """Kill a process of the session, or all, after some seconds: what was killed and how, "" if it has ended."""
    until = time.monotonic() + after
    while time.monotonic() < until:
        if process.poll() is not None:
            return ""
        time.sleep(0.02)
    which = chance.choice([signal.SIGTERM, signal.SIGKILL])
    wanted = chance.choice(["snakemake", "stage", "worker", "everything"])
    while process.poll() is None:  # a stage or a worker may not be there yet
        members = processes_of(process.pid)
        with contextlib.suppress(ProcessLookupError):
            if wanted == "everything":
                os.killpg(process.pid, which)
                return f"{wanted} {which.name}"
            if members[wanted]:
                os.kill(chance.choice(members[wanted]), which)
                return f"{wanted} {which.name}"
        if wanted != "snakemake" and time.monotonic() > until + 5:
            wanted = "stage" if wanted == "worker" else "snakemake"
        time.sleep(0.02)
    return ""


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
    """After Snakemake itself was killed: unlock as its message says. False if it says no such thing."""
    said = experiment.said()
    if "cannot be locked" not in said or "--unlock" not in said:
        return False
    code, said = experiment.finish("--unlock")
    if code != 0:
        outcome.lost.append(f"--unlock failed: {said[-300:]}")
    outcome.unlocked += 1
    return code == 0


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
