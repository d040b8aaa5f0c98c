"""Pads that stay silent although tracks pass over them, told from what fires beside them.

A pad is dead only if even one of half the usual gain would have fired far more often, and if less than 0.01 such pads
are expected by chance in a run of a sound detector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.detector.neighbours import Touching
from spyral_core.signal.faulty_pads import FALSE_MASKS, Hits, Places
from spyral_core.signal.silent_regions import silent_regions

LEAST_GAIN = 0.5  # of the usual: a pad of this gain is sound
MOST_BESIDE, MOST_AT_CORNERS = 3, 9  # neighbours that are told apart by number
N_KINDS = 4
N_PATTERNS = (MOST_BESIDE + 1) * (MOST_AT_CORNERS + 1)
TELLING = 0.5  # share of sound pads that fire in a pattern, from which on it is asked for
PRIOR = 2  # events in which a sound pad did not fire, added to those counted of each pattern
TILTS = np.concatenate([np.linspace(0.25, 6.0, 24), [50.0]])  # of the bound on the probability; the last for no hit
MOST_ROUNDS = 10


@dataclass(frozen=True)
class Beside:
    """How often neighbours fired in each pattern, and the pad with them; all (n_pads, N_PATTERNS).

    A pattern is the number of pads that fired strongly at the sides of a pad and at its corners. `seen`: events with
    it. `fired`: those of them in which the pad fired; `strongly`: so that one of `LEAST_GAIN` would have.
    """

    seen: NDArray[np.float64]
    fired: NDArray[np.float64]
    strongly: NDArray[np.float64]


def dead_pads(
    hits: Hits, threshold: float, places: Places, touching: Touching, images: NDArray[np.int32], share: float
) -> NDArray[np.bool_]:
    """Pads that fire in less than `share` of the events in which they should: (n_pads,).

    `hits` are those of pads that are used and sound; `threshold` [ADC] of their amplitudes; `places.used`: the pads
    that are asked about. `images` (n_pads, n): pads that lie as each does, see `detector.neighbours.images`.
    """
    n_pads = len(places.x)
    if share == 0.0:
        return np.zeros(n_pads, np.bool_)
    event, pad, strong = once_an_event(hits, threshold, n_pads)
    regions = silent_regions(event, pad, places.used, touching, images, FALSE_MASKS / 2)
    beside = Beside(*_patterns(event, pad, strong, touching.sides, touching.corners))
    return silent_among_neighbours(beside, places, touching, share, regions)


def once_an_event(
    hits: Hits, threshold: float, n_pads: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Event and pad of all pads that fired, each once an event, ordered by event, and whether it fired strongly.

    That is if one of `LEAST_GAIN` would still have fired.
    """
    key, place = np.unique(hits.event * n_pads + hits.pad, return_inverse=True)
    strong = np.zeros(len(key), np.bool_)
    strong[place[LEAST_GAIN * hits.amplitude > threshold]] = True
    return key // n_pads, key % n_pads, strong


