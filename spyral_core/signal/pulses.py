"""Pulses of many traces at once: baseline, peaks, and what is measured of each."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.signal import baseline, peaks
from spyral_core.signal.overlaps import MOST_ROWS, is_unusual, separate
from spyral_core.signal.response_table import response_table
from spyral_core.signal.restore import lateness, restore
from spyral_core.signal.summit import THREE_SAMPLES, Summit, summit_of, time_of_summit

GET_CEILING = 4090.0  # the 12-bit ADC ends at 4095; a few counts less for the noise of the converter
SATURATED_SAMPLES = 3
MAX_PAD_PULSES = 5
FOOT = 0.25  # of the threshold: lower than this a pulse is lost in the baseline's waves
MOST_SEPARATED = 8  # pulses of a trace that is a sum of responses: more are none
TIME_STEP, HEIGHT_STEP = 2.0**-20, 2.0**-10  # samples, ADC
_NO_LIMIT = 1 << 30


class PulseSettings(NamedTuple):
    """How pulses are found; lengths in samples, heights in ADC.

    `relative_height` is where on its prominence, from the top, a peak's width is taken; a pulse of three samples or
    more at raw values from `ceiling` on is saturated; a trace with more than `max_pulses` gives none; `shaping` is τ of
    the GET response (`restore`), `summit` how the time is found, and
    `takes_apart` whether overlapping and long pulses are (`overlaps`).
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
    summit: Summit
    takes_apart: bool


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
    pulse: NDArray[np.int64]
    """number of the pulse, from 0: slices of a long one share it"""


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
        summit=summit_of(shaping) if shaping > 0.0 else THREE_SAMPLES,
        takes_apart=shaping > 0.0,
    )


@kernel
def _trace_pulses(
    trace: NDArray[np.int32],
    signal: NDArray[np.float64],
    settings: PulseSettings,
    candidates: NDArray[np.int64],
    out: NDArray[np.float64],
) -> tuple[int, bool]:
    """Pulses of one baseline-subtracted trace: time, amplitude, integral, saturated, number into rows of `out` (n, 5).

    Their number, and whether there may be more to the trace than they tell (`overlaps`). `candidates` (3, n // 2 + 1)
    is scratch.
    """
    first, last, order = candidates[0], candidates[1], candidates[2]
    unusual = False
    found = peaks.local_maxima(signal, settings.threshold, first, last)
    if found > 1:
        every = found
        found = peaks.keep_distant(signal, first, last, order, found, settings.separation)
        for k in range(every - found):
            unusual = unusual or peaks.prominence(signal, order[k]) >= settings.prominence
    n_pulses = 0
    for k in range(found):
        peak = (first[k] + last[k]) // 2
        height = peaks.prominence(signal, peak)
        if height < settings.prominence:
            continue
        level = signal[peak] - settings.relative_height * height
        left, right = peaks.edges(signal, peak, level)
        if right - left > settings.max_width and settings.shaping > 0.0:
            # of a small pulse the level may lie in the slow waves of the baseline
            left, right = peaks.edges(signal, peak, max(level, FOOT * settings.threshold))
            unusual = unusual or right - left > settings.max_width
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
            out[n_pulses, 0] = time_of_summit(signal, first[k], last[k], settings.summit)
            out[n_pulses, 1] = signal[peak]
        integral = 0.0
        for i in range(math.floor(left), math.ceil(right)):
            integral += abs(signal[i])
        out[n_pulses, 2] = integral
        out[n_pulses, 3], out[n_pulses, 4] = is_saturated, n_pulses
        unusual = unusual or is_unusual(right - left, integral, out[n_pulses, 1], settings.shaping, settings.threshold)
        n_pulses += 1
    return n_pulses, unusual


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
    table: NDArray[np.float64],
    row: NDArray[np.int64],
    out: NDArray[np.float64],
) -> int:
    """Pulses of the traces `block[rows, start:]` into `row` (their rows) and `out`; how many rows, −1 without room."""
    total, numbers = 0, 0
    for r in rows:
        baseline.repair_ends(block[r, start:], trace)
        if baseline.spread(trace) < settings.threshold:
            continue
        baseline.subtract_baseline(trace, settings.baseline_window_scale, sums, signal)
        if out.shape[0] - total < candidates.shape[1] + MOST_ROWS:
            return -1
        n_pulses, unusual = _trace_pulses(trace, signal, settings, candidates, out[total:])
        n_rows, skipped = n_pulses, 0
        if unusual and settings.takes_apart and settings.shaping > 0.0:
            baseline.subtract_baseline(trace, settings.baseline_window_scale, sums, signal)
            rest = out[total + n_rows :]
            more, separated = separate(trace, signal, settings, SATURATED_SAMPLES, candidates, table, rest)
            if 0 < separated <= MOST_SEPARATED:
                n_rows, n_pulses, skipped = more, separated, n_rows
        if skipped == 0 and n_pulses > settings.max_pulses:
            continue
        for i in range(total, total + n_rows):
            row[i] = r
            for k in range(4):
                out[i, k] = out[i + skipped, k]
            out[i, 4] = out[i + skipped, 4] + numbers
        total += n_rows
        numbers += n_pulses
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
        return Pulses(*(np.empty(0, kind) for kind in (np.int64, float, float, float, np.int8, np.int64)))
    most = n_samples // 2 + 1
    scratch = baseline.scratch(block[:, start:], settings.baseline_window_scale)
    room, number = len(chosen), -1
    while number < 0:
        # The last trace must fit in whole, even if it turns out to have too many pulses.
        room *= 2
        row, out = np.empty(room + most + MOST_ROWS, np.int64), np.empty((room + most + MOST_ROWS, 5))
        number = _block_pulses(
            np.ascontiguousarray(block),
            start,
            chosen,
            settings,
            *scratch,
            np.empty((3, most), np.int64),
            response_table(),
            row,
            out,
        )
    time, amplitude, integral, saturated, pulse = out[:number].T
    return Pulses(
        row[:number].copy(),
        _stepwise(time, TIME_STEP),
        _stepwise(amplitude, HEIGHT_STEP),
        _stepwise(integral, HEIGHT_STEP),
        saturated.astype(np.int8),
        pulse.astype(np.int64),
    )


def _stepwise(values: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Values in whole steps, far below what is known of them: the last bits differ between types of processor."""
    return np.rint(values / step) * step
