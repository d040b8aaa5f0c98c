"""Time and gain of pads from a pulser on the mesh: all pads fire at one time, those of a size with one charge."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from spyral_core.calibrate.found import Found, Quantity
from spyral_core.calibrate.relative import relative
from spyral_core.calibrate.robust import PadMeans, pad_means, spread_by_kind
from spyral_core.detector import electronics
from spyral_core.detector.pads import N_PADS, PadPlane
from spyral_core.errors import DataError, RejectedEventError
from spyral_core.signal.ion_chamber import LEGACY_COBO
from spyral_core.signal.pad_pulses import Readout, find_pad_pulses
from spyral_core.signal.pulses import pad_settings
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.file import TraceFile

Floats = NDArray[np.float64]

LEAST_FIRED = 0.5  # share of the pads that are read out, in an event of the pulser
SAME_TIME = 10.0  # TB around the event's median


def readout_of(get: SimpleNamespace, electronics_map: str | None, legacy: bool) -> Readout:
    """All pads: the pulser reaches those around the beam, too."""
    return Readout(
        settings=pad_settings(get),
        used=np.ones(N_PADS, np.bool_),
        electronics=None if electronics_map is None else electronics.load_electronics(electronics_map),
        skip_cobo=LEGACY_COBO if legacy else -1,
    )


def readable(file: TraceFile) -> Iterable[TraceEvent]:
    """The events of a file that can be read."""
    for index in range(len(file.numbers)):
        try:
            yield file.read(index)
        except RejectedEventError:
            continue  # the point cloud stage reports it


def pulses_of(event: TraceEvent, readout: Readout, plane: PadPlane) -> tuple[NDArray[np.int64], Floats, Floats] | None:
    """Pads of an event of the pulser, their times against the event's [TB] and charges over its; None of another one.

    The event's time is the median of all pads, its charge that of the pads of a size. Saturated pulses are left out;
    of several pulses of a pad the highest at the event's time counts.
    """
    found = find_pad_pulses(event.pads, readout)
    pad, pulses = found.pad, found.pulses
    if len(np.unique(pad)) < LEAST_FIRED * found.n_traces or not len(pad):
        return None
    highest = np.zeros(len(pad), np.bool_)
    order = np.lexsort((-pulses.amplitude, pad))
    highest[order[np.concatenate([[True], np.diff(pad[order]) > 0])]] = True
    at = float(np.median(pulses.time[highest]))
    near = np.abs(pulses.time - at) < SAME_TIME
    if len(np.unique(pad[near])) < LEAST_FIRED * found.n_traces:
        return None
    order = order[near[order]]
    chosen = order[np.concatenate([[True], np.diff(pad[order]) > 0])]
    chosen = chosen[pulses.saturated[chosen] == 0]
    charge = pulses.integral[chosen].copy()
    for size in np.unique(plane.scale[pad[chosen]]):
        own = plane.scale[pad[chosen]] == size
        charge[own] /= np.median(charge[own])
    return pad[chosen], pulses.time[chosen] - at, charge


def from_pulser(events: Iterable[TraceEvent], readout: Readout, plane: PadPlane, min_hits: int) -> Found:
    """Times and gains of the pads; those with fewer than `min_hits` pulses are left at 0 and 1.

    Raises DataError if there is no event in which most pads fire together.
    """
    found = [hits for event in events if (hits := pulses_of(event, readout, plane)) is not None]
    if not found:
        raise DataError(
            f"no event in which {LEAST_FIRED:.0%} of the pads that were read out fire within {SAME_TIME:g} TB of each "
            "other: these are no pulser runs; `--source tracks` takes physics runs"
        )
    pad, late, charge = (np.concatenate(parts) for parts in zip(*found, strict=True))
    times, gains = _means(pad, late, plane), _means(pad, charge, plane)
    known = (times.hits >= min_hits) & (gains.mean > 0.0)
    gain = np.exp(relative(np.log(np.where(known, gains.mean, 1.0)), known, plane.scale))
    return Found(
        time=Quantity(relative(times.mean, known, plane.scale), times.error, times.hits, known),
        gain=Quantity(gain, gains.error, gains.hits, known),
    )


def _means(pad: NDArray[np.int64], values: Floats, plane: PadPlane) -> PadMeans:
    """The pads' means; a pulse's error is the spread around its pad's mean of all pulses of its size of pads."""
    start = pad_means(pad, values, np.ones(len(pad)), N_PADS)
    return pad_means(pad, values, spread_by_kind(values - start.mean[pad], plane.scale[pad]), N_PADS)
