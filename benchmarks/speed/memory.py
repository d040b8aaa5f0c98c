"""Memory of a process and of those that it started, while they run."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def proportional_set(process: int) -> float | None:
    """Memory of a process [MB], pages that it shares counted by its share (PSS); None if it has ended."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return None
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1000 if found else None


def children(process: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            direct = [int(number) for number in task.read_text().split()]
        except OSError:
            continue
        for child in direct:
            found += [child, *children(child)]
    return found


@contextmanager
def watched(process: int, every_seconds: float = 0.5) -> Iterator[dict[int, float]]:
    """The largest PSS [MB] of a process and of each below it, by process number; complete when the block ends."""
    largest: dict[int, float] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(every_seconds):
            for number in (process, *children(process)):
                now = proportional_set(number)
                if now is not None:
                    largest[number] = max(now, largest.get(number, 0.0))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield largest
    finally:
        over.set()
        thread.join()
