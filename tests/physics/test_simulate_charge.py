"""Ion pairs, diffusion, gas gain and the GET response have the means and widths that the configuration says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from spyral_core.simulate.drift import diffusion, drift
from spyral_core.simulate.ionisation import free_electrons, ionise
from spyral_core.simulate.response import PEAK_TIME, add_pulse, collect, response, shape

ELECTRON = 1.602176634e-19


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_the_number_of_ion_pairs_has_the_mean_of_w_and_the_variance_of_fano() -> None:
    source = rng()
    numbers = np.array([free_electrons(0.01, 37.0, 0.2, source) for _ in range(20000)])
    mean = 0.01e6 / 37.0
    assert numbers.mean() == pytest.approx(mean, abs=5 * np.sqrt(0.2 * mean / len(numbers)))
    # rounding to whole electrons adds a quarter at most
    assert numbers.var() == pytest.approx(0.2 * mean, abs=0.25 + 0.05 * 0.2 * mean)


@pytest.mark.parametrize("packets_per_mm", [2.0, 1e4])
def test_packets_hold_every_electron_and_lie_on_the_track(packets_per_mm: float) -> None:
    points = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    deposits = np.array([0.02, 1e-5])
    packets = ionise(points, deposits, 37.0, 0.0, packets_per_mm, rng())
    assert packets[:, 3].sum() == pytest.approx(deposits.sum() * 1e6 / 37.0, abs=2)
    assert np.all(packets[:, 3] >= 1)
    first = packets[packets[:, 2] < 2.0]
    np.testing.assert_allclose(first[:, 1], 2 * first[:, 0], atol=1e-12)
    assert np.ptp(first[:, 3]) <= 1
    if packets_per_mm == 1e4:
        assert np.all(packets[:, 3] == 1)
    else:
        assert len(first) == 8


def test_diffusion_grows_with_the_drift_length_and_carries_no_bias() -> None:
    n, length, field, voltage = 20000, 1000.0, 45000.0, 0.277
    per_mm = diffusion(voltage, field)
    for z in (0.0, 600.0):
        packets = np.tile([3.0, -4.0, z, 1.0], (n, 1))
        arrivals = drift(packets, length, per_mm, 0.5 * per_mm, 0.55, 100.0, 1.0, rng())
        sigma = np.sqrt(2 * voltage * (length - z) * 1e-3 / field) * 1e3  # σ² = 2·V·d/E, in mm
        np.testing.assert_allclose(arrivals[:, :2].std(axis=0), sigma, rtol=0.03)
        np.testing.assert_allclose(arrivals[:, :2].mean(axis=0), [3.0, -4.0], atol=5 * sigma / np.sqrt(n))
        assert arrivals[:, 2].mean() == pytest.approx((length - z) * 0.55, abs=5 * 0.55 * sigma / np.sqrt(n))
        assert arrivals[:, 2].std() == pytest.approx(0.55 * sigma * np.sqrt(0.5), rel=0.03)


@pytest.mark.parametrize("electrons", [1.0, 7.0])
def test_the_gas_gain_fluctuates_as_that_of_independent_electrons(electrons: float) -> None:
    n, gain, theta = 40000, 5000.0, 1.0
    packets = np.tile([0.0, 0.0, 500.0, electrons], (n, 1))
    charge = drift(packets, 1000.0, 0.01, 0.01, 0.55, gain, theta, rng())[:, 3]
    assert charge.mean() == pytest.approx(electrons * gain, rel=0.02)
    assert charge.var() / charge.mean() ** 2 == pytest.approx(1 / (1 + theta) / electrons, rel=0.05)


def test_the_response_peaks_where_its_formula_does() -> None:
    found = minimize_scalar(lambda t: -np.exp(-3 * t) * t**3 * np.sin(t), bounds=(0.5, 2.0), method="bounded")
    assert pytest.approx(found.x, abs=1e-5) == PEAK_TIME
    assert shape(np.array([PEAK_TIME]))[0] == pytest.approx(1.0)
    assert shape(np.array([-1.0, 0.0])).tolist() == [0.0, 0.0]
    assert shape(np.array([4.0]))[0] < 0  # the undershoot of sin(t) after π


@pytest.mark.parametrize("time", [100.0, 100.37, -3.2, 505.9, 700.0, -900.0])
def test_a_charge_gives_the_formula_sampled_at_whole_buckets(time: float) -> None:
    shaping, frequency, full = 1000.0, 6.25, 900.0
    charge = 0.5 * full * 1e-15 / ELECTRON  # half the range
    trace = np.zeros(512, np.float32)
    add_pulse(trace, time, charge, response(shaping, frequency, full).samples)
    t = (np.arange(512) - time) / (shaping * 1e-3 * frequency)
    expected = np.where(t > 0, np.exp(-3 * t) * t**3 * np.sin(t), 0.0)
    expected *= 0.5 * 4095 / (np.exp(-3 * PEAK_TIME) * PEAK_TIME**3 * np.sin(PEAK_TIME))
    # arrival times are rounded to 1/32 of a bucket: at most 1/64 of it times the steepest slope
    np.testing.assert_allclose(trace, expected, atol=np.abs(np.gradient(expected)).max() / 64 + 0.5)


def test_pulses_add_up_pad_by_pad() -> None:
    source = rng()
    n, n_pads = 300, 40
    pads = source.integers(-1, n_pads // 2, n).astype(np.int32)
    times, charges = source.uniform(-50, 560, n), source.exponential(1e4, n)
    offsets, gains = source.normal(0, 0.3, n_pads), source.normal(1, 0.05, n_pads)
    samples = response(1000.0, 6.25, 900.0).samples
    hit, traces = collect(pads, times, charges, offsets, gains, samples, 512)
    assert hit.tolist() == list(dict.fromkeys(pads[pads >= 0].tolist()))
    for pad, trace in zip(hit, traces, strict=True):
        naive = np.zeros(512)
        for index in np.flatnonzero(pads == pad):
            single = np.zeros(512, np.float32)
            add_pulse(single, times[index] + offsets[pad], charges[index] * gains[pad], samples)
            naive += single
        np.testing.assert_allclose(trace, naive, rtol=1e-4, atol=1e-3)


def test_a_pulse_s_area_measures_its_charge_whatever_its_phase() -> None:
    samples = response(1000.0, 6.25, 900.0).samples
    areas = []
    for time in np.linspace(50.0, 51.0, 17):
        trace = np.zeros(512, np.float32)
        add_pulse(trace, time, 1e5, samples)
        areas.append(trace.sum())
    assert np.ptp(areas) < 1e-3 * np.mean(areas)
