"""The robust minimum that a start leads to, looked for with some of a track's points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.fitting.minimise import METHODS, Array, Bounds, Minimum
from spyral_core.fitting.point_errors import charge_share, point_variances
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.fitting.track_fit import objective

POINTS, ITERATIONS = 60, 30


def weights_of(track: Track, settings: FitSettings) -> Array:
    """Weights (n, 2) [1/mm²] of a track's points, across the beam and along it."""
    spread = settings.diffusion * np.maximum(settings.length - track.points[:, 2], 0.0)
    return 1 / point_variances(track.scale, charge_share(track.charge), spread)


def robust_minimum(start: FirstEstimate, points: Array, weights: Array, settings: FitSettings) -> Minimum:
    """The minimum of `track_fit.objective` that a start leads to, of points (n, 3) [mm] thinned to about POINTS.

    Every n-th point along the beam is taken: which ones does not depend on the points' order.
    """
    taken = np.lexsort(points.T)[:: max(1, len(points) // POINTS)]
    some, theirs = points[taken], weights[taken]
    frame, free = parametrisation(settings)

    def value(at: Array, gradient: Array, curvature: Array) -> tuple[Any, ...]:
        found: tuple[Any, ...] = objective(
            at, some, theirs, frame, settings.beam_spot, settings.volume, settings.visible, *settings.tables,
            gradient, curvature,
        )  # fmt: skip
        return found

    bounds = Bounds(settings.lower, settings.upper, free)
    return METHODS[settings.method](value, encode(start, settings), bounds, ITERATIONS)


def parametrisation(settings: FitSettings) -> tuple[Array, NDArray[np.bool_]]:
    """The frame of `sensitivity.start_of` and which parameters are free: x and y, or rho and phi if only one is."""
    rho, phi, azimuthal = settings.free
    polar_frame = rho != phi
    return np.array([float(polar_frame)]), np.array([rho, phi, True, True, True, azimuthal])


def encode(first: FirstEstimate, settings: FitSettings) -> Array:
    """The parameters (6,) of an estimate, within the bounds."""
    frame, _ = parametrisation(settings)
    x, y, z = first.vertex
    across = (x, y) if frame[0] == 0.0 else (math.hypot(x, y), math.atan2(y, x))
    values = np.array([*across, z, math.log(first.brho), first.polar, first.azimuthal])
    clipped: Array = np.clip(values, settings.lower, settings.upper)
    return clipped
