"""Clusters that belong together get one label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Integers = NDArray[np.int64]


@kernel
def label_limit(labels: Integers) -> int:
    """One more than the largest label; 0 if there is none."""
    limit = 0
    for label in labels:
        limit = max(limit, label + 1)
    return limit


@kernel
def in_sight(labels: Integers) -> Integers:
    """The labels ≥ 0 that points have, in the order of their first points."""
    seen = np.zeros(label_limit(labels), np.bool_)
    names = np.empty(len(seen), np.int64)
    n_seen = 0
    for label in labels:
        if label >= 0 and not seen[label]:
            seen[label], names[n_seen] = True, label
            n_seen += 1
    return names[:n_seen]


@kernel
def drop_small(labels: Integers, min_size: int) -> Integers:
    """Labels (n,) in which those of fewer than `min_size` points are −1."""
    sizes = np.zeros(label_limit(labels) + 1, np.int64)
    for label in labels:
        sizes[label] += label >= 0
    kept = labels.copy()
    for point in range(len(labels)):
        if labels[point] >= 0 and sizes[labels[point]] < min_size:
            kept[point] = -1
    return kept


@kernel
def merge_linked(labels: Integers, linked: NDArray[np.bool_]) -> Integers:
    """Labels (n,) after merging all clusters that are connected by `linked` (m, m), symmetric or not.

    A merged cluster has the smallest label of its members; labels below 0 stay.
    """
    names = np.arange(len(linked))
    changed = True
    while changed:
        changed = False
        for one in range(len(linked)):
            for other in range(len(linked)):
                if (linked[one, other] or linked[other, one]) and names[one] != names[other]:
                    names[one] = names[other] = min(names[one], names[other])
                    changed = True
    merged = labels.copy()
    for point in range(len(labels)):
        if labels[point] >= 0:
            merged[point] = names[labels[point]]
    return merged
