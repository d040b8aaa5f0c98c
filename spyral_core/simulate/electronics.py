"""The GET electronics: what the pads' pulses look like when they have been digitised and read out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.config.simulation import SimulatedElectronics
from spyral_core.detector.pads import PadPlane
from spyral_core.simulate.response import ADC_RANGE, N_SAMPLES, shape

N_COBOS, N_CHIPS, N_CHANNELS = 10, 160, 64
# The channels of an AGET chip that measure fixed-pattern noise: no pad is wired to them.
FPN_CHANNELS = (11, 22, 45, 56)
SMALLEST_GAIN = 0.2
N_WAVES = 3


@dataclass(frozen=True)
class PadElectronics:
    """What each pad's channel is like in one run; arrays of all pads.

    `address` (n, 4): cobo, asad, aget, channel. `gain`: factor; `offset` [TB]: added to arrival times; `baseline`
    [ADC]; `coupling`: factor on the chip's slow waves. `noisy`, `flipped`: pad numbers; `flipped_pulses` [ADC]
    (n_flipped, samples): what the flipped ones always show.
    """

    address: NDArray[np.int16]
    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    baseline: NDArray[np.float64]
    coupling: NDArray[np.float64]
    noisy: NDArray[np.int32]
    flipped: NDArray[np.int32]
    flipped_pulses: NDArray[np.float32]

    @property
    def chip(self) -> NDArray[np.int64]:
        """Number of each pad's AGET chip, 0 … 159."""
        cobo, asad, aget = self.address[:, 0].astype(np.int64), self.address[:, 1], self.address[:, 2]
        return cobo * 16 + asad * 4 + aget


