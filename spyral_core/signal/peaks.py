"""Peaks of a baseline-subtracted trace: as `scipy.signal.find_peaks` finds them.

Only local maxima over the threshold are looked at. That changes nothing: a lower peak can neither suppress a higher one
by its distance nor alter its prominence.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

BLOCK = 32  # samples of which is asked at once whether one is over the threshold

Signal = NDArray[np.float64]
Indices = NDArray[np.int64]


@kernel
def any_over(samples: Signal, threshold: float) -> bool:
    """Whether any sample is over a threshold. All are looked at, which processors do several at a time."""
    number = 0
    for i in range(samples.size):
        number += samples[i] > threshold
    return number > 0


@kernel
def local_maxima(signal: Signal, threshold: float, first: Indices, last: Indices) -> int:
    """Find samples (or plateaus of equal samples) over `threshold` with lower neighbours on both sides.

    Their first and last samples go to `first`, `last` (n // 2 + 1,) int64; returns their number.
    """
    found = 0
    end = signal.size - 1
    i = 1
    while i < end:
        if i % BLOCK == 1 and not any_over(signal[i : min(i + BLOCK, end)], threshold):
            i += BLOCK
            continue
        if signal[i] > threshold and signal[i - 1] < signal[i]:
            ahead = i + 1
            while ahead < end and signal[ahead] == signal[i]:
                ahead += 1
            if signal[ahead] < signal[i]:
                first[found] = i
                last[found] = ahead - 1
                found += 1
                i = ahead
        i += 1
    return found


@kernel
def keep_distant(signal: Signal, first: Indices, last: Indices, order: Indices, found: int, separation: float) -> int:
    """Of peaks nearer than `separation` [samples] keep the highest, of equally high ones the last.

    `first`, `last` are compacted in place; returns the number that is left. `order` (n // 2 + 1,) is filled with the
    first samples of those that are not.
    """
    for k in range(found):  # insertion sort: falling height, later ones first
        height = signal[first[k]]
        i = k
        while i > 0 and signal[first[order[i - 1]]] <= height:
            order[i] = order[i - 1]
            i -= 1
        order[i] = k
    wanted = math.ceil(separation)
    for i in range(found):
        k = order[i]
        if last[k] < 0:
            continue
        place = (first[k] + last[k]) // 2
        for other in range(found):
            if other != k and last[other] >= 0 and abs((first[other] + last[other]) // 2 - place) < wanted:
                last[other] = -1
    kept = 0
    for k in range(found):
        if last[k] >= 0:
            first[kept] = first[k]
            last[kept] = last[k]
            kept += 1
        else:
            order[k - kept] = first[k]
    return kept


@kernel
def prominence(signal: Signal, peak: int) -> float:
    """Height of a peak over the higher of its two bases: the lowest samples on either side, before a higher one."""
    height = signal[peak]
    return float(height - max(lowest_until(signal[:peak][::-1], height), lowest_until(signal[peak + 1 :], height)))


@kernel
def lowest_until(samples: Signal, height: float) -> float:
    """The lowest of some samples before the first one over `height`; `height` if there are none.

    Four minima at a time, as each step of one would wait for the step before.
    """
    a = b = c = d = height
    n = samples.size
    i = 0
    while i + 3 < n:
        p, q, r, s = samples[i], samples[i + 1], samples[i + 2], samples[i + 3]
        if p > height or q > height or r > height or s > height:
            break
        a, b, c, d = min(a, p), min(b, q), min(c, r), min(d, s)
        i += 4
    while i < n and samples[i] <= height:
        a = min(a, samples[i])
        i += 1
    return min(a, b, c, d)


@kernel
def edges(signal: Signal, peak: int, level: float) -> tuple[float, float]:
    """Where the signal falls below `level` on either side of a peak [samples], interpolated linearly.

    A level not under the peak's bases is met before them.
    """
    i = peak
    while i > 0 and signal[i] > level:
        i -= 1
    left = float(i)
    if signal[i] < level:
        left += (level - signal[i]) / (signal[i + 1] - signal[i])
    i = peak
    while i < signal.size - 1 and signal[i] > level:
        i += 1
    right = float(i)
    if signal[i] < level:
        right -= (level - signal[i]) / (signal[i - 1] - signal[i])
    return left, right


@kernel
def saturated_run(samples: NDArray[np.int32], peak: int, ceiling: float) -> tuple[int, int]:
    """First and last sample of the run at or over `ceiling` that holds `peak`; `last < first` if there is none."""
    first = last = peak
    if samples[peak] < ceiling:
        return peak, peak - 1
    while first > 0 and samples[first - 1] >= ceiling:
        first -= 1
    while last < samples.size - 1 and samples[last + 1] >= ceiling:
        last += 1
    return first, last
