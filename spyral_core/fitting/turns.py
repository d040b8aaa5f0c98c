"""The turns of a spiral, and from a minimum to that of the right number of them.

A spiral that stops has a minimum for every number of turns. Its range goes about as the cube of Bρ and its radius as
Bρ, so that one turn of N more takes a change of ln Bρ of about 1/(2.5 N). Flat spirals, whose turns lie on each other,
may fit as well with a turn too many: that turn lights no pads.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.fitting.curve import points_on_curve
from spyral_core.fitting.deviance import Z_RATIO
from spyral_core.fitting.deviation import silent_share
from spyral_core.fitting.minimise import Array, Minimum
from spyral_core.fitting.robust import parametrisation, robust_minimum
from spyral_core.fitting.sensitivity import LOG_BRHO, POLAR, trajectory_and_changes
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.starts import FirstEstimate

TURNS_BY_LOG_BRHO = 2.5
FEWEST_TURNS = 4.0  # below, no other number explains a track nearly as well
GAIN = 0.98  # of the cost, that a change must bring
MOST_CHANGES = 4


def settled(minimum: Minimum, track: Track, weights: Array, settings: FitSettings) -> Minimum:
    """The lowest of the robust minima that a turn more or less at a time leads to."""
    ways: tuple[int, ...]
    cost, ways = minimum.value * _silence(minimum.parameters, track, settings), (-1, 1)
    for _ in range(MOST_CHANGES):
        found = [
            (there.value * _silence(there.parameters, track, settings), there, way)
            for way in ways
            if (there := neighbour(minimum.parameters, way, track, weights, settings)) is not None
        ]
        lowest = min(found, key=lambda one: one[0], default=(math.inf, minimum, 0))
        if not lowest[0] < GAIN * cost:
            break
        cost, minimum, ways = lowest[0], lowest[1], (lowest[2],)
    return minimum


def neighbour(parameters: Array, n_more: int, track: Track, weights: Array, settings: FitSettings) -> Minimum | None:
    """The robust minimum that some turns more lead to; None if there are too few of them.

    The way there starts with the end at the same place along the beam: more turns of a flat spiral are a longer way.
    """
    n_turns = turns_of(parameters, settings)
    if n_turns < FEWEST_TURNS:
        return None
    frame, _ = parametrisation(settings)
    start = parameters.copy()
    start[LOG_BRHO] += n_more / (TURNS_BY_LOG_BRHO * n_turns)
    _, states, _, _ = trajectory_and_changes(parameters, frame, settings.volume, *settings.tables)
    _, there, changes, _ = trajectory_and_changes(start, frame, settings.volume, *settings.tables)
    start[POLAR] += (states[-1, 2] - there[-1, 2]) / changes[POLAR, -1, 2]
    return robust_minimum(decode(start, frame), track.points, weights, settings)


def decode(parameters: Array, frame: Array) -> FirstEstimate:
    """The estimate that has these parameters (6,): `robust.encode` backwards."""
    first, second, z, log_brho, polar, azimuthal = parameters.tolist()
    if frame[0] != 0.0:
        first, second = first * math.cos(second), first * math.sin(second)
    return FirstEstimate((first, second, z), math.exp(log_brho), polar, azimuthal)


def _silence(parameters: Array, track: Track, settings: FitSettings) -> float:
    """Factor of the cost of a trajectory: 1, and the share of its visible length that the track left dark."""
    frame, _ = parametrisation(settings)
    path, states, _, _ = trajectory_and_changes(parameters, frame, settings.volume, *settings.tables)
    place = points_on_curve(track.points, Z_RATIO, path, states)[0]
    return 1.0 + float(silent_share(path, states, place, track.charge, settings.visible))


def turns_of(parameters: Array, settings: FitSettings) -> float:
    """How many turns a trajectory makes in the volume."""
    return float(_turns_along(parameters, settings)[0][-1])


def length_of(n_turns: float, parameters: Array, settings: FitSettings) -> float:
    """How far [mm] a trajectory gets along the beam in its first turns, or in all that it makes in the volume."""
    turns, z = _turns_along(parameters, settings)
    return float(np.abs(z[turns <= n_turns] - z[0]).max())


def _turns_along(parameters: Array, settings: FitSettings) -> tuple[Array, Array]:
    """Turns made (n,) and place along the beam (n,) [mm] at the states of a trajectory."""
    frame, _ = parametrisation(settings)
    _, states, _, _ = trajectory_and_changes(parameters, frame, settings.volume, *settings.tables)
    azimuth = np.unwrap(np.arctan2(states[:, 4], states[:, 3]))
    return np.abs(azimuth - azimuth[0]) / (2 * math.pi), states[:, 2]
