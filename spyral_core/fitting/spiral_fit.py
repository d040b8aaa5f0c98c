"""Fit of the spiral of a slowing particle to the points of a cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.linear import solve_damped
from spyral_core.fitting.spiral import nodes_for, trace_curve

Floats = NDArray[np.float64]

SPREAD = 0.01  # a point's σ grows by this share of the path: scattering, and the model's own shortcomings
OUTLIER = 4.0  # σ at which a point has lost three quarters of its weight
FARTHEST = 1.05  # share of the range at which the curve ends; a little over 1, as the exponent is approximate
MOST_STEPS = 25
SMALLEST_CURVATURE = 1e-5  # 1/mm
BEFORE_START = 15.0  # mm; how far points may lie before s = 0


@kernel
def fit_spiral(
    points: Floats,
    sigma: Floats,
    sigma_z: Floats,
    start: Floats,
    reference: Floats,
    length: float,
    spent: tuple[float, float],
    axis_sigma: float,
) -> tuple[Floats, Floats, Floats, float]:
    """Fit the curve of `spiral` to points (3, n) [mm] with σ across the beam and along z (n,) [mm].

    `start`: parameters (6,), `reference` (3,): see `spiral`.
    `length` [mm] is the transverse path of the points at the start. Two weak beliefs take part: the share w · length of
    the range that is spent at the last point is `spent` = (mean, σ); and the curve, followed back, passes the beam axis
    within `axis_sigma` [mm]. The distance to the nearest point of the curve counts, in x, y and z, with redescending
    weights (Geman and McClure) whose width shrinks to OUTLIER over the first steps.

    Returns the parameters (6,), each point's path length s (n,) [mm], its squared distance in σ (n,), and the cost: the
    sum of bounded squared distances.
    """
    n = points.shape[1]
    parameters, best_parameters = start.copy(), start.copy()
    s, best_s = np.zeros(n), np.zeros(n)
    squares, best_squares = np.zeros(n), np.zeros(n)
    best = np.inf
    stalled = 0
    matrix, right = np.zeros((6, 6)), np.zeros(6)
    longest = length
    for iteration in range(MOST_STEPS):
        width = OUTLIER * max(1.0, 5.0 * 0.5**iteration)
        before = way_back(parameters, reference)
        end = min(1.1 * longest + 20.0, FARTHEST / max(parameters[3], 1e-9))
        nodes = nodes_for(-before, end, parameters)
        curve = trace_curve(nodes, parameters, reference)
        matrix[:] = 0.0
        right[:] = 0.0
        cost = _add_points(
            points, sigma, sigma_z, parameters, reference, nodes, curve, width, s, squares, matrix, right
        )
        cost += _add_axis(parameters, reference, nodes, curve, axis_sigma, matrix, right)
        longest = last_place(s, squares)
        excess = (parameters[3] * longest - spent[0]) / spent[1]
        matrix[3, 3] += (longest / spent[1]) ** 2
        right[3] -= excess * longest / spent[1]
        cost += excess * excess
        if width <= OUTLIER:
            if cost < best:
                stalled = stalled + 1 if cost > best - 0.02 else 0
                best = cost
                best_parameters[:] = parameters
                best_s[:] = s
                best_squares[:] = squares
            else:
                stalled += 1
            if stalled >= 1:
                break
        _take_step(parameters, solve_damped(matrix, right, 1e-4 * (1.0 + stalled * 100.0)), longest)
    return best_parameters, best_s, best_squares, best


@kernel
def way_back(parameters: Floats, reference: Floats) -> float:
    """How far [mm] to follow the curve back from s = 0 to be sure to pass the beam axis: half a turn at most."""
    distance = np.hypot(reference[0], reference[1])
    way: float = min(1.3 * distance + 30.0, np.pi / parameters[2])
    return way


@kernel
def last_place(s: Floats, squares: Floats) -> float:
    """The largest path length [mm] among the points on the curve."""
    last = 1.0
    for i in range(len(s)):
        if squares[i] < OUTLIER**2 and s[i] > last:
            last = s[i]
    return last


@kernel
def first_place(s: Floats, squares: Floats) -> float:
    """The smallest path length [mm] among the points on the curve."""
    first = np.inf
    for i in range(len(s)):
        if squares[i] < OUTLIER**2:
            first = min(first, s[i])
    return first


@kernel
def _take_step(parameters: Floats, step: Floats, longest: float) -> None:
    """Add a step, each parameter held within what can be trusted and what is possible."""
    limits = np.array([30.0, 0.5, max(0.5 * parameters[2], 1e-3), 0.3 / longest, np.inf, np.inf])
    share = 1.0
    for k in range(6):
        if abs(step[k]) * share > limits[k]:
            share = limits[k] / abs(step[k])
    for k in range(6):
        parameters[k] += share * step[k]
    parameters[2] = min(max(parameters[2], SMALLEST_CURVATURE), 0.5)
    parameters[3] = min(max(parameters[3], 0.0), 0.99 / longest)


@kernel
def _add_points(
    points: Floats,
    sigma: Floats,
    sigma_z: Floats,
    parameters: Floats,
    reference: Floats,
    nodes: Floats,
    curve: Floats,
    width: float,
    s: Floats,
    squares: Floats,
    matrix: Floats,
    right: Floats,
) -> float:
    """Fill s and squares (n,), add the points to the normal equations, return their cost."""
    c = parameters[5]
    across, along = np.zeros(6), np.zeros(6)
    cost = 0.0
    z_nodes = parameters[4] + c * nodes
    first = 0
    while nodes[first] < -BEFORE_START:
        first += 1
    left_x, left_y = -np.sin(reference[2]), np.cos(reference[2])
    for i in range(points.shape[1]):
        x, y, z = points[0, i], points[1, i], points[2, i]
        ratio = (sigma[i] / sigma_z[i]) ** 2
        nearest, node = np.inf, first
        for k in range(first, len(nodes)):
            distance = (x - curve[0, k]) ** 2 + (y - curve[1, k]) ** 2 + ratio * (z - z_nodes[k]) ** 2
            if distance < nearest:
                nearest, node = distance, k
        cosine, sine = np.cos(curve[2, node]), np.sin(curve[2, node])
        forward = (x - curve[0, node]) * cosine + (y - curve[1, node]) * sine
        shift = (forward + ratio * c * (z - z_nodes[node])) / (1.0 + ratio * c * c)
        if node == first:
            shift = max(shift, 0.0)
        elif node == len(nodes) - 1:
            shift = min(shift, 0.0)
        s[i] = nodes[node] + shift
        turn = curve[9, node] * shift
        dx = x - curve[0, node] - shift * (cosine - 0.5 * turn * sine)
        dy = y - curve[1, node] - shift * (sine + 0.5 * turn * cosine)
        cosine, sine = cosine - turn * sine, sine + turn * cosine
        aside = -dx * sine + dy * cosine
        ahead = dx * cosine + dy * sine
        dz = z - parameters[4] - c * s[i]

        variance = sigma[i] ** 2 + (SPREAD * s[i]) ** 2
        variance_z = sigma_z[i] ** 2 + (SPREAD * s[i]) ** 2 + c * c * variance
        rest = c * ahead - dz
        square = aside * aside / variance + rest * rest / variance_z
        squares[i] = square
        damped = 1.0 / (1.0 + square / width**2)
        cost += square * damped
        weight = damped * damped

        across[0] = left_x * -sine + left_y * cosine
        along[0] = left_x * cosine + left_y * sine
        for k in range(3):
            across[1 + k] = -curve[3 + k, node] * sine + curve[6 + k, node] * cosine
            along[1 + k] = curve[3 + k, node] * cosine + curve[6 + k, node] * sine
        for k in range(4):
            along[k] *= -c
        along[4], along[5] = 1.0, s[i]
        for k in range(6):
            right[k] += weight * (across[k] * aside / variance - along[k] * rest / variance_z)
            for m in range(k + 1):
                matrix[k, m] += weight * (across[k] * across[m] / variance + along[k] * along[m] / variance_z)
    return cost


@kernel
def _add_axis(
    parameters: Floats,
    reference: Floats,
    nodes: Floats,
    curve: Floats,
    axis_sigma: float,
    matrix: Floats,
    right: Floats,
) -> float:
    """Add the beam axis as a point that the curve passes before its start; a distant axis does not pull."""
    node = vertex_node(nodes, curve)
    cosine, sine = np.cos(curve[2, node]), np.sin(curve[2, node])
    aside = (curve[0, node] * sine - curve[1, node] * cosine) / axis_sigma
    damped = 1.0 / (1.0 + aside * aside / OUTLIER**2)
    weight = damped * damped / axis_sigma
    slopes = np.zeros(6)
    slopes[0] = np.sin(reference[2]) * sine + np.cos(reference[2]) * cosine
    for k in range(3):
        slopes[1 + k] = -curve[3 + k, node] * sine + curve[6 + k, node] * cosine
    for k in range(6):
        right[k] += weight * slopes[k] * aside
        for m in range(6):
            matrix[k, m] += weight * slopes[k] * slopes[m] / axis_sigma
    square = (curve[0, node] ** 2 + curve[1, node] ** 2) / axis_sigma**2
    cost: float = square / (1.0 + square / OUTLIER**2)
    return cost


@kernel
def vertex_node(nodes: Floats, curve: Floats) -> int:
    """The node nearest to the beam axis among those up to s = BEFORE_START."""
    best, nearest = np.inf, 0
    for node in range(len(nodes)):
        if nodes[node] > BEFORE_START:
            break
        square = curve[0, node] ** 2 + curve[1, node] ** 2
        if square < best:
            best, nearest = square, node
    return nearest
