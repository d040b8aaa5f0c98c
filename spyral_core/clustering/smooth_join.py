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
_RIM = 250.0  # mm from the beam axis: the pads end at 270, and the gas goes on
_BEAM_PADS = 20.0  # mm: radius of the pads that the point clouds leave out
_CLEAR_BEND = 3.0  # mm of sagitta that the pads' scatter does not make
_LARGEST_MISS = 0.6  # rad by which a turn may miss its continuation
_OVERLAP = 0.3  # share of the shorter piece that may lie beside the other one


@kernel
def smooth_join(points: Floats, charge: Floats, labels: Integers, max_gap: float, tolerance: float) -> Integers:
    """Labels (n,) after joining clusters of points (n, 3) [mm] with charges (n,) per pad area.

    Two clusters are joined if they come nearer than `max_gap` mm, not over the beam pads, and their facing ends lie,
    one after the other, on one helix: a circle across the beam and z linear in the path along it, both to `tolerance`
    mm (root mean square); or if the one, below the other, leads to it, as it also may from farther away past the rim of
    the pads. The nearest of such pairs is joined first, so
    that no piece in between is passed over, and this is repeated until none is left: the order of clusters does not
    matter.
    """
    labels = labels.copy()
    n_labels = label_limit(labels)
    gaps = np.full((n_labels, n_labels), np.inf)  # of pairs that fit
    for one in range(n_labels):
        for other in range(one):
            gaps[one, other] = fitting_gap(points, charge, labels, one, other, max_gap, tolerance)
    while n_labels > 1:
        best = np.argmin(gaps)
        one, other = best // n_labels, best % n_labels
        if not gaps[one, other] < np.inf:
            break
        labels[labels == one] = other
        gaps[one, :] = np.inf
        gaps[:, one] = np.inf
        for third in range(n_labels):
            if third not in (other, one) and (labels == third).any():
                high, low = max(other, third), min(other, third)
                gaps[high, low] = fitting_gap(points, charge, labels, high, low, max_gap, tolerance)
    return labels


@kernel
def fitting_gap(
    points: Floats, charge: Floats, labels: Integers, one: int, other: int, max_gap: float, tolerance: float
) -> float:
    """The distance [mm] of two clusters whose facing ends are on one helix; inf if they cannot be one track."""
    first, second = np.flatnonzero(labels == one), np.flatnonzero(labels == other)
    if len(first) < _FEWEST or len(second) < _FEWEST:
        return math.inf
    at, opposite, distance = _nearest_pair(points, first, second)
    gap = float(distance)
    if crosses_beam(points[at], points[opposite]):
        return math.inf
    for lower, upper in ((first, second), (second, first)):
        reached = gap <= max_gap or past_rim(points[lower[-1]], points[upper[0]])
        if reached and leads_to(points, charge, lower, upper, tolerance):
            return gap
    if gap > max_gap:
        return math.inf
    first, second = _facing(points, first, at), _facing(points, second, opposite)
    ratio = np.median(charge[first]) / max(np.median(charge[second]), 1e-9)
    if not 1 / _CHARGE_RATIO < ratio < _CHARGE_RATIO:
        return math.inf
    fits: bool = _helix_misfit(points, charge, first, second) < tolerance
    return gap if fits else math.inf


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
def crosses_beam(one: Floats, other: Floats) -> bool:
    """Whether the way between two points leads over the beam pads: there two particles of one vertex part."""
    way_x, way_y = other[0] - one[0], other[1] - one[1]
    share = -(one[0] * way_x + one[1] * way_y) / max(way_x**2 + way_y**2, 1e-12)
    share = min(max(share, 0.0), 1.0)
    return bool(math.hypot(one[0] + share * way_x, one[1] + share * way_y) < _BEAM_PADS)


@kernel
def past_rim(last: Floats, first: Floats) -> bool:
    """Whether a track seen last and again at two points may have been beyond the pads' rim between them."""
    return bool(min(math.hypot(last[0], last[1]), math.hypot(first[0], first[1])) > _RIM)


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


