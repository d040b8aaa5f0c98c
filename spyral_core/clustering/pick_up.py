"""Points of no cluster that lie on the track of one: the thin ends and gaps of tracks that density leaves out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.grouping import label_limit
from spyral_core.clustering.neighbours import kth_smallest
from spyral_core.clustering.smooth_join import crosses_beam, line_angle
from spyral_core.compiled import kernel, part
from spyral_core.fitting.circle import fit_circle

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_FIT_POINTS = 40  # of a cluster, nearest to the point that is judged
_FEWEST = 15  # points of a cluster with a curvature
_ROUNDS = 5  # each may reach further from what the last one found


@kernel
def pick_up(points: Floats, labels: Integers, max_gap: float, tolerance: float) -> Integers:
    """Labels (n,) with points of none (−1) given to clusters of points (n, 3) [mm].

    A point is given to the cluster of its nearest clustered point, if that is within `max_gap` mm and not across the
    beam pads, and if it is within `tolerance` mm of the helix through the 40 points of the cluster nearest to it: a
    circle across the beam, z linear in the path along it. All points are judged at once, up to five times; their order
    does not matter.
    """
    labels = labels.copy()
    n_members = np.zeros(label_limit(labels) + 1, np.int64)
    for label in labels:
        n_members[label] += label >= 0
    for _ in range(_ROUNDS):
        loose, clustered = np.flatnonzero(labels < 0), np.flatnonzero(labels >= 0)
        given = np.full(len(loose), -1)
        for k in range(len(loose)):
            nearest = _nearest(points, clustered, loose[k], max_gap)
            if nearest < 0 or n_members[labels[nearest]] < _FEWEST or crosses_beam(points[loose[k]], points[nearest]):
                continue
            members = clustered[labels[clustered] == labels[nearest]]
            if helix_distance(points, around(points, members, loose[k]), loose[k]) < tolerance:
                given[k] = labels[nearest]
        if not (given >= 0).any():
            break
        for k in range(len(loose)):
            labels[loose[k]] = given[k]
            n_members[given[k]] += given[k] >= 0
    return labels


@part
def _nearest(points: Floats, clustered: Integers, at: int, max_gap: float) -> int:
    """The clustered point nearest to another, −1 if none is within `max_gap` mm."""
    best, nearest = max_gap * max_gap, -1
    for other in clustered:
        square = (points[other, 2] - points[at, 2]) ** 2
        if square <= best:
            square += (points[other, 0] - points[at, 0]) ** 2 + (points[other, 1] - points[at, 1]) ** 2
            if square < best:
                best, nearest = square, other
    return nearest


@kernel
def around(points: Floats, members: Integers, at: int) -> Integers:
    """The 40 members nearest to a point; more if some are as near as the last."""
    if len(members) <= _FIT_POINTS:
        return members
    squares = np.empty(len(members))
    for k in range(len(members)):
        square = 0.0
        for axis in range(3):
            square += (points[members[k], axis] - points[at, axis]) ** 2
        squares[k] = square
    reach = kth_smallest(squares.copy(), _FIT_POINTS)
    near: Integers = members[squares <= reach]
    return near


@kernel
def helix_distance(points: Floats, members: Integers, at: int) -> float:
    """How far [mm] a point is from the helix through others, the larger of across and along its cylinder.

    inf if they have no circle.
    """
    x, y, z = points[members, 0], points[members, 1], points[members, 2]
    center_x, center_y, radius = fit_circle(x, y)
    if not radius > 0.0:
        return math.inf
    own = math.atan2(points[at, 1] - center_y, points[at, 0] - center_x)
    path = np.empty(len(members))
    for k in range(len(members)):
        turn = math.atan2(y[k] - center_y, x[k] - center_x) - own
        path[k] = radius * (turn - 2 * math.pi * round(turn / (2 * math.pi)))
    across = abs(math.hypot(points[at, 0] - center_x, points[at, 1] - center_y) - radius)
    mean_path, mean_z = np.mean(path), np.mean(z)
    along = line_angle(path - mean_path, z - mean_z)
    beside = abs(-math.cos(along) * (points[at, 2] - mean_z) - math.sin(along) * mean_path)
    return float(max(across, beside))
