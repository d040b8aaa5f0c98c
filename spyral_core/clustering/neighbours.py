"""The nearest neighbours of each point in a cloud that is sorted along z."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_EQUAL = 1.0 + 1e-9  # squared distances within this factor are equal


@kernel
def neighbourhoods(points: Floats, k: int) -> tuple[Floats, Integers, Integers, Floats]:
    """All other points that are as near to a point (n, 3), sorted by the last column, as its k-th nearest.

    Ties count in, so that a lattice of pads needs no arbitrary choice. Needs 1 ≤ k < n. Walks outwards along z and
    stops where z alone is further than what was found.

    Returns the squared distance [mm²] to the k-th nearest (n,); where each point's neighbours begin (n + 1,); and
    these, one point after the other, with their squared distances.
    """
    n_points = len(points)
    kth, begins = np.empty(n_points), np.zeros(n_points + 1, np.int64)
    members, squares = np.empty(n_points * (k + 2), np.int64), np.empty(n_points * (k + 2))
    candidates, candidate_squares = np.empty(n_points, np.int64), np.empty(n_points)
    nearest = np.empty(k)  # a heap, the furthest on top
    for index in range(n_points):
        nearest[:] = np.inf
        n_candidates, n_members = 0, begins[index]
        below, above = index - 1, index + 1
        x, y, z = points[index, 0], points[index, 1], points[index, 2]
        while below >= 0 or above < n_points:
            gap_below = z - points[below, 2] if below >= 0 else np.inf
            gap_above = points[above, 2] - z if above < n_points else np.inf
            if gap_below <= gap_above:
                other, gap, below = below, gap_below, below - 1
            else:
                other, gap, above = above, gap_above, above + 1
            if gap * gap > nearest[0] * _EQUAL:
                break
            square = (points[other, 0] - x) ** 2 + (points[other, 1] - y) ** 2 + gap * gap
            if square <= nearest[0] * _EQUAL:
                candidates[n_candidates], candidate_squares[n_candidates] = other, square
                n_candidates += 1
                if square < nearest[0]:
                    _replace_top(nearest, square)
        kth[index] = nearest[0]
        if n_members + n_candidates > len(members):
            members, squares = _longer(members, n_points), _longer(squares, n_points)
        for candidate in range(n_candidates):
            if candidate_squares[candidate] <= nearest[0] * _EQUAL:
                members[n_members], squares[n_members] = candidates[candidate], candidate_squares[candidate]
                n_members += 1
        begins[index + 1] = n_members
    return kth, begins, members[: begins[-1]], squares[: begins[-1]]


@kernel
def _replace_top(heap: Floats, value: float) -> None:
    """Put a smaller value in the place of a heap's largest."""
    place, child = 0, 1
    while child < len(heap):
        if child + 1 < len(heap) and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[place] = heap[child]
        place, child = child, 2 * child + 1
    heap[place] = value


@kernel
def _longer(values, more):  # type: ignore[no-untyped-def]
    """The same values with room for as many again, and `more`."""
    longer = np.empty(2 * len(values) + more, values.dtype)
    longer[: len(values)] = values
    return longer
