"""Points of a cluster that stand alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.neighbours import kth_squares
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
    by_z = np.argsort(points[2], kind="mergesort")
    squares = kth_squares(points[:, by_z].T, NEIGHBOUR)
    distance = np.empty(n)
    for place in range(n):
        distance[by_z[place]] = np.sqrt(squares[place]) / scale[by_z[place]]
    near = np.flatnonzero(distance <= FAR * np.median(distance))
    if len(near) < 0.8 * n:
        return np.arange(n)
    return near
