"""Simulated tracks against their truth: matching, residuals, summary by energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

ENERGY_BANDS = (0.0, 1.0, 2.0, 4.0, 6.0, 10.0, 16.0, 25.0, 40.0, 70.0, 1000.0)  # MeV
MIN_PADS = 80
MIN_TURN = 30.0  # deg
CLOSE_ENERGY = 0.20  # relative
CLOSE_POLAR = 5.0  # deg

_FITTED = ("ke", "polar", "azimuthal", "vertex_x", "vertex_y", "vertex_z", "redchisq")


def clean(
    truth: pl.DataFrame, species: tuple[int, int], min_pads: int = MIN_PADS, min_turn: float = MIN_TURN
) -> pl.DataFrame:
    """The true particles that a reconstruction is held to.

    Of the species (Z, A), from events of the mesh trigger alone without pile-up or contaminant, seen by `min_pads`
    pads or more, that stop in the gas or turn by more than `min_turn` [deg].
    """
    number, mass = species
    return truth.filter(
        (pl.col("Z") == number)
        & (pl.col("A") == mass)
        & (pl.col("trigger") == 1)
        & ~pl.col("pile_up")
        & ~pl.col("contaminant")
        & (pl.col("n_pads") >= min_pads)
        & (pl.col("stops") | (pl.col("turn").abs() > math.radians(min_turn)))
    )


def match(truth: pl.DataFrame, solutions: pl.DataFrame) -> pl.DataFrame:
    """One row for each row of `truth` (columns of `tables.TRUTH`), with the solution that belongs to it.

    In each event the pairs of true particle and solution (`tables.SOLUTIONS`) are taken by the angle between their
    directions, smallest first, each at most once. Where both tables have a column `run`, it counts as part of the
    event's number.

    Adds `cluster_index`, `fitted_<quantity>` (vertex in mm), `opening` [deg] between the directions, and the residuals
    fitted − true: `ke_residual` (relative), `polar_residual` [deg], `vertex_z_residual` [mm]; all null for a particle
    without a solution.
    """
    keys = [key for key in ("run", "event") if key in truth.columns and key in solutions.columns]
    rows = truth.with_row_index("_truth")
    fitted = solutions.select(
        *keys,
        "cluster_index",
        *(
            (pl.col(name) * 1000.0 if name.startswith("vertex") else pl.col(name)).alias(f"fitted_{name}")
            for name in _FITTED
        ),
    ).with_row_index("_solution")
    pairs = rows.select("_truth", *keys, "polar", "azimuthal").join(fitted, on=keys, how="inner")
    pairs = pairs.with_columns(
        opening=pl.Series(
            opening_angle(
                pairs["polar"].to_numpy(),
                pairs["azimuthal"].to_numpy(),
                pairs["fitted_polar"].to_numpy(),
                pairs["fitted_azimuthal"].to_numpy(),
            ),
            dtype=pl.Float64,
        )
    ).sort("opening", "_truth", "_solution")
    kept = _take_once(pairs["_truth"].to_list(), pairs["_solution"].to_list())
    chosen = pairs[kept].select("_truth", "cluster_index", *(f"fitted_{name}" for name in _FITTED), "opening")
    return (
        rows.join(chosen, on="_truth", how="left", maintain_order="left")
        .drop("_truth")
        .with_columns(
            ke_residual=pl.col("fitted_ke") / pl.col("ke") - 1.0,
            polar_residual=(pl.col("fitted_polar") - pl.col("polar")).degrees(),
            vertex_z_residual=pl.col("fitted_vertex_z") - pl.col("vertex_z"),
        )
    )


def opening_angle(
    polar: NDArray[np.float64],
    azimuthal: NDArray[np.float64],
    other_polar: NDArray[np.float64],
    other_azimuthal: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Angle [deg] between directions given by angles [rad], by the haversine formula (exact for small angles)."""
    half = (
        np.sin((other_polar - polar) / 2) ** 2
        + np.sin(polar) * np.sin(other_polar) * np.sin((other_azimuthal - azimuthal) / 2) ** 2
    )
    return np.asarray(np.degrees(2 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))))


def _take_once(truths: Sequence[int], solutions: Sequence[int]) -> list[int]:
    """Places of the pairs that are kept: in order, each truth and each solution once."""
    seen_truths: set[int] = set()
    seen_solutions: set[int] = set()
    kept: list[int] = []
    for place, (one, other) in enumerate(zip(truths, solutions, strict=True)):
        if one not in seen_truths and other not in seen_solutions:
            seen_truths.add(one)
            seen_solutions.add(other)
            kept.append(place)
    return kept


def summary(matched: pl.DataFrame, bands: Sequence[float] = ENERGY_BANDS) -> pl.DataFrame:
    """Solved share and residuals of the result of `match`: one row a band of true energy, and a last one for all.

    Columns: `ke_low`, `ke_high` [MeV]; `n_true`; `solved` (share); `close` (share of the true particles whose fit is
    within 20 % in energy and 5° in polar angle); median and 68 % half-width of the residuals: `ke_median`, `ke_width`
    (relative), `polar_median`, `polar_width` [deg], `vertex_z_median`, `vertex_z_width` [mm]; null where too few
    were solved. Bands without particles are left out.
    """
    rows = [
        _row(matched.filter((pl.col("ke") >= low) & (pl.col("ke") < high)), low, high) for low, high in pairwise(bands)
    ]
    rows = [row for row in rows if row["n_true"]]
    rows.append(_row(matched, bands[0], bands[-1]))
    return pl.DataFrame(rows, schema=_SUMMARY)


_RESIDUALS = ("ke", "polar", "vertex_z")
_SUMMARY: dict[str, type[pl.DataType]] = {
    "ke_low": pl.Float64,
    "ke_high": pl.Float64,
    "n_true": pl.Int64,
    "solved": pl.Float64,
    "close": pl.Float64,
    **{f"{name}_{kind}": pl.Float64 for name in _RESIDUALS for kind in ("median", "width")},
}


def _row(band: pl.DataFrame, low: float, high: float) -> dict[str, float | int | None]:
    solved = band.filter(pl.col("fitted_ke").is_not_null())
    close = solved.filter(
        (pl.col("ke_residual").abs() <= CLOSE_ENERGY) & (pl.col("polar_residual").abs() <= CLOSE_POLAR)
    )
    row: dict[str, float | int | None] = {
        "ke_low": low,
        "ke_high": high,
        "n_true": band.height,
        "solved": solved.height / band.height if band.height else None,
        "close": close.height / band.height if band.height else None,
    }
    for name in _RESIDUALS:
        values = solved[f"{name}_residual"].drop_nulls().to_numpy()
        row[f"{name}_median"], row[f"{name}_width"] = median_and_width(values)
    return row


def median_and_width(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Median and half of the central 68.27 % of the values; None where there are too few for it."""
    if len(values) == 0:
        return None, None
    if len(values) == 1:
        return float(values[0]), None
    low, median, high = np.quantile(values, [0.158655, 0.5, 0.841345])
    return float(median), float(high - low) / 2
