"""The baseline follows the slow waves of a trace and leaves its pulses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from spyral_core.signal import baseline


def subtracted(samples: NDArray[np.integer], scale: float) -> NDArray[np.float64]:
    trace, sums, signal = baseline.scratch(samples, scale)
    baseline.repair_ends(samples, trace)
    baseline.subtract_baseline(trace, scale, sums, signal)
    return signal


def without_pulses(samples: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The trace with repaired ends, and the same with its pulses replaced by the mean of the rest."""
    trace = samples.astype(float)
    trace[0], trace[-1] = trace[1], trace[-2]
    rest = trace <= trace.mean() + 1.5 * trace.std()
    return trace, np.where(rest, trace, trace[rest].mean())


def naive(samples: NDArray[np.integer], scale: float) -> NDArray[np.float64]:
    """The same moving average, sample by sample."""
    trace, rest = without_pulses(samples)
    n = len(trace)
    length = min(max(n / scale, 1.0), n)
    reach = int((length - 1) // 2) + 1
    weights = np.ones(2 * reach + 1)
    weights[0] = weights[-1] = (length - (2 * reach - 1)) / 2
    average = [weights @ rest[(i + np.arange(-reach, reach + 1)) % n] / length for i in range(n)]
    return trace - average


def by_spectrum(samples: NDArray[np.integer], scale: float) -> NDArray[np.float64]:
    """The low-pass as the spectrum factor sinc(k / scale)."""
    trace, rest = without_pulses(samples)
    frequency = np.fft.fftfreq(len(trace)) * len(trace)
    return trace - np.fft.ifft(np.fft.fft(rest) * np.sinc(frequency / scale)).real


def measured(rng: np.random.Generator, n: int = 512, amplitude: float = 0.0) -> NDArray[np.int16]:
    """A trace with white noise of 4 ADC, a slow wave, an outlier in front and, perhaps, a pulse."""
    t = np.arange(n)
    trace = 340 + 4 * rng.normal(size=n) + 10 * np.sin(t / rng.uniform(30, 80) + rng.uniform(0, 6))
    trace[0] -= 25
    trace += amplitude * np.exp(-0.5 * ((t - rng.uniform(50, n - 50)) / 4) ** 2)
    return np.clip(np.round(trace), 0, 4095).astype(np.int16)


# Sums of squares must not round in the twin: then both agree on what is a pulse.
traces = hnp.arrays(np.int16, st.integers(3, 80), elements=st.integers(-32768, 32767))


@settings(deadline=None, max_examples=200)
@given(traces, st.floats(0.1, 1000.0))
def test_kernel_agrees_with_its_twin(samples: NDArray[np.int16], scale: float) -> None:
    assert subtracted(samples, scale) == pytest.approx(naive(samples, scale), abs=1e-6)


@settings(deadline=None, max_examples=200)
@given(traces, st.floats(0.1, 1000.0))
def test_no_sample_stands_higher_over_the_baseline_than_the_trace_is_wide(
    samples: NDArray[np.int16], scale: float
) -> None:
    trace = baseline.scratch(samples, scale)[0]
    baseline.repair_ends(samples, trace)
    assert baseline.spread(trace) == np.ptp(samples[1:-1].astype(int))
    assert subtracted(samples, scale).max() <= baseline.spread(trace) + 1e-6


@settings(deadline=None, max_examples=200)
@given(traces)
def test_pulses_begin_at_mean_and_one_and_a_half_sigma(samples: NDArray[np.int16]) -> None:
    limit = samples.mean() + 1.5 * samples.std()
    found = baseline.pulse_limit(samples.astype(np.int32))
    assert np.floor(limit - 1e-6) <= found <= np.floor(limit + 1e-6)


@pytest.mark.parametrize(("n", "scale"), [(512, 20.0), (2048, 100.0), (512, 100.0)])
def test_moving_average_equals_spectrum_factor_within_noise(n: int, scale: float) -> None:
    rng = np.random.default_rng(3)
    differences = np.array(
        [
            subtracted(samples, scale) - by_spectrum(samples, scale)
            for samples in (measured(rng, n, amplitude) for amplitude in (0.0, 50.0, 300.0, 1000.0, 5000.0) * 10)
        ]
    )
    assert differences.std() < 0.1 * 4.0
    assert np.abs(differences).max() < 2 * 4.0


def test_window_is_that_of_the_spectrum_factor() -> None:
    assert baseline.window_length(512, 20.0) == pytest.approx(25.6)
    assert baseline.window_length(2048, 100.0) == pytest.approx(20.48)
    assert baseline.window_length(512, 1000.0) == 1.0
    assert baseline.window_length(512, 0.1) == 512.0


def test_quiet_trace_lies_at_zero() -> None:
    """But for the noise over 1.5 σ that is taken for pulses: a quarter of the noise's σ."""
    rng = np.random.default_rng(5)
    assert 0.0 < np.mean([subtracted(measured(rng), 20.0).mean() for _ in range(50)]) < 0.4 * 4.0


@pytest.mark.parametrize("amplitude", [100.0, 300.0, 1000.0, 3000.0])
def test_pulse_keeps_its_height(amplitude: float) -> None:
    """Within 4 %: the feet of a high pulse stay under mean + 1.5 σ and lift the baseline."""
    rng = np.random.default_rng(5)
    heights = [subtracted(measured(rng, amplitude=amplitude), 20.0).max() for _ in range(100)]
    assert np.mean(heights) == pytest.approx(amplitude, rel=0.04, abs=6.0)


def test_first_and_last_sample_are_as_their_neighbours() -> None:
    samples = np.full(64, 300, np.int16)
    samples[0], samples[-1] = -20000, 4095
    assert subtracted(samples, 20.0) == pytest.approx(np.zeros(64))


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32])
def test_ends_of_the_range_do_not_overflow(dtype: type) -> None:
    low, high = np.iinfo(np.int16 if dtype is np.int32 else dtype).min, np.iinfo(np.uint16).max
    high = min(high, np.iinfo(dtype).max)
    samples = np.where(np.arange(2048) % 7 == 3, high, low).astype(dtype)
    assert subtracted(samples, 100.0) == pytest.approx(naive(samples, 100.0), abs=1e-4)


@pytest.mark.parametrize("value", [-32768, 0, 341, 32767])
def test_constant_trace_becomes_zero(value: int) -> None:
    assert np.array_equal(subtracted(np.full(512, value, np.int16), 20.0), np.zeros(512))
