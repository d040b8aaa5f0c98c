"""The fit of one track from its first estimate: starts, the robust minimum, the likelihood around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spyral_core.fitting import starts
from spyral_core.fitting.follow import follow
from spyral_core.fitting.minimise import Array, Minimum
from spyral_core.fitting.refine import Refined, at_rest, refine
from spyral_core.fitting.robust import POINTS, parametrisation, robust_minimum, weights_of
from spyral_core.fitting.sensitivity import LOG_BRHO, N_PARAMETERS, trajectory_and_changes
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.fitting.turns import settled
from spyral_core.physics.nuclei import ke_from_brho

GOOD_LOSS = 2.0  # mean loss of a point: two directions, errors as expected, and kinks
SURE_LOSS = 1.6  # of a spiral, below which no other number of turns is tried
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

    The first estimate leads to a robust minimum, around which the charge pattern is fitted (`refine`). If that does not
    explain the track's points, other numbers of turns are tried (`turns`), the track is followed from its vertex
    (`follow`), and distant starts are tried.
    """
    (fit,) = fit_species(track, first, [settings])
    return fit


def fit_species(track: Track, first: FirstEstimate, species: Sequence[FitSettings]) -> list[TrackFit | None]:
    """`fit_track` for several species; None also where another one's robust minimum lies far below.

    Ways to a better fit are tried only while no species fits: they would bend a wrong one to the track.
    """
    weights = weights_of(track, species[0])
    nearby = _lowest_minima([first], track, weights, species)
    best = _around_minima(nearby, track, weights, species)
    if SURE_LOSS <= _least_loss(best) < GOOD_LOSS:
        others = _settled(nearby, track, weights, species)
        changed = [None if other is known else other for known, other in zip(nearby, others, strict=True)]
        best = _better(best, _around_minima(changed, track, weights, species))
    if _least_loss(best) >= GOOD_LOSS:
        best = _better(best, [follow(track, weights, first, settings) for settings in species])
    if _least_loss(best) >= GOOD_LOSS:
        best = _better(best, _from_afar(nearby, track, weights, first, species))
    return [
        None if fit is None else _result(fit, settings, len(track.points))
        for fit, settings in zip(best, species, strict=True)
    ]


def _from_afar(
    nearby: list[Minimum | None],
    track: Track,
    weights: Array,
    first: FirstEstimate,
    species: Sequence[FitSettings],
) -> list[Refined | None]:
    distant = _lowest_minima(list(starts.distant(first)), track, weights, species)
    lowest = [
        min((one for one in both if one is not None), key=lambda one: one.value, default=None)
        for both in zip(nearby, distant, strict=True)
    ]
    return _around_minima(_settled(lowest, track, weights, species), track, weights, species)


def _settled(
    lowest: list[Minimum | None], track: Track, weights: Array, species: Sequence[FitSettings]
) -> list[Minimum | None]:
    return [
        None if minimum is None else settled(minimum, track, weights, settings)
        for minimum, settings in zip(lowest, species, strict=True)
    ]


def _lowest_minima(
    first: list[FirstEstimate], track: Track, weights: Array, species: Sequence[FitSettings]
) -> list[Minimum | None]:
    """Each species' lowest robust minimum that the starts lead to."""
    lowest: list[Minimum | None] = []
    for settings in species:
        minima = [robust_minimum(start, track.points, weights, settings) for start in first]
        known = [minimum for minimum in minima if math.isfinite(minimum.value)]
        lowest.append(min(known, key=lambda minimum: minimum.value, default=None))
    return lowest


def _around_minima(
    lowest: list[Minimum | None], track: Track, weights: Array, species: Sequence[FitSettings]
) -> list[Refined | None]:
    """The fit around each species' robust minimum; none where another one's lies far below."""
    least = min((minimum.value for minimum in lowest if minimum is not None), default=math.inf)
    return [
        None
        if minimum is None or minimum.value > HOPELESS * least + POINTS
        else refine(track, weights, at_rest(minimum.parameters), settings)
        for minimum, settings in zip(lowest, species, strict=True)
    ]


def _better(known: list[Refined | None], new: list[Refined | None]) -> list[Refined | None]:
    """Each species' fit of lower loss."""
    return [
        one or other if one is None or other is None else other if other.loss < one.loss else one
        for one, other in zip(known, new, strict=True)
    ]


def _least_loss(fits: list[Refined | None]) -> float:
    return min((fit.loss for fit in fits if fit is not None), default=math.inf)


def _result(refined: Refined, settings: FitSettings, n_points: int) -> TrackFit | None:
    """Vertex in x and y, covariance, and χ² per degree of freedom; None if the points do not determine them."""
    frame, _ = parametrisation(settings)
    values, covariance = refined.motion.parameters.copy(), refined.covariance
    if frame[0] != 0.0:
        rho, phi = values[:2]
        values[0], values[1] = rho * math.cos(phi), rho * math.sin(phi)
        turn = np.eye(N_PARAMETERS)
        turn[:2, :2] = [[math.cos(phi), -rho * math.sin(phi)], [math.sin(phi), rho * math.cos(phi)]]
        covariance = turn @ covariance @ turn.T
    values[5] = math.remainder(values[5], 2 * math.pi)
    if refined.degrees <= 0 or not np.isfinite(values).all():
        return None
    stops = trajectory_and_changes(refined.motion.parameters, frame, settings.volume, *settings.tables)[3]
    return TrackFit(values, covariance, refined.redchisq, bool(stops), n_points, refined.level, refined.deviance)


def kinetic_energy(fit: TrackFit, settings: FitSettings) -> tuple[float, float]:
    """Kinetic energy [MeV] of a fitted track and its standard deviation: dT/d ln Bρ = p²/(T + m)."""
    brho = math.exp(fit.values[LOG_BRHO])
    ke = float(ke_from_brho(brho, settings.Z, settings.A))
    mass = float(settings.motion.constants[1])
    return ke, ke * (ke + 2 * mass) / (ke + mass) * math.sqrt(fit.covariance[LOG_BRHO, LOG_BRHO])
