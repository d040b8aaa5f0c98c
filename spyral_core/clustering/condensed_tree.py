"""The hierarchy of a cloud reduced to its clusters: pieces that are too small fall off, the rest splits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@kernel
def condense(
    left: Integers, right: Integers, sizes: Integers, length: Floats, min_size: int
) -> tuple[Integers, Floats, Floats, Integers, Floats]:
    """Condensed tree (Campello, Moulavi and Sander, PAKDD 2013, section 4) of a single-linkage hierarchy.

    All merges at one length happen at once, so that the clusters do not depend on the order of equal edges: a lattice
    of pads has many. `length` must be positive, `min_size` at least 2.

    Returns for each cluster, the root first and parents before children: its parent (−1 for the root), its birth (the
    density 1/length at which it splits off; 0 for the root) and its stability (their equation 3); and for each point
    the last cluster it is in and the density at which it falls off that.
    """
    n_points = len(length) + 1
    n_largest = 2 * (n_points // min_size) + 2
    parents, births, stabilities = np.full(n_largest, -1), np.zeros(n_largest), np.zeros(n_largest)
    last_cluster, fall_off = np.zeros(n_points, np.int64), np.zeros(n_points)
    waiting, of_cluster = np.empty(n_largest, np.int64), np.empty(n_largest, np.int64)
    stack, pieces = np.empty(n_points, np.int64), np.empty(n_points, np.int64)
    waiting[0], of_cluster[0], n_waiting, n_clusters = 2 * n_points - 2, 0, 1, 1
    while n_waiting > 0:
        n_waiting -= 1
        node, cluster = waiting[n_waiting], of_cluster[n_waiting]
        while node >= 0:
            density = 1.0 / length[node - n_points]
            n_pieces = _pieces(left, right, length, node, stack, pieces)
            n_large = np.sum(sizes[pieces[:n_pieces]] >= min_size)
            node = -1
            for piece in pieces[:n_pieces]:
                if sizes[piece] < min_size:
                    _fall_off(left, right, piece, cluster, density, stack, last_cluster, fall_off)
                elif n_large == 1:
                    node = piece
                    continue
                else:
                    parents[n_clusters], births[n_clusters] = cluster, density
                    waiting[n_waiting], of_cluster[n_waiting] = piece, n_clusters
                    n_waiting += 1
                    n_clusters += 1
                stabilities[cluster] += sizes[piece] * (density - births[cluster])
    return parents[:n_clusters], births[:n_clusters], stabilities[:n_clusters], last_cluster, fall_off


@kernel
def _pieces(left: Integers, right: Integers, length: Floats, node: int, stack: Integers, pieces: Integers) -> int:
    """Write into `pieces` what a node falls into when all edges of its length are cut; how many there are."""
    n_points = len(length) + 1
    cut = length[node - n_points]
    stack[0], n_stack, n_pieces = node, 1, 0
    while n_stack > 0:
        n_stack -= 1
        top = stack[n_stack]
        if top >= n_points and length[top - n_points] == cut:
            stack[n_stack], stack[n_stack + 1] = right[top - n_points], left[top - n_points]
            n_stack += 2
        else:
            pieces[n_pieces] = top
            n_pieces += 1
    return n_pieces


@kernel
def _fall_off(
    left: Integers,
    right: Integers,
    node: int,
    cluster: int,
    density: float,
    stack: Integers,
    last_cluster: Integers,
    fall_off: Floats,
) -> None:
    """Note of all points of a node that they leave a cluster at a density."""
    n_points = len(left) + 1
    stack[0], n_stack = node, 1
    while n_stack > 0:
        n_stack -= 1
        top = stack[n_stack]
        if top < n_points:
            last_cluster[top], fall_off[top] = cluster, density
        else:
            stack[n_stack], stack[n_stack + 1] = right[top - n_points], left[top - n_points]
            n_stack += 2
