"""The order of a cluster's points along the particle's path.

No single rule is right for all tracks, so there are several: along z (steep tracks), by azimuth around the circle's
centre (flat tracks of less than a turn), by azimuth unwrapped along z (several turns), and inwards turn by turn (flat
tracks of several turns). The right one is a short way through all points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

N_ORDERS = 5
_REMEMBERED = 7  # points whose mean azimuth predicts the next one's
_SECTORS = 18
_LAP_GAP = 6.0  # mm; a larger step inwards parts two turns of a coil
_LAP_POINTS = 3  # fewer points are no turn


@kernel
def path_orders(x: Floats, y: Floats, z: Floats, centre_x: float, centre_y: float) -> Integers:
    """Orders (N_ORDERS, n) of points (n,) [mm] along a helical track, the most likely one first.

    The centre is that of the circle through all points. Each order may run either way. Points in equal places keep
    their order.
    """
    n = len(x)
    orders = np.empty((N_ORDERS, n), np.int64)
    by_z = np.argsort(z, kind="mergesort")
    azimuth = np.arctan2(y - centre_y, x - centre_x)
    by_turn = np.argsort(unwrapped_azimuth(azimuth, by_z), kind="mergesort")
    cut = cut_orders(azimuth)
    inwards = coil_order(x, y, centre_x, centre_y)
    for i in range(n):
        orders[0, i], orders[1, i], orders[2, i], orders[3, i], orders[4, i] = (
            by_z[i],
            by_turn[i],
            cut[0, i],
            cut[1, i],
            inwards[i],
        )
    lengths = np.empty(N_ORDERS)
    for k in range(N_ORDERS):
        lengths[k] = tour_length(x, y, z, orders[k])
    return orders[np.argsort(lengths, kind="mergesort")]


@kernel
def tour_length(x: Floats, y: Floats, z: Floats, order: Integers) -> float:
    """Length [mm] of the way through the points in an order."""
    length = 0.0
    for k in range(len(order) - 1):
        i, j = order[k], order[k + 1]
        length += np.sqrt((x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 + (z[j] - z[i]) ** 2)
    return length


@kernel
def cut_orders(azimuth: Floats) -> Integers:
    """Orders (2, n) by azimuth (n,) [rad] around the circle, from its largest gap on, and from the next one on."""
    around = np.argsort(azimuth, kind="mergesort")
    n = len(azimuth)
    gaps = np.empty(n)
    gaps[0] = azimuth[around[0]] + 2.0 * np.pi - azimuth[around[-1]]
    for i in range(1, n):
        gaps[i] = azimuth[around[i]] - azimuth[around[i - 1]]
    orders = np.empty((2, n), np.int64)
    for rank in range(2):
        cut = np.argmax(gaps)
        for i in range(n):
            orders[rank, i] = around[cut + i if cut + i < n else cut + i - n]
        gaps[cut] = -1.0
    return orders


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
def coil_order(x: Floats, y: Floats, centre_x: float, centre_y: float) -> Integers:
    """Order (n,) of the points of a flat coil around a centre [mm]: a particle that slows down spirals inwards.

    It comes from the beam axis and turns counter-clockwise. So in each sector around the centre, counted from the axis
    on, the outermost group of points belongs to the first turn, the next one inwards to the second, and so on.
    """
    azimuth = np.arctan2(y - centre_y, x - centre_x) - np.arctan2(-centre_y, -centre_x)
    azimuth = np.where(azimuth < 0.0, azimuth + 2.0 * np.pi, azimuth)
    radius = np.hypot(x - centre_x, y - centre_y)
    last, members, lap = np.empty(_SECTORS), np.zeros(_SECTORS, np.int64), np.zeros(_SECTORS, np.int64)
    turn = azimuth.copy()
    for i in np.argsort(-radius, kind="mergesort"):
        sector = min(int(azimuth[i] * (_SECTORS / (2.0 * np.pi))), _SECTORS - 1)
        if members[sector] > 0 and last[sector] - radius[i] > _LAP_GAP:
            lap[sector] += members[sector] >= _LAP_POINTS
            members[sector] = 0
        members[sector] += 1
        last[sector] = radius[i]
        turn[i] += 2.0 * np.pi * lap[sector]
    return np.argsort(turn, kind="mergesort")
