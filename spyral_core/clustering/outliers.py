"""Points that are lonelier than their neighbours, by the local outlier factor, and clusters without them.

Breunig, Kriegel, Ng and Sander, Proc. ACM SIGMOD 2000, 93.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.direction import direction
from spyral_core.clustering.grouping import in_sight, label_limit
from spyral_core.clustering.neighbours import neighbourhoods
from spyral_core.compiled import kernel, part

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

OUTLIER_FACTOR = 1.5
_FEWEST_NEIGHBOURS, _MOST_NEIGHBOURS = 5, 200  # the latter bounds the memory
_TINY = 1e-10  # mm; keeps the density of coinciding points finite


@part
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


@part
def inliers(points: Floats, n_neighbours: int) -> NDArray[np.bool_]:
    """Which points (n, 3), sorted by the last column, are no outliers: their factor is at most 1.5.

    With fewer than three points, none is judged.
    """
    if len(points) < 3:
        return np.ones(len(points), np.bool_)
    factors: Floats = local_outlier_factors(points, max(min(n_neighbours, len(points) - 1), 1))
    return factors <= OUTLIER_FACTOR


@kernel
def drop_outliers(points: Floats, labels: Integers, z_scale: float, neighbour_share: float) -> Integers:
    """Labels (n,) of points (n, 3) [mm], sorted by z, in which outliers of clusters have none (−1).

    `neighbour_share` of a cluster's points, at least 5 and at most 200, are neighbours; distances along z count
    `z_scale`.
    """
    scaled = points * np.array([1.0, 1.0, z_scale])
    labels = labels.copy()
    for label in range(label_limit(labels)):
        members = np.flatnonzero(labels == label)
        if len(members) == 0:
            continue
        n_neighbours = min(max(int(neighbour_share * len(members)), _FEWEST_NEIGHBOURS), _MOST_NEIGHBOURS)
        labels[members[~inliers(scaled[members], n_neighbours)]] = -1
    return labels


@kernel
def list_clusters(
    points: Floats, labels: Integers, direction_threshold: float
) -> tuple[Integers, Integers, Integers, Integers]:
    """Clusters of points (n, 3) [mm], sorted by z, with labels (n,), in the order of their first points.

    Returns of each its label, number of points and direction; and the indices of the points of all, one cluster after
    the other.
    """
    n_labels = label_limit(labels)
    names, sizes, senses = np.empty(n_labels, np.int64), np.empty(n_labels, np.int64), np.empty(n_labels, np.int64)
    chosen = np.empty(len(points), np.int64)
    n_clusters, n_chosen = 0, 0
    for label in in_sight(labels):
        members = np.flatnonzero(labels == label)
        names[n_clusters], sizes[n_clusters] = label, len(members)
        senses[n_clusters] = direction(points[members], direction_threshold)
        chosen[n_chosen : n_chosen + len(members)] = members
        n_clusters, n_chosen = n_clusters + 1, n_chosen + len(members)
    return names[:n_clusters], sizes[:n_clusters], senses[:n_clusters], chosen[:n_chosen]
