"""Masses and names of nuclei, and what a magnetic field makes of their energy."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

ATOMIC_MASS_UNIT = 931.49410242  # MeV, CODATA 2018
ELECTRON_MASS = 0.51099895  # MeV, CODATA 2018
MOMENTUM_PER_RIGIDITY = 299.792458  # MeV/c for one charge and 1 T m


@cache
def nuclear_mass(Z: int, A: int) -> float:
    """Mass of a nucleus [MeV]: its isotope's atomic mass less Z electrons.

    Atomic masses are those of the package periodictable (AME). The binding of the electrons (14 eV for H, 2.4 keV for
    Z = 20) is left out. Raises ValueError for an isotope that the table does not hold.
    """
    if (Z, A) == (0, 1):
        return 939.56542052  # CODATA 2018
    return atomic_mass(Z, A) * ATOMIC_MASS_UNIT - Z * ELECTRON_MASS


@cache
def atomic_mass(Z: int, A: int) -> float:
    """Mass of an isotope's neutral atom [u]. Raises ValueError for an isotope that the table does not hold."""
    import periodictable

    try:
        return float(periodictable.elements[Z][A].mass)
    except KeyError:
        raise ValueError(f"no isotope with Z = {Z}, A = {A} is known") from None


@cache
def symbol(Z: int, A: int) -> str:
    """`16C`, `2H`, `4He`."""
    import periodictable

    return f"{A}{periodictable.elements[Z].symbol}"


def ke_from_brho(brho: Any, Z: int, A: int) -> Any:
    """Kinetic energy [MeV] of a nucleus without electrons of rigidity `brho` [T m]; arrays are fine."""
    mass = nuclear_mass(Z, A)
    momentum = MOMENTUM_PER_RIGIDITY * Z * np.asarray(brho, dtype=float)
    # p²/(E + m) keeps its digits at low energy, where sqrt(p² + m²) − m loses them
    return momentum**2 / (np.sqrt(momentum**2 + mass**2) + mass)


def brho_from_ke(ke: Any, Z: int, A: int) -> Any:
    """Rigidity [T m] of a nucleus without electrons of kinetic energy `ke` [MeV]; arrays are fine."""
    kinetic = np.asarray(ke, dtype=float)
    return np.sqrt(kinetic * (kinetic + 2 * nuclear_mass(Z, A))) / (MOMENTUM_PER_RIGIDITY * Z)
