"""Events of merger files that are whole and of the usual form, without HDF5; of all others HDF5 is asked."""

from __future__ import annotations

import numpy as np
from h5py import h5t
from numpy.typing import NDArray

from spyral_core.traces.claims import FRIB_TRACES, PADS, REGISTER, SILICON, Claims
from spyral_core.traces.datasets import (
    MAX_FRIB_CHANNELS,
    MAX_FRIB_SAMPLES,
    MAX_PAD_ROWS,
    number_of_impossible,
)
from spyral_core.traces.event import PAD_COLUMNS, SILICON_DETECTORS, TraceEvent, no_pads
from spyral_core.traces.plain_objects import PlainDataset, PlainGroup, PlainObjects, UnusualError

_EVENT_1 = {b"get_traces", b"frib_physics"}
_EVENT_2 = {b"get", b"frib_physics"}
_SILICON = [name.encode() for name in SILICON_DETECTORS]
_GET = {b"pads", *_SILICON}
_FRIB = {b"1903", b"977"}


def read_plainly(
    objects: PlainObjects, address: int, number: int, origin: tuple[int, int], merger_2: bool, claims: Claims
) -> TraceEvent:
    """The event whose group lies at an address, and what it claims.

    `origin`: run and event number where the event does not say of its own; `merger_2`: layout 2.0, else 1.0. Raises
    what is in `plain_objects.NOT_PLAIN` if anything is absent, or otherwise than it usually is; `claims` stay as they
    are then.
    """
    event = objects.group(address)
    _expect(event, _EVENT_2 if merger_2 else _EVENT_1)
    own = Claims()
    silicon: dict[str, NDArray[np.int16]] = {}
    if merger_2:
        get = objects.group(event.members[b"get"])
        _expect(get, _GET)
        found = {name.decode(): _pads(objects, objects.dataset(get.members[name]), SILICON, own) for name in _SILICON}
        silicon = {name: rows for name, rows in found.items() if len(rows)}
        pads, clocks = _pads(objects, objects.dataset(get.members[b"pads"]), PADS, own), get.attributes
    else:
        traces = objects.dataset(event.members[b"get_traces"])
        pads, clocks = _pads(objects, traces, PADS, own), traces.attributes
    frib = objects.group(event.members[b"frib_physics"])
    _expect(frib, _FRIB)
    digitised = _frib_traces(objects, objects.dataset(frib.members[b"1903"]), own)
    trigger = _register(objects, objects.dataset(frib.members[b"977"]), own)
    claims.objects += own.objects
    claims.orders |= own.orders
    return TraceEvent(
        number,
        event.attributes.get(b"orig_run", origin[0]),
        event.attributes.get(b"orig_event", origin[1]),
        pads,
        ion_chamber=digitised[0],
        mesh=digitised[1],
        silicon=digitised[2],
        trigger=trigger,
        get_silicon=silicon,
        get_id=clocks.get(b"id", -1),
        get_timestamp=clocks.get(b"timestamp", -1),
        get_timestamp_other=clocks.get(b"timestamp_other", -1),
        frib_id=frib.attributes.get(b"id", frib.attributes.get(b"event", -1)),
        frib_timestamp=frib.attributes.get(b"timestamp", -1),
    )


def _expect(group: PlainGroup, names: set[bytes]) -> None:
    if group.members.keys() != names:
        raise UnusualError


def _pads(objects: PlainObjects, dataset: PlainDataset, kind: str, claims: Claims) -> NDArray[np.int16]:
    rows = dataset.shape[0]
    if dataset.dtype != np.int16 or dataset.shape[1:] != (PAD_COLUMNS,) or rows > MAX_PAD_ROWS:
        raise UnusualError
    if not rows:
        return no_pads()
    pads = objects.read(dataset)
    if number_of_impossible(pads) > 0.5 * rows:
        raise UnusualError
    claims.objects.append((kind, dataset.offset, dataset.size))
    return pads


def _frib_traces(objects: PlainObjects, dataset: PlainDataset, claims: Claims) -> NDArray[np.int32]:
    """Ion chamber, mesh and silicon: int32 (3, samples)."""
    shape = dataset.shape
    if len(shape) != 2 or not 0 < shape[0] <= MAX_FRIB_SAMPLES or not 3 <= shape[1] <= MAX_FRIB_CHANNELS:
        raise UnusualError
    if not np.can_cast(dataset.dtype, np.int32):
        raise UnusualError
    traces = objects.read(dataset)
    _claim_frib(FRIB_TRACES, dataset, claims)
    return np.ascontiguousarray(traces[:, :3].T, dtype=np.int32)


def _register(objects: PlainObjects, dataset: PlainDataset, claims: Claims) -> int:
    if dataset.shape != (1,) or not np.can_cast(dataset.dtype, np.int64):
        raise UnusualError
    value = int(objects.read(dataset)[0])
    _claim_frib(REGISTER, dataset, claims)
    return value


def _claim_frib(kind: str, dataset: PlainDataset, claims: Claims) -> None:
    claims.orders.add(h5t.ORDER_LE)
    claims.objects.append((kind, dataset.offset, dataset.size))
