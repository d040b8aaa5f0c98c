"""What multiple scattering and energy-loss straggling do to a trajectory, as a few random kicks on its way.

The path is cut into slabs; in the middle of each the particle is deflected in two directions and its residual range
changed, at random with the slab's variance. Behind a kick the trajectory differs by a linear combination of the changes
that are known already (`sensitivity`): by the start's polar angle, Bρ and azimuthal angle, less what they are at the
kick's own place, the rest being a shift. So kicks need no trajectories of their own.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point
from spyral_core.fitting.scattering import deflection
from spyral_core.fitting.sensitivity import AZIMUTHAL, LOG_BRHO, N_PARAMETERS, POLAR
from spyral_core.physics.motion import SHORTEST_RANGE, ke_and_loss

STEPS_PER_SLAB, MOST_SLABS = 4, 80  # of the integration, 0.15 radii of curvature each at most
LEAST_SINE = 1e-3


@kernel
def slabs_of(path, states, noise, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Slabs of a trajectory: path lengths of their middles (m,) [mm], and standard sizes (m, 3) of the kicks there.

    `noise` (2,): scattering and straggling of the gas (`scattering.Fluctuations`); without either there are no slabs.
    """
    n_steps = len(path) - 1
    per_slab = max((n_steps + MOST_SLABS - 1) // MOST_SLABS, STEPS_PER_SLAB)
    n_slabs = (n_steps + per_slab - 1) // per_slab if noise[0] + noise[1] > 0.0 else 0
    places, sizes = np.empty(n_slabs), np.empty((n_slabs, 3))
    for slab in range(n_slabs):
        first, last = slab * per_slab, min((slab + 1) * per_slab, n_steps)
        turned, lengthened = 0.0, 0.0
        for i in range(first, last):
            left, step = max(0.5 * (states[i, 6] + states[i + 1, 6]), SHORTEST_RANGE), path[i + 1] - path[i]
            turned += deflection(left, noise[0], constants, log_ke, slope) * step
            lengthened += noise[1] * (constants[0] / ke_and_loss(left, constants, log_ke, slope)[1]) ** 2 * step
        places[slab] = 0.5 * (path[first] + path[last])
        sizes[slab, 0] = sizes[slab, 1] = math.sqrt(turned)
        sizes[slab, 2] = math.sqrt(lengthened)
    return places, sizes


@kernel
def _state_at(path, states, cell, share):  # type: ignore[no-untyped-def]
    """State (7,) at a place, or its change: position on the curve, direction and range by linear interpolation."""
    state = (1 - share) * states[cell] + share * states[cell + 1]
    state[0], state[1], state[2] = curve_point(path, states, cell, share)
    return state


@kernel
def _combine(state, by_polar, by_brho, turn, lift, lengthen):  # type: ignore[no-untyped-def]
    """Shares (polar, ln Bρ, azimuth) of the start's changes (7,) that kick a state (see `sensitivity.kick`)."""
    across = max(math.hypot(state[3], state[4]), LEAST_SINE)
    wanted = -across * lift
    determinant = by_polar[5] * by_brho[6] - by_brho[5] * by_polar[6]
    polar = (wanted * by_brho[6] - by_brho[5] * lengthen) / determinant
    brho = (by_polar[5] * lengthen - wanted * by_polar[6]) / determinant
    dx, dy = polar * by_polar[3] + brho * by_brho[3], polar * by_polar[4] + brho * by_brho[4]
    return polar, brho, turn / across - (state[3] * dy - state[4] * dx) / across**2


@kernel
def effects_of(places, sizes, path, states, changes):  # type: ignore[no-untyped-def]
    """What a standard kick does behind its place: shares (3 m, 3) of the changes by polar angle, ln Bρ and azimuth.

    Also the place's own changes (3 m, 3) [mm], to be taken off, and from which path length (3 m,) on: never, for a kick
    that the trajectory does not reach.
    """
    n_kicks = 3 * len(places)
    shares, own, start = np.zeros((n_kicks, 3)), np.zeros((n_kicks, 3)), np.full(n_kicks, np.inf)
    for slab in range(len(places)):
        if places[slab] >= path[len(path) - 1]:
            continue
        cell = max(int(np.searchsorted(path, places[slab])) - 1, 0)
        share = (places[slab] - path[cell]) / (path[cell + 1] - path[cell])
        state = _state_at(path, states, cell, share)
        by_polar = _state_at(path, changes[POLAR], cell, share)
        by_brho = _state_at(path, changes[LOG_BRHO], cell, share)
        by_azimuth = _state_at(path, changes[AZIMUTHAL], cell, share)
        for kind in range(3):
            k = 3 * slab + kind
            start[k] = places[slab]
            shares[k] = _combine(
                state,
                by_polar,
                by_brho,
                sizes[slab, 0] if kind == 0 else 0.0,
                sizes[slab, 1] if kind == 1 else 0.0,
                sizes[slab, 2] if kind == 2 else 0.0,
            )
            for axis in range(3):
                own[k, axis] = (
                    shares[k, 0] * by_polar[axis] + shares[k, 1] * by_brho[axis] + shares[k, 2] * by_azimuth[axis]
                )
    return shares, own, start


@kernel
def add_kicks(at, shares, own, start, change):  # type: ignore[no-untyped-def]
    """Append to the changes (6 + k, 3) of a place at path length `at` those by the kicks before it."""
    for k in range(len(start)):
        for axis in range(3):
            change[N_PARAMETERS + k, axis] = 0.0
            if start[k] < at:
                change[N_PARAMETERS + k, axis] = (
                    shares[k, 0] * change[POLAR, axis]
                    + shares[k, 1] * change[LOG_BRHO, axis]
                    + shares[k, 2] * change[AZIMUTHAL, axis]
                    - own[k, axis]
                )
