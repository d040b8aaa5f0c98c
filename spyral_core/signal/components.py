"""A stretch of a trace as a sum of responses: how many, when, how large, and over what time their charge arrives.

Each component has a height (that of a charge arriving at once), an arrival time [samples] and a variance of the
arrivals [shaping times²]. They are fitted by weighted least squares (Levenberg–Marquardt). Another component is added
where it explains most, as long as it explains enough, and those that explain too little are taken out again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.signal.response_table import MOST_VARIANCE, look_up

MOST_COMPONENTS = 5
ENOUGH = 40.0  # by how much χ² must fall for one component more, which has three parameters
USUAL_VARIANCE, VARIANCE_SPREAD = 0.06, 0.3  # of the arrivals of one pulse [shaping times²]: a weak prior
SHAPE_ERROR = 0.03  # of the signal: how well the response is known
LEAST_SHARE = 0.03  # of the highest component: a lower one is not told from an error of the response
CLEAR = 1.6  # shaping times from one component to the next from which on both are beyond doubt
APART = 2.0  # times the sum of the deviations of two components' arrivals: from there on they do not touch
ITERATIONS = 20
SMALL_FALL, SMALL_SHARE = 0.1, 0.01  # of χ², and of its value: a fit ends
LARGEST_STEP = 0.5  # shaping times
LARGEST_VARIANCE_STEP = 0.25
DAMPING, MORE, LESS, MOST_DAMPING = 1e-3, 8.0, 0.2, 1e5

Floats = NDArray[np.float64]


@kernel
def weights_of(signal: Floats, lost: NDArray[np.bool_], noise: float, weight: Floats) -> None:
    """One over the variance of each sample: noise, and what the response is not known to; 0 for `lost` samples."""
    for i in range(signal.size):
        weight[i] = 0.0 if lost[i] else 1.0 / (noise * noise + (SHAPE_ERROR * signal[i]) ** 2)


@kernel
def chi_squared(  # type: ignore[no-untyped-def]
    signal, weight, components, shaping, table, left, gradient, curvature
):
    """χ² of a stretch with its prior; fills what is `left` (n,), `gradient` (3 k,), `curvature` (3 k, 3 k) (lower)."""
    k = len(components)
    for p in range(3 * k):
        gradient[p] = 0.0
        for q in range(p + 1):
            curvature[p, q] = 0.0
    total, derivative = 0.0, np.empty(3 * k)
    for i in range(signal.size):
        rest = signal[i]
        for j in range(k):
            height = components[j, 0]
            value, slope, by_variance = look_up(table, (i - components[j, 1]) / shaping, components[j, 2])
            rest -= height * value
            derivative[3 * j] = value
            derivative[3 * j + 1] = -height * slope / shaping
            derivative[3 * j + 2] = height * by_variance
        left[i] = rest
        total += weight[i] * rest * rest
        for p in range(3 * k):
            one = weight[i] * derivative[p]
            if one != 0.0:
                gradient[p] += one * rest
                for q in range(p + 1):
                    curvature[p, q] += one * derivative[q]
    for j in range(k):
        off = (components[j, 2] - USUAL_VARIANCE) / VARIANCE_SPREAD
        total += off * off
        gradient[3 * j + 2] -= off / VARIANCE_SPREAD
        curvature[3 * j + 2, 3 * j + 2] += 1.0 / VARIANCE_SPREAD**2
    return total


@kernel
def solve_in_place(matrix: Floats, right: Floats, n: int) -> bool:
    """Solve a symmetric positive system by Cholesky's method, from the lower triangle; False if it is not positive."""
    for i in range(n):
        for j in range(i + 1):
            value = matrix[i, j]
            for k in range(j):
                value -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not value > 0.0:
                    return False
                matrix[i, i] = math.sqrt(value)
            else:
                matrix[i, j] = value / matrix[j, j]
    for i in range(n):
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]
    return True


