"""How much charge a track leaves and how noisy it is, found together with the nodes' charges and offsets."""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.node_charges import CHARGE_SPREAD, FLOOR, common_variance, fit_charges
from spyral_core.fitting.silent_pads import censored

THRESHOLD = 0.02  # share of a track's charges below that from which on pads are read out
LEAST_LOCAL, MOST_LOCAL = 0.2, 5.0  # times the expected charge that a particle leaves somewhere
ROUNDS, LEAST_CHANGE, SMALL_CHANGE = 4, 0.2, 0.05  # of the noise: the smallest one in a round, and where it stands
LEAST_NOISE = 1e-9  # in whatever unit the charges have: the first round finds the scale
STRAY = 4.0  # standard deviations of charge from which on a pad counts for half
MEDIAN_SQUARE = 0.4549  # of a standard normal distribution


@kernel
def compare_charges(charge, expected, inside, order, first, node, place, straggling):  # type: ignore[no-untyped-def]
    """The nodes' charges over the expected (k,), offsets [mm] and their variances (k,), and how much each point counts.

    Of the n points the first have a `charge`, the others are silent. `expected` (n, 6): `expected_charges`; `inside`
    (n,): how much a point may count; `order`, `first`: the points of each node (`fit_charges`), `node` (n,): that of
    each point, `place` (n,) [mm]; `straggling` [MeV²/mm]. Also returned: the track's charge over the expected [1/MeV],
    and the variance of a charge over its expectation.

    In rounds: the noise from what is left of lit pads' charges, silent pads by what the last round expects of them,
    and where the particle left more or less than expected, noise and derivatives with it.
    """
    n, lit, n_nodes = len(expected), len(charge), len(first) - 1
    threshold = np.quantile(charge, THRESHOLD)
    factor, smear, jitter = inside, expected[:, 4].copy(), np.zeros(n)
    counted, told = np.zeros(n), np.zeros(n)
    counted[:lit], told[:lit] = charge, charge
    amount, offset, local = np.ones(n_nodes), np.zeros(n_nodes), np.ones(n)
    level, noise, prior = np.sum(factor * told) / max(np.sum(factor * expected[:, 0]), 1e-9), 1.0, 0.0
    for step in range(ROUNDS + 1):
        value = level * expected[:, 0]
        by_offset = level * expected[:, 1] * local
        own = noise * (value * local + FLOOR * np.mean(value[:lit]))
        if step > 0:
            for i in range(n):
                jitter[i] = value[i] * math.sqrt(straggling) / max(expected[i, 5], 1e-9)
            for i in range(lit, n):
                model = amount[node[i]] * (value[i] + offset[node[i]] * by_offset[i])
                variance = own[i] + common_variance(i, i, place, smear, jitter)
                counted[i], factor[i], told[i] = censored(model, math.sqrt(variance), threshold)
                if factor[i] > 0.0:
                    own[i] += variance * (1.0 / factor[i] - 1.0)
                    factor[i] = 1.0
        amount, offset, error, independent, single, more, taken = fit_charges(
            counted, value, by_offset, factor, order, first, place, smear, own, jitter, prior
        )
        if step == ROUNDS:
            break
        change = np.median(independent[:lit]) / MEDIAN_SQUARE * lit / max(lit - taken, 0.3 * lit)
        if step > 1 and abs(change - 1.0) < SMALL_CHANGE:
            break
        noise *= max(change, LEAST_CHANGE if step > 0 else LEAST_NOISE)
        if step == 0:
            single /= noise
        factor = inside / (1.0 + (single / STRAY**2) ** 2)
        for i in range(n):
            if jitter[i] > 0.0:
                local[i] = min(max(1.0 + more[i] / max(value[i], 1e-9), LEAST_LOCAL), MOST_LOCAL)
        level, prior = _level(told, factor, expected, lit, step), 1.0 / CHARGE_SPREAD**2
    return amount, offset, error, factor, level, noise


@kernel
def _level(told, factor, expected, lit, step):  # type: ignore[no-untyped-def]
    """Charge over the expected [1/MeV] of all points; silent ones have the charge that they are told to expect."""
    charge, energy = np.sum(factor[:lit] * told[:lit]), np.sum(factor[:lit] * expected[:lit, 0])
    if step > 0:
        charge, energy = charge + np.sum(told[lit:]), energy + np.sum(expected[lit:, 0])
    return charge / max(energy, 1e-9)
