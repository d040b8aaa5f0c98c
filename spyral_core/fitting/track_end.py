"""Where a track ends, from the charges of the pads around its end, the silent ones included."""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curvature_across, curve_point, curve_tangent, nearest_place
from spyral_core.fitting.expected_charge import expected_charge
from spyral_core.fitting.node_charges import CHARGE_SPREAD, FLOOR

END_LENGTH = 40.0  # mm of path before the end whose pads tell where it is
END_RADIUS = 25.0  # mm around the end in which silent pads are looked at
LEAST_SIGMA = 0.3  # mm
LARGEST_SHIFT = 10.0  # mm: beyond, the charges are not linear in it
NOT_MEASURED = -1.0


@kernel
def end_of(  # type: ignore[no-untyped-def]
    place, beyond, expected, points, charge, pads, diffusion, level, noise, path, states, plane, corners, used, length,
    constants, log_ke, slope,
):  # fmt: skip
    """Shift [mm] along itself that the end of a trajectory needs, and its standard deviation (NOT_MEASURED if none).

    The charges of the last pads, and zero on silent ones, are compared with the expected ones in a weighted
    least-squares fit of their amount and of the shift. `place` to `pads` (n, …): the track's points, `expected` (n, 4)
    of `expected_charges`; `plane` (p, 2) [mm], `corners` (p, 3, 2) [mm] and `used` (p,): all pads, and whether
    they would be seen; `length` of the detector [mm].
    """
    end, last = states[len(path) - 1], path[len(path) - 1]
    sums = np.zeros(5)
    smallest, floor = np.quantile(charge, 0.05), FLOOR * level * np.mean(expected[:, 0])
    fired = np.zeros(len(plane), np.bool_)
    seen = 0
    for i in range(len(place)):
        if place[i] + beyond[i] > last - END_LENGTH:
            fired[pads[i]] = True
            _add(sums, level * expected[i, 0], level * expected[i, 2], charge[i], floor, noise)
            seen += 1
    if seen < 3:
        return 0.0, NOT_MEASURED
    first = int(np.searchsorted(path, last - 2 * END_LENGTH))
    deviation, direction = np.empty(3), np.empty(3)
    drift = max(length - end[2], 1.0)
    for pad in range(len(plane)):
        dx, dy = plane[pad, 0] - end[0], plane[pad, 1] - end[1]
        if dx * dx + dy * dy > END_RADIUS**2 or fired[pad]:
            continue
        if not used[pad]:
            if dx * dx + dy * dy < 0.25 * END_RADIUS**2:
                return 0.0, NOT_MEASURED
            continue
        cell, share = nearest_place(
            plane[pad, 0], plane[pad, 1], end[2], 0.0, path[first:], states[first:], len(path) - first
        )
        x, y, _ = curve_point(path[first:], states[first:], cell, share)
        direction[0], direction[1], direction[2] = curve_tangent(path[first:], states[first:], cell, share)
        deviation[0], deviation[1], deviation[2] = plane[pad, 0] - x, plane[pad, 1] - y, 0.0
        left = (1 - share) * states[first + cell, 6] + share * states[first + cell + 1, 6]
        if cell == len(path) - first - 2 and share == 1.0:
            across2 = max(direction[0] ** 2 + direction[1] ** 2, 1e-6)
            left -= (deviation[0] * direction[0] + deviation[1] * direction[1]) / across2
        curvature = curvature_across(path, states, first + cell)
        model = expected_charge(
            deviation, direction, curvature, left, corners[pad], drift, diffusion, constants, log_ke, slope
        )
        value = level * model[0]
        _add(sums, value, level * model[2], min(value, smallest), floor, noise)
    a, b, d, u, v = sums[0] + 1.0 / CHARGE_SPREAD**2, sums[1], sums[2], sums[3] + 1.0 / CHARGE_SPREAD**2, sums[4]
    determinant = a * d - b * b
    if not determinant > 1e-9 * a * d:
        return 0.0, NOT_MEASURED
    amount = max((d * u - b * v) / determinant, 0.2)
    shift = (a * v - b * u) / determinant / amount
    sigma = math.sqrt(a / determinant) / amount
    return min(max(shift, -LARGEST_SHIFT), LARGEST_SHIFT), math.hypot(sigma, LEAST_SIGMA)


@kernel
def _add(sums, value, by_shift, charge, floor, noise):  # type: ignore[no-untyped-def]
    """Add a pad to the sums of the least-squares fit."""
    weight = 1.0 / (value + floor) / noise
    left = (charge - value) ** 2 * weight
    weight /= 1.0 + (left / 16.0) ** 2
    sums[0] += weight * value * value
    sums[1] += weight * value * by_shift
    sums[2] += weight * by_shift * by_shift
    sums[3] += weight * value * charge
    sums[4] += weight * by_shift * charge
