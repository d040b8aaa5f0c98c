"""Whether two programs found the same physics: both against the truth, and against one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from speed.sample import SPECIES
from spyral_core import store
from spyral_core.report.truth import clean, match, summary

MAX_VERTEX_Z = 930.0  # mm: particles from beyond leave too little track


@dataclass(frozen=True)
class Quality:
    """What became of the true particles: shares, and median and half of the central 68 % of the errors."""

    particles: int
    solved: float
    close: float
    ke_median: float
    ke_width: float
    polar_median: float
    polar_width: float

    def row(self) -> list[str]:
        return [
            f"{self.solved:.1%}",
            f"{self.close:.1%}",
            f"{self.ke_median:+.2%}",
            f"{self.ke_width:.2%}",
            f"{self.polar_median:+.2f}°",
            f"{self.polar_width:.2f}°",
        ]


HEADER = [
    "solver",
    "solved",
    "within 20 % and 5°",
    "energy: median error",
    "68 % width",
    "polar angle: median error",
    "68 % width",
]


def matched(truth: Path, solutions: Path) -> pl.DataFrame:
    """The clean true deuterons of a run with their solutions.

    Without the last event of the file, which Spyral leaves out. Both programs write the same columns and units.
    """
    particles = store.read_parquet(truth)
    true = clean(particles.filter(pl.col("event") < particles["event"].max()), SPECIES)
    true = true.filter(pl.col("vertex_z") < MAX_VERTEX_Z)
    found = pl.read_parquet(solutions).with_columns(pl.col("event", "cluster_index").cast(pl.Int64))
    return match(true, found)


def quality(table: pl.DataFrame) -> Quality:
    """The last row of `truth.summary`, of all energies. Raises ValueError if nothing was solved."""
    total = summary(table).row(-1, named=True)
    if total["ke_width"] is None:
        raise ValueError(f"of {total['n_true']} true particles at most one was solved")
    return Quality(
        total["n_true"],
        total["solved"],
        total["close"],
        total["ke_median"],
        total["ke_width"],
        total["polar_median"],
        total["polar_width"],
    )


def worse(own: Quality, other: Quality) -> list[str]:
    """In what the first is worse than the second, beyond what chance allows; empty if in nothing.

    Shares may be lower by one particle; a median may be off by the other's and two of its own standard errors; a width
    may be larger by its standard error (7 % of it for some hundred particles, twice the ideal 1/√(2n) for the tails).
    """
    faults = []
    one = 1.5 / max(own.particles, 1)
    solved = max(own.solved * own.particles, 1.0)
    for name in ("solved", "close"):
        mine, theirs = getattr(own, name), getattr(other, name)
        if mine < theirs - one:
            faults.append(f"{name}: {mine:.1%} against {theirs:.1%}")
    for name in ("ke", "polar"):
        mine, theirs = abs(getattr(own, f"{name}_median")), abs(getattr(other, f"{name}_median"))
        width, wider = getattr(own, f"{name}_width"), getattr(other, f"{name}_width")
        if mine > theirs + 2 * 1.253 * width / solved**0.5:
            faults.append(f"{name}: median error {mine:.3g} against {theirs:.3g}")
        if width > wider * (1 + 2 / (2 * solved) ** 0.5):
            faults.append(f"{name}: width {width:.3g} against {wider:.3g}")
    return faults


def difference(own: pl.DataFrame, other: pl.DataFrame) -> tuple[int, float, float]:
    """Particles that both solved, and there the median differences own − other in energy (relative) and polar [deg]."""
    energy = (own["fitted_ke"] / other["fitted_ke"] - 1.0).drop_nulls().to_numpy()
    polar = (own["fitted_polar"] - other["fitted_polar"]).drop_nulls().to_numpy()
    return len(energy), float(np.median(energy)), float(np.degrees(np.median(polar)))
