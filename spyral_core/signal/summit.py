"""When a pulse has its maximum: a parabola through the samples around it, and what is known of the response.

Three samples carry little of a small pulse's time; those of half a shaping time on either side carry four times as
much. Over them the response is no parabola: it falls more slowly than it rises, and a fitted parabola has its vertex
late. By how much depends on how wide the charge's arrival makes the pulse, which its curvature tells.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

REACH = 0.5  # shaping times on either side of the maximum
WIDTHS = (0.0, 0.1, 0.2, 0.3, 0.4)  # σ of the charge's arrival for which lateness is known, in shaping times
PHASES = 16  # of the samples
ROOT = 20  # places of the quadrature
FINE = 2e-4  # shaping times


class Summit(NamedTuple):
    """How a pulse's time is found: samples on either side, and how late the parabola's vertex is.

    `late` [samples]: 1, c and c² times these, c being the parabola's curvature over its height [1/samples²], held
    between `flattest` and `sharpest`.
    """

    half_width: int
    late: tuple[float, float, float]
    flattest: float
    sharpest: float


THREE_SAMPLES = Summit(1, (0.0, 0.0, 0.0), 0.0, 1.0)


@lru_cache(maxsize=8)
def summit_of(shaping: float) -> Summit:
    """Of pulses of the GET response of a shaping time [samples], from pulses of known maximum."""
    half = max(round(REACH * shaping), 1)
    curvature, late = np.empty((len(WIDTHS), PHASES)), np.empty((len(WIDTHS), PHASES))
    places, weights = np.polynomial.hermite_e.hermegauss(ROOT)
    around = np.arange(-2 * half - 3, 2 * half + 4)
    for row, width in enumerate(WIDTHS):

        def pulse(u: NDArray[Any], width: float = width) -> NDArray[np.float64]:
            spread = np.clip(u[:, None] - width * places, 0.0, math.pi)
            return np.asarray((np.exp(-3 * spread) * spread**3 * np.sin(spread)) @ weights)

        fine = np.arange(0.5, 2.5, FINE, dtype=np.float64)
        top = float(fine[np.argmax(pulse(fine))])
        for phase in range(PHASES):
            begin = phase / PHASES - 0.5
            samples = pulse(top + (around + begin) / shaping)
            found, sharp = vertex(samples, int(np.argmax(samples)), half)
            curvature[row, phase], late[row, phase] = sharp, around[0] + found + begin
    c2, c1, c0 = np.polyfit(curvature.ravel(), late.ravel(), 2)
    return Summit(half, (float(c0), float(c1), float(c2)), float(curvature.min()), float(curvature.max()))


@kernel
def vertex(signal: NDArray[np.float64], peak: int, half: int) -> tuple[float, float]:
    """Vertex [samples] of a parabola fitted to `half` samples on either side, and its curvature over its height.

    It is fitted around the highest sample `peak`, then around the vertex of that. No vertex: the sample itself, and 0.
    """
    found, sharp, middle = float(peak), 0.0, peak
    n = 2 * half + 1
    squares = half * (half + 1) * n / 3.0
    fourths = squares * (3 * half * half + 3 * half - 1) / 5.0
    for _ in range(2):
        if middle < half or middle + half >= signal.size:
            break
        total, slope, bend = 0.0, 0.0, 0.0
        for i in range(-half, half + 1):
            value = signal[middle + i]
            total += value
            slope += i * value
            bend += i * i * value
        slope /= squares
        bend = (n * bend - squares * total) / (n * fourths - squares * squares)
        if bend >= 0.0:
            break
        shift = -0.5 * slope / bend
        height = (total - bend * squares) / n + 0.5 * slope * shift
        if abs(shift) > half or height <= 0.0:
            break
        found, sharp = middle + shift, -2.0 * bend / height
        middle = min(max(math.floor(found + 0.5), peak - half), peak + half)
    return found, sharp


@kernel
def time_of_summit(signal: NDArray[np.float64], first: int, last: int, summit: Summit) -> float:
    """When a pulse has its maximum [samples]; its highest samples are `first` to `last`, all equal."""
    found, sharp = vertex(signal, (first + last) // 2, summit.half_width)
    if sharp == 0.0:
        return 0.5 * (first + last)
    c = min(max(sharp, summit.flattest), summit.sharpest)
    return float(found - (summit.late[0] + c * (summit.late[1] + c * summit.late[2])))
