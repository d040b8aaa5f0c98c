"""Point clouds of damaged trace files, made in a process that is killed if it does not answer."""

from __future__ import annotations

import json
import selectors
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

WORKER = Path(__file__).with_name("worker.py")
PATIENCE = 60.0  # s; a file of these tests takes far less than one


@dataclass
class Answer:
    """How a trace file fared; see `worker.py`. `status` is `done`, `data error`, or what must not be."""

    status: str
    message: str = ""
    rejected: dict[str, str] | None = None
    counts: dict[str, int] | None = None
    clouds: dict[str, str] | None = None
    log: str = ""
    memory: int = 0

    @property
    def sound(self) -> bool:
        """Whether it ended as it may: with clouds, or with an error of one line that names the file."""
        if self.status == "data error":
            return "run_0001.h5" in self.message and "\n" not in self.message
        return self.status == "done"


class Guarded:
    """A context manager that makes point clouds in `folder`."""

    def __init__(self, folder: Path, survey: Path) -> None:
        self._folder, self._process = folder, None
        self.traces = folder / "traces/run_0001.h5"
        self.traces.parent.mkdir(parents=True)
        (folder / "survey").mkdir()
        shutil.copy2(survey, folder / "survey/run_0001.parquet")
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self, content: bytes | None = None) -> Answer:
        """Make the clouds of `traces`, after giving it a content."""
        if content is not None:
            self.traces.write_bytes(content)
        shutil.rmtree(self._folder / "pointcloud", ignore_errors=True)
        if self._process is None:
            command = [sys.executable, str(WORKER)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(str(self._folder)) + "\n")
        self._process.stdin.flush()
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            if not waiting.select(PATIENCE):
                self._stop()
                return Answer("hangs")
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._stop()
            return Answer(f"died with exit code {code}")
        values: dict[str, Any] = json.loads(line)
        return Answer(**values)

    def left(self) -> list[str]:
        """Names of the files that are there after a run."""
        found = self._folder / "pointcloud"
        return sorted(path.name for path in found.iterdir()) if found.is_dir() else []

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
