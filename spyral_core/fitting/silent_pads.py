"""Pads near a track that saw too little of it to be read out: they tell where it did not run.

Without them a pad beside the track counts only where its charge fluctuated upwards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point, curve_tangent, nearest_place

CELL = 12.0  # mm
REACH = 12.0  # mm across from the track
STEP = 6.0  # mm along it at which pads are looked for
AROUND = 60.0  # mm of path in which a pad's nearest place lies
MISSED = 0.03  # probability that a pad is silent for another reason: lost from the cluster, or dead
LEAST_INFORMATION = 1e-3  # of a charge that is seen

Array = NDArray[np.float64]


class PadIndex(NamedTuple):
    """Which pads lie in which square cell: `pads[begins[c]:begins[c + 1]]` in cell c = row · `side` + column."""

    pads: NDArray[np.int64]
    begins: NDArray[np.int64]
    side: int
    edge: float
    """mm: the cells cover −edge to edge"""


def index_pads(xy: Array) -> PadIndex:
    """The cells of pads at centroids (p, 2) [mm]."""
    edge = float(np.abs(xy).max()) + CELL
    side = int(2 * edge / CELL) + 1
    column, row = ((xy + edge) / CELL).astype(np.int64).T
    cell = row * side + column
    begins = np.searchsorted(np.sort(cell), np.arange(side * side + 1))
    return PadIndex(np.argsort(cell, kind="stable"), begins, side, edge)


@kernel
def silent_pads(path, states, first, last, visible, xy, used, fired, pads, begins, side, edge):  # type: ignore[no-untyped-def]
    """Pads that are `used` (p,) and not `fired` (p,) along a trajectory from place `first` to `last` [mm].

    Returns their numbers (k,), places (k,) [mm], deviations and directions (k, 3) as in `curve.points_on_curve`, and
    the z of the track there (k,) [mm]; only where the track is `visible` (4,), see `settings.FitSettings`, and not
    beyond its ends, whose places are the nearest to all pads there.
    """
    seen = fired.copy()
    number, near = np.empty(len(xy), np.int64), np.empty(len(xy), np.int64)
    found = 0
    n_steps = max(int((last - first) / STEP), 1)
    cell = 0
    for step in range(n_steps + 1):
        at = first + (last - first) * step / n_steps
        while cell < len(path) - 2 and path[cell + 1] < at:
            cell += 1
        x, y, _ = curve_point(path, states, cell, (at - path[cell]) / (path[cell + 1] - path[cell]))
        low_column, high_column = int((x - REACH + edge) / CELL), int((x + REACH + edge) / CELL)
        low_row, high_row = int((y - REACH + edge) / CELL), int((y + REACH + edge) / CELL)
        for row in range(max(low_row, 0), min(high_row, side - 1) + 1):
            for column in range(max(low_column, 0), min(high_column, side - 1) + 1):
                for k in range(begins[row * side + column], begins[row * side + column + 1]):
                    pad = pads[k]
                    if seen[pad] or not used[pad] or (xy[pad, 0] - x) ** 2 + (xy[pad, 1] - y) ** 2 > REACH**2:
                        continue
                    seen[pad] = True
                    number[found], near[found] = pad, cell
                    found += 1
    place, z = np.empty(found), np.empty(found)
    deviation, direction = np.empty((found, 3)), np.empty((found, 3))
    kept = 0
    for k in range(found):
        pad = number[k]
        low, high = near[k], near[k] + 1
        while low > 0 and path[near[k]] - path[low] < AROUND:
            low -= 1
        while high < len(path) - 1 and path[high] - path[near[k] + 1] < AROUND:
            high += 1
        cell, share = nearest_place(xy[pad, 0], xy[pad, 1], 0.0, 0.0, path[low:], states[low:], high - low + 1)
        cell += low
        at = path[cell] + share * (path[cell + 1] - path[cell])
        px, py, pz = curve_point(path, states, cell, share)
        rho = math.hypot(xy[pad, 0], xy[pad, 1])
        if first < at < last and visible[0] < rho < visible[1] and visible[2] < pz < visible[3]:
            ux, uy, uz = curve_tangent(path, states, cell, share)
            number[kept], place[kept], z[kept] = pad, at, pz
            deviation[kept, 0], deviation[kept, 1], deviation[kept, 2] = xy[pad, 0] - px, xy[pad, 1] - py, 0.0
            direction[kept, 0], direction[kept, 1], direction[kept, 2] = ux, uy, uz
            kept += 1
    return number[:kept], place[:kept], deviation[:kept], direction[:kept], z[:kept]


@kernel
def censored(expected, sigma, threshold):  # type: ignore[no-untyped-def]
    """What silence is worth: a charge, the share of a seen charge's information, and the charge to be expected.

    A charge of a normal distribution is only known to lie below a `threshold`. The charge and its share are those of
    which a least-squares step is Newton's step of that likelihood (Tobin, Econometrica 26 (1958) 24), which is mixed
    with a small constant for pads that are silent whatever they got.
    """
    a = (threshold - expected) / sigma
    below = 0.5 * math.erfc(-a / math.sqrt(2.0))
    density = math.exp(-0.5 * a * a) / math.sqrt(2.0 * math.pi)
    pull = density / (below + MISSED)
    share = min(max(pull * (pull + a), 0.0), 1.0)
    if share < LEAST_INFORMATION:
        return expected, 0.0, max(expected - sigma * pull, 0.0)
    return expected - sigma * pull / share, share, max(expected - sigma * pull, 0.0)
