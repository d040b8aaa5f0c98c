"""Events that are read without HDF5 are those that HDF5 gives; what is unusual is left to HDF5."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5o

from spyral_core.errors import DataError, RejectedEventError
from spyral_core.traces.claims import Claims
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.file import open_traces
from spyral_core.traces.plain_event import read_plainly
from spyral_core.traces.plain_objects import NOT_PLAIN, plain_objects

LAYOUTS = ("libattpc_merger:1.0", "synchronizer:0.1.0", "harmonizer:0.1.0", "libattpc_merger:2.0")
Read = tuple[list[Any], list[tuple[int, int, int, int]]]


def read(path: Path, plainly: bool = True) -> Read:
    """Events (or why they are rejected) and what they claim, as a file gives them, or as HDF5 alone does."""
    found: list[Any] = []
    with open_traces(path) as file:
        if not plainly:
            file._reader._objects = None  # type: ignore[attr-defined]
        for index in range(len(file)):
            try:
                found.append(file.read(index))
            except RejectedEventError as reason:
                found.append(str(reason))
        return found, sorted(file.evidence())


def as_values(event: Any) -> Any:
    """An event as something that compares by its content."""
    if isinstance(event, str):
        return event
    values = {**vars(event), **event.get_silicon, "get_silicon": sorted(event.get_silicon)}
    return {
        name: (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


def same(one: Read, other: Read) -> bool:
    return [as_values(event) for event in one[0]] == [as_values(event) for event in other[0]] and one[1] == other[1]


def plain_only(path: Path, number: int, merger_2: bool) -> TraceEvent:
    """An event without HDF5; raises one of NOT_PLAIN if it is not of the usual form."""
    with h5py.File(path) as file:
        objects = plain_objects(file)
        assert objects is not None
        address = h5o.get_info(file[f"events/event_{number}"].id).addr
        return read_plainly(objects, address, number, (7, number), merger_2, Claims())


def rewritten(path: Path, name: str, make: Callable[[h5py.Group, str, np.ndarray], None]) -> None:
    """Replace a dataset of event 1."""
    with h5py.File(path, "r+") as file:
        event = file["events/event_1"]
        values = event[name][:]
        del event[name]
        make(event, name, values)


@pytest.fixture
def events(layouts: ModuleType) -> list[TraceEvent]:
    return [layouts.make_event(number, n_pads=3 + number) for number in range(4)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_usual_event_is_that_of_hdf5(
    layout: str, events: list[TraceEvent], write_layout: Callable[..., Path], tmp_path: Path
) -> None:
    if layout == LAYOUTS[-1]:
        events = [replace(event, get_silicon={"si_upstream_back": event.pads[:2]}) for event in events]
    path = write_layout(tmp_path / "run_0007.h5", layout, events)
    assert same(read(path), read(path, plainly=False))
    for event in events:
        found = plain_only(path, event.number, merger_2=layout == LAYOUTS[-1])
        assert np.array_equal(found.pads, event.pads)
        assert found.trigger == event.trigger


UNUSUAL: dict[str, Callable[[h5py.Group, str, np.ndarray], Any]] = {
    "compressed": lambda group, name, values: group.create_dataset(name, data=values, compression="gzip"),
    "in chunks": lambda group, name, values: group.create_dataset(name, data=values, chunks=(1, 517)),
    "highest byte first": lambda group, name, values: group.create_dataset(name, data=values.astype(">i2")),
    "wider": lambda group, name, values: group.create_dataset(name, data=values.astype("<i4")),
    "no integers": lambda group, name, values: group.create_dataset(name, data=values.astype("<f4")),
    "of another shape": lambda group, name, values: group.create_dataset(name, data=values[:, :-1]),
    "elsewhere": lambda group, name, values: group.__setitem__(name, h5py.SoftLink("/events/event_2/get_traces")),
    "absent": lambda group, name, values: None,
    "of a longer header": lambda group, name, values: group.create_dataset(name, data=values).attrs.update(
        {f"fact {k}": k for k in range(7)}
    ),
    "described": lambda group, name, values: group.create_dataset(name, data=values).attrs.update({"by": "hand"}),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_an_unusual_event_is_left_to_hdf5(
    kind: str, events: list[TraceEvent], write_layout: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_layout(tmp_path / "run_0001.h5", LAYOUTS[0], events)
    rewritten(path, "get_traces", UNUSUAL[kind])
    assert same(read(path), read(path, plainly=False))
    if kind != "of a longer header":
        with pytest.raises(NOT_PLAIN):
            plain_only(path, 1, merger_2=False)


@pytest.mark.parametrize("piece", ["frib_physics", "977", "1903"])
def test_an_event_that_lacks_something_is_left_to_hdf5(
    piece: str, events: list[TraceEvent], write_layout: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_layout(tmp_path / "run_0001.h5", LAYOUTS[0], events, without={piece})
    assert same(read(path), read(path, plainly=False))
    with pytest.raises(NOT_PLAIN):
        plain_only(path, 1, merger_2=False)


def test_newer_forms_of_hdf5_are_left_to_it(
    events: list[TraceEvent], write_layout: Callable[..., Path], tmp_path: Path
) -> None:
    old, new = write_layout(tmp_path / "run_0001.h5", LAYOUTS[0], events), tmp_path / "new" / "run_0001.h5"
    new.parent.mkdir()
    with h5py.File(old) as source, h5py.File(new, "w", libver="latest") as target:
        for name in source:
            source.copy(name, target)
    assert [as_values(event) for event in read(new)[0]] == [as_values(event) for event in read(old)[0]]


@pytest.mark.parametrize("layout", [LAYOUTS[0], LAYOUTS[-1]])
def test_flipped_bits_of_the_structure_give_nothing_that_hdf5_would_not_give(
    layout: str, events: list[TraceEvent], write_layout: Callable[..., Path], tmp_path: Path
) -> None:
    """An event is as HDF5 reads the damaged file, or, where HDF5 refuses it, as in the sound one."""
    path = write_layout(tmp_path / "run_0001.h5", layout, events)
    sound = [as_values(event) for event in read(path)[0]]
    content, chance = path.read_bytes(), random.Random(11)
    data = np.zeros(len(content), np.bool_)
    with h5py.File(path) as file:
        file.visititems(lambda _, thing: _mark(thing, data))
    places, differing = np.flatnonzero(~data), []
    for _ in range(300):
        damaged = bytearray(content)
        damaged[int(chance.choice(places))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            ours, theirs = (read(path, plainly)[0] for plainly in (True, False))
        except DataError:
            continue
        for one, other in zip(ours, theirs, strict=True):
            if as_values(one) != as_values(other):
                differing.append(as_values(one) == sound[one.number] if not isinstance(one, str) else False)
    assert all(differing), differing


def _mark(thing: h5py.HLObject, data: np.ndarray) -> None:
    if isinstance(thing, h5py.Dataset) and thing.id.get_offset() is not None:
        data[thing.id.get_offset() : thing.id.get_offset() + thing.id.get_storage_size()] = True
