"""Circle through points of a plane: least squares of the distances, started from Taubin's algebraic fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.linear import solve_damped

Floats = NDArray[np.float64]

_MAX_STEPS = 60
_LARGEST_RADIUS = 1e6  # in units of the points' spread; collinear points get a circle of this radius
_ENOUGH = 1e-13  # of the sum of squares; steps that gain less move the circle by 10⁻⁶ of its uncertainty


@kernel
def fit_circle(x: Floats, y: Floats) -> tuple[float, float, float]:
    """Circle of least squared distances through points (n,), n ≥ 3.

    Returns centre x, y and radius in the units of the points. Collinear points give a circle of very large, finite
    radius; fewer than three points, or all of them in one place, give nan.
    """
    if len(x) < 3:
        return np.nan, np.nan, np.nan
    mean_x, mean_y = np.mean(x), np.mean(y)
    u, v = x - mean_x, y - mean_y
    spread = np.sqrt(np.mean(u * u + v * v))
    if not 0.0 < spread < np.inf:
        return np.nan, np.nan, np.nan
    u /= spread
    v /= spread
    circle, line_phi = _taubin(u, v)
    a, phi, d = _polish(u, v, circle, line_phi)
    a = np.copysign(max(abs(a), 0.5 / _LARGEST_RADIUS), a)
    root = np.sqrt(max(1.0 + 4.0 * a * d, 0.0))
    return (
        mean_x - spread * root * np.cos(phi) / (2.0 * a),
        mean_y - spread * root * np.sin(phi) / (2.0 * a),
        spread / (2.0 * abs(a)),
    )


@kernel
def _taubin(u: Floats, v: Floats) -> tuple[tuple[float, float, float], float]:
    """Taubin's fit (IEEE PAMI 13 (1991) 1115) as (A, φ, D) of A(u² + v²) + s(u cos φ + v sin φ) + D = 0, s² = 1 + 4AD.

    The points are centred, of unit spread. The smallest root of the characteristic polynomial is found by Newton's
    method from 0 (Chernov, Circular and Linear Regression (2010), section 5.10). Also returns the φ of the line along
    the points' longest axis, which is the circle where that is undefined.
    """
    uu, vv, uv, uw, vw, ww = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(u)):
        w = u[i] * u[i] + v[i] * v[i]
        uu, vv, uv = uu + u[i] * u[i], vv + v[i] * v[i], uv + u[i] * v[i]
        uw, vw, ww = uw + u[i] * w, vw + v[i] * w, ww + w * w
    n = float(len(u))
    uu, vv, uv, uw, vw, ww = uu / n, vv / n, uv / n, uw / n, vw / n, ww / n
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
        return (0.0, line_phi, 0.0), line_phi
    return (a / norm, np.arctan2(c, b), d / norm), line_phi


@kernel
def _add_distances(u: Floats, v: Floats, a: float, phi: float, d: float, normal: Floats, gradient: Floats) -> float:
    """Mean squared distance from the circle (A, φ, D), inf outside of the parameters' range.

    Fills the normal equations (3, 3), of which the lower half is used, and the gradient (3,) of a Gauss–Newton step.
    The distance of a point is 2P/(1 + √(1 + 4AP)), P the left side of the circle's equation (Chernov and Lesort,
    J. Math. Imaging Vision 23 (2005) 239).
    """
    square = 1.0 + 4.0 * a * d
    if not square > 0.0:
        return np.inf
    root, cosine, sine = np.sqrt(square), np.cos(phi), np.sin(phi)
    aa, ap, ad, pp, pd, dd = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    by_a, by_p, by_d, total = 0.0, 0.0, 0.0, 0.0
    for i in range(len(u)):
        w = u[i] * u[i] + v[i] * v[i]
        along = u[i] * cosine + v[i] * sine
        p = a * w + root * along + d
        q = max(np.sqrt(max(1.0 + 4.0 * a * p, 0.0)), 1e-6)
        share = 2.0 / (1.0 + q)
        distance = p * share
        lever = distance / q
        factor = (1.0 - a * lever) * share
        slope_a = (w + 2.0 * d * along / root) * factor - distance * lever
        slope_p = root * (v[i] * cosine - u[i] * sine) * factor
        slope_d = (1.0 + 2.0 * a * along / root) * factor
        aa, ap, ad = aa + slope_a * slope_a, ap + slope_a * slope_p, ad + slope_a * slope_d
        pp, pd, dd = pp + slope_p * slope_p, pd + slope_p * slope_d, dd + slope_d * slope_d
        by_a, by_p, by_d = by_a + slope_a * distance, by_p + slope_p * distance, by_d + slope_d * distance
        total += distance * distance
    normal[0, 0], normal[1, 0], normal[1, 1], normal[2, 0], normal[2, 1], normal[2, 2] = aa, ap, pp, ad, pd, dd
    gradient[0], gradient[1], gradient[2] = by_a, by_p, by_d
    return total / len(u)


@kernel
def _polish(u: Floats, v: Floats, start: tuple[float, float, float], line_phi: float) -> tuple[float, float, float]:
    """Gauss–Newton steps with Marquardt's damping in (A, φ, D), where a line is nothing special.

    They start from the line through the origin with this φ if that fits better.
    """
    a, phi, d = start
    damping = 1e-6
    normal, gradient = np.empty((3, 3)), np.empty(3)
    new_normal, new_gradient = np.empty((3, 3)), np.empty(3)
    best = _add_distances(u, v, a, phi, d, normal, gradient)
    if not best <= np.mean((u * np.cos(line_phi) + v * np.sin(line_phi)) ** 2):
        a, phi, d = 0.0, line_phi, 0.0
        best = _add_distances(u, v, a, phi, d, normal, gradient)
    n_steps = 0
    while n_steps < _MAX_STEPS and damping < 1e8:
        step = solve_damped(normal, gradient, damping)
        new = _add_distances(u, v, a - step[0], phi - step[1], d - step[2], new_normal, new_gradient)
        if not new <= best:
            damping *= 10.0
            continue
        n_steps += 1
        gain = best - new
        a, phi, d, best = a - step[0], phi - step[1], d - step[2], new
        normal, gradient, new_normal, new_gradient = new_normal, new_gradient, normal, gradient
        damping = max(0.1 * damping, 1e-12)
        if gain <= _ENOUGH * best or best < 1e-28:
            break
    return a, phi, d
