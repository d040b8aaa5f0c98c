"""Writes trace files in the layout `libattpc_merger:2.0`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from h5py import h5f, h5p
from numpy.typing import ArrayLike, NDArray

from spyral_core import store
from spyral_core.traces.event import PAD_COLUMNS, SILICON_DETECTORS, no_pads

VERSION = "libattpc_merger:2.0"


class TraceWriter:
    """Writes events one by one: contiguous, uncompressed, the same bytes for the same events.

    Use as a context manager: the file appears under its name when the block ends without an exception. `run` is
    recorded as `frib_run`, `lineage` as the attribute of that name.
    """

    def __init__(self, path: Path, run: int = 0, lineage: Mapping[str, Any] | None = None) -> None:
        self._path, self._run, self._lineage = path, run, lineage
        self._first: int | None = None
        self._last_get = 0
        self._clock: tuple[int, int] | None = None
        self._n_scalers = 0

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            temporary = opening.enter_context(store.atomic(self._path))
            file = opening.enter_context(_create(temporary))
            if self._lineage is not None:
                file.attrs["lineage"] = store.as_bytes(self._lineage)
            self._events = file.create_group("events")
            self._scalers = file.create_group("scalers")
            for group in (self._events, self._scalers):
                group.attrs["version"] = VERSION
            self._file = file
            self._open = opening.pop_all()
        return self

    def write_event(
        self,
        number: int,
        pads: NDArray[Any] | None,
        physics_1903: NDArray[Any] | None = None,
        register: int | None = None,
        *,
        timestamp: int = 0,
        timestamp_other: int = 0,
        frib_timestamp: int = 0,
        silicon: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Add an event.

        Parameters
        ----------
        number:
            Event number, not used before; it is also the `id` of both acquisitions.
        pads:
            Integers (n, 517) as in `TraceEvent.pads`; None if GET recorded nothing.
        physics_1903:
            Integers (samples, channels), channel 0 ion chamber, 1 mesh, 2 silicon; None if not recorded.
        register:
            Coincidence register; None if not recorded.
        timestamp, timestamp_other, frib_timestamp:
            Clocks of GET (two) and of FRIBDAQ.
        silicon:
            Rows like `pads` by detector (`SILICON_DETECTORS`); detectors left out are written empty.

        Raises ValueError if a shape is wrong, a value does not fit, or the number was used before.
        """
        get, frib = _get_datasets(pads, silicon), _frib_datasets(physics_1903, register)
        if number < 0:
            raise ValueError(f"event number {number} is negative")
        with store.writing(self._path):
            self._write_event(number, get, frib, timestamp, timestamp_other, frib_timestamp)

    def _write_event(
        self,
        number: int,
        get: Mapping[str, NDArray[Any]],
        frib: Mapping[str, NDArray[Any]],
        timestamp: int,
        timestamp_other: int,
        frib_timestamp: int,
    ) -> None:
        event = self._events.create_group(f"event_{number}")
        self._first = number if self._first is None else min(self._first, number)
        if get:
            group = event.create_group("get")
            _write(group, get)
            _attributes(group, np.uint64, timestamp=timestamp, timestamp_other=timestamp_other)
            _attributes(group, np.uint32, id=number)
            self._last_get = max(self._last_get, number)
            earliest, latest = self._clock or (timestamp, timestamp)
            self._clock = min(earliest, timestamp), max(latest, timestamp)
        if frib:
            group = event.create_group("frib_physics")
            _write(group, frib)
            _attributes(group, np.uint32, id=number, timestamp=frib_timestamp)

    def write_scalers(self, rows: Sequence[ArrayLike], seconds: int = 1) -> None:
        """Add scaler readouts, `seconds` apart; a row holds the words of `tables.SCALERS` in order."""
        for row in rows:
            name = f"event_{self._n_scalers}"
            _write(self._scalers, {name: _fitting(row, np.uint32)})
            start, stop = self._n_scalers * seconds, (self._n_scalers + 1) * seconds
            clocks = {"start_offset": start, "stop_offset": stop, "timestamp": stop}
            _attributes(self._scalers[name], np.uint32, **clocks, incremental=1)
            self._n_scalers += 1

    def _finish(self) -> None:
        """Write what is only known at the end."""
        earliest, latest = self._clock or (0, 0)
        _attributes(self._events, np.uint64, min_event=self._first or 0, max_event=self._last_get)
        _attributes(self._events, np.uint64, min_get_ts=earliest, max_get_ts=latest)
        _attributes(self._events, np.uint32, frib_run=self._run, frib_start=0, frib_stop=0, frib_time=0)
        _attributes(self._scalers, np.uint32, min_event=0, max_event=max(self._n_scalers - 1, 0))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            store.abandon(self._file)
            self._open.__exit__(kind, error, trace)
            return
        with self._open, store.writing(self._path):
            try:
                self._finish()
                self._file.flush()
            except BaseException:
                store.abandon(self._file)
                raise


