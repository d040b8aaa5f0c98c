"""Ion-chamber spectra."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spyral_core.report import style

UNBOUNDED = 1e8  # bounds beyond this are the defaults that let everything pass


def figure(events: pl.DataFrame, bounds: tuple[float, float] | None, title: str) -> Figure:
    """Amplitude with the solver's bounds, number of pulses, time of the good pulse.

    `events`: columns ic_amplitude [ADC], ic_multiplicity, ic_centroid [FRIB TB]; −1 where there is no good pulse.
    """
    if events.height == 0:
        return style.empty_figure(f"Ion chamber · {title}", "no events")
    good = events.filter(pl.col("ic_amplitude") > 0)
    plot, (left, middle, right) = style.panels(f"Ion chamber · {title}", 3.8, 1, 3, width_ratios=[1.7, 0.8, 1.0])
    left.set_title("Amplitude")
    left.set_xlabel("amplitude [ADC]")
    left.set_ylabel("events")
    if good.height == 0:
        for axes in (left, middle, right):
            style.nothing(axes, "no event has a good pulse")
        return plot
    _amplitude(left, good["ic_amplitude"].to_numpy(), bounds)
    if good.height < events.height:
        missing = events.height - good.height
        left.plot([], [], " ", label=f"{missing:,} of {events.height:,} events: no good pulse")
    if left.get_legend_handles_labels()[0]:
        left.legend(loc="upper left")
    _multiplicity(middle, good["ic_multiplicity"].to_numpy())
    time = good["ic_centroid"].to_numpy()
    style.histogram(right, time, style.span(time, 0.001, 0.999), style.bins_for(len(time)), color=style.SKY)
    right.set_title("Time")
    right.set_xlabel("time [FRIB TB]")
    return plot


def _amplitude(axes: Axes, amplitude: np.ndarray, bounds: tuple[float, float] | None) -> None:
    low, high = style.span(amplitude, 0.001, 0.999)
    finite = [] if bounds is None else [bound for bound in bounds if abs(bound) < UNBOUNDED]
    within = [bound for bound in finite if low - (high - low) < bound < high + (high - low)]
    low, high = min([low, *(bound - 0.03 * (high - low) for bound in within)]), max([high, *within]) * 1.02
    style.histogram(axes, amplitude, (max(low, 0.0), high), 2 * style.bins_for(len(amplitude)))
    if bounds is None or not finite:
        return
    accepted = int(((amplitude > bounds[0]) & (amplitude < bounds[1])).sum())
    axes.axvspan(*np.clip(bounds, *axes.get_xlim()), color=style.GREEN, alpha=0.10, zorder=0, linewidth=0)
    style.vertical_lines(
        axes, within, f"ic_min_val, ic_max_val: {accepted:,} within ({style.share(accepted, len(amplitude))})"
    )
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])


def _multiplicity(axes: Axes, multiplicity: np.ndarray) -> None:
    values, counts = np.unique(multiplicity.astype(int), return_counts=True)
    axes.bar(values, counts, width=0.7, color=style.SKY)
    axes.set_xticks(values[:10])
    axes.grid(False, axis="x")
    axes.set_xlim(values[0] - 0.9, max(values[-1], values[0] + 2) + 0.9)
    axes.set_title("Multiplicity")
    axes.set_xlabel("pulses")
