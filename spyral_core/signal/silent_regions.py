"""Regions of the pad plane in which nothing ever fires, although tracks reach as far elsewhere: dead chips and boards.

The pads inside such a region have no neighbours that could tell of them. But the plane with all its pads is the same
when it is turned by 60° or mirrored, and reactions know no direction across the beam: the region is compared with those
that lie as it does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.detector.neighbours import Touching

USUAL = 0.25  # quantile of the images' counts: a beam beside the axis leaves three quarters of them
OF_USUAL = 0.5  # least share of it that a sound region reaches
N_SIZES = 3
FEWEST_IMAGES = 5
MOST_ROUNDS = 10
BY_CHANCE = 0.1  # largest probability that a sound pad at the rim of a dead region was silent, too


def silent_regions(
    event: NDArray[np.int64],
    pad: NDArray[np.int64],
    used: NDArray[np.bool_],
    touching: Touching,
    images: NDArray[np.int32],
    expected: float,
) -> NDArray[np.bool_]:
    """Pads of regions in which no pad fired in any event, and that is improbable: (n_pads,).

    Regions are a pad alone, with those that touch it, and with those that touch these. One is dead if fewer than
    `expected` such regions come by chance (Poisson) among all. Pads at its rim may be sound and silent by chance; only
    those are taken for a part of it that would have been silent with a probability under `BY_CHANCE`. Dead images are
    left out in further rounds.

    `event`, `pad` (n,): which pads fired, each once an event, ordered by event. `used` (n_pads,): pads that are asked
    about. `images` (n_pads, m): pads that lie as each does, −1 where there are fewer (`detector.neighbours.images`).
    """
    alone = np.arange(len(used), dtype=np.int32)[:, None]
    around = np.concatenate([alone, touching.sides, touching.corners], axis=1)
    regions = [alone, around]
    counts = [events_in_regions(event, pad, region) for region in regions]
    dead = np.zeros(len(used), np.bool_)
    if (used & (counts[1] == 0) & (_usual(counts[1], images, dead) > 0)).any():  # else no wider one is silent
        regions.append(widened(around))
        counts.append(events_in_regions(event, pad, regions[2]))
    fewest = np.log(N_SIZES * max(int(np.count_nonzero(used)), 1) / expected)
    for _ in range(MOST_ROUNDS):
        new = np.zeros(len(used), np.bool_)
        for region, number in zip(regions, counts, strict=True):
            silent = region[used & (number == 0) & (OF_USUAL * _usual(number, images, dead) > fewest)]
            new[silent[silent >= 0]] = True
        new &= used & ~dead & (_usual(counts[0], images, dead) > -np.log(BY_CHANCE))
        if not new.any():
            break
        dead |= new
    return dead


def _usual(counts: NDArray[np.int64], images: NDArray[np.int32], dead: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The lower quartile of the counts of each region's images that are not known to be dead, 0 of few: (n_pads,)."""
    told = (images >= 0) & ~dead[images]
    ordered = np.sort(np.where(told, counts[images], np.iinfo(np.int64).max), axis=1)
    number = told.sum(axis=1)
    place = (USUAL * (number - 1)).astype(np.int64)
    return np.where(number >= FEWEST_IMAGES, ordered[np.arange(len(counts)), np.maximum(place, 0)], 0)


def widened(around: NDArray[np.int32]) -> NDArray[np.int32]:
    """Each pad's region with the regions of the pads in it: (n_pads, n), −1 where there are fewer than elsewhere."""
    n_pads = len(around)
    wide = np.where(around[:, :, None] >= 0, around[around], -1).reshape(n_pads, -1)
    wide = np.sort(np.where(wide < 0, n_pads, wide), axis=1)
    wide[:, 1:][wide[:, 1:] == wide[:, :-1]] = n_pads
    wide = np.sort(wide, axis=1)
    wide = wide[:, : int((wide < n_pads).sum(axis=1).max())]
    return np.where(wide == n_pads, -1, wide).astype(np.int32)


@kernel
def events_in_regions(event: NDArray[np.int64], pad: NDArray[np.int64], region: NDArray[np.int32]) -> NDArray[np.int64]:
    """In how many events a pad fired whose own region (n_pads, n; −1 for none) holds each pad: (n_pads,)."""
    counts = np.zeros(len(region), np.int64)
    last = np.full(len(region), -1, np.int64)
    for i in range(len(event)):
        for place in range(region.shape[1]):
            other = region[pad[i], place]
            if other >= 0 and last[other] != event[i]:
                last[other] = event[i]
                counts[other] += 1
    return counts
