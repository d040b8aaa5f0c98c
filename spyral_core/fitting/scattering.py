"""How far multiple scattering and energy-loss straggling take a particle off its mean trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spyral_core.compiled import kernel
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.motion import ke_and_loss, momentum_of

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
    """Variance of the projected scattering angle per mm of path [1/mm] at a residual range [mm]."""
    ke, _ = ke_and_loss(residual_range, constants, log_ke, slope)
    momentum = momentum_of(ke, constants[1])
    beta = momentum / (ke + constants[1])
    return scattering * (constants[0] / (beta * momentum)) ** 2
