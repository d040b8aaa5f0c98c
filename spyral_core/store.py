"""The project's own files: tables in HDF5 and parquet, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from spyral_core.errors import DataError
from spyral_core.tables import Table

Columns = Mapping[str, Any]
_POLARS_TYPES: dict[str, Any] = {
    "str": pl.String,
    "bool": pl.Boolean,
    "int8": pl.Int8,
    "int32": pl.Int32,
    "int64": pl.Int64,
    "float64": pl.Float64,
}
_NUMPY_TYPES = {name: np.dtype(object if name == "str" else name) for name in _POLARS_TYPES}

BLOCK_ROWS = 1 << 15  # rows written at a time: fixed, so that files do not depend on how work was split


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place if all goes well, and vanishes if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def as_bytes(values: Mapping[str, Any]) -> np.bytes_:
    """JSON for an HDF5 attribute, of fixed length: HDF5 may search for ever in a damaged heap of other strings."""
    return np.bytes_(json.dumps(values, sort_keys=True).encode())


def abandon(file: h5py.File) -> None:
    """Close an HDF5 file that is to be thrown away, also when its disk is full.

    HDF5 keeps what it could not write, tries again on closing, and crashes at the end of the process if it never can.
    So it is given another, nameless file to write the rest to.
    """
    if file.id.valid:
        with tempfile.TemporaryFile(dir=None if not Path("/dev/shm").is_dir() else "/dev/shm") as elsewhere:
            os.dup2(elsewhere.fileno(), file.id.get_vfd_handle())
            with suppress(OSError, RuntimeError):
                file.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong in here, a full disk say, is a DataError that names the file."""
    try:
        yield
    except (OSError, RuntimeError, pl.exceptions.PolarsError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())
        raise DataError(f"{path}: cannot be written: {reason}") from None


def as_columns(table: Table, values: Columns) -> dict[str, NDArray[Any]]:
    """Values checked against a table: every column, one length, the table's types.

    Raises ValueError on a missing or unknown column, or unequal lengths.
    """
    given = table.given
    if not given.keys() <= values.keys() <= table.known:
        raise ValueError(f"table {table.name} has columns {sorted(table.names)}, got {sorted(values)}")
    columns = {}
    for name, dtype in given.items():
        column = np.asarray(values[name], _NUMPY_TYPES[dtype])
        columns[name] = column if column.ndim else column.reshape(1)
    if len(set(map(len, columns.values()))) > 1:
        raise ValueError(f"table {table.name}: columns of unequal length")
    return columns


class TableWriter:
    """Writes tables of one HDF5 file piece by piece.

    Use as a context manager: the file appears under its name when the block ends without an exception.
    """

    def __init__(self, path: Path, tables: tuple[Table, ...], lineage: Mapping[str, Any]) -> None:
        self._final = path
        self._tables = {table.name: table for table in tables}
        self._lineage = lineage
        self._waiting: dict[str, list[dict[str, NDArray[Any]]]] = {name: [] for name in self._tables}
        self._n_waiting = dict.fromkeys(self._tables, 0)
        self._owned = {(table.name, child): 0 for table in tables for child, _, _ in table.owns}
        self.counts: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        temporary = self._stack.enter_context(atomic(self._final))
        self._file = self._stack.enter_context(h5py.File(temporary, "w", libver="v110"))
        self._file.attrs["lineage"] = as_bytes(self._lineage)
        # Kept open: what the disk has no place for must fail in `flush`, not when Python lets go of a dataset.
        self._datasets: dict[str, dict[str, h5py.Dataset]] = {}
        return self

    def _create(self, table: Table, n_rows: int) -> None:
        """Make a table's datasets, in chunks of so many rows."""
        group = self._file.create_group(table.name)
        self._datasets[table.name] = {}
        for column in table.columns:
            dataset = group.create_dataset(
                column.name,
                shape=(0,),
                maxshape=(None,),
                chunks=(max(n_rows, 1),),
                dtype=column.dtype,
                track_times=False,
            )
            self._datasets[table.name][column.name] = dataset
            dataset.attrs["unit"] = column.unit
            dataset.attrs["meaning"] = column.meaning

    def append(self, name: str, values: Columns) -> None:
        """Add rows; columns that point at the first row of a child table are filled in here."""
        table = self._tables[name]
        columns = as_columns(table, values)
        for child, first, number in table.owns:
            ends = self._owned[name, child] + np.cumsum(columns[number])
            columns[first] = ends - columns[number]
            self._owned[name, child] = int(ends[-1]) if len(ends) else self._owned[name, child]
        self._waiting[name].append(columns)
        self._n_waiting[name] += len(columns[table.names[0]])
        if self._n_waiting[name] >= BLOCK_ROWS:
            with writing(self._final):
                self._flush(name, whole=False)

    def _flush(self, name: str, whole: bool) -> None:
        table, pieces = self._tables[name], self._waiting[name]
        joined = {
            column.name: np.concatenate([np.empty(0, column.dtype), *(piece[column.name] for piece in pieces)])
            for column in table.columns
        }
        n_rows = self._n_waiting[name]
        n_now = n_rows if whole else n_rows - n_rows % BLOCK_ROWS
        if name not in self._datasets:  # a table of less than a block takes no more place than its rows
            self._create(table, min(n_now, BLOCK_ROWS))
        for column, values in joined.items():
            dataset = self._datasets[name][column]
            dataset.resize(len(dataset) + n_now, axis=0)
            dataset[len(dataset) - n_now :] = values[:n_now]
        self._waiting[name] = [{column: values[n_now:] for column, values in joined.items()}]
        self._n_waiting[name] -= n_now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            abandon(self._file)
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack, writing(self._final):  # a fault in here must not let a partial file take its name
            try:
                for name in self._tables:
                    self._flush(name, whole=True)
                self._file.attrs["counts"] = as_bytes(self.counts)
                self._file.flush()
            except BaseException:
                abandon(self._file)
                raise


