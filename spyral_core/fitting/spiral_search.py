"""Which spiral a cluster is: in what order the particle came by the points, and which way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel, part
from spyral_core.fitting.circle import fit_circle
from spyral_core.fitting.ordering import N_ORDERS, path_orders
from spyral_core.fitting.spiral import turned
from spyral_core.fitting.spiral_fit import OUTLIER, first_place, fit_spiral, last_place
from spyral_core.fitting.spiral_start import smooth_path, start_parameters, total_turn
from spyral_core.fitting.stray import near_others

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SIGMA = 4.5  # mm; σ across the beam of a point on a big pad that has the usual charge of its place on the track
SIGMA_Z = 1.5  # mm
GOOD_FIT = 2.3  # cost per point with which no other order of the points is tried
SURE_TURN = 0.8  # rad; a path that turns more has its sense of motion from that alone
N_LENGTHS, SHORTER = 3, 0.8  # scatter makes the way through a coil's points too long: shorter ones are tried, too
COIL_TURN, COIL_PITCH = 5.0, 25.0  # rad, mm; more turn and less way along z per turn make a coil
AXIS_SHARE = 0.25  # σ of the beam's distance from its axis as a share of the beam region's radius
WALL = 245.0  # mm; a track that ends beyond this radius left the gas
END_OF_DRIFT = 15.0  # mm; so did one that ends so near to an end of the drift
STOPPING = (0.8, 0.4)  # share of the range that a track has spent at its end inside the gas: mean, σ
LEAVING = (0.15, 0.2)  # the same of one that left
GROWTH, GROWTH_SIGMA = 0.3, 0.4  # ln of the charge's growth from the first to the last third of a path
HINT = 6.0  # cost of contradicting the clustering's direction


class Volume(NamedTuple):
    """Where points can be: z from `first_z` to `last_z` [mm]; the beam within about `beam_radius` [mm] of the axis."""

    first_z: float
    last_z: float
    beam_radius: float


class Spiral(NamedTuple):
    """A curve through a cluster.

    `parameters` (6,) and `reference` (3,) are those of `spiral`; `order` (m,) is the order in which the search took the
    points, stray ones left out, and `s` [mm] and `squares` [σ²] (m,) are the path length and squared distance of each
    point in this order. `cost` is inf if
    there is no curve.
    """

    parameters: Floats
    reference: Floats
    order: Integers
    s: Floats
    squares: Floats
    cost: float


@part
def find_spiral(points: Floats, charge: Floats, scale: Floats, hint: int, volume: Volume, penalty: float) -> Spiral:
    """The best spiral through points (3, n) [mm] of a cluster, in any order, with charges and pad sizes (n,).

    `hint` is the clustering's direction, 0 forward, 1 backward, -1 not known; `penalty` that of the smoothing splines.
    """
    near = near_others(points, scale)
    x, y, z = points[0, near], points[1, near], points[2, near]
    best: Spiral = _nothing(near)
    centre_x, centre_y, radius = fit_circle(x, y)
    if not np.isfinite(radius):
        return best
    orders = path_orders(x, y, z, centre_x, centre_y)
    for k in range(N_ORDERS):
        order = near[orders[k]]
        found = along_order(points[:, order], charge[order], scale[order], order, hint, volume, penalty)
        if found.cost + crowding(found) < best.cost + crowding(best):
            best = found
        if best.cost < GOOD_FIT * len(x) and not is_coil(best):
            break
    return best


@kernel
def _nothing(order: Integers) -> Spiral:
    return Spiral(np.empty(6), np.empty(3), order, np.empty(0), np.empty(0), np.inf)


@part
def along_order(
    points: Floats, charge: Floats, scale: Floats, order: Integers, hint: int, volume: Volume, penalty: float
) -> Spiral:
    """The best spiral through points (3, n) that are in order along the path, either end first.

    A positive particle turns counter-clockwise, so a path that turns tells which of its ends is the first. For one that
    hardly turns both ways are fitted, and the cost decides: distance of the points from the curve, of the beam axis
    from its start, growth of the charge to its end, and the clustering's hint.
    """
    smooth = smooth_path(points, charge, penalty)
    factor = point_sigma(charge, smooth[3])
    sigma, sigma_z = SIGMA * factor * np.sqrt(scale), SIGMA_Z * factor
    turn = total_turn(smooth[:3])
    best: Spiral = _nothing(order)
    for sense in (1, -1):
        if sense * turn < -SURE_TURN:
            continue
        path = np.ascontiguousarray(smooth[:3, ::sense])
        spent = spent_share(path[:, -1], volume)
        start, reference, length = start_parameters(path, turn, spent[0])
        for _ in range(N_LENGTHS):
            parameters, s, squares, cost = fit_spiral(
                points, sigma, sigma_z, start, reference, length, spent, AXIS_SHARE * volume.beam_radius
            )
            cost += min(((charge_growth(s, squares, charge) - GROWTH) / GROWTH_SIGMA) ** 2, 9.0)
            if not parameters[2] * turned(first_place(s, squares), parameters[3])[0] < 0.5 * np.pi:
                cost += OUTLIER**2 * len(s)  # no track begins a quarter of a turn after its start
            if hint >= 0 and (hint == 0) != (parameters[5] >= 0.0):
                cost += HINT
            if cost < best.cost:
                best = Spiral(parameters, reference, order, s, squares, cost)
            if cost < GOOD_FIT * len(s) or abs(turn) < COIL_TURN:
                break
            length *= SHORTER
            start[3], start[5] = start[3] / SHORTER, start[5] / SHORTER
    return best


@kernel
def point_sigma(charge: Floats, usual: Floats) -> Floats:
    """Factor (n,) on a point's σ: a pad with less charge than its neighbours along the track lies aside of it.

    `usual` (n,) is the smoothed ln of the charge. The factor goes with charge^(−½), within 0.6 … 2.
    """
    return np.minimum(np.maximum(np.exp(0.5 * (usual - np.log(np.maximum(charge, 1e-3)))), 0.6), 2.0)


@kernel
def spent_share(end: Floats, volume: Volume) -> tuple[float, float]:
    """What share of its range a particle has spent at the end (3,) [mm] of its track: mean and σ."""
    left = (
        np.hypot(end[0], end[1]) > WALL
        or end[2] < volume.first_z + END_OF_DRIFT
        or end[2] > volume.last_z - END_OF_DRIFT
    )
    return LEAVING if left else STOPPING


@kernel
def charge_growth(s: Floats, squares: Floats, charge: Floats) -> float:
    """ln of the charge in the last third of the path over that in the first third, of the points on the curve."""
    last = last_place(s, squares)
    early, late = 0.0, 0.0
    for i in range(len(s)):
        if squares[i] < OUTLIER**2 and s[i] < last / 3.0:
            early += charge[i]
        elif squares[i] < OUTLIER**2 and s[i] > last / 1.5:
            late += charge[i]
    growth: float = np.log(max(late, 1e-9) / max(early, 1e-9))
    return growth


@kernel
def crowding(spiral: Spiral) -> float:
    """Minus twice the logarithm of the points' density along a curve [1/mm].

    The likelihood of a point is that of its place on the curve, 1/length, times that of its distance from it. Without
    the former a longer curve always fits better.
    """
    n = len(spiral.s)
    if n == 0:
        return np.inf
    length: float = np.max(spiral.s) * np.sqrt(1.0 + spiral.parameters[5] ** 2)
    logarithm: float = np.log(max(length, 1.0))
    return 2.0 * n * logarithm


@kernel
def is_coil(spiral: Spiral) -> bool:
    """Whether the curve's turns lie so near to one another that points can be taken for those of another turn."""
    curvature, w = spiral.parameters[2], spiral.parameters[3]
    turn = curvature * turned(np.max(spiral.s), w)[0]
    coil: bool = turn > COIL_TURN and 2.0 * np.pi * abs(spiral.parameters[5]) < COIL_PITCH * curvature
    return coil
