"""The baseline of a trace: a circular moving average of what is not a pulse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

PULSE_SIGMAS = 1.5


@kernel
def window_length(n_samples: int, window_scale: float) -> float:
    """Length of the moving average [samples]: `n_samples / window_scale`, at least one sample, at most the trace."""
    return min(max(n_samples / window_scale, 1.0), float(n_samples))


@kernel
def padding(n_samples: int, window_scale: float) -> int:
    """Samples that the moving average reaches to either side."""
    reach: int = math.floor((window_length(n_samples, window_scale) - 1.0) / 2.0) + 1
    return reach


@kernel
def repair_ends(samples: NDArray[Any], trace: NDArray[np.int64]) -> None:
    """Copy a trace; its first and last sample, which are outliers, become like their neighbours.

    `samples` (n,) integers, n ≥ 2; `trace` (n,) int64 is filled.
    """
    n = samples.size
    for i in range(n):
        trace[i] = samples[i]
    trace[0] = trace[1]
    trace[n - 1] = trace[n - 2]


@kernel
def subtract_baseline(
    trace: NDArray[np.int64], window_scale: float, deviation: NDArray[np.int64], signal: NDArray[np.float64]
) -> None:
    """Fill `signal` with `trace` minus its baseline.

    Samples over mean + 1.5 σ are replaced by the mean of the others; the baseline is the circular moving average of
    that over n / `window_scale` samples, a fractional length whose two end samples count in part. Its spectrum is
    that of multiplying by sinc(k / window_scale), k the integer frequency, but for what a box loses by being sampled.

    Sums are taken over integers, hence exact: (sample − mean of the rest) · (number of the rest).

    `trace` (n,) int64; `signal` (n,) float64; `deviation` (n + 2 `padding`,) int64 is scratch.
    """
    n = trace.size
    length = window_length(n, window_scale)
    reach = padding(n, window_scale)
    end_weight = 0.5 * (length - (2 * reach - 1))

    total = 0
    squares = 0
    for i in range(n):
        total += trace[i]
        squares += trace[i] * trace[i]
    limit = math.floor((total + PULSE_SIGMAS * math.sqrt(n * squares - total * total)) / n)

    rest = 0
    n_rest = 0
    for i in range(n):
        if trace[i] <= limit:
            rest += trace[i]
            n_rest += 1
    for i in range(n):
        deviation[reach + i] = trace[i] * n_rest - rest if trace[i] <= limit else 0
    for i in range(reach):
        deviation[i] = deviation[n + i]
        deviation[reach + n + i] = deviation[reach + i]

    mean = rest / n_rest
    scale = 1.0 / (length * n_rest)
    inside = 0
    for i in range(1, 2 * reach):
        inside += deviation[i]
    for i in range(n):
        left = deviation[i]
        right = deviation[i + 2 * reach]
        signal[i] = trace[i] - mean - (inside + end_weight * (left + right)) * scale
        inside += right - deviation[i + 1]


def scratch(n_samples: int, window_scale: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Arrays `trace`, `deviation`, `signal` for the kernels above."""
    return (
        np.empty(n_samples, np.int64),
        np.empty(n_samples + 2 * padding(n_samples, window_scale), np.int64),
        np.empty(n_samples, np.float64),
    )
