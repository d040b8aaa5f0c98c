"""When a pulse has its maximum."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.signal.summit import THREE_SAMPLES, Summit, summit_of, time_of_summit, vertex

Array = NDArray[np.float64]
SAMPLES = 160
HEIGHT = 1000.0  # ADC


def response(u: Array) -> Array:
    """Of the GET electronics, u in shaping times."""
    u = np.clip(u, 0.0, np.pi)
    return np.asarray(np.exp(-3 * u) * u**3 * np.sin(u))


def pulse(shaping: float, width: float, phase: float) -> tuple[Array, float]:
    """Samples of a pulse of charge that arrives with a standard deviation of `width` shaping times, and its maximum."""
    arrivals = np.linspace(-5, 5, 201)
    weights = np.exp(-0.5 * arrivals**2)

    def folded(u: Array) -> Array:
        return np.asarray(response(u[:, None] - width * arrivals) @ weights)

    fine = np.arange(0.8, 2.2, 1e-3)
    values = folded(fine)
    start = 0.4 * SAMPLES + phase
    samples = folded((np.arange(SAMPLES) - start) / shaping)
    return HEIGHT / values.max() * samples, start + shaping * float(fine[values.argmax()])


def test_a_fitted_parabola_is_the_least_squares_one() -> None:
    source = np.random.default_rng(3)
    for half in (1, 2, 3, 6):
        signal = 100 - 0.5 * (np.arange(40) - 20.3) ** 2 + source.normal(0, 0.5, 40)
        peak = int(np.argmax(signal))
        first = np.polyfit(np.arange(-half, half + 1), signal[peak - half : peak + half + 1], 2)
        middle = round(peak - first[1] / (2 * first[0]))
        a, b, c = np.polyfit(np.arange(-half, half + 1), signal[middle - half : middle + half + 1], 2)
        found, sharp = vertex(signal, peak, half)
        assert found == pytest.approx(middle - b / (2 * a), abs=1e-9)
        assert sharp == pytest.approx(-2 * a / (c - b * b / (4 * a)), rel=1e-9)


@pytest.mark.parametrize("shaping", [3.1, 6.25, 12.5])
@pytest.mark.parametrize("width", [0.0, 0.15, 0.4])
def test_the_maximum_is_found_whatever_the_phase_and_the_width(shaping: float, width: float) -> None:
    errors = []
    for phase in np.linspace(0, 1, 13):
        samples, true = pulse(shaping, width, phase)
        errors.append(time_of_summit(samples, *2 * [int(np.argmax(samples))], summit_of(shaping)) - true)
    assert abs(np.mean(errors)) < 0.04
    assert np.abs(errors).max() < 0.12


@pytest.mark.parametrize(("shaping", "gain"), [(3.1, 1.4), (6.25, 2.5), (12.5, 2.5)])
def test_small_pulses_are_timed_better_than_by_three_samples(shaping: float, gain: float) -> None:
    source = np.random.default_rng(7)
    summit = summit_of(shaping)
    scatter = {}
    for name, way in (("three", THREE_SAMPLES), ("many", summit)):
        errors = []
        for _ in range(400):
            samples, true = pulse(shaping, 0.2, source.random())
            noisy = 0.08 * samples + source.normal(0.0, 4.0, SAMPLES)
            errors.append(time_of_summit(noisy, *2 * [int(np.argmax(noisy))], way) - true)
        scatter[name] = np.std(errors)
    assert scatter["many"] * gain < scatter["three"]


@pytest.mark.parametrize("place", [0, 1, 38, 39])
def test_at_the_record_s_ends_the_highest_sample_counts(place: int) -> None:
    signal = 50.0 - np.abs(np.arange(40.0) - place)
    assert time_of_summit(signal, place, place, Summit(3, (0.0, 0.0, 0.0), 0.0, 1.0)) == place


def test_a_plateau_has_its_maximum_in_its_middle() -> None:
    assert time_of_summit(np.full(40, 10.0), 20, 23, THREE_SAMPLES) == 21.5
