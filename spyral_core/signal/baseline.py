"""The baseline of a trace: a circular moving average of what is not a pulse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

PULSE_SIGMAS = 1.5
HIGHEST = 2**31 - 1


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
def repair_ends(samples: NDArray[Any], trace: NDArray[np.int32]) -> None:
    """Copy a trace; its first and last sample, which are outliers, become like their neighbours.

    `samples` (n,) integers, n ≥ 2; `trace` (n,) int32 is filled.
    """
    n = samples.size
    for i in range(n):
        trace[i] = samples[i]
    trace[0] = trace[1]
    trace[n - 1] = trace[n - 2]


@kernel
def spread(trace: NDArray[np.int32]) -> int:
    """Highest minus lowest sample. No sample stands higher than this over the baseline, which is a mean of samples."""
    lowest = highest = trace[0]
    for i in range(trace.size):  # by index: numba does not vectorise over the samples themselves
        lowest = min(lowest, trace[i])
        highest = max(highest, trace[i])
    return int(np.int64(highest) - np.int64(lowest))


@kernel
def pulse_limit(trace: NDArray[np.int32]) -> int:
    """Samples over this belong to pulses: mean + 1.5 σ, rounded down, which for integers is the same."""
    n = trace.size
    total = 0
    squares = 0
    for i in range(n):
        total += trace[i]
        squares += np.int64(trace[i]) * trace[i]
    return math.floor((total + PULSE_SIGMAS * math.sqrt(n * squares - total * total)) / n)


@kernel
def subtract_baseline(
    trace: NDArray[np.int32], window_scale: float, sums: NDArray[Any], signal: NDArray[np.float64]
) -> None:
    """Fill `signal` with `trace` minus its baseline.

    Samples over mean + 1.5 σ are replaced by the mean of the others; the baseline is the circular moving average of
    that over n / `window_scale` samples, a fractional length whose two end samples count in part. Its spectrum is
    that of multiplying by sinc(k / window_scale), k the integer frequency, but for what a box loses by being sampled.

    Sums are taken over integers, hence exact: (sample − mean of the rest) · (number of the rest). Over the whole trace
    they add up to zero, so that `sums`, those of all samples before each, go round with the trace. In 32 bits they may
    wrap around, but the sum over a window is the difference of two of them, and fits (`scratch`).

    `trace` (n,) int32; `signal` (n,) float64; `sums` (n + 2 `padding` + 1,) is scratch.
    """
    n = trace.size
    length = window_length(n, window_scale)
    reach = padding(n, window_scale)
    limit = np.int32(min(pulse_limit(trace), HIGHEST))
    whole = sums.dtype.type
    rest = n_rest = whole(0)
    for i in range(n):
        rest = whole(rest + (trace[i] if trace[i] <= limit else 0))
        n_rest = whole(n_rest + (trace[i] <= limit))

    own = sums[reach : reach + n]
    for i in range(n):
        own[i] = whole(trace[i] * n_rest - rest) if trace[i] <= limit else whole(0)
    before = whole(0)
    for i in range(n):  # by itself: the loop above is done several samples at a time
        value = own[i]
        own[i] = before
        before = whole(before + value)
    for i in range(reach):
        sums[i] = sums[n + i]
    for i in range(reach + 1):
        sums[reach + n + i] = own[i]

    mean = rest / n_rest
    end_weight = 0.5 * (length - (2 * reach - 1))
    scale = 1.0 / (length * n_rest)
    # Slices, as numba does not vectorise over sums[i + reach], which may mean an index from the end.
    left, inner_left = sums[:n], sums[1 : n + 1]
    inner_right, right = sums[2 * reach : 2 * reach + n], sums[2 * reach + 1 : 2 * reach + 1 + n]
    for i in range(n):
        inside = whole(inner_right[i] - inner_left[i])
        ends = whole(inner_left[i] - left[i] + right[i] - inner_right[i])
        signal[i] = trace[i] - mean - (inside + end_weight * ends) * scale


def scratch(samples: NDArray[Any], window_scale: float) -> tuple[NDArray[np.int32], NDArray[Any], NDArray[np.float64]]:
    """Arrays `trace`, `sums`, `signal` for the kernels above, for traces like `samples` (…, n).

    Sums have 32 bits where that is enough for those over a window: of 512 samples of 16 bits up to 62 of them.
    """
    n_samples = samples.shape[-1]
    reach = padding(n_samples, window_scale)
    largest = (2 * reach + 1) * n_samples * np.iinfo(np.uint16).max
    enough = samples.dtype.itemsize <= 2 and largest <= HIGHEST
    return (
        np.empty(n_samples, np.int32),
        np.empty(n_samples + 2 * reach + 1, np.int32 if enough else np.int64),
        np.empty(n_samples, np.float64),
    )
