"""Points of a track gathered into nodes: where the charge pattern of neighbouring pads says that the track runs.

The points are gathered along a trajectory near the track's. In each node the charges of its pads are compared with
those that the trajectory leaves on them (`pattern`), and two numbers are fitted: how much charge there is, and how far
across the track runs from the trajectory. Pads on both sides share the charge of a track, so that their errors are
opposite; in a node they cancel, and nodes are independent of each other.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point, curve_tangent, nearest_place
from spyral_core.fitting.pattern import corner_distances, seen_chord, triangle_area
from spyral_core.physics.motion import ke_and_loss

FEWEST_PADS = 3  # of a node, if there are as many
WIDEST_GAP = 40.0  # mm of path inside a node
STRAY = 4.0  # standard deviations of charge from which on a pad counts for half
STRAY_Z = 5.0  # mm
FLOOR = 0.1  # of the mean charge of a pad: noise that does not fall with the charge
CHARGE_SPREAD = 0.3  # relative, of a node's charge against the whole track's
LEAST_EXPECTED = 1e-4  # of the largest charge
LEAST_SINE = 1e-6
LEAST_SPREAD = 0.1  # mm
STEP_WIDTH = math.sqrt(12.0 / 13.0)  # of binomial steps over the standard deviation: variance 1 + 1/12 widths²
STEP_EDGES = (-1.0 / 16, -3.0 / 16, -2.0 / 16, 2.0 / 16, 3.0 / 16, 1.0 / 16)  # weights 1, 4, 6, 4, 1: what they fall by
PAD_SHAPE = 6.0 * math.sqrt(3.0)  # area over variance of an equilateral triangle


@kernel
def points_on_curve(points, ratio, path, states):  # type: ignore[no-untyped-def]
    """Where points (n, 3) lie on a trajectory: path length, mm beyond its end (n,), deviation and direction (n, 3).

    `ratio`: the weight of distances along the beam over that of distances across it.
    """
    n = len(points)
    place, beyond, deviation, direction = np.empty(n), np.zeros(n), np.empty((n, 3)), np.empty((n, 3))
    for i in range(n):
        x, y, z = points[i]
        cell, share = nearest_place(x, y, z, ratio, path, states, len(path))
        px, py, pz = curve_point(path, states, cell, share)
        ux, uy, uz = curve_tangent(path, states, cell, share)
        place[i] = path[cell] + share * (path[cell + 1] - path[cell])
        deviation[i, 0], deviation[i, 1], deviation[i, 2] = x - px, y - py, z - pz
        direction[i, 0], direction[i, 1], direction[i, 2] = ux, uy, uz
        if cell == len(path) - 2 and share == 1.0:
            beyond[i] = deviation[i, 0] * ux + deviation[i, 1] * uy + deviation[i, 2] * uz
    return place, beyond, deviation, direction


@kernel
def mean_loss(left, smear, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Energy loss [MeV/mm] around a residual range [mm], smeared by `smear` [mm] along the path; derivative by range.

    The normal distribution stands as five binomial steps of the same variance: differences of energies, exact at the
    end of the range, where the loss is cut off. Beyond it, at negative ranges, nothing is lost.
    """
    width = STEP_WIDTH * smear
    lost, by_range = 0.0, 0.0
    for edge in range(6):
        here = left + (edge - 2.5) * width
        if here > 0.0:
            energy, loss = ke_and_loss(here, constants, log_ke, slope)
            lost += STEP_EDGES[edge] * energy
            by_range += STEP_EDGES[edge] * loss
    return lost / width, by_range / width


