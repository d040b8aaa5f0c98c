"""Pulses that went over the end of the ADC's range: their tops from their edges.

The response of the GET electronics to a charge is s(u) = exp(−3u) u³ sin u with u = (t − t₀)/τ (NIM A 887 (2018) 81);
charge that arrives over some time makes it wider, but hardly changes its shape. Height, t₀ and τ are fitted to the
logarithms of the samples before and behind the saturated ones, weighted by their squares (noise is alike on all).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

EDGE_SAMPLES = 4  # on either side that the response goes through
LEAST_SHARE = 0.1  # of the highest sample that is left: lower ones are the pulse's tails
MOST_GROWTH = 10.0  # times the highest sample that is left: beyond, edges tell nothing
ITERATIONS = 12
WIDTH = 0.8  # τ over the length of the saturated run, to start from
SMALL_STEP = 1e-9  # of ln height, start over width, and ln width: each step leaves a thousandth of the one before
MOST_STEPS = 30
DAMPING = 1e-3
TOP = 1.1664  # u of the response's maximum: 3/u + cot u = 3
TOP_CURVATURE = 3.39  # −d²/du² ln s there: 3/u² + 1/sin² u
FIRST_TIME, LAST_TIME = 0.05, 3.0  # u in which the response is used; it is zero at 0 and π


@kernel
def log_response(u: float) -> tuple[float, float]:
    """ln s(u) of the response, and its derivative, 0 < u < π."""
    u = min(max(u, FIRST_TIME), LAST_TIME)
    sine = math.sin(u)
    return math.log(u * u * u * sine) - 3.0 * u, 3.0 / u + math.cos(u) / sine - 3.0


@kernel
def restore(signal: NDArray[np.float64], first: int, last: int) -> float:
    """Fill samples `first` … `last` of a pulse (saturated ones) in place; returns the height of its top.

    Where the edges do not tell, the samples stay as they are, and the height is theirs.
    """
    middle, height = 0.5 * (first + last), float(signal[(first + last) // 2])
    edges = np.empty((2 * EDGE_SAMPLES, 3))
    number, highest = _edge_samples(signal, first, last, edges)
    if number == 0:
        return height
    width = WIDTH * (last - first + 3)
    fitted = np.array([math.log(height) - log_response(TOP)[0], middle - TOP * width, math.log(width)])
    squares = _fit(edges[:number], fitted, np.empty((3, 4)))
    inside = abs(fitted[1] + TOP * math.exp(fitted[2]) - middle) < 0.5 * (last - first) + 1.0
    peak = math.exp(min(fitted[0] + log_response(TOP)[0], 50.0))
    if not (squares < math.inf and inside and height <= peak <= MOST_GROWTH * max(highest, height)):
        return height
    for i in range(first, last + 1):
        signal[i] = max(signal[i], math.exp(fitted[0] + log_response((i - fitted[1]) / math.exp(fitted[2]))[0]))
    return peak


@kernel
def lateness(share: float) -> float:
    """How much later than its top the middle of a pulse is [τ] at a share of its height: it rises fast."""
    if not share < 1.0:  # nor if it is none
        return 0.0
    below = math.log(max(share, 1e-3))
    reach = math.sqrt(-2.0 * below / TOP_CURVATURE)
    return float(0.5 * (_time_at(below, TOP - reach) + _time_at(below, TOP + reach)) - TOP)


@kernel
def _time_at(below: float, u: float) -> float:
    """Where the logarithm of the response is `below` under its top, by Newton's method from `u` on.

    The logarithm is concave: from the second step on the tangents lead to the place from outside, and never past it.
    """
    wanted = below + log_response(TOP)[0]
    for _ in range(MOST_STEPS):
        value, slope = log_response(u)
        step = (value - wanted) / slope
        u = min(max(u - step, FIRST_TIME), LAST_TIME)
        if abs(step) < SMALL_STEP:
            break
    return u


@kernel
def _edge_samples(signal: NDArray[np.float64], first: int, last: int, edges: NDArray[np.float64]) -> tuple[int, float]:
    """Place, logarithm and weight of the samples that tell, into rows of `edges`; their number, and the highest sample.

    None tell if there are not two on either side.
    """
    begin, end = max(first - EDGE_SAMPLES, 0), min(last + EDGE_SAMPLES, signal.size - 1)
    highest, before, number = 0.0, 0, 0
    for i in range(begin, end + 1):
        if i < first or i > last:
            highest = max(highest, signal[i])
    least = LEAST_SHARE * highest
    for i in range(begin, end + 1):
        if (i < first or i > last) and signal[i] > least:
            edges[number, 0], edges[number, 1], edges[number, 2] = i, math.log(signal[i]), signal[i] ** 2
            number += 1
            before += i < first
    return (number if before >= 2 and number - before >= 2 else 0), highest


@kernel
def _fit(edges: NDArray[np.float64], parameters: NDArray[np.float64], sums: NDArray[np.float64]) -> float:
    """Gauss–Newton steps of ln height, start, ln width, in place; the mean square that is left, relative to the pulse.

    `edges` (n, 3) as of `_edge_samples`; `sums` (3, 4) is scratch.
    """
    squares = math.inf
    for _ in range(ITERATIONS):
        sums[:] = 0.0
        squares, total, width = 0.0, 0.0, math.exp(parameters[2])
        for i in range(len(edges)):
            u, weight = (edges[i, 0] - parameters[1]) / width, edges[i, 2]
            value, slope = log_response(u)
            by_start, by_width = -slope / width, -slope * u
            left = edges[i, 1] - parameters[0] - value
            squares, total = squares + weight * left * left, total + weight
            sums[0, 1] += weight * by_start
            sums[0, 2] += weight * by_width
            sums[1, 1] += weight * by_start * by_start
            sums[1, 2] += weight * by_start * by_width
            sums[2, 2] += weight * by_width * by_width
            sums[0, 3] += weight * left
            sums[1, 3] += weight * by_start * left
            sums[2, 3] += weight * by_width * left
        squares /= total
        sums[0, 0] = total
        sums[1, 0], sums[2, 0], sums[2, 1] = sums[0, 1], sums[0, 2], sums[1, 2]
        for j in range(3):
            sums[j, j] *= 1.0 + DAMPING
        if not _solve(sums):
            return math.inf
        step = min(max(sums[1, 3], -0.5 * width), 0.5 * width), min(max(sums[2, 3], -0.3), 0.3)
        parameters[0] += sums[0, 3]
        parameters[1] += step[0]
        parameters[2] += step[1]
        if max(abs(sums[0, 3]), abs(step[0]) / width, abs(step[1])) < SMALL_STEP:
            break
    return squares


@kernel
def _solve(sums: NDArray[np.float64]) -> bool:
    """Solve three equations (3, 4) in place by elimination; the last column becomes the solution. False if singular."""
    for k in range(3):
        if not abs(sums[k, k]) > 1e-12:
            return False
        for row in range(3):
            if row != k:
                factor = sums[row, k] / sums[k, k]
                for column in range(4):
                    sums[row, column] -= sums[k, column] * factor
    for k in range(3):
        sums[k, 3] /= sums[k, k]
    return True
