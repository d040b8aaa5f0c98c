"""Which species each track is: fits under all of them, weighed by quality and by the charge per energy loss.

Charge over expected energy loss, a fit's *level*, is the same for all tracks of a run fitted as what they are: the gain
of the detector. The gain is not known beforehand; it is the one with which the tracks agree best, each track being any
of the species. As long as several agree with the tracks, all of them count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIRST_WIDTH = 0.1  # relative, of the level: before the run tells its own
LEAST_WIDTH = 0.02
FIRST_WEIGHT = 10.0  # tracks that the first width is worth
FREEDOM = 4.0  # of Student's distribution of levels: energy loss and cut tracks have tails
MOST_DEVIANCE = 20.0  # that a worse fit may count: noise is not as the fit believes
ANYTHING = 14.0  # −2 ln of the likelihood of a track that is none of the species
NEAR = 5.0  # widths within which tracks tell the width
STEPS, FINE_STEPS = 4.0, 65  # of the gain: in a width, and around a maximum
MARGIN = 50.0  # −2 ln likelihood by which a maximum may lie below the highest, besides the error of coarse steps
CENTRAL = 0.6827
ROUNDS = 4


@dataclass(frozen=True)
class Gain:
    """Gains that were tried, as logarithms (g,), their probabilities (g,), and the relative width of levels."""

    logarithm: Array
    probability: Array
    width: float

    @property
    def best(self) -> float:
        """The logarithm of the most probable gain."""
        return float(self.logarithm[np.argmax(self.probability)])

    @property
    def certainty(self) -> float:
        """Probability of all gains within two widths of the best."""
        return float(np.sum(self.probability[np.abs(self.logarithm - self.best) < 2.0 * self.width]))


@dataclass(frozen=True)
class Identified:
    """Of n tracks and k species: probability (n, k), level against the gain in widths (n, k); the gain, if any."""

    probability: Array
    pull: Array
    gain: Gain | None


def identify(level: Array, deviance: Array) -> Identified:
    """Probabilities of species from the levels and deviances (n, k) of their fits; nan where there is no fit.

    All species are equally probable beforehand, for each track, and all gains equally probable in logarithm.
    """
    usable = np.isfinite(level) & np.isfinite(deviance) & (level > 0.0)
    if not usable.any():
        return Identified(np.zeros(level.shape), np.full(level.shape, np.nan), None)
    logs, cost = np.log(np.where(usable, level, 1.0)), costs(deviance, usable)
    gain = find_gain(logs, cost)
    probability = np.zeros(level.shape)
    for trial, weight in zip(gain.logarithm, gain.probability, strict=True):
        if weight > 1e-9:
            probability += weight * _shares(logs, cost, float(trial), gain.width)
    total = probability.sum(axis=1, keepdims=True)
    probability = np.divide(probability, total, out=np.zeros_like(probability), where=total > 0.0)
    return Identified(probability, np.where(usable, (logs - gain.best) / gain.width, np.nan), gain)


def costs(deviance: Array, usable: NDArray[np.bool_]) -> Array:
    """Deviances against the best fit of each track (n, k), at most MOST_DEVIANCE; infinite where there is no fit."""
    known = np.where(usable, deviance, np.inf)
    lowest = known.min(axis=1, keepdims=True)
    above = known - np.where(np.isfinite(lowest), lowest, 0.0)
    return np.where(usable, np.minimum(above, MOST_DEVIANCE), np.inf)


def find_gain(logs: Array, cost: Array) -> Gain:
    """The gain of a run, from logarithms of levels and `costs` (n, k).

    Coarse steps over all gains, repeated with the width that the run tells; then fine ones around each maximum.
    """
    usable = np.isfinite(cost)
    low, high = logs[usable].min(), logs[usable].max()
    width = FIRST_WIDTH
    for _ in range(ROUNDS):
        trials = np.linspace(low, high, 2 + int(np.ceil(STEPS * (high - low) / width)))
        score = _scores(logs, cost, trials, width)
        used, width = width, _width(logs, cost, float(trials[np.argmax(score)]), width)
    step = trials[1] - trials[0]
    known = np.concatenate([[-np.inf], score, [-np.inf]])
    peaks = np.flatnonzero(
        (score >= known[:-2]) & (score >= known[2:]) & (score > score.max() - MARGIN - len(logs) / 8)
    )
    fine = np.unique(trials[peaks][:, None] + step * np.linspace(-1.0, 1.0, FINE_STEPS)[None, :])
    score = _scores(logs, cost, fine, used)
    weight = np.exp(0.5 * (score - score.max()))
    return Gain(fine, weight / weight.sum(), used)


def _scores(logs: Array, cost: Array, trials: Array, width: float) -> Array:
    """Twice the logarithm of the likelihood of all tracks for each of some gains."""
    found = np.zeros(len(trials))
    for number, trial in enumerate(trials):
        likelihood = np.exp(-0.5 * (cost + _of_level(logs - trial, width))).sum(axis=1)
        found[number] = 2.0 * np.sum(np.log(likelihood / logs.shape[1] + np.exp(-0.5 * ANYTHING)))
    return found


def _of_level(difference: Array, width: float) -> Array:
    """−2 ln of Student's distribution of levels around the gain."""
    student: Array = (FREEDOM + 1.0) * np.log1p((difference / width) ** 2 / FREEDOM) + 2.0 * np.log(width)
    return student


def _shares(logs: Array, cost: Array, gain: float, width: float) -> Array:
    """Probabilities of the species (n, k) if the gain is known; 0 for a track without a fit."""
    total = cost + _of_level(logs - gain, width)
    lowest = total.min(axis=1, keepdims=True)
    likelihood = np.exp(-0.5 * (total - np.where(np.isfinite(lowest), lowest, 0.0)))
    shares: Array = likelihood / np.maximum(likelihood.sum(axis=1, keepdims=True), 1e-300)
    return shares


def _width(logs: Array, cost: Array, gain: float, width: float) -> float:
    """Distance from the gain within which 68 % of the levels lie, drawn towards FIRST_WIDTH if there are few.

    Each level counts by the probability of its species, so that overlapping species do not seem narrow.
    """
    weight = np.where(np.isfinite(cost), _shares(logs, cost, gain, width), 0.0).ravel()
    distance = np.abs(logs - gain).ravel()
    near = distance < NEAR * width
    order = np.argsort(distance[near], kind="stable")
    distance, weight = distance[near][order], np.cumsum(weight[near][order])
    n = float(weight[-1]) if len(weight) else 0.0
    if n < 2.0:
        return width
    seen = float(distance[np.searchsorted(weight, CENTRAL * n)])
    return max(LEAST_WIDTH, (n * seen + FIRST_WEIGHT * FIRST_WIDTH) / (n + FIRST_WEIGHT))
