"""How far multiple scattering and energy-loss straggling take a particle off its mean trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.motion import CURVATURE_PER_TESLA, ke_and_loss, momentum_of

SCATTERING_ENERGY = 14.1  # MeV: Rossi's constant as ATIMA takes it
BOHR = 0.156915  # MeV² cm²/mol: 4π N_A e⁴ of Bohr's formula for one charge


@dataclass(frozen=True)
class Fluctuations:
    """What a gas does at random to a charge Z of velocity β and momentum p, per mm of path.

    Projected angle: variance Z² `scattering` / (βp)² (Rossi, with pycatima's radiation length); energy: variance
    Z² `straggling` (Bohr).
    """

    scattering: float
    straggling: float


def fluctuations(gas: GasTarget) -> Fluctuations:
    """The constants of a gas [MeV²/mm]."""
    import pycatima

    material: Any = gas.material()
    electrons = sum(Z * atoms for Z, _, atoms in gas.elements) / gas.molar_mass
    per_mm = gas.density / 10
    return Fluctuations(
        scattering=SCATTERING_ENERGY**2 * per_mm / float(pycatima.radiation_length(material)),
        straggling=BOHR * electrons * per_mm,
    )


@kernel
def deflection(residual_range, scattering, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Variance of the projected scattering angle per mm [1/mm] and the radius of curvature [mm] at a residual range."""
    ke, _ = ke_and_loss(residual_range, constants, log_ke, slope)
    momentum = momentum_of(ke, constants[1])
    beta = momentum / (ke + constants[1])
    radius = momentum / (CURVATURE_PER_TESLA * constants[0] * max(constants[2], 1e-6))
    return scattering * (constants[0] / (beta * momentum)) ** 2, radius


@kernel
def scattering_spread(path, states, scattering, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Variance (n, 2) [mm²] of the position across and along the beam at each state, from scattering before it.

    A deflection δ at s' moves the particle by δ·(s − s') along the beam (times sin θ), but across it never by more than
    δ times the radius of curvature: the field bends it back.
    """
    n_states = len(path)
    spread = np.zeros((n_states, 2))
    for j in range(n_states - 1):
        middle = 0.5 * (path[j] + path[j + 1])
        per_mm, radius = deflection(0.5 * (states[j, 6] + states[j + 1, 6]), scattering, constants, log_ke, slope)
        variance = per_mm * (path[j + 1] - path[j])
        for i in range(j + 1, n_states):
            way = path[i] - middle
            spread[i, 0] += variance * min(way, radius) ** 2
            spread[i, 1] += variance * way**2 * (1 - states[i, 5] ** 2)
    return spread
