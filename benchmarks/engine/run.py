"""A run's trace file and truth from hits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.traces import BEAM, BEAM_SPREAD, CONTAMINANT, PLACES, READ_OUT, Amplifier, amplifier, ion_chamber, pad_rows
from spyral_core.config.simulation import Simulation
from spyral_core.traces.writer import TraceWriter

EJECTILE = 2
MESH, DOWNSCALED = 1, 2
PILE_UP, OTHER_BEAM, DOWNSCALED_SHARE = 0.03, 0.03, 0.02
LATEST = 700.0  # FRIB TB after which no second beam particle comes
STOPPED = 0.1  # MeV: more than a particle loses on its last step, 0.1 ns


@dataclass(frozen=True)
class Hits:
    """What `simulator.py` wrote: density of its gas [g/cm³]; rows of hits (event, nucleus, pad, time, electrons) and of
    paths (event, position [m], γ·velocity/c) by event."""

    density: float

    protons: NDArray[np.int64]
    masses: NDArray[np.int64]
    rest: NDArray[np.float64]
    vertices: NDArray[np.float64]
    momenta: NDArray[np.float64]
    rows: NDArray[np.float64]
    states: NDArray[np.float64]

    def of(self, event: int) -> NDArray[np.float64]:
        """The rows of an event's hits."""
        return _rows_of(self.rows, event)

    def path(self, event: int) -> NDArray[np.float64]:
        """Where the ejectile went: positions (n, 3) [mm]."""
        return 1000.0 * _rows_of(self.states, event)[:, 1:4]

    def end(self, event: int) -> tuple[bool, float]:
        """Whether the ejectile stopped in the gas, and the turn of its momentum's azimuth [rad]."""
        motion = _rows_of(self.states, event)[:, 4:]
        azimuth = np.unwrap(np.arctan2(motion[:, 1], motion[:, 0]))
        square = float(np.sum(motion[-1] ** 2))
        left = self.rest[EJECTILE] * (np.sqrt(1.0 + square) - 1.0)
        return bool(left < STOPPED), float(azimuth[-1] - azimuth[0])


def _rows_of(rows: NDArray[np.float64], event: int) -> NDArray[np.float64]:
    first, last = np.searchsorted(rows[:, 0], [event, event + 1])
    return rows[first:last]


def load_hits(path: Path) -> Hits:
    """Read a file of `simulator.py`."""
    with h5py.File(path) as file:
        names = ("protons", "masses", "rest_energies", "vertices", "momenta", "hits", "paths")
        return Hits(float(file.attrs["density"]), *(file[name][()] for name in names))


def write_run(hits: Hits, simulation: Simulation, place: str, traces: Path, truth: Path) -> None:
    """Write the traces, and the truth in the columns of `tables.TRUTH`.

    `place`: where in its time bucket a hit's pulse peaks, of `traces.PLACES`.
    """
    electronics = simulation.electronics
    chips = amplifier(electronics.amplifier_range, electronics.shaping_time, simulation.detector.get_frequency)
    rng = np.random.default_rng((simulation.seed, 1))
    rows: list[dict[str, Any]] = []
    with TraceWriter(traces, run=1) as writer:
        for event in range(len(hits.vertices)):
            downscaled, pile_up, other = rng.random(3) < (DOWNSCALED_SHARE, PILE_UP, OTHER_BEAM)
            beam = [(0.0, (CONTAMINANT if other else BEAM) * rng.normal(1.0, BEAM_SPREAD))]
            if pile_up:
                beam.append((rng.uniform(20.0, LATEST), BEAM * rng.normal(1.0, BEAM_SPREAD)))
            pads, pulses, n_pads = _pulses(hits.of(event)[: 0 if downscaled else None], chips, place)
            register = DOWNSCALED if downscaled else MESH
            writer.write_event(event, pad_rows(pads, pulses, chips, rng), ion_chamber(beam, rng), register)
            flags = {"trigger": register, "pile_up": bool(pile_up), "contaminant": bool(other)}
            if not downscaled:
                rows.append({"event": event, **_particle(hits, event), "n_pads": n_pads, **flags})
    truth.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_parquet(truth)


def _pulses(
    hits: NDArray[np.float64], chips: Amplifier, place: str
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Pads, their pulses (n, 512) [ADC], and how many of them the ejectile's own pulse lifts over the threshold."""
    pads, index = np.unique(hits[:, 2].astype(np.int64), return_inverse=True)
    times, electrons = PLACES[place](hits[:, 3]), hits[:, 4]
    own = hits[:, 1] == EJECTILE
    alone = chips.pulses(index[own], times[own], electrons[own], len(pads))
    rest = chips.pulses(index[~own], times[~own], electrons[~own], len(pads))
    return pads, alone + rest, int(np.count_nonzero(alone.max(axis=1, initial=0.0) > READ_OUT))


def _particle(hits: Hits, event: int) -> dict[str, Any]:
    """The ejectile at its vertex, in the columns of `tables.TRUTH`."""
    species = int(hits.protons[EJECTILE]), int(hits.masses[EJECTILE])
    x, y, z, energy = hits.momenta[event, EJECTILE]
    momentum = float(np.sqrt(x * x + y * y + z * z))
    ke, polar, azimuthal = energy - hits.rest[EJECTILE], np.arccos(z / momentum), np.arctan2(y, x)
    vertex = 1000.0 * hits.vertices[event]
    stops, turn = hits.end(event)
    return {
        "Z": species[0], "A": species[1], "ke": float(ke), "polar": float(polar),
        "azimuthal": float(azimuthal % (2 * np.pi)), "vertex_x": float(vertex[0]), "vertex_y": float(vertex[1]),
        "vertex_z": float(vertex[2]), "brho": momentum / 299.792458 / species[0], "stops": stops,
        "turn": turn,
    }  # fmt: skip
