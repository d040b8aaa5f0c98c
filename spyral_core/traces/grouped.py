"""Trace files with one group an event: merger 1.0 and 2.0, synchronizer, harmonizer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from h5py import h5l
from numpy.typing import NDArray

from spyral_core.errors import RejectedEventError
from spyral_core.traces.claims import FRIB_TRACES, PADS, REGISTER, SILICON, Claims
from spyral_core.traces.datasets import (
    DAMAGE,
    GroupID,
    ObjectID,
    child_dataset,
    child_group,
    claim,
    integer_attribute,
    link_names,
    names_by_trial,
    one_line,
    path_of,
    read_frib_traces,
    read_pads,
    read_register,
    some_names,
    stated_integer,
)
from spyral_core.traces.event import SILICON_DETECTORS, TraceEvent, no_pads
from spyral_core.traces.order import out_of_order
from spyral_core.traces.plain_event import read_plainly
from spyral_core.traces.plain_objects import NOT_PLAIN, PlainObjects, UnusualError

# Without leading zeros, so that a number has one name only; 18 digits fit int64.
_EVENT_NAME = re.compile(r"event_(0|[1-9][0-9]{0,17})")


MOST_EVENTS = 1 << 22
"""More than a run has: a larger number that a file states is damaged."""


@dataclass
class _Get:
    """What GET recorded in an event, and the object that carries its attributes."""

    pads: NDArray[np.int16]
    silicon: dict[str, NDArray[np.int16]] = field(default_factory=dict)
    labelled: ObjectID | None = None


def get_of_merger_1(event: GroupID, claims: Claims) -> _Get:
    """GET data of a 1.0 event: the dataset `get_traces`."""
    traces = child_dataset(event, "get_traces")
    if traces is None:
        _refuse_other_layout(event, "get")
        return _Get(no_pads())
    return _Get(read_pads(event, "get_traces", PADS, claims), labelled=traces)


def get_of_merger_2(event: GroupID, claims: Claims) -> _Get:
    """GET data of a 2.0 event: the group `get`, with pads and silicon detectors."""
    get = child_group(event, "get")
    if get is None:
        _refuse_other_layout(event, "get_traces")
        return _Get(no_pads())
    silicon = {name: read_pads(get, name, SILICON, claims) for name in SILICON_DETECTORS}
    return _Get(read_pads(get, "pads", PADS, claims), {name: rows for name, rows in silicon.items() if len(rows)}, get)


def _refuse_other_layout(event: GroupID, name: str) -> None:
    """A file whose version is wrong must not look like one without GET data."""
    if event.links.exists(name.encode()):
        raise RejectedEventError(f"{path_of(event, name)}: belongs to another layout than the file's version says")


class GroupedLayout:
    """Reads `events/event_{n}` and `scalers/event_{n}`.

    `harmonized` files hold events of other runs: `run` says nothing of their origin. Files of a `renumbering` program
    (synchronizer, harmonizer) may state as `max_event` the number of events, one more than the last event's number.
    With `objects` events of the usual form are read without HDF5.
    """

    def __init__(
        self,
        root: GroupID,
        events: GroupID,
        run: int,
        read_get: Callable[[GroupID, Claims], _Get],
        harmonized: bool,
        renumbering: bool,
        objects: PlainObjects | None = None,
    ) -> None:
        self._root, self._events, self._run, self._read_get = root, events, run, read_get
        self._harmonized, self._renumbering, self._objects = harmonized, renumbering, objects
        self._disorder: frozenset[int] = frozenset()
        self.notes: list[str] = []

    def numbers(self) -> tuple[list[int], list[str]]:
        """Event numbers, and the names below `events` that are none."""
        try:
            names = link_names(self._events)
            self._disorder = frozenset(_numbered(out_of_order(names))[0])
            return _numbered(names)
        except DAMAGE as error:
            numbers = numbers_to_try(*self.stated_range(), _numbered(some_names(self._events))[0])
            tried = names_by_trial(self._events, (f"event_{n}" for n in numbers), bool(self.stated_range()[1]))
            self.notes.append(damaged_list(error, len(tried)))
            return _numbered(tried)

    def stated_range(self) -> tuple[int | None, tuple[int, ...]]:
        """First event and possible last events as the file's attributes have them."""
        first, last = integer_attribute(self._events, b"min_event"), integer_attribute(self._events, b"max_event")
        if last is None:
            return first, ()
        return first, (last, last - 1) if self._renumbering else (last,)

    def read(self, number: int, claims: Claims) -> TraceEvent:
        """One event, and what it claims; RejectedEventError if it is damaged."""
        if number in self._disorder:
            raise RejectedEventError("its name is out of order among those of the events: a name is damaged")
        if self._objects is not None:
            with suppress(*NOT_PLAIN, *DAMAGE):
                return self._read_plainly(self._objects, number, claims)
        event = child_group(self._events, f"event_{number}")
        if event is None:
            raise RejectedEventError(f"{path_of(self._events, f'event_{number}')}: is not in the file")
        get = self._read_get(event, claims)
        clocks = _attributes(get.labelled, (b"id",), (b"timestamp",), (b"timestamp_other",))
        frib = child_group(event, "frib_physics")
        traces, trigger = None, -1
        if frib is not None:
            traces, trigger = read_frib_traces(frib, "1903", claims), read_register(frib, "977", claims)
        # The merger writes `id`, synchronizer and harmonizer write `event` for the same.
        frib_clocks = _attributes(frib, (b"id", b"event"), (b"timestamp",))
        run, original = stated_integer(event, b"orig_run"), stated_integer(event, b"orig_event")
        origin = self._origin(number)
        return TraceEvent(
            number,
            origin[0] if run is None else run,
            origin[1] if original is None else original,
            get.pads,
            *channels(traces),
            trigger=trigger,
            get_silicon=get.silicon,
            get_id=clocks[0],
            get_timestamp=clocks[1],
            get_timestamp_other=clocks[2],
            frib_id=frib_clocks[0],
            frib_timestamp=frib_clocks[1],
        )

    def _read_plainly(self, objects: PlainObjects, number: int, claims: Claims) -> TraceEvent:
        """One event without HDF5, as nearly all are; `plain_objects.NOT_PLAIN` or `DAMAGE` if it is another one."""
        link = self._events.links.get_info(f"event_{number}".encode())
        if link.type != h5l.TYPE_HARD:
            raise UnusualError
        merger_2 = self._read_get is get_of_merger_2
        return read_plainly(objects, link.u, number, self._origin(number), merger_2, claims)

    def _origin(self, number: int) -> tuple[int, int]:
        """Run and event number of an event that has none of its own."""
        return (-1, -1) if self._harmonized else (self._run, number)

    def claim(self, number: int, claims: Claims) -> None:
        """What an event claims that is not read."""
        with suppress(*DAMAGE, RejectedEventError):
            event = child_group(self._events, f"event_{number}")
            if event is not None:
                claim(event, "get_traces", PADS, claims)
                claim(child_group(event, "get"), "pads", PADS, claims)
                claim(child_group(event, "frib_physics"), "1903", FRIB_TRACES, claims)
                claim(child_group(event, "frib_physics"), "977", REGISTER, claims)

    def scalers(self) -> Iterator[tuple[GroupID, str]]:
        """Group and name of each scaler readout, in order."""
        group = child_group(self._root, "scalers")
        if group is not None:
            for number in sorted(_numbered(link_names(group))[0]):
                yield group, f"event_{number}"


