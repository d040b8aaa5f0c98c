"""A trajectory and how it changes with the fit's parameters, at fixed path length.

Parameters: two of the vertex across the beam, vertex z [mm], ln Bρ [T m], polar and azimuthal angle [rad]. Gas and
fields are the same along z and around the beam: a moved vertex moves the whole trajectory, a turned start turns it
about the vertex. Only ln Bρ and the polar angle need trajectories of their own, integrated over the same steps. On its
way the particle may be kicked: deflected, its residual range changed (`deflections`).
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.physics.motion import CURVATURE_PER_TESLA, SHORTEST_RANGE, advance, follow, start_state, step_length

N_PARAMETERS = 6
LOG_BRHO, POLAR, AZIMUTHAL = 3, 4, 5
DIFFERENCE = 1e-5  # of ln Bρ and of the polar angle [rad]
MAX_STATES = 1500


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
    momentum = 1e3 * CURVATURE_PER_TESLA * mass_charge[1] * math.exp(parameters[LOG_BRHO])
    start[2] = parameters[2]
    start[3] = momentum**2 / (math.sqrt(momentum**2 + mass_charge[0] ** 2) + mass_charge[0])
    start[4], start[5] = parameters[POLAR], parameters[AZIMUTHAL]
    return start


@kernel
def kick(state, turn, lift, lengthen):  # type: ignore[no-untyped-def]
    """Turn a state by `turn` and `lift` [rad] across and along its polar angle, and lengthen its range [mm]."""
    ux, uy, uz = state[3], state[4], state[5]
    across = max(math.hypot(ux, uy), 1e-9)
    ux, uy, uz = (
        ux - uy / across * turn + ux * uz / across * lift,
        uy + ux / across * turn + uy * uz / across * lift,
        uz - across * lift,
    )
    norm = 1.0 / math.sqrt(ux * ux + uy * uy + uz * uz)
    state[3], state[4], state[5] = ux * norm, uy * norm, uz * norm
    state[6] = max(state[6] + lengthen, 0.25 * SHORTEST_RANGE)


@kernel
def follow_kicked(start, volume, places, kicks, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """`motion.follow` of a particle that is kicked (m, 3) at path lengths `places` (m,) [mm], in rising order.

    Returns path (n,) [mm], states (n, 7) and whether it stops.
    """
    path, states, state, following = np.empty(MAX_STATES), np.empty((MAX_STATES, 7)), np.empty(7), 0
    start_state(start, constants, log_ke, slope, state)
    path[0] = 0.0
    states[0] = state
    for i in range(1, len(path)):
        stops = state[6] <= SHORTEST_RANGE
        if stops or state[0] ** 2 + state[1] ** 2 > volume[0] ** 2 or state[2] < volume[1] or state[2] > volume[2]:
            return path[:i], states[:i], stops
        path[i] = path[i - 1] + step_length(state[6], constants, log_ke, slope)
        meets = following < len(places) and path[i] >= places[following]
        if meets:
            path[i] = places[following]
        advance(state, path[i] - path[i - 1], constants, log_ke, slope)
        if meets:
            kick(state, kicks[following, 0], kicks[following, 1], kicks[following, 2])
            following += 1
        states[i] = state
    return path, states, False


@kernel
def repeat_steps(start, path, constants, log_ke, slope, states):  # type: ignore[no-untyped-def]
    """Integrate over the steps of an earlier trajectory from another start; fills `states` (n, 7)."""
    state = np.empty(7)
    start_state(start, constants, log_ke, slope, state)
    states[0] = state
    for i in range(1, len(path)):
        advance(state, path[i] - path[i - 1], constants, log_ke, slope)
        state[6] = max(state[6], 0.25 * SHORTEST_RANGE)
        states[i] = state


@kernel
def trajectory_and_changes(parameters, frame, volume, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Path (n,) [mm], states (n, 7), their derivatives (6, n, 7) by the parameters, and whether the particle stops."""
    mass_charge = (constants[1], constants[0])
    path, states = np.empty(MAX_STATES), np.empty((MAX_STATES, 7))
    n_states, stops = follow(start_of(parameters, frame, mass_charge), volume, constants, log_ke, slope, path, states)
    path, states = path[:n_states], states[:n_states]
    changes = np.zeros((N_PARAMETERS, n_states, 7))
    for k in (LOG_BRHO, POLAR):
        shifted = parameters.copy()
        shifted[k] += DIFFERENCE
        repeat_steps(start_of(shifted, frame, mass_charge), path, constants, log_ke, slope, changes[k])
        for i in range(n_states):
            for axis in range(7):
                changes[k, i, axis] = (changes[k, i, axis] - states[i, axis]) / DIFFERENCE
    _move_vertex(parameters, frame, changes)
    changes[2, :, 2] = 1.0
    for i in range(n_states):
        changes[AZIMUTHAL, i, 0] = states[0, 1] - states[i, 1]
        changes[AZIMUTHAL, i, 1] = states[i, 0] - states[0, 0]
        changes[AZIMUTHAL, i, 3] = -states[i, 4]
        changes[AZIMUTHAL, i, 4] = states[i, 3]
    return path, states, changes, stops


@kernel
def _move_vertex(parameters, frame, changes):  # type: ignore[no-untyped-def]
    """Derivatives by the two parameters of the vertex across the beam."""
    if frame[0] == 0.0:
        changes[0, :, 0] = 1.0
        changes[1, :, 1] = 1.0
    else:
        cosine, sine = math.cos(parameters[1]), math.sin(parameters[1])
        changes[0, :, 0], changes[0, :, 1] = cosine, sine
        changes[1, :, 0], changes[1, :, 1] = -parameters[0] * sine, parameters[0] * cosine
