"""How well a point of a track is known while its trajectory is looked for.

A point stands at the centroid of its pad, an equilateral triangle of side a, whose evenly spread charge has the
standard deviation a/√24 along any direction. A pad with less charge than the others of the track was only grazed, or
lit by diffusion: its centroid lies off the track, and its weight falls with its charge.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BIG_PAD_SIDE = 9.8164706  # mm: 2 · 269.95294/55, see detector/pads.py
SIGMA_Z = 1.5  # mm
LEAST_CHARGE_SHARE, MOST_CHARGE_SHARE = 0.05, 1.5


def pad_sigma(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation [mm] of an evenly lit pad across the track, from the pads' linear sizes (n,)."""
    return BIG_PAD_SIDE * scale / math.sqrt(24)


def charge_share(charge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Charge (n,) over the median of the track, clipped."""
    return np.clip(charge / max(float(np.median(charge)), 1e-9), LEAST_CHARGE_SHARE, MOST_CHARGE_SHARE)


def point_variances(
    scale: NDArray[np.float64], share: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Variances (n, 2) [mm²] across and along the beam of points, from linear sizes of pads and `charge_share` (n,).

    `spread` (n,) [mm²]: variance of an electron's place across the drift, by diffusion.
    """
    across = pad_sigma(scale) ** 2 + spread
    variances: NDArray[np.float64] = np.column_stack([across, np.full(len(scale), SIGMA_Z**2)]) / share[:, None]
    return variances
