"""Trace files of the legacy merger: one dataset an event and device, numbered by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from spyral_core.errors import RejectedEventError
from spyral_core.traces.claims import FRIB_TRACES, PADS, REGISTER, Claims
from spyral_core.traces.datasets import (
    DAMAGE,
    GroupID,
    child_dataset,
    child_group,
    claim,
    first_words,
    link_names,
    names_by_trial,
    one_line,
    read_frib_traces,
    read_pads,
    read_register,
    refuse_lost,
    some_names,
)
from spyral_core.traces.event import TraceEvent, no_pads
from spyral_core.traces.grouped import channels, damaged_list, numbers_to_try
from spyral_core.traces.heap_names import stored_names
from spyral_core.traces.order import out_of_order

_GET_NAME = re.compile(r"evt(0|[1-9][0-9]{0,17})_data")
_FRIB_NAME = re.compile(r"evt(0|[1-9][0-9]{0,17})_(?:1903|977)")
_KNOWN_NAME = re.compile(r"evt(?:0|[1-9][0-9]{0,17})_(?:header|data|977|190[2-6])")
_EVENT = re.compile(r"evt([0-9]{1,18})")


class LegacyLayout:
    """Reads `get/evt{n}_data`, `frib/evt/evt{n}_1903`, `frib/evt/evt{n}_977` and `frib/scaler/scaler{n}_data`."""

    def __init__(self, root: GroupID, run: int) -> None:
        self._root, self._run = root, run
        self.notes: list[str] = []
        self._strange: list[str] = []  # names that may be events' own, damaged
        self._disorder: dict[int, str] = {}  # event → a name of its own that is out of order among all names
        self._unread: dict[str, str] = {}  # group → why its names cannot be listed
        self._stored: dict[str, frozenset[str]] = {}
        self._get = child_group(root, "get")
        self._frib = _below(root, "frib", "evt")

    def numbers(self) -> tuple[list[int], list[str]]:
        """Event numbers, and the names among the events that are none."""
        found: set[int] = set()
        strange: list[str] = []
        faults: list[Exception] = []
        for where, group, pattern, kinds in (
            ("get", self._get, _GET_NAME, ("data",)),
            ("frib/evt", self._frib, _FRIB_NAME, ("1903", "977")),
        ):
            try:
                names = [] if group is None else self._names(where, group, kinds)
            except DAMAGE as error:
                faults.append(error)
                self.notes.append(f"the file is damaged: a list of events cannot be read ({one_line(error)})")
                continue
            for name in out_of_order(names):
                match = _EVENT.match(name)
                if match:
                    self._disorder[int(match[1])] = name
            for name in names:
                match = pattern.fullmatch(name)
                if match:
                    found.add(int(match[1]))
                elif not _KNOWN_NAME.fullmatch(name):
                    strange.append(name)
        self._strange = strange
        if faults and not found:
            raise faults[0]
        return list(found), strange

    def _names(self, where: str, group: GroupID, kinds: tuple[str, ...]) -> list[str]:
        try:
            return link_names(group)
        except DAMAGE as error:
            self._unread[where] = one_line(error)
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

    def read(self, number: int, claims: Claims) -> TraceEvent:
        """One event, and what it claims; RejectedEventError if it is damaged."""
        get, frib = self._get, self._frib
        if number in self._disorder:
            raise RejectedEventError(f"{self._disorder[number]!r} is out of order among the names: it is damaged")
        traces = None if frib is None else read_frib_traces(frib, f"evt{number}_1903", claims)
        pads = no_pads() if get is None else read_pads(get, f"evt{number}_data", PADS, claims)
        trigger = -1 if frib is None else read_register(frib, f"evt{number}_977", claims)
        if traces is None:
            self._refuse_lost(frib, "frib/evt", f"evt{number}_1903", number)
        if not len(pads):
            self._refuse_lost(get, "get", f"evt{number}_data", number)
        if trigger < 0:
            self._refuse_lost(frib, "frib/evt", f"evt{number}_977", number)
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

    def claim(self, number: int, claims: Claims) -> None:
        """What an event claims that is not read."""
        claim(self._get, f"evt{number}_data", PADS, claims)
        claim(self._frib, f"evt{number}_1903", FRIB_TRACES, claims)
        claim(self._frib, f"evt{number}_977", REGISTER, claims)

    def _refuse_lost(self, group: GroupID | None, where: str, name: str, number: int) -> None:
        """What an event lacks must not be there under a damaged name, or out of reach of a damaged index."""
        if group is None:
            return
        if group.links.exists(name.encode()):  # empty
            return
        suspects = [*(other for other in self._strange if _may_be(other, name)), *self._disorder.values()]
        if suspects:
            raise RejectedEventError(f"has no `{name}`, but there is {suspects[0]!r}: a damaged name?")
        if where in self._unread:
            raise RejectedEventError(f"has no `{name}`, but the names of {where} cannot be read: {self._unread[where]}")
        if where not in self._stored:
            try:
                self._stored[where] = stored_names(group)
            except (*DAMAGE, IndexError) as error:
                raise RejectedEventError(f"has no `{name}`, and the names of {where} are damaged: {error}") from None
        refuse_lost(group, name, self._stored[where])

    def scalers(self) -> Iterator[tuple[GroupID, str]]:
        """Group and name of each scaler readout, in order: numbered from 0 until one is absent."""
        group = _below(self._root, "frib", "scaler")
        if group is None:
            return
        for number in count():
            if not group.links.exists(f"scaler{number}_data".encode()):
                return
            yield group, f"scaler{number}_data"


def _may_be(other: str, name: str) -> bool:
    """Whether a name may be another one, damaged: cut short, or with one or two wrong characters; or of its event."""
    wrong = sum(a != b for a, b in zip(other, name, strict=False))
    near = len(other) == len(name) and wrong <= 2
    return near or name.startswith(other) or other.startswith(name[: name.index("_") + 1])


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
