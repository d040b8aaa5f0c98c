"""Which pads touch which, and where a pad comes to lie when the plane is turned or mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spyral_core.detector.lattice import HEIGHT, N_PADS, lattice, pads_at

_BESIDE = 0.02 * HEIGHT  # [mm] from a pad's edge or corner to a place in a pad that touches it
_ALONG_EDGE = (0.25, 0.75)  # two small pads touch the side of a big one
_AROUND_CORNER = np.deg2rad(np.arange(10.0, 360.0, 20.0))  # six pads or fewer meet at a corner, 60° each
_TURNS = np.deg2rad(60.0 * np.arange(6))


@dataclass(frozen=True)
class Touching:
    """The pads that touch each pad, −1 where there are fewer than elsewhere.

    `sides` (10240, 6): those that share one of its sides, or a part of it. `corners` (10240, 18): those that share a
    corner alone. Both in the order of their numbers.
    """

    sides: NDArray[np.int32]
    corners: NDArray[np.int32]


@cache
def touching() -> Touching:
    """Neighbours in the built-in lattice. The arrays are shared and cannot be written to."""
    pads = lattice()
    vertices = pads.vertices
    middle = vertices.mean(axis=1)
    starts, ends = vertices, np.roll(vertices, -1, axis=1)
    along = np.stack([(1 - part) * starts + part * ends for part in _ALONG_EDGE], axis=2).reshape(N_PADS, -1, 2)
    normal = np.repeat((starts + ends) / 2 - middle[:, None, :], len(_ALONG_EDGE), axis=1)
    outside = along + _BESIDE * normal / np.linalg.norm(normal, axis=2, keepdims=True)
    circle = _BESIDE * np.column_stack([np.cos(_AROUND_CORNER), np.sin(_AROUND_CORNER)])
    around = (vertices[:, :, None, :] + circle).reshape(N_PADS, -1, 2)
    side_sets, corner_sets = _found(outside), _found(around)
    own = np.arange(N_PADS)[:, None]
    corner_sets[corner_sets == own] = -1
    for column in side_sets.T:
        corner_sets[corner_sets == column[:, None]] = -1
    return Touching(_packed(side_sets, 6), _packed(corner_sets, 18))


def _found(places: NDArray[np.float64]) -> NDArray[np.int32]:
    """The pads at places (10240, n, 2): (10240, n)."""
    return pads_at(places[..., 0].ravel(), places[..., 1].ravel()).reshape(N_PADS, -1)


def _packed(found: NDArray[np.int32], width: int) -> NDArray[np.int32]:
    """Each row's different pads in order, then −1."""
    order = np.sort(np.where(found < 0, N_PADS, found), axis=1)
    order[:, 1:][order[:, 1:] == order[:, :-1]] = N_PADS
    order = np.sort(order, axis=1)[:, :width]
    packed: NDArray[np.int32] = np.where(order == N_PADS, -1, order).astype(np.int32)
    packed.flags.writeable = False
    return packed


@cache
def images() -> NDArray[np.int32]:
    """Where each pad comes to lie when the plane is turned by multiples of 60° or mirrored: (10240, 11).

    The lattice and the hexagon of its small pads are the same afterwards, so an image has the pad's size and its
    distance from the axis; only at the rim some have none (−1). The array is shared and cannot be written to.
    """
    pads = lattice()
    columns = []
    for mirror in (1.0, -1.0):
        x, y = pads.x, mirror * pads.centroid_y
        for turn in _TURNS:
            if mirror == 1.0 and turn == 0.0:
                continue
            cosine, sine = np.cos(turn), np.sin(turn)
            columns.append(pads_at(cosine * x - sine * y, sine * x + cosine * y))
    found = np.column_stack(columns)
    found.flags.writeable = False
    return found
