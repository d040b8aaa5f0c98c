"""The efficiency for a reaction against its centre-of-mass angle, as a cross section needs it: docs/acceptance.md."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spyral_core.acceptance.binomial import mean
from spyral_core.acceptance.cells import Array
from spyral_core.acceptance.files import CROSS_SECTION_TABLE
from spyral_core.acceptance.interpolation import inside, weights
from spyral_core.config.simulation import SimulatedParticles
from spyral_core.physics.kinematics import two_body
from spyral_core.report.reaction import Reaction

COSINES, PLACES = 12, 6  # points of a bin in the cosine of the angle, and of a vertex cell in z


def against_cm_angle(
    counts: dict[str, Array], grid: SimulatedParticles, reaction: Reaction, edges: Array
) -> dict[str, Array]:
    """The columns of `files.CROSS_SECTION_TABLE`: bins of the ejectile's angle, for all vertices and for each cell.

    `counts`: of `cells.tally` over all axes; `edges` (n + 1,): of the bins [deg], ascending. The reaction is uniform in
    the cosine within a bin, and in z.
    """
    axes = (grid.energies, grid.angles, grid.vertices)
    ranges = [(grid.vertices[0], grid.vertices[-1])]
    ranges += list(pairwise(grid.vertices)) if len(grid.vertices) > 2 else []
    rows = []
    for low_z, high_z in ranges:
        within = [z for z in middles(grid.vertices, PLACES) if low_z < z < high_z]
        length = np.array([high - low for low, high in pairwise(grid.vertices) if low_z <= low and high <= high_z])
        for low, high in pairwise(edges):
            cosine = _fine(np.cos(np.radians(high)), np.cos(np.radians(low)), COSINES)
            points = on_line(reaction, np.arccos(cosine), np.array(within))
            each = np.tile(np.repeat(length / length.sum() / PLACES, PLACES), COSINES) / COSINES
            covered = inside(axes, points)
            share = (np.nan, np.nan, np.nan)
            if covered.all():
                share = mean(weights(axes, points, each), counts["accepted"], counts["generated"])
            solid = 2.0 * np.pi * (np.cos(np.radians(low)) - np.cos(np.radians(high)))
            ends = [value for column in points.T[:2] for value in _ends(column)]
            covers = float(each[covered].sum())
            rows.append((low_z, high_z, low, high, *ends, covers, *share, solid, share[0] * solid))
    return dict(zip(CROSS_SECTION_TABLE.names, np.array(rows, dtype=np.float64).T, strict=True))


def on_line(reaction: Reaction, cm_angle: NDArray[np.float64], z: NDArray[np.float64]) -> Array:
    """Energy [MeV], polar angle [deg] and vertex [mm] (n·m, 3) of the ejectile at angles (n,) [rad] and places (m,).

    The beam has the energy that the gas leaves it at z. Nan where it does not suffice.
    """
    m1, m2, m3, m4 = reaction.masses
    angle, place = np.repeat(cm_angle, len(z)), np.tile(z, len(cm_angle))
    ke, polar, _, _ = two_body(m1, m2, m3, m4 + reaction.excitation, reaction.beam_energy_at(place), angle)
    return np.column_stack([ke, np.degrees(polar), place])


def bins(step: float) -> Array:
    """Edges of bins of `step` [deg] over 0 … 180°; the last one may be smaller."""
    return np.unique(np.append(np.arange(0.0, 180.0, step), 180.0))


def middles(edges: list[float], parts: int) -> list[float]:
    """Middles of the equal parts of each cell, cell by cell."""
    return [float(value) for low, high in pairwise(edges) for value in _fine(low, high, parts)]


def _fine(low: float, high: float, parts: int) -> Array:
    return low + (np.arange(parts) + 0.5) / parts * (high - low)


def _ends(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (np.nan, np.nan)
