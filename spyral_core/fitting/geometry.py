"""First estimate of a track: vertex, angles, Bρ and energy loss of a cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.errors import RejectedEventError
from spyral_core.fitting.energy_loss import energy_loss
from spyral_core.fitting.spiral import nodes_for, trace_curve, turned
from spyral_core.fitting.spiral_fit import BEFORE_START, vertex_node, way_back
from spyral_core.fitting.spiral_search import Volume, find_spiral

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What an estimate depends on besides the points; units mm and T. `penalty` is that of the smoothing splines."""

    magnetic_field: float
    volume: Volume
    min_points: int
    penalty: float


class Estimate(NamedTuple):
    """First estimate of a track; the fields are columns of `tables.ESTIMATES`, in its units."""

    vertex_x: float
    vertex_y: float
    vertex_z: float
    center_x: float
    center_y: float
    center_z: float
    polar: float
    azimuthal: float
    brho: float
    dEdx: float
    sqrt_dEdx: float
    dE: float
    arclength: float
    direction: int


_POLAR = Estimate._fields.index("polar")


def estimate_track(points: Floats, charge: Floats, scale: Floats, direction: int, settings: Settings) -> Estimate:
    """Estimate the track of a cluster of points (3, n) [mm], their charges and their pads' linear sizes (n,).

    `direction` is the clustering's: 0 forward, 1 backward, -1 not known; a weak hint. Raises RejectedEventError, with
    the reason, if there are too few points, or no curve through them that begins near the detector.
    """
    n_points, found = estimate_values(
        points,
        charge,
        scale,
        direction,
        settings.volume,
        settings.min_points,
        settings.penalty,
        settings.magnetic_field,
    )
    if n_points < settings.min_points:
        raise RejectedEventError(f"too few points: {n_points}, wanted {settings.min_points}")
    values = found.tolist()
    if not all(map(math.isfinite, values)):
        if all(map(math.isfinite, values[:9])):
            raise RejectedEventError("no two points lie on the track: its energy loss is unknown")
        raise RejectedEventError("no circle goes through the points: they are in one place, or in a line with the beam")
    estimate = Estimate._make([*values, 0 if values[_POLAR] <= 0.5 * math.pi else 1])
    length = settings.volume.last_z
    if not -length <= estimate.vertex_z <= 2.0 * length:
        raise RejectedEventError(f"the vertex is far outside of the detector: z = {estimate.vertex_z:.0f} mm")
    return estimate


@kernel
def estimate_values(
    points: Floats,
    charge: Floats,
    scale: Floats,
    hint: int,
    volume: Volume,
    min_points: int,
    penalty: float,
    magnetic_field: float,
) -> tuple[int, Floats]:
    """The number of usable points, and the fields of `Estimate` but the direction, in its order (13,).

    A usable point has coordinates and a positive charge. The fields are nan where there are too few, or no curve.
    """
    values = np.full(13, np.nan)
    usable = np.flatnonzero(np.isfinite(points[0] + points[1] + points[2] + charge) & (charge > 0.0))
    if len(usable) < min_points:
        return len(usable), values
    points, charge, scale = points[:, usable], charge[usable], scale[usable]
    spiral = find_spiral(points, charge, scale, hint, volume, penalty)
    if not spiral.cost < np.inf:
        return len(usable), values
    parameters = spiral.parameters
    s, x, y, azimuth, curvature = find_vertex(parameters, spiral.reference)
    z = parameters[4] + parameters[5] * s
    polar = np.arctan2(1.0, parameters[5])
    values[0], values[1], values[2] = x, y, z
    values[3], values[4], values[5] = x - np.sin(azimuth) / curvature, y + np.cos(azimuth) / curvature, z
    values[6], values[7] = polar, (azimuth + np.pi) % (2.0 * np.pi) - np.pi
    values[8] = 1e-3 * magnetic_field / (curvature * np.sin(polar))
    density, total, length = energy_loss(
        spiral.s, spiral.squares, charge[spiral.order], scale[spiral.order], parameters, s
    )
    values[9], values[10], values[11], values[12] = density, np.sqrt(density), total, length
    return len(usable), values


@kernel
def find_vertex(parameters: Floats, reference: Floats) -> tuple[float, float, float, float, float]:
    """The curve's point closest to the beam axis before its start: s, x, y [mm], azimuth [rad], curvature [1/mm].

    Near the node that is closest the curve is taken as its osculating circle.
    """
    nodes = nodes_for(-way_back(parameters, reference), 2.0 * BEFORE_START, parameters)
    curve = trace_curve(nodes, parameters, reference)
    node = vertex_node(nodes, curve)
    x, y, azimuth, curvature = curve[0, node], curve[1, node], curve[2, node], curve[9, node]
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    to_centre = 1.0 - curvature * (x * sine - y * cosine)
    step = nodes[1] - nodes[0]
    turn = np.arctan2(-curvature * (x * cosine + y * sine), to_centre)
    turn = min(max(turn, -curvature * step), curvature * step)
    s = nodes[node] + turn / curvature
    return (
        s,
        x + (np.sin(azimuth + turn) - sine) / curvature,
        y - (np.cos(azimuth + turn) - cosine) / curvature,
        azimuth + turn,
        parameters[2] * turned(s, parameters[3])[1],
    )
