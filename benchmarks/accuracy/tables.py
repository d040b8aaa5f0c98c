"""The closing tables: what was found of the samples, against what is asked for, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from speed.table import markdown

from accuracy.bands import Band, all_bands, centre, merged, width
from accuracy.chain import Found
from accuracy.samples import SAMPLES
from spyral_core.report.bound import central_width

POLAR_GAIN, POLAR_GAIN_FROM = 0.8, 6.0  # of "seen" for tracks above so many MeV
RATIO, RATIO_ERROR = 1.25, 0.25
BIAS = {"ke": 0.003, "polar": 0.05}
PULL_OFF = 0.1
SOLVED, CLOSE, RESULTS, SPECIES = 0.98, 0.97, 1.02, 0.97
SURE = 2.0  # standard errors
ALL: Band = (0.0, 1000.0)
MET, WITHIN, MISSED = "met", "within its error", "**missed**"


@dataclass(frozen=True)
class Quantity:
    """A fitted quantity: its column, what a row shows it in, its uncertainty's column, and what one of that is in the
    residual's unit (None: the uncertainty is absolute and the residual relative)."""

    name: str
    label: str
    scale: float
    digits: int
    sigma: str
    unit: float | None


ENERGY = Quantity("ke", "energy (%)", 100.0, 3, "sigma_ke", None)
POLAR = Quantity("polar", "polar (deg)", 1.0, 3, "sigma_polar", 180.0 / np.pi)
VERTEX_Z = Quantity("vertex_z", "vertex z (mm)", 1.0, 2, "sigma_vz", 1000.0)
QUANTITIES = (ENERGY, POLAR, VERTEX_Z)


def within(found: Found, band: Band) -> pl.DataFrame:
    """The fitted tracks of a band of true energy."""
    return found.fitted.filter((pl.col("ke") >= band[0]) & (pl.col("ke") < band[1]))


def residuals(tracks: pl.DataFrame, quantity: Quantity) -> NDArray[np.float64]:
    """Fitted − true: energy relative, polar angle [deg], vertex z [mm]."""
    return tracks[f"{quantity.name}_residual"].to_numpy()


def pulls(tracks: pl.DataFrame, quantity: Quantity) -> NDArray[np.float64]:
    """Fitted − true over the stated uncertainty."""
    sigma = tracks[quantity.sigma].to_numpy()
    one = 1.0 / tracks["ke"].to_numpy() if quantity.unit is None else quantity.unit
    return residuals(tracks, quantity) / (sigma * one)


def bounds(tracks: pl.DataFrame, quantity: Quantity) -> NDArray[np.float64]:
    """The tracks' bounds in the unit of `residuals`."""
    return tracks[f"bound_{quantity.name}"].to_numpy()


def pm(value: float, error: float, quantity: Quantity, sign: str = "") -> str:
    """A value with its error, as the quantity is shown."""
    if not np.isfinite(value):
        return "–"
    digits, scale = quantity.digits, quantity.scale
    return f"{scale * value:{sign}.{digits}f} ± {scale * error:.{digits}f}"


def span(band: Band) -> str:
    """A band's name."""
    return "all" if band[1] >= 1000.0 else f"{band[0]:g}–{band[1]:g}"


def excess_of(
    found: Found, error: Callable[[pl.DataFrame], float], allowed: Callable[[pl.DataFrame], float]
) -> Callable[[float, float], float]:
    """For `bands.merged`: the standard error of a band's tracks over half of what is asked for."""

    def excess(low: float, high: float) -> float:
        tracks = within(found, (low, high))
        return 2 * error(tracks) / allowed(tracks) if tracks.height else np.inf

    return excess


def filled(found: Found, lowest: float = 0.0) -> list[Band]:
    """The bands from an energy on that hold tracks."""
    return [band for band in all_bands() if band[0] >= lowest and within(found, band).height]


