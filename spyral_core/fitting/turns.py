"""The turns of a spiral, and from a robust minimum to that of the right number of them.

A spiral that stops has a minimum for every number of turns. Its range goes about as the cube of Bρ and its radius as
Bρ, so that one turn of N more takes a change of ln Bρ of about 1/(2.5 N).
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.fitting.minimise import Array, Minimum
from spyral_core.fitting.robust import parametrisation, robust_minimum
from spyral_core.fitting.sensitivity import trajectory_and_changes
from spyral_core.fitting.settings import FitSettings
from spyral_core.fitting.starts import FirstEstimate

TURNS_BY_LOG_BRHO = 2.5
FEWEST_TURNS = 1.5  # below, there is no other number to take it for
GAIN = 0.98  # of the objective, that a change must bring
MOST_CHANGES = 8


def settled(minimum: Minimum, points: Array, weights: Array, settings: FitSettings) -> Minimum:
    """The lowest of the minima that a turn more or less at a time leads to."""
    for _ in range(MOST_CHANGES):
        n_turns = turns_of(minimum.parameters, settings)
        if n_turns < FEWEST_TURNS:
            break
        x, y, z, log_brho, polar, azimuthal = minimum.parameters.tolist()
        change = 1.0 / (TURNS_BY_LOG_BRHO * n_turns)
        neighbours = [
            robust_minimum(
                FirstEstimate((x, y, z), math.exp(log_brho + sign * change), polar, azimuthal),
                points,
                weights,
                settings,
            )
            for sign in (-1.0, 1.0)
        ]
        lowest = min(neighbours, key=lambda neighbour: neighbour.value)
        if not lowest.value < GAIN * minimum.value:
            break
        minimum = lowest
    return minimum


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
