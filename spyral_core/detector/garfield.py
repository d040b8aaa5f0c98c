"""Tables of electron drift as Garfield calculates them for the AT-TPC's field.

A table has a row for each starting point of a regular grid in z and rho, six columns without header: initial z, initial
rho, final z, final rho, final transverse [cm], drift time [ns]. Its z runs from the pad plane to the window. Its frame
is right-handed in the order (z, rho, transverse).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spyral_core.detector.tables_csv import read_text, split_lines
from spyral_core.errors import ConfigurationError

_MEANING = (
    "six numbers a line: initial z, initial rho, final z, final rho, final transverse [cm], drift time [ns], "
    "one line for each point of a regular z–rho grid, no header"
)
_MM_PER_CM = 10.0


@dataclass(frozen=True, eq=False)
class GarfieldTable:
    """Where electrons land and when; rho is not negative, lengths are in mm.

    `z` (n_z,): start, ascending from the pad plane. `rho` (n_rho,): start, ascending from 0. `final_rho` and
    `final_transverse` (n_z, n_rho): landing point, along and across the direction of the start from the axis.
    `drift_time` [ns] (n_z, n_rho), on reaching the pad plane. All are nan where no electron arrives.
    """

    z: NDArray[np.float64]
    rho: NDArray[np.float64]
    final_rho: NDArray[np.float64]
    final_transverse: NDArray[np.float64]
    drift_time: NDArray[np.float64]


def read_garfield(path: str | Path) -> GarfieldTable:
    """Read a table, leave out what does not arrive, and fold negative rho onto positive.

    - An electron arrives if its final z is within half a step in z of the pad plane, which is where the electrons that
      start nearest to it end.
    - Garfield stops some of those up to 2 mm behind the plane; the time they take from the plane to there is taken off.
    - A start at −rho is one at +rho turned by π about the axis: final rho and final transverse change sign. Where both
      arrive, the mean is taken.
    - On the axis there is no displacement by symmetry, and the drift time is that of the smallest rho: Garfield's own
      electrons on the axis sit on a singular line, where some go astray.

    Raises ConfigurationError, naming the file, if it is not such a table.
    """
    path = Path(path)
    z, rho, grid = _regular_grid(path, _numbers(path))
    start_rho = np.broadcast_to(rho, grid.shape[:2])
    final_z, final_rho, final_transverse, time = np.moveaxis(grid, 2, 0)
    plane = float(np.median(final_z[0]))
    arrived = (np.abs(final_z - plane) < 0.5 * float(np.diff(z).min())) & (time >= 0.0)
    time = time + (final_z - plane) / _mean_velocity(path, z, rho, time, arrived)

    side = np.where(start_rho < 0.0, -1.0, 1.0)
    radii = np.unique(np.concatenate(([0.0], np.abs(rho))))
    folded = np.full((3, len(z), len(radii)), np.nan)
    for column, radius in enumerate(radii):
        same = np.flatnonzero(np.abs(rho) == radius)
        for layer, values in enumerate((side * final_rho, side * final_transverse, time)):
            folded[layer, :, column] = _mean_where(values[:, same], arrived[:, same])
    folded[:2, :, 0] = 0.0
    folded[2, :, 0] = folded[2, :, 1:][_first_true(~np.isnan(folded[2, :, 1:]))]
    table = GarfieldTable(z, radii, *folded)
    _check(path, table)
    return table


def _numbers(path: Path) -> NDArray[np.float64]:
    lines = split_lines(read_text(path))
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = [float(cell) for cell in line.replace(",", " ").split()]
        except ValueError:
            row = []
        if len(row) != 6 or not np.all(np.isfinite(row)):
            raise ConfigurationError(f"{path}: line {number} reads {line[:80]!r}; allowed: {_MEANING}")
        rows.append(row)
    if not rows:
        raise ConfigurationError(f"{path}: is empty; allowed: {_MEANING}")
    return np.array(rows)


def _regular_grid(
    path: Path, rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """z, rho [mm], and final z, rho, transverse [mm] and time [ns] as an array (n_z, n_rho, 4)."""
    z, rho = np.unique(rows[:, 0]), np.unique(rows[:, 1])
    if len(z) < 2 or len(np.unique(np.abs(rho[rho != 0.0]))) < 2:
        raise ConfigurationError(
            f"{path}: has {len(z)} step(s) in z and {len(rho)} in rho; allowed: two different z and two different "
            f"distances from the axis, or more"
        )
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    complete = len(rows) == len(z) * len(rho) and np.array_equal(
        rows[order, :2], np.stack(np.meshgrid(z, rho, indexing="ij"), axis=2).reshape(-1, 2)
    )
    if not complete:
        raise ConfigurationError(
            f"{path}: its {len(rows)} lines do not fill the grid of {len(z)} z by {len(rho)} rho once; "
            f"allowed: {_MEANING}"
        )
    grid = rows[order, 2:].reshape(len(z), len(rho), 4) * np.array([_MM_PER_CM, _MM_PER_CM, _MM_PER_CM, 1.0])
    return z * _MM_PER_CM, rho * _MM_PER_CM, grid


def _mean_velocity(
    path: Path, z: NDArray[np.float64], rho: NDArray[np.float64], time: NDArray[np.float64], arrived: NDArray[np.bool_]
) -> float:
    """Drift velocity [mm/ns] over the whole length, near the axis."""
    by_distance = np.argsort(np.where(rho == 0.0, np.inf, np.abs(rho)), kind="stable")
    arrived = arrived[:, by_distance]
    if not (arrived[0].any() and arrived[-1].any()):
        raise ConfigurationError(f"{path}: no electron from the pad plane or none from the window arrives")
    near, far = (time[row, by_distance[np.argmax(arrived[row])]] for row in (0, -1))
    if far <= near:
        raise ConfigurationError(
            f"{path}: electrons from z = {z[-1]:g} mm arrive after {far:g} ns, those from {z[0]:g} mm after "
            f"{near:g} ns; allowed: z runs from the pad plane to the window"
        )
    return float((z[-1] - z[0]) / (far - near))


def _mean_where(values: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean of the good values of each row of (n, m), nan where there are none."""
    number = good.sum(axis=1)
    total: NDArray[np.float64] = np.where(good, values, 0.0).sum(axis=1)
    mean = np.full(len(values), np.nan)
    np.divide(total, number, out=mean, where=number > 0)
    return mean


