"""The points of a cluster as the fit takes them: slices of a long pulse are one point again.

The fit compares the charge of a point with all that a trajectory leaves on its pad.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.fitting.settings import Track


def track_of(points: Mapping[str, NDArray[Any]]) -> Track:
    """The track of a cluster's points, columns of `tables.CLUSTER_POINTS`.

    Points of one pulse become one, of their charge, at its centroid along the beam, in the place of the first.
    """
    places = np.column_stack([points["x"], points["y"], points["z"]])
    charge = points["charge"]
    _, first, pulse = np.unique(points["pulse"], return_index=True, return_inverse=True)
    if len(first) < len(pulse):
        total = np.bincount(pulse, weights=charge)
        mean = np.bincount(pulse, weights=charge * places[:, 2]) / total
        several = np.bincount(pulse) > 1
        charge, places = charge.copy(), places.copy()
        charge[first[several]], places[first[several], 2] = total[several], mean[several]
    kept = np.sort(first)
    return Track(places[kept], charge[kept], points["scale"][kept], points["pad"][kept])
