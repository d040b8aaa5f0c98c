"""Join clusters that are pieces of one smooth curve: a thin track that density alone breaks up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.grouping import label_limit
from spyral_core.compiled import kernel, part
from spyral_core.fitting.circle import fit_circle

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_END_POINTS = 40  # points of a piece that face the other one
_FEWEST = 5  # points of a piece with a direction
_CHARGE_RATIO = 4.0  # charges of neighbouring pieces of one track differ by less: dE/dx changes slowly
_BEAM_PADS = 20.0  # mm: radius of the pads that the point clouds leave out
_CLEAR_BEND = 3.0  # mm of sagitta that the pads' scatter does not make
_OVERLAP = 0.3  # share of the shorter piece that may lie beside the other one


@kernel
def smooth_join(points: Floats, charge: Floats, labels: Integers, max_gap: float, tolerance: float) -> Integers:
    """Labels (n,) after joining clusters of points (n, 3) [mm] with charges (n,) per pad area.

    Two clusters are joined if they come nearer than `max_gap` mm, not over the beam pads, and their facing ends lie,
    one after the other, on one helix: a circle across the beam and z linear in the path along it, both to `tolerance`
    mm (root mean square). The pair that fits best is joined first, and this is repeated until none is left: the order
    of clusters does not matter.
    """
    labels = labels.copy()
    n_labels = label_limit(labels)
    misfits = np.full((n_labels, n_labels), np.inf)
    for one in range(n_labels):
        for other in range(one):
            misfits[one, other] = misfit(points, charge, labels, one, other, max_gap)
    while n_labels > 1:
        best = np.argmin(misfits)
        one, other = best // n_labels, best % n_labels
        if not misfits[one, other] < tolerance:
            break
        labels[labels == one] = other
        misfits[one, :] = np.inf
        misfits[:, one] = np.inf
        for third in range(n_labels):
            if third not in (other, one) and (labels == third).any():
                high, low = max(other, third), min(other, third)
                misfits[high, low] = misfit(points, charge, labels, high, low, max_gap)
    return labels


@kernel
def misfit(points: Floats, charge: Floats, labels: Integers, one: int, other: int, max_gap: float) -> float:
    """How far [mm] the facing ends of two clusters deviate from one helix; inf if they cannot be one track."""
    first, second = np.flatnonzero(labels == one), np.flatnonzero(labels == other)
    if len(first) < _FEWEST or len(second) < _FEWEST:
        return math.inf
    at, opposite, gap = _nearest_pair(points, first, second)
    if gap > max_gap or _crosses_beam(points[at], points[opposite]):
        return math.inf
    first, second = _facing(points, first, at), _facing(points, second, opposite)
    ratio = np.median(charge[first]) / max(np.median(charge[second]), 1e-9)
    if not 1 / _CHARGE_RATIO < ratio < _CHARGE_RATIO:
        return math.inf
    deviation: float = _helix_misfit(points, first, second)
    return deviation


@kernel
def _nearest_pair(points: Floats, first: Integers, second: Integers) -> tuple[int, int, float]:
    """The nearest points of two clusters, and their distance [mm]."""
    best, at, opposite = math.inf, 0, 0
    for i in first:
        for j in second:
            square = 0.0
            for axis in range(3):
                square += (points[i, axis] - points[j, axis]) ** 2
            if square < best:
                best, at, opposite = square, i, j
    return at, opposite, math.sqrt(best)


@kernel
def _crosses_beam(one: Floats, other: Floats) -> bool:
    """Whether the way between two points leads over the beam pads: there two particles of one vertex part."""
    way_x, way_y = other[0] - one[0], other[1] - one[1]
    share = -(one[0] * way_x + one[1] * way_y) / max(way_x**2 + way_y**2, 1e-12)
    share = min(max(share, 0.0), 1.0)
    return bool(math.hypot(one[0] + share * way_x, one[1] + share * way_y) < _BEAM_PADS)


@kernel
def _facing(points: Floats, members: Integers, at: int) -> Integers:
    """The members nearest to one of them."""
    squares = np.empty(len(members))
    for k in range(len(members)):
        square = 0.0
        for axis in range(3):
            square += (points[members[k], axis] - points[at, axis]) ** 2
        squares[k] = square
    return members[np.argsort(squares, kind="mergesort")[:_END_POINTS]]


@part
def _helix_misfit(points: Floats, first: Integers, second: Integers) -> float:
    """The larger of the root mean square deviations [mm] from a circle, and from z linear in the path along it.

    inf if the pieces lie beside, not behind each other, curve to different sides, or turn by more than a half.
    """
    if _curve_apart(points, first, second):
        return math.inf
    both = np.concatenate((first, second))
    x, y, z = points[both, 0], points[both, 1], points[both, 2]
    center_x, center_y, radius = fit_circle(x, y)
    if not radius > 0.0:
        return math.inf
    across, path = np.empty(len(both)), np.empty(len(both))
    reference = math.atan2(np.mean(y) - center_y, np.mean(x) - center_x)
    for i in range(len(both)):
        across[i] = math.hypot(x[i] - center_x, y[i] - center_y) - radius
        turn = math.atan2(y[i] - center_y, x[i] - center_x) - reference
        path[i] = radius * (turn - 2 * math.pi * round(turn / (2 * math.pi)))
    if np.ptp(path) > math.pi * radius:
        return math.inf
    n_first = len(first)
    steep = np.ptp(z) > 3 * np.ptp(path)  # nearly along the beam: order and straightness show in z
    along, height = (z, path) if steep else (path, z)
    if _overlap(along[:n_first], along[n_first:]) > _OVERLAP:
        return math.inf
    centered = along - np.mean(along)
    slope = np.sum(centered * height) / max(np.sum(centered**2), 1e-12)
    left = height - np.mean(height) - slope * centered
    return max(math.sqrt(np.mean(across**2)), math.sqrt(np.mean(left**2)))


@kernel
def _curve_apart(points: Floats, first: Integers, second: Integers) -> bool:
    """Whether both pieces clearly curve, and to different sides of the way from the one to the other: two particles."""
    way_x = np.mean(points[second, 0]) - np.mean(points[first, 0])
    way_y = np.mean(points[second, 1]) - np.mean(points[first, 1])
    length = max(math.hypot(way_x, way_y), 1e-9)
    bends = np.zeros(2)
    for k, members in enumerate((first, second)):
        x, y = points[members, 0], points[members, 1]
        center_x, center_y, radius = fit_circle(x, y)
        chord = np.ptp((x * way_x + y * way_y) / length)
        side = way_x * (center_y - np.mean(y)) - way_y * (center_x - np.mean(x))
        bends[k] = math.copysign(min(chord, 2 * radius) ** 2 / (8 * radius), side) if radius > 0.0 else 0.0
    return bool(bends[0] * bends[1] < 0.0 and min(abs(bends[0]), abs(bends[1])) > _CLEAR_BEND)


@kernel
def _overlap(one: Floats, other: Floats) -> float:
    """The common part of two intervals as a share of the shorter."""
    common = min(np.max(one), np.max(other)) - max(np.min(one), np.min(other))
    return common / max(min(np.ptp(one), np.ptp(other)), 1e-9)