@kernel
def fit_components(  # type: ignore[no-untyped-def]
    signal, weight, components, shaping, table, left
):
    """Fit `components` (k, 3) in place; χ² with the prior on the variances; fills what is `left` (n,)."""
    k, n = len(components), 3 * len(components)
    gradient, curvature, damped, step = np.empty(n), np.empty((n, n)), np.empty((n, n)), np.empty(n)
    tried, new_left, new_gradient, new_curvature = (
        np.empty((k, 3)),
        np.empty(signal.size),
        np.empty(n),
        np.empty((n, n)),
    )
    damping = DAMPING
    value = chi_squared(signal, weight, components, shaping, table, left, gradient, curvature)
    for _ in range(ITERATIONS):
        for p in range(n):
            step[p] = gradient[p]
            for q in range(p + 1):
                damped[p, q] = curvature[p, q]
            damped[p, p] = damped[p, p] * (1.0 + damping) + 1e-12
        there = math.inf
        if solve_in_place(damped, step, n):
            for j in range(k):
                move = min(max(step[3 * j + 1], -LARGEST_STEP * shaping), LARGEST_STEP * shaping)
                widen = min(max(step[3 * j + 2], -LARGEST_VARIANCE_STEP), LARGEST_VARIANCE_STEP)
                tried[j, 0] = max(components[j, 0] + step[3 * j], 0.2 * components[j, 0])
                tried[j, 1] = components[j, 1] + move
                tried[j, 2] = min(max(components[j, 2] + widen, 0.0), MOST_VARIANCE)
            there = chi_squared(signal, weight, tried, shaping, table, new_left, new_gradient, new_curvature)
        if there < value:
            fall = value - there
            value, damping = there, damping * LESS
            copy_rows(tried, components, k)
            for i in range(signal.size):
                left[i] = new_left[i]
            gradient, new_gradient = new_gradient, gradient
            curvature, new_curvature = new_curvature, curvature
            if fall < SMALL_FALL + SMALL_SHARE * value:
                break
        else:
            damping *= MORE
            if damping > MOST_DAMPING:
                break
    return value


@kernel
def most_missed(left: Floats, weight: Floats, shaping: float, table: Floats) -> tuple[float, float, float]:
    """Where one more response explains most of what is `left` (n,): by how much χ² falls, its height and time."""
    best, best_height, best_time = 0.0, 0.0, -1.0
    before = math.ceil(1.2 * shaping)
    usual = np.empty(before + math.ceil(3.0 * shaping))
    for i in range(usual.size):
        usual[i], _, _ = look_up(table, (i - before) / shaping, USUAL_VARIANCE)
    for time in range(-before, left.size):
        first = max(time - before, 0)
        length = min(time - before + usual.size, left.size) - first
        response = usual[first - time + before :]
        overlap, norm = 0.0, 0.0
        for i in range(length):
            value = weight[first + i] * response[i]
            overlap += value * left[first + i]
            norm += value * response[i]
        if overlap > 0.0 and overlap * overlap > best * norm:
            best, best_height, best_time = overlap * overlap / norm, overlap / norm, float(time)
    return best, best_height, best_time


@kernel
def copy_rows(source, target, number):  # type: ignore[no-untyped-def]
    """Copy the first rows of three columns."""
    for k in range(number):
        for column in range(3):
            target[k, column] = source[k, column]


@kernel
def sort_by_time(components, found):  # type: ignore[no-untyped-def]
    """Put the first rows (height, time, variance) in the order of their times."""
    for k in range(1, found):
        i = k
        while i > 0 and components[i, 1] < components[i - 1, 1]:
            for column in range(3):
                value = components[i, column]
                components[i, column] = components[i - 1, column]
                components[i - 1, column] = value
            i -= 1


@kernel
def apart(one, other, shaping):  # type: ignore[no-untyped-def]
    """Whether the arrivals of two components (3,) do not touch."""
    return abs(one[1] - other[1]) > APART * shaping * (math.sqrt(one[2]) + math.sqrt(other[2]))


