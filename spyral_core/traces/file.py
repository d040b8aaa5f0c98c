"""One interface to trace files of every layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from spyral_core import store
from spyral_core.errors import DataError, RejectedEventError
from spyral_core.tables import SCALERS
from spyral_core.traces.claims import Claims
from spyral_core.traces.datasets import DAMAGE, GroupID, child_dataset, first_words, one_line, path_of
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.layouts import Layout, recognise
from spyral_core.traces.shortened import missing_bytes, open_shortened

_RUN_FILE = re.compile(r"run_([0-9]{1,18})(?![0-9])")


# HDF5 lets its cache of object headers grow with the number of events read; it counts bytes in the file, and takes
# over ten times as many of memory. Each header is needed once.
METADATA_CACHE = 1 << 21


class TraceFile:
    """The events of one trace file; a context manager.

    Attributes
    ----------
    path:
        The file.
    layout:
        Its version string, such as `libattpc_merger:2.0`, or `legacy`.
    numbers:
        int64, ascending: the numbers of the events found. Every one of them can be given to `read` by its index.
    notes:
        What is unusual about the file but stops nothing, one line each, for the caller to print.
    """

    path: Path
    layout: str
    numbers: NDArray[np.int64]
    notes: list[str]

    def __init__(self, path: Path, file: h5py.File, notes: list[str]) -> None:
        self.path, self._file = path, file
        self._claims: list[tuple[int, int, int, int]] = []
        self.layout, self._reader, unusual = recognise(file, path, run_of(path))
        try:
            found, strange = self._reader.numbers()
        except DAMAGE as error:
            raise DataError(f"{path}: the list of events cannot be read: {one_line(error)}") from None
        self.numbers, times = np.unique(np.array(found, dtype=np.int64), return_counts=True)
        self._twice = frozenset(self.numbers[times > 1].tolist())
        remarks = _remarks(self.numbers, strange, self._reader)
        self.notes = [f"{path.name}: {one_line(text)}" for text in (*notes, *unusual, *self._reader.notes, *remarks)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, index: int) -> TraceEvent:
        """The event `numbers[index]`.

        Raises RejectedEventError, with the object and the reason, if it is damaged; other events can still be read.
        """
        number, claims = int(self.numbers[index]), Claims()
        if number in self._twice:
            raise RejectedEventError(f"the file has more than one event {number}: a name is damaged")
        try:
            event = self._reader.read(number, claims)
        except RejectedEventError:
            claims.objects.clear()
            self._reader.claim(number, claims)
            raise
        finally:
            self._claims += claims.rows(number)
        if len(claims.orders) > 1:
            raise RejectedEventError("its FRIBDAQ data are of different byte orders: a type is damaged")
        return event

    def evidence(self) -> list[tuple[int, int, int, int]]:
        """What the events claim that were read since this was last asked for: rows of `CLAIM_COLUMNS`."""
        found, self._claims = self._claims, []
        return found

    def scalers(self) -> dict[str, NDArray[np.int64]]:
        """All scaler readouts in order, columns of `tables.SCALERS`.

        Words that a readout does not have are -1, further words are ignored. A damaged readout is a row of -1 and a
        note.
        """
        rows: list[NDArray[np.int64]] = []
        try:
            for group, name in self._reader.scalers():
                rows.append(self._scaler_row(group, name))
        except (*DAMAGE, RejectedEventError) as error:
            self._note(f"the scalers cannot be read: {error}")
        table = np.array(rows, dtype=np.int64).reshape(len(rows), len(SCALERS.names))
        return {column: table[:, index].copy() for index, column in enumerate(SCALERS.names)}

    def _scaler_row(self, group: GroupID, name: str) -> NDArray[np.int64]:
        try:
            dataset = child_dataset(group, name)
            if dataset is None:
                raise RejectedEventError("it is listed but not to be found")
            return first_words(dataset, len(SCALERS.names))
        except (*DAMAGE, RejectedEventError) as error:
            self._note(f"scaler readout {path_of(group, name)} is damaged and left empty: {error}")
            return np.full(len(SCALERS.names), -1, dtype=np.int64)

    def _note(self, text: str) -> None:
        line = f"{self.path.name}: {one_line(text)}"
        if line not in self.notes:
            self.notes.append(line)


def open_traces(path: Path) -> TraceFile:
    """Open a trace file of any known layout.

    Of a file that was cut off what HDF5 can reach is read, with a note. Raises DataError if the file is absent, is not
    HDF5, is cut off before its list of events, or has a layout that is not known.
    """
    missing = missing_bytes(path)
    notes = [f"the file is cut off: {missing} bytes at its end are missing; what is left is used"] if missing else []
    try:
        file = open_shortened(path) if missing else store.open_hdf5(path)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be opened as HDF5: {notes[0]}: {one_line(error)}") from None
    try:
        cache = file.id.get_mdc_config()
        cache.set_initial_size, cache.initial_size = True, METADATA_CACHE
        cache.min_size = cache.max_size = METADATA_CACHE
        file.id.set_mdc_config(cache)
        return TraceFile(path, file, notes)
    except DataError as error:
        file.close()
        raise DataError("; ".join([str(error), *notes])) from None
    except BaseException:
        file.close()
        raise


def run_of(path: Path) -> int:
    """The run number in a file name `run_0001.h5`; 0 if there is none."""
    match = _RUN_FILE.match(path.name)
    return int(match[1]) if match else 0


def _remarks(numbers: NDArray[np.int64], strange: list[str], reader: Layout) -> list[str]:
    """Where a file departs from what its own attributes say."""
    remarks = []
    if strange:
        shown = ", ".join(strange[:5]) + (", …" if len(strange) > 5 else "")
        remarks.append(f"{len(strange)} object(s) among the events have no event number and are left out: {shown}")
    if not len(numbers):
        return [*remarks, "there are no events"]
    first, last = int(numbers[0]), int(numbers[-1])
    stated_first, stated_last = reader.stated_range()
    if not stated_last:
        remarks.append(f"the last event is not stated (the writer was aborted?); the last one found is {last}")
    elif stated_last[0] < last:
        beyond = int(np.count_nonzero(numbers > stated_last[0]))
        remarks.append(f"{beyond} event(s) lie beyond the stated last one, {stated_last[0]}; all are used, to {last}")
    elif last not in stated_last:
        remarks.append(f"the stated last event is {stated_last[0]}, the last one found is {last}")
    if stated_first is not None and stated_first != first:
        remarks.append(f"the stated first event is {stated_first}, the first one found is {first}")
    missing = last - first + 1 - len(numbers)
    if missing:
        hole = int(numbers[np.argmax(np.diff(numbers) > 1)]) + 1
        remarks.append(f"{missing} event number(s) between {first} and {last} are missing, {hole} is the first of them")
    return remarks
