"""One stage over one run, given the folders: from names of products to files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from spyral_core import inputs, paths
from spyral_core.catalog import Stage
from spyral_core.errors import DataError


def run_job(
    stage: Stage,
    run: int,
    parameters: Mapping[str, Any],
    results: Path,
    traces: Path,
    gate: Path | None = None,
    workers: int = 1,
    chunk_events: int = 32,
) -> None:
    """Run a stage (not the report) over a run: its products under `results` to its products under `results`.

    Raises ConfigurationError and DataError.
    """
    sources = files_read(stage, run, parameters, results, traces, gate)
    if "traces" in sources:
        _check_traces(sources["traces"], parameters.get("truncated_traces") == "recover")
    gate_name = gate.stem if gate else None
    outputs = {role: paths.product(results, name, run, gate_name) for role, name in products(stage).items()}
    if stage.eventwise:
        from spyral_core.runner import run_stage

        run_stage(stage, run, dict(parameters), sources, outputs, workers, chunk_events)
    else:
        import_module(stage.module).run(stage, run, dict(parameters), sources, outputs, workers, chunk_events)


def files_read(
    stage: Stage, run: int, parameters: Mapping[str, Any], results: Path, traces: Path, gate: Path | None = None
) -> dict[str, Path]:
    """What a stage reads of a run, by the input's name. Raises ConfigurationError if a configured file is not there."""
    made = {
        name: paths.trace_file(traces, run) if name == "traces" else paths.product(results, name, run)
        for name in stage.inputs
    }
    return made | inputs.configured(stage, parameters, gate)


def _check_traces(path: Path, recover: bool) -> None:
    """DataError if a trace file is not whole (unless what is left shall be used), or holds no events.

    Neither is ever what was meant: an incomplete copy, a run that was never taken.
    """
    from spyral_core.traces.file import open_traces
    from spyral_core.traces.shortened import missing_bytes

    if not recover and (missing := missing_bytes(path)):
        raise DataError(
            f"{path}: is truncated: {missing} bytes at its end are missing: copy it again, or set "
            "`truncated_traces: recover` to use what is left"
        )
    with open_traces(path) as file:
        if not len(file.numbers):
            raise DataError(f"{path}: holds no events: leave the run out with `skip_runs`, or merge it again")


def products(stage: Stage) -> dict[str, str]:
    """What a stage writes of a run: role → name of `paths.PATTERNS`."""
    rejected = {"rejected": f"{stage.output}_rejected"} if stage.eventwise else {}
    return {"output": stage.output, **rejected, **{name: name for name in stage.extra}}
