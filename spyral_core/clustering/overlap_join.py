"""Join clusters whose circles in the pad plane overlap: the turns of one spiral, broken apart."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.grouping import label_limit, merge_linked
from spyral_core.compiled import kernel
from spyral_core.fitting.circle import fit_circle

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@kernel
def overlap_join(points: Floats, labels: Integers, min_size: int, overlap_ratio: float) -> Integers:
    """Labels (n,) after joining clusters of points (n, 3) [mm].

    Two clusters of at least `min_size` points are one if their least-squares circles share more than `overlap_ratio`
    of the smaller circle's area. All clusters that are so connected merge at once, get a new circle, and the search
    begins anew until nothing changes; the order of clusters has no influence.
    """
    n_labels = label_limit(labels)
    while True:
        circles = np.full((n_labels, 3), np.nan)
        for label in range(n_labels):
            members = np.flatnonzero(labels == label)
            if len(members) >= min_size:
                circles[label] = fit_circle(points[members, 0], points[members, 1])
        linked = np.zeros((n_labels, n_labels), np.bool_)
        for one in range(n_labels):
            for other in range(one):
                x1, y1, r1 = circles[one]
                x2, y2, r2 = circles[other]
                shared = common_area(math.hypot(x2 - x1, y2 - y1), r1, r2)
                linked[one, other] = shared > overlap_ratio * math.pi * min(r1, r2) ** 2
        if not linked.any():
            return labels
        labels = merge_linked(labels, linked)


@kernel
def common_area(distance: float, radius: float, other_radius: float) -> float:
    """Area that two circles share, from the distance of their centres (two circular segments); nan stays nan."""
    small, large = min(radius, other_radius), max(radius, other_radius)
    if distance >= small + large:
        return 0.0
    if distance <= large - small:
        return math.pi * small * small
    # half the angle under which each centre sees the common chord; clipped against rounding
    in_small = math.acos(max(min((distance**2 + small**2 - large**2) / (2 * distance * small), 1.0), -1.0))
    in_large = math.acos(max(min((distance**2 + large**2 - small**2) / (2 * distance * large), 1.0), -1.0))
    return small**2 * (in_small - 0.5 * math.sin(2 * in_small)) + large**2 * (in_large - 0.5 * math.sin(2 * in_large))
