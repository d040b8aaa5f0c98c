"""Simulated traces look as measured ones do: noise alike on a chip, outlier, saturation with its tail, bad pads."""

from __future__ import annotations

import numpy as np
import pytest

from spyral_core.config.simulation import SimulatedElectronics
from spyral_core.detector.pads import builtin
from spyral_core.simulate import ion_chamber
from spyral_core.simulate.electronics import (
    PadElectronics,
    digitise,
    pad_electronics,
    read_out,
    sines,
    spurious_pulses,
    wiring,
)
from spyral_core.simulate.response import PEAK_TIME, peak_delay, shape

QUIET = {"white_noise": 0.0, "slow_noise": 0.0, "first_sample_spread": 0.0, "baseline_spread": 0.0}


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def settings(**values: object) -> SimulatedElectronics:
    return SimulatedElectronics.model_validate(values)


def channels(of: SimulatedElectronics, seed: int = 1) -> PadElectronics:
    return pad_electronics(of, builtin(), 6.25, 1.0, rng(0), rng(seed))


def traces(pulses: np.ndarray, **values: object) -> np.ndarray:
    """Samples of pulses on the first pads, none left out."""
    of = settings(**{"threshold": 0.0, **values})
    rows = read_out(np.arange(len(pulses), dtype=np.int32), pulses.astype(np.float32), channels(of), of, rng())
    return rows[np.argsort(rows[:, 4])][:, 5:]


def test_every_pad_has_a_channel_of_its_own_and_none_is_a_noise_channel() -> None:
    address = wiring(builtin())
    assert len({tuple(row) for row in address.tolist()}) == len(address) == 10240
    assert address.min(axis=0).tolist() == [0, 0, 0, 0]
    assert address.max(axis=0).tolist() == [9, 3, 3, 67]
    assert not np.isin(address[:, 3], [11, 22, 45, 56]).any()


def test_the_channels_of_a_chip_are_neighbours_on_the_pad_plane() -> None:
    pads, of = builtin(), settings()
    chip = channels(of).chip
    for number in range(0, 160, 16):
        mine = chip == number
        assert mine.sum() == 64
        assert np.hypot(pads.x[mine] - pads.x[mine].mean(), pads.y[mine] - pads.y[mine].mean()).mean() < 60


def test_gains_and_times_spread_as_configured() -> None:
    pads, of = builtin(), settings()
    made = channels(of)
    small = pads.scale < 0.75
    assert made.gain.std() == pytest.approx(of.gain_spread, rel=0.05)
    assert made.offset[small].std() == pytest.approx(of.time_spread_small * 6.25e-3, rel=0.05)
    assert made.offset[~small].std() == pytest.approx(of.time_spread_big * 6.25e-3, rel=0.05)


def test_the_detector_stays_and_bad_pads_change_from_run_to_run() -> None:
    of = settings()
    first, second = channels(of, 1), channels(of, 2)
    assert np.array_equal(first.gain, second.gain) and np.array_equal(first.baseline, second.baseline)
    assert not np.array_equal(first.noisy, second.noisy)


def test_noise_has_its_size_and_is_alike_on_one_chip_only() -> None:
    of = settings(white_noise=4.0, slow_noise=15.0, threshold=-0.0)
    made = channels(of)
    chip = made.chip
    chosen = np.flatnonzero(np.isin(chip, [0, 1])).astype(np.int32)
    pulses = np.zeros((len(chosen), 512), np.float32)
    pulses[:, 500:] = 500.0  # so that all are read out
    within, between, white = [], [], []
    for seed in range(20):
        rows = read_out(chosen, pulses, made, of, rng(seed))
        samples = rows[:, 5 + 1 : 5 + 480].astype(float)
        samples -= samples.mean(axis=1, keepdims=True)
        mine = chip[rows[:, 4]] == 0
        slow = np.array([np.convolve(row, np.ones(25) / 25, "valid") for row in samples])
        within.append(np.corrcoef(slow[mine][:2])[0, 1])
        between.append(np.corrcoef(slow[mine][0], slow[~mine][0])[0, 1])
        white.append((np.diff(samples, axis=1).std()) / np.sqrt(2))
    assert np.median(within) > 0.7
    assert abs(np.mean(between)) < 0.5
    assert np.mean(white) == pytest.approx(4.0, rel=0.05)


def test_waves_are_sums_of_sines() -> None:
    source = rng()
    amplitude, step, phase = source.random((5, 3)), source.random((5, 3)) * 0.3, source.random((5, 3)) * 6
    naive = (amplitude[..., None] * np.sin(step[..., None] * np.arange(512) + phase[..., None])).sum(axis=1)
    np.testing.assert_allclose(sines(amplitude, step, phase, 512), naive, atol=1e-5)


def test_charge_spread_in_time_peaks_later() -> None:
    times = np.linspace(0.0, 6.0, 60_001)
    for sigma in (0.0, 0.05, 0.1, 0.3, 0.6):
        offsets = np.linspace(-6, 6, 401)
        weights = np.exp(-0.5 * offsets**2)
        spread = sum(weight * shape(times - sigma * offset) for weight, offset in zip(weights, offsets, strict=True))
        assert times[np.argmax(spread)] - PEAK_TIME == pytest.approx(peak_delay(sigma**2, 1.0), abs=2e-4)


