"""The curve through the states of a trajectory, and the distance of points from it.

Between two states the curve is the cubic Hermite function of the path length whose tangents are the unit vectors of
the momentum. A place on it is (cell, share of the cell).
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel


@kernel
def curve_point(path, states, cell, share):  # type: ignore[no-untyped-def]
    """Position (x, y, z) [mm] at a place on the curve."""
    h = path[cell + 1] - path[cell]
    t2 = share * share
    t3 = t2 * share
    a1 = 3 * t2 - 2 * t3
    a0, b0, b1 = 1 - a1, h * (share - 2 * t2 + t3), h * (t3 - t2)
    s0, s1 = states[cell], states[cell + 1]
    return (
        a0 * s0[0] + a1 * s1[0] + b0 * s0[3] + b1 * s1[3],
        a0 * s0[1] + a1 * s1[1] + b0 * s0[4] + b1 * s1[4],
        a0 * s0[2] + a1 * s1[2] + b0 * s0[5] + b1 * s1[5],
    )


@kernel
def curve_tangent(path, states, cell, share):  # type: ignore[no-untyped-def]
    """Derivative of the position by path length at a place on the curve: nearly a unit vector."""
    h = path[cell + 1] - path[cell]
    t2 = share * share
    a = 6 * (share - t2) / h
    b0, b1 = 1 - 4 * share + 3 * t2, 3 * t2 - 2 * share
    s0, s1 = states[cell], states[cell + 1]
    return (
        a * (s1[0] - s0[0]) + b0 * s0[3] + b1 * s1[3],
        a * (s1[1] - s0[1]) + b0 * s0[4] + b1 * s1[4],
        a * (s1[2] - s0[2]) + b0 * s0[5] + b1 * s1[5],
    )


@kernel
def curvature_across(path, states, cell):  # type: ignore[no-untyped-def]
    """Curvature [1/mm] in a cell, as seen along the beam: positive if it turns to the left."""
    first, second = states[cell], states[cell + 1]
    across = max(math.hypot(first[3] + second[3], first[4] + second[4]), 1e-6) / 2
    return (first[3] * second[4] - first[4] * second[3]) / across**3 / (path[cell + 1] - path[cell])


@kernel
def nearest_chord(x, y, z, weight_z, states, n_states):  # type: ignore[no-untyped-def]
    """Cell of the chord nearest to a point, and the share of the chord; distances² are dx² + dy² + weight_z dz²."""
    best, best_cell, best_share = math.inf, 0, 0.0
    for cell in range(n_states - 1):
        x0, y0, z0 = states[cell, 0], states[cell, 1], states[cell, 2]
        dx, dy, dz = states[cell + 1, 0] - x0, states[cell + 1, 1] - y0, states[cell + 1, 2] - z0
        length2 = dx * dx + dy * dy + weight_z * dz * dz
        share = ((x - x0) * dx + (y - y0) * dy + weight_z * (z - z0) * dz) / length2 if length2 > 0 else 0.0
        share = min(max(share, 0.0), 1.0)
        ex, ey, ez = x - x0 - share * dx, y - y0 - share * dy, z - z0 - share * dz
        distance2 = ex * ex + ey * ey + weight_z * ez * ez
        if distance2 < best:
            best, best_cell, best_share = distance2, cell, share
    return best_cell, best_share


@kernel
def nearest_place(x, y, z, weight_z, path, states, n_states):  # type: ignore[no-untyped-def]
    """The place on the curve nearest to a point, in the metric of `nearest_chord`.

    Newton steps on the tangent from the nearest chord; a step over a cell's edge goes on in the next cell.
    """
    cell, share = nearest_chord(x, y, z, weight_z, states, n_states)
    for _ in range(4):
        px, py, pz = curve_point(path, states, cell, share)
        ux, uy, uz = curve_tangent(path, states, cell, share)
        ahead = ((x - px) * ux + (y - py) * uy + weight_z * (z - pz) * uz) / (ux * ux + uy * uy + weight_z * uz * uz)
        place = path[cell] + share * (path[cell + 1] - path[cell]) + ahead
        if place < path[cell] and cell > 0:
            cell -= 1
        elif place > path[cell + 1] and cell < n_states - 2:
            cell += 1
        share = min(max((place - path[cell]) / (path[cell + 1] - path[cell]), 0.0), 1.0)
        if abs(ahead) < 1e-4:
            break
    return cell, share


@kernel
def points_on_curve(points, ratio, path, states):  # type: ignore[no-untyped-def]
    """Where points (n, 3) lie on a trajectory: path length, mm beyond its end (n,), deviation and direction (n, 3).

    `ratio`: the weight of distances along the beam over that of distances across it.
    """
    n = len(points)
    place, beyond, deviation, direction = np.empty(n), np.zeros(n), np.empty((n, 3)), np.empty((n, 3))
    for i in range(n):
        x, y, z = points[i]
        cell, share = nearest_place(x, y, z, ratio, path, states, len(path))
        px, py, pz = curve_point(path, states, cell, share)
        ux, uy, uz = curve_tangent(path, states, cell, share)
        place[i] = path[cell] + share * (path[cell + 1] - path[cell])
        deviation[i, 0], deviation[i, 1], deviation[i, 2] = x - px, y - py, z - pz
        direction[i, 0], direction[i, 1], direction[i, 2] = ux, uy, uz
        if cell == len(path) - 2 and share == 1.0:
            beyond[i] = deviation[i, 0] * ux + deviation[i, 1] * uy + deviation[i, 2] * uz
    return place, beyond, deviation, direction
