"""Relativistic two-body kinematics: beam 1 on target 2 at rest, to particles 3 and 4."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Reals = NDArray[np.float64]


def two_body(
    m1: float, m2: float, m3: float, m4: float, beam_energy: ArrayLike, cm_angle: ArrayLike
) -> tuple[Any, Any, Any, Any]:
    """Kinetic energies [MeV] and polar angles [rad] in the laboratory of both products.

    m1 … m4 are masses [MeV], excitation included; `beam_energy` is the kinetic energy of 1 [MeV], `cm_angle` the angle
    of 3 against the beam in the centre of mass [rad]; both may be arrays. Returns (ke3, polar3, ke4, polar4) of their
    common shape; nan where the energy does not suffice for the reaction.

    Source: Lorentz boost of the two-body state, Particle Data Group, Review of Particle Physics, "Kinematics".
    """
    kinetic = np.asarray(beam_energy, dtype=np.float64)
    angle = np.asarray(cm_angle, dtype=np.float64)
    total = kinetic + m1 + m2
    beam_momentum = np.sqrt(kinetic * (kinetic + 2.0 * m1))
    # energy over the threshold, written so that it does not cancel for elastic scattering near zero energy
    invariant = (m1 + m2) ** 2 + 2.0 * m2 * kinetic
    s = np.where(invariant >= (m3 + m4) ** 2, invariant, np.nan)
    cm_momentum = np.sqrt(np.maximum((s - (m3 + m4) ** 2) * (s - (m3 - m4) ** 2), 0.0) / (4.0 * s))
    gamma, gamma_beta = total / np.sqrt(s), beam_momentum / np.sqrt(s)
    along, across = cm_momentum * np.cos(angle), cm_momentum * np.sin(angle)
    ke3, polar3 = _boost(m3, along, across, gamma, gamma_beta)
    ke4, polar4 = _boost(m4, -along, across, gamma, gamma_beta)
    return ke3, polar3, ke4, polar4


def _boost(mass: float, along: Reals, across: Reals, gamma: Reals, gamma_beta: Reals) -> tuple[Reals, Reals]:
    """Kinetic energy and polar angle in the laboratory, from the momentum in the centre of mass."""
    cm_energy = np.sqrt(mass**2 + along**2 + across**2)
    along_lab = gamma * along + gamma_beta * cm_energy
    energy = gamma * cm_energy + gamma_beta * along
    # p²/(E + m) instead of E − m: exact for slow particles, too
    kinetic = (along_lab**2 + across**2) / (energy + mass)
    return kinetic, np.arctan2(across, along_lab)


def lab_line(
    m1: float, m2: float, m3: float, m4: float, beam_energy: float, n_points: int = 361
) -> tuple[Reals, Reals]:
    """The kinematic line of particle 3: polar angle [rad], kinetic energy [MeV], for its angles 0 … π in the CM."""
    ke3, polar3, _, _ = two_body(m1, m2, m3, m4, beam_energy, np.linspace(0.0, np.pi, n_points))
    return polar3, ke3
