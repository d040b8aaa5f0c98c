"""One event: charge on the pad plane in true pad shapes, and drift against transverse, with the fitted tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spyral_core.detector.pads import PadPlane
from spyral_core.report import style
from spyral_core.report.read import CloudEvent, Run

TRACK = style.INK
MOST_ENTRIES = 6  # of the legend
CLUSTER_COLORS = (style.ORANGE, style.SKY, style.RED, style.PURPLE, style.GREEN)


@dataclass(frozen=True)
class Choice:
    """An event worth showing: of which run, and of how many points the track for which it was taken."""

    run: int
    event: int
    n_points: int
    solved: bool


@dataclass(frozen=True)
class Track:
    """A fitted track: its name and numbers for the legend, and its path (n, 3) [mm]."""

    label: str
    path: NDArray[np.float64]


def choose(run: Run) -> Choice | None:
    """The event whose fitted track has the most points, among the better half by χ²; without fits the event with the
    largest cluster, without clusters the largest cloud; None if there is none of these."""
    if run.events is None or run.events.height == 0:
        return None
    known = run.events.filter(pl.col("n_points") > 0)["event"].implode()
    fitted = [frame.filter(pl.col("event").is_in(known)) for frame in run.solutions.values()]
    good = [frame.filter(pl.col("redchisq") <= pl.col("redchisq").median()) for frame in fitted]
    candidates: list[tuple[pl.DataFrame, bool]] = [(frame, True) for frame in good if frame.height]
    if not candidates and run.clusters is not None:
        candidates = [(run.clusters.filter(pl.col("event").is_in(known)), False)]
    if not any(frame.height for frame, _ in candidates):
        candidates = [(run.events.filter(pl.col("n_points") > 0), False)]
    choices = [
        Choice(run.number, row["event"], row["n_points"], solved)
        for frame, solved in candidates
        if frame.height
        for row in frame.sort("n_points", "event", descending=[True, False]).head(1).iter_rows(named=True)
    ]
    return best(choices)


def best(choices: Sequence[Choice]) -> Choice | None:
    """The choice with a fit, then with the most points, then the earliest."""
    return min(
        choices, key=lambda choice: (not choice.solved, -choice.n_points, choice.run, choice.event), default=None
    )


def figure(event: CloudEvent | None, tracks: Sequence[Track], plane: PadPlane, length: float, title: str) -> Figure:
    """Pad plane on the left; z against x, y and the distance from the axis on the right."""
    if event is None:
        return style.empty_figure(f"Event display · {title}", "no tracks: no event has a point")
    plot = style.new_figure(5.8)
    run = f"run {event.run}"
    where = run if title == run else f"{title} · {run}"
    style.heading(plot, f"Event display · {where}, event {event.event}")
    pads = plot.add_axes((0.075, 0.09, 0.46, 0.82))
    bar = plot.add_axes((0.545, 0.13, 0.012, 0.66))
    side = [plot.add_axes((0.68, 0.61 - 0.26 * place, 0.305, 0.18)) for place in range(3)]
    _pad_plane(pads, bar, event, plane)
    x, y, z = (np.asarray(event.points[axis], dtype=float) for axis in "xyz")
    for axes, (name, across) in zip(side, (("x", x), ("y", y), ("ρ", np.hypot(x, y))), strict=True):
        _drift(axes, event, z, across)
        axes.set_ylabel(f"{name} [mm]")
        axes.set_xlim(*_drift_limits(z, length))
    for track in tracks:
        path = track.path
        pads.plot(path[:, 0], path[:, 1], color=TRACK, linewidth=1.1, label=track.label)
        for axes, across in zip(side, (path[:, 0], path[:, 1], np.hypot(path[:, 0], path[:, 1])), strict=True):
            axes.plot(path[:, 2], across, color=TRACK, linewidth=1.1)
    pads.set_title("Pad plane")
    handles, labels = pads.get_legend_handles_labels()
    if handles:
        shown = slice(None, MOST_ENTRIES)
        plot.legend(
            handles[shown],
            labels[shown],
            loc="upper right",
            bbox_to_anchor=(0.995, 0.995),
            ncols=1 + (len(handles) > 3),
            handlelength=1.3,
            columnspacing=1.0,
            fontsize=9,
        )
    side[0].set_title("Drift against transverse", fontsize=10.5)
    side[-1].set_xlabel(f"z [mm]: window at 0, pad plane at {length:g}")
    return plot


def _pad_plane(axes: Axes, bar: Axes, event: CloudEvent, plane: PadPlane) -> None:
    """All pads in outline; those that fired filled by their summed charge and outlined by their cluster."""
    pad = np.asarray(event.points["pad"], dtype=int)
    charge = np.asarray(event.points["integral"], dtype=float)
    there = (pad >= 0) & (pad < len(plane.vertices))
    total = np.bincount(pad[there], np.maximum(charge[there], 0), len(plane.vertices))
    fired = np.flatnonzero(total > 0)
    axes.add_collection(
        PolyCollection(plane.vertices, facecolors="none", edgecolors="#d3d8de", linewidths=0.3)  # type: ignore[arg-type]
    )
    if len(fired):
        low, high = np.quantile(total[fired], [0.02, 0.99])
        shown = PolyCollection(
            plane.vertices[fired],  # type: ignore[arg-type]
            array=total[fired],
            cmap=style.MAP,
            norm=LogNorm(max(low, 1e-9), max(high, 1.01 * low)),
            edgecolors="none",
        )
        axes.add_collection(shown)
        scale = axes.figure.colorbar(shown, cax=bar, extend="both")
        bar.set_title("charge\n[ADC]", fontsize=9.5, loc="left")
        style.set_log_ticks(scale.ax.yaxis, shown.get_clim())
    for number, index in enumerate(_clusters(event)):
        member = np.unique(pad[there & (event.cluster == index)])
        color = CLUSTER_COLORS[number % len(CLUSTER_COLORS)]
        axes.add_collection(
            PolyCollection(
                plane.vertices[member],  # type: ignore[arg-type]
                facecolors="none",
                edgecolors=color,
                linewidths=0.6,
                label=f"cluster {index}: {int((event.cluster == index).sum()):,} points",
            )
        )
    style.pad_plane(axes, plane.vertices)


def _drift(axes: Axes, event: CloudEvent, z: NDArray[np.float64], across: NDArray[np.float64]) -> None:
    loose = event.cluster < 0
    axes.scatter(z[loose], across[loose], s=5, color=style.MUTED, linewidths=0, alpha=0.6)
    for number, index in enumerate(_clusters(event)):
        member = event.cluster == index
        color = CLUSTER_COLORS[number % len(CLUSTER_COLORS)]
        axes.scatter(z[member], across[member], s=8, color=color, linewidths=0, alpha=0.8)


def _clusters(event: CloudEvent) -> list[int]:
    return [int(index) for index in np.unique(event.cluster[event.cluster >= 0])]


def _drift_limits(z: NDArray[np.float64], length: float) -> tuple[float, float]:
    """The detector's length, or more where points lie outside."""
    low, high = style.span(z, 0.01, 0.99, 0.03)
    return min(low, -0.02 * length), max(high, 1.02 * length)
