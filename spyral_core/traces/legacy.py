"""Trace files of the legacy merger: one dataset an event and device, numbered by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from spyral_core.errors import RejectedEventError
from spyral_core.traces.datasets import (
    DAMAGE,
    GroupID,
    child_dataset,
    child_group,
    first_words,
    link_names,
    names_by_trial,
    one_line,
    read_frib_traces,
    read_pads,
    read_register,
    some_names,
)
from spyral_core.traces.event import TraceEvent, no_pads
from spyral_core.traces.grouped import channels, damaged_list, numbers_to_try

_GET_NAME = re.compile(r"evt(0|[1-9][0-9]{0,17})_data")
_FRIB_NAME = re.compile(r"evt(0|[1-9][0-9]{0,17})_(?:1903|977)")
_KNOWN_NAME = re.compile(r"evt(?:0|[1-9][0-9]{0,17})_(?:header|data|977|190[2-6])")
_EVENT = re.compile(r"evt([0-9]{1,18})")


class LegacyLayout:
    """Reads `get/evt{n}_data`, `frib/evt/evt{n}_1903`, `frib/evt/evt{n}_977` and `frib/scaler/scaler{n}_data`."""

    def __init__(self, root: GroupID, run: int) -> None:
        self._root, self._run = root, run
        self.notes: list[str] = []
        self._doubtful: dict[int, str] = {}  # event → a name that may be one of its own, damaged
        self._get = child_group(root, "get")
        self._frib = _below(root, "frib", "evt")

    def numbers(self) -> tuple[list[int], list[str]]:
        """Event numbers, and the names among the events that are none."""
        found: set[int] = set()
        strange: list[str] = []
        faults: list[Exception] = []
        for group, pattern, kinds in ((self._get, _GET_NAME, ("data",)), (self._frib, _FRIB_NAME, ("1903", "977"))):
            try:
                names = [] if group is None else self._names(group, kinds)
            except DAMAGE as error:
                faults.append(error)
                self.notes.append(f"the file is damaged: a list of events cannot be read ({one_line(error)})")
                continue
            for name in names:
                match = pattern.fullmatch(name)
                if match:
                    found.add(int(match[1]))
                elif not _KNOWN_NAME.fullmatch(name):
                    strange.append(name)
                    damaged = _EVENT.match(name)
                    if damaged:
                        self._doubtful[int(damaged[1])] = name
        if faults and not found:
            raise faults[0]
        return list(found), strange

    def _names(self, group: GroupID, kinds: tuple[str, ...]) -> list[str]:
        try:
            return link_names(group)
        except DAMAGE as error:
            matches = [re.match(r"evt([0-9]{1,18})_", name) for name in some_names(group)]
            numbers = numbers_to_try(*self.stated_range(), [int(match[1]) for match in matches if match])
            stated = bool(self.stated_range()[1])
            tried = names_by_trial(group, (f"evt{number}_{kind}" for number in numbers for kind in kinds), stated)
            self.notes.append(damaged_list(error, len(tried)))
            return tried

    def stated_range(self) -> tuple[int | None, tuple[int, ...]]:
        """First and last event as `meta/meta` has them (its words 0 and 2)."""
        try:
            meta = child_group(self._root, "meta")
        except RejectedEventError:
            return None, ()
        first, _, last = _leading(meta, "meta", 3)
        return (first if first >= 0 else None), ((last,) if last >= 0 else ())

    def read(self, number: int) -> TraceEvent:
        """One event; RejectedEventError if it is damaged."""
        get, frib = self._get, self._frib
        traces = None if frib is None else read_frib_traces(frib, f"evt{number}_1903")
        pads = no_pads() if get is None else read_pads(get, f"evt{number}_data")
        trigger = -1 if frib is None else read_register(frib, f"evt{number}_977")
        if number in self._doubtful and (traces is None or trigger < 0 or not len(pads)):
            raise RejectedEventError(f"its data are not complete, but there is {self._doubtful[number]!r}")
        get_header = _leading(get, f"evt{number}_header", 3)
        frib_header = _leading(frib, f"evt{number}_header", 2)
        return TraceEvent(
            number,
            self._run,
            number,
            pads,
            *channels(traces),
            trigger=trigger,
            get_id=get_header[0],
            get_timestamp=get_header[1],
            get_timestamp_other=get_header[2],
            frib_id=frib_header[0],
            frib_timestamp=frib_header[1],
        )

    def scalers(self) -> Iterator[tuple[GroupID, str]]:
        """Group and name of each scaler readout, in order: numbered from 0 until one is absent."""
        group = _below(self._root, "frib", "scaler")
        if group is None:
            return
        for number in count():
            if not group.links.exists(f"scaler{number}_data".encode()):
                return
            yield group, f"scaler{number}_data"


def _below(root: GroupID, outer: str, inner: str) -> GroupID | None:
    group = child_group(root, outer)
    return None if group is None else child_group(group, inner)


def _leading(group: GroupID | None, name: str, number: int) -> list[int]:
    """The first words of a dataset of facts that an event can do without; -1 for what is missing or no number."""
    try:
        dataset = None if group is None else child_dataset(group, name)
        return [-1] * number if dataset is None else first_words(dataset, number).tolist()
    except (*DAMAGE, RejectedEventError):
        return [-1] * number
