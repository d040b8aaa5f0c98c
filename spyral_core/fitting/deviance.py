"""How well a trajectory explains a whole track: comparable between species, since every point of the track counts.

The χ² of the nodes is not: a wrong species explains a part of the track, and only that makes nodes.
"""

from __future__ import annotations

import numpy as np

from spyral_core.fitting.minimise import Array
from spyral_core.fitting.nodes import points_on_curve
from spyral_core.fitting.point_errors import charge_share, point_variances
from spyral_core.fitting.sensitivity import N_PARAMETERS, follow_kicked, start_of
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.track_fit import LOSS_SCALE

Z_RATIO = 2.0  # weight of distances along the beam over that across it, to find a point's place
INDEPENDENT = 0.25  # measurements a point is worth: the eight or so of a node tell two directions


def deviance_of(
    track: Track, unknowns: Array, places: Array, sizes: Array, frame: Array, settings: FitSettings
) -> float:
    """Twice the negative logarithm of the likelihood of all points and of the kicks, but for a constant.

    `unknowns`, `places`, `sizes`: as in `node_fit.design`. A point far off costs Cauchy's loss.
    """
    kicks = unknowns[N_PARAMETERS:]
    start = start_of(unknowns[:N_PARAMETERS], frame, (settings.tables[0][1], settings.tables[0][0]))
    path, states, _ = follow_kicked(start, settings.volume, places, kicks.reshape(-1, 3) * sizes, *settings.tables)
    _, _, deviation, _ = points_on_curve(track.points, Z_RATIO, path, states)
    weights = 1 / point_variances(track.scale, charge_share(track.charge))
    squared = weights[:, 0] * (deviation[:, 0] ** 2 + deviation[:, 1] ** 2) + weights[:, 1] * deviation[:, 2] ** 2
    losses = LOSS_SCALE**2 * np.log1p(squared / LOSS_SCALE**2)
    return float(INDEPENDENT * np.sum(losses) + kicks @ kicks)
