"""The fit of one track from its first estimate: starts, the robust minimum, the likelihood around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.fitting import starts
from spyral_core.fitting.minimise import METHODS, Array, Bounds, Minimum
from spyral_core.fitting.point_errors import charge_share, point_variances
from spyral_core.fitting.refine import Refined, refine
from spyral_core.fitting.sensitivity import LOG_BRHO, N_PARAMETERS, trajectory_and_changes
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.fitting.track_fit import objective
from spyral_core.physics.nuclei import ke_from_brho

FIRST_POINTS, ITERATIONS = 60, 30
GOOD_LOSS = 5.0  # mean loss of a point: two directions, errors as expected, some scattering
HOPELESS = 3.0  # times another species' loss: this one is not it


@dataclass(frozen=True)
class TrackFit:
    """A fitted track: vertex [mm], ln Bρ, polar, azimuthal and their covariance (6, 6); χ² per degree of freedom.

    `level` [1/MeV] and `deviance`: see `refine.Refined`.
    """

    values: Array
    covariance: Array
    redchisq: float
    stops: bool
    n_points: int
    level: float
    deviance: float


def fit_track(track: Track, first: FirstEstimate, settings: FitSettings) -> TrackFit | None:
    """Fit a trajectory to a track; None if no start leads to a minimum.

    Each start is fitted to a thinned track; distant starts are tried if the first one leaves points off the trajectory.
    Around the best minimum the charge pattern is fitted (`refine`).
    """
    (fit,) = fit_species(track, first, [settings])
    return fit


def fit_species(track: Track, first: FirstEstimate, species: Sequence[FitSettings]) -> list[TrackFit | None]:
    """`fit_track` for several species; None also where another one's robust minimum lies far below.

    Distant starts are tried only while no species fits: they would look for a way to bend a wrong one to the track.
    """
    weights = 1 / point_variances(track.scale, charge_share(track.charge))
    found = _robust_minima(track.points, weights, first, species)
    best = min((minimum.value for minimum in found if minimum is not None), default=math.inf)
    return [
        None
        if minimum is None or minimum.value > HOPELESS * best + FIRST_POINTS
        else _refined(track, minimum, settings)
        for minimum, settings in zip(found, species, strict=True)
    ]


def _robust_minima(
    points: Array, weights: Array, first: FirstEstimate, species: Sequence[FitSettings]
) -> list[Minimum | None]:
    """The lowest robust minimum of each species that any start leads to."""
    step = max(1, len(points) // FIRST_POINTS)
    lowest: list[Minimum | None] = [None] * len(species)
    for group in (starts.nearby(first), starts.distant(first)):
        trials = list(group)
        for number, settings in enumerate(species):
            minima = [_robust_minimum(start, points[::step], weights[::step], settings) for start in trials]
            known = [minimum for minimum in (lowest[number], *minima) if minimum and math.isfinite(minimum.value)]
            lowest[number] = min(known, key=lambda minimum: minimum.value, default=None)
        if any(minimum and minimum.value * step < GOOD_LOSS * len(points) for minimum in lowest):
            break
    return lowest


def _robust_minimum(start: FirstEstimate, points: Array, weights: Array, settings: FitSettings) -> Minimum:
    frame, free = _parametrisation(settings)

    def value(at: Array, gradient: Array, curvature: Array) -> tuple[Any, ...]:
        found: tuple[Any, ...] = objective(
            at, points, weights, frame, settings.beam_spot, settings.volume, settings.visible, *settings.tables,
            gradient, curvature,
        )  # fmt: skip
        return found

    bounds = Bounds(settings.lower, settings.upper, free)
    return METHODS[settings.method](value, _encode(start, frame, settings), bounds, ITERATIONS)


def _refined(track: Track, minimum: Minimum, settings: FitSettings) -> TrackFit | None:
    frame, free = _parametrisation(settings)
    refined = refine(track, minimum.parameters, frame, Bounds(settings.lower, settings.upper, free), settings)
    return None if refined is None else _result(refined, frame, settings, len(track.points))


def _parametrisation(settings: FitSettings) -> tuple[Array, NDArray[np.bool_]]:
    """The frame of `sensitivity.start_of` and which parameters are free: x and y, or rho and phi if only one is."""
    rho, phi, azimuthal = settings.free
    polar_frame = rho != phi
    return np.array([float(polar_frame)]), np.array([rho, phi, True, True, True, azimuthal])


def _encode(first: FirstEstimate, frame: Array, settings: FitSettings) -> Array:
    x, y, z = first.vertex
    across = (x, y) if frame[0] == 0.0 else (math.hypot(x, y), math.atan2(y, x))
    values = np.array([*across, z, math.log(first.brho), first.polar, first.azimuthal])
    clipped: Array = np.clip(values, settings.lower, settings.upper)
    return clipped


def _result(refined: Refined, frame: Array, settings: FitSettings, n_points: int) -> TrackFit | None:
    """Vertex in x and y, covariance, and χ² per degree of freedom; None if the points do not determine them."""
    values, covariance = refined.parameters.copy(), refined.covariance
    if frame[0] != 0.0:
        rho, phi = values[:2]
        values[0], values[1] = rho * math.cos(phi), rho * math.sin(phi)
        turn = np.eye(N_PARAMETERS)
        turn[:2, :2] = [[math.cos(phi), -rho * math.sin(phi)], [math.sin(phi), rho * math.cos(phi)]]
        covariance = turn @ covariance @ turn.T
    values[5] = math.remainder(values[5], 2 * math.pi)
    if refined.degrees <= 0 or not np.isfinite(values).all():
        return None
    stops = trajectory_and_changes(refined.parameters, frame, settings.volume, *settings.tables)[3]
    redchisq = refined.chi2 / refined.degrees
    return TrackFit(values, covariance, redchisq, bool(stops), n_points, refined.level, refined.deviance)


def kinetic_energy(fit: TrackFit, settings: FitSettings) -> tuple[float, float]:
    """Kinetic energy [MeV] of a fitted track and its standard deviation: dT/d ln Bρ = p²/(T + m)."""
    brho = math.exp(fit.values[LOG_BRHO])
    ke = float(ke_from_brho(brho, settings.Z, settings.A))
    mass = float(settings.motion.constants[1])
    return ke, ke * (ke + 2 * mass) / (ke + mass) * math.sqrt(fit.covariance[LOG_BRHO, LOG_BRHO])
