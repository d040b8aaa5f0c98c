"""The gas of the detector: its density, and how it stops particles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.json_file import read_json
from spyral_core.physics.nuclei import ATOMIC_MASS_UNIT, atomic_mass, nuclear_mass

GAS_CONSTANT = 8.31446261815324  # J/(mol K)
PASCAL_PER_TORR = 101325 / 760
TEMPERATURE = 293.0  # K, where none is given
MOST_ATOMS = 1000  # of one isotope in a molecule


@dataclass(frozen=True)
class GasTarget:
    """A gas: its elements as (Z, A, atoms per molecule), its pressure [torr] and temperature [K].

    A mixture has one entry an element and component, its atoms multiplied by the component's volume fraction: to
    stopping only the mean molecule matters.
    """

    elements: tuple[tuple[int, int, float], ...]
    pressure: float
    temperature: float = TEMPERATURE

    @property
    def molar_mass(self) -> float:
        """Mass of the mean molecule [g/mol], from real atomic masses."""
        return sum(atoms * atomic_mass(Z, A) for Z, A, atoms in self.elements)

    @property
    def density(self) -> float:
        """Density of the ideal gas [g/cm³]."""
        return self.pressure * PASCAL_PER_TORR * self.molar_mass / (GAS_CONSTANT * self.temperature) * 1e-6

    def stopping(self, Z: int, A: int) -> StoppingTable:
        """How this gas stops a nucleus; tables are made once."""
        return _stopping_table(self, Z, A)

    def material(self) -> Any:
        """The gas as pycatima knows it."""
        import pycatima

        elements = [[atomic_mass(Z, A), Z, atoms] for Z, A, atoms in self.elements]
        return pycatima.Material(elements, density=self.density)


@dataclass(frozen=True)
class StoppingTable:
    """Kinetic energy against residual range of one nucleus in one gas.

    `log_ke[i]` is ln(ke / MeV) at ln(range / mm) = `log_range_start + i · log_range_step`, and `slope[i]` its
    derivative, ke being a cubic Hermite function in between. All other relations follow: with T(R) known,
    dE/dx = dT/dR.
    """

    Z: int
    A: int
    log_range_start: float
    log_range_step: float
    log_ke: NDArray[np.float64]
    slope: NDArray[np.float64]

    def ke(self, residual_range: Any) -> Any:
        """Kinetic energy [MeV] of a particle with a residual range [mm]; arrays are fine."""
        return np.exp(self._hermite(np.log(np.asarray(residual_range, dtype=float)))[0])

    def range(self, ke: Any) -> Any:
        """Residual range [mm] of a particle of kinetic energy [MeV]; arrays are fine."""
        wanted = np.log(np.asarray(ke, dtype=float))
        guess = self.log_range_start + self.log_range_step * np.interp(wanted, self.log_ke, np.arange(len(self.log_ke)))
        for _ in range(6):
            value, slope = self._hermite(guess)
            guess = guess + (wanted - value) / slope
        return np.exp(guess)

    def dedx(self, ke: Any) -> Any:
        """Energy loss [MeV/mm] at kinetic energy [MeV]; arrays are fine."""
        residual_range = self.range(ke)
        return np.asarray(ke, dtype=float) / residual_range * self._hermite(np.log(residual_range))[1]

    def _hermite(self, log_range: NDArray[np.float64]) -> tuple[Any, Any]:
        place = (log_range - self.log_range_start) / self.log_range_step
        cell = np.clip(np.floor(place).astype(int), 0, len(self.log_ke) - 2)
        t = place - cell
        h = self.log_range_step
        y0, y1, m0, m1 = self.log_ke[cell], self.log_ke[cell + 1], h * self.slope[cell], h * self.slope[cell + 1]
        value = y0 + t * (m0 + t * (3 * (y1 - y0) - 2 * m0 - m1 + t * (2 * (y0 - y1) + m0 + m1)))
        slope = (m0 + t * (2 * (3 * (y1 - y0) - 2 * m0 - m1) + 3 * t * (2 * (y0 - y1) + m0 + m1))) / h
        return value, slope


def energy_loss(gas: GasTarget, Z: int, A: int, ke: float) -> float:
    """Mean energy loss [MeV/mm] of a nucleus of kinetic energy `ke` [MeV], straight from pycatima."""
    import pycatima

    mass_number = nuclear_mass(Z, A) / ATOMIC_MASS_UNIT
    projectile = pycatima.Projectile(mass_number, Z, T=ke / mass_number)
    return float(pycatima.dedx(projectile, gas.material())) * gas.density / 10


# Energies [MeV per mass unit] between which a table is made: from where the range is some µm to far above the field's.
_LOWEST, _HIGHEST = 5e-5, 1000.0
_NODES = 1024


@lru_cache(maxsize=64)
def _stopping_table(gas: GasTarget, Z: int, A: int) -> StoppingTable:
    """Range by integrating 1/(dE/dx) over ln(ke) with Simpson's rule, then turned round to ke against range."""
    import pycatima

    mass_number = nuclear_mass(Z, A) / ATOMIC_MASS_UNIT
    material, per_mm = gas.material(), gas.density / 10
    log_ke = np.linspace(math.log(_LOWEST * mass_number), math.log(_HIGHEST * mass_number), 8 * _NODES + 1)
    ke = np.exp(log_ke)
    projectile = pycatima.Projectile(mass_number, Z)
    loss = np.array([_dedx(pycatima, projectile, material, energy / mass_number) for energy in ke]) * per_mm
    # ∫ dT/(dE/dx) = ∫ T/(dE/dx) dlnT over pairs of intervals; below the lowest energy dE/dx ∝ √T
    integrand = ke / loss
    width = log_ke[1] - log_ke[0]
    pairs = width / 3 * (integrand[:-2:2] + 4 * integrand[1:-1:2] + integrand[2::2])
    ranges = 2 * ke[0] / loss[0] + np.concatenate([[0.0], np.cumsum(pairs)])
    ke, loss = ke[::2], loss[::2]
    log_range = np.log(ranges)
    slope = ranges * loss / ke  # dlnT/dlnR
    grid = np.linspace(log_range[0], log_range[-1], 2 * _NODES)
    fine_ke, fine_slope = _resample(log_range, np.log(ke), slope, grid)
    return StoppingTable(Z, A, float(grid[0]), float(grid[1] - grid[0]), fine_ke, fine_slope)


