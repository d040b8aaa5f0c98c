"""Single-linkage hierarchy from the edges of a spanning tree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@kernel
def top_of(parents: Integers, node: int) -> int:
    """The topmost ancestor of a node, where a node without one is its own parent; shortens the way for later calls."""
    top = node
    while parents[top] != top:
        top = parents[top]
    while parents[node] != top:
        parents[node], node = top, parents[node]
    return top


@kernel
def single_linkage(first: Integers, second: Integers, length: Floats) -> tuple[Integers, Integers, Integers]:
    """Merge points along edges (n − 1,), which must come in ascending `length`.

    Node i < n is a point, node n + i is made by edge i. Returns the two children of each made node and the number of
    points in every node (2n − 1,).
    """
    n_edges = len(length)
    n_points = n_edges + 1
    parents = np.arange(n_points + n_edges)
    sizes = np.ones(n_points + n_edges, np.int64)
    left, right = np.empty(n_edges, np.int64), np.empty(n_edges, np.int64)
    for edge in range(n_edges):
        left[edge], right[edge] = top_of(parents, first[edge]), top_of(parents, second[edge])
        made = n_points + edge
        sizes[made] = sizes[left[edge]] + sizes[right[edge]]
        parents[left[edge]] = parents[right[edge]] = made
    return left, right, sizes
