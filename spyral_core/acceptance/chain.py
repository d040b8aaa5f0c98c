"""The simulated runs through the very stages that data go through; what is made already is left as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spyral_core import inputs, lineage, paths, runner, store
from spyral_core.acceptance import tracks
from spyral_core.acceptance.files import TRACKS, track_file
from spyral_core.acceptance.plan import Plan
from spyral_core.catalog import STAGES, Stage
from spyral_core.closure import closure_code
from spyral_core.config import canonical
from spyral_core.job import files_read, products, run_job

TO_ESTIMATES = ("simulate", "survey", "pointcloud", "cluster", "estimate")
WITH_GATE, WITHOUT_GATE = ("solve",), ("hypotheses", "species")


def stages_of(plan: Plan) -> list[Stage]:
    """The stages from the simulation to the fitted tracks."""
    return [STAGES[name] for name in (*TO_ESTIMATES, *(WITH_GATE if plan.gate else WITHOUT_GATE))]


def make(plan: Plan, folder: Path, workers: int) -> Iterator[Path]:
    """The table of tracks of each run, made by worker processes, a run at a time each.

    A run whose table was made by this code with these parameters is left as it is, and so is each product of a run that
    was not finished. Raises DataError and ConfigurationError as the stages do.
    """
    runs = list(range(1, plan.simulation.runs + 1))
    work = [run for run in runs if not _is_made(folder / track_file(run), made_by(plan, run))]
    of_a_run = max(1, workers // max(len(work), 1))
    yield from (folder / track_file(run) for run in runs if run not in work)
    yield from runner.ordered_map(_work, work, workers, _start, (plan, folder, of_a_run))


def made_by(plan: Plan, run: int) -> dict[str, Any]:
    """The lineage of a run's tracks: parameters, code and files of all stages, not the products in between."""
    stages = stages_of(plan)
    files: dict[str, Path] = {}
    parameters: dict[str, Any] = {}
    for stage in stages:
        chosen = parameters_of(plan, stage)
        files |= {f"{stage.name}: {name}": path for name, path in inputs.configured(stage, chosen).items()}
        parameters[stage.name] = lineage.file_names(stage, chosen)
    if plan.gate:
        files["gate"] = plan.gate
    own = {stage.name: parameters_of(plan, stage).get("phases", {}).get(stage.name) for stage in stages}
    return {
        "stage": "acceptance",
        "run": run,
        "parameters": parameters,
        "code": _code(*(lineage.fingerprint(stage, own[stage.name]) for stage in stages)),
        "versions": lineage.versions(),
        "inputs": {name: lineage.describe(path) for name, path in sorted(files.items())},
    }


def _code(*fingerprints: str) -> str:
    """A hash of the stages' fingerprints and of the code that puts their products together."""
    text = "\n".join([*fingerprints, closure_code("spyral_core.acceptance.tracks")])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def parameters_of(plan: Plan, stage: Stage) -> dict[str, Any]:
    """What the workflow would give a stage as `--parameters`."""
    chosen: dict[str, Any] = json.loads(canonical(plan.configuration, stage.parameters, stage.ignored))
    return chosen


def _is_made(path: Path, lineage_now: dict[str, Any]) -> bool:
    return path.is_file() and store.read_lineage(path) == lineage_now


_job: tuple[Plan, Path, int] | None = None


def _start(plan: Plan, folder: Path, workers: int) -> None:
    global _job  # noqa: PLW0603  (a worker process serves one map)
    _job = (plan, folder, workers)


def _work(run: int) -> Path:
    assert _job is not None
    plan, folder, workers = _job
    results = Path(plan.configuration.results)
    for stage in stages_of(plan):
        _run_stage(stage, run, plan, results, workers)
    path = folder / track_file(run)
    columns = tracks.table(plan, run, results)
    store.write_parquet(path, TRACKS, columns, made_by(plan, run))
    return path


def _run_stage(stage: Stage, run: int, plan: Plan, results: Path, workers: int) -> None:
    """A stage over a run, unless its product was made from what is there now."""
    parameters, gate = parameters_of(plan, stage), plan.gate if stage.name == "solve" else None
    traces = results / "traces"
    read = files_read(stage, run, parameters, results, traces, gate)
    wanted = lineage.build(stage, run, parameters, read)
    output = paths.product(results, products(stage)["output"], run, gate.stem if gate else None)
    if not _is_made(output, wanted):
        run_job(stage, run, parameters, results, traces, gate, workers, plan.configuration.running.chunk_events)