def _dedx(pycatima: Any, projectile: Any, material: Any, ke_per_mass_unit: float) -> float:
    projectile.T(ke_per_mass_unit)
    return float(pycatima.dedx(projectile, material))


def _resample(
    x: NDArray[np.float64], y: NDArray[np.float64], slope: NDArray[np.float64], grid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and slopes of a cubic Hermite function at new places."""
    from scipy.interpolate import CubicHermiteSpline

    spline = CubicHermiteSpline(x, y, slope)
    return spline(grid), spline(grid, 1)


def load_gas(path: str | Path) -> GasTarget:
    """Read a gas target from JSON: one compound, or components with their volume fractions.

    `{"compound": [[Z, A, atoms], …], "pressure(Torr)": 300.0}` or `{"components": [[[Z, A, atoms], …], …],
    "volume_fractions": […], "pressure(Torr)": 50.0}`, and `"temperature(K)"` if it is not 293. Raises
    ConfigurationError naming the file and the fault.
    """
    expected = "`compound` ([[Z, A, atoms], …]) or `components` with `volume_fractions`, and `pressure(Torr)`"
    return read_json("gas", path, parse_gas, expected)


def parse_gas(values: Any) -> GasTarget:
    """A gas target from the plain values of its JSON; ValueError, TypeError or KeyError if they make none."""
    if not isinstance(values, dict):
        raise TypeError("must be a JSON object")
    pressure = float(values["pressure(Torr)"])
    if not 0 < pressure < 1e6:
        raise ValueError(f"pressure(Torr) must be above 0 and below 1e6 (found {pressure})")
    temperature = float(values.get("temperature(K)", TEMPERATURE))
    if not 0 < temperature < 1e4:
        raise ValueError(f"temperature(K) must be above 0 and below 1e4 (found {temperature})")
    if "compound" in values:
        components, fractions = [values["compound"]], [1.0]
    else:
        components, fractions = values["components"], [float(fraction) for fraction in values["volume_fractions"]]
        if len(components) != len(fractions):
            raise ValueError(f"{len(components)} components but {len(fractions)} volume_fractions")
        if not math.isclose(sum(fractions), 1.0, abs_tol=1e-3) or min(fractions) <= 0:
            raise ValueError(f"volume_fractions must be positive and add up to 1 (found {fractions})")
    elements = tuple(
        _element(entry, fraction)
        for component, fraction in zip(components, fractions, strict=True)
        for entry in component
    )
    if not elements:
        raise ValueError("no element is given")
    return GasTarget(elements, pressure, temperature)


def _element(entry: Any, fraction: float) -> tuple[int, int, float]:
    Z, A, atoms = entry
    if int(Z) != Z or int(A) != A or Z < 1 or not 0 < atoms <= MOST_ATOMS:
        raise ValueError(
            f"an element must be [Z, A, atoms] with whole Z from 1 and A, and atoms above 0 and up to {MOST_ATOMS} "
            f"(found {entry})"
        )
    atomic_mass(int(Z), int(A))  # ValueError for an isotope that does not exist
    return int(Z), int(A), float(atoms) * fraction
