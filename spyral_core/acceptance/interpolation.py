"""The efficiency between the middles of the cells: linear in energy, angle and vertex."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def inside(edges: Sequence[Sequence[float]], points: Array) -> NDArray[np.bool_]:
    """Which points (n, axes) lie in the grid of cells with these edges."""
    within = [(axis[0] <= column) & (column <= axis[-1]) for axis, column in zip(edges, points.T, strict=True)]
    return np.asarray(np.logical_and.reduce(within))


def weights(edges: Sequence[Sequence[float]], points: Array, each: ArrayLike = 1.0) -> Array:
    """Weight of each cell, flat, in the sum over points (n, axes) of `each` (n,) times the efficiency there.

    Linear between the middles of the cells, the same as at the outermost middles beyond them. What a cell holds is its
    mean, which for a linear function is the value at its middle.
    """
    shape = tuple(len(axis) - 1 for axis in edges)
    found = np.zeros(int(np.prod(shape)))
    share = np.broadcast_to(np.asarray(each, dtype=np.float64), (len(points),))
    neighbours = [_neighbours(np.asarray(axis), column) for axis, column in zip(edges, points.T, strict=True)]
    for corner in product((0, 1), repeat=len(shape)):
        place = tuple(cell[side] for (cell, _), side in zip(neighbours, corner, strict=True))
        part = np.prod([weight[side] for (_, weight), side in zip(neighbours, corner, strict=True)], axis=0)
        found += np.bincount(np.ravel_multi_index(place, shape), part * share, len(found))
    return found


def _neighbours(edges: Array, values: Array) -> tuple[NDArray[np.int64], Array]:
    """Cells (2, n) whose middles are on both sides of the values, and their weights (2, n)."""
    middles = 0.5 * (edges[:-1] + edges[1:])
    upper = np.clip(np.searchsorted(middles, values), min(1, len(middles) - 1), len(middles) - 1)
    lower = np.maximum(upper - 1, 0)
    width = np.where(upper > lower, middles[upper] - middles[lower], 1.0)
    part = np.clip((values - middles[lower]) / width, 0.0, 1.0)
    return np.array([lower, upper]), np.array([1.0 - part, part])
