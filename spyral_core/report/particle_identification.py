"""Particle identification: the gates in their axes, and rigidity against angle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from spyral_core.fitting.gate import DEFAULT_AXES, Gate
from spyral_core.report import style
from spyral_core.report.bands import Bands
from spyral_core.tables import ESTIMATES

LABELS = {"dEdx": "dE/dx", "sqrt_dEdx": "√(dE/dx)", "brho": "Bρ"}
_UNITS = {column.name: column.unit for column in ESTIMATES.columns}
GATE_COLORS = (style.RED, style.ORANGE, style.PURPLE, style.GREEN)
LABEL_HEIGHT = 0.78  # of the view: the legend is above
Lines = Sequence[tuple[str, np.ndarray, np.ndarray]]


def axes_of(gates: Sequence[Gate]) -> list[tuple[str, str]]:
    """The pairs of axes that the gates use, each once; dE/dx against Bρ if there are no gates."""
    return list(dict.fromkeys((gate.xaxis, gate.yaxis) for gate in gates)) or [DEFAULT_AXES]


def figure(
    estimates: pl.DataFrame, gates: Sequence[Gate], lines: Lines, reaction: str, title: str, bands: Bands | None = None
) -> Figure:
    """One panel a pair of the gates' axes, with the gates; then Bρ against polar angle with the reaction's lines.

    `estimates`: the axes' columns, polar [rad], brho [T m]. `lines`: (label, polar [deg], brho [T m]) of
    the `reaction`. `bands` are drawn where dE/dx or its root is against Bρ.
    """
    if estimates.height == 0:
        return style.empty_figure(f"Particle identification · {title}", "no tracks")
    pairs = axes_of(gates)
    rows = (len(pairs) + 2) // 2
    plot, all_axes = style.panels(f"Particle identification · {title}", 4.3 * rows + 0.2, rows, 2)
    for axes, (xaxis, yaxis) in zip(all_axes, pairs, strict=False):
        _identification(
            axes,
            estimates,
            xaxis,
            yaxis,
            [gate for gate in gates if (gate.xaxis, gate.yaxis) == (xaxis, yaxis)],
            bands if xaxis in ("dEdx", "sqrt_dEdx") and yaxis == "brho" else None,
        )
    _rigidity(all_axes[len(pairs)], estimates, lines, reaction)
    for axes in all_axes[len(pairs) + 1 :]:
        axes.set_visible(False)
    return plot


def label(column: str) -> str:
    """A column of the estimates with its unit, for an axis."""
    unit = _UNITS.get(column, "")
    return LABELS.get(column, column) + (f" [{unit}]" if unit else "")


def _identification(
    axes: Axes, estimates: pl.DataFrame, xaxis: str, yaxis: str, gates: Sequence[Gate], bands: Bands | None
) -> None:
    x, y = (estimates[name].cast(pl.Float64).to_numpy() for name in (xaxis, yaxis))
    logs = (style.spans_decades(x), style.spans_decades(y))
    limits = [style.log_span(v) if log else _from_zero(v) for v, log in zip((x, y), logs, strict=True)]
    style.cloud(axes, x, y, limits[0], limits[1], logs)
    axes.set_xlabel(label(xaxis))
    axes.set_ylabel(label(yaxis))
    if bands is not None:
        _draw_bands(axes, bands, xaxis == "sqrt_dEdx", limits)
    for number, gate in enumerate(gates):
        inside = int(gate.contains(x, y).sum())
        # far corners are brought near, so that no gate is too large to be drawn; what is in view does not move
        corners = np.column_stack(
            [_near(gate.vertices[:, column], limits[column], logs[column]) for column in range(2)]
        )
        color = GATE_COLORS[number % len(GATE_COLORS)]
        text = f"gate {style.plain(gate.name)} (Z {gate.Z}, A {gate.A}): {inside:,} ({style.share(inside, len(x))})"
        if _covers(gate, limits):
            text += ", larger than the view"
        axes.add_patch(Polygon(corners, closed=True, fill=False, edgecolor=color, linewidth=1.8, label=text))
    axes.set_title(f"{LABELS.get(yaxis, yaxis)} against {LABELS.get(xaxis, xaxis)}")
    if gates:
        axes.legend(loc="upper right", handlelength=1.2)


def _draw_bands(axes: Axes, bands: Bands, root: bool, limits: Sequence[tuple[float, float]]) -> None:
    """A line a nucleus, with its name below the legend."""
    (left, right), (bottom, top) = limits
    for name, loss, brho in bands.lines(bottom, top):
        place = np.sqrt(loss) if root else loss
        seen = np.flatnonzero((place > left) & (place < right) & (brho > bottom) & (brho < top))
        if not len(seen):
            continue
        axes.plot(place, brho, color=style.INK, linewidth=0.9, linestyle=(0, (5, 3)), scalex=False, scaley=False)
        below = seen[brho[seen] < bottom + LABEL_HEIGHT * (top - bottom)]
        at = below[-1] if len(below) else seen[-1]
        axes.annotate(
            name, (place[at], brho[at]), xytext=(3, -3), textcoords="offset points", ha="left", va="top", fontsize=8,
            color=style.INK, annotation_clip=True, clip_on=True,
            bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip


def _from_zero(values: np.ndarray) -> tuple[float, float]:
    low, high = style.span(values)
    return (0.0, high) if low > -0.1 * high and (values > 0).mean() > 0.99 else (low, high)


def _covers(gate: Gate, limits: Sequence[tuple[float, float]]) -> bool:
    """Whether the gate holds the whole view, so that none of its edges is seen."""
    (left, right), (bottom, top) = limits
    x, y = np.array([left, left, right, right]), np.array([bottom, top, bottom, top])
    corner_x, corner_y = gate.vertices.T
    seen = (corner_x > left) & (corner_x < right) & (corner_y > bottom) & (corner_y < top)
    return bool(gate.contains(x, y).all() and not seen.any())


def _near(places: np.ndarray, limits: tuple[float, float], log: bool) -> np.ndarray:
    """Corners clipped to a thousand times the view: exact for matplotlib, and the edges in view barely turn."""
    low, high = limits
    if log:
        return np.asarray(np.clip(places, low * 1e-3, high * 1e3))
    return np.asarray(np.clip(places, low - 1e3 * (high - low), high + 1e3 * (high - low)))


def _rigidity(axes: Axes, estimates: pl.DataFrame, lines: Lines, reaction: str) -> None:
    polar = np.degrees(estimates["polar"].to_numpy())
    brho = estimates["brho"].to_numpy()
    log = style.spans_decades(brho)
    limits = style.log_span(brho) if log else _from_zero(brho)
    style.cloud(axes, polar, brho, (0.0, 180.0), limits, (False, log))
    for number, (text, angle, rigidity) in enumerate(lines):
        axes.plot(angle, rigidity, color=style.RED, linewidth=1.5, linestyle=("-", "--")[number % 2], label=text)
    if lines:
        axes.legend(loc="upper right", title=reaction)
    axes.set_title("Rigidity against angle")
    axes.set_xticks(range(0, 181, 30))
    axes.set_xlabel("polar angle [deg]")
    axes.set_ylabel(label("brho"))
