"""The pad plane in the colours of what a calibration found."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from spyral_core.calibrate.found import Found, Quantity
from spyral_core.detector.pads import PadPlane
from spyral_core.report import style

BOTH_WAYS = "RdBu_r"


def figure(found: Found, plane: PadPlane, title: str) -> Figure:
    """Times and gains over the pad plane, pads without in grey, and the distribution of each with its errors."""
    plot, axes = style.panels(f"Calibration · {title}", 7.4, 2, 2, height_ratios=[2.6, 1.0], hspace=0.32, wspace=0.3)
    for column, (name, unit, quantity, middle) in enumerate(
        (("time", "late [TB]", found.time, 0.0), ("gain", "gain", found.gain, 1.0))
    ):
        _map(axes[column], name, unit, quantity, middle, plane)
        _distribution(axes[2 + column], unit, quantity)
    return plot


def _map(axes: Axes, name: str, unit: str, quantity: Quantity, middle: float, plane: PadPlane) -> None:
    known = quantity.known
    axes.set_title(f"{name}: {np.count_nonzero(known):,} of {len(known):,} pads")
    corners: Any = plane.vertices
    axes.add_collection(PolyCollection(corners[~known], facecolors=style.FAINT, edgecolors="none"))
    reach = float(np.quantile(np.abs(quantity.value[known] - middle), 0.99)) if known.any() else 1.0
    reach = reach or 1.0
    shown = PolyCollection(
        corners[known],
        array=quantity.value[known],
        cmap=BOTH_WAYS,
        norm=Normalize(middle - reach, middle + reach),
        edgecolors="none",
    )
    axes.add_collection(shown)
    axes.figure.colorbar(shown, ax=axes, pad=0.02, label=unit)
    style.pad_plane(axes, plane.vertices)


def _distribution(axes: Axes, unit: str, quantity: Quantity) -> None:
    if not quantity.known.any():
        style.nothing(axes, "no pad has enough hits")
        return
    values = quantity.value[quantity.known]
    style.histogram(axes, values, style.span(values), style.bins_for(len(values)))
    axes.set_xlabel(unit)
    axes.set_ylabel("pads")
    axes.plot([], [], " ", label=f"median error {np.median(quantity.error[quantity.known]):.2g}")
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])
    axes.legend(loc="upper left")
