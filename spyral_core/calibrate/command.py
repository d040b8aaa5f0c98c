"""The command `calibrate`: tables of times and gains of pads from runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core import lineage, paths, store
from spyral_core.calibrate import output, pulser, tracks
from spyral_core.calibrate.found import Found
from spyral_core.closure import closure_code
from spyral_core.config import Configuration
from spyral_core.config.analysis import Solver
from spyral_core.detector import corrections, pads
from spyral_core.detector.pads import N_PADS, PadPlane
from spyral_core.errors import DataError
from spyral_core.runs import ranges
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.file import open_traces

Floats = NDArray[np.float64]
Inputs = dict[str, Path]

SOURCES = ("tracks", "pulser")
LEAST_FIELD = 1e3  # V/m
_OF_POINTCLOUD = ("time_correction", "gain_correction")


def calibrate(
    configuration: Configuration, runs: Sequence[int], traces: Path, folder: Path, source: str, min_hits: int
) -> list[str]:
    """Measure pads in some runs and write the tables to `folder`; returns lines that say what was found.

    `tracks` takes the clusters of the runs, and finds what is left over the tables that the configuration names;
    `pulser` takes the trace files in the folder `traces`. Raises DataError if these are not there or do not serve, and
    ConfigurationError if a table of the configuration is none.
    """
    tables = configuration.pads
    plane = pads.load(tables.geometry, tables.geometry_holds, tables.scale)
    if source == "tracks":
        in_use = (
            corrections.load_time_correction(tables.time_correction),
            corrections.load_gain_correction(tables.gain_correction),
        )
        inputs = _clusters(configuration, runs)
        found = _from_tracks(configuration, runs, plane, min_hits)
    else:
        in_use = (np.zeros(N_PADS), np.ones(N_PADS))
        inputs = {f"traces of run {run}": _existing(paths.trace_file(traces, run), run) for run in runs}
        readout = pulser.readout_of(
            SimpleNamespace(**configuration.get.model_dump()), tables.electronics, configuration.legacy_ic is not None
        )
        found = pulser.from_pulser(_events(list(inputs.values())), readout, plane, min_hits)
    title = f"{source}, runs {ranges(list(runs))}"
    output.write(folder, found, in_use, plane, title, _made_by(source, runs, inputs, min_hits))
    return [f"calibrate from {title}", *output.summary(found, plane), *_written(folder)]


def _written(folder: Path) -> list[str]:
    return [
        f"pads.time_correction: {folder / output.TIME_TABLE}",
        f"pads.gain_correction: {folder / output.GAIN_TABLE}",
        f"all numbers: {folder / output.NUMBERS}; map: {folder / output.MAP}",
    ]


def _events(files: Sequence[Path]) -> Iterator[TraceEvent]:
    for path in files:
        with open_traces(path) as file:
            yield from pulser.readable(file)


def _existing(path: Path, run: int) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: no such file: run {run} has to be there for this calibration")
    return path


def _clusters(configuration: Configuration, runs: Sequence[int]) -> Inputs:
    """Clusters and point clouds of the runs, made with the tables that the configuration names."""
    results, found = Path(configuration.results), Inputs()
    for run in runs:
        for name in ("cluster", "pointcloud"):
            found[f"{name} of run {run}"] = _existing(paths.product(results, name, run), run)
        cloud = paths.product(results, "pointcloud", run)
        made_from: Mapping[str, Any] = (store.read_lineage(cloud) or {}).get("inputs", {})
        for table in _OF_POINTCLOUD:
            file = getattr(configuration.pads, table)
            wanted = None if file is None else lineage.describe(Path(file))["sha256"]
            if made_from.get(table, {}).get("sha256") != wanted:
                raise DataError(
                    f"{cloud}: was not made with pads.{table} of the configuration ({file or 'none'}): what is found "
                    "comes on top of that table, so run the analysis with it first"
                )
    return found


def _from_tracks(configuration: Configuration, runs: Sequence[int], plane: PadPlane, min_hits: int) -> Found:
    detector, results = configuration.detector, Path(configuration.results)
    length = detector.detector_length
    mm_per_bucket = length / (detector.window_time_bucket - detector.micromegas_time_bucket)
    voltage = (configuration.solver or Solver(gas="none")).diffusion_voltage
    diffusion = 2.0 * voltage / max(abs(detector.electric_field), LEAST_FIELD) * 1e3
    hits = [
        tracks.read_hits(
            paths.product(results, "cluster", run), paths.product(results, "pointcloud", run), mm_per_bucket, length
        )
        for run in runs
    ]
    return tracks.from_tracks(tracks.together(hits), plane, diffusion, mm_per_bucket, min_hits)


def _made_by(source: str, runs: Sequence[int], inputs: Inputs, min_hits: int) -> dict[str, Any]:
    return {
        "stage": "calibrate",
        "run": ranges(list(runs)),
        "parameters": {"source": source, "min_hits": min_hits},
        "code": closure_digest(),
        "versions": lineage.versions(),
        "inputs": {name: lineage.describe(path) for name, path in sorted(inputs.items())},
    }


def closure_digest() -> str:
    """A hash of the code of this command."""
    import hashlib

    return hashlib.sha256(closure_code("spyral_core.calibrate.command").encode()).hexdigest()[:16]
