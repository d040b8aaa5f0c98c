"""The measured resolution beside the bound: table by energy, figure, and the command that writes both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from spyral_core import store
from spyral_core.bound.conditions import conditions_of
from spyral_core.bound.scan import of_tracks, scan
from spyral_core.config import Configuration, validate
from spyral_core.errors import ConfigurationError, DataError
from spyral_core.fitting.gate import load_gate
from spyral_core.paths import product
from spyral_core.physics.nuclei import nuclear_mass, symbol
from spyral_core.report import style, truth
from spyral_core.report.names import gate_names
from spyral_core.report.page import Grid

BANDS = (0.0, 2.0, 4.0, 6.0, 10.0, 15.0, 25.0, 40.0, 1000.0)  # MeV
MOST_TRACKS = 200  # of the report's table, which is made anew with each report
FEWEST = 5  # tracks of a band
CENTRAL = 0.6827
WIDTH_COUNTS = 1.08  # n values tell this width of a normal distribution to 1/√(1.08 n) of it
MARKERS = "os^Dv<>P"
QUANTITIES = (("ke", 100.0, "energy [%]"), ("polar", 1.0, "polar angle [°]"), ("vertex_z", 1.0, "vertex z [mm]"))


def with_bounds(matched: pl.DataFrame, species: tuple[int, int], configuration: Configuration) -> pl.DataFrame:
    """The fitted tracks of `truth.match`, with the bound of each at its true start (`scan.of_tracks`)."""
    fitted = matched.filter(pl.col("fitted_ke").is_not_null())
    bounds = of_tracks(fitted, species, conditions_of(configuration))
    return pl.concat([fitted, bounds], how="horizontal").filter(pl.col("bound_ke").is_not_nan())


def central_width(sigma: NDArray[np.float64]) -> float:
    """Half of the central 68 % of errors that are normal with standard deviations (n,), each as often."""
    largest = float(np.max(sigma)) * 2
    return float(brentq(lambda width: np.mean(2 * ndtr(width / sigma) - 1) - CENTRAL, 0.0, largest))


def against_bound(tracks: pl.DataFrame, bands: Sequence[float] = BANDS) -> pl.DataFrame:
    """Result of `with_bounds` by band of true energy, and for all.

    Columns: `ke_low`, `ke_high` [MeV], `n`; for ke (relative), polar [deg] and vertex_z [mm] `<name>_measured`, half of
    the residuals' central 68 %; `<name>_bound`, what it would be if each track were at its bound; `<name>_median`,
    the median bound; `<name>_ratio`, half of the central 68 % of residual over bound, and its standard error
    `<name>_ratio_error`.
    """
    rows = []
    for low, high in (*pairwise(bands), (bands[0], bands[-1])):
        band = tracks.filter((pl.col("ke") >= low) & (pl.col("ke") < high))
        if band.height < FEWEST:
            continue
        row: dict[str, Any] = {"ke_low": low, "ke_high": high, "n": band.height}
        for name, _, _ in QUANTITIES:
            residual, bound = band[f"{name}_residual"].to_numpy(), band[f"bound_{name}"].to_numpy()
            ratio = truth.median_and_width(residual / bound)[1] or np.nan
            row[f"{name}_measured"] = truth.median_and_width(residual)[1]
            row[f"{name}_bound"] = central_width(bound)
            row[f"{name}_median"] = float(np.median(bound))
            row[f"{name}_ratio"], row[f"{name}_ratio_error"] = ratio, ratio / np.sqrt(WIDTH_COUNTS * band.height)
        rows.append(row)
    return pl.DataFrame(rows)


def grid(table: pl.DataFrame, caption: str) -> Grid:
    """The result of `against_bound` as a table for people."""
    heads = [("energy [MeV]", "true kinetic energy"), ("tracks", "clean true particles with a fit")]
    for _, _, label in QUANTITIES:
        heads += [
            (label, "half of the central 68 % of fitted − true"),
            ("bound", "the same if each track were at its Cramér–Rao bound"),
            ("ratio", "half of the central 68 % of (fitted − true) / bound"),
        ]
    rows = []
    for place, row in enumerate(table.iter_rows(named=True)):
        cells = ["all" if place == table.height - 1 else f"{row['ke_low']:g} – {row['ke_high']:g}", f"{row['n']:,}"]
        for name, factor, _ in QUANTITIES:
            cells += [f"{factor * row[f'{name}_measured']:.3g}", f"{factor * row[f'{name}_bound']:.3g}"]
            cells.append(f"{row[f'{name}_ratio']:.2f} ± {row[f'{name}_ratio_error']:.2f}")
        rows.append(cells)
    return Grid(heads, rows, caption=caption)


def report_grid(
    matched: pl.DataFrame, species: tuple[int, int], parameters: Mapping[str, Any], gate: str
) -> Grid | None:
    """The table of the report page, of at most MOST_TRACKS tracks evenly taken; None without any."""
    fitted = matched.filter(pl.col("fitted_ke").is_not_null()) if matched.columns else matched
    if not fitted.height:
        return None
    taken = fitted.gather_every(-(-fitted.height // MOST_TRACKS))
    table = against_bound(with_bounds(taken, species, validate(dict(parameters))))
    if not table.height:
        return None
    shown = f"{taken.height} of {fitted.height} fitted tracks" if taken.height < fitted.height else "fitted tracks"
    return grid(table, f"Against the Cramér–Rao bound of the charge pattern, gate {gate}, all runs: {shown}")


@dataclass(frozen=True)
class Request:
    """What to scan: species (Z, A), by default the ejectile; energies [MeV], polar angles [deg], z of the vertex [mm],
    by default half the detector's length."""

    species: tuple[int, int] | None
    energies: tuple[float, ...]
    angles: tuple[float, ...]
    vertex_z: float | None


