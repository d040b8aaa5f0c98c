"""Where the drift begins and ends: the edges of the distribution of the pads' pulse times.

Charge from the pad plane comes first, charge from the window last; nothing but noise comes before and behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAR = 15  # TB on either side that an edge is looked for and fitted in
SILENT_START, SILENT_END = 3, 14  # TB of the record in which pulses are hardly found
LEAST_SIDE = 4  # TB of record that must lie beyond an edge
LEAST_RISE = 3.0  # times the level beyond
LEAST_SIGNIFICANCE = 6.0
WIDEST = 6.0  # TB, σ: a gentler rise is no edge of the drift
LEAST_ERROR, LARGEST_ERROR = 0.1, 3.0  # TB
FEWEST_EVENTS = 50
GROUPS = 20  # of events, for the error
MIDDLE, WIDTH = 3, 4  # of what is fitted


@dataclass(frozen=True)
class Edge:
    """An edge of the distribution of times: its middle, the middle's standard error, its width σ [TB]."""

    time: float
    error: float
    width: float


def micromegas_edge(event: NDArray[np.int64], time: Floats, n_samples: int) -> Edge | None:
    """The edge at which pulses begin; None if there is none to be seen.

    `event`, `time` [TB] (n,): pulses of sound pads. What is counted are events with a pulse in a time bucket, for the
    pulses of a track come in hundreds; the error is that of the jackknife over groups of events, or of their number.
    """
    return _first_edge(event, time, SILENT_START, n_samples - SILENT_END)


def window_edge(event: NDArray[np.int64], time: Floats, n_samples: int) -> Edge | None:
    """The edge at which pulses end, as `micromegas_edge`; None where the record ends before."""
    found = _first_edge(event, n_samples - time, SILENT_END, n_samples - SILENT_START)
    return None if found is None else Edge(n_samples - found.time, found.error, found.width)


def _first_edge(event: NDArray[np.int64], time: Floats, first: int, last: int) -> Edge | None:
    counts = _events_by_bucket(event, time, first, last)
    if len(counts) < FEWEST_EVENTS:
        return None
    total = counts.sum(axis=0)
    start = _steepest(total)
    if start is None:
        return None
    found = _fitted(total, start)
    if found is None:
        return None
    groups = [counts[k::GROUPS].sum(axis=0) for k in range(GROUPS)]
    without = [_fitted(total - group, start, found) for group in groups]
    middles = np.array([fit[MIDDLE] for fit in without if fit is not None])
    if len(middles) < GROUPS:
        return None
    jackknife = float(np.sqrt((GROUPS - 1) / GROUPS * np.sum((middles - middles.mean()) ** 2)))
    level = max(float(total[start : start + NEAR].mean()), 1.0)
    # Counting alone, and the width of a bucket: fits of few events, or of sharp edges, may stand still.
    error = max(jackknife, np.sqrt(found[WIDTH] / level), LEAST_ERROR)
    if error > LARGEST_ERROR:
        return None
    return Edge(round(first + float(found[MIDDLE]), 4), round(float(error), 4), round(float(found[WIDTH]), 4))


def _events_by_bucket(event: NDArray[np.int64], time: Floats, first: int, last: int) -> NDArray[np.int64]:
    """Whether each event has a pulse in each time bucket: (events, last − first)."""
    names, number = np.unique(event, return_inverse=True)
    bucket = np.floor(time).astype(np.int64) - first
    inside = (bucket >= 0) & (bucket < last - first)
    counts = np.zeros((len(names), last - first), np.int64)
    counts[number[inside], bucket[inside]] = 1
    return counts


def _steepest(counts: NDArray[np.int64]) -> int | None:
    """The bucket before which there are far fewer counts than behind, and nowhere many; None if there is none."""
    sums = np.concatenate([[0], np.cumsum(counts)])
    best, place = LEAST_SIGNIFICANCE, None
    for at in range(LEAST_SIDE, len(counts) - NEAR):
        begin = max(at - NEAR, 0)
        before, behind = (sums[at] - sums[begin]) / (at - begin), (sums[at + NEAR] - sums[at]) / NEAR
        significance = (behind - before) / np.sqrt(
            (before + 1.0 / (at - begin)) / (at - begin) + (behind + 1e-9) / NEAR
        )
        if significance > best and behind > LEAST_RISE * max(before, sums[at] / at):
            best, place = float(significance), at
    return place