def test_the_first_sample_is_an_outlier() -> None:
    pulses = np.zeros((4, 512))
    pulses[:, 100] = 500.0
    found = traces(pulses, **QUIET, first_sample=-25.0, baseline=340.0)
    assert np.all(found[:, 0] == 315) and np.all(found[:, 1] == 340)


def test_saturation_is_a_plateau_followed_by_a_slow_tail() -> None:
    pulses = np.zeros((2, 512))
    pulses[0, 100:110] = 20000.0
    pulses[1, 100:110] = 3000.0
    found = traces(pulses, **QUIET, baseline=340.0, tail_amplitude=90.0, tail_time=75.0)
    assert np.all(found[0, 100:110] == 4095)
    np.testing.assert_allclose(found[0, 110:] - 340, 90.0 * np.exp(-np.arange(402) / 75.0), atol=0.51)
    assert np.all(found[1, 110:] == 340)
    assert found.min() >= 0 and found.max() <= 4095


def test_digitising_agrees_with_its_slow_twin() -> None:
    source = rng()
    pulses = (source.exponential(800.0, (20, 64)) * source.integers(0, 4, (20, 64))).astype(np.float32)
    waves = source.normal(0, 10, (3, 64)).astype(np.float32)
    chips, coupling, baseline = source.integers(0, 3, 20), source.uniform(0.8, 1.2, 20), source.uniform(0, 600, 20)
    found = digitise(pulses, waves, chips, coupling, baseline, 0.0, 90.0, 0.9, -25.0, 0.0, rng())
    for row in range(20):
        tail = 0.0
        for sample in range(64):
            value = float(pulses[row, sample]) + baseline[row] + coupling[row] * float(waves[chips[row], sample]) + tail
            tail = 90.0 if value >= 4095 else 0.9 * tail
            if sample == 0:
                value = baseline[row] - 25.0
            assert abs(found[row, sample] - min(max(value, 0.0), 4095.0)) <= 0.5 + 1e-3


def test_only_pads_over_the_threshold_are_read_out_in_the_order_of_their_channels() -> None:
    of = settings(**QUIET, threshold=30.0)
    pulses = np.zeros((6, 512), np.float32)
    pulses[:, 200] = [29.0, 31.0, 0.0, 500.0, 5000.0, 29.4]
    pads = np.array([9000, 7000, 1, 5000, 300, 42], np.int32)
    rows = read_out(pads, pulses, channels(of), of, rng())
    assert sorted(rows[:, 4].tolist()) == [300, 5000, 7000]
    assert rows[:, :4].tolist() == sorted(rows[:, :4].tolist())
    assert rows.dtype == np.int16 and rows.shape[1] == 517


def test_noisy_pads_fire_in_nearly_every_event_and_flipped_ones_repeat_themselves() -> None:
    of = settings(noise_pads=10.0, noisy_pads=4, noisy_share=0.9, flipped_pads=3)
    made = channels(of)
    events = [spurious_pulses(of, made, 6.25, rng(seed)) for seed in range(400)]
    share = [np.mean([pad in pads for pads, _ in events]) for pad in made.noisy]
    np.testing.assert_allclose(share, 0.9, atol=0.07)
    assert np.mean([len(pads) for pads, _ in events]) == pytest.approx(10 + 3.6 + 3, rel=0.05)
    for pads, pulses in events:
        assert pads[-3:].tolist() == made.flipped.tolist()
        assert np.array_equal(pulses[-3:], made.flipped_pulses)
        assert np.all(pulses.max(axis=1) < 4095)
    assert not np.isin(np.concatenate([made.noisy, made.flipped]), np.flatnonzero(builtin().beam)).any()


def test_the_ion_chamber_shows_every_beam_particle_at_its_time() -> None:
    of = settings(frib_noise=0.0)
    record = ion_chamber.record(of, [(0.0, 1100.0), (300.0, 900.0)], np.zeros(2048), rng()).astype(float)
    assert record.shape == (2048, 8)
    trace = record[:, 0] - of.frib_baseline
    assert trace[:1250].argmax() == of.trigger_time_bucket and trace[1400:].argmax() == 100
    assert trace[:1250].max() == pytest.approx(1100, abs=10) and trace[1400:].max() == pytest.approx(900, abs=10)
    assert np.ptp(record[:, 2:]) == 0


def test_the_mesh_sees_every_electron() -> None:
    of = settings(frib_noise=0.0, mesh_gain=2.0)
    electrons = np.zeros(2048)
    electrons[1000] = 50.0
    mesh = ion_chamber.record(of, [], electrons, rng())[:, 1] - of.frib_baseline
    assert mesh[:1000].max() == 0 and mesh.max() == pytest.approx(100.0, rel=0.02)


def test_scalers_agree_with_the_events() -> None:
    triggers = [1] * 90 + [2] * 8 + [3] * 2
    rows = np.array(ion_chamber.scalers(triggers, 30, 100.0, 0.8, 1000.0, rng()))
    assert rows.shape == (4, 11)
    clock_free, clock_live, free, live, ic, mesh, *silicon, downscaled, ic_cfd = rows.T
    assert live.sum() == 100 and np.all(free >= live) and np.all(ic >= free) and np.array_equal(ic, ic_cfd)
    assert clock_free.tolist() == [300, 300, 300, 100] and np.all(clock_live <= clock_free)
    assert downscaled.sum() >= 10 and mesh.sum() >= 92
    assert not np.any(silicon)
