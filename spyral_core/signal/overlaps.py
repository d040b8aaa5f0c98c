"""Unusual traces: pulses that overlap, and charge that arrives over many samples.

A stretch of the trace is taken for a sum of responses (`components`). Components whose arrivals touch are one passage
of a track over the pad: one pulse, or slices of it if it lasts long. Every sample is shared among the passages as their
components stand to each other there, so that no charge is lost or counted twice.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.signal import peaks
from spyral_core.signal.components import MOST_COMPONENTS, apart, decompose, weights_of
from spyral_core.signal.response_table import LAG, RESPONSE_VARIANCE, look_up
from spyral_core.signal.restore import TOP, restore

MOST_SLICES = 40  # of a pulse
MOST_ROWS = 200  # of a trace
LONGEST_FIT = 10.0  # shaping times that are taken for a sum of responses
SHORT_FIT = 7.0  # shaping times that are, too, if they have but one maximum: longer ones are long pulses, no shoulders
LATER = 0.45  # how much later the response's maximum comes by the variance of the arrivals
WIDTH, WIDTH_VARIANCE = 2.44, 3.4  # of a pulse at EDGE of its height [shaping times]; its growth with the variance
EDGE = 0.05
FLOOR_SIGMAS, FLOOR = 2.5, 0.25  # of the noise, and of a pulse's threshold: pulses are looked for over this
BESIDE, FEWEST_BESIDE = 16, 4  # samples beside a stretch that tell its baseline
LARGEST_USUAL = 0.25  # variance of the arrivals of one pulse [shaping times²] beyond which a trace is unusual
LARGEST_RATIO = 1.79  # area over height there [shaping times]
DOUBT = 4.0  # standard deviations of noise on width and area
NOISE_SHARE = 0.1  # noise over the threshold of a pulse, before it is measured
VALLEY = 0.7  # of the lower component: only a lower sample tells that two stand apart
SLICE = 2.0  # shaping times
FEWEST_SLICES = 2


@kernel
def is_unusual(width: float, integral: float, height: float, shaping: float, threshold: float) -> bool:
    """Whether a pulse is wider than arrivals at one time make it: by its width at its foot, or by area over height."""
    noise = NOISE_SHARE * threshold
    if integral > height * shaping * LARGEST_RATIO + DOUBT * noise * math.sqrt(width):
        return True
    widest = shaping * (WIDTH + WIDTH_VARIANCE * LARGEST_USUAL) + 1.0
    return EDGE * height > DOUBT * noise and width > widest


@kernel
def noise_of(signal, threshold):  # type: ignore[no-untyped-def]
    """Standard deviation of a trace's noise, from differences of neighbouring samples outside of pulses; 1 at least."""
    total, number = 0.0, 0
    for i in range(1, signal.size):
        if abs(signal[i]) < 0.5 * threshold and abs(signal[i - 1]) < 0.5 * threshold:
            total += abs(signal[i] - signal[i - 1])
            number += 1
    return max(0.5 * math.sqrt(math.pi) * total / max(number, 1), 1.0)


@kernel
def restore_runs(trace, signal, ceiling, fewest, lost):  # type: ignore[no-untyped-def]
    """Restore all runs of `fewest` saturated samples or more, and tell by `lost` (n,) which samples these are."""
    for i in range(lost.size):
        lost[i] = False
    i = 0
    while i < trace.size:
        first, last = peaks.saturated_run(trace, i, ceiling)
        if last - first + 1 >= fewest:
            restore(signal, first, last)
            for k in range(first, last + 1):
                lost[k] = True
        i = max(last, i) + 1


@kernel
def separate(trace, signal, settings, fewest_saturated, candidates, table, out):  # type: ignore[no-untyped-def]
    """Pulses of a trace (n,) and its baseline-subtracted `signal`, whose pulses may overlap or last long.

    Rows of `out` (n, 5): time, amplitude, integral, saturated, pulse (slices of one share its number). Returns how many
    rows and pulses there are; 0 if they make no sense.
    """
    n, noise = signal.size, noise_of(signal, settings.threshold)
    floor = max(FLOOR_SIGMAS * noise, FLOOR * settings.threshold)
    begins, ends = np.empty(n, np.int64), np.empty(n, np.int64)
    number = find_stretches(signal, floor, settings.threshold, math.ceil(settings.shaping), begins, ends)
    for k in range(number):
        level_stretch(trace, signal, begins[k], ends[k], floor)
    lost = np.zeros(n, np.bool_)
    restore_runs(trace, signal, settings.ceiling, fewest_saturated, lost)
    rows, pulses = 0, 0
    own = np.empty((MOST_COMPONENTS * MOST_SLICES, 5))
    for k in range(number):
        begin, end = begins[k], ends[k]
        part, first, last = signal[begin:end], candidates[0], candidates[1]
        found = peaks.local_maxima(part, settings.threshold, first, last)
        more = stretch_pulses(part, lost[begin:end], noise, settings, first[:found], table, own) if found > 0 else 0
        if rows + more > MOST_ROWS:
            return 0, 0
        for i in range(more):
            time, charge = own[i, 0] + begin, own[i, 2]
            if not (0.0 <= time <= n - 1 and 0.0 < charge < math.inf):
                return 0, 0
            out[rows + i, 0], out[rows + i, 1], out[rows + i, 2] = time, own[i, 1], charge
            out[rows + i, 3], out[rows + i, 4] = own[i, 3], own[i, 4] + pulses
        if more > 0:
            pulses += int(own[more - 1, 4]) + 1
        rows += more
    return rows, pulses


