"""Energy deposited along a track to packets of free electrons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel


@kernel
def free_electrons(deposit: float, w_value: float, fano_factor: float, rng: np.random.Generator) -> int:
    """Number of ion pairs of a deposit [MeV]: Gaussian of mean deposit/W and variance Fano factor times mean."""
    mean = deposit * 1e6 / w_value  # MeV over eV
    return max(int(np.floor(mean + np.sqrt(fano_factor * mean) * rng.standard_normal() + rng.random())), 0)


@kernel
def ionise(
    points: NDArray[np.float64],
    deposits: NDArray[np.float64],
    w_value: float,
    fano_factor: float,
    packets_per_mm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Packets (n, 4) of electrons: x, y, z [mm] and number, at random places along each step of a track.

    `points` (n + 1, 3), `deposits` (n,) as in `transport.Track`. A step makes at most `packets_per_mm` packets a mm
    (and at least 8), of electrons as equal in number as can be; fewer electrons than that go one by one.
    """
    size = 1024
    packets = np.empty((size, 4))
    n = 0
    for step in range(len(deposits)):
        electrons = free_electrons(deposits[step], w_value, fano_factor, rng)
        dx = points[step + 1, 0] - points[step, 0]
        dy = points[step + 1, 1] - points[step, 1]
        dz = points[step + 1, 2] - points[step, 2]
        length = np.sqrt(dx * dx + dy * dy + dz * dz)
        pieces = min(electrons, max(8, int(np.ceil(packets_per_mm * length))))
        while n + pieces > size:
            size *= 2
            packets = np.concatenate((packets, np.empty((size // 2, 4))))
        left = electrons
        for piece in range(pieces):
            share = left // (pieces - piece)
            left -= share
            part = rng.random()
            packets[n, 0] = points[step, 0] + part * dx
            packets[n, 1] = points[step, 1] + part * dy
            packets[n, 2] = points[step, 2] + part * dz
            packets[n, 3] = share
            n += 1
    return packets[:n]
