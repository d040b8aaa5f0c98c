"""Points of particles that fly along the beam: those that light a pad for too long to be a track across the gas.

A beam particle off the axis lights the same few pads all the way to its reaction. No fit tells anything of it, but
the ejectile begins where it ends, and together they would be one cluster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST = 85.0  # mm of drift on one pad
GAP = 40.0  # mm of drift between slices of long pulses: they are one run
BESIDE = 12.0  # mm across the beam: what diffuses from it

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def beam_like(points: Floats, pads: Integers, pulses: Integers) -> NDArray[np.bool_]:
    """Which points (n, 3) [mm] belong to runs of long pulses of LONGEST mm or more on one pad, or lie beside such runs.

    `pads`, `pulses` (n,): numbers of the points' pads and pulses; slices of a long pulse share its number.
    """
    _, pulse, size = np.unique(pulses, return_inverse=True, return_counts=True)
    sliced = np.flatnonzero(size[pulse] > 1)
    found = np.zeros(len(points), np.bool_)
    if not len(sliced):
        return found
    order = sliced[np.lexsort((points[sliced, 2], pads[sliced]))]
    z, pad = points[order, 2], pads[order]
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(pad) != 0) | (np.diff(z) > GAP)]))
    ends = np.append(begins[1:], len(order)) - 1
    long = z[ends] - z[begins] >= LONGEST
    if not long.any():
        return found
    place, low, high = points[order[begins[long]], :2], z[begins[long]], z[ends[long]]
    beside = ((points[:, None, :2] - place) ** 2).sum(axis=2) <= BESIDE**2
    along = (low <= points[:, 2, None]) & (points[:, 2, None] <= high)
    found[:] = (beside & along).any(axis=1)
    return found
