"""The figure of the comparison with the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spyral_core.report import style
from spyral_core.report.truth import CLOSE_ENERGY, CLOSE_POLAR, summary


def figure(matched: pl.DataFrame, title: str) -> Figure:
    """Residuals of energy, polar angle and vertex z against true energy, and shares solved, of `truth.match`."""
    if matched.height == 0:
        return style.empty_figure(f"Against the truth · {title}", "no tracks: no clean particle of this species")
    table = summary(matched)
    bands = table.head(table.height - 1)
    plot, axes = style.panels(f"Against the truth · {title}", 6.2, 2, 2, left=0.075, wspace=0.24, hspace=0.38, top=0.92)
    _residual(axes[0], matched, bands, "ke", "fitted / true energy − 1 [%]", 100.0, 100 * CLOSE_ENERGY)
    _residual(axes[1], matched, bands, "polar", "polar, fitted − true [deg]", 1.0, CLOSE_POLAR)
    _residual(axes[2], matched, bands, "vertex_z", "vertex z, fitted − true [mm]", 1.0, None)
    _shares(axes[3], bands, matched, table.row(-1, named=True))
    limit = _energy_limit(matched)
    for panel in axes:
        panel.set_xlim(0, limit)
        panel.set_xlabel("true kinetic energy [MeV]")
    return plot


def _energy_limit(matched: pl.DataFrame) -> float:
    return 1.04 * style.span(matched["ke"].to_numpy(), 0.0, 1.0, 0.0)[1]


def _residual(
    axes: Axes, matched: pl.DataFrame, bands: pl.DataFrame, name: str, label: str, factor: float, limit: float | None
) -> None:
    axes.set_ylabel(label)
    solved = matched.filter(pl.col("fitted_ke").is_not_null())
    if solved.height == 0:
        style.nothing(axes, "nothing was solved")
        return
    energy, residual = solved["ke"].to_numpy(), factor * solved[f"{name}_residual"].to_numpy()
    low, high = style.span(residual, 0.08, 0.92, 0.6)
    low, high = min(low, -1.15 * (limit or 0)), max(high, 1.15 * (limit or 0))
    style.cloud(axes, energy, residual, (0.0, _energy_limit(solved)), (low, high), color=style.SKY, bar=False)
    axes.axhline(0, color=style.INK, linewidth=0.9)
    if limit is not None:
        for place in (-limit, limit):
            axes.axhline(place, color=style.MUTED, linewidth=1.1, linestyle=":")
    filled = bands.filter(pl.col(f"{name}_median").is_not_null())
    axes.errorbar(
        np.mean(_ends(filled, matched), axis=0),
        factor * filled[f"{name}_median"].to_numpy(),
        yerr=factor * filled[f"{name}_width"].fill_null(0.0).to_numpy(),
        fmt="o",
        color=style.INK,
        markersize=5,
        capsize=3,
        linewidth=1.4,
        label="median, 68 %",
    )
    axes.legend(loc="upper right")


def _ends(bands: pl.DataFrame, matched: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where each band begins and ends; the last one ends at the highest energy there is."""
    top = float(matched["ke"].max() or 0.0)  # type: ignore[arg-type]
    return bands["ke_low"].to_numpy(), np.minimum(bands["ke_high"].to_numpy(), top)


def _shares(axes: Axes, bands: pl.DataFrame, matched: pl.DataFrame, whole: dict[str, Any]) -> None:
    low, high = _ends(bands, matched)
    for name, color, text in (
        ("solved", style.BLUE, "solved"),
        ("close", style.GREEN, f"within {100 * CLOSE_ENERGY:.0f} % and {CLOSE_POLAR:.0f}°"),
    ):
        label = f"{text}: {100 * whole[name]:.1f} % of {whole['n_true']:,}"
        axes.hlines(100 * bands[name].to_numpy(), low, high, color=color, linewidth=2.6, label=label)
    for place, number in zip((low + high) / 2, bands["n_true"], strict=True):
        axes.text(place, 3, f"{number:,}", ha="center", fontsize=8.5, color=style.MUTED)
    axes.set_ylim(0, 150)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("share of particles [%]")
    axes.legend(loc="upper right", ncols=1)