@kernel
def leads_to(points: Floats, charge: Floats, lower: Integers, upper: Integers, tolerance: float) -> bool:
    """Whether a cluster's upper end and the lower end of another above it are parts of one turn of a helix.

    They may be far apart, with other windings between them. They are so if they are on one circle to `tolerance` mm
    (root mean square, weighed by charge), and their azimuths about its centre grow with z at the mean of the rates of
    both ends; the way between the ends is less than half a turn.
    """
    last, first = points[lower[-1]], points[upper[0]]
    if not last[2] < first[2] or crosses_beam(last, first):
        return False
    lower, upper = lower[-_END_POINTS:], upper[:_END_POINTS]
    ratio = np.median(charge[lower]) / max(np.median(charge[upper]), 1e-9)
    if not 1 / _CHARGE_RATIO < ratio < _CHARGE_RATIO:
        return False
    both = np.concatenate((lower, upper))
    x, y, z = points[both, 0], points[both, 1], points[both, 2]
    center_x, center_y, radius = fit_circle(x, y)
    if not radius > 0.0:
        return False
    weight = weight_of(charge[both])
    if np.sum(weight * (np.hypot(x - center_x, y - center_y) - radius) ** 2) > tolerance**2 * np.sum(weight):
        return False
    azimuth = np.arctan2(y - center_y, x - center_x)
    n_lower = len(lower)
    below, above = _mean_and_rate(azimuth[:n_lower], z[:n_lower]), _mean_and_rate(azimuth[n_lower:], z[n_lower:])
    rate = 0.5 * (below[2] + above[2])
    between = rate * (first[2] - last[2])
    miss = above[0] - below[0] - rate * (above[1] - below[1])
    miss -= 2 * math.pi * round(miss / (2 * math.pi))
    return bool(below[2] * above[2] > 0.0 and abs(between) < math.pi and abs(miss) < _LARGEST_MISS)


@kernel
def _mean_and_rate(azimuth: Floats, z: Floats) -> tuple[float, float, float]:
    """Mean azimuth [rad] and z [mm] of points (n,) within half a turn, and their azimuth's growth with z [rad/mm]."""
    middle = math.atan2(np.mean(np.sin(azimuth)), np.mean(np.cos(azimuth)))
    turn = azimuth - middle
    turn -= 2 * math.pi * np.rint(turn / (2 * math.pi))
    mean = np.mean(z)
    rate = np.sum((z - mean) * turn) / max(np.sum((z - mean) ** 2), 1e-9)
    return float(middle + np.mean(turn)), float(mean), float(rate)


@part
def _helix_misfit(points: Floats, charge: Floats, first: Integers, second: Integers) -> float:
    """The larger of the root mean square deviations [mm] from a circle, and from a line on the cylinder above it.

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
    # order shows along the line through (path, z), straightness beside it
    u, v = path - np.mean(path), z - np.mean(z)
    angle = line_angle(u, v)
    along, beside = u * math.cos(angle) + v * math.sin(angle), v * math.cos(angle) - u * math.sin(angle)
    if _overlap(along[:n_first], along[n_first:]) > _OVERLAP:
        return math.inf
    weight = weight_of(charge[both])
    return math.sqrt(max(np.sum(weight * across**2), np.sum(weight * beside**2)) / np.sum(weight))


@part
def weight_of(charge: Floats) -> Floats:
    """How much points (n,) of these charges count: a pad with little of it is off the track."""
    return np.minimum(charge, 2.0 * np.median(charge))


@kernel
def line_angle(path: Floats, z: Floats) -> float:
    """The angle [rad] of the line through the origin that is nearest to points (n,), in squared distance."""
    pp, pz, zz = 0.0, 0.0, 0.0
    for k in range(len(path)):
        pp, pz, zz = pp + path[k] * path[k], pz + path[k] * z[k], zz + z[k] * z[k]
    return 0.5 * math.atan2(2.0 * pz, pp - zz)


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
