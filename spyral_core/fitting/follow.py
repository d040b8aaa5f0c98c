"""A track followed from its vertex: some of its turns first, then always more of them.

A spiral of many turns has a minimum of its likelihood for every number of turns, and scattering bends its later turns
away from any trajectory of six parameters. The first turns have neither problem. What they tell, kicks included, leads
to the next ones.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from spyral_core.fitting.minimise import Array
from spyral_core.fitting.refine import Refined, at_rest, refine
from spyral_core.fitting.robust import encode, robust_minimum
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.fitting.turns import length_of

FIRST_TURNS, GROWTH = 1.5, 2.0
LEAST_LENGTH = 12.0  # mm along the beam
MARGIN = 5.0  # mm by which trajectories are followed beyond the points
FEWEST_POINTS = 20
LOST = 5.0  # reduced χ² at which the trajectory and the points have parted


def follow(track: Track, weights: Array, first: FirstEstimate, settings: FitSettings) -> Refined | None:
    """The fit to as much of a track as it can be followed; None if that is not even its beginning, or all at once.

    What is left of the track, beyond where it is lost, does not count.
    """
    forward = first.polar < math.pi / 2
    along = (track.points[:, 2] - first.vertex[2]) * (1.0 if forward else -1.0)
    length = max(length_of(FIRST_TURNS, encode(first, settings), settings), LEAST_LENGTH)
    longest = float(along.max())
    refined, motion = None, None
    while length < longest * GROWTH and (refined is not None or length < longest):
        near = np.flatnonzero(along < length)
        seen = settings if length >= longest else _cut(settings, first.vertex[2], length, forward)
        length *= GROWTH
        if len(near) < FEWEST_POINTS:
            continue
        part = Track(track.points[near], track.charge[near], track.scale[near], track.pads[near])
        if motion is None:
            motion = at_rest(robust_minimum(first, part.points, weights[near], seen).parameters)
        found = refine(part, weights[near], motion, seen)
        if found is None or found.redchisq > LOST:
            break
        refined, motion = found, found.motion
    return refined


def _cut(settings: FitSettings, start: float, length: float, forward: bool) -> FitSettings:
    """A detector that sees only `length` mm along the beam from the `start`."""
    volume, visible = settings.volume.copy(), settings.visible.copy()
    if forward:
        visible[3] = min(visible[3], start + length)
        volume[2] = min(volume[2], start + length + MARGIN)
    else:
        visible[2] = max(visible[2], start - length)
        volume[1] = max(volume[1], start - length - MARGIN)
    return replace(settings, volume=volume, visible=visible)
