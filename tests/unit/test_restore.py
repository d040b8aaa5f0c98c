"""The tops of saturated pulses come back from their edges."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.signal.pulses import find_pulses, pad_settings
from spyral_core.signal.restore import FIRST_TIME, LAST_TIME, TOP, _solve, lateness, log_response, restore

Array = NDArray[np.float64]
CEILING = 3700.0  # ADC over the baseline
SHAPING = 6.25  # samples


def response(times: Array, shaping: float) -> Array:
    """The GET electronics' response to a charge at time 0, its top 1; shaping time in samples."""
    u = np.clip(times / shaping, 0.0, np.pi)
    shape: Array = np.exp(-3 * u) * u**3 * np.sin(u)
    return shape / np.exp(log_response(TOP)[0])


def pulse(height: float, start: float, shaping: float, spread: float) -> Array:
    """A pulse of charge that arrives evenly over ± `spread` samples, its top at `height`."""

    def at(times: Array) -> Array:
        arrivals = np.linspace(-spread, spread, 41)
        return np.mean([response(times - arrival, shaping) for arrival in arrivals], axis=0)

    top = at(np.arange(-20.0, 60.0, 0.02)).max()
    return height * at(np.arange(512.0) - start) / top


def cut(signal: Array) -> tuple[Array, int, int]:
    over = np.flatnonzero(signal >= CEILING)
    return np.minimum(signal, CEILING), int(over[0]), int(over[-1])


@pytest.mark.parametrize(("spread", "twice", "thrice"), [(0.0, 0.01, 0.015), (1.0, 0.05, 0.07), (2.0, 0.13, 0.2)])
def test_the_height_comes_back(spread: float, twice: float, thrice: float) -> None:
    """At 1 µs and 6.25 MHz: relative errors of pulses that are up to two and three times as high as the ADC goes."""
    generator = np.random.default_rng(3)
    restored = []
    for over in np.linspace(1.1, 3.0, 60):
        error = twice if over <= 2 else thrice
        true = pulse(over * CEILING, 200 + generator.uniform(), SHAPING, spread)
        signal, first, last = cut(true + generator.normal(scale=4, size=512))
        found = restore(signal, first, last)
        restored.append(found > CEILING)
        if over <= 2 or found > CEILING:  # on the steepest rises there are too few samples
            assert found == pytest.approx(over * CEILING, rel=error), over
            assert np.abs(signal - true)[first : last + 1].max() < 2 * error * over * CEILING
    assert np.mean(restored) > 0.95


def test_samples_only_grow_and_those_outside_stay() -> None:
    generator = np.random.default_rng(8)
    for _ in range(300):
        true = pulse(
            CEILING * generator.uniform(1.0, 12.0), 50 * generator.uniform(1, 9), generator.uniform(1, 12),
            generator.uniform(0, 6),
        )  # fmt: skip
        if np.count_nonzero(true >= CEILING) < 3:
            continue
        before, first, last = cut(true + generator.normal(scale=generator.uniform(0, 200), size=512))
        after = before.copy()
        height = restore(after, first, last)
        assert (after >= before).all()
        assert np.array_equal(np.delete(after, np.s_[first : last + 1]), np.delete(before, np.s_[first : last + 1]))
        assert before[(first + last) // 2] <= height <= 10 * max(CEILING, before.max()) * (1 + 1e-9)


@pytest.mark.parametrize("edge", ["before", "behind", "both"])
def test_without_edges_a_pulse_stays_as_it_is(edge: str) -> None:
    signal, first, last = cut(pulse(2 * CEILING, 200.3, 5.0, 1.0))
    if edge in ("before", "both"):
        signal[: first - 1] = 0.0
    if edge in ("behind", "both"):
        signal[last + 2 :] = 0.0
    before = signal.copy()
    assert restore(signal, first, last) == CEILING
    np.testing.assert_array_equal(signal, before)


def test_a_pulse_at_the_end_of_the_trace_stays_as_it_is() -> None:
    signal, first, last = cut(pulse(2 * CEILING, 200.3, 5.0, 1.0))
    for part, one, other in ((signal[first:], 0, last - first), (signal[: last + 1], first, last)):
        before = part.copy()
        assert restore(part, one, other) == CEILING
        np.testing.assert_array_equal(part, before)


def test_edges_as_high_as_the_top_tell_of_no_top() -> None:
    """A plateau on a plateau: no response goes through it."""
    signal = np.zeros(100)
    signal[40:60] = CEILING - 1
    signal[47:53] = CEILING
    found = restore(signal.copy(), 47, 52)
    assert CEILING <= found <= 1.5 * CEILING


def test_the_response_has_its_top_where_it_says() -> None:
    times = np.linspace(0.06, 2.9, 4000)
    values = np.array([log_response(u) for u in times])
    assert times[np.argmax(values[:, 0])] == pytest.approx(TOP, abs=1e-3)
    np.testing.assert_allclose(values[:, 0], np.log(np.exp(-3 * times) * times**3 * np.sin(times)), atol=1e-9)
    np.testing.assert_allclose(np.gradient(values[:, 0], times)[1:-1], values[1:-1, 1], rtol=1e-3, atol=1e-3)


def test_three_equations_are_solved() -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        root, right = generator.normal(size=(5, 3)), generator.normal(size=3)
        matrix = root.T @ root
        sums = np.column_stack([matrix, right])
        assert _solve(sums)
        np.testing.assert_allclose(sums[:, 3], np.linalg.solve(matrix, right), rtol=1e-6, atol=1e-9)
    assert not _solve(np.zeros((3, 4)))


def test_a_saturated_trace_has_the_charge_that_came() -> None:
    """Amplitude and integral of a pulse of twice the ADC's range, as digitised."""
    section = SimpleNamespace(
        baseline_window_scale=20.0,
        peak_separation=50.0,
        peak_prominence=20.0,
        peak_max_width=50.0,
        peak_threshold=40.0,
        shaping_time=6.25,
    )
    true = pulse(7500.0, 200.4, SHAPING, 1.0)
    small = find_pulses(np.round(300 + 0.4 * true)[None].astype(np.int16), pad_settings(section))
    large = find_pulses(np.clip(np.round(300 + true), 0, 4095)[None].astype(np.int16), pad_settings(section))
    assert large.saturated.tolist() == [1]
    assert small.saturated.tolist() == [0]
    assert large.amplitude[0] == pytest.approx(small.amplitude[0] / 0.4, rel=0.06)
    assert large.integral[0] == pytest.approx(small.integral[0] / 0.4, rel=0.06)
    assert large.time[0] == pytest.approx(small.time[0], abs=0.4)


def test_the_middle_of_a_pulse_is_later_than_its_top_the_lower_one_looks() -> None:
    shares = np.array([1.0, 0.9, 0.7, 0.5, 0.3, 0.1])
    late = [lateness(share) for share in shares]
    assert late[0] == pytest.approx(0.0, abs=1e-3)
    assert (np.diff(late) > 0.0).all()
    times = np.linspace(FIRST_TIME, LAST_TIME, 200_001)
    response = np.exp(-3 * times) * times**3 * np.sin(times)
    for share, value in zip(shares[1:], late[1:], strict=True):
        above = times[response >= share * response.max()]
        assert value == pytest.approx(0.5 * (above[0] + above[-1]) - times[np.argmax(response)], abs=1e-3)