def write(configuration: Configuration, folder: Path, request: Request, measured: Path | None) -> str:
    """Write bound.csv, bound.png and, with results to compare, measured.csv; the tables as text.

    Raises ConfigurationError if the configuration names no particle or gas, DataError if there is nothing to compare.
    """
    nucleus = request.species or _ejectile(configuration)
    try:
        nuclear_mass(*nucleus)
    except ValueError as error:
        raise ConfigurationError(f"bound: {error}") from None
    conditions = conditions_of(configuration)
    place = 0.5 * conditions.length if request.vertex_z is None else request.vertex_z
    if place >= conditions.length:
        raise ConfigurationError(
            f"bound: a vertex at z = {place:g} mm is not inside the {conditions.length:g} mm of gas"
        )
    table = scan(nucleus, request.energies, request.angles, place, conditions)
    compared = None if measured is None else against_bound(_measured(configuration, nucleus, measured))
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "bound.csv", table)
    if compared is not None:
        _write_csv(folder / "measured.csv", compared)
    gas = f"{conditions.gas.pressure:g} torr, {conditions.magnetic_field:g} T, vertex at z = {place:g} mm"
    title = f"Cramér–Rao bound of {symbol(*nucleus)}: {gas}"
    style.write(folder / "bound.png", figure, table, compared, title)
    parts = [title, _text(_scan_grid(table))]
    if compared is not None:
        parts.append(_text(grid(compared, "")))
    return "\n\n".join(parts)


def _ejectile(configuration: Configuration) -> tuple[int, int]:
    reaction = configuration.reaction or (configuration.simulate and configuration.simulate.reaction)
    if not reaction:
        raise ConfigurationError("bound: the configuration names no reaction: give the particle with --species Z A")
    return reaction.ejectile


def _measured(configuration: Configuration, species: tuple[int, int], results: Path) -> pl.DataFrame:
    """All runs' clean particles of a species with solutions of its gates, with bounds."""
    truths = sorted(results.glob("traces/run_*_truth.parquet"))
    gates = configuration.solver.gates if configuration.solver else []
    found = []
    for name, path in zip(gate_names(configuration.model_dump()), gates, strict=True):
        gate = load_gate(Path(path))
        if species != (gate.Z, gate.A):
            continue
        for file in truths:
            solutions = product(results, "solver", int(file.stem.split("_")[1]), name)
            if solutions.is_file():
                particles = truth.clean(store.read_parquet(file), species)
                found.append(truth.match(particles, store.read_parquet(solutions)))
    tracks = pl.concat(found) if found else pl.DataFrame()
    if not tracks.height or tracks["fitted_ke"].count() < FEWEST:
        raise DataError(
            f"{results}: holds no simulated run with its truth and {FEWEST} fits of {symbol(*species)} from a gate of "
            "the configuration; without a truth there is no measured resolution to compare"
        )
    return with_bounds(tracks, species, configuration)


