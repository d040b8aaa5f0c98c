"""Charge per path length of a track at its vertex."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.spiral import ALPHA, STOPPED, turned
from spyral_core.fitting.spiral_fit import OUTLIER

Floats = NDArray[np.float64]

SMALLEST_ARC = 20.0  # mm of path across the beam; a shorter arc inside the small pads is not used
BIN = 10.0  # mm of path across the beam
FEWEST_BINS = 4  # with fewer the mean is not trimmed
TRIMMED = 0.2  # share of the bins left out at either end of their order


@kernel
def energy_loss(
    s: Floats, squares: Floats, charge: Floats, scale: Floats, parameters: Floats, vertex: float
) -> tuple[float, float, float]:
    """dE/dx at the vertex [charge / mm], charge and path length [mm] of the first arc.

    Points have path length s [mm], squared distance from the curve [σ²], charge and pad size (n,) each; `parameters`
    are the curve's (6,), `vertex` is the s of the vertex. The first arc goes from the first point to where the track
    leaves the small pads or has made half a turn; if it is shorter than SMALLEST_ARC there, to the half turn alone. It
    is the whole track where no two points lie on the first half turn; nan where no two points lie on the curve at all.

    With range ∝ energy^(1/2α) the energy loss goes with (range left)^(2α − 1), by which each charge is taken back to
    the vertex. So tracks of one particle and energy have one dE/dx, whatever their angle.
    """
    order = np.argsort(s, kind="mergesort")
    at_vertex = turned(vertex, parameters[3])[0]
    n, whole = 0, False
    places, charges, scales = np.empty(len(s)), np.empty(len(s)), np.empty(len(s))
    for i in order:
        if not whole and parameters[2] * (turned(s[i], parameters[3])[0] - at_vertex) > np.pi:
            if n > 1:
                break
            whole = True
        if squares[i] < OUTLIER**2:
            places[n], charges[n], scales[n] = s[i], charge[i], scale[i]
            n += 1
    if n < 2:
        return np.nan, np.nan, np.nan
    places, charges, scales = places[:n], charges[:n], scales[:n]
    end = small_pads_end(places, scales)
    if end - places[0] < SMALLEST_ARC:
        end = places[-1]
    total = np.sum(np.where(places <= end, charges, 0.0))
    left = np.maximum(1.0 - parameters[3] * places, STOPPED) / (1.0 - parameters[3] * vertex)
    slope = np.sqrt(1.0 + parameters[5] ** 2)
    density = charge_density(places, charges * left ** (1.0 - 2.0 * ALPHA), places[0], end)
    return density / slope, total, (end - places[0]) * slope


@kernel
def small_pads_end(s: Floats, scale: Floats) -> float:
    """Path length [mm] at which a track leaves the small pads for the first time, from its points in order of s (n,).

    It is the place that leaves the most small pads before it and the most big ones behind it. 0 if there are no small
    pads before big ones.
    """
    balance, best, end = 0, 0, 0.0
    for i in range(len(s)):
        balance += 1 if scale[i] < 0.75 else -1
        if balance > best:
            best, end = balance, s[i]
    return end


@kernel
def charge_density(s: Floats, charge: Floats, first: float, last: float) -> float:
    """Charge per path length from `first` to `last` [mm], of points at s (n,): the trimmed mean over bins of the path.

    The bins at both ends are left out: pads there are covered in part.
    """
    n_bins = int((last - first) / BIN)
    inside = np.where((s >= first) & (s <= last), charge, 0.0)
    if n_bins - 2 < FEWEST_BINS:
        plain: float = np.sum(inside) / max(last - first, 1.0)
        return plain
    width = (last - first) / n_bins
    sums = np.zeros(n_bins)
    for i in range(len(s)):
        place = int(np.floor((s[i] - first) / width))
        if 0 <= place < n_bins:
            sums[place] += inside[i]
    inner = np.sort(sums[1:-1])
    cut = int(TRIMMED * len(inner))
    trimmed: float = np.sum(inner[cut : len(inner) - cut]) / (len(inner) - 2 * cut) / width
    return trimmed
