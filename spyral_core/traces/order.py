"""What is out of order in a list that was written in order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def in_order(ranks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of some numbers beyond doubt belong to the longest ascending series of them.

    Beyond doubt: to the one of earliest and to the one of latest members. Neither of two equal numbers belongs to it.
    """
    certain = np.zeros(len(ranks), np.bool_)
    forwards = _longest_ascent(ranks.tolist())
    backwards = len(ranks) - 1 - np.array(_longest_ascent((-ranks[::-1]).tolist()), np.int64)
    certain[np.intersect1d(forwards, backwards)] = True
    return certain


def out_of_order(names: Sequence[str]) -> list[str]:
    """Names of a list that break its order, or are in it more than once."""
    if all(one < other for one, other in pairwise(names)):
        return []
    _, ranks = np.unique(np.array(names, dtype=object), return_inverse=True)
    return [name for name, certain in zip(names, in_order(ranks.astype(np.int64)).tolist(), strict=True) if not certain]


def _longest_ascent(values: Sequence[int]) -> list[int]:
    """Indices of a longest ascending subsequence (patience sorting)."""
    tops: list[int] = []
    heads: list[int] = []
    before: list[int] = []
    for index, value in enumerate(values):
        place = bisect_left(tops, value)
        before.append(heads[place - 1] if place else -1)
        tops[place : place + 1] = [value]
        heads[place : place + 1] = [index]
    found = []
    index = heads[-1] if heads else -1
    while index >= 0:
        found.append(index)
        index = before[index]
    return found[::-1]
