"""The bound against energy and angle, and of given tracks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.special import ndtri

from spyral_core.bound.conditions import Array, Conditions
from spyral_core.bound.information import bound_of

DRAWS = 8  # of azimuth and vertex across the beam: how a track lies on the pads
GOLDEN, PLASTIC = 0.6180339887498949, (0.7548776662466927, 0.5698402909980532)
START = ("vertex_x", "vertex_y", "vertex_z", "ke", "polar", "azimuthal")
BOUNDS = {"ke": pl.Float64, "polar": pl.Float64, "vertex_z": pl.Float64, "n_pads": pl.Float64}


def starts(ke: float, polar: float, vertex_z: float, beam_spot: float) -> Array:
    """Starts (DRAWS, 6) of an energy [MeV] and angle [rad]: azimuth and vertex by sequences that fill evenly."""
    number = np.arange(1, DRAWS + 1)
    x, y = (beam_spot * ndtri(number * step % 1.0) for step in PLASTIC)
    same = np.ones(DRAWS)
    azimuthal = 2 * np.pi * (number * GOLDEN % 1.0)
    return np.column_stack([x, y, vertex_z * same, ke * same, polar * same, azimuthal])


def scan(
    species: tuple[int, int],
    energies: Sequence[float],
    angles: Sequence[float],
    vertex_z: float,
    conditions: Conditions,
) -> pl.DataFrame:
    """The median bound over `starts`, a row an energy [MeV] and polar angle [deg].

    Columns: `energy`, `angle`; `ke` (relative), `polar` [deg], `vertex_z` [mm], nan where a track is not determined;
    `n_pads` over the threshold.
    """
    rows = []
    for angle in angles:
        for energy in energies:
            found = _bounds(species, starts(energy, np.radians(angle), vertex_z, conditions.beam_spot), conditions)
            rows.append((float(energy), float(angle), *np.median(found, axis=0).tolist()))
    return pl.DataFrame(rows, schema={"energy": pl.Float64, "angle": pl.Float64, **BOUNDS}, orient="row")


def of_tracks(tracks: pl.DataFrame, species: tuple[int, int], conditions: Conditions) -> pl.DataFrame:
    """The bound of each track of a truth table (`tables.TRUTH`): columns as in `scan`, named `bound_…`."""
    found = _bounds(species, tracks.select(START).to_numpy(), conditions)
    return pl.DataFrame(found, schema={f"bound_{name}": kind for name, kind in BOUNDS.items()})


def _bounds(species: tuple[int, int], starts: Array, conditions: Conditions) -> Array:
    """Energy, polar angle, vertex z, pads (n, 4); nan where a track is not determined."""
    found = np.full((len(starts), 4), np.nan)
    for row, start in zip(found, starts, strict=True):
        bound = bound_of(species, start, conditions)
        if bound is not None:
            row[:] = bound.ke, bound.polar, bound.vertex_z, bound.n_pads
    return found
