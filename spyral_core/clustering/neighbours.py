"""The nearest neighbours of each point in a cloud that is sorted along z."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_EQUAL = 1.0 + 1e-9  # squared distances within this factor are equal
_ASKED = 8  # points before a point from which a bound of its distances is taken


@kernel
def kth_squares(points: Floats, k: int) -> Floats:
    """Squared distance [mm²] (n,) of each point (n, 3), sorted by the last column, to its k-th nearest other.

    For a small k, 1 ≤ k < n. Walks down and up along z until z alone is further than what was found.
    """
    n_points = len(points)
    x, y, z = points[:, 0].copy(), points[:, 1].copy(), points[:, 2].copy()
    kth, nearest = np.empty(n_points), np.empty(k)
    for index in range(n_points):
        nearest[:] = np.inf
        for sense in (-1, 1):
            other = index + sense
            while 0 <= other < n_points:
                gap = (z[other] - z[index]) ** 2
                if gap > nearest[k - 1]:
                    break
                square = (x[other] - x[index]) ** 2 + (y[other] - y[index]) ** 2 + gap
                if square < nearest[k - 1]:
                    place = k - 1
                    while place > 0 and nearest[place - 1] > square:
                        nearest[place] = nearest[place - 1]
                        place -= 1
                    nearest[place] = square
                other += sense
        kth[index] = nearest[k - 1]
    return kth


@kernel
def neighbourhoods(points: Floats, k: int) -> tuple[Floats, Integers, Integers, Floats]:
    """All other points that are as near to a point (n, 3), sorted by the last column, as its k-th nearest.

    Ties count in, so that a lattice of pads needs no arbitrary choice. Needs 1 ≤ k < n.

    Returns the squared distance [mm²] to the k-th nearest (n,); where each point's neighbours begin (n + 1,); and
    these, one point after the other, with their squared distances.
    """
    n_points = len(points)
    x, y, z = points[:, 0].copy(), points[:, 1].copy(), points[:, 2].copy()
    kth, begins = np.empty(n_points), np.zeros(n_points + 1, np.int64)
    members, squares = np.empty(n_points * (k + 2), np.int64), np.empty(n_points * (k + 2))
    near, near_squares, mixed = np.empty(n_points, np.int64), np.empty(n_points), np.empty(n_points)
    for index in range(n_points):
        n_near = _within(x, y, z, index, _bound(x, y, z, index, kth), near, near_squares)
        mixed[:n_near] = near_squares[:n_near]
        kth[index] = kth_smallest(mixed[:n_near], k)
        last = begins[index]
        if last + n_near > len(members):
            members, squares = _longer(members, n_points), _longer(squares, n_points)
        for place in range(n_near):
            members[last], squares[last] = near[place], near_squares[place]
            last += near_squares[place] <= kth[index] * _EQUAL
        begins[index + 1] = last
    return kth, begins, members[: begins[-1]], squares[: begins[-1]]


@kernel
def _bound(x: Floats, y: Floats, z: Floats, index: int, kth: Floats) -> float:
    """A squared distance that the k-th nearest of a point does not exceed, from those of points before it.

    The ball around a point that holds another one with its k nearest holds k others at least.
    """
    bound = math.inf
    for other in range(max(index - _ASKED, 0), index):
        square = (x[other] - x[index]) ** 2 + (y[other] - y[index]) ** 2 + (z[other] - z[index]) ** 2
        bound = min(bound, math.sqrt(square) + math.sqrt(kth[other]))
    return bound * bound * _EQUAL


@kernel
def _within(x: Floats, y: Floats, z: Floats, index: int, bound: float, near: Integers, squares: Floats) -> int:
    """Write the other points within a squared distance, and their squared distances; how many there are."""
    n_near = 0
    for sense in (-1, 1):
        other = index + sense
        while 0 <= other < len(z):
            gap = (z[other] - z[index]) ** 2
            if gap > bound:
                break
            square = (x[other] - x[index]) ** 2 + (y[other] - y[index]) ** 2 + gap
            near[n_near], squares[n_near] = other, square
            n_near += square <= bound
            other += sense
    return n_near


@kernel
def kth_smallest(values: Floats, k: int) -> float:
    """The k-th smallest of at least k values, which it moves about (Hoare, Comm. ACM 4 (1961) 321)."""
    first, last = 0, len(values) - 1
    while first < last:
        pivot, low, high = values[(first + last) // 2], first, last
        while low <= high:
            while values[low] < pivot:
                low += 1
            while values[high] > pivot:
                high -= 1
            if low <= high:
                values[low], values[high] = values[high], values[low]
                low, high = low + 1, high - 1
        if high < k - 1 < low:
            break
        first, last = (first, high) if k - 1 <= high else (low, last)
    value: float = values[k - 1]
    return value


@kernel
def _longer(values, more):  # type: ignore[no-untyped-def]
    """The same values with room for as many again, and `more`."""
    longer = np.empty(2 * len(values) + more, values.dtype)
    longer[: len(values)] = values
    return longer
