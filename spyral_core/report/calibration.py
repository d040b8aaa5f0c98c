"""What holds the drift and the pads together: its edges by run, and the tables of pads in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.detector import corrections
from spyral_core.detector.pads import PadPlane
from spyral_core.report.page import Grid, listing
from spyral_core.report.read import Run

EDGES = ("micromegas", "window")


def parts(runs: Sequence[Run], parameters: Mapping[str, Any], plane: PadPlane) -> list[Grid | str]:
    """The edges of the drift in each run that was surveyed, and the corrections of pads in use."""
    return [*_edges(runs), _tables(parameters["pads"], plane)]


def _edges(runs: Sequence[Run]) -> list[Grid | str]:
    rows = []
    for run in runs:
        drift = drift_of(run)
        if drift is None:
            continue
        velocity = drift["velocity"]
        cells = [
            cell for name in EDGES for cell in (_measured(drift[name], "time", 2), f"{drift[name]['configured']:g}")
        ]
        rows.append([str(run.number), *cells, _measured(velocity, "value", 3), f"{velocity['configured']:.3f}"])
    if not rows:
        return ["<p>No run has been surveyed for the edges of its drift.</p>"]
    heads = [("run", "run number")]
    for name, place in (("micromegas", "pad plane"), ("window", "window")):
        heads.append((f"{name} edge [TB]", f"where pulses from the {place} come, from the distribution of times"))
        heads.append((f"{name}_time_bucket [TB]", "as configured, and used"))
    heads += [
        ("drift velocity [mm/µs]", "from both edges"),
        ("configured [mm/µs]", "from the configured edges, and used"),
    ]
    return [Grid(heads, rows, caption="Edges of the drift by run. A dash: not seen.")]


def drift_of(run: Run) -> Mapping[str, Any] | None:
    """What the survey of a run says of its drift; None if it says nothing."""
    found: Mapping[str, Any] | None = run.facts.get("survey", {}).get("drift")
    return found


def _measured(found: Mapping[str, Any], name: str, digits: int) -> str:
    return "–" if found[name] is None else f"{found[name]:.{digits}f} ± {found['error']:.{digits}f}"


def differing(runs: Sequence[Run]) -> list[tuple[str, str, str]]:
    """A notice of the runs whose edges lie elsewhere than the configuration says."""
    lines = []
    for run in runs:
        drift = drift_of(run) or {}
        for name in EDGES:
            edge = drift.get(name)
            if edge and edge["differs"]:
                measured = escape(_measured(edge, "time", 2))
                lines.append(
                    f"run {run.number}: {name} edge at {measured} TB, detector.{name}_time_bucket is "
                    f"{edge['configured']:g}"
                )
    return [("warning", "The drift begins or ends elsewhere than configured", listing(lines))] if lines else []


def _tables(pads: Mapping[str, Any], plane: PadPlane) -> Grid | str:
    rows = []
    if pads["time_correction"] is not None:
        time = corrections.load_time_correction(pads["time_correction"])
        rows.append(_row("time_correction", pads["time_correction"], time, time != 0.0, plane, "TB"))
    if pads["gain_correction"] is not None:
        gain = corrections.load_gain_correction(pads["gain_correction"])
        rows.append(_row("gain_correction", pads["gain_correction"], gain, gain != 1.0, plane, ""))
    if not rows:
        return "<p>No corrections of single pads are in use (<code>calibrate</code> makes them).</p>"
    heads = [
        ("table", ""),
        ("file", ""),
        ("pads corrected", ""),
        ("spread, small pads", "standard deviation over the corrected pads"),
        ("spread, big pads", "standard deviation over the corrected pads"),
        ("from … to", "smallest and largest value"),
    ]
    return Grid(heads, rows, n_text=2, caption="Corrections of single pads in use")


def _row(
    name: str, file: str, values: NDArray[np.float64], corrected: NDArray[np.bool_], plane: PadPlane, unit: str
) -> list[str]:
    spreads = []
    for size in (0.5, 1.0):
        own = values[corrected & (plane.scale == size)]
        spreads.append(f"{own.std():.3g} {unit}".strip() if len(own) else "–")
    ends = f"{values.min():.3g} … {values.max():.3g} {unit}".strip()
    return [name, Path(file).name, f"{np.count_nonzero(corrected):,}", *spreads, ends]
