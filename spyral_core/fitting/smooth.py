"""Cubic smoothing spline: least squares with a penalty on the curvature of the curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]


@kernel
def smoothing_spline(t: Floats, values: Floats, weights: Floats, penalty: float) -> Floats:
    """The smoothing spline's values (n,) at its knots `t` (n,), strictly increasing.

    Minimises Σ wᵢ (vᵢ − g(tᵢ))² + penalty · ∫ g''² dt over all functions g: the same curve and the same meaning of the
    penalty (units of t³ times those of the weights) as scipy's `make_smoothing_spline(t, values, weights, lam)`. The
    second derivatives γ solve (R + penalty · QᵀW⁻¹Q) γ = Qᵀv, of bandwidth five (Reinsch, Numer. Math. 10 (1967) 177;
    Green and Silverman, Nonparametric Regression (1994), section 2.3.3). Weights are positive. Fewer than three knots
    or no penalty give the values back.
    """
    n = len(t)
    if n < 3 or penalty <= 0.0:
        return values.copy()
    h = np.diff(t)
    above, below = 1.0 / h[:-1], 1.0 / h[1:]
    centre = -above - below
    m = n - 2
    diagonal, first, second = np.zeros(m), np.zeros(m), np.zeros(m)
    right = np.empty(m)
    for j in range(m):
        w0, w1, w2 = penalty / weights[j], penalty / weights[j + 1], penalty / weights[j + 2]
        diagonal[j] = (h[j] + h[j + 1]) / 3.0 + above[j] ** 2 * w0 + centre[j] ** 2 * w1 + below[j] ** 2 * w2
        if j + 1 < m:
            first[j] = h[j + 1] / 6.0 + centre[j] * above[j + 1] * w1 + below[j] * centre[j + 1] * w2
        if j + 2 < m:
            second[j] = below[j] * above[j + 2] * w2
        right[j] = (values[j + 2] - values[j + 1]) * below[j] - (values[j + 1] - values[j]) * above[j]
    gamma = _solve_five_bands(diagonal, first, second, right)
    smooth = values.copy()
    for j in range(m):
        smooth[j] -= penalty / weights[j] * above[j] * gamma[j]
        smooth[j + 1] -= penalty / weights[j + 1] * centre[j] * gamma[j]
        smooth[j + 2] -= penalty / weights[j + 2] * below[j] * gamma[j]
    return smooth


@kernel
def _solve_five_bands(diagonal: Floats, first: Floats, second: Floats, right: Floats) -> Floats:
    """Solve a symmetric positive definite system of bandwidth five; its arguments serve as work space (LDLᵀ)."""
    m = len(diagonal)
    for j in range(m):
        if j + 1 < m:
            factor = first[j] / diagonal[j]
            diagonal[j + 1] -= factor * first[j]
            if j + 2 < m:
                first[j + 1] -= factor * second[j]
            right[j + 1] -= factor * right[j]
            first[j] = factor
        if j + 2 < m:
            factor = second[j] / diagonal[j]
            diagonal[j + 2] -= factor * second[j]
            right[j + 2] -= factor * right[j]
            second[j] = factor
    solution = right / diagonal
    for j in range(m - 2, -1, -1):
        solution[j] -= first[j] * solution[j + 1]
        if j + 2 < m:
            solution[j] -= second[j] * solution[j + 2]
    return solution


@kernel
def smooth_curve(t: Floats, curve: Floats, weights: Floats, penalty: float) -> Floats:
    """`smoothing_spline` of each row of a curve (k, n) over one parameter t (n,), ascending, which may repeat.

    Points of equal t (closer than 1e-6 of t's range) become one knot at their weighted mean; all get its value.
    """
    n = len(t)
    knot = np.empty(n, np.int64)
    closest = 1e-6 * (t[-1] - t[0])
    n_knots = 0
    start = t[0]
    for i in range(n):
        if i > 0 and (t[i] - start > closest):
            n_knots += 1
            start = t[i]
        knot[i] = n_knots
    n_knots += 1
    total, place = np.zeros(n_knots), np.zeros(n_knots)
    for i in range(n):
        total[knot[i]] += weights[i]
        place[knot[i]] += weights[i] * t[i]
    place /= total
    result = np.empty_like(curve)
    for row in range(len(curve)):
        mean = np.zeros(n_knots)
        for i in range(n):
            mean[knot[i]] += weights[i] * curve[row, i]
        smooth = smoothing_spline(place, mean / total, total, penalty)
        for i in range(n):
            result[row, i] = smooth[knot[i]]
    return result
