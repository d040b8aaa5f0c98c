"""A user's own functions of one event that misbehave once, where a file `misbehave/<stage>_<run>` tells them how.

`hang`: wait longer than any test; a number: take so many megabytes. The file is renamed to `….seen` by the one that
obeys it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from spyral_core.phases.cluster import process as find_clusters
from spyral_core.phases.solve import process as fit_tracks


def cluster(event: Any, constants: Any) -> Any:
    _obey("cluster")
    return find_clusters(event, constants)


def solve(event: Any, constants: Any) -> Any:
    _obey("solve")
    return fit_tracks(event, constants)


def _obey(stage: str) -> None:
    run = int(sys.argv[sys.argv.index("--run") + 1])
    order = Path("misbehave") / f"{stage}_{run}"
    seen = order.with_suffix(".seen")
    try:
        order.rename(seen)
    except FileNotFoundError:
        return
    what = seen.read_text()
    if what != "hang":
        taken = [np.ones(12_500_000) for _ in range(0, int(what), 100)]
        print(f"{len(taken)} times 100 MB taken", file=sys.stderr, flush=True)
    time.sleep(900)
