"""The ion chamber tells which beam particle reacted, and when it came."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.signal import ion_chamber
from spyral_core.signal.ion_chamber import NO_PULSE, good_pulse, legacy_pulse

FRIB = SimpleNamespace(
    baseline_window_scale=100.0,
    peak_separation=50.0,
    peak_prominence=20.0,
    peak_max_width=500.0,
    peak_threshold=100.0,
    ic_delay_time_bucket=1100,
    ic_multiplicity=1,
    correct_ic_time=True,
)
LEGACY = SimpleNamespace(
    baseline_window_scale=100.0, peak_separation=50.0, peak_prominence=20.0, peak_max_width=100.0, peak_threshold=40.0
)


def frib(**changes: object) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(FRIB), **changes})


def trace(*pulses: tuple[float, float], n: int = 2048, baseline: float = 2000.0) -> NDArray[np.int32]:
    """A trace with pulses (time, amplitude)."""
    t = np.arange(n)
    signal = sum((amplitude * np.exp(-0.5 * ((t - time) / 3) ** 2) for time, amplitude in pulses), np.zeros(n))
    return np.round(baseline + 3 * np.random.default_rng(4).normal(size=n) + signal).astype(np.int32)


def test_single_pulse_after_the_delay_is_trigger_and_good() -> None:
    found = good_pulse(trace((500, 900), (1200, 1100)), trace(), FRIB, 6.25)
    assert found.amplitude == pytest.approx(1100, rel=0.05)
    assert found.centroid == pytest.approx(1200, abs=0.5)
    assert found.integral == pytest.approx(1100 * 3 * 2.507, rel=0.1)
    assert (found.multiplicity, found.shift) == (1, 0)


def test_pulse_with_silicon_did_not_react() -> None:
    """The trigger comes with a silicon pulse: the next pulse is the good one, and the pads' times are late by it."""
    found = good_pulse(trace((1200, 1100), (1400, 1000)), trace((1220, 800)), FRIB, 6.25)
    assert found.centroid == pytest.approx(1400, abs=0.5)
    assert found.shift == pytest.approx(200 * 6.25 / 12.5, abs=0.5)
    assert found.multiplicity == 2


def test_time_is_not_shifted_unless_asked_for() -> None:
    found = good_pulse(trace((1200, 1100), (1400, 1000)), trace((1220, 800)), frib(correct_ic_time=False), 6.25)
    assert found.centroid == pytest.approx(1400, abs=0.5)
    assert found.shift == 0


@pytest.mark.parametrize(
    ("beam", "silicon"),
    [
        ([], []),
        ([(900, 1100)], []),  # before the delay
        ([(1200, 1100)], [(1249, 800)]),  # vetoed
        ([(1200, 1100), (1400, 1000)], []),  # two, and no silicon to tell which
        ([(1200, 1100), (1400, 1000)], [(1800, 800)]),  # two good ones
    ],
)
def test_no_good_pulse(beam: list[tuple[float, float]], silicon: list[tuple[float, float]]) -> None:
    found = good_pulse(trace(*beam), trace(*silicon), FRIB, 6.25)
    assert found == NO_PULSE
    assert found.columns() == dict.fromkeys(("ic_amplitude", "ic_integral", "ic_centroid", "ic_multiplicity"), -1.0)


def test_silicon_beyond_the_window_vetoes_nothing() -> None:
    assert good_pulse(trace((1200, 1100)), trace((1255, 800)), FRIB, 6.25).multiplicity == 1


def test_larger_multiplicity_admits_two_good_pulses_and_takes_the_first() -> None:
    found = good_pulse(trace((1200, 1100), (1400, 1000)), trace((1800, 800)), frib(ic_multiplicity=2), 6.25)
    assert found.centroid == pytest.approx(1200, abs=0.5)
    assert (found.multiplicity, found.shift) == (2, 0)


@pytest.mark.parametrize("missing", [None, np.zeros(0, np.int32), np.zeros(2048, np.int32), np.full(2, 5, np.int32)])
def test_missing_or_dead_traces(missing: NDArray[np.int32] | None) -> None:
    assert good_pulse(missing, missing, FRIB, 6.25) == NO_PULSE
    assert good_pulse(trace((1200, 1100)), missing, FRIB, 6.25).multiplicity == 1
    assert legacy_pulse(missing, LEGACY) == NO_PULSE


def test_many_pulses_are_all_counted() -> None:
    times = np.arange(1150, 2000, 100)
    beam = ion_chamber.beam_pulses(trace(*((time, 900.0) for time in times)), FRIB)
    assert len(beam.time) == len(times) > 5
    assert not ion_chamber.within_multiplicity(len(beam.time), FRIB)
    assert not ion_chamber.within_multiplicity(0, FRIB)


def test_legacy_channel_gives_its_first_pulse() -> None:
    found = legacy_pulse(trace((100, 700), (300, 900), n=512, baseline=340).astype(np.int16), LEGACY)
    assert found.amplitude == pytest.approx(700, rel=0.1)
    assert found.centroid == pytest.approx(100, abs=0.5)
    assert (found.multiplicity, found.shift) == (2, 0)
