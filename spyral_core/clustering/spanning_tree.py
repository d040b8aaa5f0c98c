"""Minimum spanning tree of a cloud under the mutual reachability distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@kernel
def spanning_tree(points: Floats, core: Floats) -> tuple[Integers, Integers, Floats]:
    """The n − 1 edges (ends, ends, squared length [mm²]) of the tree over points (n, 3), by Prim's algorithm in O(n²).

    The squared mutual reachability of two points is the largest of their squared distance and their squared core
    distances `core` (n,) (Campello, Moulavi and Sander, PAKDD 2013, definition 3).
    """
    n_points = len(points)
    n_edges = max(n_points - 1, 0)
    inside, outside, length = np.empty(n_edges, np.int64), np.empty(n_edges, np.int64), np.empty(n_edges)
    # what is not yet in the tree, packed at the front
    x, y, z, dense = points[:, 0].copy(), points[:, 1].copy(), points[:, 2].copy(), core.copy()
    number, nearest, reach = np.arange(n_points), np.zeros(n_points, np.int64), np.full(n_points, np.inf)
    taken = 0
    for edge in range(n_edges):
        left = n_points - 1 - edge
        here_x, here_y, here_z, here_core, here = x[taken], y[taken], z[taken], dense[taken], number[taken]
        for column in (x, y, z, dense, reach):
            column[taken] = column[left]
        for column in (number, nearest):
            column[taken] = column[left]
        for other in range(left):  # selects instead of branches: the compiler makes vectors of it
            square = (x[other] - here_x) ** 2 + (y[other] - here_y) ** 2 + (z[other] - here_z) ** 2
            square = max(square, here_core, dense[other])
            nearer = square < reach[other]
            reach[other] = square if nearer else reach[other]
            nearest[other] = here if nearer else nearest[other]
        taken = first_of_smallest(reach[:left])
        inside[edge], outside[edge], length[edge] = nearest[taken], number[taken], reach[taken]
    return inside, outside, length


@kernel
def first_of_smallest(values: Floats) -> int:
    """Place of the first of the smallest values ≥ 0, as `numpy.argmin`.

    Values that are not negative have the order of their bits as integers, of which the compiler finds the smallest
    with vectors.
    """
    bits = values.view(np.int64)
    least = bits[0]
    for place in range(len(bits)):
        least = min(least, bits[place])
    place = 0
    while bits[place] != least:
        place += 1
    return place