def _fitted(counts: NDArray[np.int64], start: int, guess: Floats | None = None) -> Floats | None:
    """Noise + (level + slope·t)·Φ((t − middle)/σ) that is likeliest for Poisson counts; None if that is no edge.

    Gives noise, level, slope (of the level behind `start`, slope over `NEAR` buckets), middle, σ. `guess`: the same of
    nearly the same counts.
    """
    from scipy.optimize import least_squares  # 0.3 s to load: a run without edges can do without

    begin, end = max(start - NEAR, 0), min(start + NEAR, len(counts))
    at, seen = np.arange(begin, end) + 0.5, counts[begin:end].astype(np.float64)
    level = max(float(seen[at > start].mean()), 1.0)
    if guess is None:
        noise = min(max(float(seen[at < start - 2].mean()) / level if (at < start - 2).any() else 0.0, 0.0), 0.9)
        guess = np.array([noise, 1.0 - noise, 0.0, float(start), 1.0])
    times, share = (at - start).astype(np.float64), (seen / level).astype(np.float64)
    from_start = np.array([0.0, 0.0, 0.0, start, 0.0])
    fit = least_squares(
        lambda p: residuals(p, times, share, level),
        guess - from_start,
        jac=lambda p: slopes(p, times, share, level),
        bounds=([0.0, 0.0, -5.0, begin - start - 1.0, 0.2], [2.0, 5.0, 5.0, end - start, 2.0 * WIDEST]),
    )
    found: Floats = fit.x + from_start
    inside = begin + 1.0 < found[MIDDLE] < end - 3.0
    return found if fit.success and inside and found[WIDTH] < WIDEST else None


def edge(p: Floats, at: Floats) -> tuple[Floats, Floats, Floats]:
    """What an edge of parameters `p` lets expect at times `at` (n,), held over zero; level there and distance [σ]."""
    from scipy.special import ndtr

    distance = (at - p[MIDDLE]) / p[WIDTH]
    level = p[1] + p[2] * at / NEAR
    return np.maximum(p[0] + level * ndtr(distance), 1e-6), level, distance


def residuals(p: Floats, at: Floats, seen: Floats, level: float) -> Floats:
    """Signed roots of the Poisson deviances; all (n,), `seen` in units of `level` counts."""
    expected, _, _ = edge(p, at)
    return np.asarray(np.sign(seen - expected) * np.sqrt(level * _deviance(expected, seen)))


def slopes(p: Floats, at: Floats, seen: Floats, level: float) -> Floats:
    """Derivatives of `residuals`: (n, 5)."""
    from scipy.special import ndtr

    expected, height, distance = edge(p, at)
    root = np.sqrt(_deviance(expected, seen))
    near = root < 1e-6  # where seen and expected are the same
    by_expected = np.where(
        near, -1.0 / np.sqrt(expected), np.sign(seen - expected) * (1.0 - seen / expected) / np.where(near, 1.0, root)
    )
    share, density = ndtr(distance), np.exp(-0.5 * distance**2) / np.sqrt(2.0 * np.pi)
    by_middle = -height * density / p[WIDTH]
    by = np.stack([np.ones_like(at), share, at / NEAR * share, by_middle, by_middle * distance], axis=1)
    return np.asarray(np.sqrt(level) * np.where(expected > 1e-6, by_expected, 0.0)[:, None] * by)


def _deviance(expected: Floats, seen: Floats) -> Floats:
    ratio = np.where(seen > 0.0, seen, 1.0) / expected
    return np.asarray(np.maximum(2.0 * (expected - seen + seen * np.log(ratio)), 0.0))
