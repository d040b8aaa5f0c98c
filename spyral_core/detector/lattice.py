"""The AT-TPC pad plane as a lattice of triangles: 10 240 pads, big ones outside and small ones inside.

Rows of height H are counted from y = 0 outwards, k = 0 … 31 on either side. In a row, triangles of side 2P stand with
apex up and apex down by turns, their middles P apart: triangle m at x = mP. Rows k < 16 have in their middle, for
|m| < 32 − k, small triangles of half that size: sub-rows j = 2k and 2k + 1 of height H/2, columns c at x = cP/2 with
|c| ≤ 63 − j. A triangle points away from y = 0 if m + k (small: c + j) is odd, towards it if even. Pads 5120 … 10239
mirror pads 0 … 5119 in y.

P is taken from the AT-TPC's table of pad centres (55 P = 269.95294 mm), H = √3 P makes the triangles equilateral;
the rim is at 275 mm (Bradt et al., NIM A 875 (2017) 65).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spyral_core.compiled import kernel

N_PADS = 10240
N_HALF = N_PADS // 2
N_ROWS = 32
N_SMALL_ROWS = 16
PITCH = 269.95294 / 55
"""P [mm]: half the side of a big pad."""
HEIGHT = float(np.sqrt(3.0)) * PITCH
"""H [mm]: the height of a big pad and of a row."""
RIM_RADIUS = 275.0
"""The pads of a row end inside this radius [mm]."""

_ROWS = np.arange(N_ROWS)
LAST_BIG = np.floor(np.sqrt(RIM_RADIUS**2 - ((_ROWS + 0.5) * HEIGHT) ** 2) / PITCH - 0.5).astype(np.int64)
"""Largest m of each row k."""
# 2 (63 − 2k) + 1 columns of two small pads, but for the columns at both ends, which have one.
_N_SMALL = np.where(_ROWS < N_SMALL_ROWS, 4 * (63 - 2 * _ROWS), 0)
_N_BIG = 2 * LAST_BIG + 1 - np.where(_ROWS < N_SMALL_ROWS, 2 * (31 - _ROWS) + 1, 0)
FIRST_PAD = np.concatenate(([0], np.cumsum(_N_BIG + _N_SMALL)))
"""Number of the first pad of each row k; the last entry is the number of pads in a half."""


@dataclass(frozen=True)
class Lattice:
    """What the lattice says of each pad; arrays of 10 240.

    `x` and `mid_y` [mm]: where the pad stands and the middle of its height, as the AT-TPC's tables give it. `size`: 1
    big, 0.5 small. `apex`: +1 if its apex points to +y, −1 if to −y.
    """

    x: NDArray[np.float64]
    mid_y: NDArray[np.float64]
    size: NDArray[np.float64]
    apex: NDArray[np.float64]

    @property
    def centroid_y(self) -> NDArray[np.float64]:
        """y of the centroids [mm]: a third of the height above the base, a sixth off the middle, away from the apex."""
        return self.mid_y - self.apex * self.size * HEIGHT / 6.0

    @property
    def vertices(self) -> NDArray[np.float64]:
        """The two ends of the base and the apex of each pad [mm]: (10240, 3, 2)."""
        half_base = self.size * PITCH
        half_height = self.apex * self.size * HEIGHT / 2.0
        corners_x = np.stack([self.x - half_base, self.x + half_base, self.x], axis=1)
        corners_y = np.stack([self.mid_y - half_height, self.mid_y - half_height, self.mid_y + half_height], axis=1)
        return np.stack([corners_x, corners_y], axis=2)


@cache
def lattice() -> Lattice:
    """All pads in the order of their numbers. The arrays are shared and cannot be written to."""
    upper = np.array([pad for k in range(N_ROWS) for pad in _row(k)])
    mirror = np.array([1.0, -1.0, 1.0, -1.0])
    columns = np.concatenate([upper, upper * mirror]).T.copy()
    columns.flags.writeable = False
    return Lattice(*columns)


def _row(k: int) -> list[tuple[float, float, float, float]]:
    """x, mid_y, size and apex of the pads of row k (y > 0), in their order."""
    last = int(LAST_BIG[k])
    if k >= N_SMALL_ROWS:
        return [_big(m, k) for m in range(-last, last + 1)]
    first = N_ROWS - k
    end = 63 - 2 * k
    small = []
    for c in range(-end, end + 1):
        lower, upper = _small(c, 2 * k), _small(c, 2 * k + 1)
        if abs(c) == end:
            small += [lower]
        elif _lower_comes_first(c, k):
            small += [lower, upper]
        else:
            small += [upper, lower]
    return [_big(m, k) for m in range(-last, -first + 1)] + small + [_big(m, k) for m in range(first, last + 1)]


def _big(m: int, k: int) -> tuple[float, float, float, float]:
    return m * PITCH, (k + 0.5) * HEIGHT, 1.0, _apex(m + k)


def _small(c: int, j: int) -> tuple[float, float, float, float]:
    return c * PITCH / 2.0, (j + 0.5) * HEIGHT / 2.0, 0.5, _apex(c + j)


def _apex(parity: int) -> float:
    return 1.0 if parity % 2 == 1 else -1.0


@kernel
def _lower_comes_first(c: int, k: int) -> bool:
    return (c + 2 * k) % 4 >= 2


@kernel
def _column(u: float, v: float, row: int) -> int:
    """Which triangle of a row holds a point: the one at u = column, u in units of half a base, v of the height."""
    left = int(np.floor(u))
    if (left + row) % 2 == 1:  # apex away from y = 0: narrows with v
        return left if u - left <= 1.0 - v else left + 1
    return left if u - left <= v else left + 1


@kernel
def pad_at(x: float, y: float) -> int:
    """The pad that a point of the pad plane [mm] lies in, −1 if there is none (or the point is not a number).

    By arithmetic on the lattice: exact up to rounding at the edges of the triangles, where each point still belongs to
    one pad only.
    """
    v = abs(y) / HEIGHT
    u = x / PITCH
    if not (v < N_ROWS and abs(u) < 2.0 * N_ROWS):
        return -1
    k = int(v)
    m = int(_column(u, v - k, k))
    last = int(LAST_BIG[k])
    if abs(m) > last:
        return -1
    n_left = last - (N_ROWS - k) + 1
    if k >= N_SMALL_ROWS or m <= k - N_ROWS:
        place = m + last
    elif m < N_ROWS - k:
        place = n_left + int(_place_of_small(u, v, k))
    else:
        place = n_left + int(_N_SMALL[k]) + m - (N_ROWS - k)
    pad = int(FIRST_PAD[k]) + place
    return pad + N_HALF if y < 0 else pad


@kernel
def _place_of_small(u: float, v: float, k: int) -> int:
    """Place of a point's small pad among those of row k; u = x/P, v = |y|/H."""
    j = int(2.0 * v)
    c = int(_column(2.0 * u, 2.0 * v - j, j))
    c = min(max(c, j - 63), 63 - j)  # on the edge to the big pads, rounding may step over it
    end = 63 - 2 * k
    if c == -end:
        return 0
    if c == end:
        return 4 * end - 1
    is_second = (j % 2 == 0) != _lower_comes_first(c, k)
    return 1 + 2 * (c + end - 1) + int(is_second)


@kernel
def _pads_at(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int32]:
    pads = np.empty(len(x), dtype=np.int32)
    for i in range(len(x)):
        pads[i] = pad_at(x[i], y[i])
    return pads


def pads_at(x: ArrayLike, y: ArrayLike) -> NDArray[np.int32]:
    """`pad_at` of many points: x and y [mm] of shape (n,)."""
    pads: NDArray[np.int32] = _pads_at(
        np.ascontiguousarray(x, dtype=np.float64), np.ascontiguousarray(y, dtype=np.float64)
    )
    return pads