def wiring(pads: PadPlane) -> NDArray[np.int16]:
    """A plausible electronics map: cobo, asad, aget, channel of each pad (n, 4).

    One of ten equal sectors in azimuth a CoBo, and in it 16 chips from the centre outwards, so that neighbouring
    channels are neighbouring pads. The real map is different; the analysis takes pad numbers, not channels.
    """
    azimuth, radius = np.arctan2(pads.y, pads.x), np.hypot(pads.x, pads.y)
    by_azimuth = np.lexsort((radius, azimuth))
    sector = np.empty(len(by_azimuth), np.int64)
    sector[by_azimuth] = np.arange(len(by_azimuth)) * N_COBOS // len(by_azimuth)
    by_chip = np.lexsort((azimuth, radius, sector))
    channels = np.setdiff1d(np.arange(N_CHANNELS + len(FPN_CHANNELS)), FPN_CHANNELS)
    place = np.arange(len(by_chip))
    chip = place // N_CHANNELS
    address = np.empty((len(by_chip), 4), np.int16)
    address[by_chip] = np.stack([chip // 16, chip // 4 % 4, chip % 4, channels[place % N_CHANNELS]], axis=1)
    return address


def pad_electronics(
    settings: SimulatedElectronics,
    pads: PadPlane,
    frequency: float,
    run_gain: float,
    detector_rng: np.random.Generator,
    run_rng: np.random.Generator,
) -> PadElectronics:
    """Draw the channels' properties: those of the detector (gain, offset, baseline) and those of the run (bad pads).

    `frequency` is that of the samples [MHz], `run_gain` a factor on all gains.
    """
    n = len(pads.x)
    gain = np.maximum(detector_rng.normal(1.0, settings.gain_spread, n), SMALLEST_GAIN) * run_gain
    spread = np.where(pads.scale < 0.75, settings.time_spread_small, settings.time_spread_big)
    offset = detector_rng.normal(0.0, 1.0, n) * spread * 1e-3 * frequency
    baseline = np.clip(detector_rng.normal(settings.baseline, settings.baseline_spread, n), 0.0, ADC_RANGE)
    coupling = detector_rng.uniform(0.8, 1.2, n)
    bad = run_rng.permutation(np.flatnonzero(~pads.beam))[: settings.noisy_pads + settings.flipped_pads]
    noisy, flipped = bad[: settings.noisy_pads].astype(np.int32), bad[settings.noisy_pads :].astype(np.int32)
    times = run_rng.uniform(50.0, N_SAMPLES - 50.0, len(flipped))
    heights = run_rng.uniform(300.0, 2000.0, len(flipped))
    return PadElectronics(
        address=wiring(pads),
        gain=gain,
        offset=offset,
        baseline=baseline,
        coupling=coupling,
        noisy=noisy,
        flipped=flipped,
        flipped_pulses=_pulses(times, heights, settings.shaping_time * 1e-3 * frequency),
    )


def _pulses(starts: NDArray[np.float64], heights: NDArray[np.float64], shaping: float) -> NDArray[np.float32]:
    """Pulses of given start [TB] and height [ADC], (n, samples)."""
    time = (np.arange(N_SAMPLES)[None, :] - starts[:, None]) / shaping
    return (heights[:, None] * shape(np.clip(time, 0.0, 8.0))).astype(np.float32)


def spurious_pulses(
    settings: SimulatedElectronics, channels: PadElectronics, frequency: float, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Pads that fire without charge in one event, and their pulses: random ones, noisy ones, flipped ones.

    A pad may come more than once.
    """
    n_random = int(rng.poisson(settings.noise_pads))
    firing = channels.noisy[rng.random(len(channels.noisy)) < settings.noisy_share]
    pads = np.concatenate([rng.integers(0, len(channels.gain), n_random, dtype=np.int32), firing])
    starts = rng.uniform(0.0, N_SAMPLES, len(pads))
    heights = settings.threshold + rng.exponential(settings.noise_amplitude, len(pads))
    pulses = _pulses(starts, heights, settings.shaping_time * 1e-3 * frequency)
    return np.concatenate([pads, channels.flipped]), np.concatenate([pulses, channels.flipped_pulses])


def slow_waves(settings: SimulatedElectronics, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise that the channels of a chip share (chips, samples) [ADC]: a few sines of random period and phase."""
    amplitude = settings.slow_noise * rng.random((N_CHIPS, 1)) * rng.dirichlet(np.ones(N_WAVES), N_CHIPS)
    shortest, longest = np.log(settings.slow_noise_shortest), np.log(settings.slow_noise_longest)
    period = np.exp(rng.uniform(shortest, longest, (N_CHIPS, N_WAVES)))
    phase = rng.uniform(0.0, 2.0 * np.pi, (N_CHIPS, N_WAVES))
    waves: NDArray[np.float32] = sines(amplitude, 2.0 * np.pi / period, phase, N_SAMPLES)
    return waves


@kernel
def sines(
    amplitude: NDArray[np.float64], step: NDArray[np.float64], phase: NDArray[np.float64], n_samples: int
) -> NDArray[np.float32]:
    """Sums (n, n_samples) of amplitude·sin(step·sample + phase), each (n, waves), by turning a unit vector."""
    sums = np.zeros((amplitude.shape[0], n_samples), np.float32)
    for row in range(amplitude.shape[0]):
        for wave in range(amplitude.shape[1]):
            x, y = np.cos(phase[row, wave]), np.sin(phase[row, wave])
            cosine, sine = np.cos(step[row, wave]), np.sin(step[row, wave])
            for sample in range(n_samples):
                sums[row, sample] += amplitude[row, wave] * y
                x, y = x * cosine - y * sine, x * sine + y * cosine
    return sums


@kernel
def digitise(
    pulses: NDArray[np.float32],
    waves: NDArray[np.float32],
    chips: NDArray[np.int64],
    coupling: NDArray[np.float64],
    baseline: NDArray[np.float64],
    white_noise: float,
    tail_amplitude: float,
    tail_decay: float,
    first_sample: float,
    first_sample_spread: float,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """Samples 0 … 4095 of traces: pulse + baseline + chip's wave + white noise, cut off, with the tail of saturation.

    `pulses` (n, samples) [ADC]; `chips`, `coupling`, `baseline` (n,); `waves` (chips, samples). The tail starts at
    `tail_amplitude` with the first sample after a saturated stretch and is multiplied by `tail_decay` from sample to
    sample; a new stretch starts it anew. The first sample is the baseline with its outlier.
    """
    samples = np.empty(pulses.shape, np.int16)
    for row in range(pulses.shape[0]):
        tail = 0.0
        for sample in range(pulses.shape[1]):
            noise = white_noise * rng.standard_normal() + coupling[row] * waves[chips[row], sample]
            value = pulses[row, sample] + baseline[row] + noise + tail
            if value >= ADC_RANGE:
                value = float(ADC_RANGE)
                tail = tail_amplitude
            else:
                tail *= tail_decay
            samples[row, sample] = int(np.floor(max(value, 0.0) + 0.5))
        first = baseline[row] + first_sample + first_sample_spread * rng.standard_normal()
        samples[row, 0] = int(np.floor(min(max(first, 0.0), float(ADC_RANGE)) + 0.5))
    return samples


def read_out(
    pads: NDArray[np.int32],
    pulses: NDArray[np.float32],
    channels: PadElectronics,
    settings: SimulatedElectronics,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """Pulses (n, samples) on different pads (n,) to the rows (m, 5 + samples) that are read out.

    A row is cobo, asad, aget, channel, pad and the samples; rows come in the order of the channels.
    """
    order = np.lexsort(tuple(channels.address[pads].T[::-1]))
    pads = pads[order]
    baseline = channels.baseline[pads]
    samples = digitise(
        pulses[order],
        slow_waves(settings, rng),
        channels.chip[pads],
        channels.coupling[pads],
        baseline,
        settings.white_noise,
        settings.tail_amplitude,
        float(np.exp(-1.0 / settings.tail_time)),
        settings.first_sample,
        settings.first_sample_spread,
        rng,
    )
    taken = samples[:, 1:].max(axis=1, initial=0) > baseline + settings.threshold
    address = np.column_stack([channels.address[pads], pads.astype(np.int16)])
    return np.hstack([address[taken], samples[taken]])
