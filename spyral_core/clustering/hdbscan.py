"""Density-based clustering with a hierarchy: HDBSCAN.

Campello, Moulavi and Sander, PAKDD 2013, LNCS 7819, 160; the selection threshold is that of Malzer and Baum,
IEEE MFI 2020, 223. The whole cloud may be one cluster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.condensed_tree import condense
from spyral_core.clustering.linkage import single_linkage
from spyral_core.clustering.neighbours import kth_squares
from spyral_core.clustering.spanning_tree import spanning_tree
from spyral_core.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NOISE = -1
_RESOLUTION = 1e-6  # mm; lengths nearer to one another than this are equal
_LOOSE = 3.0  # in units of the median length; 2 to 4 do as well on simulated tracks


@kernel
def hdbscan(points: Floats, min_size: int, min_points: int, selection_epsilon: float) -> Integers:
    """Label (n,) of each point (n, 3) [mm], which must be sorted by the last column; −1 is noise.

    `min_size` ≥ 2 is the smallest cluster, `min_points` the number of points, itself included, in a ball around a
    point that makes its core distance, `selection_epsilon` [mm] the length below which no cluster is split. Labels
    count up in the order of the clusters' first points. Fewer than `min_size` points are all noise.
    """
    n_points = len(points)
    if n_points < min_size:
        return np.full(n_points, NOISE)
    n_neighbours = min(min_points, n_points) - 1
    core = kth_squares(points, n_neighbours) if n_neighbours > 0 else np.zeros(n_points)
    first, second, squares = spanning_tree(points, core)
    length = np.maximum(np.rint(np.sqrt(squares) / _RESOLUTION), 1.0) * _RESOLUTION
    order = np.argsort(length, kind="mergesort")
    length = length[order]
    left, right, sizes = single_linkage(first[order], second[order], length)
    parents, births, stabilities, last_cluster, fall_off = condense(left, right, sizes, length, min_size)
    chosen = _raise_to(_most_stable(parents, stabilities), parents, births, selection_epsilon)
    labels: Integers = _labels(chosen, parents, last_cluster, fall_off, min_size, selection_epsilon)
    return labels


@kernel
def _most_stable(parents: Integers, stabilities: Floats) -> NDArray[np.bool_]:
    """The clusters, none inside another, of the largest total stability ("excess of mass")."""
    below = np.zeros(len(parents))
    chosen = np.zeros(len(parents), np.bool_)
    for cluster in range(len(parents) - 1, -1, -1):
        chosen[cluster] = not below[cluster] > stabilities[cluster]
        if cluster > 0:
            below[parents[cluster]] += max(below[cluster], stabilities[cluster])
    covered = chosen.copy()
    for cluster in range(1, len(parents)):
        chosen[cluster] = chosen[cluster] and not covered[parents[cluster]]
        covered[cluster] = covered[cluster] or covered[parents[cluster]]
    return chosen


@kernel
def _raise_to(chosen: NDArray[np.bool_], parents: Integers, births: Floats, epsilon: float) -> NDArray[np.bool_]:
    """Replace each chosen cluster that was split off at a length below `epsilon` by the ancestor that was not."""
    raised = np.zeros(len(chosen), np.bool_)
    for cluster in range(len(chosen)):
        if chosen[cluster]:
            ancestor = cluster
            while births[ancestor] * epsilon > 1.0:
                ancestor = parents[ancestor]
            raised[ancestor] = True
    return raised


@kernel
def _labels(
    chosen: NDArray[np.bool_],
    parents: Integers,
    last_cluster: Integers,
    fall_off: Floats,
    min_size: int,
    epsilon: float,
) -> Integers:
    """Label of each point.

    A point of a cluster belongs to it up to the length at which it was split off. The root never was: its points are
    those that fall off below three times the median length, so that a track of widely spaced points stays whole; but
    all that do below `epsilon`, and none above three times that, so that a cloud of noise is none. If they are too few,
    all points are noise.
    """
    least = 0.0
    if chosen[0]:
        longest = _LOOSE * float(np.median(1.0 / fall_off))
        if epsilon > 0.0:
            longest = min(max(longest, epsilon), _LOOSE * epsilon)
        least = 1.0 / longest
        if np.sum(fall_off >= least) < min_size:
            return np.full(len(last_cluster), NOISE)
    names = np.full(len(chosen), NOISE)
    labels = np.full(len(last_cluster), NOISE)
    n_named = 0
    for point in range(len(labels)):
        cluster = last_cluster[point]
        while cluster >= 0 and not chosen[cluster]:
            cluster = parents[cluster]
        if cluster < 0 or fall_off[point] < least:
            continue
        if names[cluster] == NOISE:
            names[cluster] = n_named
            n_named += 1
        labels[point] = names[cluster]
    return labels
