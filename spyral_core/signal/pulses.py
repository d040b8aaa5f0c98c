"""Pulses of many traces at once: baseline, peaks, and what is measured of each."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.signal import baseline, peaks
from spyral_core.signal.restore import lateness, restore

GET_CEILING = 4090.0  # the 12-bit ADC ends at 4095; a few counts less for the noise of the converter
SATURATED_SAMPLES = 3
MAX_PAD_PULSES = 5
_NO_LIMIT = 1 << 30


class PulseSettings(NamedTuple):
    """How pulses are found; lengths in samples, heights in ADC.

    `relative_height` is where on its prominence, from the top, a peak's width is taken; a pulse of three samples or
    more at raw values from `ceiling` on is saturated; a trace with more than `max_pulses` gives none; `shaping` is τ of
    the GET response (`restore`).
    """

    baseline_window_scale: float
    separation: float
    prominence: float
    min_width: float
    max_width: float
    relative_height: float
    threshold: float
    ceiling: float
    max_pulses: int
    shaping: float


class Pulses(NamedTuple):
    """Pulses of some traces, in their order; all (n,)."""

    trace: NDArray[np.int64]
    """row of the trace"""
    time: NDArray[np.float64]
    """of the maximum [samples], between samples"""
    amplitude: NDArray[np.float64]
    """highest sample over the baseline [ADC]"""
    integral: NDArray[np.float64]
    """Σ|sample| from the floor of the left edge up to the ceiling of the right one [ADC]"""
    saturated: NDArray[np.int8]
    """1 if the pulse reached the end of the ADC's range"""


def pad_settings(get: SimpleNamespace) -> PulseSettings:
    """Of pads, from the section `get`."""
    return _settings(
        get,
        min_width=1.0,
        relative_height=0.95,
        ceiling=GET_CEILING,
        max_pulses=MAX_PAD_PULSES,
        shaping=float(get.shaping_time),
    )


def frib_settings(frib: SimpleNamespace) -> PulseSettings:
    """Of ion chamber and silicon in FRIBDAQ traces, from the section `frib`."""
    return _settings(frib, min_width=0.0, relative_height=0.85, ceiling=math.inf, max_pulses=_NO_LIMIT)


def legacy_settings(legacy_ic: SimpleNamespace) -> PulseSettings:
    """Of the ion chamber as a GET channel, from the section `legacy_ic`."""
    return _settings(legacy_ic, min_width=1.0, relative_height=0.8, ceiling=GET_CEILING, max_pulses=_NO_LIMIT)


def _settings(
    section: SimpleNamespace,
    min_width: float,
    relative_height: float,
    ceiling: float,
    max_pulses: int,
    shaping: float = 0.0,
) -> PulseSettings:
    return PulseSettings(
        baseline_window_scale=float(section.baseline_window_scale),
        separation=float(section.peak_separation),
        prominence=float(section.peak_prominence),
        min_width=min_width,
        max_width=float(section.peak_max_width),
        relative_height=relative_height,
        threshold=float(section.peak_threshold),
        ceiling=ceiling,
        max_pulses=max_pulses,
        shaping=shaping,
    )


@kernel
def _trace_pulses(
    trace: NDArray[np.int32],
    signal: NDArray[np.float64],
    settings: PulseSettings,
    candidates: NDArray[np.int64],
    out: NDArray[np.float64],
) -> int:
    """Pulses of one baseline-subtracted trace: time, amplitude, integral, saturated into rows of `out`; their number.

    `candidates` (3, n // 2 + 1) is scratch.
    """
    first, last, order = candidates[0], candidates[1], candidates[2]
    found = peaks.local_maxima(signal, settings.threshold, first, last)
    if found > 1:
        found = peaks.keep_distant(signal, first, last, order, found, settings.separation)
    n_pulses = 0
    for k in range(found):
        peak = (first[k] + last[k]) // 2
        height = peaks.prominence(signal, peak)
        if height < settings.prominence:
            continue
        level = signal[peak] - settings.relative_height * height
        left, right = peaks.edges(signal, peak, level)
        if not settings.min_width <= right - left <= settings.max_width:
            continue
        run_first, run_last = peaks.saturated_run(trace, peak, settings.ceiling)
        is_saturated = run_last - run_first + 1 >= SATURATED_SAMPLES
        if is_saturated:
            level = signal[(run_first + run_last) // 2]
            out[n_pulses, 1] = restore(signal, run_first, run_last)
            late = settings.shaping * lateness(level / out[n_pulses, 1])
            out[n_pulses, 0] = max(0.5 * (run_first + run_last) - late, float(run_first))
        else:
            out[n_pulses, 0], out[n_pulses, 1] = peaks.summit(signal, first[k], last[k]), signal[peak]
        integral = 0.0
        for i in range(math.floor(left), math.ceil(right)):
            integral += abs(signal[i])
        out[n_pulses, 2] = integral
        out[n_pulses, 3] = is_saturated
        n_pulses += 1
    return n_pulses


@kernel
def _block_pulses(
    block: NDArray[Any],
    start: int,
    rows: NDArray[np.int64],
    settings: PulseSettings,
    trace: NDArray[np.int32],
    sums: NDArray[Any],
    signal: NDArray[np.float64],
    candidates: NDArray[np.int64],
    row: NDArray[np.int64],
    out: NDArray[np.float64],
) -> int:
    """Pulses of the traces `block[rows, start:]` into `row` (their rows) and `out`; their number."""
    total = 0
    for r in rows:
        baseline.repair_ends(block[r, start:], trace)
        if baseline.spread(trace) < settings.threshold:
            continue
        baseline.subtract_baseline(trace, settings.baseline_window_scale, sums, signal)
        n_pulses = _trace_pulses(trace, signal, settings, candidates, out[total:])
        if n_pulses <= settings.max_pulses:
            row[total : total + n_pulses] = r
            total += n_pulses
    return total


def find_pulses(
    block: NDArray[Any], settings: PulseSettings, rows: NDArray[np.int64] | None = None, start: int = 0
) -> Pulses:
    """Pulses of the traces in the rows of an integer array.

    Args:
        block: (n, start + samples), integers of 32 bits at most; traces of under three samples have no pulse.
        settings: how pulses are found.
        rows: which rows to look at, in this order; all if None.
        start: column of the first sample.
    """
    chosen = np.arange(len(block)) if rows is None else np.asarray(rows, np.int64)
    n_samples = block.shape[1] - start
    if n_samples < 3 or not len(chosen):
        return Pulses(*(np.empty(0, kind) for kind in (np.int64, float, float, float, np.int8)))
    most = n_samples // 2 + 1
    # The last trace must fit in whole, even if it turns out to have too many pulses.
    size = len(chosen) * min(settings.max_pulses, most) + most
    row, out = np.empty(size, np.int64), np.empty((size, 4))
    candidates = np.empty((3, most), np.int64)
    number = _block_pulses(
        np.ascontiguousarray(block),
        start,
        chosen,
        settings,
        *baseline.scratch(block[:, start:], settings.baseline_window_scale),
        candidates,
        row,
        out,
    )
    time, amplitude, integral, saturated = out[:number].T
    return Pulses(row[:number].copy(), time.copy(), amplitude.copy(), integral.copy(), saturated.astype(np.int8))
