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
from spyral_core.fitting.charge_noise import compare_charges
from spyral_core.fitting.curve import curve_point, curve_tangent
from spyral_core.fitting.node_charges import FLOOR
from spyral_core.fitting.pad_times import node_means, time_deviations, time_errors

FEWEST_PADS = 3  # of a node, if there are as many
WIDEST_GAP = 40.0  # mm of path inside a node
STRAY_Z = 5.0  # mm
LEAST_EXPECTED = 1e-4  # of the largest charge


@kernel
def _node_of_each(order, place, n_lit, node_length):  # type: ignore[no-untyped-def]
    """Number of the node of each point (n,), and where in the `order` nodes begin (k + 1,).

    They are runs of `node_length` mm and FEWEST_PADS points or more, of the first `n_lit` points; the others belong to
    where they lie.
    """
    node, begins = np.empty(len(order), np.int64), np.zeros(len(order) + 1, np.int64)
    number, first, held, before = 0, -1.0, 0, 0.0
    for k in range(len(order)):
        i = order[k]
        if i < n_lit:
            if held > 0:
                long = place[i] - first > node_length and held >= FEWEST_PADS
                if long or place[i] - before > WIDEST_GAP:
                    number, held = number + 1, 0
                    begins[number] = k
            if held == 0:
                first = place[i]
            held, before = held + 1, place[i]
        node[i] = number
    begins[number + 1] = len(order)
    return node, begins[: number + 2]


@kernel
def gather(  # type: ignore[no-untyped-def]
    place, beyond, deviation, direction, charge, expected, node_length, drift, diffusion, straggling
):
    """Nodes of a track from its points on the trajectory (`curve.points_on_curve`) and their `expected_charges`.

    Of the n points the first have a `charge`, those behind them are pads that were silent. `straggling` [MeV²/mm]:
    variance of the energy loss. Returns place (k,) [mm], offset across and mean deviation along the beam (k, 2) [mm],
    their variances (k, 2) [mm²], a better `diffusion` [mm], the track's `level` (charge over the expected) and `noise`
    (variance of a charge over it).
    """
    n, lit = len(place), len(charge)
    order = np.argsort(place + beyond)
    node, first = _node_of_each(order, place, lit, node_length)
    n_nodes = len(first) - 1
    inside, largest = np.zeros(n), np.max(expected[:lit, 0])
    for i in range(lit):
        if expected[i, 0] > LEAST_EXPECTED * largest:
            inside[i] = 1.0 / (1.0 + (deviation[i, 2] / STRAY_Z) ** 4)
    amount, offset, error, factor, level, noise = compare_charges(
        charge, expected, inside, order, first, node, place, straggling
    )
    node, factor = node[:lit], factor[:lit]
    slope, curvature = _by_diffusion(charge, expected[:lit], factor, node, amount, offset, level, noise)
    better = diffusion * math.exp(min(max(slope * diffusion / (curvature * diffusion**2 + 1.0), -0.5), 0.5))
    late = time_deviations(deviation[:lit], direction[:lit])
    weights = factor / time_errors(late, charge, factor, node, n_nodes)
    along, total = node_means(late, weights, node, n_nodes)
    at, held = node_means(place[:lit], factor * charge, node, n_nodes)
    used = np.flatnonzero((held > 0.0) & np.isfinite(error) & (total > 0.0))
    variances = np.column_stack((error[used], 1.0 / total[used]))
    return at[used], np.column_stack((offset[used], along[used])), variances, better, level, noise


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
