"""What the survey says of the drift: its edges in time, the velocity that follows, what the configuration says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.detector.drift import drift_velocity
from spyral_core.signal.drift_edges import Edge, micromegas_edge, window_edge
from spyral_core.signal.faulty_pads import Hits
from spyral_core.traces.event import SAMPLES

DIFFERENT, LEAST_DIFFERENCE = 3.0, 1.0  # standard errors; TB


def examine(hits: Hits, sound: NDArray[np.bool_], detector: SimpleNamespace) -> dict[str, Any]:
    """The edges that pulses of sound pads (10240,) show, beside the configured ones, as JSON can hold them.

    `micromegas`, `window`: time, error, width and configured [TB], `differs`; time, error and width are null where no
    edge is seen. `velocity`: value, error [mm/µs], null unless both are seen; configured.
    """
    used = sound[hits.pad]
    event, time = hits.event[used], hits.time[used]
    first, last = micromegas_edge(event, time, SAMPLES), window_edge(event, time, SAMPLES)
    configured = (detector.micromegas_time_bucket, detector.window_time_bucket)
    return {
        "micromegas": _edge(first, configured[0]),
        "window": _edge(last, configured[1]),
        "velocity": _velocity(first, last, configured, detector),
    }


def _edge(edge: Edge | None, configured: float) -> dict[str, Any]:
    seen = {name: None if edge is None else getattr(edge, name) for name in ("time", "error", "width")}
    return {**seen, "configured": configured, "differs": edge is not None and differs(edge, configured)}


def differs(edge: Edge, configured: float) -> bool:
    """Whether an edge lies elsewhere than the configuration says: by over three errors and over one time bucket."""
    return abs(edge.time - configured) > max(DIFFERENT * edge.error, LEAST_DIFFERENCE)


def _velocity(
    first: Edge | None, last: Edge | None, configured: tuple[float, float], detector: SimpleNamespace
) -> dict[str, Any]:
    length, frequency = detector.detector_length, detector.get_frequency
    found: dict[str, Any] = {"value": None, "error": None}
    if first is not None and last is not None and last.time > first.time:
        value = drift_velocity(first.time, last.time, length, frequency)
        error = value * math.hypot(first.error, last.error) / (last.time - first.time)
        found = {"value": round(value, 5), "error": round(error, 5)}
    return {**found, "configured": round(drift_velocity(*configured, length, frequency), 5)}


def notes(found: Mapping[str, Any]) -> list[str]:
    """What the log should say: the edges, and where they differ from the configuration."""
    lines = []
    for name in ("micromegas", "window"):
        edge = found[name]
        if edge["time"] is None:
            lines.append(f"{name} edge: not seen")
            continue
        text = f"{name} edge: {edge['time']:.2f} ± {edge['error']:.2f} TB"
        if edge["differs"]:
            text += (
                f", but detector.{name}_time_bucket is {edge['configured']:g}: check it (the analysis takes the "
                "configured one)"
            )
        lines.append(text)
    velocity = found["velocity"]
    if velocity["value"] is not None:
        lines.append(f"drift velocity: {velocity['value']:.3f} ± {velocity['error']:.3f} mm/µs")
    return lines
