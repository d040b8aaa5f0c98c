"""Cubic smoothing spline: least squares with a penalty on the curvature of the curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]


@kernel
def smoothing_spline(t: Floats, values: Floats, weights: Floats, penalty: float) -> Floats:
    """The smoothing splines' values (n, k) at their knots `t` (n,), strictly increasing, for `values` (n, k).

    Each column's minimises Σ wᵢ (vᵢ − g(tᵢ))² + penalty · ∫ g''² dt over all functions g: the same curve and the same
    meaning of the penalty (units of t³ times those of the weights) as scipy's
    `make_smoothing_spline(t, values, weights, lam)`. The second derivatives γ solve (R + penalty · QᵀW⁻¹Q) γ = Qᵀv, of
    bandwidth five (Reinsch, Numer. Math. 10 (1967) 177; Green and Silverman, Nonparametric Regression (1994), section
    2.3.3). Weights are positive. Fewer than three knots or no penalty give the values back.
    """
    n, k = values.shape
    if n < 3 or penalty <= 0.0:
        return values.copy()
    h = t[1:] - t[:-1]
    above, below = 1.0 / h[:-1], 1.0 / h[1:]
    centre = -above - below
    loose = penalty / weights
    m = n - 2
    diagonal, first, second = np.zeros(m), np.zeros(m), np.zeros(m)
    gamma = np.empty((m, k))
    for j in range(m):
        diagonal[j] = (h[j] + h[j + 1]) / 3.0 + (
            above[j] ** 2 * loose[j] + centre[j] ** 2 * loose[j + 1] + below[j] ** 2 * loose[j + 2]
        )
        if j + 1 < m:
            first[j] = (
                h[j + 1] / 6.0 + centre[j] * above[j + 1] * loose[j + 1] + below[j] * centre[j + 1] * loose[j + 2]
            )
        if j + 2 < m:
            second[j] = below[j] * above[j + 2] * loose[j + 2]
        for column in range(k):
            before, here, after = values[j, column], values[j + 1, column], values[j + 2, column]
            gamma[j, column] = (after - here) * below[j] - (here - before) * above[j]
    _solve_five_bands(diagonal, first, second, gamma)
    smooth = values.copy()
    for j in range(m):
        for column in range(k):
            smooth[j, column] -= loose[j] * above[j] * gamma[j, column]
            smooth[j + 1, column] -= loose[j + 1] * centre[j] * gamma[j, column]
            smooth[j + 2, column] -= loose[j + 2] * below[j] * gamma[j, column]
    return smooth


@kernel
def _solve_five_bands(diagonal: Floats, first: Floats, second: Floats, right: Floats) -> None:
    """Solve a symmetric positive definite system of bandwidth five for each column of `right` (m, k), in place (LDLᵀ).

    The bands serve as work space.
    """
    m, k = right.shape
    for j in range(m):
        inverse = 1.0 / diagonal[j]
        next_one, next_two = first[j] * inverse, second[j] * inverse
        if j + 1 < m:
            diagonal[j + 1] -= next_one * first[j]
            first[j + 1] -= next_one * second[j]
            for column in range(k):
                right[j + 1, column] -= next_one * right[j, column]
        if j + 2 < m:
            diagonal[j + 2] -= next_two * second[j]
            for column in range(k):
                right[j + 2, column] -= next_two * right[j, column]
        diagonal[j], first[j], second[j] = inverse, next_one, next_two
    for j in range(m - 1, -1, -1):
        for column in range(k):
            value = right[j, column] * diagonal[j]
            if j + 1 < m:
                value -= first[j] * right[j + 1, column]
            if j + 2 < m:
                value -= second[j] * right[j + 2, column]
            right[j, column] = value


@kernel
def smooth_curve(t: Floats, curve: Floats, weights: Floats, penalty: float) -> Floats:
    """`smoothing_spline` of a curve (n, k) over one parameter t (n,), ascending, which may repeat.

    Points of equal t (closer than 1e-6 of t's range) become one knot at their weighted mean; all get its value.
    """
    n, k = curve.shape
    knot = np.empty(n, np.int64)
    closest = 1e-6 * (t[-1] - t[0])
    n_knots, start = 0, t[0]
    for i in range(n):
        if t[i] - start > closest:
            n_knots += 1
            start = t[i]
        knot[i] = n_knots
    n_knots += 1
    total, place, mean = np.zeros(n_knots), np.zeros(n_knots), np.zeros((n_knots, k))
    for i in range(n):
        total[knot[i]] += weights[i]
        place[knot[i]] += weights[i] * t[i]
        for column in range(k):
            mean[knot[i], column] += weights[i] * curve[i, column]
    for i in range(n_knots):
        place[i] /= total[i]
        for column in range(k):
            mean[i, column] /= total[i]
    smooth: Floats = smoothing_spline(place, mean, total, penalty)
    return smooth[knot]
