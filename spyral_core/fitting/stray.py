"""Points of a cluster that stand alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]

FAR = 4.0  # times the usual distance


@kernel
def near_others(points: Floats, scale: Floats) -> NDArray[np.int64]:
    """Indices, ascending, of the points (3, n) [mm] that have three others near.

    Near is four times the cluster's median distance to the third neighbour, all distances in units of the pad's linear
    size (n,). Where fewer than four fifths of the points would stay, all do: the track is then thinly covered.
    """
    n = points.shape[1]
    if n <= 3:
        return np.arange(n)
    by_z = np.argsort(points[2], kind="mergesort")
    squares = third_squares(points[0, by_z], points[1, by_z], points[2, by_z])
    distance = np.empty(n)
    for place in range(n):
        distance[by_z[place]] = np.sqrt(squares[place]) / scale[by_z[place]]
    near = np.flatnonzero(distance <= FAR * np.median(distance))
    if len(near) < 0.8 * n:
        return np.arange(n)
    return near


@kernel
def third_squares(x: Floats, y: Floats, z: Floats) -> Floats:
    """Squared distance [mm²] (n,) of each point, in ascending order of z, to its third nearest other; inf for n < 4.

    Walks down and up along z until z alone is further. The three smallest are kept without a branch: what comes next
    cannot be foreseen.
    """
    third = np.empty(len(x))
    for i in range(len(x)):
        a, b, c = np.inf, np.inf, np.inf
        for sense in (-1, 1):
            other = i + sense
            while 0 <= other < len(x):
                gap = (z[other] - z[i]) ** 2
                if gap > c:
                    break
                square = (x[other] - x[i]) ** 2 + (y[other] - y[i]) ** 2 + gap
                a, square = min(a, square), max(a, square)
                b, square = min(b, square), max(b, square)
                c = min(c, square)
                other += sense
        third[i] = c
    return third
