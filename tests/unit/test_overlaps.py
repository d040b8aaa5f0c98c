"""Pulses that overlap are told apart, and charge that arrives over many buckets becomes points along it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from spyral_core.phases.whole_pulses import track_of
from spyral_core.signal import overlaps, pulses
from spyral_core.signal.response_table import look_up, response_table
from spyral_core.signal.restore import TOP
from spyral_core.simulate.response import shape

Array = NDArray[np.float64]
SHAPING = 6.25
AREA = 1.30643 * SHAPING


def section(**changes: float) -> SimpleNamespace:
    usual = {"baseline_window_scale": 20.0, "peak_separation": 50.0, "peak_prominence": 20.0, "peak_max_width": 50.0}
    return SimpleNamespace(**usual | {"peak_threshold": 40.0, "shaping_time": SHAPING} | changes)


PADS = pulses.pad_settings(section())


def charge(height: float, time: float, length: float, rng: np.random.Generator, spread: float = 1.4) -> Array:
    """A trace of charge that arrives over `length` TB around one at which its pulse has its maximum at `time`."""
    number = 100 + int(40 * length)
    arrivals = time - TOP * SHAPING + length * (rng.random(number) - 0.5) + spread * rng.normal(size=number)
    charges = rng.gamma(1.5, size=number)
    response = np.zeros(512)
    for arrival, part in zip(arrivals, charges * height / charges.sum(), strict=True):
        response += part * shape((np.arange(512) - arrival) / SHAPING)
    return response


def found_in(
    *signals: Array, noise: float, rng: np.random.Generator, chosen: pulses.PulseSettings = PADS
) -> pulses.Pulses:
    block = [np.clip(np.round(340 + signal + noise * rng.normal(size=512)), 0, 4095) for signal in signals]
    return pulses.find_pulses(np.array(block).astype(np.int16), chosen)


@pytest.mark.parametrize(("distance", "charge_error"), [(12.0, 0.08), (16.0, 0.06), (25.0, 0.06), (45.0, 0.06)])
@pytest.mark.parametrize("ratio", [1.0, 0.3])
def test_pulses_nearer_than_the_separation_are_told_apart(distance: float, charge_error: float, ratio: float) -> None:
    """Times and charges are those of the pulses by themselves: today's rules see the higher one of them only."""
    rng = np.random.default_rng(int(10 * distance + ratio))
    one = [charge(900.0, 200 + rng.uniform(), 2.0, rng) for _ in range(40)]
    other = [charge(900.0 * ratio, 200 + distance + rng.uniform(), 2.0, rng) for _ in range(40)]
    alone = [found_in(*signals, noise=4.0, rng=rng) for signals in (one, other)]
    both = found_in(*(a + b for a, b in zip(one, other, strict=True)), noise=4.0, rng=rng)
    assert both.trace.tolist() == np.repeat(np.arange(40), 2).tolist()
    assert both.pulse.tolist() == list(range(80))
    for k in range(2):
        error = both.integral[k::2] / alone[k].integral - 1
        assert 0.0 < np.median(error) < 0.05  # the baseline under single pulses is a little high
        assert np.percentile(np.abs(error), 80) < charge_error
        assert np.percentile(np.abs(both.time[k::2] - alone[k].time), 80) < 0.5


@pytest.mark.parametrize("noise", [4.0, 8.0])
@pytest.mark.parametrize("heights", [(60, 400), (400, 3000), (4200, 9000)])
def test_single_pulses_stay_single(noise: float, heights: tuple[int, int]) -> None:
    rng = np.random.default_rng(9)
    signals = []
    for _ in range(150):
        height = np.exp(rng.uniform(*np.log(heights)))
        signals.append(charge(height, rng.uniform(60, 440), rng.uniform(0, 4), rng, rng.uniform(0.5, 2.0)))
    found = found_in(*signals, noise=noise, rng=rng)
    assert found.trace.tolist() == list(range(150))


