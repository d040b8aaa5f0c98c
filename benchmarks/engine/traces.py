"""GET and FRIBDAQ traces around given hits, by this file alone: nothing of the library's own simulation is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
N_SAMPLES, ADC_RANGE, N_PADS = 512, 4095, 10240
ELECTRON = 1.602176634e-4  # fC
BASELINE, BASELINE_SPREAD, WHITE_NOISE = 340.0, 25.0, 4.0  # ADC
SLOW_WAVE, SLOW_PERIODS = 15.0, (60.0, 400.0)  # ADC at most; TB
NOISE_PADS, NOISE_HEIGHT = 15, 150.0  # an event; mean, ADC
READ_OUT = 30.0  # ADC that a pad's pulse must exceed
FRIB_SAMPLES, FRIB_CHANNELS, FRIB_FREQUENCY = 2048, 8, 12.5
FRIB_BASELINE, FRIB_NOISE, FRIB_SHAPING = 300.0, 3.0, 6.0  # ADC, ADC, FRIB TB
BEAM, BEAM_SPREAD, CONTAMINANT, TRIGGER = 1100.0, 0.03, 700.0, 1200  # ADC, relative, ADC, FRIB TB


def response(time: Array) -> Array:
    """exp(−3t)·t³·sin(t), t in shaping times, 0 where that is negative."""
    t = np.clip(time, 0.0, np.pi)
    return np.asarray(np.exp(-3.0 * t) * t**3 * np.sin(t))


_FINE = np.linspace(0.0, np.pi, 100_001)
PEAK = float(_FINE[np.argmax(response(_FINE))])  # shaping times
PLACES: dict[str, Callable[[Array], Array]] = {
    "middle": lambda times: np.floor(times) + 0.5,
    "begin": np.floor,
    "random": lambda times: times,
}


@dataclass(frozen=True)
class Amplifier:
    """`adc`: ADC of an electron (after the gas gain) where the response is 1; `shaping` time [TB]."""

    adc: float
    shaping: float

    def pulses(self, rows: NDArray[np.int64], times: Array, electrons: Array, n_rows: int) -> Array:
        """Sums (n_rows, 512) [ADC] of pulses that peak at `times` [TB]."""
        samples = np.zeros((n_rows, N_SAMPLES + 2 * self._length))
        start = times - PEAK * self.shaping
        first = np.ceil(start).astype(np.int64)
        for step in range(self._length):
            place = first + step
            heights = self.adc * electrons * response((place - start) / self.shaping)
            kept = (place >= -self._length) & (place < N_SAMPLES + self._length)
            np.add.at(samples, (rows[kept], place[kept] + self._length), heights[kept])
        return samples[:, self._length : self._length + N_SAMPLES]

    @property
    def _length(self) -> int:
        return int(np.ceil(np.pi * self.shaping)) + 1


def amplifier(amplifier_range: float, shaping_time: float, frequency: float) -> Amplifier:
    """From the charge of the whole range [fC], the shaping time [ns], and the frequency [MHz]."""
    return Amplifier(ADC_RANGE * ELECTRON / amplifier_range, 1e-3 * shaping_time * frequency)


def pad_rows(pads: NDArray[np.int64], pulses: Array, chips: Amplifier, rng: np.random.Generator) -> NDArray[np.int16]:
    """What GET writes (n, 517) of an event: pads with a pulse above the threshold, and those that fire at random."""
    seen = pulses.max(axis=1, initial=0.0) > READ_OUT
    random = np.setdiff1d(rng.choice(N_PADS, NOISE_PADS, replace=False), pads[seen])
    heights = READ_OUT + rng.exponential(NOISE_HEIGHT, len(random))
    spurious = chips.pulses(
        np.arange(len(random)),
        rng.uniform(0.0, N_SAMPLES, len(random)),
        heights / (chips.adc * response(np.array([PEAK]))[0]),
        len(random),
    )
    numbers = np.concatenate([pads[seen], random])
    traces = np.concatenate([pulses[seen], spurious])
    order = np.argsort(numbers)
    rows = np.zeros((len(numbers), 5 + N_SAMPLES), np.int16)
    rows[:, 4] = numbers[order]
    address = numbers[order]
    for place, size in ((3, 64), (2, 4), (1, 4), (0, 10)):
        rows[:, place] = address % size
        address = address // size
    rows[:, 5:] = np.clip(np.rint(traces[order] + noise(len(numbers), rng)), 0, ADC_RANGE)
    return rows


def noise(n: int, rng: np.random.Generator) -> Array:
    """Baseline, one slow wave and white noise of n channels (n, 512) [ADC]."""
    shortest, longest = np.log(SLOW_PERIODS).tolist()
    period = np.exp(rng.uniform(shortest, longest, (n, 1)))
    phase, height = rng.uniform(0.0, 2 * np.pi, (n, 1)), rng.uniform(0.0, SLOW_WAVE, (n, 1))
    waves = height * np.sin(2 * np.pi * np.arange(N_SAMPLES) / period + phase)
    return np.asarray(rng.normal(BASELINE, BASELINE_SPREAD, (n, 1)) + waves + rng.normal(0, WHITE_NOISE, waves.shape))


def ion_chamber(beam: Sequence[tuple[float, float]], rng: np.random.Generator) -> NDArray[np.uint16]:
    """The block 1903 (2048, 8); `beam` has (time after the trigger [FRIB TB], height [ADC]) of each particle."""
    samples = rng.normal(FRIB_BASELINE, FRIB_NOISE, (FRIB_SAMPLES, FRIB_CHANNELS))
    buckets = np.arange(FRIB_SAMPLES)
    for delay, height in beam:
        t = np.clip((buckets - TRIGGER - delay) / FRIB_SHAPING + 1.0, 0.0, None)
        samples[:, 0] += height * t * np.exp(1.0 - t)
    return np.clip(np.rint(samples), 0, 65535).astype(np.uint16)
