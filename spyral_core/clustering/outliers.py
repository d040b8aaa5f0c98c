"""Points that are lonelier than their neighbours: the local outlier factor.

Breunig, Kriegel, Ng and Sander, Proc. ACM SIGMOD 2000, 93.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.neighbours import neighbourhoods
from spyral_core.compiled import kernel

Floats = NDArray[np.float64]

OUTLIER_FACTOR = 1.5
_TINY = 1e-10  # mm; keeps the density of coinciding points finite


@kernel
def local_outlier_factors(points: Floats, n_neighbours: int) -> Floats:
    """Local outlier factor (n,) of points (n, 3), sorted by the last column: near 1 inside, larger outside.

    The neighbourhood of a point holds all points as near as its `n_neighbours`-th (definition 4 of the paper). Needs
    1 ≤ n_neighbours < n.
    """
    kth, begins, members, squares = neighbourhoods(points, n_neighbours)
    density, factors = np.empty(len(points)), np.empty(len(points))
    for index in range(len(points)):
        reach = 0.0
        for place in range(begins[index], begins[index + 1]):
            reach += np.sqrt(max(squares[place], kth[members[place]]))
        density[index] = 1.0 / (reach / (begins[index + 1] - begins[index]) + _TINY)
    for index in range(len(points)):
        around = 0.0
        for place in range(begins[index], begins[index + 1]):
            around += density[members[place]]
        factors[index] = around / (begins[index + 1] - begins[index]) / density[index]
    return factors


@kernel
def inliers(points: Floats, n_neighbours: int) -> NDArray[np.bool_]:
    """Which points (n, 3), sorted by the last column, are no outliers: their factor is at most 1.5.

    With fewer than three points, none is judged.
    """
    if len(points) < 3:
        return np.ones(len(points), np.bool_)
    factors: Floats = local_outlier_factors(points, max(min(n_neighbours, len(points) - 1), 1))
    return factors <= OUTLIER_FACTOR
