"""Makes point clouds of one trace file after another, in a process that may be killed. Run as a script.

Each line of input is a folder with `traces/run_0001.h5` and `survey/run_0001.parquet`; each answer is a line of
JSON: how it ended, what was rejected, the counts, and a digest of each event's cloud.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import resource
import sys
from pathlib import Path
from typing import Any

MEMORY_LIMIT = 6 << 30


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    from spyral_core.catalog import STAGES
    from spyral_core.config import canonical, validate
    from spyral_core.errors import DataError
    from spyral_core.job import run_job

    stage = STAGES["pointcloud"]
    configuration = validate({"traces": "traces", "max_rejected_share": 1, "truncated_traces": "recover"})
    parameters = json.loads(canonical(configuration, stage.parameters, stage.ignored))
    for line in sys.stdin:
        folder = Path(json.loads(line))
        answer: dict[str, Any] = {"status": "done", "message": "", "rejected": {}, "counts": {}, "clouds": {}}
        log = io.StringIO()
        try:
            with contextlib.redirect_stderr(log):
                run_job(stage, 1, parameters, folder, folder / "traces")
            answer |= read(folder)
        except DataError as error:
            answer |= {"status": "data error", "message": str(error)}
        except BaseException as error:
            answer |= {"status": f"{type(error).__name__} escaped", "message": str(error)}
        answer["log"] = log.getvalue()
        answer["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # MB
        print(json.dumps(answer), flush=True)


def read(folder: Path) -> dict[str, Any]:
    """The products, and an event's row and points as one digest."""
    from spyral_core import store

    clouds = {}
    with store.TableReader(folder / "pointcloud/run_0001.h5") as reader:
        events, points = reader.read("events"), reader.read("points")
        counts = reader.counts
    for row, number in enumerate(events["event"].tolist()):
        first, n_points = int(events["first_point"][row]), int(events["n_points"][row])
        digest = hashlib.sha256(repr([events[name][row].item() for name in events if name != "first_point"]).encode())
        for name in sorted(points):
            digest.update(points[name][first : first + n_points].tobytes())
        clouds[str(number)] = digest.hexdigest()[:16]
    refused = store.read_parquet(folder / "pointcloud/run_0001_rejected.parquet")
    rejected = {str(event): reason for event, reason in refused.select("event", "reason").iter_rows()}
    return {"counts": counts, "clouds": clouds, "rejected": rejected}


if __name__ == "__main__":
    main()
