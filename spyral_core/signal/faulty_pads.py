"""Pads that lie: those that fire on their own, and those that repeat one charge at one time (flipped bits).

Both are told from the detector's real pulses by how improbable they are. A masked pad is lost for the whole run, so a
pad is masked only if less than 0.01 such pads are expected by chance in a run of a sound detector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

N_NEIGHBOURS = 24
FAR_MORE_OFTEN = 5.0
TIME_TOLERANCE = 2.0  # TB, of a small pulse in noise
AMPLITUDE_TOLERANCE = 12.0  # ADC, three times the usual noise
FALSE_MASKS = 0.01  # expected in a run of a sound detector


@dataclass(frozen=True)
class Hits:
    """Pulses of a sample of events; all (n,): number of the event in the sample, pad, amplitude [ADC], time [TB]."""

    event: NDArray[np.int64]
    pad: NDArray[np.int64]
    amplitude: NDArray[np.float64]
    time: NDArray[np.float64]

    def without(self, pads: NDArray[np.bool_]) -> Hits:
        """The hits of all pads but these (n_pads,)."""
        kept = ~pads[self.pad]
        return Hits(self.event[kept], self.pad[kept], self.amplitude[kept], self.time[kept])


@dataclass(frozen=True, eq=False)
class Places:
    """Where the pads are: `x`, `y` [mm], whether they are `used`, and whether they are `small`, all (n_pads,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    used: NDArray[np.bool_]
    small: NDArray[np.bool_]

    def nearest(self, pad: int) -> NDArray[np.int64]:
        """The `N_NEIGHBOURS` nearest other pads that are used, of equally near ones those of lower number."""
        others = np.flatnonzero(self.used)
        others = others[others != pad]
        distance = np.sqrt((self.x[others] - self.x[pad]) ** 2 + (self.y[others] - self.y[pad]) ** 2).round(6)
        within = np.flatnonzero(distance <= np.partition(distance, N_NEIGHBOURS - 1)[N_NEIGHBOURS - 1])
        order = np.argsort(distance[within], kind="stable")
        nearest: NDArray[np.int64] = others[within[order[:N_NEIGHBOURS]]]
        return nearest


def events_with_hit(hits: Hits, n_pads: int) -> NDArray[np.int64]:
    """In how many events each pad fired: (n_pads,)."""
    once = np.unique(hits.event * n_pads + hits.pad)
    return np.bincount(once % n_pads, minlength=n_pads)


def noisy_pads(
    fired: NDArray[np.int64], n_events: int, places: Places, share: float, min_hits: int
) -> NDArray[np.bool_]:
    """Pads that fire in more than `share` of the events, and far more often than their neighbours: (n_pads,).

    The neighbours' level is what a quarter of the nearest pads reach: it stays right beside a dead region, and beside a
    few noisy pads. A pad is noisy if it fires over five times as often, and if that is improbable (binomial) for a
    pad of the neighbours' level.

    `fired` (n_pads,): events in which each pad fired.
    """
    noisy = np.zeros(len(fired), np.bool_)
    for pad in np.flatnonzero((fired > share * n_events) & (fired >= min_hits)).tolist():
        level = np.sort(fired[places.nearest(pad)])[-(N_NEIGHBOURS // 4)]
        chance = at_least(fired[pad], n_events, (level + 1) / (n_events + 1))
        noisy[pad] = fired[pad] > FAR_MORE_OFTEN * level and chance * len(fired) < FALSE_MASKS
    return noisy


def at_least(number: int, trials: int, probability: float) -> float:
    """P(K ≥ number) of a binomial distribution."""
    from scipy.special import bdtrc  # takes 0.1 s to load, and most detectors have no pad to ask it about

    return float(bdtrc(float(number - 1), int(trials), min(probability, 1.0)))


def repeating_pads(
    hits: Hits, places: Places, share: float, min_hits: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Largest share of each pad's hits at one amplitude and time, and which pads repeat themselves: (n_pads,) each.

    A pad with `min_hits` or more repeats itself if that share is over `share`, and if so many hits at one time are
    improbable (binomial) given how often the pulses of other pads, or of its neighbours, come at that time. Pulses that
    come at one time for all pads, as those of a pulser, are therefore none.
    """
    n_pads = len(places.x)
    order = np.lexsort((hits.time, hits.pad))
    pad, time, amplitude = hits.pad[order], hits.time[order], hits.amplitude[order]
    ends = np.searchsorted(pad, np.arange(n_pads + 1))
    most, at = _largest_groups(ends, time, amplitude, TIME_TOLERANCE, AMPLITUDE_TOLERANCE)
    number = np.diff(ends)
    shares = most / np.maximum(number, 1)
    n_tested = int(np.count_nonzero(number >= min_hits))
    all_times = np.sort(time)
    repeats = np.zeros(n_pads, np.bool_)
    for this in np.flatnonzero((number >= min_hits) & (shares > share)).tolist():
        own = time[ends[this] : ends[this + 1]]
        near = np.concatenate([time[ends[other] : ends[other + 1]] for other in places.nearest(this)])
        elsewhere = _within(all_times, at[this]) - _within(own, at[this])
        probability = max(
            (elsewhere + 1) / (len(all_times) - len(own) + 1), _within(np.sort(near), at[this]) / max(len(near), 1)
        )
        # Any of its hits could have been the one that the others fall together with.
        chance = number[this] * at_least(most[this] - 1, number[this] - 1, probability)
        repeats[this] = chance * n_tested < FALSE_MASKS
    return shares, repeats


def _within(times: NDArray[np.float64], time: float) -> int:
    """How many of the sorted `times` are as good as `time`."""
    first, last = np.searchsorted(times, [time - TIME_TOLERANCE, time + TIME_TOLERANCE])
    return int(last - first)


@kernel
def _largest_groups(
    ends: NDArray[np.int64],
    time: NDArray[np.float64],
    amplitude: NDArray[np.float64],
    time_tolerance: float,
    amplitude_tolerance: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each pad, the most hits around one of them within the tolerances, and the time of that one.

    Hits of pad p are those from `ends[p]` to `ends[p + 1]`, ordered by time.
    """
    n_pads = len(ends) - 1
    most = np.zeros(n_pads, np.int64)
    at = np.zeros(n_pads)
    for pad in range(n_pads):
        start = ends[pad]
        for i in range(ends[pad], ends[pad + 1]):
            while time[i] - time[start] > time_tolerance:
                start += 1
            group = 0
            j = start
            while j < ends[pad + 1] and time[j] - time[i] <= time_tolerance:
                if abs(amplitude[j] - amplitude[i]) <= amplitude_tolerance:
                    group += 1
                j += 1
            if group > most[pad]:
                most[pad] = group
                at[pad] = time[i]
    return most, at
