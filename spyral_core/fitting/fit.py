"""The fit of one track from its first estimate: starts, refinement, uncertainties."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.fitting import starts
from spyral_core.fitting.point_errors import charge_share, observed_spread, point_variances
from spyral_core.fitting.scattering import Fluctuations
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.fitting.track_fit import N_PARAMETERS, levenberg_marquardt, objective, places
from spyral_core.fitting.uncertainty import correlated_errors, independent_errors, influences
from spyral_core.physics.motion import Motion
from spyral_core.physics.nuclei import ke_from_brho

Array = NDArray[np.float64]
FIRST_POINTS, FIRST_ITERATIONS, ITERATIONS = 60, 12, 40
GOOD_LOSS = 5.0  # mean loss of a point: two directions, errors as expected, some scattering
REFINEMENTS = 2  # rounds of fitting, then asking the track how large its points' errors are


@dataclass(frozen=True)
class FitSettings:
    """What is the same for all tracks of a species.

    `volume` (3,): radius, smallest and largest z [mm] in which the trajectory is followed. `visible` (4,): smallest and
    largest rho, smallest and largest z [mm] in which a track lights pads. `lower`, `upper` (6,) bound the parameters
    (see `track_fit`), the first two only loosely. `free` says what is fitted: vertex rho, vertex phi, azimuthal.
    """

    Z: int
    A: int
    motion: Motion
    fluctuations: Fluctuations
    beam_spot: float
    volume: Array
    visible: Array
    lower: Array
    upper: Array
    free: tuple[bool, bool, bool]
    method: str


@dataclass(frozen=True)
class TrackFit:
    """A fitted track: vertex [mm], ln Bρ, polar, azimuthal and their covariance (6, 6); χ² per degree of freedom."""

    values: Array
    covariance: Array
    redchisq: float
    stops: bool
    n_points: int


@dataclass
class _Problem:
    """The points of one track with everything the kernels want."""

    points: Array
    weights: Array
    frame: Array
    free: NDArray[np.bool_]
    settings: FitSettings

    def arguments(self) -> tuple[Any, ...]:
        settings, motion = self.settings, self.settings.motion
        return (
            self.points, self.weights, self.frame, settings.beam_spot, settings.volume, settings.visible,
            motion.constants, motion.log_ke, motion.slope,
        )  # fmt: skip


@dataclass
class _Minimum:
    parameters: Array
    value: float
    squares: float
    inliers: float
    stops: bool
    curvature: Array


def fit_track(
    points: Array, charge: Array, scale: Array, first: FirstEstimate, settings: FitSettings
) -> TrackFit | None:
    """Fit a trajectory to points (n, 3) [mm] with charges (n,) and pad sizes (n,); None if no start leads to a minimum.

    Each start is fitted to a thinned track, the best two to all points; distant starts are tried if that leaves points
    off the trajectory. Then the weights are taken from the track
    itself (charge of the neighbours, spread of the deviations) and the fit repeated.
    """
    frame, free = _parametrisation(first, settings)
    share = charge_share(charge)
    problem = _Problem(points, 1 / point_variances(scale, share), frame, free, settings)
    minimise = _METHODS[settings.method]
    thinned = _thin(problem)
    minima: list[_Minimum] = []
    for group in (starts.nearby(first), starts.distant(first)):
        trials = [minimise(thinned, _encode(start, frame, settings), FIRST_ITERATIONS) for start in group]
        trials = sorted((trial for trial in trials if math.isfinite(trial.value)), key=lambda trial: trial.value)
        minima += [minimise(problem, trial.parameters, ITERATIONS) for trial in trials[:2]]
        if any(minimum.value < GOOD_LOSS * len(points) for minimum in minima):
            break
    if not minima:
        return None
    best = min(minima, key=lambda minimum: minimum.value)
    errors = point_variances(scale, share)
    for _ in range(REFINEMENTS):
        found = places(
            best.parameters, points, problem.weights, frame, settings.volume, settings.fluctuations.scattering,
            *_tables(settings),
        )  # fmt: skip
        share = charge_share(charge, found[:, 0])
        errors = point_variances(scale, share, *observed_spread(found[:, 1:4], scale, share))
        problem.weights = 1 / (errors + found[:, 4:])
        best = minimise(problem, best.parameters, ITERATIONS)
    return _result(best, problem, errors, 1 / point_variances(scale, share))


def _tables(settings: FitSettings) -> tuple[Array, Array, Array]:
    return settings.motion.constants, settings.motion.log_ke, settings.motion.slope


def _parametrisation(first: FirstEstimate, settings: FitSettings) -> tuple[Array, NDArray[np.bool_]]:
    """The frame of `track_fit.start_of` and which parameters are free: x and y, or rho and phi if only one is."""
    rho, phi, azimuthal = settings.free
    polar_frame = rho != phi
    return np.array([float(polar_frame)]), np.array([rho, phi, True, True, True, azimuthal])


def _encode(first: FirstEstimate, frame: Array, settings: FitSettings) -> Array:
    x, y, z = first.vertex
    across = (x, y) if frame[0] == 0.0 else (math.hypot(x, y), math.atan2(y, x))
    values = np.array([*across, z, math.log(first.brho), first.polar, first.azimuthal])
    clipped: Array = np.clip(values, settings.lower, settings.upper)
    return clipped


def _thin(problem: _Problem) -> _Problem:
    """Every n-th point, enough to tell good starts from bad ones."""
    step = max(1, len(problem.points) // FIRST_POINTS)
    return _Problem(problem.points[::step], problem.weights[::step], problem.frame, problem.free, problem.settings)


def _leastsq(problem: _Problem, parameters: Array, iterations: int) -> _Minimum:
    """Levenberg–Marquardt."""
    values = parameters.copy()
    gradient, curvature = np.zeros(N_PARAMETERS), np.zeros((N_PARAMETERS, N_PARAMETERS))
    settings = problem.settings
    value, squares, inliers, stops = levenberg_marquardt(
        values, problem.free, settings.lower, settings.upper, iterations, *problem.arguments(), gradient, curvature
    )
    return _Minimum(values, value, squares, inliers, stops, curvature)


def _lbfgsb(problem: _Problem, parameters: Array, iterations: int) -> _Minimum:
    """L-BFGS-B (Byrd et al., SIAM J. Sci. Comp. 16 (1995) 1190) in coordinates of about one standard deviation."""
    from scipy.optimize import minimize

    gradient, curvature = np.zeros(N_PARAMETERS), np.zeros((N_PARAMETERS, N_PARAMETERS))
    arguments = problem.arguments()
    objective(parameters, *arguments, gradient, curvature)
    unit = np.where(problem.free, 1 / np.sqrt(np.maximum(np.diag(curvature), 1e-12)), 0.0)

    def value_and_slope(steps: Array) -> tuple[float, Array]:
        value = objective(parameters + unit * steps, *arguments, gradient, curvature)[0]
        return value, 2 * unit * gradient

    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = [
            (low / size, high / size) if size > 0 else (0.0, 0.0)
            for low, high, size in zip(
                problem.settings.lower - parameters, problem.settings.upper - parameters, unit, strict=True
            )
        ]
    found = minimize(
        value_and_slope, np.zeros(N_PARAMETERS), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": 3 * iterations, "ftol": 1e-10},
    )  # fmt: skip
    values = parameters + unit * found.x
    value, squares, inliers, stops = objective(values, *arguments, gradient, curvature)
    return _Minimum(values, value, squares, inliers, stops, curvature)


_METHODS: dict[str, Callable[[_Problem, Array, int], _Minimum]] = {"leastsq": _leastsq, "lbfgsb": _lbfgsb}


def _result(best: _Minimum, problem: _Problem, errors: Array, expected: Array) -> TrackFit | None:
    """Vertex in x and y, covariance, and χ² per degree of freedom under the expected weights (n, 2).

    A point tells of the two directions across the track: 2 n measurements.
    """
    covariance = _covariance(best, problem, errors)
    if covariance is None:
        return None
    problem.weights = expected
    unused = np.zeros(N_PARAMETERS), np.zeros((N_PARAMETERS, N_PARAMETERS))
    _, squares, inliers, _ = objective(best.parameters, *problem.arguments(), *unused)
    degrees = 2 * inliers - np.count_nonzero(problem.free)
    if degrees <= 0:
        return None
    values = best.parameters.copy()
    if problem.frame[0] != 0.0:
        rho, phi = values[:2]
        values[0], values[1] = rho * math.cos(phi), rho * math.sin(phi)
        turn = np.eye(N_PARAMETERS)
        turn[:2, :2] = [[math.cos(phi), -rho * math.sin(phi)], [math.sin(phi), rho * math.cos(phi)]]
        covariance = turn @ covariance @ turn.T
    values[5] = math.remainder(values[5], 2 * math.pi)
    if not np.isfinite(values).all() or not (np.diag(covariance) >= 0).all():
        return None
    return TrackFit(values, covariance, squares / degrees, bool(best.stops), len(problem.points))


def _covariance(best: _Minimum, problem: _Problem, errors: Array) -> Array | None:
    """Covariance (6, 6) of the parameters (see `uncertainty`), zero where one is fixed; None if not determined.

    Vertex distance and silent length are data of their own with the weights they have in the objective.
    """
    settings, tables = problem.settings, _tables(problem.settings)
    pull, cells, shares, path, states = influences(
        best.parameters, problem.points, problem.weights, problem.frame, settings.volume, *tables
    )
    own = np.einsum("ikx,imx,ix->km", pull, pull, 1 / problem.weights[:, [0, 0, 1]])
    middle = best.curvature - own + independent_errors(pull, errors)
    middle += correlated_errors(
        pull, cells, shares, path, states, settings.fluctuations.scattering, settings.fluctuations.straggling, *tables
    )
    index = np.flatnonzero(problem.free)
    covariance = np.zeros((N_PARAMETERS, N_PARAMETERS))
    try:
        inverse = np.linalg.inv(best.curvature[np.ix_(index, index)])
    except np.linalg.LinAlgError:
        return None
    covariance[np.ix_(index, index)] = inverse @ middle[np.ix_(index, index)] @ inverse
    return covariance


def kinetic_energy(fit: TrackFit, settings: FitSettings) -> tuple[float, float]:
    """Kinetic energy [MeV] of a fitted track and its standard deviation: dT/d ln Bρ = p²/(T + m)."""
    brho = math.exp(fit.values[3])
    ke = float(ke_from_brho(brho, settings.Z, settings.A))
    mass = float(settings.motion.constants[1])
    return ke, ke * (ke + 2 * mass) / (ke + mass) * math.sqrt(fit.covariance[3, 3])
