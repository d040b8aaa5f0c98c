"""The same events as trace files of every layout, written with h5py alone: independent of reader and writer.

Tests get this module as the fixture `layouts`, and its `write_layout` as a fixture of that name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spyral_core.traces.event import PAD_COLUMNS, SILICON_DETECTORS, TraceEvent

LAYOUTS = ("legacy", "libattpc_merger:1.0", "synchronizer:0.1.0", "harmonizer:0.1.0", "libattpc_merger:2.0")
PIECES = ("get", "frib_physics", "1903", "977", "range", "clocks", "origin", "silicon", "scalers")


def make_event(number: int, n_pads: int = 4, orig_run: int = 7, orig_event: int | None = None) -> TraceEvent:
    """An event full of distinct numbers: whatever is read from the wrong place is seen."""
    random = np.random.default_rng([20, number])
    pads = random.integers(200, 4096, (n_pads, PAD_COLUMNS)).astype(np.int16)
    pads[:, 0], pads[:, 1], pads[:, 2] = np.arange(n_pads) % 10, number % 4, np.arange(n_pads) % 4
    pads[:, 3], pads[:, 4] = np.arange(n_pads) % 68, random.permutation(10240)[:n_pads]
    ion_chamber, mesh, silicon = random.integers(0, 65536, (3, 2048)).astype(np.int32)
    return TraceEvent(
        number,
        orig_run,
        number if orig_event is None else orig_event,
        pads,
        ion_chamber,
        mesh,
        silicon,
        trigger=1 + number % 3,
        get_id=number,
        get_timestamp=10**12 + number,
        get_timestamp_other=5_000_000 + number,
        frib_id=number,
        frib_timestamp=77_000 + number,
    )


def write_layout(
    path: Path,
    layout: str,
    events: Sequence[TraceEvent],
    *,
    without: Collection[str] = (),
    scalers: Sequence[Sequence[int]] = (),
    version: str | None = None,
) -> Path:
    """Write events in one of `LAYOUTS` and return the path.

    `without` names `PIECES` that are to be missing in all events. An event without pad rows has no GET data, one
    without traces or trigger no such dataset; `range` are the first and last event, which the real writers count over
    GET events only. `version` replaces the version string.
    """
    assert layout in LAYOUTS, layout
    assert set(without) <= set(PIECES), without
    with h5py.File(path, "w") as file:
        if layout == "legacy":
            _write_legacy(file, events, without, scalers)
        else:
            _write_grouped(file, layout, events, without, scalers, version or layout)
    return path


def _write_grouped(
    file: h5py.File,
    layout: str,
    events: Sequence[TraceEvent],
    without: Collection[str],
    scalers: Sequence[Sequence[int]],
    version: str,
) -> None:
    renumbering = layout.startswith(("harmonizer", "synchronizer"))
    group = file.create_group("events")
    group.attrs["version"] = version
    if "range" not in without:
        last = max((event.number for event in events if len(event.pads)), default=0)
        group.attrs["min_event"] = np.uint64(min((event.number for event in events), default=0))
        group.attrs["max_event"] = np.uint64(last + 1 if renumbering else last)
    for event in events:
        one = group.create_group(f"event_{event.number}")
        if layout.startswith("harmonizer") and "origin" not in without:
            one.attrs["orig_run"] = np.int32(event.orig_run)
            one.attrs["orig_event"] = np.uint64(event.orig_event)
        if "get" not in without and (len(event.pads) or event.get_silicon):
            labelled = _write_get(one, layout, event, without)
            _clocks(labelled, without, id=event.get_id, timestamp=event.get_timestamp)
            _clocks(labelled, without, timestamp_other=event.get_timestamp_other)
        traces, register = _frib(event, without)
        if "frib_physics" not in without and (traces is not None or register is not None):
            frib = one.create_group("frib_physics")
            _clocks(
                frib, without, **{"event" if renumbering else "id": event.frib_id, "timestamp": event.frib_timestamp}
            )
            _datasets(frib, {"1903": traces, "977": register})
    if not layout.startswith("harmonizer") and "scalers" not in without:
        below = file.create_group("scalers")
        for number, row in enumerate(scalers):
            below.create_dataset(f"event_{number}", data=np.array(row, dtype=np.uint32))


def _write_get(one: h5py.Group, layout: str, event: TraceEvent, without: Collection[str]) -> h5py.HLObject:
    if layout != "libattpc_merger:2.0":
        return one.create_dataset("get_traces", data=event.pads)
    get = one.create_group("get")
    get.create_dataset("pads", data=event.pads)
    if "silicon" not in without:
        for name in SILICON_DETECTORS:
            get.create_dataset(name, data=event.get_silicon.get(name, event.pads[:0]))
    return get


def _write_legacy(
    file: h5py.File, events: Sequence[TraceEvent], without: Collection[str], scalers: Sequence[Sequence[int]]
) -> None:
    meta, get = file.create_group("meta"), file.create_group("get")
    if "range" not in without:
        numbers = [event.number for event in events if len(event.pads)] or [0]
        meta["meta"] = np.array([min(numbers), 123456.0, max(numbers), 654321.0])
    frib = None if "frib_physics" in without else file.create_group("frib/evt")
    for event in events:
        name = f"evt{event.number}"
        if "get" not in without and len(event.pads):
            get[f"{name}_data"] = event.pads
            if "clocks" not in without:
                get[f"{name}_header"] = np.array(
                    [event.get_id, event.get_timestamp, event.get_timestamp_other], dtype=np.float64
                )
        traces, register = _frib(event, without)
        if frib is not None and (traces is not None or register is not None):
            _datasets(frib, {f"{name}_1903": traces, f"{name}_977": register})
            if "clocks" not in without:
                frib[f"{name}_header"] = np.array([event.frib_id, event.frib_timestamp], dtype=np.uint32)
    if "scalers" not in without:
        below = file.create_group("frib/scaler")
        for number, row in enumerate(scalers):
            below[f"scaler{number}_data"] = np.array(row, dtype=np.uint32)
            below[f"scaler{number}_header"] = np.array([number, number + 1, 99], dtype=np.uint32)


def _frib(event: TraceEvent, without: Collection[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Datasets 1903, of 8 channels, and 977."""
    traces = register = None
    if event.ion_chamber is not None and "1903" not in without:
        traces = np.full((len(event.ion_chamber), 8), 3, dtype=np.uint16)
        for column, trace in enumerate((event.ion_chamber, event.mesh, event.silicon)):
            if trace is not None:
                traces[:, column] = trace
    if event.trigger >= 0 and "977" not in without:
        register = np.array([event.trigger], dtype=np.uint16)
    return traces, register


def _datasets(group: h5py.Group, values: dict[str, np.ndarray | None]) -> None:
    for name, value in values.items():
        if value is not None:
            group[name] = value


def _clocks(thing: h5py.HLObject, without: Collection[str], **values: Any) -> None:
    if "clocks" not in without:
        for name, value in values.items():
            if value >= 0:
                thing.attrs[name] = np.uint64(value)
