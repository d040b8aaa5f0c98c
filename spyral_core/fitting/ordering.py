"""The order of a cluster's points along the particle's path.

No single rule is right for all tracks, so there are several: along z (steep tracks), by azimuth around the circle's
centre (flat tracks of less than a turn), by azimuth unwrapped along z (several turns), and from neighbour to neighbour
(flat tracks of several turns). The right one is a short way through all points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.circle import fit_circle

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

N_ORDERS = 4
_REMEMBERED = 7  # points whose mean azimuth predicts the next one's
_NEAR = 12.0  # mm; a point without a neighbour in this distance is no end of a track


@kernel
def path_orders(x: Floats, y: Floats, z: Floats) -> Integers:
    """Orders (N_ORDERS, n) of points (n,) [mm] along a helical track, the most likely one first.

    Each may run either way. Points in equal places keep their order.
    """
    n = len(x)
    orders = np.empty((N_ORDERS, n), np.int64)
    by_z = np.argsort(z, kind="mergesort")
    centre_x, centre_y, radius = fit_circle(x, y)
    if not np.isfinite(radius):
        centre_x, centre_y = np.mean(x), np.mean(y)
    azimuth = np.arctan2(y - centre_y, x - centre_x)
    orders[0] = by_z
    orders[1] = np.argsort(unwrapped_azimuth(azimuth, by_z), kind="mergesort")
    orders[2] = np.argsort(cut_azimuth(azimuth, 0), kind="mergesort")
    orders[3] = np.argsort(cut_azimuth(azimuth, 1), kind="mergesort")
    lengths = np.empty(N_ORDERS)
    for k in range(N_ORDERS):
        lengths[k] = tour_length(x, y, z, orders[k])
    return orders[np.argsort(lengths, kind="mergesort")]


@kernel
def tour_length(x: Floats, y: Floats, z: Floats, order: Integers) -> float:
    """Length [mm] of the way through the points in an order, the longest tenth of its steps left out."""
    steps = np.empty(len(order) - 1)
    for k in range(len(steps)):
        i, j = order[k], order[k + 1]
        steps[k] = np.sqrt((x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 + (z[j] - z[i]) ** 2)
    steps.sort()
    return np.sum(steps[: max(len(steps) - len(steps) // 10, 1)])


@kernel
def cut_azimuth(azimuth: Floats, rank: int) -> Floats:
    """Azimuths (n,) [rad] moved by 2π such that the cut is the largest gap between them (rank 0), or the next (1)."""
    ordered = np.sort(azimuth)
    gaps = np.empty(len(ordered))
    gaps[0] = ordered[0] + 2.0 * np.pi - ordered[-1]
    gaps[1:] = np.diff(ordered)
    cut = ordered[np.argsort(-gaps, kind="mergesort")[rank]]
    return np.where(azimuth < cut, azimuth + 2.0 * np.pi, azimuth)


@kernel
def unwrapped_azimuth(azimuth: Floats, order: Integers) -> Floats:
    """Azimuths (n,) [rad] made continuous along an order: each is put next to the mean of those before it."""
    unwrapped = np.empty(len(azimuth))
    for k in range(len(order)):
        first = max(k - _REMEMBERED, 0)
        expected = azimuth[order[k]]
        if k > 0:
            expected = 0.0
            for earlier in order[first:k]:
                expected += unwrapped[earlier]
            expected /= k - first
        value = azimuth[order[k]]
        unwrapped[order[k]] = value + 2.0 * np.pi * np.round((expected - value) / (2.0 * np.pi))
    return unwrapped


@kernel
def neighbour_order(x: Floats, y: Floats, z: Floats) -> Integers:
    """Order (n,) by the distance from one end of the track, measured along the points themselves.

    Distance is the least sum of squared hops from point to point, which prefers many small ones and so keeps to the
    track where other turns are near. The end is the point farthest from the one nearest to the beam axis.
    """
    near_axis, least = 0, np.inf
    for i in range(len(x)):
        square = x[i] ** 2 + y[i] ** 2
        if square < least and _has_neighbours(x, y, z, i):
            near_axis, least = i, square
    away = hop_distances(x, y, z, near_axis)
    end, most = near_axis, -1.0
    for i in range(len(x)):
        if away[i] > most and _has_neighbours(x, y, z, i):
            end, most = i, away[i]
    return np.argsort(hop_distances(x, y, z, end), kind="mergesort")


@kernel
def _has_neighbours(x: Floats, y: Floats, z: Floats, i: int) -> bool:
    """Whether two other points are near."""
    found = 0
    for j in range(len(x)):
        if j != i and (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 + (z[j] - z[i]) ** 2 < _NEAR * _NEAR:
            found += 1
            if found == 2:
                return True
    return False


@kernel
def hop_distances(x: Floats, y: Floats, z: Floats, source: int) -> Floats:
    """Least sums of squared hops (n,) [mm²] from one point to each (Dijkstra's algorithm on the complete graph)."""
    n = len(x)
    distance = np.full(n, np.inf)
    distance[source] = 0.0
    done = np.zeros(n, np.bool_)
    for _ in range(n):
        nearest, least = -1, np.inf
        for j in range(n):
            if not done[j] and distance[j] < least:
                nearest, least = j, distance[j]
        done[nearest] = True
        for j in range(n):
            if not done[j]:
                hop = (x[j] - x[nearest]) ** 2 + (y[j] - y[nearest]) ** 2 + (z[j] - z[nearest]) ** 2
                distance[j] = min(distance[j], least + hop)
    return distance
