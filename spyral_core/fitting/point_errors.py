"""How well a point of a track is known: the error model of the fit.

A point stands at the centroid of its pad, an equilateral triangle of side a, whose evenly spread charge has the
standard deviation a/√24 along any direction. A pad with less charge than its neighbours on the track was only grazed,
or lit by diffusion: its centroid lies off the track, and its weight falls with its charge.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BIG_PAD_SIDE = 9.8164706  # mm: 2 · 269.95294/55, see detector/pads.py
FIRST_SIGMA_Z = 1.5  # mm: before the track itself has told
LEAST_CHARGE_SHARE, MOST_CHARGE_SHARE = 0.05, 1.5
LEAST_SIGMA = 0.3  # mm: no point is known better than that
NEIGHBOURS = 15  # points along the track that tell the charge to be expected


def pad_sigma(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation [mm] of an evenly lit pad across the track, from the pads' linear sizes (n,)."""
    return BIG_PAD_SIDE * scale / math.sqrt(24)


def charge_share(charge: NDArray[np.float64], place: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Charge (n,) over what the neighbours along the track have, clipped; `place` (n,) is the path length of each.

    Without places the median of the whole track stands for the neighbours.
    """
    if place is None:
        expected = np.full(len(charge), np.median(charge))
    else:
        order = np.argsort(place, kind="stable")
        half = NEIGHBOURS // 2
        padded = np.pad(charge[order], half, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
        expected = np.empty(len(charge))
        expected[order] = windows.mean(axis=1)
    return np.clip(charge / np.maximum(expected, 1e-9), LEAST_CHARGE_SHARE, MOST_CHARGE_SHARE)


def point_variances(
    scale: NDArray[np.float64], share: NDArray[np.float64], factor: float = 1.0, sigma_z: float = FIRST_SIGMA_Z
) -> NDArray[np.float64]:
    """Variances (n, 2) [mm²] across and along the beam; `factor` multiplies the pads' standard deviation."""
    variances: NDArray[np.float64] = (
        np.column_stack([(factor * pad_sigma(scale)) ** 2, np.full(len(scale), sigma_z**2)]) / share[:, None]
    )
    return variances


def observed_spread(
    deviations: NDArray[np.float64], scale: NDArray[np.float64], share: NDArray[np.float64]
) -> tuple[float, float]:
    """The `factor` and `sigma_z` of `point_variances` that deviations from a fitted track ask for.

    `deviations` (n, 3): across and along the beam [mm], cos of the angle between track and beam. The part along the
    track is missing from them: with errors σ in x and y, σ_z in z, and a track at angle θ, the variances left are
    σ²(1 + cos²θ) and σ_z² sin²θ. Taken from medians, which stray points do not move: 0.6745 σ for a track across the
    beam, where the deviation is one number, up to 1.1774 σ for one along it, where it is the length of two.
    """
    root, cosine2 = np.sqrt(share), np.minimum(deviations[:, 2] ** 2, 0.99)
    median = 0.6745 + (1.1774 - 0.6745) * cosine2
    across = float(np.median(deviations[:, 0] * root / pad_sigma(scale) / median))
    along = float(np.median(np.abs(deviations[:, 1]) * root / np.sqrt(1 - cosine2))) / 0.6745
    return max(across, 0.1), max(along, LEAST_SIGMA)
