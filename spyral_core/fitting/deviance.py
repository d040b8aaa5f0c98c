"""How well a trajectory explains a whole track: comparable between species, since every point of the track counts.

The χ² of the nodes is not: a wrong species explains a part of the track, and only that makes nodes. The *deviance* is
twice the negative logarithm of the likelihood of all points, of the kicks and of what else is known of the track, but
for a constant.
"""

from __future__ import annotations

import numpy as np

from spyral_core.fitting.curve import points_on_curve
from spyral_core.fitting.minimise import Array
from spyral_core.fitting.sensitivity import N_PARAMETERS, follow_kicked, start_of
from spyral_core.fitting.settings import FitSettings
from spyral_core.fitting.track_fit import LOSS_SCALE

Z_RATIO = 2.0  # weight of distances along the beam over that across it, to find a point's place


def losses_of(
    points: Array, weights: Array, unknowns: Array, places: Array, sizes: Array, frame: Array, settings: FitSettings
) -> Array:
    """Cauchy's loss of each point (n,) from its squared deviation over its variance.

    `weights` (n, 2) [1/mm²] of the `points`; `unknowns`, `places`, `sizes`: as in `node_fit.design`.
    """
    kicks = unknowns[N_PARAMETERS:].reshape(-1, 3) * sizes
    start = start_of(unknowns[:N_PARAMETERS], frame, (settings.tables[0][1], settings.tables[0][0]))
    path, states, _ = follow_kicked(start, settings.volume, places, kicks, *settings.tables)
    _, _, deviation, _ = points_on_curve(points, Z_RATIO, path, states)
    squared = weights[:, 0] * (deviation[:, 0] ** 2 + deviation[:, 1] ** 2) + weights[:, 1] * deviation[:, 2] ** 2
    losses: Array = LOSS_SCALE**2 * np.log1p(squared / LOSS_SCALE**2)
    return losses