def _create(path: Path) -> h5py.File:
    """A new HDF5 file of the earliest version, which stores no times of groups, and is what the merger itself writes.

    Without a buffer for data: a full disk must be seen when they are written, not when Python lets go of a dataset.
    """
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    access.set_libver_bounds(h5f.LIBVER_EARLIEST, h5f.LIBVER_LATEST)
    access.set_sieve_buf_size(0)
    return h5py.File(h5f.create(bytes(path), h5f.ACC_TRUNC, fapl=access))


def _fitting(values: ArrayLike, dtype: type[np.integer[Any]]) -> NDArray[Any]:
    """Integers as another integer type; ValueError if they are no integers or do not fit."""
    array = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"integers are wanted, not {array.dtype}")
    limits = np.iinfo(dtype)
    if array.size and not limits.min <= int(array.min()) <= int(array.max()) <= limits.max:
        raise ValueError(f"values from {array.min()} to {array.max()} do not fit {np.dtype(dtype)}")
    return array.astype(dtype)


def _get_datasets(
    pads: NDArray[Any] | None, silicon: Mapping[str, NDArray[Any]] | None
) -> dict[str, NDArray[np.int16]]:
    """The datasets of the group `get`; none if GET recorded nothing."""
    unknown = set(silicon or {}) - set(SILICON_DETECTORS)
    if unknown:
        raise ValueError(f"silicon detectors {sorted(unknown)} are none of {SILICON_DETECTORS}")
    if pads is None and not silicon:
        return {}
    rows = {"pads": pads, **(silicon or {})}
    return {name: _rows(rows.get(name)) for name in ("pads", *SILICON_DETECTORS)}


def _frib_datasets(physics_1903: NDArray[Any] | None, register: int | None) -> dict[str, NDArray[np.uint16]]:
    """The datasets of the group `frib_physics`; none if FRIBDAQ recorded nothing."""
    datasets = {}
    if register is not None:
        datasets["977"] = _fitting([register], np.uint16)
    if physics_1903 is not None:
        if np.ndim(physics_1903) != 2:
            raise ValueError(f"1903 has shape {np.shape(physics_1903)}, must be (samples, channels)")
        datasets["1903"] = _fitting(physics_1903, np.uint16)
    return datasets


def _rows(pads: NDArray[Any] | None) -> NDArray[np.int16]:
    if pads is None:
        return no_pads()
    if pads.ndim != 2 or pads.shape[1] != PAD_COLUMNS:
        raise ValueError(f"pad rows have shape {pads.shape}, must be (n, {PAD_COLUMNS})")
    return _fitting(pads, np.int16)


def _write(group: h5py.Group, datasets: Mapping[str, NDArray[Any]]) -> None:
    for name, values in datasets.items():
        group.create_dataset(name, data=values, track_times=False)


def _attributes(thing: h5py.HLObject, dtype: type[np.integer[Any]], **values: int) -> None:
    for name, value in values.items():
        thing.attrs.create(name, value, dtype=dtype)
