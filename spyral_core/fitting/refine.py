"""From a first minimum to the likelihood's: nodes of the charge pattern, fitted with random kicks, in a few rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from spyral_core.fitting.curve import points_on_curve
from spyral_core.fitting.deflections import slabs_of
from spyral_core.fitting.deviance import Z_RATIO, losses_of
from spyral_core.fitting.deviation import EDGE
from spyral_core.fitting.expected_charge import expected_charges
from spyral_core.fitting.minimise import Array, Bounds
from spyral_core.fitting.node_fit import design
from spyral_core.fitting.nodes import gather, nodes_at
from spyral_core.fitting.robust import parametrisation
from spyral_core.fitting.sensitivity import N_PARAMETERS, POLAR, follow_kicked, start_of, trajectory_and_changes
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.silent_pads import silent_pads
from spyral_core.fitting.track_end import NOT_MEASURED, end_of
from spyral_core.fitting.track_fit import SILENT_SIGMA

ROUNDS, ITERATIONS = 2, 8
SMALL_STEP, UPHILL = 0.1, 1.1  # standard deviations; growth of χ² that is taken for noise
NODE_LENGTH, LONGEST_NODE = 12.0, 60.0  # mm across the beam; mm of path
STATED = 1.0  # errors of nodes over those that the scatter within them tells
STATED_WEIGHT = 4.0  # measurements that the stated errors are worth against the track's own
LEAST_VARIANCE = 0.0025  # mm²: places of pads are not known better
DAMPING_SCALE = 9.0  # χ² of a node from which on it counts for half
MOST_DIFFUSION = 5.0  # times the configured one, or one over it
LARGEST_KICK = 8.0  # standard deviations


@dataclass(frozen=True)
class KickedMotion:
    """A trajectory: its parameters (6,), and kicks (m, 3), in standard sizes, at path lengths `places` (m,) [mm]."""

    parameters: Array
    places: Array
    kicks: Array


def at_rest(parameters: Array) -> KickedMotion:
    """A trajectory without kicks."""
    return KickedMotion(parameters, np.zeros(0), np.zeros((0, 3)))


@dataclass(frozen=True)
class Refined:
    """The likelihood's minimum, the parameters' covariance (6, 6), χ² under the stated errors, its freedom.

    `level`: charge over the expected energy loss [1/MeV]; `deviance`: see `deviance.losses_of`; `loss`: mean of the
    points' losses.
    """

    motion: KickedMotion
    covariance: Array
    chi2: float
    degrees: float
    level: float
    deviance: float
    loss: float

    @property
    def redchisq(self) -> float:
        """χ² per degree of freedom; infinite without any."""
        return self.chi2 / self.degrees if self.degrees > 0 else math.inf


class _Minimum(NamedTuple):
    """Unknowns at a minimum, covariance of the parameters (6, 6), and the linear problem there (`node_fit.design`)."""

    unknowns: Array
    covariance: Array
    rows: Array
    right: Array
    taken: Array

    @property
    def design(self) -> tuple[Array, Array, Array]:
        return self.rows, self.right, self.taken


@dataclass
class _Errors:
    """What the track has told of itself: factor across, mm along, diffusion [mm]; how much each node counts."""

    across: float
    along: float
    diffusion: float
    counts: Array


def refine(track: Track, weights: Array, start: KickedMotion, settings: FitSettings) -> Refined | None:
    """Rounds of gathering nodes around the trajectory, fitting them, and taking their errors from what is left.

    `weights`: of the points, as `robust.weights_of`. None if the points do not make the nodes that six parameters need,
    or these are not determined.
    """
    frame, free = parametrisation(settings)
    errors = _Errors(STATED, STATED, settings.diffusion, np.ones(0))
    path, states, _, _ = trajectory_and_changes(start.parameters, frame, settings.volume, *settings.tables)
    places, sizes = slabs_of(path, states, settings.noise, *settings.tables)
    unknowns = np.concatenate([start.parameters, _carried(start, places).ravel()])
    wide = np.full(sizes.size, LARGEST_KICK)
    bounds = Bounds(
        np.concatenate([settings.lower, -wide]),
        np.concatenate([settings.upper, wide]),
        np.concatenate([free, np.ones(sizes.size, np.bool_)]),
    )
    found, constraints = None, 0.0
    for _ in range(ROUNDS):
        nodes, variance, end, level = _gather(track, unknowns, places, sizes, frame, errors, settings)
        if 2 * len(nodes) <= np.count_nonzero(free):
            break
        if len(errors.counts) != len(nodes):
            errors.counts = np.ones(len(nodes))
        used = np.maximum(variance, LEAST_VARIANCE) * np.array([errors.across**2, errors.along**2])
        fixed = (
            nodes, errors.counts[:, None] / used, end, places, sizes, frame, settings.beam_spot, settings.volume,
            settings.visible, *settings.tables,
        )  # fmt: skip
        minimum = _gauss_newton(unknowns, fixed, bounds)
        if minimum is None:
            break
        unknowns, left = minimum.unknowns, minimum.right[3 * len(nodes) :]
        constraints = float(left @ left)
        found = minimum.covariance, *_judge(minimum, bounds.free, errors), level
    if found is None:
        return None
    motion = KickedMotion(unknowns[:N_PARAMETERS].copy(), places, unknowns[N_PARAMETERS:].reshape(-1, 3).copy())
    losses = losses_of(track.points, weights, unknowns, places, sizes, frame, settings)
    deviance = constraints + float(losses.sum()) + float(np.sum(motion.kicks**2))
    return Refined(motion, *found, deviance, float(losses.mean()))


def _carried(known: KickedMotion, places: Array) -> Array:
    """Kicks (m, 3) at new places [mm]: those of the known places next to them, none farther on."""
    kicks = np.zeros((len(places), 3))
    if len(known.places) > 1 and len(places):
        away = np.abs(places[:, None] - known.places)
        nearest = away.argmin(axis=1)
        near = away.min(axis=1) < 0.5 * np.diff(known.places).mean()
        kicks[near] = known.kicks[nearest[near]]
    return kicks


def _gather(
    track: Track, unknowns: Array, places: Array, sizes: Array, frame: Array, errors: _Errors, settings: FitSettings
) -> tuple[Array, Array, Array, float]:
    """Nodes (k, 3) [mm] around a trajectory, their variances (k, 2), the `end` of `node_fit.design`, and the level."""
    kicks = unknowns[N_PARAMETERS:].reshape(-1, 3) * sizes
    start = start_of(unknowns[:N_PARAMETERS], frame, (settings.tables[0][1], settings.tables[0][0]))
    path, states, stops = follow_kicked(start, settings.volume, places, kicks, *settings.tables)
    seen = _seen(track, path, states, settings)
    expected = expected_charges(
        seen.place, seen.beyond, seen.deviation, seen.direction, settings.plane.corners[seen.pads], seen.drift,
        errors.diffusion, path, states, *settings.tables,
    )  # fmt: skip
    length = min(NODE_LENGTH / max(math.sin(unknowns[POLAR]), 1e-3), LONGEST_NODE)
    at, offset, variance, diffusion, level, spread = gather(
        seen.place, seen.beyond, seen.deviation, seen.direction, track.charge, expected, length, seen.drift,
        errors.diffusion, settings.straggling,
    )  # fmt: skip
    place, beyond, expected = (every[: len(track.charge)] for every in (seen.place, seen.beyond, expected))
    errors.diffusion = min(max(diffusion, settings.diffusion / MOST_DIFFUSION), settings.diffusion * MOST_DIFFUSION)
    end = np.array([*track.points[np.argmax(place)], SILENT_SIGMA, 0.0])
    if stops and _recorded(states[-1, 2], settings):
        shift, sigma = end_of(
            place, beyond, expected, track.points, track.charge, track.pads, errors.diffusion, level, spread, path,
            states, settings.plane.xy, settings.plane.corners, settings.plane.used, settings.length, *settings.tables,
        )  # fmt: skip
        if sigma != NOT_MEASURED:
            end = np.array([*(states[-1, :3] + shift * states[-1, 3:6]), sigma, 1.0])
    return nodes_at(at, offset, path, states), variance, end, float(level)


class _Seen(NamedTuple):
    """The points of a track on a trajectory (`points_on_curve`), and behind them pads beside it that were silent."""

    pads: NDArray[np.int64]
    place: Array
    beyond: Array
    deviation: Array
    direction: Array
    drift: Array


def _seen(track: Track, path: Array, states: Array, settings: FitSettings) -> _Seen:
    plane = settings.plane
    place, beyond, deviation, direction = points_on_curve(track.points, Z_RATIO, path, states)
    fired = np.zeros(len(plane.xy), np.bool_)
    fired[track.pads] = True
    silent, silent_place, silent_deviation, silent_direction, silent_z = silent_pads(
        path, states, place.min(), place.max(), settings.visible, plane.xy, plane.used, fired, *plane.index
    )
    return _Seen(
        np.concatenate([track.pads, silent]),
        np.concatenate([place, silent_place]),
        np.concatenate([beyond, np.zeros(len(silent))]),
        np.concatenate([deviation, silent_deviation]),
        np.concatenate([direction, silent_direction]),
        np.maximum(settings.length - np.concatenate([track.points[:, 2], silent_z]), 1.0),
    )


def _recorded(z: float, settings: FitSettings) -> bool:
    """Whether silence around an end at z [mm] says anything: not where the record ends."""
    return settings.visible[2] + EDGE < z < settings.visible[3] - EDGE or settings.length - EDGE <= z


def _gauss_newton(unknowns: Array, fixed: tuple[Any, ...], bounds: Bounds) -> _Minimum | None:
    """Where the likelihood's derivative vanishes; None if it is singular.

    Full steps, halved where they lead uphill, until the parameters move by a small share of their errors.
    """
    covariance, value, step = np.zeros((N_PARAMETERS, N_PARAMETERS)), math.inf, np.zeros(len(unknowns))
    index = np.flatnonzero(bounds.free)
    n_free = int(np.count_nonzero(bounds.free[:N_PARAMETERS]))
    wanted = np.eye(len(index), n_free + 1, k=1)  # columns: the slope, then the free parameters
    here, accepted = unknowns, _Minimum(unknowns, covariance, *design(unknowns, *fixed))
    for iteration in range(ITERATIONS):
        rows, right, taken = design(here, *fixed) if iteration > 0 else accepted.design
        kicks = here[N_PARAMETERS:]
        there = float(right @ right + kicks @ kicks)
        if there > UPHILL * value:
            step = 0.5 * step
            here = np.clip(unknowns + step, bounds.lower, bounds.upper)
            continue
        unknowns, value = here, there
        slope = rows.T @ right
        slope[N_PARAMETERS:] -= kicks
        wanted[:, 0] = slope[index]
        try:
            solved = np.linalg.solve(_curvature(rows)[np.ix_(index, index)], wanted)
        except np.linalg.LinAlgError:
            return None
        covariance = np.zeros((N_PARAMETERS, N_PARAMETERS))
        covariance[np.ix_(index[:n_free], index[:n_free])] = solved[:n_free, 1:]
        accepted = _Minimum(unknowns, covariance, rows, right, taken)
        if not np.isfinite(solved).all() or (np.diag(covariance) < 0.0).any():
            return None
        step = np.zeros(len(unknowns))
        step[index] = solved[:, 0]
        here = np.clip(unknowns + step, bounds.lower, bounds.upper)
        if (step[:N_PARAMETERS] ** 2 < SMALL_STEP**2 * np.diag(covariance) + 1e-300).all():
            break
    return accepted


def _curvature(rows: Array) -> Array:
    """Half the second derivative of χ² by all unknowns: kicks are known to one standard size beforehand."""
    curvature: Array = rows.T @ rows
    size = len(curvature)
    curvature.flat[N_PARAMETERS * (size + 1) :: size + 1] += 1.0
    return curvature


def _judge(minimum: _Minimum, free: NDArray[np.bool_], errors: _Errors) -> tuple[float, float]:
    """Take the nodes' errors from what is left of their deviations; χ² under the stated errors, degrees of freedom.

    What kicks, parameters and the motion along the curve take up is not left: the sums of squares are compared with the
    freedom that they have.
    """
    rows, right, taken = minimum.design
    n_nodes = len(taken)
    squares = right[: 3 * n_nodes].reshape(n_nodes, 3) ** 2
    index = np.flatnonzero(free)
    root = np.linalg.cholesky(_curvature(rows)[np.ix_(index, index)])
    taken_up = solve_triangular(root, rows[: 3 * n_nodes, index].T, lower=True, check_finite=False) ** 2
    leverage = taken_up.sum(axis=0).reshape(n_nodes, 3)
    across, along = squares[:, 0] + squares[:, 1], squares[:, 2]
    free_across, free_along = 2.0 - taken - leverage[:, 0] - leverage[:, 1], taken - leverage[:, 2]
    stated_across, stated_along = (STATED / errors.across) ** 2, (STATED / errors.along) ** 2
    chi2 = np.sum((across / stated_across + along / stated_along) / errors.counts)
    counts = 1.0 / (1.0 + (across + along) / DAMPING_SCALE)
    errors.across *= _ratio(counts, across, free_across, stated_across)
    errors.along *= _ratio(counts, along, free_along, stated_along)
    errors.counts = counts
    return float(chi2), float(np.sum(free_across + free_along))


def _ratio(counts: Array, squares: Array, freedom: Array, stated: float) -> float:
    """Errors that are seen over those that were used, with the stated ones as a few measurements more."""
    seen = np.sum(counts * squares) + STATED_WEIGHT * stated
    return math.sqrt(max(seen / (max(np.sum(counts * freedom), 0.0) + STATED_WEIGHT), 1e-2))
