"""Fit of the spiral of a slowing particle to the points of a cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.spanning_tree import first_of_smallest
from spyral_core.compiled import kernel
from spyral_core.fitting.linear import solve_damped
from spyral_core.fitting.spiral import beside_node, fill_slopes, nodes_for, trace_curve

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
    parameters, best_parameters = start.copy(), start
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
                best_parameters = parameters.copy()
                best_s, s, best_squares, squares = s, best_s, squares, best_squares
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
    slopes = np.zeros((2, 6))
    slopes[1, 4] = 1.0
    cost = 0.0
    first = 0
    while nodes[first] < -BEFORE_START:
        first += 1
    x_nodes, y_nodes, z_nodes = curve[0, first:], curve[1, first:], parameters[4] + c * nodes[first:]
    distances = np.empty(len(z_nodes))
    left_x, left_y = -np.sin(reference[2]), np.cos(reference[2])
    for i in range(points.shape[1]):
        x, y, z = points[0, i], points[1, i], points[2, i]
        ratio = (sigma[i] / sigma_z[i]) ** 2
        _fill_distances(x_nodes, y_nodes, z_nodes, x, y, z, ratio, distances)
        node = first + first_of_smallest(distances)
        cosine, sine = curve[10, node], curve[11, node]
        forward = (x - curve[0, node]) * cosine + (y - curve[1, node]) * sine
        shift = (forward + ratio * c * (z - z_nodes[node - first])) / (1.0 + ratio * c * c)
        if node == first:
            shift = max(shift, 0.0)
        elif node == len(nodes) - 1:
            shift = min(shift, 0.0)
        s[i] = nodes[node] + shift
        at_x, at_y, cosine, sine = beside_node(curve, node, shift)
        aside = (y - at_y) * cosine - (x - at_x) * sine
        ahead = (x - at_x) * cosine + (y - at_y) * sine
        dz = z - parameters[4] - c * s[i]

        variance = sigma[i] ** 2 + (SPREAD * s[i]) ** 2
        variance_z = sigma_z[i] ** 2 + (SPREAD * s[i]) ** 2 + c * c * variance
        rest = c * ahead - dz
        square = aside * aside / variance + rest * rest / variance_z
        squares[i] = square
        damped = 1.0 / (1.0 + square / width**2)
        cost += square * damped
        weight, weight_z = damped * damped / variance, damped * damped / variance_z

        fill_slopes(curve, node, shift, left_x, left_y, slopes)
        slopes[1, :4] *= -c
        slopes[1, 5] = s[i]
        for k in range(6):
            across, along = weight * slopes[0, k], weight_z * slopes[1, k]
            right[k] += across * aside - along * rest
            for m in range(k + 1):
                matrix[k, m] += across * slopes[0, m] + along * slopes[1, m]
    return cost


@kernel
def _fill_distances(
    x: Floats, y: Floats, z: Floats, at_x: float, at_y: float, at_z: float, ratio: float, distances: Floats
) -> None:
    """Squared distances of nodes (m,) from a place, z in units of the ratio: a short loop is turned into vectors."""
    for node in range(len(x)):
        distances[node] = (x[node] - at_x) ** 2 + (y[node] - at_y) ** 2 + ratio * (z[node] - at_z) ** 2


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
    step = nodes[1] - nodes[0]
    x, y, cosine, sine = beside_node(curve, node, 0.0)
    shift = -(x * cosine + y * sine) / max(1.0 - curve[9, node] * (x * sine - y * cosine), 0.5)
    shift = min(max(shift, -step), step)
    x, y, cosine, sine = beside_node(curve, node, shift)
    aside = (x * sine - y * cosine) / axis_sigma
    damped = 1.0 / (1.0 + aside * aside / OUTLIER**2)
    weight = damped * damped / axis_sigma
    slopes = np.zeros((2, 4))
    fill_slopes(curve, node, shift, -np.sin(reference[2]), np.cos(reference[2]), slopes)
    for k in range(4):
        right[k] += weight * slopes[0, k] * aside
        for m in range(k + 1):
            matrix[k, m] += weight * slopes[0, k] * slopes[0, m] / axis_sigma
    square = (x * x + y * y) / axis_sigma**2
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
