"""Response of the GET electronics: charge on a pad to samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from spyral_core.compiled import kernel

N_SAMPLES = 512
ADC_RANGE = 4095
FEMTOCOULOMB = 1.602176634e-4  # charge of an electron [fC], exact (SI)
PHASES = 32  # arrival times are resolved to this part of a time bucket
QUADRATURE = 60  # places at which the response is asked for
LEAST_WIDTH = 1e-3  # of charges, in shaping times: those arrive at once
LASTING = 7.0  # shaping times after which the response is below 1e-5 of its maximum


def shape(time: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """exp(−3t)·t³·sin(t) over its maximum, 0 before t = 0; t in shaping times.

    Source: NIM A (2016), 10.1016/j.nima.2016.09.018.
    """
    t = np.maximum(np.asarray(time, dtype=np.float64), 0.0)
    maximum = np.exp(-3 * PEAK_TIME) * PEAK_TIME**3 * np.sin(PEAK_TIME)
    return np.asarray(np.exp(-3 * t) * t**3 * np.sin(t) / maximum)


def _peak_time() -> float:
    """Time of the maximum, in shaping times: 3/t + cot(t) = 3 by Newton's method."""
    t = 1.2
    for _ in range(20):
        t -= (3 / t + 1 / np.tan(t) - 3) / (-3 / t**2 - 1 / np.sin(t) ** 2)
    return float(t)


PEAK_TIME = _peak_time()


def peak_delay(variance: float, shaping_time: float) -> float:
    """How much later a pulse has its maximum when its charge arrives spread in time, with this variance, than at once.

    The response falls more slowly than it rises. Any one unit of time for the shaping time and the result, squared for
    the variance.
    """
    width = np.sqrt(variance) / shaping_time
    places, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)

    def slope(t: float) -> float:
        """Of the response, folded with the normal distribution: that of the normal distribution times the response."""
        return float(weights @ (places * shape(t + width * places)))

    if width < LEAST_WIDTH:
        return 0.0
    return float(shaping_time * (brentq(slope, PEAK_TIME - width, PEAK_TIME + width) - PEAK_TIME))


@dataclass(frozen=True)
class Response:
    """The response to one electron [ADC], sampled.

    `samples[phase, k]` is the value k buckets after the bucket in which a charge arrives, `phase`/PHASES of a bucket
    after that bucket's start; `peak` is the time from the arrival to the maximum [TB].
    """

    samples: NDArray[np.float32]
    peak: float


def response(shaping_time: float, frequency: float, amplifier_range: float) -> Response:
    """The response for a shaping time [ns], sampling frequency [MHz] and range [fC over 4095 ADC]."""
    buckets = shaping_time * 1e-3 * frequency
    n = int(np.ceil(LASTING * buckets)) + 2
    late = np.arange(PHASES)[:, None] / PHASES
    amplitude = FEMTOCOULOMB / amplifier_range * ADC_RANGE
    samples = amplitude * shape((np.arange(n)[None, :] - late) / buckets)
    return Response(samples.astype(np.float32), PEAK_TIME * buckets)


@kernel
def add_pulse(trace: NDArray[np.float32], time: float, charge: float, samples: NDArray[np.float32]) -> None:
    """Add the response to `charge` [e] arriving at `time` [TB] to a trace (n_samples,); parts outside are lost."""
    fine = int(np.floor(time * PHASES + 0.5))
    first = fine // PHASES
    phase = fine - first * PHASES
    low = max(0, -first)
    high = min(samples.shape[1], len(trace) - first)
    scale = np.float32(charge)
    for k in range(low, high):
        trace[first + k] += scale * samples[phase, k]


@kernel
def collect(
    pads: NDArray[np.int32],
    times: NDArray[np.float64],
    charges: NDArray[np.float64],
    offsets: NDArray[np.float64],
    gains: NDArray[np.float64],
    samples: NDArray[np.float32],
    n_samples: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The pads hit, in order of first hit, and the pulses (n_hit, n_samples) [ADC] on them.

    `pads`, `times` [TB], `charges` [e]: (n,), pad −1 is outside. `offsets` [TB] and `gains` are those of all pads.
    """
    slots = np.full(len(offsets), -1, np.int32)
    hit = np.empty(len(offsets), np.int32)
    n = 0
    for pad in pads:
        if pad >= 0 and slots[pad] < 0:
            slots[pad] = n
            hit[n] = pad
            n += 1
    traces = np.zeros((n, n_samples), np.float32)
    for index in range(len(pads)):
        pad = pads[index]
        if pad >= 0:
            add_pulse(traces[slots[pad]], times[index] + offsets[pad], charges[index] * gains[pad], samples)
    return hit[:n].copy(), traces
