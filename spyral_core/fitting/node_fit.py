"""The likelihood of a trajectory with random kicks, given the nodes of a track.

Nodes (`nodes`) have independent errors; the particle's kicks (`deflections`) are unknowns of the problem, each with a
normal distribution of its own. The sum of squares of both is twice the negative logarithm of the likelihood; in the
inverse of its curvature the part of the six parameters is their covariance with all kicks allowed for.

Deviations are from the kicked trajectory, their derivatives those of the smooth one: kinks sit at fixed path lengths,
and would otherwise pretend to tell where on its track the particle started.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point, curve_tangent, nearest_place
from spyral_core.fitting.deflections import add_kicks, effects_of
from spyral_core.fitting.deviation import change_of_place, follow_end, project, silent_length
from spyral_core.fitting.sensitivity import (
    LOG_BRHO,
    N_PARAMETERS,
    POLAR,
    follow_kicked,
    start_of,
    trajectory_and_changes,
)
from spyral_core.fitting.track_fit import cauchy


@kernel
def design(  # type: ignore[no-untyped-def]
    unknowns, nodes, weights, end, places, sizes, frame, beam_spot, volume, visible, constants, log_ke, slope
):
    """Deviations (r,) in standard deviations and how they fall with the unknowns (r, 6 + 3 m): parameters, then kicks.

    `unknowns` (6 + 3 m,): the kicks in units of their standard `sizes` (m, 3), at path lengths `places` (m,) [mm].
    `nodes` (n, 3) [mm], `weights` (n, 2) [1/mm²] across the beam and along it. `end` (5,): where the track ends [mm],
    how well that is known [mm], and 1 if it was measured; 0 if it is just where the track was last seen, so that a
    trajectory that stops may not go on visibly. Rows: x, y, z of each node, then the end and the vertex' x and y. Also
    returned: shares (n,) of a node's freedom across the beam that the motion along the curve takes.
    """
    n_nodes, n_all = len(nodes), len(unknowns)
    parameters, kicks = unknowns[:N_PARAMETERS], unknowns[N_PARAMETERS:].copy().reshape(-1, 3) * sizes
    smooth_path, smooth, changes, _ = trajectory_and_changes(parameters, frame, volume, constants, log_ke, slope)
    effects = effects_of(places, sizes, smooth_path, smooth, changes)
    first = start_of(parameters, frame, (constants[1], constants[0]))
    path, states, stops = follow_kicked(first, volume, places, kicks, constants, log_ke, slope)
    end_changes = _changes_of_range(changes, effects[0])
    rows, right, taken = np.zeros((3 * n_nodes + 3, n_all)), np.zeros(3 * n_nodes + 3), np.zeros(n_nodes)
    change, along = np.empty((n_all, 3)), np.empty(n_all)
    for i in range(n_nodes):
        cell, share, at = _place_of(nodes[i], weights[i], path, states)
        tangent = _change_by_all(
            cell, share, at, weights[i], stops, len(path), smooth_path, smooth, changes, effects, end_changes, change,
            along,
        )  # fmt: skip
        place = curve_point(path, states, cell, share)
        taken[i] = _add_node(nodes[i], place, tangent, weights[i], change, rows[3 * i :], right[3 * i :])
    if stops or end[4] == 1.0:
        cell, share, at = _place_of(end[:3], weights[n_nodes - 1], path, states)
        _change_by_all(
            cell, share, at, weights[n_nodes - 1], stops, len(path), smooth_path, smooth, changes, effects, end_changes,
            change, along,
        )  # fmt: skip
        left, factor, by_range = _left_to_go(end, cell, share, at, path, states, visible)
        if left != 0.0:
            root = math.sqrt(factor) / end[3]
            for k in range(n_all):
                rows[3 * n_nodes, k] = -root * by_range * (end_changes[k] + along[k])
            right[3 * n_nodes] = root * left
    for axis in range(2):
        rows[3 * n_nodes + 1 + axis, :N_PARAMETERS] = changes[:, 0, axis] / beam_spot
        right[3 * n_nodes + 1 + axis] = -smooth[0, axis] / beam_spot
    return rows, right, taken


@kernel
def _changes_of_range(changes, shares):  # type: ignore[no-untyped-def]
    """How the residual range at the end of the trajectory, at fixed path length, changes with all unknowns (6 + k,)."""
    last, n_kicks = changes.shape[1] - 1, len(shares)
    by_all = np.empty(N_PARAMETERS + n_kicks)
    by_all[:N_PARAMETERS] = changes[:, last, 6]
    for k in range(n_kicks):
        by_all[N_PARAMETERS + k] = shares[k, 0] * changes[POLAR, last, 6]
        by_all[N_PARAMETERS + k] += shares[k, 1] * changes[LOG_BRHO, last, 6]
    return by_all


@kernel
def _place_of(point, weights, path, states):  # type: ignore[no-untyped-def]
    """The place nearest to a point in the metric of its weights (2,): cell, share of the cell, path length [mm]."""
    cell, share = nearest_place(point[0], point[1], point[2], weights[1] / weights[0], path, states, len(path))
    return cell, share, path[cell] + share * (path[cell + 1] - path[cell])


@kernel
def _change_by_all(  # type: ignore[no-untyped-def]
    cell, share, at, weights, stops, n_states, path, smooth, changes, effects, end_changes, change, along
):
    """How the nearest place of a point changes with all unknowns; returns the smooth trajectory's tangent there.

    (`cell`, `share`, `at`): the place on the kicked trajectory of `n_states` states. Fills `change` (6 + k, 3), from
    which the part along the curve that the nearest place does not follow is taken, and `along` (6 + k,) with that part.
    At the start none is taken; at the end none either, but `along` tells how far the end moves.
    """
    shares, own, start = effects
    last = len(path) - 1
    at_end = cell == n_states - 2 and share == 1.0
    if at_end:
        at = path[last]
    at = min(at, path[last])
    cell_here = min(max(int(np.searchsorted(path, at, side="right")) - 1, 0), last - 1)
    share_here = (at - path[cell_here]) / (path[cell_here + 1] - path[cell_here])
    tangent = curve_tangent(path, smooth, cell_here, share_here)
    change_of_place(cell_here, share_here, path, changes, change)
    add_kicks(at, shares, own, start, change)
    along[:] = 0.0
    if at_end:
        for k in range(len(along)):
            along[k] = change[k, 0] * tangent[0] + change[k, 1] * tangent[1] + change[k, 2] * tangent[2]
        if stops:
            follow_end(change, tangent, end_changes)
    elif cell > 0 or share > 0.0:
        project(change, tangent, weights[0], weights[1], along)
    return tangent


@kernel
def _add_node(node, place, tangent, weights, change, rows, right):  # type: ignore[no-untyped-def]
    """Fill the three rows of a node; the share of its freedom across the beam that the motion along the curve takes."""
    for axis in range(3):
        root = math.sqrt(weights[0] if axis < 2 else weights[1])
        right[axis] = root * (node[axis] - place[axis])
        for k in range(len(change)):
            rows[axis, k] = root * change[k, axis]
    across = weights[0] * (tangent[0] ** 2 + tangent[1] ** 2)
    return across / (across + weights[1] * tangent[2] ** 2)


@kernel
def _left_to_go(end, cell, share, at, path, states, visible):  # type: ignore[no-untyped-def]
    """How far [mm] the trajectory goes beyond the track's `end` (`design`), the factor of its squared deviation, and
    how it changes with the range.
    """
    if end[4] == 0.0:
        left, by_range = silent_length(path, states, at, visible)
        return left, cauchy((left / end[3]) ** 2)[1], by_range
    last = len(path) - 1
    left = path[last] + states[last, 6] - at
    if cell == last - 1 and share == 1.0:
        x, y, z = curve_point(path, states, cell, share)
        ux, uy, uz = curve_tangent(path, states, cell, share)
        left -= (end[0] - x) * ux + (end[1] - y) * uy + (end[2] - z) * uz
    return left, 1.0, 1.0
