"""Circle through points of a plane: least squares of the distances, started from Taubin's algebraic fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.linear import solve_damped

Floats = NDArray[np.float64]

_MAX_STEPS = 60
_LARGEST_RADIUS = 1e6  # in units of the points' spread; collinear points get a circle of this radius


@kernel
def fit_circle(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Circle of least squared distances through points (n,), n ≥ 3.

    Returns centre x, y and radius in the units of the points. Collinear points give a circle of very large, finite
    radius; fewer than three points, or all of them in one place, give nan.
    """
    circle: tuple[float, float, float] = fit_weighted_circle(x, y, np.ones(len(x)))
    return circle


@kernel
def fit_weighted_circle(x: Floats, y: Floats, weights: Floats) -> tuple[float, float, float]:
    """As `fit_circle`, each squared distance multiplied by its weight ≥ 0; points of weight 0 are left out."""
    n_points = 0
    for index in range(len(x)):
        if weights[index] > 0.0:
            n_points += 1
    total = np.sum(weights)
    if n_points < 3 or not total > 0.0:
        return np.nan, np.nan, np.nan
    mean_x, mean_y = np.sum(weights * x) / total, np.sum(weights * y) / total
    u, v = x - mean_x, y - mean_y
    spread = np.sqrt(np.sum(weights * (u * u + v * v)) / total)
    if not 0.0 < spread < np.inf:
        return np.nan, np.nan, np.nan
    u, v, share = u / spread, v / spread, weights / total
    a, phi, d = _polish(u, v, share, _taubin(u, v, share))
    a = np.copysign(max(abs(a), 0.5 / _LARGEST_RADIUS), a)
    root = np.sqrt(max(1.0 + 4.0 * a * d, 0.0))
    return (
        mean_x - spread * root * np.cos(phi) / (2.0 * a),
        mean_y - spread * root * np.sin(phi) / (2.0 * a),
        spread / (2.0 * abs(a)),
    )


@kernel
def _taubin(u: Floats, v: Floats, share: Floats) -> tuple[float, float, float]:
    """Taubin's fit (IEEE PAMI 13 (1991) 1115) as (A, φ, D) of A(u² + v²) + s(u cos φ + v sin φ) + D = 0, s² = 1 + 4AD.

    The points are centred, of unit spread, their shares sum to one. The smallest root of the characteristic polynomial
    is found by Newton's method from 0 (Chernov, Circular and Linear Regression (2010), section 5.10). Where the circle
    is undefined or fits worse, the line along the points' longest axis is returned.
    """
    w = u * u + v * v
    uu, vv, uv = np.sum(share * u * u), np.sum(share * v * v), np.sum(share * u * v)
    uw, vw, ww = np.sum(share * u * w), np.sum(share * v * w), np.sum(share * w * w)
    mean_w = uu + vv
    determinant = uu * vv - uv * uv
    spread_w = ww - mean_w * mean_w
    a3 = 4.0 * mean_w
    a2 = -3.0 * mean_w * mean_w - ww
    a1 = spread_w * mean_w + 4.0 * determinant * mean_w - uw * uw - vw * vw
    a0 = uw * (uw * vv - vw * uv) + vw * (vw * uu - uw * uv) - spread_w * determinant
    root, value = 0.0, a0
    for _ in range(30):
        slope = a1 + root * (2.0 * a2 + 3.0 * root * a3)
        if slope == 0.0:
            break
        further = root - value / slope
        new_value = a0 + further * (a1 + further * (a2 + further * a3))
        if not abs(new_value) < abs(value):
            break
        root, value = further, new_value

    line_phi = 0.5 * np.arctan2(2.0 * uv, uu - vv) + 0.5 * np.pi
    a = root * root - root * mean_w + determinant
    b, c = -(uw * (vv - root) - vw * uv), -(vw * (uu - root) - uw * uv)
    d = -a * mean_w
    norm = np.sqrt(max(b * b + c * c - 4.0 * a * d, 0.0))
    if norm < 1e-12:
        return 0.0, line_phi, 0.0
    a, d, phi = a / norm, d / norm, np.arctan2(c, b)
    if _sum_of_squares(u, v, share, a, phi, d) <= _sum_of_squares(u, v, share, 0.0, line_phi, 0.0):
        return a, phi, d
    return 0.0, line_phi, 0.0


@kernel
def _sum_of_squares(u: Floats, v: Floats, share: Floats, a: float, phi: float, d: float) -> float:
    """Weighted squared distances from the circle (A, φ, D); inf outside of the parameters' range."""
    square = 1.0 + 4.0 * a * d
    if not square > 0.0:
        return np.inf
    root, cosine, sine = np.sqrt(square), np.cos(phi), np.sin(phi)
    total = 0.0
    for index in range(len(u)):
        p = a * (u[index] ** 2 + v[index] ** 2) + root * (u[index] * cosine + v[index] * sine) + d
        distance = 2.0 * p / (1.0 + np.sqrt(max(1.0 + 4.0 * a * p, 0.0)))
        total += share[index] * distance * distance
    return total


@kernel
def _polish(u: Floats, v: Floats, share: Floats, start: tuple[float, float, float]) -> tuple[float, float, float]:
    """Gauss–Newton steps with Marquardt's damping in (A, φ, D), where a line is nothing special.

    The distance of a point is 2P/(1 + √(1 + 4AP)), P the left side of the circle's equation (Chernov and Lesort,
    J. Math. Imaging Vision 23 (2005) 239).
    """
    a, phi, d = start
    best = _sum_of_squares(u, v, share, a, phi, d)
    damping = 1e-6
    normal, gradient = np.zeros((3, 3)), np.zeros(3)
    for _ in range(_MAX_STEPS):
        normal[:] = 0.0
        gradient[:] = 0.0
        root, cosine, sine = np.sqrt(1.0 + 4.0 * a * d), np.cos(phi), np.sin(phi)
        for index in range(len(u)):
            square = u[index] ** 2 + v[index] ** 2
            along = u[index] * cosine + v[index] * sine
            p = a * square + root * along + d
            q = max(np.sqrt(max(1.0 + 4.0 * a * p, 0.0)), 1e-6)
            distance = 2.0 * p / (1.0 + q)
            factor = 2.0 * (1.0 - a * distance / q) / (1.0 + q)
            by_a = (square + 2.0 * d * along / root) * factor - distance * distance / q
            by_phi = root * (v[index] * cosine - u[index] * sine) * factor
            by_d = (1.0 + 2.0 * a * along / root) * factor
            slopes = (by_a, by_phi, by_d)
            for row in range(3):
                gradient[row] += share[index] * slopes[row] * distance
                for column in range(3):
                    normal[row, column] += share[index] * slopes[row] * slopes[column]
        improved = False
        while damping < 1e8:
            step = solve_damped(normal, gradient, damping)
            new = _sum_of_squares(u, v, share, a - step[0], phi - step[1], d - step[2])
            if new <= best:
                improved = True
                break
            damping *= 10.0
        if not improved:
            break
        gain = best - new
        a, phi, d, best = a - step[0], phi - step[1], d - step[2], new
        damping = max(0.1 * damping, 1e-12)
        if gain <= 1e-13 * best or best < 1e-28:
            break
    return a, phi, d
