"""The common look of all figures: size, colours, and how they are written."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from spyral_core.store import atomic

WIDTH = 10.0  # inch, of every figure
DPI = 120
MAP = "viridis"
INK = "#1b1f24"
MUTED = "#8a929c"
FAINT = "#d9dde2"
# Okabe and Ito's colours, which people of every colour vision tell apart; yellow is left out: too faint on white.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "grid.color": "#eceff2",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": FAINT,
    "text.color": INK,
    "savefig.facecolor": "white",
}
MANY = 3000  # from here on points are shown as a density


@contextmanager
def styled() -> Iterator[None]:
    """Figures made inside look as all others; the user's own matplotlib settings have no effect."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]
        yield


def new_figure(height: float) -> Figure:
    """An empty figure of the common width and a height [inch]."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def panels(title: str, height: float, rows: int, columns: int, **grid: Any) -> tuple[Figure, list[Axes]]:
    """A figure with a title and panels, row by row; `grid` as for GridSpec (width_ratios, wspace, …)."""
    figure = new_figure(height)
    heading(figure, title)
    margins = {
        "left": 0.07,
        "right": 0.985,
        "bottom": 0.58 / height,
        "top": 1 - 0.72 / height,
        "wspace": 0.28,
        "hspace": 0.55,
    }
    spec = figure.add_gridspec(rows, columns, **{**margins, **grid})
    return figure, [figure.add_subplot(spec[place // columns, place % columns]) for place in range(rows * columns)]


def heading(figure: Figure, title: str) -> None:
    """What a figure is and of what, at its upper left."""
    height = figure.get_size_inches()[1]
    figure.text(0.012, 1 - 0.1 / height, plain(title), ha="left", va="top", fontsize=13, fontweight="bold")


def plain(text: str) -> str:
    """A user's text in a figure: a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def empty_figure(title: str, reason: str, height: float = 1.8) -> Figure:
    """A figure that says why there is nothing to see."""
    figure = new_figure(height)
    heading(figure, title)
    figure.text(0.5, 0.42, reason, ha="center", va="center", fontsize=12, color=MUTED)
    return figure


def nothing(axes: Axes, reason: str) -> None:
    """A panel that says why there is nothing to see."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, reason, ha="center", va="center", color=MUTED, transform=axes.transAxes)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG of 256 colours: the same bytes for the same data."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=DPI)
    width, height = figure.canvas.get_width_height()
    image = Image.frombuffer("RGBA", (width, height), buffer.getvalue()).convert("RGB")
    small = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = small.getpalette() or []
    background = 3 * int(np.asarray(small)[0, 0])  # no figure reaches its corner
    palette[background : background + 3] = [255, 255, 255]  # the quantizer makes it a light grey
    small.putpalette(palette)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        small.save(temporary, format="PNG", dpi=(DPI, DPI))


def write(path: Path, draw: Callable[..., Figure], *arguments: Any) -> None:
    """Draw a figure in the common style and write it."""
    with styled():
        save(draw(*arguments), path)


def span(values: ArrayLike, low: float = 0.005, high: float = 0.995, margin: float = 0.08) -> tuple[float, float]:
    """A range that holds all but the most extreme finite values, a little wider; (0, 1) if there are none.

    It ends at the quantiles `low` and `high`, and no further than three widths of the central 80 % beyond these: of few
    values one may be absurd.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if len(finite) == 0:
        return 0.0, 1.0
    first, inner, outer, last = (float(value) for value in np.quantile(finite, [low, 0.1, 0.9, high]))
    if outer > inner:
        first, last = max(first, inner - 3 * (outer - inner)), min(last, outer + 3 * (outer - inner))
    width = last - first or abs(first) or 1.0
    return first - margin * width, last + margin * width


def log_span(values: ArrayLike, low: float = 0.005, high: float = 0.995) -> tuple[float, float]:
    """As `span`, of positive values on a logarithmic axis."""
    positive = np.asarray(values, dtype=float)
    positive = positive[np.isfinite(positive) & (positive > 0)]
    if len(positive) == 0:
        return 0.1, 10.0
    first, last = span(np.log10(positive), low, high)
    return 10.0**first, 10.0**last


