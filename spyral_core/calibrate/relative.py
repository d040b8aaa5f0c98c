"""Pads against the median pad of their size: what is common to all of a size is no matter of single pads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def relative(values: Floats, known: NDArray[np.bool_], scale: Floats) -> Floats:
    """Values of the pads that are known minus the median of those of their size; 0 of the others. All (n_pads,)."""
    result = np.zeros(len(values))
    for size in np.unique(scale):
        chosen = known & (scale == size)
        if chosen.any():
            result[chosen] = values[chosen] - np.median(values[chosen])
    return result
