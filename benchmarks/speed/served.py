"""A program that answers requests: one JSON object a line, each way. So it is started and compiled once, and warm."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from speed.machine import one_thread
from speed.sample import parameters
from spyral_core.config import Configuration


class Served:
    """A process that is asked by lines on its standard input; what it says besides goes to a log.

    It runs in the folder of the benchmarks. Use as a context manager. `ask` raises RuntimeError with the end of the log
    if the process has died.
    """

    def __init__(self, command: Sequence[str | Path], log: Path, core: int | None = None) -> None:
        self._command, self._log_path, self._core = [str(part) for part in command], log, core

    def __enter__(self) -> Self:
        self._log = self._log_path.open("a")
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=one_thread(),
            cwd=Path(__file__).parents[1],
        )
        if self._core is not None:
            os.sched_setaffinity(self._process.pid, {self._core})
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._log.flush()
            end = "\n".join(self._log_path.read_text(errors="replace").splitlines()[-15:])
            program = " ".join(self._command[1:3])
            raise RuntimeError(f"{program} gave no answer to {request}; the end of {self._log_path}:\n{end}")
        return dict(json.loads(line))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


def own_program(
    folder: Path, configured: Configuration, core: int | None = None, traces: Path | None = None, name: str = "own"
) -> Served:
    """This program's stages as a served process; traces by default in `folder/traces`, products in `folder/<name>`."""
    settings = folder / f"{name}.json"
    stages = ("survey", "pointcloud", "cluster", "estimate", "solve")
    settings.write_text(
        json.dumps(
            {
                "results": str(folder / name),
                "traces": str(traces or folder / "traces"),
                "gate": str(folder / "deuterons.json"),
                "chunk_events": configured.running.chunk_events,
                "parameters": {stage: parameters(configured, stage) for stage in stages},
            }
        )
    )
    log = folder / f"{name}.log"
    log.unlink(missing_ok=True)
    return Served([sys.executable, "-m", "speed.own_driver", settings], log, core)