def without_scattering(samples: Sequence[Found]) -> str:
    """Resolution against "seen", with the bound of the same tracks."""
    rows = []
    for found in samples:
        seen = SAMPLES[found.name].seen
        if not found.scattering and seen:
            for number, quantity in enumerate((ENERGY, POLAR)):
                rows += _against_seen(found, quantity, {low: both[number] for low, both in seen.items()})
    head = ["sample", "quantity", "energy (MeV)", "n", "reached", "seen", "asked for", "bound", "verdict"]
    return markdown(head, rows)


def _against_seen(found: Found, quantity: Quantity, seen: dict[float, float]) -> list[list[str]]:
    def reached(tracks: pl.DataFrame) -> tuple[float, float]:
        return width(residuals(tracks, quantity))

    def limit(tracks: pl.DataFrame) -> float:
        return _seen_width(tracks["ke"].to_numpy(), seen)

    rows = []
    for band in merged(filled(found, min(seen)), excess_of(found, lambda tracks: reached(tracks)[1], limit)):
        tracks = within(found, band)
        value, error = reached(tracks)
        better = quantity is POLAR and band[0] >= POLAR_GAIN_FROM
        asked = limit(tracks) * (POLAR_GAIN if better else 1.0)
        bound = central_width(bounds(tracks, quantity))
        rows.append(
            [found.name, quantity.label, span(band), str(tracks.height), pm(value, error, quantity),
             f"{quantity.scale * limit(tracks):.2f}", f"{quantity.scale * asked:.3f}",
             f"{quantity.scale * bound:.3f}", _below(value, error, asked, bound)]
        )  # fmt: skip
    return rows


def _seen_width(energies: NDArray[np.float64], seen: dict[float, float]) -> float:
    """The width of all tracks if each had that of its own band."""
    edges = np.array(sorted(seen))
    place = np.clip(np.searchsorted(edges, energies, side="right") - 1, 0, None)
    return central_width(np.array([seen[low] for low in edges.tolist()])[place])


def _below(value: float, error: float, asked: float, bound: float) -> str:
    if value <= asked:
        return MET
    if bound > asked:
        return f"the bound lies {bound / asked:.1f} times above it"
    return WITHIN if value - error <= asked else MISSED


def against_bound(samples: Sequence[Found], scattering: bool = True) -> tuple[str, list[float]]:
    """Reached, bound and their ratio by band, and all the ratios."""
    rows, ratios = [], []
    for found in samples:
        if found.scattering != scattering:
            continue
        for band in merged(filled(found), excess_of(found, _worst_ratio_error, lambda _: RATIO_ERROR)):
            tracks = within(found, band)
            cells = [found.name, span(band), str(tracks.height)]
            for quantity in QUANTITIES:
                ratio, error = ratio_to_bound(tracks, quantity)
                bound = bounds(tracks, quantity)
                cells += [pm(*width(residuals(tracks, quantity)), quantity)]
                cells += [f"{quantity.scale * central_width(bound[np.isfinite(bound)]):.{quantity.digits}f}"]
                cells += [f"{ratio:.2f} ± {error:.2f}"]
                ratios.append(ratio)
            rows.append(cells)
    head = ["sample", "energy (MeV)", "n"]
    for quantity in QUANTITIES:
        head += [quantity.label, "bound", "ratio"]
    return markdown(head, rows), ratios


def ratio_to_bound(tracks: pl.DataFrame, quantity: Quantity) -> tuple[float, float]:
    """Half of the central 68 % of residual over bound, with its standard error."""
    ratios = residuals(tracks, quantity) / bounds(tracks, quantity)
    return width(ratios[np.isfinite(ratios)])


def _worst_ratio_error(tracks: pl.DataFrame) -> float:
    return max(ratio_to_bound(tracks, quantity)[1] for quantity in QUANTITIES)


