"""The reaction as the report draws it: its lines, and the excitation energy of a measured track."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.physics.gas import StoppingTable, load_gas
from spyral_core.physics.kinematics import lab_line
from spyral_core.physics.nuclei import brho_from_ke, nuclear_mass, symbol

Reals = NDArray[np.float64]
Nucleus = tuple[int, int]


@dataclass(frozen=True)
class Reaction:
    """Beam, target, ejectile and residual as (Z, A), beam energy [MeV], excitation of the residual [MeV].

    `beam_energy` is that at the window. With a `stopping` table of the beam it falls along z up to `length` [mm];
    without, it stays the same.
    """

    projectile: Nucleus
    target: Nucleus
    ejectile: Nucleus
    beam_energy: float
    excitation: float
    stopping: StoppingTable | None
    length: float

    @property
    def residual(self) -> Nucleus:
        return (
            self.projectile[0] + self.target[0] - self.ejectile[0],
            self.projectile[1] + self.target[1] - self.ejectile[1],
        )

    @property
    def name(self) -> str:
        """`16C(2H, 2H)16C`."""
        beam, target, light, heavy = (symbol(*n) for n in (self.projectile, self.target, self.ejectile, self.residual))
        return f"{beam}({target}, {light}){heavy}"

    @property
    def masses(self) -> tuple[float, float, float, float]:
        """Masses [MeV] in the order of `kinematics.two_body`, the residual in its ground state."""
        m1, m2, m3, m4 = (nuclear_mass(*n) for n in (self.projectile, self.target, self.ejectile, self.residual))
        return m1, m2, m3, m4

    def beam_energy_at(self, z: Any) -> Reals:
        """Kinetic energy [MeV] of the beam at z [mm]."""
        place = np.clip(np.asarray(z, dtype=float), 0.0, self.length)
        if self.stopping is None:
            return np.full(place.shape, self.beam_energy)
        left = np.maximum(float(self.stopping.range(self.beam_energy)) - place, 1e-3)
        return np.asarray(self.stopping.ke(left), dtype=float)

    def lines(self, species: Nucleus) -> list[tuple[str, Reals, Reals]]:
        """Lines of a species as (label, polar [deg], ke [MeV]): one, or two where the beam slows down; none if the
        reaction does not make it."""
        if species not in (self.ejectile, self.residual):
            return []
        ends = (0.0,) if self.stopping is None else (0.0, self.length)
        where = {0.0: " (window)", self.length: " (pad plane)"} if self.stopping is not None else {}
        found = []
        for z in ends:
            polar, ke = self.line_at(species, z)
            if np.isfinite(ke).any():
                energy = float(self.beam_energy_at(z))
                found.append((f"beam {energy:.1f} MeV{where.get(z, '')}", np.degrees(polar), ke))
        return found

    def line_at(self, species: Nucleus, z: float) -> tuple[Reals, Reals]:
        """Polar angle [rad] and ke [MeV] along the line of the ejectile, else of the residual, for a vertex at z [mm].

        The energy is nan where the particle would be at rest, or the beam does not suffice.
        """
        m1, m2, m3, m4 = self.masses
        m4 += self.excitation
        energy = float(self.beam_energy_at(z))
        polar, ke = lab_line(m1, m2, *((m3, m4) if species == self.ejectile else (m4, m3)), energy)
        return polar, np.where(ke > 1e-6 * energy, ke, np.nan)  # a particle at rest has no angle

    def rigidity_lines(self) -> list[tuple[str, Reals, Reals]]:
        """The ejectile's lines as (label, polar [deg], brho [T m])."""
        return [(label, polar, brho_from_ke(ke, *self.ejectile)) for label, polar, ke in self.lines(self.ejectile)]

    def excitation_energy(self, ke: Reals, polar: Reals, vertex_z: Reals) -> Reals:
        """Missing mass less the residual's mass [MeV], from the ejectile's ke [MeV], polar [rad] and vertex z [mm].

        Nan where energy and angle are not those of any residual.
        """
        m1, m2, m3, m4 = self.masses
        beam = self.beam_energy_at(vertex_z)
        beam_momentum = np.sqrt(beam * (beam + 2 * m1))
        momentum = np.sqrt(ke * (ke + 2 * m3))
        energy = beam + m1 + m2 - ke - m3
        squared = energy**2 - beam_momentum**2 - momentum**2 + 2 * beam_momentum * momentum * np.cos(polar)
        return np.sqrt(np.where(squared > 0, squared, np.nan)) - m4


def reaction_of(parameters: Mapping[str, Any]) -> Reaction | None:
    """The configured reaction; else that of the simulation; else None. The beam is slowed down by the gas, if known.

    ValueError if a nucleus of it does not exist, ConfigurationError if the gas cannot be read.
    """
    given, simulated = parameters.get("reaction"), parameters.get("simulate")
    values = given or (simulated or {}).get("reaction")
    if not values:
        return None
    projectile, target, ejectile = ((int(n[0]), int(n[1])) for n in (values[k] for k in _NUCLEI))
    gas = (parameters.get("solver") or {}).get("gas") if given else (simulated or {}).get("gas")
    stopping = load_gas(gas).stopping(*projectile) if gas else None
    reaction = Reaction(
        projectile,
        target,
        ejectile,
        float(values["beam_energy"]),
        float(values.get("residual_excitation") or 0.0),
        stopping,
        float(parameters["detector"]["detector_length"]),
    )
    if min(reaction.residual) < 0 or reaction.residual[1] == 0:
        raise ValueError(f"reaction: the fourth nucleus would have Z, A = {reaction.residual}")
    nuclear_mass(*reaction.residual)
    return reaction


_NUCLEI = ("projectile", "target", "ejectile")
