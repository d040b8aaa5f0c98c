"""Means of each pad's hits that a few wrong hits do not move, and the spread of hits of one kind."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HUBER = 1.345  # σ: 95 % efficiency for normal errors (Huber, Robust Statistics)
EFFICIENCY = 0.95
ROUNDS = 12
MAD = 1.4826  # σ over the median of |deviations|, for normal errors
FEWEST_OF_KIND = 50


class PadMeans(NamedTuple):
    """Of each pad (n_pads,): mean of its hits, its standard error (infinite without hits), number of hits."""

    mean: Floats
    error: Floats
    hits: NDArray[np.int64]


def spread(values: Floats) -> float:
    """Robust standard deviation; 0 of no values."""
    return float(MAD * np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def spread_by_kind(values: Floats, *kinds: Floats, parts: int = 5) -> Floats:
    """Standard deviation of each value (n,), taken as the robust spread of the values of its kind.

    Each of `kinds` (n,) is cut at its quantiles into `parts`, and the kinds are all combinations. A kind with too few
    values has the spread of all.
    """
    cell = np.zeros(len(values), np.int64)
    for kind in kinds:
        edges = np.quantile(kind, np.linspace(0.0, 1.0, parts + 1)[1:-1]) if len(kind) else np.empty(0)
        cell = cell * parts + np.searchsorted(edges, kind)
    sigma = np.full(len(values), spread(values))
    order = np.argsort(cell, kind="stable")
    ends = np.searchsorted(cell[order], np.arange(parts ** len(kinds) + 1))
    for first, last in pairwise(ends):
        if last - first >= FEWEST_OF_KIND:
            sigma[order[first:last]] = spread(values[order[first:last]])
    return np.asarray(np.maximum(sigma, 1e-9))


def pad_means(pad: NDArray[np.int64], values: Floats, sigma: Floats, n_pads: int) -> PadMeans:
    """Huber's mean of each pad's values, from its median on.

    `pad`, `values`, `sigma` (n,): pads of the hits, what was measured, and its standard deviation.
    """
    hits = np.bincount(pad, minlength=n_pads)
    weight = 1.0 / sigma**2
    total = np.bincount(pad, weight, minlength=n_pads)
    mean = _medians(pad, values, hits)
    for _ in range(ROUNDS):
        distance = np.abs(values - mean[pad]) / sigma
        counted = weight * np.minimum(1.0, HUBER / np.maximum(distance, 1e-12))
        sums = np.bincount(pad, counted, minlength=n_pads)
        mean = np.divide(np.bincount(pad, counted * values, minlength=n_pads), sums, out=mean, where=sums > 0.0)
    with np.errstate(divide="ignore"):
        error = 1.0 / np.sqrt(EFFICIENCY * total)
    return PadMeans(mean, error, hits)


def _medians(pad: NDArray[np.int64], values: Floats, hits: NDArray[np.int64]) -> Floats:
    """Median of each pad's values, 0 without any."""
    ordered = np.append(values[np.lexsort((values, pad))], 0.0)
    first = np.cumsum(hits) - hits
    low, high = first + np.maximum(hits - 1, 0) // 2, first + hits // 2
    return np.where(hits > 0, 0.5 * (ordered[low] + ordered[high]), 0.0)
