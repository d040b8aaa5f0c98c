"""Where particles lie in the plot of dE/dx against Bρ, from stopping powers and the run's charge per energy loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spyral_core.fitting.gate import Gate
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.nuclei import ke_from_brho, symbol

Array = NDArray[np.float64]
Nuclei = Sequence[tuple[int, int]]

LIGHT: Nuclei = ((1, 1), (1, 2), (1, 3), (2, 3), (2, 4))
SURE = 0.9  # probability from which on a species is taken for known
FEWEST = 5  # tracks that a scale is taken from
PLACES = 400  # of a line


@dataclass(frozen=True)
class Bands:
    """Predicted energy losses [MeV/mm] of `nuclei` in a gas, times `scale` [charge per MeV]."""

    gas: GasTarget
    nuclei: Nuclei
    scale: float

    def lines(self, low: float, high: float) -> list[tuple[str, Array, Array]]:
        """Of each nucleus: name, dE/dx (n,) [arb. / mm] and Bρ (n,) [T m] from its Bragg peak, or `low`, to `high`."""
        brho = np.geomspace(max(low, 1e-3 * high), high, PLACES)
        found = []
        for Z, A in self.nuclei:
            loss = self.scale * energy_loss(self.gas, brho, Z, A)
            peak = int(np.argmax(loss))
            found.append((symbol(Z, A), loss[peak:], brho[peak:]))
        return found


def bands_of(
    gas: GasTarget | None, nuclei: Nuclei, estimates: pl.DataFrame, species: pl.DataFrame, gates: Sequence[Gate]
) -> Bands | None:
    """The bands of the listed nuclei, or of light ones if none is; None without a gas or if nothing tells the scale.

    `species`: rows of `tables.SPECIES_SOLUTIONS`. The scale is the median of observed over predicted dE/dx of the
    tracks whose species is known: by these rows, or else by the gates. The estimates alone do not tell it: tracks of
    one species lie on another's band as well, at another scale.
    """
    if gas is None or not estimates.height:
        return None
    ratios = _by_species(gas, estimates, species)
    if len(ratios) < FEWEST:
        ratios = _by_gates(gas, estimates, gates)
    return Bands(gas, list(nuclei) or list(LIGHT), float(np.median(ratios))) if len(ratios) >= FEWEST else None


def energy_loss(gas: GasTarget, brho: Array, Z: int, A: int) -> Array:
    """Energy loss (n,) [MeV/mm] of a nucleus at Bρ (n,) [T m]."""
    loss: Array = gas.stopping(Z, A).dedx(ke_from_brho(brho, Z, A))
    return loss


def _by_species(gas: GasTarget, estimates: pl.DataFrame, species: pl.DataFrame) -> Array:
    if not species.height:
        return np.zeros(0)
    keys = [key for key in ("run", "event", "cluster_index") if key in estimates.columns and key in species.columns]
    sure = species.filter(pl.col("best") & (pl.col("probability") > SURE)).select(*keys, "Z", "A")
    known = estimates.join(sure, on=keys, how="inner")
    return _joined(
        [_ratios(gas, rows, int(Z), int(A)) for (Z, A), rows in known.group_by("Z", "A", maintain_order=True)]
    )


def _by_gates(gas: GasTarget, estimates: pl.DataFrame, gates: Sequence[Gate]) -> Array:
    found = []
    for gate in gates:
        inside = gate.contains(*(estimates[axis].cast(pl.Float64).to_numpy() for axis in (gate.xaxis, gate.yaxis)))
        found.append(_ratios(gas, estimates.filter(inside), gate.Z, gate.A))
    return _joined(found)


def _usable(estimates: pl.DataFrame) -> pl.DataFrame:
    return estimates.filter((pl.col("dEdx") > 0.0) & (pl.col("brho") > 0.0))


def _ratios(gas: GasTarget, estimates: pl.DataFrame, Z: int, A: int) -> Array:
    """Observed over predicted dE/dx."""
    usable = _usable(estimates)
    ratios: Array = usable["dEdx"].to_numpy() / energy_loss(gas, usable["brho"].to_numpy(), Z, A)
    return ratios


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0), *parts])