@kernel
def find_stretches(signal, floor, threshold, beside, begins, ends):  # type: ignore[no-untyped-def]
    """Stretches over `floor` that reach over `threshold`, with `beside` samples more on both sides; how many.

    Those that meet are one. `begins`, `ends` (n,) int64 are filled; the ends do not belong to the stretches.
    """
    n, number, i = signal.size, 0, 0
    while i < n:
        begin, highest = i, 0.0
        while i < n and signal[i] > floor:
            highest = max(highest, signal[i])
            i += 1
        if highest > threshold:
            first, last = max(begin - beside, 0), min(i + beside, n)
            if number > 0 and first <= ends[number - 1]:
                ends[number - 1] = last
            else:
                begins[number], ends[number] = first, last
                number += 1
        i += 1
    return number


@kernel
def level_stretch(trace, signal, begin, end, floor):  # type: ignore[no-untyped-def]
    """Put samples `begin` … `end` − 1 of `signal` over the line between the samples of the trace on both sides.

    The moving average takes what stands low beside a high pulse for the baseline.
    """
    before, left, n_left = beside_stretch(trace, signal, begin - 1, -1, floor)
    behind, right, n_right = beside_stretch(trace, signal, end, 1, floor)
    if n_left < FEWEST_BESIDE and n_right < FEWEST_BESIDE:
        return
    if n_left < FEWEST_BESIDE:
        before, left = behind - 1.0, right
    elif n_right < FEWEST_BESIDE:
        behind, right = before + 1.0, left
    for i in range(begin, end):
        signal[i] = trace[i] - left - (right - left) * (i - before) / (behind - before)


@kernel
def beside_stretch(trace, signal, start, step, floor):  # type: ignore[no-untyped-def]
    """Mean place and value of the first BESIDE samples from `start` on that belong to no pulse; how many these are."""
    place, value, number = 0.0, 0.0, 0
    i = start
    while 0 <= i < signal.size and number < BESIDE and abs(i - start) < 3 * BESIDE:
        if abs(signal[i]) < 2.0 * floor:
            place += i
            value += trace[i]
            number += 1
        i += step
    return place / max(number, 1), value / max(number, 1), number


@kernel
def stretch_pulses(signal, lost, noise, settings, maxima, table, out):  # type: ignore[no-untyped-def]
    """Pulses of a stretch of a trace that has `maxima` (m,): rows of `out` as of `separate`; how many."""
    shaping, size = settings.shaping, signal.size
    components, shares = np.empty((MOST_COMPONENTS, 3)), np.empty((MOST_COMPONENTS, size))
    number = 0
    if size <= LONGEST_FIT * shaping:
        starts = np.empty((len(maxima), 2))
        n_starts = first_guesses(signal, noise, settings, maxima, starts)
        if n_starts > 1 or size <= SHORT_FIT * shaping:
            weight = np.empty(size)
            weights_of(signal, lost, noise, weight)
            number = decompose(signal, weight, starts, n_starts, settings.threshold, shaping, table, components)
    passage = np.zeros(max(number, 1), np.int64)
    for k in range(1, number):
        passage[k] = passage[k - 1] + int(are_apart(components[k - 1], components[k], signal, lost, shaping))
    n_passages = passage[-1] + 1
    share_out(signal, components[:number], passage, shaping, table, shares[:n_passages])
    rows = 0
    for k in range(n_passages):
        more = passage_rows(shares[k], lost, components[:number], passage, k, settings, out[rows:])
        for i in range(rows, rows + more):
            out[i, 4] = k
        rows += more
    return rows


@kernel
def are_apart(earlier, later, signal, lost, shaping):  # type: ignore[no-untyped-def]
    """Whether the arrivals of two components do not touch; beside saturated samples only a valley shows it."""
    if not apart(earlier, later, shaping):
        return False
    first, last = math.ceil(earlier[1] + TOP * shaping), math.floor(later[1] + TOP * shaping)
    lowest, hidden = math.inf, False
    for i in range(max(first, 0), min(last + 1, lost.size)):
        hidden = hidden or lost[i]
        if not lost[i]:
            lowest = min(lowest, signal[i])
    return not hidden or lowest < VALLEY * min(earlier[0], later[0])


