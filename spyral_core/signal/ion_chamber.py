"""The ion chamber: which of its pulses is the beam particle of the event, and how far it stands from the trigger."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spyral_core.signal.pulses import Pulses, find_pulses, frib_settings, legacy_settings

FRIB_FREQUENCY = 12.5  # MHz, sampling of the FRIBDAQ traces
SILICON_WINDOW = 50.0  # FRIB TB: a beam particle that comes with a silicon pulse went through and did not react
DOWNSCALED_TRIGGER = 2  # coincidence register: a beam particle alone; 3, both triggers, is a reaction as well
LEGACY_COBO, LEGACY_AGET, LEGACY_CHANNEL = 10, 1, 0


class IonChamber(NamedTuple):
    """The good pulse of the ion chamber. −1 in the columns of the events table if there is none."""

    amplitude: float = -1.0
    """[ADC]"""
    integral: float = -1.0
    """[ADC]"""
    centroid: float = -1.0
    """time of its maximum [FRIB TB; legacy: GET TB]"""
    multiplicity: float = -1.0
    """number of pulses from the trigger on"""
    shift: float = 0.0
    """time from the trigger to the good pulse [GET TB], to be taken off the pads' times"""

    def columns(self) -> dict[str, float]:
        """The `ic_…` columns of an event."""
        return {f"ic_{name}": getattr(self, name) for name in ("amplitude", "integral", "centroid", "multiplicity")}


NO_PULSE = IonChamber()


def beam_pulses(ion_chamber: NDArray[Any] | None, frib: SimpleNamespace) -> Pulses:
    """The ion chamber's pulses from the trigger on, which is the first one after `ic_delay_time_bucket`.

    `ion_chamber` is a FRIBDAQ trace (m,), None if not recorded.
    """
    found = _pulses(ion_chamber, frib)
    from_trigger = found.time > frib.ic_delay_time_bucket
    return Pulses(*(column[from_trigger] for column in found))


def within_multiplicity(n_pulses: int, frib: SimpleNamespace) -> bool:
    """Whether there are pulses, and not too many."""
    return bool(0 < n_pulses <= frib.ic_multiplicity)


def good_pulse(
    ion_chamber: NDArray[Any] | None, silicon: NDArray[Any] | None, frib: SimpleNamespace, get_frequency: float
) -> IonChamber:
    """The beam particle that reacted: the first ion-chamber pulse from the trigger on without a silicon pulse near it.

    Without any silicon pulse there must be just one. There must not be more than `ic_multiplicity` good ones.

    Args:
        ion_chamber, silicon: FRIBDAQ traces (m,), None if not recorded.
        frib: the parameters of section `frib`.
        get_frequency: sampling frequency of the pads [MHz].
    """
    beam = beam_pulses(ion_chamber, frib)
    silicon_times = _pulses(silicon, frib).time
    if len(silicon_times):
        distance = np.abs(beam.time[:, None] - silicon_times[None, :]).min(axis=1)
        good = np.flatnonzero(distance > SILICON_WINDOW)
    else:
        good = np.arange(len(beam.time) if len(beam.time) == 1 else 0)
    if not within_multiplicity(len(good), frib):
        return NO_PULSE
    chosen = good[0]
    late = float(beam.time[chosen] - beam.time[0])
    return IonChamber(
        amplitude=float(beam.amplitude[chosen]),
        integral=float(beam.integral[chosen]),
        centroid=float(beam.time[chosen]),
        multiplicity=float(len(beam.time)),
        shift=late * get_frequency / FRIB_FREQUENCY if frib.correct_ic_time else 0.0,
    )


def legacy_pulse(samples: NDArray[Any] | None, legacy_ic: SimpleNamespace) -> IonChamber:
    """The first pulse of an ion chamber that is a GET channel: its trace (512,), None if the event has none."""
    found = find_pulses(_as_block(samples), legacy_settings(legacy_ic))
    if not len(found.time):
        return NO_PULSE
    return IonChamber(
        amplitude=float(found.amplitude[0]),
        integral=float(found.integral[0]),
        centroid=float(found.time[0]),
        multiplicity=float(len(found.time)),
    )


def _pulses(trace: NDArray[Any] | None, frib: SimpleNamespace) -> Pulses:
    return find_pulses(_as_block(trace), frib_settings(frib))


def _as_block(trace: NDArray[Any] | None) -> NDArray[Any]:
    return np.empty((1, 0), np.int32) if trace is None else np.asarray(trace)[None, :]
