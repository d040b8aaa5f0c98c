"""Join clusters where one ends and the next begins: a track, broken where it crosses the beam region or thins out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.direction import UNKNOWN, direction
from spyral_core.clustering.grouping import label_limit, merge_linked
from spyral_core.compiled import kernel, part
from spyral_core.fitting.circle import fit_circle

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_END_POINTS = 5  # points whose median is the end of a cluster


@kernel
def continuity_join(
    points: Floats, labels: Integers, radius_fraction: float, z_fraction: float, direction_threshold: float
) -> Integers:
    """Labels (n,) after joining clusters of points (n, 3) [mm], sorted by z.

    A cluster continues another if it turns the same, known way about a common centre (that of the smaller circle is
    inside the larger), and if its lower end lies near the other's upper end: within `radius_fraction` of the clusters'
    range in the distance from the beam axis, and within `z_fraction` of their range in z. Of several candidates the
    nearest, in units of these limits, is taken, if the choice is mutual; this is repeated until nothing changes. The
    order of clusters has no influence.
    """
    n_labels = label_limit(labels)
    if n_labels < 2:
        return labels
    radii = np.hypot(points[:, 0], points[:, 1])
    clustered = np.flatnonzero(labels >= 0)
    radius_limit = radius_fraction * np.ptp(radii[clustered])
    z_limit = z_fraction * np.ptp(points[clustered, 2])
    while True:
        gaps = _gaps(points, radii, labels, n_labels, radius_limit, z_limit, direction_threshold)
        linked = np.zeros((n_labels, n_labels), np.bool_)
        for upper in range(n_labels):
            lower = np.argmin(gaps[:, upper])
            linked[lower, upper] = gaps[lower, upper] < np.inf and np.argmin(gaps[lower]) == upper
        if not linked.any():
            return labels
        labels = merge_linked(labels, linked)


@part
def _gaps(
    points: Floats,
    radii: Floats,
    labels: Integers,
    n_labels: int,
    radius_limit: float,
    z_limit: float,
    direction_threshold: float,
) -> Floats:
    """From the upper end of each cluster (row) to the lower end of each (column) in units of the limits, or inf."""
    ends = np.full((n_labels, 4), np.nan)  # radius and z of the lower end, of the upper end
    for label in range(n_labels):
        members = np.flatnonzero(labels == label)
        if len(members) == 0:
            continue
        low, high = members[:_END_POINTS], members[-_END_POINTS:]
        ends[label, 0], ends[label, 1] = np.median(radii[low]), np.median(points[low, 2])
        ends[label, 2], ends[label, 3] = np.median(radii[high]), np.median(points[high, 2])
    gaps = np.full((n_labels, n_labels), np.inf)
    for lower in range(n_labels):
        for upper in range(n_labels):
            by_radius = abs(ends[upper, 0] - ends[lower, 2]) / radius_limit
            by_z = abs(ends[upper, 1] - ends[lower, 3]) / z_limit
            if lower != upper and by_radius <= 1.0 and by_z <= 1.0:
                gaps[lower, upper] = math.hypot(by_radius, by_z)
    _keep_alike(points, labels, gaps, direction_threshold)
    return gaps


@part
def _keep_alike(points: Floats, labels: Integers, gaps: Floats, direction_threshold: float) -> None:
    """Make inf the gaps between clusters that do not turn the same, known way about a common centre.

    Senses and circles take most of the time of a join, so they are only found of clusters whose ends are near.
    """
    n_labels = len(gaps)
    senses, circles = np.full(n_labels, UNKNOWN), np.full((n_labels, 3), np.nan)
    for label in range(n_labels):
        if min(np.min(gaps[label]), np.min(gaps[:, label])) < np.inf:
            members = np.flatnonzero(labels == label)
            senses[label] = direction(points[members], direction_threshold)
            circles[label] = fit_circle(points[members, 0], points[members, 1])
    for lower in range(n_labels):
        for upper in range(n_labels):
            between = math.hypot(circles[lower, 0] - circles[upper, 0], circles[lower, 1] - circles[upper, 1])
            about_one = between < max(circles[lower, 2], circles[upper, 2])
            if senses[lower] == UNKNOWN or senses[lower] != senses[upper] or not about_one:
                gaps[lower, upper] = np.inf
