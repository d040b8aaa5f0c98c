"""Covariance of a fit's parameters: what the scatter of the points, and the particle's own, do to them.

At the minimum the parameters follow small displacements of the points linearly: δp = H⁻¹ Σ Jᵢᵀ Wᵢ δrᵢ, with H the
Gauss–Newton matrix, J the derivatives and W the weights. Independent errors of the points give
H⁻¹ (Σ Jᵢᵀ Wᵢ Vᵢ Wᵢ Jᵢ) H⁻¹; a deflection somewhere on the track displaces all points behind it together, and adds
(its variance) g gᵀ with g = H⁻¹ Σ Jᵢᵀ Wᵢ ∂rᵢ/∂(deflection): the linear propagation of correlated errors.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point
from spyral_core.fitting.scattering import deflection
from spyral_core.fitting.track_fit import N_PARAMETERS, cauchy, deviate, trajectories
from spyral_core.physics.motion import SHORTEST_RANGE, advance, ke_and_loss

ANGLE, RANGE_SHARE = 1e-4, 1e-3  # differences: rad, share of the residual range


@kernel
def influences(parameters, points, weights, frame, volume, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """How strongly each point pulls: Jᵢᵀ Wᵢ (n, 6, 3), its place (cells (n,), shares (n,)), and the trajectory."""
    path, states, moved, stops = trajectories(parameters, frame, volume, constants, log_ke, slope)
    pull, cells, shares = (
        np.empty((len(points), N_PARAMETERS, 3)),
        np.empty(len(points), np.int64),
        np.empty(len(points)),
    )
    deviation, change, along = np.empty(3), np.empty((N_PARAMETERS, 3)), np.empty(N_PARAMETERS)
    for i in range(len(points)):
        weight, weight_z = weights[i]
        cells[i], shares[i] = deviate(points[i], weight, weight_z, path, states, moved, stops, deviation, change, along)
        squared = weight * (deviation[0] ** 2 + deviation[1] ** 2) + weight_z * deviation[2] ** 2
        factor = cauchy(squared)[1]
        for k in range(N_PARAMETERS):
            pull[i, k, 0] = factor * weight * change[k, 0]
            pull[i, k, 1] = factor * weight * change[k, 1]
            pull[i, k, 2] = factor * weight_z * change[k, 2]
    return pull, cells, shares, path, states


@kernel
def displaced(first, start, path, pull, cells, shares, states, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Σ Jᵢᵀ Wᵢ δrᵢ (6,) when the state `first` of the trajectory is replaced by `start` (7,)."""
    other, state = states.copy(), start.copy()
    other[first] = state
    for i in range(first + 1, len(path)):
        advance(state, path[i] - path[i - 1], constants, log_ke, slope)
        state[6] = max(state[6], 0.25 * SHORTEST_RANGE)
        other[i] = state
    total = np.zeros(N_PARAMETERS)
    for i in range(len(cells)):
        if cells[i] < first:
            continue
        px, py, pz = curve_point(path, states, cells[i], shares[i])
        qx, qy, qz = curve_point(path, other, cells[i], shares[i])
        for k in range(N_PARAMETERS):
            total[k] += pull[i, k, 0] * (qx - px) + pull[i, k, 1] * (qy - py) + pull[i, k, 2] * (qz - pz)
    return total


@kernel
def correlated_errors(  # type: ignore[no-untyped-def]
    pull, cells, shares, path, states, scattering, straggling, constants, log_ke, slope
):
    """Σ over all deflections and fluctuations of the energy loss of (variance) (Σ JᵀW δr)(Σ JᵀW δr)ᵀ, (6, 6)."""
    matrix = np.zeros((N_PARAMETERS, N_PARAMETERS))
    for j in range(len(path) - 1):
        step, state = path[j + 1] - path[j], states[j]
        per_mm, _ = deflection(state[6], scattering, constants, log_ke, slope)
        ux, uy, uz = state[3], state[4], state[5]
        sine = max(math.hypot(ux, uy), 1e-9)
        for direction in ((-uy / sine, ux / sine, 0.0), (ux * uz / sine, uy * uz / sine, -sine)):
            turned = state.copy()
            for axis in range(3):
                turned[3 + axis] += ANGLE * direction[axis]
            moved = displaced(j, turned, path, pull, cells, shares, states, constants, log_ke, slope)
            matrix += (per_mm * step / ANGLE**2) * np.outer(moved, moved)
        _, loss = ke_and_loss(state[6], constants, log_ke, slope)
        shortened = state.copy()
        shortened[6] *= 1 - RANGE_SHARE
        moved = displaced(j, shortened, path, pull, cells, shares, states, constants, log_ke, slope)
        variance = straggling * constants[0] ** 2 * step / loss**2
        matrix += (variance / (RANGE_SHARE * state[6]) ** 2) * np.outer(moved, moved)
    return matrix


@kernel
def independent_errors(pull, variance):  # type: ignore[no-untyped-def]
    """Σ Jᵢᵀ Wᵢ Vᵢ Wᵢ Jᵢ (6, 6) of points with variances (n, 2) [mm²] across and along the beam."""
    matrix = np.zeros((N_PARAMETERS, N_PARAMETERS))
    for i in range(len(pull)):
        for k in range(N_PARAMETERS):
            for m in range(N_PARAMETERS):
                across = pull[i, k, 0] * pull[i, m, 0] + pull[i, k, 1] * pull[i, m, 1]
                matrix[k, m] += variance[i, 0] * across + variance[i, 1] * pull[i, k, 2] * pull[i, m, 2]
    return matrix
