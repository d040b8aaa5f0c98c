"""Pulses are those of scipy.signal.find_peaks, measured between samples."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.signal import find_peaks

from spyral_core.signal import baseline, peaks, pulses
from spyral_core.signal.summit import THREE_SAMPLES

SECTION = SimpleNamespace(
    baseline_window_scale=20.0,
    peak_separation=50.0,
    peak_prominence=20.0,
    peak_max_width=50.0,
    peak_threshold=40.0,
    shaping_time=6.25,
)
PADS = pulses.pad_settings(SECTION)._replace(summit=THREE_SAMPLES)


def signal_of(samples: NDArray[np.integer], scale: float) -> NDArray[np.float64]:
    trace, sums, signal = baseline.scratch(samples, scale)
    baseline.repair_ends(samples, trace)
    baseline.subtract_baseline(trace, scale, sums, signal)
    return signal


def found_in(signal: NDArray[np.float64], chosen: pulses.PulseSettings, raw: NDArray[np.int32] | None = None) -> list:
    """Time, amplitude, integral, saturated of the pulses in a baseline-subtracted trace, by the kernel."""
    most = len(signal) // 2 + 1
    out = np.empty((most, 5))
    trace = np.zeros(len(signal), np.int32) if raw is None else raw
    number, _ = pulses._trace_pulses(trace, signal, chosen, np.empty((3, most), np.int64), out)
    return [tuple(row[:4]) for row in out[:number]]


def naive(signal: NDArray[np.float64], chosen: pulses.PulseSettings) -> list:
    """The same by scipy, without saturation."""
    places, found = find_peaks(
        signal,
        distance=chosen.separation,
        prominence=chosen.prominence,
        width=(chosen.min_width, chosen.max_width),
        rel_height=chosen.relative_height,
        plateau_size=1,
    )
    rows = []
    for k, place in enumerate(places):
        if signal[place] <= chosen.threshold:
            continue
        left, right = math.floor(found["left_ips"][k]), math.ceil(found["right_ips"][k])
        if found["plateau_sizes"][k] > 1:
            time = (found["left_edges"][k] + found["right_edges"][k]) / 2
        else:
            curve = np.polyfit([-1, 0, 1], signal[place - 1 : place + 2], 2)
            time = place - curve[1] / (2 * curve[0])
        rows.append((time, signal[place], np.abs(signal[left:right]).sum(), 0.0))
    return rows


def same(ours: list, theirs: list) -> bool:
    return len(ours) == len(theirs) and np.allclose(np.ravel(ours), np.ravel(theirs), atol=1e-6)


def smooth(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """A random smooth trace with structure on many scales."""
    width = rng.uniform(0.5, 12)
    kernel = np.exp(-0.5 * (np.arange(-40, 41) / width) ** 2)
    return 60 * rng.exponential(2) * np.convolve(rng.normal(size=n + 80), kernel / np.linalg.norm(kernel), "valid")


@pytest.mark.parametrize("relative_height", [0.8, 0.85, 0.95])
def test_peaks_are_those_of_scipy(relative_height: float) -> None:
    rng = np.random.default_rng(11)
    n_pulses = 0
    for _ in range(600):
        chosen = PADS._replace(
            relative_height=relative_height,
            shaping=0.0,
            separation=rng.uniform(1, 80),
            prominence=rng.uniform(1, 80),
            threshold=rng.uniform(1, 80),
            max_width=rng.uniform(2, 100),
            min_width=float(rng.integers(0, 2)),
        )
        signal = smooth(rng, int(rng.integers(3, 512)))
        theirs = naive(signal, chosen)
        n_pulses += len(theirs)
        assert same(found_in(signal, chosen), theirs)
    assert n_pulses > 900


@settings(deadline=None, max_examples=300)
@given(hnp.arrays(np.float64, st.integers(3, 120), elements=st.integers(0, 6).map(float)))
def test_plateaus_are_those_of_scipy(signal: NDArray[np.float64]) -> None:
    chosen = PADS._replace(separation=1.0, prominence=1.0, threshold=0.5, min_width=0.0)
    assert same(found_in(signal, chosen), naive(signal, chosen))


def test_of_near_peaks_the_highest_stays_and_of_equal_ones_the_last() -> None:
    signal = np.zeros(200)
    signal[[50, 70, 90]] = 100.0, 300.0, 200.0
    chosen = PADS._replace(separation=25.0, min_width=0.0)
    assert [row[0] for row in found_in(signal, chosen)] == [70.0]
    # 90 is nearer than 25 to 70 only: once 70 is gone for a yet higher one, 90 stays
    signal[48] = 400.0
    assert [row[0] for row in found_in(signal, chosen)] == [48.0, 90.0]
    signal[:] = 0
    signal[[50, 60]] = 100.0
    assert [row[0] for row in found_in(signal, chosen)] == [60.0]


def test_time_lies_between_samples() -> None:
    t = np.arange(512)
    for true in np.linspace(100, 101, 11):
        ((time, *_),) = found_in(900 * np.exp(-0.5 * ((t - true) / 4) ** 2), PADS)
        assert time == pytest.approx(true, abs=0.01)


def pulse_trace(amplitude: float, place: float, n: int = 512) -> NDArray[np.int16]:
    t = np.arange(n)
    return np.clip(np.round(340 + amplitude * np.exp(-0.5 * ((t - place) / 4) ** 2)), 0, 4095).astype(np.int16)


def test_saturated_pulse_has_the_time_of_its_plateau_where_the_response_is_symmetric() -> None:
    symmetric = PADS._replace(shaping=0.0)
    found = pulses.find_pulses(np.stack([pulse_trace(9000, 200.0), pulse_trace(3000, 200.25)]), symmetric)
    assert found.saturated.tolist() == [1, 0]
    assert found.time == pytest.approx([200.0, 200.25], abs=0.1)


def test_two_samples_at_the_ceiling_are_not_yet_saturated() -> None:
    raw = np.full(100, 300, np.int32)
    raw[50:52] = 4095
    signal = raw - 300.0
    assert found_in(signal, PADS, raw)[0][3] == 0.0
    raw[52] = 4091
    assert found_in(raw - 300.0, PADS, raw)[0][3] == 1.0


def test_integral_spans_the_pulse() -> None:
    """But for its feet, which lift the baseline a little."""
    (integral,) = pulses.find_pulses(pulse_trace(2000, 250.0)[None], PADS).integral
    assert integral == pytest.approx(2000 * 4 * math.sqrt(2 * math.pi), rel=0.06)


def test_block_is_the_sum_of_its_traces() -> None:
    rng = np.random.default_rng(2)
    block = np.stack([pulse_trace(rng.exponential(300), rng.uniform(0, 512)) for _ in range(60)])
    block += np.round(4 * rng.normal(size=block.shape)).astype(np.int16)
    framed = np.hstack([np.zeros((60, 5), np.int16), block])
    rows = np.array([7, 3, 59, 0], np.int64)
    whole = pulses.find_pulses(framed, PADS, rows, start=5)
    single = [(row, pulses.find_pulses(block[row : row + 1], PADS)) for row in rows]
    assert whole.trace.tolist() == [row for row, found in single for _ in found.time]
    for name in ("time", "amplitude", "integral", "saturated"):
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(found, name) for _, found in single]))
    for row, found in single:
        assert same(
            list(zip(found.time, found.amplitude, found.integral, found.saturated, strict=True)),
            naive(signal_of(block[row], PADS.baseline_window_scale), PADS),
        )


def test_trace_with_more_than_five_pulses_is_dropped() -> None:
    five, six = (
        np.max([pulse_trace(800, 40.0 + 75 * k) for k in range(number)], axis=0).astype(np.int16) for number in (5, 6)
    )
    assert pulses.find_pulses(np.stack([six, five, six]), PADS).trace.tolist() == [1] * 5
    assert len(pulses.find_pulses(six[None], pulses.frib_settings(SECTION)).time) == 6


@settings(deadline=None, max_examples=300)
@given(hnp.arrays(np.float64, st.integers(0, 40), elements=st.integers(-4, 6).map(float)), st.integers(0, 7))
def test_lowest_sample_before_a_higher_one(samples: NDArray[np.float64], height: int) -> None:
    seen = [float(height)]
    for sample in samples:
        if sample > height:
            break
        seen.append(sample)
    assert peaks.lowest_until(samples, float(height)) == min(seen)


@settings(deadline=None, max_examples=300)
@given(hnp.arrays(np.float64, st.integers(3, 80), elements=st.integers(0, 9).map(float)), st.integers(0, 8))
def test_maxima_are_runs_over_the_threshold_with_lower_neighbours(signal: NDArray[np.float64], threshold: int) -> None:
    ends = [0, *(np.flatnonzero(np.diff(signal)) + 1), len(signal)]
    runs = [(a, b - 1) for a, b in itertools.pairwise(ends) if a > 0 and b < len(signal)]
    expected = [
        (a, b) for a, b in runs if signal[a] > threshold and signal[a - 1] < signal[a] and signal[b + 1] < signal[b]
    ]
    first, last = np.empty((2, len(signal) // 2 + 1), np.int64)
    found = peaks.local_maxima(signal, float(threshold), first, last)
    assert list(zip(first[:found], last[:found], strict=True)) == expected


@settings(deadline=None, max_examples=100)
@given(hnp.arrays(np.int16, (3, 60), elements=st.integers(300, 420)), st.integers(0, 130))
def test_traces_that_are_skipped_have_no_pulses(block: NDArray[np.int16], threshold: int) -> None:
    chosen = PADS._replace(threshold=float(threshold), prominence=1.0, separation=1.0, max_pulses=99, shaping=0.0)
    found = pulses.find_pulses(block, chosen)
    for row, samples in enumerate(block):
        expected = naive(signal_of(samples, chosen.baseline_window_scale), chosen)
        assert np.count_nonzero(found.trace == row) == len(expected)


@pytest.mark.parametrize("value", [-32768, 0, 341, 4095, 32767])
def test_constant_trace_has_no_pulse(value: int) -> None:
    assert len(pulses.find_pulses(np.full((3, 512), value, np.int16), PADS).time) == 0


@pytest.mark.parametrize("shape", [(0, 512), (4, 0), (4, 1), (4, 2)])
def test_nothing_in_nothing_out(shape: tuple[int, int]) -> None:
    found = pulses.find_pulses(np.zeros(shape, np.int16), PADS)
    assert [len(column) for column in found] == [0] * 6


@settings(deadline=None, max_examples=100)
@given(hnp.arrays(np.int16, (2, 64), elements=st.sampled_from([-32768, -1, 0, 340, 4095, 32767])))
def test_wild_traces_give_finite_numbers(block: NDArray[np.int16]) -> None:
    found = pulses.find_pulses(block, PADS._replace(separation=1.0))
    assert all(np.isfinite(column).all() for column in found)
    assert ((found.time >= 0) & (found.time <= 63)).all()