def _write_csv(path: Path, table: pl.DataFrame) -> None:
    with store.atomic(path) as temporary:
        table.write_csv(temporary)


def _scan_grid(table: pl.DataFrame) -> Grid:
    heads = [(head, "") for head in ("angle [°]", "energy [MeV]", *(label for _, _, label in QUANTITIES), "pads")]
    rows = [
        [
            f"{row['angle']:g}",
            f"{row['energy']:g}",
            *(f"{factor * row[name]:.3g}" for name, factor, _ in QUANTITIES),
            f"{row['n_pads']:.0f}",
        ]
        for row in table.iter_rows(named=True)
    ]
    return Grid(heads, rows)


def _text(table: Grid) -> str:
    rows = [[head for head, _ in table.heads], *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def figure(table: pl.DataFrame, compared: pl.DataFrame | None, title: str) -> Figure:
    """Bound of energy and polar angle against energy, a line an angle; below, if there is one, the comparison."""
    rows = 1 if compared is None else 2
    drawn, panels = style.panels(title, 3.7 * rows + 0.3, rows, 2, hspace=0.3)
    for axes, (name, factor, label) in zip(panels, QUANTITIES[:2], strict=False):
        _draw_scan(axes, table, name, factor)
        axes.set_ylabel(f"bound of {label}")
    if compared is not None:
        for axes, (name, factor, label) in zip(panels[2:], QUANTITIES[:2], strict=True):
            _draw_comparison(axes, compared[:-1], name, factor)
            axes.set_ylabel(f"resolution of {label}")
    return drawn


def _draw_scan(axes: Axes, table: pl.DataFrame, name: str, factor: float) -> None:
    for place, angle in enumerate(table["angle"].unique(maintain_order=True)):
        rows = table.filter(pl.col("angle") == angle)
        axes.plot(
            rows["energy"],
            factor * rows[name],
            marker=MARKERS[place % len(MARKERS)],
            markersize=5,
            color=style.PALETTE[place % len(style.PALETTE)],
            linestyle="-" if place < len(style.PALETTE) else "--",
            label=f"{angle:g}°",
        )
    axes.set_xlabel("kinetic energy [MeV]")
    style.set_log(axes, "x", style.log_span(table["energy"]))
    style.set_log(axes, "y", style.log_span(factor * table[name]))
    axes.legend(title="polar angle")


def _draw_comparison(axes: Axes, bands: pl.DataFrame, name: str, factor: float) -> None:
    low = np.maximum(bands["ke_low"].to_numpy(), 0.5 * bands["ke_high"].to_numpy()[0] if bands.height else 0.5)
    high = np.minimum(bands["ke_high"].to_numpy(), 2 * low)
    middle = np.sqrt(low * high)
    value = factor * bands[f"{name}_measured"].to_numpy()
    error = value / np.sqrt(WIDTH_COUNTS * bands["n"].to_numpy())
    bound = factor * bands[f"{name}_bound"].to_numpy()
    axes.errorbar(
        middle, value, error, [middle - low, high - middle], fmt="o", color=style.BLUE, label="fitted − true, 68 %"
    )
    axes.hlines(bound, low, high, color=style.RED, linewidth=2.2, label="bound of the same tracks")
    axes.set_xlabel("true kinetic energy [MeV], by band")
    style.set_log(axes, "x", style.log_span(np.concatenate([low, high]), 0.0, 1.0))
    style.set_log(axes, "y", style.log_span(np.concatenate([value, bound]), 0.0, 1.0))
    axes.legend()
