"""From tracks to cells: how far the particles of each came, and how large their errors are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spyral_core.acceptance import binomial
from spyral_core.acceptance.files import AXES, STEPS
from spyral_core.config.simulation import SimulatedParticles
from spyral_core.report.truth import CLOSE_ENERGY, CLOSE_POLAR, median_and_width

Array = NDArray[Any]
ERRORS = ("ke", "polar")


@dataclass(frozen=True)
class Cuts:
    """Detected: so many pads outside the beam region; accepted: errors of energy (relative) and angle [deg] within."""

    trigger_pads: int = 1
    energy: float = CLOSE_ENERGY
    polar: float = CLOSE_POLAR


def steps(tracks: pl.DataFrame, cuts: Cuts) -> pl.DataFrame:
    """How far each track (`files.TRACKS`) came: a column of truth values for each of STEPS, each within the last."""
    passed = pl.lit(True)
    conditions = {
        "generated": passed,
        "detected": pl.col("n_pads") >= cuts.trigger_pads,
        "clustered": pl.col("clustered"),
        "estimated": pl.col("estimated"),
        "selected": pl.col("selected"),
        "solved": pl.col("cluster_index") >= 0,
        "accepted": (pl.col("ke_error").abs() <= cuts.energy) & (pl.col("polar_error").abs() <= cuts.polar),
    }
    chosen = {}
    for name in STEPS:
        passed = passed & conditions[name]
        chosen[name] = passed
    return tracks.select(**chosen)


def tally(tracks: pl.DataFrame, grid: SimulatedParticles, cuts: Cuts, axes: Sequence[str] = AXES) -> dict[str, Array]:
    """The columns of `files.MAP_TABLE`: a row for each cell of some axes, all others summed over.

    Rows in the order of the cells, the last axis fastest.
    """
    edges = dict(zip(AXES, (grid.energies, grid.angles, grid.vertices), strict=True))
    shape = tuple(len(edges[axis]) - 1 for axis in axes)
    number = int(np.prod(shape))
    cell = np.ravel_multi_index(tuple(tracks[f"{axis}_cell"].to_numpy() for axis in axes), shape)
    came = steps(tracks, cuts)
    counts = {name: np.bincount(cell, came[name].to_numpy(), number).astype(np.int64) for name in STEPS}
    places = np.unravel_index(np.arange(number), shape)
    columns: dict[str, Array] = {}
    for axis, place in zip(axes, places, strict=True):
        ends = np.asarray(edges[axis], dtype=np.float64)
        columns |= {f"{axis}_low": ends[place], f"{axis}_high": ends[place + 1]}
    low, high = binomial.wilson(counts["accepted"], counts["generated"])
    columns |= counts
    columns |= {
        "efficiency": binomial.efficiency(counts["accepted"], counts["generated"]),
        "efficiency_low": low,
        "efficiency_high": high,
    }
    solved = came["solved"].to_numpy()
    for name in ERRORS:
        columns |= _errors(name, tracks[f"{name}_error"].to_numpy()[solved], cell[solved], number)
    return columns


def _errors(name: str, error: Array, cell: Array, number: int) -> dict[str, Array]:
    """Median and half of the central 68 % of the errors in each cell; nan where there are too few."""
    order = np.argsort(cell, kind="stable")
    parts = np.split(error[order], np.searchsorted(cell[order], np.arange(1, number)))
    found = [median_and_width(part) for part in parts]
    values = np.array([[np.nan if value is None else value for value in pair] for pair in found])
    return {f"{name}_median": values[:, 0], f"{name}_width": values[:, 1]}
