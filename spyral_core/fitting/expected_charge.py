"""The charge that a trajectory leaves on a pad: what the pad sees of it (`pattern`) times the energy loss there."""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curvature_across
from spyral_core.fitting.pattern import corner_distances, seen_chord, triangle_area
from spyral_core.physics.motion import ke_and_loss

LEAST_SINE = 1e-6
LEAST_SPREAD = 0.1  # mm
STEP_WIDTH = math.sqrt(12.0 / 13.0)  # of binomial steps over the standard deviation: variance 1 + 1/12 widths²
STEP_EDGES = (-1.0 / 16, -3.0 / 16, -2.0 / 16, 2.0 / 16, 3.0 / 16, 1.0 / 16)  # weights 1, 4, 6, 4, 1: what they fall by
PAD_SHAPE = 6.0 * math.sqrt(3.0)  # area over variance of an equilateral triangle


@kernel
def mean_loss(left, smear, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Energy loss [MeV/mm] around a residual range [mm], smeared by `smear` [mm] along the path; derivative by range.

    The normal distribution stands as five binomial steps of the same variance: differences of energies, exact at the
    end of the range, where the loss is cut off. Beyond it, at negative ranges, nothing is lost.
    """
    width = STEP_WIDTH * smear
    lost, by_range = 0.0, 0.0
    for edge in range(6):
        here = left + (edge - 2.5) * width
        if here > 0.0:
            energy, loss = ke_and_loss(here, constants, log_ke, slope)
            lost += STEP_EDGES[edge] * energy
            by_range += STEP_EDGES[edge] * loss
    return lost / width, by_range / width


@kernel
def expected_charge(  # type: ignore[no-untyped-def]
    deviation, direction, curvature, left, corners, drift, diffusion, constants, log_ke, slope
):
    """Charge on a pad [MeV], its derivatives by offset across and residual range [mm], and by `diffusion` [mm], the
    variance of its places along the path [mm²], and the energy loss there [MeV/mm].

    The pad's `deviation` (3,) [mm] from the track, which has a `direction` (3,), a `curvature` [1/mm] across the beam
    and the residual range `left` [mm] there; `corners` (3, 2) [mm] against the pad's centroid; σ² of the charge is
    `diffusion` times `drift` [mm]. Over a pad the track is straight, at the mean distance of the curve from its
    tangent: half the curvature times the variance of the charge's places along it.
    """
    ux, uy = direction[0], direction[1]
    across = max(math.hypot(ux, uy), LEAST_SINE)
    nx, ny = -uy / across, ux / across
    first, second, third = corner_distances(corners, nx, ny)
    area = triangle_area(corners)
    variance = diffusion * drift + LEAST_SPREAD**2
    along = variance + area / PAD_SHAPE
    offset = 0.5 * curvature * along - (nx * deviation[0] + ny * deviation[1])
    chord, by_offset, by_variance = seen_chord(offset, first, second, third, area, math.sqrt(variance))
    smear = math.sqrt(along) / across
    loss, by_range = mean_loss(left, smear, constants, log_ke, slope)
    seen, by_range = loss / across, by_range / across
    return chord * seen, by_offset * seen, chord * by_range, by_variance * drift * seen, smear**2, loss


@kernel
def expected_charges(  # type: ignore[no-untyped-def]
    place, beyond, deviation, direction, corners, drift, diffusion, path, states, constants, log_ke, slope
):
    """`expected_charge` of each point's pad (n, 6), from the points' places on a trajectory (`points_on_curve`)."""
    charges = np.empty((len(place), 6))
    for i in range(len(place)):
        cell = min(max(int(np.searchsorted(path, place[i], side="right")) - 1, 0), len(path) - 2)
        share = (place[i] - path[cell]) / (path[cell + 1] - path[cell])
        left = (1 - share) * states[cell, 6] + share * states[cell + 1, 6] - beyond[i]
        charges[i] = expected_charge(
            deviation[i], direction[i], curvature_across(path, states, cell), left, corners[i], drift[i], diffusion,
            constants, log_ke, slope,
        )  # fmt: skip
    return charges
