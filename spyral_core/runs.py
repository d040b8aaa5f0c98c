"""Which runs to analyse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from spyral_core import paths
from spyral_core.errors import ConfigurationError

_MAX_RUN = 999_999


def parse(text: str) -> list[int]:
    """`"94-97, 99"` → [94, 95, 96, 97, 99], ascending, each once.

    Raises ConfigurationError if the text is anything but numbers and ascending ranges.
    """
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part, re.ASCII)
        if match is None:
            raise ConfigurationError(
                f"runs: {part.strip()!r} in {text!r} is neither a run number nor a range; write for example '94-97, 99'"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ConfigurationError(f"runs: the range {part.strip()!r} ends before it begins")
        if last > _MAX_RUN:
            raise ConfigurationError(f"runs: {part.strip()!r}: run numbers end at {_MAX_RUN}")
        found.update(range(first, last + 1))
    return sorted(found)


def select(text: str, skip: Iterable[int], simulated: int | None, folder: Path) -> tuple[list[int], list[int]]:
    """The runs to analyse, and those asked for that are not there.

    `simulated` is the number of simulated runs (then runs 1 … exist), or None for files in `folder`.

    Raises ConfigurationError if the text is malformed, the folder is not there or no run is left.
    """
    skipped = set(skip)
    wanted = [run for run in parse(text) if run not in skipped]
    if simulated is None and not folder.is_dir():
        raise ConfigurationError(f"traces: no such folder: {folder} (relative paths start at the working directory)")
    exists = [
        run <= simulated and run >= 1 if simulated is not None else paths.trace_file(folder, run).is_file()
        for run in wanted
    ]
    present = [run for run, there in zip(wanted, exists, strict=True) if there]
    missing = [run for run, there in zip(wanted, exists, strict=True) if not there]
    if not present:
        where = f"simulate.runs is {simulated}" if simulated is not None else f"{folder} has none of their files"
        raise ConfigurationError(f"runs: no run to analyse in {text!r} without skip_runs: {where}")
    return present, missing


def ranges(numbers: Sequence[int]) -> str:
    """[94, 95, 96, 99] → `"94-96, 99"`: the opposite of `parse`."""
    pieces: list[list[int]] = []
    for number in sorted(numbers):
        if pieces and number == pieces[-1][1] + 1:
            pieces[-1][1] = number
        else:
            pieces.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in pieces)
