"""The trajectory that a solution describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.physics.gas import GasTarget
from spyral_core.physics.motion import dense, motion_of, trajectory

RADIUS = 292.0  # mm, of the active volume
SPACING = 2.0  # mm


def fitted_path(
    solution: Mapping[str, Any], gas: GasTarget, nucleus: tuple[int, int], detector: Mapping[str, float]
) -> NDArray[np.float64]:
    """Positions (n, 3) [mm] along a fitted track, from its vertex to where it stops or leaves the detector.

    `solution`: vertex_x/y/z [mm], ke [MeV], polar, azimuthal [rad]; `detector`: magnetic_field [T], electric_field
    [V/m], detector_length [mm]. A single position for a vertex beyond the
    active radius or a particle at rest.
    """
    motion = motion_of(gas, *nucleus, detector["magnetic_field"], detector["electric_field"])
    names = ("vertex_x", "vertex_y", "vertex_z", "ke", "polar", "azimuthal")
    start = np.array([float(solution[name]) for name in names])
    lowest, highest = min(0.0, start[2] - 1.0), max(float(detector["detector_length"]), start[2] + 1.0)
    path, states, _ = trajectory(motion, start, (RADIUS, lowest, highest))
    if len(path) < 2:
        return np.asarray(states[:1, :3])
    return dense(path, states, SPACING)
