"""Cut from a cluster the steep, sparse line of another particle: a heavy residue, or the beam."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.clustering.grouping import label_limit
from spyral_core.compiled import kernel, part

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_FEWEST = 5  # points of a tail, and of what is left
_SPARSER = 3.0  # how many times fewer points per mm along the beam a tail has
_STEEP = 2.0  # how many times longer along the beam than across a tail is: within 27° of it
_SHORTEST = 30.0  # mm
_PLACES = 32  # where a tail is looked for at first
_GAIN = 8.0  # ln of the likelihood ratio; of 10 clusters without a tail 0.01 gain as much by chance


@kernel
def cut_tails(points: Floats, labels: Integers) -> Integers:
    """Labels (n,) after cutting tails off clusters of points (n, 3) [mm], sorted by z; a tail gets a label of its own.

    The polar angle of a particle in a magnetic field along z is conserved, so its points are spread evenly along z. A
    cluster of two densities is two particles, if the sparse one runs along the beam and the dense one does not: the
    residue of a reaction touches the ejectile at the vertex or where that comes back to the axis.
    """
    labels = labels.copy()
    n_labels = label_limit(labels)
    n_whole = n_labels
    for label in range(n_whole):
        for _ in range(2):  # one at either end
            members = np.flatnonzero(labels == label)
            first, last = tail(points, members)
            if first == last:
                break
            labels[members[first:last]] = n_labels
            n_labels += 1
    return labels


@part
def tail(points: Floats, members: Integers) -> tuple[int, int]:
    """The range of members, which are sorted by z, that are a tail; an empty one if there is none.

    Of all steep tails it is the one with which points spread evenly in it and in the rest, each with its own density,
    are likeliest.
    """
    n_points = len(members)
    z = points[members, 2]
    if n_points < 2 * _FEWEST or not z[-1] > z[0]:
        return 0, 0
    least = n_points * math.log(n_points / (z[-1] - z[0])) + _GAIN
    step = n_points // _PLACES + 1
    best, first, last = least, 0, 0
    for place in range(_FEWEST, n_points - _FEWEST + 1, step):
        above, below = _gain(z, place, True), _gain(z, place, False)
        if above > best and _is_steep(points, members[place:]):
            best, first, last = above, place, n_points
        if below > best and _is_steep(points, members[:place]):
            best, first, last = below, 0, place
    if first == last:
        return 0, 0
    upper = last == n_points
    rough = first if upper else last
    for place in range(max(rough - step + 1, _FEWEST), min(rough + step, n_points - _FEWEST + 1)):
        gain = _gain(z, place, upper)
        if gain > best:
            best, first, last = gain, place if upper else 0, n_points if upper else place
    rest = members[:first] if upper else members[last:]
    return (0, 0) if _is_steep(points, rest) else (first, last)


@kernel
def _gain(z: Floats, place: int, upper: bool) -> float:
    """ln of the likelihood of points whose upper or lower part, divided at `place`, is a tail; −inf if it is too dense.

    The gap between the parts belongs to the tail.
    """
    n_points = len(z)
    if upper:
        n_dense, dense, sparse = place, z[place - 1] - z[0], z[-1] - z[place - 1]
    else:
        n_dense, dense, sparse = n_points - place, z[-1] - z[place], z[place] - z[0]
    n_sparse, dense = n_points - n_dense, max(dense, 1.0)
    if not n_dense * sparse > _SPARSER * n_sparse * dense:
        return -math.inf
    return n_dense * math.log(n_dense / dense) + n_sparse * math.log(n_sparse / sparse)


@kernel
def _is_steep(points: Floats, members: Integers) -> bool:
    """Whether points run along the beam; a fifth of them may be strays.

    The middle three fifths of a line's points are 0.6 of its length, and four fifths within 0.4 of it of its middle.
    """
    n_points = len(members)
    x, y = points[members, 0], points[members, 1]
    away = np.sort(np.hypot(x - np.median(x), y - np.median(y)))
    across = away[int(0.8 * (n_points - 1))] / 0.4
    cut = (n_points + 2) // 5
    length = (points[members[n_points - 1 - cut], 2] - points[members[cut], 2]) / 0.6
    return bool(length > max(_STEEP * across, _SHORTEST))
