"""What FRIBDAQ records: traces of ion chamber, mesh and silicon, and the scalers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spyral_core.config.simulation import SimulatedElectronics

N_SAMPLES, N_CHANNELS = 2048, 8
FREQUENCY = 12.5  # MHz
LARGEST = 2**16 - 1
ION_CHAMBER, MESH = 0, 1
MESH_TRIGGER, DOWNSCALED_TRIGGER, BOTH_TRIGGERS = 1, 2, 3
CLOCK = 1000.0  # Hz, of the scalers


def pulse(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """t·exp(1 − t) after t = 0, of maximum 1 at t = 1; t in shaping times."""
    t = np.maximum(time, 0.0)
    return np.asarray(t * np.exp(1.0 - t))


def record(
    settings: SimulatedElectronics,
    beam: Sequence[tuple[float, float]],
    electrons: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    """The block 1903 (2048, 8) of an event: column 0 ion chamber, 1 mesh, 2 silicon; the others hold noise only.

    `beam` has (time after the trigger [FRIB TB], amplitude [ADC]) of each beam particle; `electrons` (2048,) is the
    number of electrons (before the gas gain) that reach the mesh in each bucket.
    """
    shaping = settings.frib_shaping_time * 1e-3 * FREQUENCY
    buckets = np.arange(N_SAMPLES, dtype=np.float64)
    traces = rng.normal(settings.frib_baseline, settings.frib_noise, (N_SAMPLES, N_CHANNELS))
    for delay, amplitude in beam:
        start = settings.trigger_time_bucket + delay - shaping
        traces[:, ION_CHAMBER] += amplitude * pulse((buckets - start) / shaping)
    lasting = buckets[: int(np.ceil(12 * shaping)) + 1]
    traces[:, MESH] += settings.mesh_gain * np.convolve(electrons, pulse(lasting / shaping))[:N_SAMPLES]
    return np.clip(np.rint(traces), 0, LARGEST).astype(np.uint16)


def scalers(
    triggers: Sequence[int],
    events_a_readout: int,
    trigger_rate: float,
    live_share: float,
    beam_rate: float,
    rng: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """Scaler readouts of a run whose events had these `triggers` (register values), in the order of `tables.SCALERS`.

    Free counters see the triggers that the dead time lost, too; rates are in 1/s.
    """
    rows = []
    for first in range(0, len(triggers), events_a_readout):
        block = np.asarray(triggers[first : first + events_a_readout])
        seconds = len(block) / trigger_rate
        free = len(block) + int(rng.poisson(len(block) * (1.0 / live_share - 1.0)))
        mesh = int(np.count_nonzero(block & MESH_TRIGGER))
        downscaled = int(np.count_nonzero(block & DOWNSCALED_TRIGGER))
        beam = max(int(rng.poisson(beam_rate * seconds)), free)
        clock = round(CLOCK * seconds)
        words = (
            clock,
            round(clock * len(block) / free),
            free,
            len(block),
            beam,
            round(mesh * free / len(block)),
            0,
            0,
            0,
            round(downscaled * free / len(block)),
            beam,
        )
        rows.append(np.minimum(np.array(words, dtype=np.int64), 2**32 - 1))
    return rows
