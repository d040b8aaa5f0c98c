"""Packets of electrons to the pads: diffusion on the way, gas gain at its end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel


@kernel
def drift(
    packets: NDArray[np.float64],
    length: float,
    transverse: float,
    longitudinal: float,
    buckets_per_mm: float,
    gas_gain: float,
    polya_theta: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Where, when and with what charge packets arrive: rows x, y [mm], drift time [TB], charge [e] after the gain.

    `packets` (n, 4) as of `ionisation.ionise`; the pad plane is at z = `length` [mm]. `transverse`, `longitudinal` are
    σ²/(drift length) [mm] of the diffusion; `buckets_per_mm` is the drift time per length. The gain of a single
    electron is Polya-distributed, of relative variance 1/(1 + θ); that of k electrons is the sum of k such.
    """
    arrivals = np.empty((len(packets), 4))
    shape = 1.0 + polya_theta
    for index in range(len(packets)):
        distance = max(length - packets[index, 2], 0.0)
        across, along = np.sqrt(transverse * distance), np.sqrt(longitudinal * distance)
        arrivals[index, 0] = packets[index, 0] + across * rng.standard_normal()
        arrivals[index, 1] = packets[index, 1] + across * rng.standard_normal()
        arrivals[index, 2] = max(distance + along * rng.standard_normal(), 0.0) * buckets_per_mm
        arrivals[index, 3] = rng.standard_gamma(packets[index, 3] * shape) * gas_gain / shape
    return arrivals


def diffusion(voltage: float, electric_field: float) -> float:
    """σ² per drift length [mm] of a characteristic energy [V] in a field [V/m]: σ² = 2·V·d/E."""
    return 2.0 * voltage / electric_field * 1e3
