"""Fit of a trajectory to the points of a track.

Parameters: two of the vertex across the beam, vertex z [mm], ln Bρ [T m], polar and azimuthal angle [rad]. A point's
deviation from the nearest place on the trajectory, divided by the point's standard deviations, enters a robust
objective, together with

- the vertex' distance from the beam axis over the size of the beam spot: along the track nothing else fixes it;
- the visible length of trajectory beyond the last point: the silent pads there say that the particle stopped.

The objective is Σ c² ln(1 + d²/c²) over the points (Cauchy's loss: a stray point pulls no more the farther it is) plus
the same of the silent length plus the square of the vertex term. Its derivatives are those of the trajectory at fixed
path length, by differences of whole trajectories over the same steps, as smooth as the integration itself.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point, curve_tangent, nearest_place
from spyral_core.fitting.scattering import scattering_spread
from spyral_core.physics.motion import (
    CURVATURE_PER_TESLA,
    SHORTEST_RANGE,
    advance,
    follow,
    start_state,
)

N_PARAMETERS = 6
LOSS_SCALE = 3.0  # c of Cauchy's loss, in standard deviations
SILENT_SIGMA = 4.0  # mm: how well the last pad tells where a track ends
MAX_STATES = 400
DIFFERENCES = np.array([1e-3, 1e-3, 1e-3, 1e-5, 1e-5, 1e-5])  # mm, mm, mm, 1, rad, rad


@kernel
def start_of(parameters, frame, mass_charge):  # type: ignore[no-untyped-def]
    """Start (6,) of a trajectory (`motion.follow`) from the fit's parameters.

    `frame` (1,): if its number is 0 the first two parameters are vertex x and y, else they are the vertex'
    distance from the axis and its azimuth. `mass_charge`: MeV and e.
    """
    start = np.empty(6)
    if frame[0] == 0.0:
        start[0], start[1] = parameters[0], parameters[1]
    else:
        start[0], start[1] = parameters[0] * math.cos(parameters[1]), parameters[0] * math.sin(parameters[1])
    momentum = 1e3 * CURVATURE_PER_TESLA * mass_charge[1] * math.exp(parameters[3])
    start[2] = parameters[2]
    start[3] = momentum**2 / (math.sqrt(momentum**2 + mass_charge[0] ** 2) + mass_charge[0])
    start[4], start[5] = parameters[4], parameters[5]
    return start


@kernel
def repeat_steps(start, path, n_states, constants, log_ke, slope, states):  # type: ignore[no-untyped-def]
    """Integrate over the steps of an earlier trajectory from another start; fills `states`."""
    state = np.empty(7)
    start_state(start, constants, log_ke, slope, state)
    states[0] = state
    for i in range(1, n_states):
        advance(state, path[i] - path[i - 1], constants, log_ke, slope)
        state[6] = max(state[6], 0.25 * SHORTEST_RANGE)
        states[i] = state


@kernel
def is_visible(x, y, z, visible):  # type: ignore[no-untyped-def]
    """Whether a track would light pads here; `visible` = (smallest, largest rho, smallest, largest z) [mm]."""
    rho2 = x * x + y * y
    return visible[0] ** 2 < rho2 < visible[1] ** 2 and visible[2] < z < visible[3]


@kernel
def silent_length(path, states, n_states, last, visible):  # type: ignore[no-untyped-def]
    """Visible length [mm] of the trajectory beyond path length `last`."""
    length = 0.0
    for i in range(n_states - 1, 0, -1):
        if path[i] <= last:
            break
        x, y = 0.5 * (states[i, 0] + states[i - 1, 0]), 0.5 * (states[i, 1] + states[i - 1, 1])
        if is_visible(x, y, 0.5 * (states[i, 2] + states[i - 1, 2]), visible):
            length += path[i] - max(path[i - 1], last)
    return length


@kernel
def cauchy(squared):  # type: ignore[no-untyped-def]
    """Cauchy's loss of a squared deviation, and its derivative."""
    scaled = squared / LOSS_SCALE**2
    return LOSS_SCALE**2 * math.log1p(scaled), 1 / (1 + scaled)


