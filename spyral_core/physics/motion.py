"""A charged particle in gas, magnetic and electric field.

The path length s is the independent variable and the state is (x, y, z, ux, uy, uz, R): position [mm], unit vector of
the momentum, residual range [mm]. With the energy loss dT/ds = −S(T) + q E·u and R = ∫ dT/S,

    dr/ds = u,   du/ds = q/p (u × B + (E − (E·u) u)/v),   dR/ds = −1 + q E·u / S,

so that without electric field the energy loss is exact whatever the step. Fields along −z: B = (0, 0, −B),
E = (0, 0, −E).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.nuclei import nuclear_mass

CURVATURE_PER_TESLA = 0.299792458  # MeV/c per (T mm) for one charge
SPEED_OF_LIGHT = 299792458.0  # m/s
STEP_OF_RADIUS = 0.15  # step as a share of the radius of curvature: error of a step 6e-7 radii
STEP_OF_RANGE = 0.2  # step as a share of the residual range
LONGEST_STEP = 25.0  # mm
SHORTEST_RANGE = 0.02  # mm: here a particle is at rest


@dataclass(frozen=True)
class Motion:
    """Everything that fixes the motion of one nucleus but its start, in the form that the kernels take.

    `constants` = (charge [e], mass [MeV], B [T], E [V/m], ln of the table's first range, step of ln range);
    `log_ke`, `slope`: the stopping table (see `gas.StoppingTable`).
    """

    constants: NDArray[np.float64]
    log_ke: NDArray[np.float64]
    slope: NDArray[np.float64]


def motion_of(gas: GasTarget, Z: int, A: int, magnetic_field: float, electric_field: float) -> Motion:
    """The motion of a nucleus in a gas and fields B [T] and E [V/m], positive along −z."""
    table = gas.stopping(Z, A)
    constants = np.array(
        [Z, nuclear_mass(Z, A), magnetic_field, electric_field, table.log_range_start, table.log_range_step]
    )
    return Motion(constants, table.log_ke, table.slope)


@kernel
def ke_and_loss(residual_range, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Kinetic energy [MeV] and dE/dx [MeV/mm] at a residual range [mm]; below the table as at its first range."""
    place = (math.log(max(residual_range, 1e-12)) - constants[4]) / constants[5]
    cell = min(max(int(place), 0), len(log_ke) - 2)
    t = min(max(place - cell, 0.0), 1.0)
    h = constants[5]
    y0, y1, m0, m1 = log_ke[cell], log_ke[cell + 1], h * slope[cell], h * slope[cell + 1]
    c2, c3 = 3 * (y1 - y0) - 2 * m0 - m1, 2 * (y0 - y1) + m0 + m1
    ke = math.exp(y0 + t * (m0 + t * (c2 + t * c3)))
    return ke, ke / max(residual_range, 1e-12) * (m0 + t * (2 * c2 + 3 * t * c3)) / h


@kernel
def range_of(ke, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Residual range [mm] at a kinetic energy [MeV]: bisection on the table, then Newton's method."""
    wanted = math.log(ke)
    low, high = 0, len(log_ke) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if log_ke[middle] > wanted:
            high = middle
        else:
            low = middle
    share = (wanted - log_ke[low]) / (log_ke[high] - log_ke[low])
    log_range = constants[4] + constants[5] * (low + share)
    for _ in range(5):
        value, loss = ke_and_loss(math.exp(log_range), constants, log_ke, slope)
        log_range += (wanted - math.log(value)) * value / (loss * math.exp(log_range))
    return math.exp(log_range)


@kernel
def momentum_of(ke, mass):  # type: ignore[no-untyped-def]
    """Momentum [MeV/c] at a kinetic energy [MeV]."""
    return math.sqrt(ke * (ke + 2 * mass))


@kernel
def derivative(ux, uy, uz, residual_range, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """d(ux, uy, uz, R)/ds [1/mm, …]; see the head of this file."""
    charge, mass, field, electric = constants[0], constants[1], constants[2], constants[3]
    ke, loss = ke_and_loss(residual_range, constants, log_ke, slope)
    momentum = momentum_of(ke, mass)
    turn = CURVATURE_PER_TESLA * charge / momentum
    push = electric * (ke + mass) / momentum / SPEED_OF_LIGHT  # E/v [T]
    dux = turn * (-uy * field + push * uz * ux)
    duy = turn * (ux * field + push * uz * uy)
    duz = turn * push * (uz * uz - 1.0)
    return dux, duy, duz, -1.0 - charge * electric * 1e-9 * uz / loss


@kernel
def advance(state, step, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Move a state (7,) in place along `step` mm of path: the classical Runge–Kutta method of fourth order."""
    x, y, z, ux, uy, uz, left = state
    a1, b1, c1, d1 = derivative(ux, uy, uz, left, constants, log_ke, slope)
    h = 0.5 * step
    ux2, uy2, uz2 = ux + h * a1, uy + h * b1, uz + h * c1
    a2, b2, c2, d2 = derivative(ux2, uy2, uz2, left + h * d1, constants, log_ke, slope)
    ux3, uy3, uz3 = ux + h * a2, uy + h * b2, uz + h * c2
    a3, b3, c3, d3 = derivative(ux3, uy3, uz3, left + h * d2, constants, log_ke, slope)
    ux4, uy4, uz4 = ux + step * a3, uy + step * b3, uz + step * c3
    a4, b4, c4, d4 = derivative(ux4, uy4, uz4, left + step * d3, constants, log_ke, slope)
    sixth = step / 6
    state[0] = x + sixth * (ux + 2 * ux2 + 2 * ux3 + ux4)
    state[1] = y + sixth * (uy + 2 * uy2 + 2 * uy3 + uy4)
    state[2] = z + sixth * (uz + 2 * uz2 + 2 * uz3 + uz4)
    ux += sixth * (a1 + 2 * a2 + 2 * a3 + a4)
    uy += sixth * (b1 + 2 * b2 + 2 * b3 + b4)
    uz += sixth * (c1 + 2 * c2 + 2 * c3 + c4)
    norm = 1 / math.sqrt(ux * ux + uy * uy + uz * uz)
    state[3], state[4], state[5] = ux * norm, uy * norm, uz * norm
    state[6] = left + sixth * (d1 + 2 * d2 + 2 * d3 + d4)


@kernel
def step_length(residual_range, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """The longest path [mm] that one step may take: shares of the radius of curvature and of the residual range."""
    ke, _ = ke_and_loss(residual_range, constants, log_ke, slope)
    momentum = momentum_of(ke, constants[1])
    radius = momentum / (CURVATURE_PER_TESLA * constants[0] * max(constants[2], 1e-6))
    return min(STEP_OF_RADIUS * radius, STEP_OF_RANGE * residual_range, LONGEST_STEP)


@kernel
def start_state(start, constants, log_ke, slope, state):  # type: ignore[no-untyped-def]
    """Fill a state (7,) from a start (6,): x, y, z [mm], ke [MeV], polar, azimuthal [rad]."""
    sine = math.sin(start[4])
    state[0], state[1], state[2] = start[0], start[1], start[2]
    state[3], state[4], state[5] = sine * math.cos(start[5]), sine * math.sin(start[5]), math.cos(start[4])
    state[6] = range_of(start[3], constants, log_ke, slope)


@kernel
def follow(start, volume, constants, log_ke, slope, path, states):  # type: ignore[no-untyped-def]
    """Integrate from a start (6,) until the particle stops, leaves the volume, or the room for states is full.

    `volume` = (radius, smallest z, largest z) [mm]. Fills `path` (n,) [mm] and `states` (n, 7); returns how many and
    whether it stopped. The last state may lie a step outside the volume.
    """
    state = np.empty(7)
    start_state(start, constants, log_ke, slope, state)
    path[0] = 0.0
    states[0] = state
    for i in range(1, len(path)):
        if state[6] <= SHORTEST_RANGE:
            return i, True
        if state[0] ** 2 + state[1] ** 2 > volume[0] ** 2 or state[2] < volume[1] or state[2] > volume[2]:
            return i, False
        step = step_length(state[6], constants, log_ke, slope)
        advance(state, step, constants, log_ke, slope)
        path[i] = path[i - 1] + step
        states[i] = state
    return len(path), False


def trajectory(
    motion: Motion,
    start: NDArray[np.float64],
    volume: tuple[float, float, float] = (292.0, 0.0, 1000.0),
    max_states: int = 4000,
) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
    """Path length [mm] (n,), states (n, 7) and whether the particle stopped; see `follow`.

    Between two states the path is a cubic Hermite curve, the unit vectors being its tangents (`dense`).
    """
    path, states = np.empty(max_states), np.empty((max_states, 7))
    n_states, stopped = follow(
        np.asarray(start, dtype=float), np.array(volume), motion.constants, motion.log_ke, motion.slope, path, states
    )
    return path[:n_states], states[:n_states], stopped


def dense(path: NDArray[np.float64], states: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Positions (n, 3) [mm] on the curve through the states, every `spacing` mm."""
    s = np.append(np.arange(0.0, path[-1], spacing), path[-1])
    cell = np.clip(np.searchsorted(path, s, side="right") - 1, 0, len(path) - 2)
    h = (path[cell + 1] - path[cell])[:, None]
    t = (s - path[cell])[:, None] / h
    r0, r1, u0, u1 = states[cell, :3], states[cell + 1, :3], h * states[cell, 3:6], h * states[cell + 1, 3:6]
    curve: NDArray[np.float64] = r0 + t * (u0 + t * (3 * (r1 - r0) - 2 * u0 - u1 + t * (2 * (r0 - r1) + u0 + u1)))
    return curve