def _first_true(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Index of the first True of each row (the first element where there is none)."""
    return np.arange(len(mask)), np.argmax(mask, axis=1)


def _check(path: Path, table: GarfieldTable) -> None:
    """A table that can be inverted: enough electrons arrive, later from farther away, farther out from farther out."""
    arrives = ~np.isnan(table.drift_time[:, 1:])
    few = np.flatnonzero(arrives.sum(axis=1) < 2)
    if len(few):
        raise ConfigurationError(
            f"{path}: fewer than two electrons from z = {table.z[few[0]]:g} mm arrive at the pad plane; "
            f"allowed: two distances from the axis or more at each z"
        )
    early = np.flatnonzero(np.diff(table.drift_time[:, 0]) <= 0.0)
    if len(early):
        raise ConfigurationError(
            f"{path}: electrons near the axis from z = {table.z[early[0] + 1]:g} mm arrive before those from "
            f"{table.z[early[0]]:g} mm; allowed: drift times that grow with z"
        )
    landing = np.hypot(table.final_rho, table.final_transverse)
    for row, radii in enumerate(landing):
        if np.any(np.diff(radii[~np.isnan(radii)]) <= 0.0):
            raise ConfigurationError(
                f"{path}: electrons from z = {table.z[row]:g} mm land in another order from the axis than they start; "
                f"allowed: landing points whose distance from the axis grows with that of the start"
            )
