"""The robust objective of a trajectory and the points of a track: which start leads to which minimum.

A point's deviation from the nearest place on the trajectory, divided by the point's standard deviations, enters
together with

- the vertex' distance from the beam axis over the size of the beam spot: along the track nothing else fixes it;
- the visible length of trajectory beyond the last point: the silent pads there say that the particle stopped.

The objective is Σ c² ln(1 + d²/c²) over the points (Cauchy's loss: a stray point pulls no more the farther it is) plus
the same of the silent length plus the square of the vertex term. Its derivatives are those of the trajectory at fixed
path length (`sensitivity`).
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point, curve_tangent, nearest_place
from spyral_core.fitting.deviation import change_of_place, follow_end, project, silent_length
from spyral_core.fitting.sensitivity import N_PARAMETERS, trajectory_and_changes

LOSS_SCALE = 3.0  # c of Cauchy's loss, in standard deviations
SILENT_SIGMA = 4.0  # mm: how well the last pad tells where a track ends


@kernel
def cauchy(squared):  # type: ignore[no-untyped-def]
    """Cauchy's loss of a squared deviation, and its derivative."""
    scaled = squared / LOSS_SCALE**2
    return LOSS_SCALE**2 * math.log1p(scaled), 1 / (1 + scaled)


@kernel
def deviate(point, weight, weight_z, path, states, changes, stops, deviation, change, along):  # type: ignore[no-untyped-def]
    """Deviation (3,) of a point from the nearest place on the trajectory, and how that place changes (6, 3).

    The part of the change along the curve, which the nearest place does not follow, is taken off and put into `along`
    (6,); at the ends of the curve nothing is. Returns the place: cell, share of the cell.
    """
    n_states = len(path)
    cell, share = nearest_place(point[0], point[1], point[2], weight_z / weight, path, states, n_states)
    place = curve_point(path, states, cell, share)
    tangent = curve_tangent(path, states, cell, share)
    for axis in range(3):
        deviation[axis] = point[axis] - place[axis]
    change_of_place(cell, share, path, changes, change)
    along[:] = 0.0
    if cell == n_states - 2 and share == 1.0:
        if stops:
            follow_end(change, tangent, changes[:, n_states - 1, 6])
    elif cell > 0 or share > 0.0:
        project(change, tangent, weight, weight_z, along)
    return cell, share


@kernel
def objective(  # type: ignore[no-untyped-def]
    parameters, points, weights, frame, beam_spot, volume, visible, constants, log_ke, slope, gradient, curvature
):
    """Objective at some parameters (6,); fills half its gradient (6,) and the Gauss–Newton matrix (6, 6).

    `points` (n, 3) [mm]; `weights` (n, 2) [1/mm²], across the beam and along it. Returns the objective, the weighted
    sum of squares and the sum of weights of the points, and whether the trajectory stops in the volume.
    """
    path, states, changes, stops = trajectory_and_changes(parameters, frame, volume, constants, log_ke, slope)
    gradient[:] = 0.0
    curvature[:] = 0.0
    total, squares, inliers, last = 0.0, 0.0, 0.0, 0.0
    deviation, change = np.empty(3), np.empty((N_PARAMETERS, 3))
    along, last_along = np.empty(N_PARAMETERS), np.zeros(N_PARAMETERS)
    for i in range(len(points)):
        weight, weight_z = weights[i]
        cell, share = deviate(points[i], weight, weight_z, path, states, changes, stops, deviation, change, along)
        dx, dy, dz = deviation
        squared = weight * (dx * dx + dy * dy) + weight_z * dz * dz
        loss, factor = cauchy(squared)
        total += loss
        squares += factor * squared
        inliers += factor
        place = path[cell] + share * (path[cell + 1] - path[cell])
        if factor > 0.5 and place > last:
            last = place
            last_along[:] = along
        for k in range(N_PARAMETERS):
            gx, gy, gz = weight * change[k, 0], weight * change[k, 1], weight_z * change[k, 2]
            gradient[k] -= factor * (gx * dx + gy * dy + gz * dz)
            for m in range(k + 1):
                curvature[k, m] += factor * (gx * change[m, 0] + gy * change[m, 1] + gz * change[m, 2])
    if stops:
        total += _add_silence(path, states, changes, last, last_along, visible, gradient, curvature)
    total += _add_beam_spot(states[0], changes[:, 0], beam_spot, gradient, curvature)
    for k in range(N_PARAMETERS):
        for m in range(k):
            curvature[m, k] = curvature[k, m]
    return total, squares, inliers, stops


@kernel
def _add_silence(path, states, changes, last, last_along, visible, gradient, curvature):  # type: ignore[no-untyped-def]
    """Loss of the silent length beyond the last point; adds its derivatives.

    The end moves with the range, the place of the last point against the motion of the curve along itself. None where
    the end is not visible.
    """
    silent, by_range = silent_length(path, states, last, visible)
    loss, factor = cauchy((silent / SILENT_SIGMA) ** 2)
    if silent == 0.0 or by_range == 0.0:
        return loss
    change = np.empty(N_PARAMETERS)
    for k in range(N_PARAMETERS):
        change[k] = changes[k, len(path) - 1, 6] + last_along[k]
        gradient[k] += factor * silent * change[k] / SILENT_SIGMA**2
        for m in range(k + 1):
            curvature[k, m] += factor * change[k] * change[m] / SILENT_SIGMA**2
    return loss


@kernel
def _add_beam_spot(start, changes, beam_spot, gradient, curvature):  # type: ignore[no-untyped-def]
    """Square of the vertex' distance from the axis over the beam spot; adds its derivatives."""
    for k in range(N_PARAMETERS):
        for axis in range(2):
            change_k = changes[k, axis] / beam_spot**2
            gradient[k] += change_k * start[axis]
            for m in range(k + 1):
                curvature[k, m] += change_k * changes[m, axis]
    return (start[0] ** 2 + start[1] ** 2) / beam_spot**2