class TableReader:
    """Reads tables of one HDF5 file; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: dict[str, dict[str, h5py.Dataset]] = {}

    def __enter__(self) -> Self:
        self._file = open_hdf5(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        self._columns.clear()
        self._file.close()

    @property
    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = json.loads(self._file.attrs["counts"])
        return counts

    def n_rows(self, table: str) -> int:
        group = self._file[table]
        return len(group[next(iter(group))])

    def read(
        self, table: str, first: int = 0, number: int | None = None, names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Rows `first` … `first + number` of a table: all columns, or those of `names`."""
        stop = None if number is None else first + number
        group, opened = self._file[table], self._columns.setdefault(table, {})
        values = {}
        for name in group if names is None else names:
            if name not in opened:  # opening a dataset takes longer than reading some rows of it
                opened[name] = group[name]
            values[name] = opened[name][first:stop]
        return values


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading; DataError if that is not what it is."""
    try:
        return h5py.File(path, "r", locking=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened as HDF5, it is truncated or of another kind: {error}") from None


def write_parquet(
    path: Path,
    table: Table,
    values: Columns,
    lineage: Mapping[str, Any],
    counts: Mapping[str, int] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write one table as parquet with its lineage, units, counts and further facts (as JSON can hold) as metadata."""
    columns = as_columns(table, values)
    frame = pl.DataFrame(
        {
            column.name: pl.Series(
                column.name,
                columns[column.name].tolist() if column.dtype == "str" else columns[column.name],
                dtype=_POLARS_TYPES[column.dtype],
            )
            for column in table.columns
        }
    )
    metadata = {
        "lineage": json.dumps(lineage, sort_keys=True),
        "counts": json.dumps(dict(counts or {}), sort_keys=True),
        **({} if facts is None else {"facts": json.dumps(facts, sort_keys=True)}),
        "units": json.dumps({column.name: column.unit for column in table.columns}),
    }
    with writing(path), atomic(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", row_group_size=1 << 17, metadata=metadata)


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a table; DataError if the file is absent or damaged."""
    try:
        return pl.read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: cannot be read as parquet: {error}") from None


def read_metadata(path: Path) -> dict[str, Any]:
    """`lineage`, `counts` and `facts` (if it has any) of one of the project's files.

    Empty for any other file, and for a damaged one.
    """
    texts: dict[str, Any] = {}
    with suppress(OSError, RuntimeError, KeyError, ValueError, pl.exceptions.PolarsError):
        if path.suffix == ".parquet":
            texts = dict(pl.read_parquet_metadata(path))
        elif h5py.is_hdf5(path):
            with h5py.File(path, "r", locking=False) as file:
                texts = {key: file.attrs[key] for key in ("lineage", "counts") if _is_fixed_text(file, key)}
        return {key: json.loads(texts[key]) for key in ("lineage", "counts", "facts") if key in texts}
    return {}


def _is_fixed_text(file: h5py.File, name: str) -> bool:
    if name not in file.attrs:
        return False
    stored = h5py.h5a.open(file["/"].id, name.encode()).get_type()
    return isinstance(stored, h5py.h5t.TypeStringID) and not stored.is_variable_str()


def read_lineage(path: Path) -> dict[str, Any] | None:
    """The lineage of one of the project's files; None for any other file."""
    return read_metadata(path).get("lineage")
