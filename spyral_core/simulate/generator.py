"""What happens in an event before the detector sees it: trigger, beam, vertex, reaction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spyral_core.config.simulation import SimulatedBeam, SimulatedParticles, SimulatedReaction
from spyral_core.physics.kinematics import two_body
from spyral_core.simulate.ion_chamber import BOTH_TRIGGERS, DOWNSCALED_TRIGGER, MESH_TRIGGER

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """The kind of an event: register value, whether the beam was the contaminant, and the delay of a second beam
    particle [µs] (None without pile-up)."""

    trigger: int
    contaminant: bool
    pile_up: float | None


def plan(beam: SimulatedBeam, longest_delay: float, rng: np.random.Generator) -> Plan:
    """Draw the kind of an event; a second beam particle comes up to `longest_delay` [µs] after the first."""
    downscaled, both, contaminant, pile_up, delay = rng.random(5)
    trigger = BOTH_TRIGGERS if both < beam.both_triggers else MESH_TRIGGER
    return Plan(
        trigger=DOWNSCALED_TRIGGER if downscaled < beam.downscaled else trigger,
        contaminant=bool(contaminant < beam.contaminant),
        pile_up=float(delay * longest_delay) if pile_up < beam.pile_up else None,
    )


def beam_particle(
    reaction: SimulatedReaction, energy: float, mass: float, rng: np.random.Generator
) -> tuple[Vector, Vector]:
    """Position [mm] at the window and momentum [MeV/c] of a beam particle of mean kinetic energy [MeV]."""
    spot_x, spot_y, angle_x, angle_y, spread = rng.standard_normal(5)
    kinetic = energy * max(1.0 + reaction.beam_energy_spread * spread, 0.01)
    direction = np.array([reaction.beam_divergence * 1e-3 * angle_x, reaction.beam_divergence * 1e-3 * angle_y, 1.0])
    momentum = np.sqrt(kinetic * (kinetic + 2.0 * mass)) * direction / np.linalg.norm(direction)
    return np.array([reaction.beam_spot * spot_x, reaction.beam_spot * spot_y, 0.0]), momentum


def react(
    reaction: SimulatedReaction,
    masses: tuple[float, float, float, float],
    beam_momentum: Vector,
    rng: np.random.Generator,
) -> tuple[Vector, Vector] | None:
    """Momenta [MeV/c] of particles 3 and 4; None if the beam's energy does not suffice.

    The centre-of-mass angle is uniform in cosine between the configured limits, the azimuth uniform.
    """
    low, high = np.cos(np.radians(reaction.angle_max)), np.cos(np.radians(reaction.angle_min))
    cm_angle, azimuth = np.arccos(rng.uniform(low, high)), rng.uniform(0.0, 2.0 * np.pi)
    square = float(beam_momentum @ beam_momentum)
    kinetic = square / (np.sqrt(square + masses[0] ** 2) + masses[0])
    ke3, polar3, ke4, polar4 = (float(value) for value in two_body(*masses, kinetic, cm_angle))
    if not np.isfinite(ke3 + ke4):
        return None
    axis = beam_momentum / np.sqrt(square)
    return (
        _momentum(ke3, masses[2], polar3, azimuth, axis),
        _momentum(ke4, masses[3], polar4, azimuth + np.pi, axis),
    )


def _momentum(kinetic: float, mass: float, polar: float, azimuth: float, axis: Vector) -> Vector:
    """A momentum at angles against `axis`, a unit vector."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(axis[1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    first = np.cross(helper, axis)
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    direction = np.sin(polar) * (np.cos(azimuth) * first + np.sin(azimuth) * second) + np.cos(polar) * axis
    size: float = np.sqrt(kinetic * (kinetic + 2.0 * mass))
    return np.asarray(size * direction)


Z_AXIS = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Start:
    """How a single particle starts: kinetic energy [MeV], polar angle against z and azimuth [rad], z of vertex [mm]."""

    ke: float
    polar: float
    azimuthal: float
    vertex_z: float

    def momentum(self, mass: float) -> Vector:
        """Momentum [MeV/c] of a particle of a mass [MeV]."""
        return _momentum(self.ke, mass, self.polar, self.azimuthal, Z_AXIS)


def cells_of(particles: SimulatedParticles, numbers: ArrayLike) -> tuple[NDArray[np.intp], ...]:
    """Cells in energy, angle and vertex that events go to by their numbers: in turn through all."""
    return np.unravel_index(np.asarray(numbers) % math.prod(particles.shape), particles.shape)


def single_particle(particles: SimulatedParticles, number: int, rng: np.random.Generator) -> Start:
    """The particle of event `number`: uniform in its cell, in kinetic energy, angle and z."""
    edges = (particles.energies, particles.angles, particles.vertices)
    ke, polar, vertex_z = (
        float(rng.uniform(axis[place], axis[place + 1]))
        for axis, place in zip(edges, cells_of(particles, number), strict=True)
    )
    return Start(ke, math.radians(polar), float(rng.uniform(0.0, 2.0 * np.pi)), vertex_z)
