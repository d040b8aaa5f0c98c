"""A charged particle through gas and fields, step by step, with energy loss, its straggling and multiple scattering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.config.simulation import SimulatedDetector
from spyral_core.simulate.medium import Medium, rates_at

# Momentum [MeV/c] gained per mm of path by a unit charge in 1 T: c in units of 1e9 m/s.
TESLA_MM = 0.299792458
# Largest share of the kinetic energy lost on average in one step: keeps the rates constant along it.
LOSS_PER_STEP = 0.03
SHORTEST_STEP = 0.02  # mm
MOST_STEPS = 1_000_000  # a particle that circles for a kilometre in a near vacuum is given up as gone

LEFT, STOPPED, AT_PLANE = 0, 1, 2


@dataclass(frozen=True)
class Track:
    """One particle's way: points (n + 1, 3) [mm], energy deposited between them (n,) [MeV], its end.

    `end` is STOPPED in the gas, LEFT it, or AT_PLANE (reached the z where it was to stop); `momentum` (3,) [MeV/c] is
    that at the end; `turn` [rad] is the change of the momentum's azimuth, signed.
    """

    points: NDArray[np.float64]
    deposits: NDArray[np.float64]
    momentum: NDArray[np.float64]
    turn: float
    end: int


@kernel
def _force(
    momentum: NDArray[np.float64],
    mass: float,
    charge: float,
    magnetic: float,
    electric: float,
    stopping: float,
    out: NDArray[np.float64],
) -> None:
    """dp/ds [MeV/c per mm] in B = (0, 0, −magnetic) [T], E = (0, 0, −electric) [V/m], stopping power [MeV/mm]."""
    px, py, pz = momentum[0], momentum[1], momentum[2]
    p = np.sqrt(px * px + py * py + pz * pz)
    inverse_beta = np.sqrt(p * p + mass * mass) / p
    bend = TESLA_MM * charge * magnetic / p
    brake = stopping * inverse_beta / p
    out[0] = -bend * py - brake * px
    out[1] = bend * px - brake * py
    out[2] = -charge * electric * 1e-9 * inverse_beta - brake * pz


@kernel
def rk4_step(
    position: NDArray[np.float64],
    momentum: NDArray[np.float64],
    step: float,
    mass: float,
    charge: float,
    magnetic: float,
    electric: float,
    stopping: float,
) -> None:
    """Classical Runge–Kutta step of `step` mm along the path, in place; the stopping power is that of the step."""
    force = np.empty((4, 3))
    direction = np.empty((4, 3))
    probe = momentum.copy()
    for stage in range(4):
        if stage > 0:
            part = 1.0 if stage == 3 else 0.5
            for axis in range(3):
                probe[axis] = momentum[axis] + part * step * force[stage - 1, axis]
        p = np.sqrt(probe[0] ** 2 + probe[1] ** 2 + probe[2] ** 2)
        for axis in range(3):
            direction[stage, axis] = probe[axis] / p
        _force(probe, mass, charge, magnetic, electric, stopping, force[stage])
    for axis in range(3):
        position[axis] += (
            step * (direction[0, axis] + 2.0 * direction[1, axis] + 2.0 * direction[2, axis] + direction[3, axis]) / 6.0
        )
        momentum[axis] += step * (force[0, axis] + 2.0 * force[1, axis] + 2.0 * force[2, axis] + force[3, axis]) / 6.0


@kernel
def deflect(momentum: NDArray[np.float64], angle_a: float, angle_b: float) -> None:
    """Turn a momentum by two small projected angles [rad] about axes across it, in place; its size stays."""
    px, py, pz = momentum[0], momentum[1], momentum[2]
    p = np.sqrt(px * px + py * py + pz * pz)
    ux, uy, uz = px / p, py / p, pz / p
    # any two directions across u; the one built from the axis that u is least along is safe
    if abs(uz) < 0.9:
        norm = np.sqrt(ux * ux + uy * uy)
        ax, ay, az = -uy / norm, ux / norm, 0.0
    else:
        norm = np.sqrt(uy * uy + uz * uz)
        ax, ay, az = 0.0, uz / norm, -uy / norm
    bx, by, bz = uy * az - uz * ay, uz * ax - ux * az, ux * ay - uy * ax
    angle = np.sqrt(angle_a * angle_a + angle_b * angle_b)
    if angle == 0.0:
        return
    across, along = np.sin(angle) / angle, np.cos(angle)
    momentum[0] = p * (along * ux + across * (angle_a * ax + angle_b * bx))
    momentum[1] = p * (along * uy + across * (angle_a * ay + angle_b * by))
    momentum[2] = p * (along * uz + across * (angle_a * az + angle_b * bz))


@kernel
def lose(mean: float, variance: float, rng: np.random.Generator) -> float:
    """An energy loss: gamma-distributed of given mean and variance, so never negative.

    Sums of such losses over shorter steps have the same distribution: cutting a path differently changes nothing.
    """
    if variance <= 0.0 or mean <= 0.0:
        return mean
    return rng.standard_gamma(mean * mean / variance) * variance / mean


@kernel
def propagate(  # noqa: PLR0912, PLR0915  (one loop over steps; what it does in a step is in the kernels above)
    start: NDArray[np.float64],
    start_momentum: NDArray[np.float64],
    mass: float,
    charge: float,
    log_energy_min: float,
    log_energy_step: float,
    rates: NDArray[np.float64],
    stop_energy: float,
    magnetic: float,
    electric: float,
    radius: float,
    length: float,
    plane: float,
    longest_step: float,
    straggling: bool,
    scattering: bool,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, int]:
    """Follow a particle until it stops, leaves 0 < z < length or the radius, or reaches z = plane.

    `rates` (3, n) are those of `medium.Medium`. Returns the fields of `Track` in order.
    """
    size = 4096
    points = np.empty((size + 1, 3))
    deposits = np.empty(size)
    position = start.copy()
    momentum = start_momentum.copy()
    for axis in range(3):
        points[0, axis] = position[axis]
    n, turn, end = 0, 0.0, LEFT
    while n < MOST_STEPS:
        p2 = momentum[0] ** 2 + momentum[1] ** 2 + momentum[2] ** 2
        energy = p2 / (np.sqrt(p2 + mass * mass) + mass)
        if energy <= stop_energy:
            if n > 0:
                deposits[n - 1] += energy
            end = STOPPED
            break
        if n == size:
            size *= 2
            points = np.concatenate((points, np.empty((size // 2, 3))))
            deposits = np.concatenate((deposits, np.empty(size // 2)))
        stopping = rates_at(energy, log_energy_min, log_energy_step, rates[0])
        step = min(longest_step, max(LOSS_PER_STEP * energy / stopping, SHORTEST_STEP))
        along = momentum[2] / np.sqrt(p2)
        if along > 0.0 and plane > position[2] and step * along > plane - position[2]:
            step = max((plane - position[2]) / along, 1e-6)
        middle = max(energy - 0.5 * stopping * step, 0.5 * stop_energy)
        stopping = rates_at(middle, log_energy_min, log_energy_step, rates[0])
        mean = stopping * step
        loss = mean
        if straggling:
            variance = rates_at(middle, log_energy_min, log_energy_step, rates[1]) * step
            loss = lose(mean, variance, rng)
        old_x, old_y = momentum[0], momentum[1]
        if loss >= energy - stop_energy:
            # the end of the range: what is left is deposited over the way it still makes
            step *= energy / loss if loss > energy else 1.0
            p = np.sqrt(p2)
            for axis in range(3):
                position[axis] += step * momentum[axis] / p
                points[n + 1, axis] = position[axis]
            deposits[n] = energy
            n += 1
            end = STOPPED
            break
        rk4_step(position, momentum, step, mass, charge, magnetic, electric, loss / step)
        if scattering:
            sigma = np.sqrt(rates_at(middle, log_energy_min, log_energy_step, rates[2]) * step)
            deflect(momentum, sigma * rng.standard_normal(), sigma * rng.standard_normal())
        turn += np.arctan2(old_x * momentum[1] - old_y * momentum[0], old_x * momentum[0] + old_y * momentum[1])
        for axis in range(3):
            points[n + 1, axis] = position[axis]
        deposits[n] = loss
        n += 1
        if position[2] >= plane - 1e-6 and momentum[2] > 0.0:
            end = AT_PLANE
            break
        if position[0] ** 2 + position[1] ** 2 >= radius * radius or position[2] <= 0.0 or position[2] >= length:
            break
    return points[: n + 1].copy(), deposits[:n].copy(), momentum, turn, end


def transport(
    start: NDArray[np.float64],
    momentum: NDArray[np.float64],
    medium: Medium,
    detector: SimulatedDetector,
    rng: np.random.Generator,
    plane: float = np.inf,
) -> Track:
    """Follow a particle from `start` [mm] with `momentum` [MeV/c] through the detector, at most to z = `plane` [mm]."""
    return Track(
        *propagate(
            start,
            momentum,
            medium.mass,
            float(medium.charge),
            medium.log_energy_min,
            medium.log_energy_step,
            medium.rates,
            medium.stop_energy,
            detector.magnetic_field,
            detector.electric_field,
            detector.detector_radius,
            detector.detector_length,
            plane,
            detector.step,
            detector.straggling,
            detector.scattering,
            rng,
        )
    )
