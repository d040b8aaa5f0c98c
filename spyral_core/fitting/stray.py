"""Points of a cluster that stand alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]

NEIGHBOUR = 3
FAR = 4.0  # times the usual distance


@kernel
def near_others(points: Floats, scale: Floats) -> NDArray[np.int64]:
    """Indices, ascending, of the points (3, n) [mm] that have three others near.

    Near is four times the cluster's median distance to the third neighbour, all distances in units of the pad's linear
    size (n,). Where fewer than four fifths of the points would stay, all do: the track is then thinly covered.
    """
    n = points.shape[1]
    if n <= NEIGHBOUR:
        return np.arange(n)
    distance = np.empty(n)
    nearest = np.empty(NEIGHBOUR)
    for i in range(n):
        nearest[:] = np.inf
        for j in range(n):
            square = (
                (points[0, i] - points[0, j]) ** 2
                + (points[1, i] - points[1, j]) ** 2
                + (points[2, i] - points[2, j]) ** 2
            )
            if j != i and square < nearest[-1]:
                place = NEIGHBOUR - 1
                while place > 0 and nearest[place - 1] > square:
                    nearest[place] = nearest[place - 1]
                    place -= 1
                nearest[place] = square
        distance[i] = np.sqrt(nearest[-1]) / scale[i]
    near = np.flatnonzero(distance <= FAR * np.median(distance))
    if len(near) < 0.8 * n:
        return np.arange(n)
    return near
