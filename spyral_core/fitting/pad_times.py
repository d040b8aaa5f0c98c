"""What the times of a track's pads tell: how far along the beam it runs from a trajectory, and how well that is known.

The times of pads scatter by a floor, the channels' offsets, and by a part that falls with the charge: noise, and how
few electrons there are. Both are the track's own; weighted by the charge alone, a few pads with much of it would count
for more than they know.
"""

from __future__ import annotations

import numpy as np

from spyral_core.compiled import kernel

LEAST_SINE = 0.05  # of the polar angle: steeper tracks have no place across the beam
FLOOR, FALLING = 0.16, 0.16  # mm²: variances that are first guessed, the second at the track's median charge
GUESS_WEIGHT = 10.0  # pads that the guess is worth
LEAST_FLOOR = 0.01  # mm²
ROUNDS, STRAY = 3, 9.0  # squared standard deviations that a point counts at most
LEAST_FREE = 0.1  # of a point's variance: it makes its node's mean by itself


@kernel
def time_deviations(deviation, direction):  # type: ignore[no-untyped-def]
    """How far along the beam [mm] (n,) points lie from the trajectory where it passes their pads.

    `deviation`, `direction` (n, 3): from their nearest places on it (`curve.points_on_curve`), which lie ahead of the
    pads or behind them where the track is inclined.
    """
    found = np.empty(len(deviation))
    for i in range(len(deviation)):
        ux, uy, uz = direction[i]
        squared = max(ux * ux + uy * uy, LEAST_SINE**2)
        found[i] = deviation[i, 2] - (ux * deviation[i, 0] + uy * deviation[i, 1]) * uz / squared
    return found


@kernel
def time_errors(deviation, charge, factor, node, n_nodes):  # type: ignore[no-untyped-def]
    """Variance [mm²] (n,) of the points' times: a floor, and a part that falls as one over the charge.

    Both are found from how the `deviation` (n,) [mm] scatters about the mean of each `node` (n,), by Fisher's scoring
    of the likelihood; `factor` (n,): how much a point counts.
    """
    share = np.median(charge) / charge
    floor, falling = FLOOR, FALLING
    for _ in range(ROUNDS):
        mean, total = node_means(deviation, factor / (floor + falling * share), node, n_nodes)
        aa, ab, bb = GUESS_WEIGHT / FLOOR**2, 0.0, GUESS_WEIGHT / FALLING**2
        a, b = GUESS_WEIGHT / FLOOR, GUESS_WEIGHT / FALLING
        for i in range(len(deviation)):
            variance = floor + falling * share[i]
            free = 1.0 - factor[i] / variance / max(total[node[i]], 1e-9)
            if free < LEAST_FREE:
                continue
            squared = min((deviation[i] - mean[node[i]]) ** 2 / free, STRAY * variance)
            weight = 0.5 * factor[i] / variance**2
            aa += weight
            ab += weight * share[i]
            bb += weight * share[i] ** 2
            a += weight * squared
            b += weight * share[i] * squared
        determinant = aa * bb - ab * ab
        floor, falling = (bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant
        if falling < 0.0:
            floor, falling = max(a / aa, LEAST_FLOOR), 0.0
        elif floor < LEAST_FLOOR:
            floor, falling = LEAST_FLOOR, max((b - ab * LEAST_FLOOR) / bb, 0.0)
    return floor + falling * share


@kernel
def node_means(values, weights, node, n_nodes):  # type: ignore[no-untyped-def]
    """Weighted mean of the values (n,) of each node (k,), 0 where there is none, and the sum of its weights (k,)."""
    mean, total = np.zeros(n_nodes), np.zeros(n_nodes)
    for i in range(len(values)):
        mean[node[i]] += weights[i] * values[i]
        total[node[i]] += weights[i]
    for k in range(n_nodes):
        if total[k] > 0.0:
            mean[k] /= total[k]
    return mean, total