@kernel
def decompose(  # type: ignore[no-untyped-def]
    signal, weight, starts, n_starts, least, shaping, table, components
):
    """Components of a stretch (n,), by time, into rows of `components` (MOST_COMPONENTS, 3); how many.

    `starts` (n_starts, 2): height and time of the first guesses. Those that are found by what the others leave are not
    lower than `least`. 0 if there are too many.
    """
    if n_starts > MOST_COMPONENTS:
        return 0
    for k in range(n_starts):
        components[k, 0], components[k, 1], components[k, 2] = starts[k, 0], starts[k, 1], USUAL_VARIANCE
    left = np.empty(signal.size)
    value = fit_components(signal, weight, components[:n_starts], shaping, table, left)
    found, value = add_components(signal, weight, components, n_starts, value, least, shaping, table, left)
    if found > 1:
        found = drop_components(signal, weight, components, found, value, least, shaping, table, left)
    sort_by_time(components, found)
    return found


@kernel
def add_components(  # type: ignore[no-untyped-def]
    signal, weight, components, found, value, least, shaping, table, left
):
    """Add components to those `found` while χ² falls by ENOUGH; how many there are then, and χ².

    `value`: χ² of the ones found, and what they leave, `left` (n,). 0 if there are too many.
    """
    kept = np.empty((MOST_COMPONENTS, 3))
    while True:
        gain, height, time = most_missed(left, weight, shaping, table)
        if gain < 0.5 * ENOUGH:  # width and time of the new one are yet to be fitted
            return found, value
        if found == MOST_COMPONENTS:
            return 0, value
        highest = 0.0
        for k in range(found):
            highest = max(highest, components[k, 0])
        copy_rows(components, kept, found)
        components[found, 0], components[found, 1] = max(height, 0.5 * least), time
        components[found, 2] = USUAL_VARIANCE
        better = fit_components(signal, weight, components[: found + 1], shaping, table, left)
        lowest = math.inf
        for k in range(found + 1):
            lowest = min(lowest, components[k, 0])
        if not (better < value - ENOUGH and lowest > max(least, LEAST_SHARE * highest)):
            copy_rows(kept, components, found)
            return found, value
        found, value = found + 1, better


@kernel
def drop_components(  # type: ignore[no-untyped-def]
    signal, weight, components, found, value, least, shaping, table, left
):
    """Put components that stand near another one together with it while χ² rises by less than ENOUGH; how many stay."""
    kept, fewer = np.empty((MOST_COMPONENTS, 3)), np.empty((MOST_COMPONENTS, 3))
    while found > 1:
        lowest = math.inf
        for k in range(found):
            near, distance = nearest_other(components, found, k, fewer)
            doubtful = components[k, 0] <= least
            close = distance < CLEAR * shaping and apart(components[k], fewer[near], shaping)
            if not (doubtful or close):
                continue
            total = fewer[near, 0] + components[k, 0]
            fewer[near, 1] += components[k, 0] / total * (components[k, 1] - fewer[near, 1])
            fewer[near, 0] = total
            without = fit_components(signal, weight, fewer[: found - 1], shaping, table, left)
            if without < lowest:
                lowest = without
                copy_rows(fewer, kept, found - 1)
        if not lowest < value + ENOUGH:
            return found
        found, value = found - 1, lowest
        copy_rows(kept, components, found)
    return found


@kernel
def nearest_other(components, found, k, others):  # type: ignore[no-untyped-def]
    """Fill `others` with all components but the k-th; row in there of the one nearest in time to it, and how near."""
    near, distance, place = 0, math.inf, 0
    for j in range(found):
        if j != k:
            for column in range(3):
                others[place, column] = components[j, column]
            if abs(components[j, 1] - components[k, 1]) < distance:
                near, distance = place, abs(components[j, 1] - components[k, 1])
            place += 1
    return near, distance