@kernel
def first_guesses(signal, noise, settings, maxima, starts):  # type: ignore[no-untyped-def]
    """Height and arrival time of the highest of some `maxima`, and of those that stand out, into `starts`; how many."""
    highest = maxima[0]
    for peak in maxima:
        if signal[peak] > signal[highest]:
            highest = peak
    number = 0
    for peak in maxima:
        if peak == highest or peaks.prominence(signal, peak) >= max(settings.prominence, DOUBT * noise):
            starts[number, 0], starts[number, 1] = signal[peak], peak - TOP * settings.shaping
            number += 1
    return number


@kernel
def share_out(signal, components, passage, shaping, table, shares):  # type: ignore[no-untyped-def]
    """The samples that belong to each passage (k, n), in proportion to its components; all to one without any."""
    if len(shares) == 1:
        for i in range(signal.size):
            shares[0, i] = signal[i]
        return
    for i in range(signal.size):
        total = 0.0
        for k in range(len(shares)):
            shares[k, i] = 0.0
        for j in range(len(components)):
            value, _, _ = look_up(table, (i - components[j, 1]) / shaping, components[j, 2])
            value = max(components[j, 0] * value, 0.0)
            shares[passage[j], i] += value
            total += value
        for k in range(len(shares)):
            shares[k, i] = signal[i] * shares[k, i] / total if total > 0.0 else 0.0


@kernel
def passage_rows(signal, lost, components, passage, which, settings, out):  # type: ignore[no-untyped-def]
    """Rows of one passage, whose samples are `signal` (n,): one, or slices of about SLICE shaping times; how many."""
    shaping, top = settings.shaping, 0
    for i in range(signal.size):
        if signal[i] > signal[top]:
            top = i
    left, right = outermost(signal, EDGE * signal[top])
    charge, mean, square = 0.0, 0.0, 0.0
    saturated = False
    for i in range(left, right):
        charge += signal[i]
        mean += i * signal[i]
        square += i * i * signal[i]
        saturated = saturated or (lost[i] and signal[i] > 0.5 * signal[top])
    if not charge > 0.0:
        return 0
    mean /= charge
    if len(components) > 0:
        arrival, variance = arrivals(components, passage, which, shaping)
        time = arrival + shaping * (TOP + LATER * min(variance, LARGEST_USUAL))
    else:
        variance = max((square / charge - mean * mean) / shaping**2 - RESPONSE_VARIANCE, 0.0)
        time = mean - LAG * shaping
    duration = math.sqrt(12.0 * variance) * shaping
    slices = min(int(duration / (SLICE * shaping) + 0.5), MOST_SLICES)
    if slices < FEWEST_SLICES or right - left < 2 * slices:
        out[0, 0], out[0, 1], out[0, 2], slices = time, signal[top], charge, 1
    else:
        middle = time + LAG * shaping
        slices = cut(signal[left:right], middle - left, duration, slices, settings.threshold, out)
        for row in range(slices):
            out[row, 0] = min(max(out[row, 0] + left - LAG * shaping, float(left)), float(right))
    for row in range(slices):
        out[row, 3] = saturated
    return slices


@kernel
def arrivals(components, passage, which, shaping):  # type: ignore[no-untyped-def]
    """Mean [samples] and variance [shaping times²] of the arrivals of one passage's components."""
    total, mean, variance = 0.0, 0.0, 0.0
    for j in range(len(components)):
        if passage[j] == which:
            total += components[j, 0]
            mean += components[j, 0] * components[j, 1]
    mean /= total
    for j in range(len(components)):
        if passage[j] == which:
            variance += components[j, 0] * (components[j, 2] + ((components[j, 1] - mean) / shaping) ** 2)
    return mean, variance / total


@kernel
def cut(signal, middle, duration, slices, least, out):  # type: ignore[no-untyped-def]
    """Cut samples (n,) into at most `slices` equal parts of `duration` around `middle`: rows of `out`; how many.

    Columns: centroid, highest sample, sum. The outer parts reach to the ends; one that is not higher than `least` goes
    together with the next, the last one with the one before.
    """
    row, border = 0, 1
    held, moment, height = 0.0, 0.0, 0.0
    for i in range(signal.size):
        held += signal[i]
        moment += i * signal[i]
        height = max(height, signal[i])
        ends = False
        while border < slices and i + 1 >= middle + duration * (border / slices - 0.5):
            border += 1
            ends = True
        if i == signal.size - 1 and height <= least and row > 0:
            row -= 1
            moment += out[row, 0] * out[row, 2]
            held += out[row, 2]
            height = max(height, out[row, 1])
        if i == signal.size - 1 or (ends and height > least):
            out[row, 0], out[row, 1], out[row, 2] = moment / held, height, held
            row += 1
            held, moment, height = 0.0, 0.0, 0.0
    return row


@kernel
def outermost(signal, level):  # type: ignore[no-untyped-def]
    """The range of samples from the one before the first over `level` to the last, as a plain pulse is summed."""
    left, right = 0, signal.size
    while left < right - 1 and signal[left] <= level:
        left += 1
    while right > left + 1 and signal[right - 1] <= level:
        right -= 1
    return max(left - 1, 0), right
