"""Fit of the spiral of a slowing particle to the points of a cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.spanning_tree import first_of_smallest
from spyral_core.compiled import kernel
from spyral_core.fitting.linear import solve_damped
from spyral_core.fitting.spiral import beside_node, fill_slopes, nodes_for, trace_curve

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SPREAD = 0.01  # a point's σ grows by this share of the path: scattering, and the model's own shortcomings
OUTLIER = 4.0  # σ at which a point has lost three quarters of its weight
FARTHEST = 1.05  # share of the range at which the curve ends; a little over 1, as the exponent is approximate
MOST_STEPS = 25
ENOUGH = 0.02  # of the cost; a step that gains less is the last one
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
    matrix, right, rows = np.zeros((6, 6)), np.zeros(6), np.empty((n, 14))
    longest = length
    for iteration in range(MOST_STEPS):
        width = OUTLIER * max(1.0, 5.0 * 0.5**iteration)
        before = way_back(parameters, reference)
        end = min(1.1 * longest + 20.0, FARTHEST / max(parameters[3], 1e-9))
        nodes = nodes_for(-before, end, parameters)
        curve = trace_curve(nodes, parameters, reference)
        matrix[:] = 0.0
        right[:] = 0.0
        nearest = nearest_nodes(points, sigma, sigma_z, parameters, nodes, curve)
        cost = _fill_rows(points, sigma, sigma_z, parameters, reference, nodes, curve, nearest, width, s, squares, rows)
        _add_rows(rows, matrix, right)
        cost += _add_axis(parameters, reference, nodes, curve, axis_sigma, matrix, right)
        longest = last_place(s, squares)
        excess = (parameters[3] * longest - spent[0]) / spent[1]
        matrix[3, 3] += (longest / spent[1]) ** 2
        right[3] -= excess * longest / spent[1]
        cost += excess * excess
        if width <= OUTLIER:
            gain = best - cost
            if gain > 0.0:
                best = cost
                best_parameters = parameters.copy()
                best_s, s, best_squares, squares = s, best_s, squares, best_squares
            if not gain >= ENOUGH:
                break
        _take_step(parameters, solve_damped(matrix, right, 1e-4), longest)
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
def nearest_nodes(
    points: Floats, sigma: Floats, sigma_z: Floats, parameters: Floats, nodes: Floats, curve: Floats
) -> Integers:
    """The node (n,) nearest to each point, of those from BEFORE_START before s = 0 on."""
    first = 0
    while nodes[first] < -BEFORE_START:
        first += 1
    x, y, z = curve[0, first:], curve[1, first:], parameters[4] + parameters[5] * nodes[first:]
    nearest, distances = np.empty(points.shape[1], np.int64), np.empty(len(z))
    for i in range(len(nearest)):
        ratio = (sigma[i] / sigma_z[i]) ** 2
        _fill_distances(x, y, z, points[0, i], points[1, i], points[2, i], ratio, distances)
        nearest[i] = first + first_of_smallest(distances)
    return nearest


@kernel
def _fill_rows(
    points: Floats,
    sigma: Floats,
    sigma_z: Floats,
    parameters: Floats,
    reference: Floats,
    nodes: Floats,
    curve: Floats,
    nearest: Integers,
    width: float,
    s: Floats,
    squares: Floats,
    rows: Floats,
) -> float:
    """Fill s and squares (n,), and what each point adds to the normal equations (n, 14); return the points' cost.

    A row holds, for the distance to the left of the curve: its slopes by the first four parameters, itself, its weight;
    then, for that across both the first and the curve: its slopes by all six, itself, its weight.
    """
    c = parameters[5]
    left_x, left_y = -np.sin(reference[2]), np.cos(reference[2])
    slopes = np.empty((2, 4))
    cost = 0.0
    for i in range(points.shape[1]):
        node = nearest[i]
        x, y, z = points[0, i], points[1, i], points[2, i]
        ratio = (sigma[i] / sigma_z[i]) ** 2
        forward = (x - curve[0, node]) * curve[10, node] + (y - curve[1, node]) * curve[11, node]
        shift = (forward + ratio * c * (z - parameters[4] - c * nodes[node])) / (1.0 + ratio * c * c)
        if node == 0 or nodes[node - 1] < -BEFORE_START:
            shift = max(shift, 0.0)
        elif node == len(nodes) - 1:
            shift = min(shift, 0.0)
        s[i] = nodes[node] + shift
        at_x, at_y, cosine, sine = beside_node(curve, node, shift)
        aside = (y - at_y) * cosine - (x - at_x) * sine
        ahead = (x - at_x) * cosine + (y - at_y) * sine
        rest = c * ahead - (z - parameters[4] - c * s[i])

        spread = (SPREAD * s[i]) ** 2
        variance = sigma[i] ** 2 + spread
        variance_z = sigma_z[i] ** 2 + spread + c * c * variance
        square = aside * aside / variance + rest * rest / variance_z
        squares[i] = square
        damped = 1.0 / (1.0 + square / width**2)
        cost += square * damped

        fill_slopes(curve, node, shift, left_x, left_y, slopes)
        row = rows[i]
        for k in range(4):
            row[k], row[6 + k] = slopes[0, k], -c * slopes[1, k]
        row[10], row[11] = 1.0, s[i]
        row[4], row[5] = aside, damped * damped / variance
        row[12], row[13] = rest, damped * damped / variance_z
    return cost


@kernel
def _add_rows(rows: Floats, matrix: Floats, right: Floats) -> None:
    """Add the rows (n, 14) of `_fill_rows` to the lower half of the normal equations."""
    for i in range(len(rows)):
        for k in range(4):
            weighted = rows[i, 5] * rows[i, k]
            right[k] += weighted * rows[i, 4]
            for m in range(k + 1):
                matrix[k, m] += weighted * rows[i, m]
        for k in range(6):
            weighted = rows[i, 13] * rows[i, 6 + k]
            right[k] -= weighted * rows[i, 12]
            for m in range(k + 1):
                matrix[k, m] += weighted * rows[i, 6 + m]


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