def silent_among_neighbours(
    beside: Beside, places: Places, touching: Touching, share: float, known: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Pads that stay silent when their neighbours fire, and those `known` to be dead: (n_pads,).

    How often a sound pad fires strongly in a pattern is counted over all pads of a kind (its size, and whether it
    touches pads of the other size). Patterns in which most do are asked for. What is expected of a pad is lowered to
    what its nearest pads reach of theirs, so that a region where patterns tell less condemns nobody. Further rounds
    leave the dead pads found before out of what others are compared with.
    """
    kinds = _kinds(places.small, touching)
    dead = known.copy()
    for _ in range(MOST_ROUNDS):
        sound = places.used & ~dead
        rates = _rates(beside, kinds, sound)[kinds]
        expected = np.einsum("ij,ij->i", beside.seen, rates)
        fired = np.einsum("ij,ij->i", beside.fired, rates > 0.0)
        limit = np.log(FALSE_MASKS / 2 / max(int(np.count_nonzero(places.used)), 1))
        found = dead.copy()
        for pad in np.flatnonzero(sound & (fired < share * expected) & (expected > 1.0)).tolist():
            if log_chance(fired[pad], beside.seen[pad], rates[pad]) >= limit:
                continue
            near = places.nearest(pad)
            near = near[~dead[near]]
            reached = fired[near].sum() / max(expected[near].sum(), 1.0)
            lowered = min(1.0, reached) * rates[pad]
            found[pad] = fired[pad] < share * min(1.0, reached) * expected[pad] and (
                log_chance(fired[pad], beside.seen[pad], lowered) < limit
            )
        if np.array_equal(found, dead):
            break
        dead = found
    return dead


def _rates(beside: Beside, kinds: NDArray[np.int64], sound: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How often `sound` pads of each kind fire strongly in each pattern, 0 where few do: (N_KINDS, N_PATTERNS)."""
    of_kind = (np.arange(N_KINDS)[:, None] == kinds) & sound
    rates = (of_kind @ beside.strongly) / (of_kind @ beside.seen + PRIOR)
    return np.where(rates >= TELLING, rates, 0.0)


def _kinds(small: NDArray[np.bool_], touching: Touching) -> NDArray[np.int64]:
    """0 … 3 by a pad's size and whether it touches pads of the other size: (n_pads,)."""
    all_of = np.concatenate([touching.sides, touching.corners], axis=1)
    other = ((small[all_of] != small[:, None]) & (all_of >= 0)).any(axis=1)
    kinds: NDArray[np.int64] = 2 * small + other
    return kinds


def log_chance(number: float, trials: NDArray[np.float64], probability: NDArray[np.float64]) -> float:
    """Upper bound (Chernoff) on log P(K ≤ number), K the successes of `trials` of each `probability`: both (n,)."""
    tilts = TILTS if number == 0 else TILTS[:-1]
    factors = np.log1p(-probability * -np.expm1(-tilts[:, None]))
    return min(0.0, float((factors @ trials + tilts * number).min()))


@kernel
def _patterns(
    event: NDArray[np.int64],
    pad: NDArray[np.int64],
    strong: NDArray[np.bool_],
    sides: NDArray[np.int32],
    corners: NDArray[np.int32],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The arrays of `Beside` for pads that fired, each once an event, ordered by event."""
    n_pads = len(sides)
    seen = np.zeros((n_pads, N_PATTERNS))
    fired = np.zeros((n_pads, N_PATTERNS))
    strongly = np.zeros((n_pads, N_PATTERNS))
    fired_in = np.full(n_pads, -1, np.int64)
    strong_in = np.full(n_pads, -1, np.int64)
    done_in = np.full(n_pads, -1, np.int64)
    first = 0
    while first < len(event):
        this, end = event[first], first
        while end < len(event) and event[end] == this:
            fired_in[pad[end]] = this
            if strong[end]:
                strong_in[pad[end]] = this
            end += 1
        for i in range(first, end):
            if not strong[i]:
                continue
            for place in range(sides.shape[1] + corners.shape[1]):
                beside = place < sides.shape[1]
                other = sides[pad[i], place] if beside else corners[pad[i], place - sides.shape[1]]
                if other < 0 or done_in[other] == this:
                    continue
                done_in[other] = this
                at_sides = _number(sides[other], strong_in, this, MOST_BESIDE)
                at_corners = _number(corners[other], strong_in, this, MOST_AT_CORNERS)
                pattern = at_sides * (MOST_AT_CORNERS + 1) + at_corners
                seen[other, pattern] += 1
                fired[other, pattern] += fired_in[other] == this
                strongly[other, pattern] += strong_in[other] == this
        first = end
    return seen, fired, strongly


@kernel
def _number(others: NDArray[np.int32], fired_in: NDArray[np.int64], event: int, most: int) -> int:
    """How many of some pads (−1 for none) fired in an event, `most` if more."""
    number = 0
    for other in others:
        if other >= 0 and fired_in[other] == event:
            number += 1
    return min(number, most)
