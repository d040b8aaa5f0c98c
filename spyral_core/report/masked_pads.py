"""Which pads were left out, and why."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from spyral_core.detector.pads import PadPlane
from spyral_core.report import style

# By reason of the survey; dead pads last, for they are the most.
COLORS = {"noisy": style.RED, "repeats one charge": style.ORANGE, "dead": style.BLUE}
PLANE = "#e6eaee"


def figure(masked: Sequence[pl.DataFrame], plane: PadPlane, title: str) -> Figure:
    """The pad plane with the pads that the surveys of some runs mask; in several runs, those that any masks."""
    heading = f"Masked pads · {title}"
    if not masked:
        return style.empty_figure(heading, "no survey")
    pads = pl.concat(masked).select("pad", "reason").unique()
    if pads.height == 0:
        return style.empty_figure(heading, "no pad is masked")
    plot, (axes,) = style.panels(heading, 5.4, 1, 1, left=0.085, right=0.62)
    # Outlined in its own colour, so that no gaps show between the pads.
    axes.add_collection(PolyCollection(plane.vertices, facecolors=PLANE, edgecolors=PLANE, linewidths=0.4))  # type: ignore[arg-type]
    for reason, color in COLORS.items():
        these = pads.filter(pl.col("reason") == reason)["pad"].to_numpy()
        axes.add_collection(
            PolyCollection(
                plane.vertices[these],  # type: ignore[arg-type]
                facecolors=color,
                edgecolors=color,
                linewidths=0.6,
                label=f"{reason}: {len(these):,}",
            )
        )
    style.pad_plane(axes, plane.vertices)
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False)
    return plot