def spans_decades(values: ArrayLike) -> bool:
    """Whether a logarithmic axis shows the values better."""
    positive = np.asarray(values, dtype=float)
    positive = positive[np.isfinite(positive)]
    if len(positive) < 10:
        return False
    low, high = np.quantile(positive, [0.02, 0.98])
    return bool(low > 0 and high / low > 15)


def histogram(
    axes: Axes, values: ArrayLike, limits: tuple[float, float], bins: int = 60, log: bool = False, **look: Any
) -> NDArray[Any]:
    """A filled step histogram; `log` takes bins of equal width in the logarithm and such an axis."""
    edges = np.geomspace(*limits, bins + 1) if log else np.linspace(*limits, bins + 1)
    counts, _ = np.histogram(np.asarray(values, dtype=float), edges)
    axes.stairs(counts, edges, **{"fill": True, "color": BLUE, "alpha": 0.85, **look})
    if log:
        set_log(axes, "x", limits)
    axes.set_xlim(*limits)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return counts


def set_log(axes: Axes, which: str, limits: tuple[float, float]) -> None:
    """A logarithmic axis with plain numbers at 1, 2, 5 where it spans few decades."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    set_log_ticks(axes.xaxis if which == "x" else axes.yaxis, limits)


def set_log_ticks(axis: Axis, limits: tuple[float, float]) -> None:
    """Ticks of a logarithmic axis or colour bar: plain numbers at 1, 2, 5 where it spans few decades."""
    if limits[1] < 300 * limits[0]:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if limits[1] > 4 * limits[0] else range(1, 10)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def bins_for(number: int) -> int:
    """How many bins suit a number of values."""
    return int(np.clip(2 * np.cbrt(max(number, 1)) * 2, 20, 120))


def cloud(
    axes: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    x_limits: tuple[float, float],
    y_limits: tuple[float, float],
    logs: tuple[bool, bool] = (False, False),
    color: str = BLUE,
    bar: bool = True,
) -> None:
    """Points of a plane: each one while they are few, else their density on a logarithmic scale, `bar` its legend."""
    for which, log, limits in zip("xy", logs, (x_limits, y_limits), strict=True):
        if log:
            set_log(axes, which, limits)
    if len(x) < MANY:
        size, alpha = (10, 0.7) if len(x) < 800 else (6, 0.45)
        axes.scatter(x, y, s=size, alpha=alpha, color=color, linewidths=0)
    else:
        n_edges = int(np.clip(1.2 * np.sqrt(len(x)), 60, 180)) + 1
        edges = [
            np.geomspace(*limits, n_edges) if log else np.linspace(*limits, n_edges)
            for limits, log in zip((x_limits, y_limits), logs, strict=True)
        ]
        counts, _, _ = np.histogram2d(x, y, bins=edges)
        mesh = axes.pcolormesh(
            edges[0], edges[1], np.ma.masked_equal(counts.T, 0), cmap=MAP, norm=LogNorm(1, max(counts.max(), 2))
        )
        if bar:
            scale = axes.figure.colorbar(mesh, ax=axes, pad=0.02, label="tracks")
            set_log_ticks(scale.ax.yaxis, (1, counts.max()))
    axes.set_xlim(*x_limits)
    axes.set_ylim(*y_limits)
    inside = (x >= x_limits[0]) & (x <= x_limits[1]) & (y >= y_limits[0]) & (y <= y_limits[1])
    if not inside.all():
        text = f"{int((~inside).sum()):,} of {len(x):,} beyond the view"
        axes.text(0.99, 0.015, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=8.5, color=MUTED)


def share(part: float, whole: float) -> str:
    """`12.3 %`, or a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def vertical_lines(axes: Axes, places: Sequence[float], label: str, color: str = RED) -> None:
    """Dashed lines across a panel with one entry in the legend."""
    for number, place in enumerate(places):
        axes.axvline(place, color=color, linestyle="--", linewidth=1.4, label=label if number == 0 else None)


def pad_plane(axes: Axes, vertices: NDArray[np.float64]) -> None:
    """Axes that hold the whole pad plane, of pads with corners (n, 3, 2) [mm], seen along the beam."""
    edge = 1.02 * float(np.abs(vertices).max())
    axes.set_xlim(-edge, edge)
    axes.set_ylim(-edge, edge)
    axes.set_aspect("equal")
    axes.grid(False)
    axes.set_xlabel("x [mm]")
    axes.set_ylabel("y [mm]")