def test_a_ramp_of_charges_is_followed() -> None:
    """Over 30 and 60 buckets: the charges of its points add up, and they lie where it came."""
    rng = np.random.default_rng(10)
    for length in (30, 60):
        single = [charge(6000.0 * 30 / (30 + k), 150.0 + k, 0.0, rng) / 30 for k in range(length)]
        found = found_in(np.sum(single, axis=0), noise=4.0, rng=rng)
        assert set(found.pulse) == {0}
        assert len(found.time) >= max(2, length // 20)
        true = np.sum(single) / AREA
        assert found.integral.sum() / AREA == pytest.approx(true, rel=0.03)
        assert (np.diff(found.time) > 5).all()
        weights = np.array([part.sum() for part in single])
        mean = ((150.0 + np.arange(length)) * weights).sum() / weights.sum()
        assert np.average(found.time, weights=found.integral) == pytest.approx(mean, abs=0.02 * length)
        assert 150 - 3 < found.time.min() < found.time.max() < 150 + length + 3


def test_a_long_plateau_is_not_lost() -> None:
    rng = np.random.default_rng(11)
    found = found_in(charge(10_000.0, 250.0, 90.0, rng), charge(60_000.0, 250.0, 60.0, rng), noise=4.0, rng=rng)
    plateau, saturated = (found.time[found.trace == k] for k in range(2))
    assert len(plateau) >= 4
    assert 205 < plateau.min() < 230
    assert 270 < plateau.max() < 295
    assert len(saturated) >= 3
    assert found.saturated[found.trace == 1].all()
    assert not found.saturated[found.trace == 0].any()


def test_small_pulses_on_a_slow_wave_are_not_lost() -> None:
    rng = np.random.default_rng(12)
    wave = 6 * np.sin(2 * np.pi * np.arange(512) / 110)
    signals = [wave + charge(70.0, 200.0, 0.0, rng) for _ in range(60)]
    assert len(set(found_in(*signals, noise=4.0, rng=rng).trace)) >= 58


def test_a_pulse_on_the_flank_of_a_saturated_one() -> None:
    rng = np.random.default_rng(13)
    found = found_in(charge(6000.0, 200.0, 1.0, rng) + charge(600.0, 225.0, 1.0, rng), noise=4.0, rng=rng)
    assert found.saturated.tolist() == [1, 0]
    assert found.time == pytest.approx([200.0, 225.0], abs=1.0)
    assert found.integral[1] == pytest.approx(600 * AREA, rel=0.15)


def test_what_is_not_understood_stays_as_it_was() -> None:
    """Nine pulses near each other are no sum of responses that is believed, so the plain rules hold."""
    rng = np.random.default_rng(14)
    comb = np.sum([charge(500.0, 60.0 + 35 * k, 0.0, rng) for k in range(9)], axis=0)
    plain = found_in(comb, noise=0.0, rng=rng, chosen=PADS._replace(shaping=0.0))
    found = found_in(comb, noise=0.0, rng=rng)
    assert found.time.tolist() == plain.time.tolist()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    hnp.arrays(np.int16, (2, 130), elements=st.sampled_from([-32768, 0, 340, 341, 500, 4095, 32767])),
    st.sampled_from([0.05, 0.7, 6.25, 200.0]),
)
def test_wild_traces_and_shaping_times(block: NDArray[np.int16], shaping: float) -> None:
    found = pulses.find_pulses(block, PADS._replace(separation=1.0, shaping=shaping, max_pulses=99))
    assert all(np.isfinite(column).all() for column in found)
    assert ((found.time >= 0) & (found.time <= 129)).all()
    assert (np.diff(found.pulse) >= 0).all()


@settings(deadline=None, max_examples=200, derandomize=True)
@given(hnp.arrays(np.float64, st.integers(2, 30), elements=st.integers(-3, 9).map(float)), st.integers(-4, 9))
def test_outermost_samples_over_a_level(signal: Array, level: int) -> None:
    left, right = overlaps.outermost(signal, float(level))
    over = np.flatnonzero(signal > level)
    if len(over):
        assert (left, right) == (max(over[0] - 1, 0), over[-1] + 1)
    assert 0 <= left < right <= len(signal)


def test_samples_are_shared_as_the_components_stand_to_each_other() -> None:
    rng = np.random.default_rng(15)
    table = response_table()
    parts = np.array([[500.0, 10.2, 0.1], [300.0, 17.0, 0.05], [200.0, 30.0, 0.2]])
    signal, shares = rng.uniform(-5, 500, 60), np.empty((2, 60))
    overlaps.share_out(signal, parts, np.array([0, 0, 1]), SHAPING, table, shares)
    for i in range(60):
        own = [max(h * look_up(table, (i - t) / SHAPING, v)[0], 0.0) for h, t, v in parts]
        expected = [own[0] + own[1], own[2]]
        if sum(own) > 0:
            np.testing.assert_allclose(shares[:, i], signal[i] * np.array(expected) / sum(own), atol=1e-9)
        else:
            assert (shares[:, i] == 0).all()


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    hnp.arrays(np.float64, st.integers(4, 90), elements=st.floats(1.0, 500.0)), st.floats(0.0, 90.0),
    st.floats(1.0, 90.0), st.integers(1, 12), st.floats(0.0, 600.0),
)  # fmt: skip
def test_slices_hold_all_charge(signal: Array, middle: float, duration: float, slices: int, least: float) -> None:
    out = np.empty((12, 5))
    number = overlaps.cut(signal, middle, duration, slices, least, out)
    assert 1 <= number <= slices
    places, heights, sums = out[:number, :3].T
    assert sums.sum() == pytest.approx(signal.sum())
    assert (places * sums).sum() == pytest.approx((np.arange(signal.size) * signal).sum())
    assert heights.max() == signal.max()
    assert (np.diff(places) > 0).all()
    assert number == 1 or (heights > least).all()


def test_the_noise_of_a_trace() -> None:
    rng = np.random.default_rng(16)
    for noise in (3.0, 8.0):
        signal = noise * rng.normal(size=512) + charge(2000.0, 200.0, 5.0, rng)
        assert overlaps.noise_of(signal, 60.0) == pytest.approx(noise, rel=0.15)
    assert overlaps.noise_of(np.full(512, 1e4), 60.0) == 1.0


def test_slices_of_a_pulse_are_one_point_of_the_fit() -> None:
    points = {
        "x": np.array([0.0, 1.0, 0.0, 3.0, 0.0]), "y": np.array([5.0, 6.0, 5.0, 8.0, 5.0]),
        "z": np.array([10.0, 20.0, 30.0, 40.0, 50.0]), "charge": np.array([1.0, 7.0, 2.0, 8.0, 1.0]),
        "scale": np.array([1.0, 0.5, 1.0, 0.5, 1.0]), "pad": np.array([4, 5, 4, 6, 4], np.int32),
        "pulse": np.array([9, 2, 9, 3, 9], np.int32),
    }  # fmt: skip
    track = track_of(points)
    assert track.pads.tolist() == [4, 5, 6]
    assert track.charge.tolist() == [4.0, 7.0, 8.0]
    np.testing.assert_allclose(track.points, [[0, 5, 30], [1, 6, 20], [3, 8, 40]])
    assert track.scale.tolist() == [1.0, 0.5, 0.5]
    same = track_of(points | {"pulse": np.arange(5)})
    assert np.array_equal(same.charge, points["charge"])
    assert np.array_equal(same.points[:, 2], points["z"])