def bias(samples: Sequence[Found]) -> str:
    """Median signed errors by band, against their limits."""
    rows = []
    for found in samples:
        for band in merged(filled(found), excess_of(found, _worst_bias_error, lambda _: 1.0)):
            tracks = within(found, band)
            row = [found.name, switched(found), span(band), str(tracks.height)]
            for quantity in (ENERGY, POLAR):
                value, error = centre(residuals(tracks, quantity))
                row += [pm(value, error, quantity, "+"), bias_verdict(value, error, BIAS[quantity.name])]
            rows.append(row)
    head = ["sample", "scattering", "energy (MeV)", "n"]
    for quantity in (ENERGY, POLAR):
        head += [quantity.label, f"limit {quantity.scale * BIAS[quantity.name]:g}"]
    return markdown(head, rows)


def _worst_bias_error(tracks: pl.DataFrame) -> float:
    """The larger standard error of the medians, over their limits."""
    return max(centre(residuals(tracks, quantity))[1] / BIAS[quantity.name] for quantity in (ENERGY, POLAR))


def bias_verdict(value: float, error: float, limit: float) -> str:
    """How a median signed error stands to its limit."""
    return MET if abs(value) <= limit else WITHIN if abs(value) <= limit + SURE * error else MISSED


def pull_widths(samples: Sequence[Found]) -> str:
    """Widths of the pulls by band and for all, against 1 ± 0.1."""
    rows = []
    for found in samples:
        bands = merged(filled(found), excess_of(found, _worst_pull_error, lambda _: PULL_OFF))
        for band in [*bands, ALL] if len(bands) > 1 else [ALL]:
            tracks = within(found, band)
            widths = [width(pulls(tracks, quantity)) for quantity in QUANTITIES]
            cells = [f"{value:.2f} ± {error:.2f}" for value, error in widths]
            redchisq = f"{np.median(tracks['fitted_redchisq'].to_numpy()):.2f}"
            name = [found.name, switched(found), span(band), str(tracks.height)]
            rows.append([*name, *cells, redchisq, pull_verdict(widths)])
    head = ["sample", "scattering", "energy (MeV)", "n", "pull: energy", "polar", "vertex z", "redchisq", "verdict"]
    return markdown(head, rows)


def pull_verdict(widths: Sequence[tuple[float, float]]) -> str:
    """How the worst of some pulls' widths stands to 1 ± PULL_OFF."""
    if all(abs(value - 1.0) <= PULL_OFF for value, _ in widths):
        return MET
    return WITHIN if all(abs(value - 1.0) <= PULL_OFF + SURE * error for value, error in widths) else MISSED


def _worst_pull_error(tracks: pl.DataFrame) -> float:
    return max(width(pulls(tracks, quantity))[1] for quantity in QUANTITIES)


def efficiency(samples: Sequence[Found]) -> str:
    """Solved, close, results a true track, species right, against their limits."""
    rows = []
    for found in samples:
        tracks, told = found.tracks, found.tracks.filter("told")
        asked = told["species_right"].null_count() < told.height
        rows.append(
            [found.name, switched(found), str(tracks.height),
             share(tracks["fitted_ke"].count() / tracks.height, SOLVED, True), str(told.height),
             share(float(told["close"].to_numpy().mean()), CLOSE, True),
             share(found.own_results / tracks.height, RESULTS, False), f"{found.all_results / tracks.height:.3f}",
             share(float(told["species_right"].to_numpy().mean()), SPECIES, True) if asked else ""]
        )  # fmt: skip
    head = ["sample", "scattering", "80 pads", f"solved (≥ {SOLVED:g})", "stop or turn by 30°", f"close (≥ {CLOSE:g})"]
    head += [f"results a true track (≤ {RESULTS:g})", "results in its event", f"species right (≥ {SPECIES:g})"]
    return markdown(head, rows)


def share(value: float, limit: float, at_least: bool) -> str:
    """A share, printed bold where it misses its limit."""
    met = value >= limit if at_least else value <= limit
    return f"{value:.3f}" if met else f"**{value:.3f}**"


def switched(found: Found) -> str:
    """Whether the sample has scattering and straggling."""
    return "on" if found.scattering else "off"
