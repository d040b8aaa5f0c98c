"""Where the reactions happened."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from spyral_core.report import style


def figure(solutions: pl.DataFrame, beam_region_radius: float, length: float, title: str) -> Figure:
    """Fitted vertices [mm]: across the beam, along it, and their distance from the axis."""
    if solutions.height == 0:
        return style.empty_figure(f"Vertices · {title}", "no tracks")
    x, y, z = (solutions[f"vertex_{axis}"].to_numpy() for axis in "xyz")
    rho = np.hypot(x, y)
    plot, (across, along, distance) = style.panels(
        f"Vertices · {title}", 4.1, 1, 3, width_ratios=[1.0, 1.25, 1.0], left=0.085
    )
    reach = max(1.25 * beam_region_radius, style.span(rho, 0.0, 0.98)[1])
    style.cloud(across, x, y, (-reach, reach), (-reach, reach), bar=False)
    across.add_patch(Circle((0, 0), beam_region_radius, fill=False, edgecolor=style.RED, linestyle="--", linewidth=1.4))
    across.set_box_aspect(1)
    across.set_title("Across the beam")
    across.set_xlabel("x [mm]")
    across.set_ylabel("y [mm]")

    low, high = style.span(z)
    style.histogram(along, z, (min(low, 0.0), max(high, length)), 2 * style.bins_for(len(z)))
    style.vertical_lines(along, [0.0, length], "window, pad plane")
    along.set_ylim(top=1.25 * along.get_ylim()[1])
    along.legend(loc="upper right")
    along.set_title("Along the beam")
    along.set_xlabel("z [mm]")
    along.set_ylabel("tracks")

    style.histogram(distance, rho, (0.0, reach), style.bins_for(len(rho)))
    style.vertical_lines(distance, [beam_region_radius], "beam_region_radius")
    distance.set_ylim(top=1.25 * distance.get_ylim()[1])
    distance.legend(loc="upper right")
    distance.set_title("Distance from the axis")
    distance.set_xlabel("ρ [mm]")
    return plot
