"""How well tracks are fitted: χ², standard deviations, how many."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spyral_core.report import style


def figure(solutions: pl.DataFrame, n_estimates: int, refused: int, title: str) -> Figure:
    """`solutions` with sigmas [mm, MeV, rad]; `refused`: clusters that the solver rejected."""
    if solutions.height == 0:
        return style.empty_figure(f"Fit quality · {title}", "no tracks")
    plot, axes = style.panels(f"Fit quality · {title}", 5.8, 2, 3, left=0.065, wspace=0.42, top=0.91)
    _distribution(axes[0], solutions["redchisq"].to_numpy(), "χ² per degree of freedom", 1.0)
    axes[0].set_ylabel("tracks")
    relative = 100 * solutions["sigma_ke"].to_numpy() / solutions["ke"].to_numpy()
    _distribution(axes[1], relative, "σ(ke) / ke [%]")
    _distribution(axes[2], np.degrees(solutions["sigma_polar"].to_numpy()), "σ(polar) [deg]")
    _distribution(axes[3], solutions["sigma_vz"].to_numpy(), "σ(vertex z) [mm]")
    axes[3].set_ylabel("tracks")
    points = solutions["n_points"].to_numpy()
    style.histogram(axes[4], points, (0.0, style.span(points, 0.0, 0.995)[1]), 2 * style.bins_for(len(points)))
    axes[4].set_xlabel("points in the fit")
    _outcome(axes[5], solutions.height, n_estimates, refused)
    return plot


def _distribution(axes: Axes, values: np.ndarray, label: str, mark: float | None = None) -> None:
    good = values[np.isfinite(values) & (values > 0)]
    axes.set_xlabel(label)
    if len(good) == 0:
        style.nothing(axes, "no finite value")
        return
    log = style.spans_decades(good)
    limits = style.log_span(good, 0.01, 0.99) if log else style.span(good, 0.0, 0.98, 0.15)
    style.histogram(axes, good, limits if log else (max(limits[0], 0.0), limits[1]), 2 * style.bins_for(len(good)), log)
    if mark is not None:
        axes.axvline(mark, color=style.MUTED, linewidth=1.2, linestyle=":")
    style.vertical_lines(axes, [float(np.median(good))], f"median {np.median(good):.3g}")
    if len(good) < len(values):
        axes.plot([], [], " ", label=f"{len(values) - len(good):,} not finite")
    axes.set_ylim(top=1.25 * axes.get_ylim()[1])
    axes.legend(loc="upper right", handlelength=1.4)


def _outcome(axes: Axes, solved: int, n_estimates: int, refused: int) -> None:
    """What became of the estimates; the rest were outside the gate or the ion chamber's bounds."""
    rest = max(n_estimates - solved - refused, 0)
    names, numbers = ["solved", "rejected", "not selected"], [solved, refused, rest]
    axes.barh(range(3), numbers, color=[style.GREEN, style.RED, style.MUTED], height=0.6)
    axes.set_yticks(range(3), names)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, 1.75 * max(*numbers, 1))
    for place, number in enumerate(numbers):
        axes.text(number, place, f" {number:,} ({style.share(number, n_estimates)})", va="center", fontsize=9.5)
    axes.set_xlabel("estimates")