@kernel
def trajectories(parameters, frame, volume, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """The trajectory of some parameters, and those of each parameter moved by its difference, over the same steps.

    Returns path (n,), states (n, 7), moved (6, n, 7) and whether the trajectory stops in the volume.
    """
    mass_charge = (constants[1], constants[0])
    path, states = np.empty(MAX_STATES), np.empty((MAX_STATES, 7))
    n_states, stops = follow(start_of(parameters, frame, mass_charge), volume, constants, log_ke, slope, path, states)
    moved = np.empty((N_PARAMETERS, n_states, 7))
    for k in range(N_PARAMETERS):
        shifted = parameters.copy()
        shifted[k] += DIFFERENCES[k]
        repeat_steps(start_of(shifted, frame, mass_charge), path, n_states, constants, log_ke, slope, moved[k])
    return path[:n_states], states[:n_states], moved, stops


@kernel
def deviate(point, weight, weight_z, path, states, moved, stops, deviation, change, along):  # type: ignore[no-untyped-def]
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
    _change_of_place(cell, share, place, path, moved, change)
    along[:] = 0.0
    if cell == n_states - 2 and share == 1.0:
        _follow_end(change, tangent, n_states, states, moved, stops)
    elif cell > 0 or share > 0.0:
        _project(change, tangent, weight, weight_z, along)
    return cell, share


@kernel
def objective(  # type: ignore[no-untyped-def]
    parameters, points, weights, frame, beam_spot, volume, visible, constants, log_ke, slope, gradient, curvature
):
    """Objective at some parameters (6,); fills half its gradient (6,) and the Gauss–Newton matrix (6, 6).

    `points` (n, 3) [mm]; `weights` (n, 2) [1/mm²], across the beam and along it. Returns the objective, the weighted
    sum of squares and the sum of weights of the points, and whether the trajectory stops in the volume.
    """
    path, states, moved, stops = trajectories(parameters, frame, volume, constants, log_ke, slope)
    gradient[:] = 0.0
    curvature[:] = 0.0
    total, squares, inliers, last = 0.0, 0.0, 0.0, 0.0
    deviation, change = np.empty(3), np.empty((N_PARAMETERS, 3))
    along, last_along = np.empty(N_PARAMETERS), np.zeros(N_PARAMETERS)
    for i in range(len(points)):
        weight, weight_z = weights[i]
        cell, share = deviate(points[i], weight, weight_z, path, states, moved, stops, deviation, change, along)
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
        total += _add_silence(path, states, moved, len(path), last, last_along, visible, gradient, curvature)
    total += _add_beam_spot(states[0], moved, beam_spot, gradient, curvature)
    for k in range(N_PARAMETERS):
        for m in range(k):
            curvature[m, k] = curvature[k, m]
    return total, squares, inliers, stops


@kernel
def _change_of_place(cell, share, place, path, moved, change):  # type: ignore[no-untyped-def]
    """Derivatives (6, 3) of a place on the curve by the parameters, at fixed path length."""
    for k in range(N_PARAMETERS):
        qx, qy, qz = curve_point(path, moved[k], cell, share)
        change[k, 0] = (qx - place[0]) / DIFFERENCES[k]
        change[k, 1] = (qy - place[1]) / DIFFERENCES[k]
        change[k, 2] = (qz - place[2]) / DIFFERENCES[k]


@kernel
def _follow_end(change, tangent, n_states, states, moved, stops):  # type: ignore[no-untyped-def]
    """The end of a stopping track also moves along it, as far as the residual range changes."""
    for k in range(N_PARAMETERS):
        further = (moved[k, n_states - 1, 6] - states[n_states - 1, 6]) / DIFFERENCES[k] if stops else 0.0
        for axis in range(3):
            change[k, axis] += further * tangent[axis]


@kernel
def _project(change, tangent, weight, weight_z, along):  # type: ignore[no-untyped-def]
    """Take the part along the curve, which the nearest place follows, off the derivatives (6, 3); fills it in (6,)."""
    ux, uy, uz = tangent
    norm = weight * (ux * ux + uy * uy) + weight_z * uz * uz
    for k in range(N_PARAMETERS):
        along[k] = (weight * (change[k, 0] * ux + change[k, 1] * uy) + weight_z * change[k, 2] * uz) / norm
        change[k, 0] -= along[k] * ux
        change[k, 1] -= along[k] * uy
        change[k, 2] -= along[k] * uz


@kernel
def _add_silence(path, states, moved, n_states, last, last_along, visible, gradient, curvature):  # type: ignore[no-untyped-def]
    """Loss of the silent length beyond the last point; adds its derivatives.

    The end moves with the range, the place of the last point against the motion of the curve along itself.
    """
    silent = silent_length(path, states, n_states, last, visible)
    if silent == 0.0:
        return 0.0
    loss, factor = cauchy((silent / SILENT_SIGMA) ** 2)
    change = np.empty(N_PARAMETERS)
    for k in range(N_PARAMETERS):
        change[k] = (moved[k, n_states - 1, 6] - states[n_states - 1, 6]) / DIFFERENCES[k] + last_along[k]
        gradient[k] += factor * silent * change[k] / SILENT_SIGMA**2
        for m in range(k + 1):
            curvature[k, m] += factor * change[k] * change[m] / SILENT_SIGMA**2
    return loss


@kernel
def _add_beam_spot(start, moved, beam_spot, gradient, curvature):  # type: ignore[no-untyped-def]
    """Square of the vertex' distance from the axis over the beam spot; adds its derivatives."""
    for k in range(N_PARAMETERS):
        for axis in range(2):
            change_k = (moved[k, 0, axis] - start[axis]) / DIFFERENCES[k] / beam_spot**2
            gradient[k] += change_k * start[axis]
            for m in range(k + 1):
                curvature[k, m] += change_k * (moved[m, 0, axis] - start[axis]) / DIFFERENCES[m]
    return (start[0] ** 2 + start[1] ** 2) / beam_spot**2


@kernel
def solve_positive(matrix, right, free, solution):  # type: ignore[no-untyped-def]
    """Solve a symmetric positive system by Cholesky's method in the free rows; fixed ones give 0. False if singular."""
    n = len(right)
    factor = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            value = matrix[i, j] if free[i] and free[j] else (1.0 if i == j else 0.0)
            for k in range(j):
                value -= factor[i, k] * factor[j, k]
            if i == j:
                if not value > 0.0:
                    return False
                factor[i, i] = math.sqrt(value)
            else:
                factor[i, j] = value / factor[j, j]
    for i in range(n):
        value = right[i] if free[i] else 0.0
        for k in range(i):
            value -= factor[i, k] * solution[k]
        solution[i] = value / factor[i, i]
    for i in range(n - 1, -1, -1):
        value = solution[i]
        for k in range(i + 1, n):
            value -= factor[k, i] * solution[k]
        solution[i] = value / factor[i, i]
    return True


@kernel
def levenberg_marquardt(  # type: ignore[no-untyped-def]
    parameters, free, lower, upper, max_iterations, points, weights, frame, beam_spot, volume, visible,
    constants, log_ke, slope, gradient, curvature,
):  # fmt: skip
    """Minimise the objective within bounds, in place; returns what `objective` does, at the minimum.

    Marquardt's scaling of the diagonal; the damping falls by 5 on success and grows by 4 on failure.
    """
    best = objective(
        parameters, points, weights, frame, beam_spot, volume, visible, constants, log_ke, slope, gradient, curvature
    )
    damping = 1e-3
    step, trial_gradient, trial_curvature = np.zeros(N_PARAMETERS), gradient.copy(), curvature.copy()
    for _ in range(max_iterations):
        damped = curvature.copy()
        for k in range(N_PARAMETERS):
            damped[k, k] = damped[k, k] * (1 + damping) + 1e-12
        if not solve_positive(damped, gradient, free, step):
            damping = max(damping * 10, 1e-3)
            if damping > 1e8:
                break
            continue
        trial = np.minimum(np.maximum(parameters - step, lower), upper)
        found = objective(
            trial, points, weights, frame, beam_spot, volume, visible, constants, log_ke, slope,
            trial_gradient, trial_curvature,
        )  # fmt: skip
        if found[0] < best[0]:
            gain = best[0] - found[0]
            parameters[:] = trial
            gradient[:] = trial_gradient
            curvature[:] = trial_curvature
            best = found
            if gain < 1e-4 and damping < 1e-2:
                break
            damping = max(damping / 5, 1e-9)
        else:
            damping *= 4
            if damping > 1e6:
                break
    return best


@kernel
def places(parameters, points, weights, frame, volume, scattering, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Where each point lies on the trajectory (n, 6).

    Path length, deviations across and along the beam [mm], cos of the angle between trajectory and beam, and the
    variances of the trajectory's position across and along the beam from multiple scattering [mm²].
    """
    path, states, _, _ = trajectories(parameters, frame, volume, constants, log_ke, slope)
    spread = scattering_spread(path, states, scattering, constants, log_ke, slope)
    found = np.empty((len(points), 6))
    for i in range(len(points)):
        x, y, z = points[i]
        cell, share = nearest_place(x, y, z, weights[i, 1] / weights[i, 0], path, states, len(path))
        px, py, pz = curve_point(path, states, cell, share)
        found[i, 0] = path[cell] + share * (path[cell + 1] - path[cell])
        found[i, 1] = math.hypot(x - px, y - py)
        found[i, 2] = z - pz
        found[i, 3] = curve_tangent(path, states, cell, share)[2]
        found[i, 4:] = (1 - share) * spread[cell] + share * spread[cell + 1]
    return found
