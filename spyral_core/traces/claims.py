"""Which bytes of a trace file its events say are theirs: no two may share one.

Trace files have no checksums. An address that was damaged leads, nearly always, into the data of another event, and
HDF5 reads them without a word. That is only seen when all events of a file have been read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spyral_core.traces.order import in_order

PADS, FRIB_TRACES, REGISTER, SILICON = KINDS = ("pads", "1903", "977", "silicon of GET")
"""What claims bytes."""
_EXPECTED = (PADS, FRIB_TRACES, REGISTER)
_BLOCK = 2048  # bytes: what HDF5 allocates at a time for its own objects
CLAIM_COLUMNS = ("event", "kind", "first", "size")


@dataclass
class Claims:
    """What one event claims: kind, first byte and number of bytes of each of its datasets.

    The first byte is -1 where data are not in one piece (compressed): then nothing can be said of it. `orders`: byte
    orders of what FRIBDAQ recorded.
    """

    objects: list[tuple[str, int, int]] = field(default_factory=list)
    orders: set[int] = field(default_factory=set)

    def rows(self, number: int) -> list[tuple[int, int, int, int]]:
        """Rows of `CLAIM_COLUMNS` of the event `number`."""
        return [(number, KINDS.index(kind), first, size) for kind, first, size in self.objects]


def overlapping(claims: NDArray[np.int64]) -> dict[int, str]:
    """Events that claim bytes of another event, with the reason; `claims` holds rows of `CLAIM_COLUMNS`.

    Events are written one after the other, so that the datasets of a kind lie in the order of the events, and the one
    out of this order is wrong; if that does not tell, it may be either of them.
    """
    found: dict[int, str] = {}
    placed = claims[claims[:, 2] >= 0]
    while len(pairs := _sharing(placed)):
        regular = _in_order(placed)
        for pair in pairs.tolist():
            for row in [row for row in pair if not regular[row]] or pair:
                number, kind, first = placed[row, :3].tolist()
                other = int(placed[pair[0] if row == pair[1] else pair[1], 0])
                found.setdefault(number, _reason(KINDS[kind], first, other))
        placed = placed[~np.isin(placed[:, 0], list(found))]
    return found


def _reason(kind: str, first: int, other: int) -> str:
    return f"an address is damaged: its {kind} would lie at byte {first}, among the data of event {other}"


def _sharing(claims: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of rows (n, 2) that share bytes: each row with the one before it that reaches farthest."""
    order = np.lexsort((claims[:, 3], claims[:, 2]))
    first, ends = claims[order, 2], claims[order, 2] + claims[order, 3]
    reach = np.maximum.accumulate(ends)
    farthest = np.maximum.accumulate(np.where(ends == reach, np.arange(len(ends)), 0))
    inside = 1 + np.flatnonzero(first[1:] < reach[:-1])
    return np.column_stack((order[farthest[inside - 1]], order[inside]))


def _in_order(claims: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows that beyond doubt lie in the order of the events, kind by kind."""
    regular = np.zeros(len(claims), np.bool_)
    for kind in np.unique(claims[:, 1]):
        rows = np.flatnonzero(claims[:, 1] == kind)
        rows = rows[np.lexsort((claims[rows, 2], claims[rows, 0]))]
        regular[rows] = in_order(claims[rows, 2])
    return regular


def displaced(claims: NDArray[np.int64]) -> dict[int, str]:
    """Events with data that lie a little beside their place, with the reason.

    Between the data of events lie HDF5's own objects: of a multiple of 8 bytes, and allocated in blocks of at least
    2048. Data of which neither the gap before nor the one after is such, while their sum may be, were shifted over
    such objects. Where gaps of other sizes abound, somebody has rewritten the file, and nothing can be said.
    """
    large = claims[(claims[:, 2] >= 0) & np.isin(claims[:, 1], (KINDS.index(PADS), KINDS.index(FRIB_TRACES)))]
    large = large[large[:, 3] >= _BLOCK]
    large = large[np.argsort(large[:, 2], kind="stable")]
    gaps = large[1:, 2] - large[:-1, 2] - large[:-1, 3]
    strange = (gaps > 0) & ((gaps < _BLOCK) | (gaps % 8 != 0))
    if strange.sum() > max(8, 0.01 * len(gaps)):
        return {}
    shifted = 1 + np.flatnonzero(strange[:-1] & strange[1:] & ((gaps[:-1] + gaps[1:]) % 8 == 0))
    return {
        number: f"an address is damaged: its {KINDS[kind]} lie at byte {first}, where no data can begin"
        for number, kind, first, _ in large[shifted].tolist()
    }


def far_off(claims: NDArray[np.int64]) -> dict[str, list[int]]:
    """Events whose data of a kind do not lie in the order of the events, by kind.

    In a file as it was written there are none: they were rewritten afterwards, or an address is damaged.
    """
    placed = claims[claims[:, 2] >= 0]
    odd = placed[~_in_order(placed)]
    found = {kind: sorted(set(odd[odd[:, 1] == index, 0].tolist())) for index, kind in enumerate(KINDS)}
    return {kind: events for kind, events in found.items() if events}


def lacking(claims: NDArray[np.int64], numbers: Sequence[int]) -> dict[str, list[int]]:
    """Events without an object that others of the `numbers` have, by its kind.

    That happens in sound files (the two acquisitions may not end with the same event), and in damaged ones.
    """
    found = {}
    for kind in _EXPECTED:
        having = set(claims[claims[:, 1] == KINDS.index(kind), 0].tolist()) & set(numbers)
        absent = [number for number in numbers if number not in having]
        if having and absent:
            found[kind] = absent
    return found