@kernel
def expected_charge(deviation, direction, left, corners, drift, diffusion, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Charge on a pad [MeV], and its derivatives by offset across and residual range [mm], and by `diffusion` [mm].

    The pad's `deviation` (3,) [mm] from the track, which has a `direction` (3,) and the residual range `left` [mm]
    there; `corners` (3, 2) [mm] against the pad's centroid; σ² of the charge is `diffusion` times `drift` [mm].
    """
    ux, uy = direction[0], direction[1]
    across = max(math.hypot(ux, uy), LEAST_SINE)
    nx, ny = -uy / across, ux / across
    first, second, third = corner_distances(corners, nx, ny)
    area = triangle_area(corners)
    variance = diffusion * drift + LEAST_SPREAD**2
    offset = -(nx * deviation[0] + ny * deviation[1])
    chord, by_offset, by_variance = seen_chord(offset, first, second, third, area, math.sqrt(variance))
    smear = math.sqrt(variance + area / PAD_SHAPE) / across
    loss, by_range = mean_loss(left, smear, constants, log_ke, slope)
    loss, by_range = loss / across, by_range / across
    return chord * loss, by_offset * loss, chord * by_range, by_variance * drift * loss


@kernel
def expected_charges(  # type: ignore[no-untyped-def]
    place, beyond, deviation, direction, corners, drift, diffusion, path, states, constants, log_ke, slope
):
    """`expected_charge` of each point's pad (n, 4), from the points' places on a trajectory (`points_on_curve`)."""
    charges = np.empty((len(place), 4))
    for i in range(len(place)):
        cell = min(max(int(np.searchsorted(path, place[i], side="right")) - 1, 0), len(path) - 2)
        share = (place[i] - path[cell]) / (path[cell + 1] - path[cell])
        left = (1 - share) * states[cell, 6] + share * states[cell + 1, 6] - beyond[i]
        charges[i] = expected_charge(
            deviation[i], direction[i], left, corners[i], drift[i], diffusion, constants, log_ke, slope
        )
    return charges


@kernel
def _node_of_each(order, place, node_length):  # type: ignore[no-untyped-def]
    """Number of the node of each point (n,), and how many: runs of `node_length` mm and FEWEST_PADS points or more."""
    node, number, first, held = np.empty(len(order), np.int64), 0, 0, 0
    for k in range(len(order)):
        i = order[k]
        if held > 0:
            long = place[i] - place[order[first]] > node_length and held >= FEWEST_PADS
            if long or place[i] - place[order[k - 1]] > WIDEST_GAP:
                number, first, held = number + 1, k, 0
        node[i] = number
        held += 1
    return node, number + 1


@kernel
def fit_charges(charge, expected, factor, node, n_nodes, noise, level):  # type: ignore[no-untyped-def]
    """Charge over the track's (k,), offset [mm] (k,) and its variance (k,) of each node by weighted least squares.

    `level`: charge of the track over the expected; `noise`: variance of a charge over its expectation (0: not known
    yet, and the nodes' charges are free).
    """
    sums = np.zeros((n_nodes, 5))
    floor = FLOOR * level * np.mean(expected[:, 0])
    for i in range(len(charge)):
        value, by_offset = level * expected[i, 0], level * expected[i, 1]
        weight = factor[i] / (value + floor)
        row = sums[node[i]]
        row[0] += weight * value * value
        row[1] += weight * value * by_offset
        row[2] += weight * by_offset * by_offset
        row[3] += weight * value * charge[i]
        row[4] += weight * by_offset * charge[i]
    amount, offset, variance = np.ones(n_nodes), np.zeros(n_nodes), np.full(n_nodes, np.inf)
    for k in range(n_nodes):
        prior = noise / CHARGE_SPREAD**2
        a, b, d, u, v = sums[k, 0] + prior, sums[k, 1], sums[k, 2], sums[k, 3] + prior, sums[k, 4]
        determinant = a * d - b * b
        if determinant > 1e-9 * a * d and determinant > 0.0:
            amount[k] = (d * u - b * v) / determinant
            offset[k] = (a * v - b * u) / determinant / max(amount[k], 0.2)
            variance[k] = a / determinant / max(amount[k], 0.2) ** 2
    return amount, offset, variance


@kernel
def gather(place, beyond, deviation, charge, expected, node_length, drift, diffusion):  # type: ignore[no-untyped-def]
    """Nodes of a track from its points on the trajectory (`points_on_curve`) and their `expected_charges`.

    Returns place (k,) [mm], offset across and mean deviation along the beam (k, 2) [mm], their variances (k, 2) [mm²]
    (along the beam: one over the number of pads that have charge), a better `diffusion` [mm], and the track's `level`
    and `noise` (see `fit_charges`).
    """
    node, n_nodes = _node_of_each(np.argsort(place + beyond), place, node_length)
    n = len(place)
    factor, largest = np.empty(n), np.max(expected[:, 0])
    for i in range(n):
        factor[i] = 1.0 / (1.0 + (deviation[i, 2] / STRAY_Z) ** 4)
        if expected[i, 0] < LEAST_EXPECTED * largest:
            factor[i] = 0.0
    level, noise = np.sum(factor * charge) / max(np.sum(factor * expected[:, 0]), 1e-9), 0.0
    amount, offset, variance = fit_charges(charge, expected, factor, node, n_nodes, noise, level)
    scaled = np.empty(n)
    for _ in range(2):
        floor = FLOOR * level * np.mean(expected[:, 0])
        for i in range(n):
            k = node[i]
            model = level * amount[k] * (expected[i, 0] + offset[k] * expected[i, 1])
            scaled[i] = (charge[i] - model) ** 2 / (level * expected[i, 0] + floor)
        noise = np.median(scaled) / 0.4549 * n / max(n - 2 * n_nodes, 0.3 * n)
        for i in range(n):
            if factor[i] > 0.0:
                factor[i] = 1.0 / (1.0 + (deviation[i, 2] / STRAY_Z) ** 4) / (1.0 + (scaled[i] / noise / STRAY**2) ** 2)
        level = np.sum(factor * charge) / max(np.sum(factor * expected[:, 0]), 1e-9)
        amount, offset, variance = fit_charges(charge, expected, factor, node, n_nodes, noise, level)
    slope, curvature = _by_diffusion(charge, expected, factor, node, amount, offset, level, noise)
    better = diffusion * math.exp(min(max(slope * diffusion / (curvature * diffusion**2 + 1.0), -0.5), 0.5))
    at, mean, held = np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes)
    total = np.sum(factor * charge) / max(np.sum(factor), 1e-9)
    for i in range(n):
        weight = factor[i] * charge[i]
        held[node[i]] += weight
        at[node[i]] += weight * place[i]
        mean[node[i]] += weight * deviation[i, 2]
    used = np.flatnonzero((held > 0.0) & np.isfinite(variance))
    result, errors = np.empty((len(used), 2)), np.empty((len(used), 2))
    for j in range(len(used)):
        k = used[j]
        result[j, 0], result[j, 1] = offset[k], mean[k] / held[k]
        errors[j, 0], errors[j, 1] = noise * variance[k], total / held[k]
    return at[used] / held[used], result, errors, better, level, noise


@kernel
def _by_diffusion(charge, expected, factor, node, amount, offset, level, noise):  # type: ignore[no-untyped-def]
    """Slope and curvature of the log-likelihood of all charges by the diffusion, at free charges of the nodes."""
    floor = FLOOR * level * np.mean(expected[:, 0])
    n_nodes = len(amount)
    mixed, own = np.zeros(n_nodes), np.zeros(n_nodes)
    for i in range(len(charge)):
        weight = factor[i] / (level * expected[i, 0] + floor)
        mixed[node[i]] += weight * expected[i, 0] * expected[i, 3]
        own[node[i]] += weight * expected[i, 0] ** 2
    slope, curvature = 0.0, 0.0
    for i in range(len(charge)):
        k = node[i]
        if own[k] > 0.0:
            weight = factor[i] / (level * expected[i, 0] + floor) / noise
            change = level * amount[k] * (expected[i, 3] - mixed[k] / own[k] * expected[i, 0])
            left = charge[i] - level * amount[k] * (expected[i, 0] + offset[k] * expected[i, 1])
            slope += weight * change * left
            curvature += weight * change * change
    return slope, curvature


@kernel
def nodes_at(at, offset, path, states):  # type: ignore[no-untyped-def]
    """Nodes (k, 3) [mm] at path lengths (k,), by their offsets across and deviations along the beam (k, 2)."""
    nodes = np.empty((len(at), 3))
    for k in range(len(at)):
        cell = min(max(int(np.searchsorted(path, at[k], side="right")) - 1, 0), len(path) - 2)
        share = (at[k] - path[cell]) / (path[cell + 1] - path[cell])
        x, y, z = curve_point(path, states, cell, share)
        ux, uy, _ = curve_tangent(path, states, cell, share)
        across = max(math.hypot(ux, uy), 1e-6)
        nodes[k, 0], nodes[k, 1] = x - uy / across * offset[k, 0], y + ux / across * offset[k, 0]
        nodes[k, 2] = z + offset[k, 1]
    return nodes
