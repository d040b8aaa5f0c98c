"""One event of a trace file, whatever the layout of the file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

COBO, ASAD, AGET, CHANNEL, PAD = range(5)
"""The columns of a pad row that say where the trace comes from."""
HEADER_COLUMNS = 5
SAMPLES = 512
"""Time buckets of a GET trace."""
PAD_COLUMNS = HEADER_COLUMNS + SAMPLES

SILICON_DETECTORS = ("si_upstream_front", "si_upstream_back", "si_downstream_front", "si_downstream_back")
"""Silicon detectors that GET electronics read, by their names in merger 2.0 files."""


def no_pads() -> NDArray[np.int16]:
    """Pad rows of an event without any."""
    return np.empty((0, PAD_COLUMNS), dtype=np.int16)


@dataclass(frozen=True, eq=False)
class TraceEvent:
    """What was recorded in one event.

    Attributes
    ----------
    number:
        Event number in the trace file.
    orig_run, orig_event:
        Run and event number in which it was taken, before harmonizing; -1 if a harmonized file does not say.
    pads:
        int16 (n, 517): cobo, asad, aget, channel, pad, then 512 samples [ADC]; no rows if GET recorded nothing.
    ion_chamber, mesh, silicon:
        int32 (m,) [ADC], FRIBDAQ traces (columns 0, 1, 2 of module 1903), m mostly 2048; None if not recorded.
    trigger:
        Coincidence register (module 977): 1 mesh, 2 downscaled ion chamber, 3 both, other values occur; -1 if not
        recorded.
    get_silicon:
        Silicon detectors read by GET (merger 2.0), by name: int16 (k, 517) as `pads`, the fifth column being the
        detector's channel. Detectors without data are left out.
    get_id, get_timestamp, get_timestamp_other, frib_id, frib_timestamp:
        Event counters and clocks of the two acquisitions, -1 if not recorded.
    """

    number: int
    orig_run: int
    orig_event: int
    pads: NDArray[np.int16]
    ion_chamber: NDArray[np.int32] | None = None
    mesh: NDArray[np.int32] | None = None
    silicon: NDArray[np.int32] | None = None
    trigger: int = -1
    get_silicon: dict[str, NDArray[np.int16]] = field(default_factory=dict)
    get_id: int = -1
    get_timestamp: int = -1
    get_timestamp_other: int = -1
    frib_id: int = -1
    frib_timestamp: int = -1

    @property
    def samples(self) -> NDArray[np.int16]:
        """The traces alone: (n, 512) [ADC], a view of `pads`."""
        return self.pads[:, HEADER_COLUMNS:]
