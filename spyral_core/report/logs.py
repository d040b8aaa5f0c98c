"""What a job's log says about why it failed."""

from __future__ import annotations

import re
from pathlib import Path

from spyral_core.paths import run_token

_TAIL = 64 * 1024
_PROGRESS = re.compile(r"\d+ of \d+ events \(\d+%\)")
_TRACE = re.compile(r"^(Traceback |\s+File |\s{2,}|During handling|The above exception)")
_TELLING = re.compile(r"error|fault|killed|terminated|signal|out of memory|oom|cancelled|time limit|exceeded", re.I)
NO_LOG = "it was never started (the workflow stopped before, or is still running)"
SILENT = "its job ended without a message: perhaps killed, out of memory or over its time limit"


def log_file(results: Path, stage: str, run: int, gate: str | None = None) -> Path:
    """The log of a stage's job."""
    folder = results / "logs" / stage
    return (folder / gate if gate else folder) / f"run_{run_token(run)}.log"


def reason_in_log(path: Path) -> str:
    """The last words of a log that tell why the job ended; a sentence of our own if there are none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return NO_LOG
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines()]
    lines = [line for line in lines if line.strip() and not _PROGRESS.search(line) and not _TRACE.match(line)]
    if not lines:
        return SILENT
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines)[-1].strip()
