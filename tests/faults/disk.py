"""A full disk, a folder that cannot be written, inputs that vanish or are replaced while they are read.

Each function says what went wrong; an empty list is what is wanted. Those that need to mount raise `NotPermitted` where
that is not allowed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate

MEMORY = "tmpfs"
SLOW = """
import time

from spyral_core.phases import pointcloud


def process(event, constants):
    time.sleep(0.4)  # for the file to be changed
    return pointcloud.process(event, constants)
"""


class NotPermitted(Exception):
    """Mounting a small file system takes rights that this process has not."""


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", MEMORY, "-o", options, MEMORY, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotPermitted(str(error)) from None
    if done.returncode != 0:
        raise NotPermitted(done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def parameters_of(stage: str, gas: Path | None = None) -> str:
    """The stage's parameters as one text."""
    origin: dict[str, Any] = {"traces": "traces"}
    if stage == "simulate":
        origin = {"simulate": {"seed": 3, "runs": 1, "events": 8, "gas": str(gas)}}
    configuration = validate({**origin, "max_rejected_share": 1})
    return canonical(configuration, STAGES[stage].parameters, STAGES[stage].ignored)


def command(stage: str, results: Path, traces: Path, gas: Path | None = None, threads: int = 1) -> list[str]:
    """A stage of run 1 as one command."""
    return [
        *(sys.executable, "-m", "spyral_core", stage, "--run", "1", "--threads", str(threads), "--chunk-events", "2"),
        *("--results", str(results), "--traces", str(traces), "--parameters", parameters_of(stage, gas)),
    ]


def failures_of(done: subprocess.CompletedProcess[str], says: tuple[str, ...], left: list[str]) -> list[str]:
    """What is wrong with how a command failed: it must say why in a line, with exit code 1, and leave nothing."""
    lost = []
    if done.returncode != 1:
        lost.append(f"exit code {done.returncode}: {done.stderr[-300:]}")
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if "Traceback" in done.stderr or not any(word in last.lower() for word in says):
        lost.append(f"says {done.stderr[-300:]!r}")
    if left:
        lost.append(f"left {left}")
    return lost


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def full_disk(traces: Path, survey: Path, folder: Path, kilobytes: int, stage: str, threads: int = 1) -> list[str]:
    """A stage onto a disk of some kilobytes, which are too few."""
    with mounted(folder / "disk", f"size={kilobytes}k") as disk:
        for name in ("survey", "pointcloud"):
            (disk / name).mkdir()
        shutil.copy2(survey, disk / "survey/run_0001.parquet")
        given = files_in(disk)
        gas = folder / "gas.json"
        gas.write_text(json.dumps({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}))
        done = _run(command(stage, disk, traces if stage != "simulate" else disk / "traces", gas, threads))
        return failures_of(
            done, ("no space", "full", "written"), [name for name in files_in(disk) if name not in given]
        )


def read_only(traces: Path, survey: Path, folder: Path, threads: int = 1) -> list[str]:
    """The point clouds into a file system that is read-only."""
    with mounted(folder / "locked", "size=4m") as disk:
        (disk / "survey").mkdir()
        shutil.copy2(survey, disk / "survey/run_0001.parquet")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = _run(command("pointcloud", disk, traces, threads=threads))
        return failures_of(done, ("read-only", "permission"), files_in(disk / "pointcloud"))


def not_permitted(traces: Path, survey: Path, folder: Path) -> list[str]:
    """The point clouds into a place where a file stands instead of a folder: for any user, root too."""
    results = folder / "blocked"
    (results / "survey").mkdir(parents=True)
    shutil.copy2(survey, results / "survey/run_0001.parquet")
    (results / "pointcloud").write_text("")
    done = _run(command("pointcloud", results, traces))
    return failures_of(done, ("exists", "not a directory"), [])


def changed_while_read(traces: Path, survey: Path, folder: Path, how: str, threads: int = 1) -> list[str]:
    """The trace file is replaced, rewritten in place, cut off or removed while the point clouds are made."""
    results, own = folder / "results", folder / "traces"
    (results / "survey").mkdir(parents=True)
    own.mkdir()
    shutil.copy2(survey, results / "survey/run_0001.parquet")
    file = own / "run_0001.h5"
    shutil.copy2(traces / "run_0001.h5", file)
    (folder / "slow.py").write_text(SLOW)
    arguments = command("pointcloud", results, own, threads=threads)
    arguments[-1] = arguments[-1].replace('"phases":{"pointcloud":null}', '"phases":{"pointcloud":"slow:process"}')
    environment = os.environ | {"PYTHONPATH": str(folder)}
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder)
    temporary = results / "pointcloud/.run_0001.h5.part"
    while not temporary.exists() and process.poll() is None:  # it has opened its input
        time.sleep(0.005)
    time.sleep(0.5)
    if how == "replaced":
        shutil.copy(traces / "run_0001.h5", own / "new.h5")
        (own / "new.h5").replace(file)
    elif how == "rewritten":
        with file.open("r+b") as opened:
            opened.write(b"\x89HDF")
    elif how == "cut off":
        os.truncate(file, file.stat().st_size // 2)
    else:
        file.unlink()
    alarm = threading.Timer(120, process.kill)
    alarm.start()
    said = process.communicate()[1]
    alarm.cancel()
    done = subprocess.CompletedProcess(process.args, process.returncode, "", said)
    return failures_of(
        done,
        ("while it was read", "cannot be", "no such file", "is damaged", "cut off"),
        files_in(results / "pointcloud"),
    )


def _run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=300)