def channels(
    traces: NDArray[np.int32] | None,
) -> tuple[NDArray[np.int32] | None, NDArray[np.int32] | None, NDArray[np.int32] | None]:
    """Ion chamber, mesh and silicon of a 1903 module's traces (channels, samples); None where there is no channel."""
    n_channels = 0 if traces is None else len(traces)
    ion_chamber, mesh, silicon = (traces[k] if traces is not None and k < n_channels else None for k in range(3))
    return ion_chamber, mesh, silicon


def _attributes(thing: ObjectID | None, *names: tuple[bytes, ...]) -> list[int]:
    """Integer attributes, each by the names it may have; -1 where there is none."""
    values = [integer_attribute(thing, *known) for known in names]
    return [-1 if value is None else value for value in values]


def numbers_to_try(first: int | None, last: tuple[int, ...], found: list[int]) -> range:
    """The numbers that events of a file may have: those it states, else up to twice the largest that was found."""
    beyond = (max(last) if last else 2 * max(found, default=0)) + 1
    return range(first or 0, min(beyond, MOST_EVENTS))


def damaged_list(error: Exception, number: int) -> str:
    """A note on events that were found by their numbers."""
    return (
        f"the file is damaged: its list of events cannot be read ({one_line(error)}); {number} are looked for by number"
    )


def _numbered(names: Iterable[str]) -> tuple[list[int], list[str]]:
    numbers: list[int] = []
    strange: list[str] = []
    for name in names:
        match = _EVENT_NAME.fullmatch(name)
        if match:
            numbers.append(int(match[1]))
        else:
            strange.append(name)
    return numbers, strange
