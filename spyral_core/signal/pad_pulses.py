"""The pulses of an event's pads: which traces belong to pads that are used, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.detector.electronics import pads_of_channels
from spyral_core.detector.lattice import N_PADS
from spyral_core.signal.pulses import Pulses, PulseSettings, find_pulses
from spyral_core.traces.event import CHANNEL, COBO, HEADER_COLUMNS, PAD

ADC_MAX = 4095


@dataclass(frozen=True)
class Readout:
    """How an event's traces are read.

    `used` (10240,) bool: pads that are looked at. `electronics`: map of channels to pads, see
    `detector.electronics.load_electronics`, None to take the pad numbers in the data. `skip_cobo`: a CoBo that reads
    no pads, −1 if there is none.
    """

    settings: PulseSettings
    used: NDArray[np.bool_]
    electronics: NDArray[np.int32] | None = None
    skip_cobo: int = -1


@dataclass(frozen=True)
class PadPulses:
    """Pulses of an event's pads in the order of its traces: `pad` (n,) int64, and what is measured of each.

    `n_traces`: traces of pads and beam pads, masked ones, too. `n_without_pad`: traces that belong to no pad.
    `n_beyond_adc`: traces with samples that the 12 bits of GET's ADC cannot give, so flipped bits or no GET data.
    """

    pad: NDArray[np.int64]
    pulses: Pulses
    n_traces: int
    n_without_pad: int
    n_beyond_adc: int


def pads_of_traces(traces: NDArray[np.int16], electronics: NDArray[np.int32] | None) -> NDArray[np.int64]:
    """The pad of each trace, −1 where there is none: (n,).

    `traces` (n, 5 or more): cobo, asad, aget, channel, pad, … as in a trace file.
    """
    if electronics is None:
        pads = traces[:, PAD].astype(np.int64)
    else:
        pads = pads_of_channels(electronics, np.ascontiguousarray(traces[:, : CHANNEL + 1])).astype(np.int64)
    return np.where((pads >= 0) & (pads < N_PADS), pads, -1)


def find_pad_pulses(traces: NDArray[np.int16], readout: Readout) -> PadPulses:
    """Pulses of the pads in use.

    `traces` (n, 517): cobo, asad, aget, channel, pad, then the samples.
    """
    pads = pads_of_traces(traces, readout.electronics)
    of_pads = traces[:, COBO] != readout.skip_cobo
    wired = of_pads & (pads >= 0)
    rows = np.flatnonzero(wired & readout.used[pads])
    pulses = find_pulses(traces, readout.settings, rows, HEADER_COLUMNS)
    n_traces = int(np.count_nonzero(wired))
    beyond = count_beyond_adc(np.ascontiguousarray(traces))
    return PadPulses(pads[pulses.trace], pulses, n_traces, int(np.count_nonzero(of_pads)) - n_traces, beyond)


@kernel
def count_beyond_adc(traces: NDArray[np.int16]) -> int:
    """Number of traces (n, 517) with a sample that is negative or over `ADC_MAX`, which is all of its bits."""
    number = 0
    for row in range(len(traces)):
        bits, samples = np.int16(0), traces[row, HEADER_COLUMNS:]
        for i in range(samples.size):
            bits = np.int16(bits | samples[i])
        number += int(bits < 0 or bits > ADC_MAX)
    return number
