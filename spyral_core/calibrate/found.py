"""What a calibration finds out of each pad."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """One number of each pad (10240,): value, standard error, number of hits, and whether these are enough."""

    value: Floats
    error: Floats
    hits: NDArray[np.int64]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """How late a pad's pulses come [TB] and how large they are (relative), against the median pad of its size."""

    time: Quantity
    gain: Quantity
