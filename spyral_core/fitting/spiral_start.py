"""From points in order along a track to starting values of the spiral fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.circle import fit_circle
from spyral_core.fitting.smooth import smooth_curve

Floats = NDArray[np.float64]

FIRST_TURN = 1.2  # rad; the arc that the first circle goes through: little energy is lost in it
FEWEST_POINTS = 12  # points of that arc
CHORD = 12.0  # mm; the heading of the smoothed path is taken over this length


@kernel
def smooth_path(points: Floats, charge: Floats, penalty: float) -> Floats:
    """Points (3, n) [mm] and ln of the charge (n,) in order along the path, smoothed by cubic splines: (4, n).

    The splines' parameter is the path length of `way_along`. Points far off the first result have little weight in the
    second.
    """
    n = points.shape[1]
    t = way_along(points)
    noisy = np.empty((n, 4))
    for i in range(n):
        noisy[i, 0], noisy[i, 1], noisy[i, 2] = points[0, i], points[1, i], points[2, i]
        noisy[i, 3] = np.log(max(charge[i], 1e-3))
    path = smooth_curve(t, noisy, np.ones(n), penalty)
    miss = np.empty(n)
    for i in range(n):
        miss[i] = np.sqrt(
            (points[0, i] - path[i, 0]) ** 2 + (points[1, i] - path[i, 1]) ** 2 + (points[2, i] - path[i, 2]) ** 2
        )
    usual = 3.0 * np.median(miss) + 1e-3
    path = smooth_curve(t, noisy, np.where(miss > usual, 0.02, 1.0), penalty)
    return np.ascontiguousarray(path.T)


@kernel
def way_along(points: Floats) -> Floats:
    """Path length (n,) [mm] along points (3, n) in order, from the middles of blocks of them.

    The way from point to point would be mostly scatter. The middle is the median of each coordinate.
    """
    n = points.shape[1]
    size = min(max(5, n // 20), 15)
    n_blocks = max(n // size, 1)
    middle, place, block_points = np.empty((3, n_blocks)), np.empty(n_blocks), np.empty(2 * size + 1)
    for block in range(n_blocks):
        first, last = block * n // n_blocks, (block + 1) * n // n_blocks
        place[block] = 0.5 * (first + last - 1)
        for row in range(3):
            middle[row, block] = median_of_few(points[row, first:last], block_points)
    t = np.zeros(n)
    if n_blocks == 1:
        return np.arange(n).astype(np.float64)
    block, step = 0, 0.0
    for i in range(1, n):
        while block == 0 or (block < n_blocks - 1 and place[block] < i - 0.5):
            block += 1
            square = 0.0
            for row in range(3):
                square += (middle[row, block] - middle[row, block - 1]) ** 2
            step = np.sqrt(square) / (place[block] - place[block - 1])
        t[i] = t[i - 1] + step
    return t


@kernel
def median_of_few(values: Floats, ordered: Floats) -> float:
    """Median of a few values (n,), n ≥ 1, which are sorted into `ordered` (≥ n,), one by one."""
    n = len(values)
    for i in range(n):
        place = i
        while place > 0 and ordered[place - 1] > values[i]:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = values[i]
    median: float = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    return median


@kernel
def transverse_length(path: Floats) -> Floats:
    """Path length (n,) [mm] across the beam along a smooth path (3, n), from its first point."""
    s = np.zeros(path.shape[1])
    for i in range(1, len(s)):
        s[i] = s[i - 1] + np.hypot(path[0, i] - path[0, i - 1], path[1, i] - path[1, i - 1])
    return s


@kernel
def total_turn(path: Floats) -> float:
    """Turn [rad] of the heading along a smooth path (3, n), counter-clockwise positive, from chord to chord."""
    turn, previous, first, chords = 0.0, 0.0, 0, 0
    for i in range(1, path.shape[1]):
        dx, dy = path[0, i] - path[0, first], path[1, i] - path[1, first]
        if dx * dx + dy * dy >= CHORD * CHORD:
            heading = np.arctan2(dy, dx)
            if chords > 0:
                turn += (heading - previous + np.pi) % (2.0 * np.pi) - np.pi
            previous, first, chords = heading, i, chords + 1
    return turn


@kernel
def start_parameters(path: Floats, turn: float, spent: float) -> tuple[Floats, Floats, float]:
    """Starting values for a particle that takes a smooth path (3, n) in this order and turns counter-clockwise.

    Returns the parameters (6,) and the reference (3,) of `spiral_fit.fit_spiral`, and the length [mm] of the transverse
    path. The curvature is that of the circle through the first arc; where that turns clockwise the start is straight.
    """
    n = path.shape[1]
    s = transverse_length(path)
    length = max(s[-1], 1.0)
    arc = length * FIRST_TURN / max(abs(turn), FIRST_TURN)
    n_first = 0
    while n_first < n and (s[n_first] <= arc or n_first < FEWEST_POINTS):
        n_first += 1
    last, middle = n_first - 1, 0
    while s[middle] < 0.5 * s[last]:
        middle += 1
    x, y = path[0], path[1]
    heading = np.arctan2(y[last] - y[0], x[last] - x[0])
    curvature = 1e-4
    bend = (x[middle] - x[0]) * (y[last] - y[0]) - (y[middle] - y[0]) * (x[last] - x[0])
    centre_x, centre_y, radius = fit_circle(x[:n_first], y[:n_first])
    if bend > 0.0 and radius < 1e4:
        heading = np.arctan2(y[0] - centre_y, x[0] - centre_x) + 0.5 * np.pi
        curvature = 1.0 / radius
    mean_s, mean_z = np.mean(s), np.mean(path[2])
    cotangent = np.sum((s - mean_s) * (path[2] - mean_z)) / max(np.sum((s - mean_s) ** 2), 1e-9)
    reference = np.array([x[0], y[0], heading])
    parameters = np.array([0.0, heading, curvature, spent / length, mean_z - cotangent * mean_s, cotangent])
    return parameters, reference, length
