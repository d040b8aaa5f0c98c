"""The figures of an acceptance map: efficiency, where tracks are lost, errors, efficiency of the reaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from spyral_core.acceptance.cells import Array
from spyral_core.config.simulation import SimulatedParticles
from spyral_core.report import style
from spyral_core.report.reaction import Reaction

COLUMNS = 3
MOST_SLICES = 5  # of the vertex that are drawn
FEWEST = 5  # fitted tracks whose errors are shown
MARGIN = 10.0  # deg, beside the bins that are covered
NOTHING = "#e3e7eb"
LOG_FROM = 15.0  # ratio of the energies
MEDIAN, WIDTH = "median of fitted − true", "half width (68 %)"
DIVERGING = "PuOr"  # told apart by people of every colour vision
SHOWN_STEPS: dict[str, str] = {
    "detected": "detected",
    "clustered": "… and clustered",
    "estimated": "… and estimated",
    "selected": "… and selected",
    "solved": "… and fitted",
    "accepted": "… and accepted",
}


def map_figure(
    counts: dict[str, Array],
    integrated: dict[str, Array],
    grid: SimulatedParticles,
    reaction: Reaction | None,
    title: str,
) -> Figure:
    """Efficiency against energy and angle, over all vertices and for slices of the vertex (at most MOST_SLICES)."""
    every = -(-grid.shape[2] // MOST_SLICES)
    slices = list(range(every // 2, grid.shape[2], every)) if grid.shape[2] > 1 else []
    shares = counts["efficiency"].reshape(grid.shape)
    ends = grid.vertices
    shown = [(f"all vertices, z = {ends[0]:g} … {ends[-1]:g} mm", integrated["efficiency"], (ends[0], ends[-1]))]
    shown += [(f"z = {ends[k]:g} … {ends[k + 1]:g} mm", shares[:, :, k], (ends[k], ends[k + 1])) for k in slices]

    def draw(axes: Axes, place: int) -> Any:
        name, values, z = shown[place]
        axes.set_title(name)
        mesh = _mesh(axes, 100.0 * values.reshape(grid.shape[:2]), grid, style.MAP, Normalize(0.0, 100.0))
        _line(axes, reaction, grid, z if place else None)
        return mesh

    return _maps(title, grid, len(shown), draw, "efficiency [%]")


def stages_figure(integrated: dict[str, Array], grid: SimulatedParticles, title: str) -> Figure:
    """Share of the particles that came through each step, against energy and angle, over all vertices."""
    generated = np.maximum(integrated["generated"], 1)

    def draw(axes: Axes, place: int) -> Any:
        name = list(SHOWN_STEPS)[place]
        total = 100.0 * integrated[name].sum() / max(integrated["generated"].sum(), 1)
        axes.set_title(f"{SHOWN_STEPS[name]}: {total:.1f} %")
        share = np.where(integrated["generated"] > 0, 100.0 * integrated[name] / generated, np.nan)
        return _mesh(axes, share.reshape(grid.shape[:2]), grid, style.MAP, Normalize(0.0, 100.0))

    return _maps(title, grid, len(SHOWN_STEPS), draw, "share of the particles [%]")


def errors_figure(integrated: dict[str, Array], grid: SimulatedParticles, title: str) -> Figure:
    """Median and width of the errors of energy and polar angle of the fitted, in cells of FEWEST or more."""
    figure, panels = style.panels(title, 7.2, 2, 2, wspace=0.3, hspace=0.42, right=0.97)
    quantities = (("ke", 100.0, "energy", "%"), ("polar", 1.0, "polar angle", "°"))
    for row, (name, factor, label, unit) in enumerate(quantities):
        median, width = (
            np.where(integrated["solved"] < FEWEST, np.nan, factor * integrated[f"{name}_{kind}"]).reshape(
                grid.shape[:2]
            )
            for kind in ("median", "width")
        )
        most = _upper(np.abs(median), 0.95)
        kinds = (
            (panels[2 * row], median, MEDIAN, DIVERGING, TwoSlopeNorm(0.0, -most, most)),
            (panels[2 * row + 1], width, WIDTH, style.MAP, Normalize(0.0, _upper(width, 0.95))),
        )
        for axes, values, kind, colours, norm in kinds:
            mesh = _mesh(axes, values, grid, colours, norm)
            axes.set_title(f"{label}, {kind}")
            _label(axes, grid, True, True)
            extend = "both" if kind == MEDIAN else "max"
            figure.colorbar(mesh, ax=axes, pad=0.02, label=f"[{unit}]", extend=extend)
    return figure


def cross_section_figure(columns: dict[str, Array], title: str) -> Figure:
    """Efficiency of the reaction against the ejectile's centre-of-mass angle, for all vertices and for slices."""
    figure, (left, right) = style.panels(title, 4.3, 1, 2, wspace=0.22)
    spans = list(dict.fromkeys(zip(columns["vertex_low"].tolist(), columns["vertex_high"].tolist(), strict=True)))
    own = [(columns["vertex_low"] == low) & (columns["vertex_high"] == high) for low, high in spans]
    _all_vertices(left, columns, own[0])
    every = -(-(len(spans) - 1) // MOST_SLICES) if len(spans) > 1 else 1
    for number, k in enumerate(range(1 + every // 2, len(spans), every)):
        middle = 0.5 * (columns["cm_low"] + columns["cm_high"])[own[k]]
        left.plot(
            middle,
            100.0 * columns["efficiency"][own[k]],
            color=style.PALETTE[(number + 1) % len(style.PALETTE)],
            marker="o^sDv"[number % 5],
            markersize=3.5,
            linewidth=1.1,
            label=f"z = {spans[k][0]:g} … {spans[k][1]:g} mm",
        )
    left.set_ylabel("efficiency [%]")
    left.set_ylim(0.0, 105.0)
    left.legend(fontsize=8.5)
    solid = columns["solid_angle"][own[0]]
    edges = np.append(columns["cm_low"][own[0]], columns["cm_high"][own[0]][-1])
    right.stairs(solid, edges, color=style.MUTED, linewidth=1.4, label="solid angle of the bin")
    right.stairs(columns["effective_solid_angle"][own[0]], edges, color=style.BLUE, linewidth=1.8, label="× efficiency")
    right.set_ylabel("solid angle [sr]")
    right.set_ylim(bottom=0.0)
    right.legend(loc="upper right")
    for axes in (left, right):
        axes.set_xlim(*_covered(columns, own[0]))
        axes.set_xlabel("centre-of-mass angle of the ejectile [deg]")
        _outside(axes, columns, own[0])
    return figure


def _all_vertices(axes: Axes, columns: dict[str, Array], own: Array) -> None:
    """The bins with the intervals of their efficiencies."""
    known = own & np.isfinite(columns["efficiency"])
    low, high = columns["cm_low"][known], columns["cm_high"][known]
    least, value, most = (100.0 * columns[f"efficiency{end}"][known] for end in ("_low", "", "_high"))
    ends, half = np.maximum([value - least, most - value], 0.0), 0.5 * (high - low)
    axes.errorbar(low + half, value, ends, half, fmt="none", color=style.BLUE, linewidth=2.2, label="all vertices")


def _covered(columns: dict[str, Array], own: Array) -> tuple[float, float]:
    """The bins that the grid covers, with a margin; all if none."""
    good = own & np.isfinite(columns["efficiency"])
    if not good.any():
        return 0.0, 180.0
    return max(columns["cm_low"][good].min() - MARGIN, 0.0), min(columns["cm_high"][good].max() + MARGIN, 180.0)


def _outside(axes: Axes, columns: dict[str, Array], own: Array) -> None:
    """Grey where the grid does not cover the reaction."""
    bad = ~np.isfinite(columns["efficiency"][own])
    for low, high in zip(columns["cm_low"][own][bad], columns["cm_high"][own][bad], strict=True):
        axes.axvspan(low, high, color=NOTHING, linewidth=0, zorder=0)


def _maps(title: str, grid: SimulatedParticles, number: int, draw: Callable[[Axes, int], Any], label: str) -> Figure:
    """Panels of maps that share axes and colours."""
    columns = min(number, COLUMNS)
    rows = -(-number // columns)
    height = 3.1 * rows + 1.0
    figure, panels = style.panels(title, height, rows, columns, right=0.89, wspace=0.12, hspace=0.32)
    mesh: Any = None
    for place, axes in enumerate(panels):
        if place >= number:
            axes.set_visible(False)
            continue
        mesh = draw(axes, place)
        _label(axes, grid, place % columns == 0, place + columns >= number)
    bottom, top = 0.58 / height, 1 - 0.72 / height
    figure.colorbar(mesh, cax=figure.add_axes((0.912, bottom, 0.016, top - bottom)), label=label)
    return figure


def _mesh(axes: Axes, values: Array, grid: SimulatedParticles, colours: str, norm: Normalize) -> Any:
    """Cells (energy, angle) in colour; grey where there is nothing to say."""
    axes.set_facecolor(NOTHING)
    axes.grid(False)
    return axes.pcolormesh(grid.angles, grid.energies, np.ma.masked_invalid(values), cmap=colours, norm=norm)


def _label(axes: Axes, grid: SimulatedParticles, left: bool, bottom: bool) -> None:
    low, high = grid.energies[0], grid.energies[-1]
    if low > 0.0 and high / low > LOG_FROM:
        style.set_log(axes, "y", (low, high))
    axes.set_xlim(grid.angles[0], grid.angles[-1])
    axes.set_ylim(low, high)
    if grid.angles[-1] - grid.angles[0] >= 90.0:
        axes.set_xticks([tick for tick in range(0, 181, 30) if grid.angles[0] <= tick <= grid.angles[-1]])
    axes.tick_params(labelleft=left, labelbottom=bottom)
    if left:
        axes.set_ylabel("kinetic energy [MeV]")
    if bottom:
        axes.set_xlabel("polar angle [deg]")


def _line(axes: Axes, reaction: Reaction | None, grid: SimulatedParticles, z: tuple[float, float] | None) -> None:
    """Where the reaction puts its ejectile: at the middle of a slice, or at both ends of all."""
    if reaction is None or grid.nucleus not in (reaction.ejectile, reaction.residual):
        return
    places: Sequence[float] = (grid.vertices[0], grid.vertices[-1]) if z is None else (0.5 * (z[0] + z[1]),)
    outline = [patheffects.Stroke(linewidth=3.0, foreground=style.INK), patheffects.Normal()]
    for number, place in enumerate(places):
        polar, ke = reaction.line_at(grid.nucleus, place)
        axes.plot(
            np.degrees(polar), ke, color="white", linewidth=1.5, path_effects=outline,
            label=reaction.name if number == 0 else None,
        )  # fmt: skip
    if z is None:
        axes.legend(loc="upper right", labelcolor=style.INK, facecolor="#9aa5b1", fontsize=8.5)


def _upper(values: Array, quantile: float) -> float:
    """Where a scale of colours ends: most of the values are below."""
    known = values[np.isfinite(values)]
    return max(float(np.quantile(known, quantile)) if len(known) else 1.0, 1e-6)
