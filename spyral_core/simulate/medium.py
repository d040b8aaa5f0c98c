"""What the gas does to one kind of particle: stopping power, energy straggling, scattering, against energy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.nuclei import ATOMIC_MASS_UNIT, nuclear_mass


@dataclass(frozen=True)
class Medium:
    """Rates per mm of path for one nucleus, on a grid even in the logarithm of the kinetic energy.

    `rates` (3, n): stopping power [MeV/mm], variance of the energy loss [MeV²/mm], variance of the projected scattering
    angle [rad²/mm]. Below `stop_energy` [MeV] a particle is taken to be at rest.
    """

    mass: float
    charge: int
    log_energy_min: float
    log_energy_step: float
    rates: NDArray[np.float64]
    stop_energy: float


@kernel
def rates_at(energy: float, log_energy_min: float, log_energy_step: float, rates: NDArray[np.float64]) -> float:
    """One rate at an energy [MeV], linear in the energy's logarithm; beyond the grid its end value."""
    place = (np.log(energy) - log_energy_min) / log_energy_step
    if place <= 0.0:
        return float(rates[0])
    cell = int(place)
    if cell >= len(rates) - 1:
        return float(rates[-1])
    part = place - cell
    return float(rates[cell] * (1.0 - part) + rates[cell + 1] * part)


# Energies [MeV per mass unit]: a deuteron below the lowest has about 0.1 mm to go in 300 torr of deuterium. Below 1 keV
# per mass unit pycatima gives no straggling and scattering: the last half millimetre is straight.
LOWEST, HIGHEST, N_ENERGIES = 1e-4, 300.0, 1500
# The thin layer that a variance per mm is taken from, as a share of the range.
LAYER = 1e-3
# pycatima keeps what it computed for another density of the same gas, and would give it again, a millionth off: the
# thickness [g/cm²] tells the pressure, so that the density [g/cm³] can be the same for all.
REFERENCE_DENSITY = 1e-4


@lru_cache(maxsize=32)
def medium(gas: GasTarget, Z: int, A: int) -> Medium:
    """The rates of one nucleus in a gas: stopping power of `physics.gas`, straggling and scattering of pycatima.

    pycatima's default scattering (ATIMA) and straggling add up in square over layers, so that they have a rate.
    """
    import pycatima

    mass_number = nuclear_mass(Z, A) / ATOMIC_MASS_UNIT
    log_energy = np.linspace(np.log(LOWEST * mass_number), np.log(HIGHEST * mass_number), N_ENERGIES)
    energies = np.exp(log_energy)
    table = gas.stopping(Z, A)
    stopping, ranges = table.dedx(energies), table.range(energies)
    material = gas.material()  # energies in pycatima are per mass unit, the straggling included
    material.density(REFERENCE_DENSITY)
    projectile = pycatima.Projectile(mass_number, Z)
    variances = np.empty((2, N_ENERGIES))
    for index, (energy, layer) in enumerate(zip(energies, LAYER * ranges, strict=True)):
        projectile.T(energy / mass_number)
        material.thickness(layer / 10 * gas.density)
        result = pycatima.calculate(projectile, material)
        variances[:, index] = (result.sigma_E * mass_number) ** 2 / layer, result.sigma_a**2 / layer
    return Medium(
        mass=nuclear_mass(Z, A),
        charge=Z,
        log_energy_min=float(log_energy[0]),
        log_energy_step=float(log_energy[1] - log_energy[0]),
        rates=np.vstack([stopping, variances]),
        stop_energy=float(energies[0]),
    )
