"""Widths and medians with their standard errors, and energy bands that are merged until these are small enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spyral_core.report.truth import median_and_width

Band = tuple[float, float]
EDGES = (0.0, 2.0, 4.0, 6.0, 10.0, 15.0, 100.0)  # MeV
FEWEST = 5  # tracks that tell a width
MEDIAN_OVER_MEAN = 1.253  # standard errors of a normal distribution's


def merged(bands: Sequence[Band], excess: Callable[[float, float], float]) -> list[Band]:
    """Neighbouring bands joined until `excess` (low, high) is at most 1 in each, or all are one.

    The worst band is joined first, with its worse neighbour. `excess` is the standard error over what it may be.
    """
    found = list(bands)
    while len(found) > 1:
        values = [excess(*band) for band in found]
        worst = int(np.argmax(values))
        if values[worst] <= 1.0:
            break
        beside = [place for place in (worst - 1, worst + 1) if 0 <= place < len(found)]
        first = min(worst, max(beside, key=lambda place: values[place]))
        found[first : first + 2] = [(found[first][0], found[first + 1][1])]
    return found


def all_bands(edges: Sequence[float] = EDGES) -> list[Band]:
    """The bands between edges."""
    return list(pairwise(edges))


def width(values: NDArray[np.float64]) -> tuple[float, float]:
    """Half of the central 68 % and its standard error, by 400 resamplings; inf where there are too few values."""
    if len(values) < FEWEST:
        return np.inf, np.inf
    samples = np.random.default_rng(1).choice(values, (400, len(values)))
    low, high = np.quantile(samples, [0.158655, 0.841345], axis=1)
    half = median_and_width(values)[1]
    assert half is not None
    return half, float(np.std((high - low) / 2))


def centre(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median and its standard error; inf where there are too few values."""
    if len(values) < FEWEST:
        return np.inf, np.inf
    median, half = median_and_width(values)
    assert median is not None
    assert half is not None
    return median, MEDIAN_OVER_MEAN * half / np.sqrt(len(values))
