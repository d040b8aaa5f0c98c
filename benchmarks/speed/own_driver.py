"""This program's stages one at a time, on request: the counterpart of `spyral_driver.py`.

python own_driver.py SETTINGS.json
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speed import anatomy
from speed.plain_reading import read_all
from spyral_core import paths
from spyral_core.catalog import STAGES
from spyral_core.job import run_job

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def processor_time() -> float:
    """User and system time of this process and of its finished children [s]."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


def run(settings: dict[str, Any], phase: str, run: int, method: str = "leastsq", workers: int = 1) -> dict[str, Any]:
    """One stage over one run; its times and its output."""
    stage, results = STAGES[phase], Path(settings["results"])
    parameters = settings["parameters"][phase]
    gate = Path(settings["gate"]) if phase == "solve" else None
    if phase == "solve":
        parameters = {**parameters, "solver": {**parameters["solver"], "fit_method": method}}
    wall, processor = time.perf_counter(), processor_time()
    run_job(stage, run, parameters, results, Path(settings["traces"]), gate, workers, settings["chunk_events"])
    times = {"wall": time.perf_counter() - wall, "processor": processor_time() - processor}
    return times | {"output": str(paths.product(results, stage.output, run, gate.stem if gate else None))}


def dissect(settings: dict[str, Any], phase: str, run: int, clock: str) -> dict[str, Any]:
    """The parts of one stage's time over one run, as `anatomy.Anatomy` has them."""
    results, traces, gate = (Path(settings[key]) for key in ("results", "traces", "gate"))
    parameters = settings["parameters"][phase]
    return asdict(anatomy.one_stage(phase, run, results, traces, parameters, gate, CLOCKS[clock]))


def read(settings: dict[str, Any], run: int) -> dict[str, Any]:
    """Plain reading of a run's traces."""
    wall, processor = time.perf_counter(), processor_time()
    read_all(paths.trace_file(Path(settings["traces"]), run))
    return {"wall": time.perf_counter() - wall, "processor": processor_time() - processor}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    settings = json.loads(Path(sys.argv[1]).read_text())
    functions: dict[str, Callable[..., dict[str, Any]]] = {"run": run, "dissect": dissect, "read": read}
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(functions[request.pop("do")](settings, **request)), file=answers, flush=True)


if __name__ == "__main__":
    main()
