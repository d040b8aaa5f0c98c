"""Tables of the pad plane in CSV: one header line, then rows; line ends LF, CRLF or bare CR."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spyral_core.errors import ConfigurationError

_LINE_END = re.compile(r"\r\n|\n|\r")


def read_text(path: Path) -> str:
    """The text of a table; ConfigurationError if there is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not a text file") from None


def split_lines(text: str) -> list[str]:
    """The lines of a text, without line ends and without blank lines at its end."""
    lines = _LINE_END.split(text)
    while lines and not lines[-1].strip(" \t,"):
        lines.pop()
    return lines


def read_rows(path: Path, meaning: str) -> list[list[str]]:
    """The cells of a table, header left out, each row as long as the header.

    `meaning` says in errors what the columns should be. Raises ConfigurationError if the file cannot be read, is empty,
    has no header (a first line of numbers only), or has rows of unequal length.
    """
    rows = [[cell.strip().strip('"').strip() for cell in line.split(",")] for line in split_lines(read_text(path))]
    if not rows:
        raise ConfigurationError(f"{path}: is empty; allowed: one header line, then {meaning}")
    header, *body = rows
    if all(_is_number(cell) for cell in header):
        raise ConfigurationError(
            f"{path}: the first line holds numbers ({','.join(header)}); allowed: one header line, then {meaning}"
        )
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise ConfigurationError(
                f"{path}: line {number} has {len(row)} column(s) where the header has {len(header)}; allowed: {meaning}"
            )
    return body


def read_columns(path: Path, n_columns: int, n_rows: int, meaning: str) -> NDArray[np.float64]:
    """The finite numbers of a table of fixed size: float64 (n_columns, n_rows).

    Raises ConfigurationError, naming file, line and what is allowed, on any other number of rows or columns, on text
    and on numbers that are not finite.
    """
    rows = read_rows(path, meaning)
    found = len(rows[0]) if rows else n_columns
    if found != n_columns:
        raise ConfigurationError(f"{path}: has {found} column(s); allowed: {n_columns} ({meaning})")
    if len(rows) != n_rows:
        raise ConfigurationError(f"{path}: has {len(rows)} rows after the header; allowed: {n_rows}, {meaning}")
    values = np.array([[number_in(path, line, cell) for cell in row] for line, row in enumerate(rows, start=2)])
    return np.ascontiguousarray(values.T)


def read_column(path: Path, n_rows: int, meaning: str) -> NDArray[np.float64]:
    """The finite numbers of a table of one column: float64 (n_rows,); errors as in `read_columns`."""
    column: NDArray[np.float64] = read_columns(path, 1, n_rows, meaning)[0]
    return column


def number_in(path: Path, line: int, cell: str) -> float:
    """A finite number from one cell; ConfigurationError naming file and line if it is anything else."""
    if not _is_number(cell) or not np.isfinite(float(cell)):
        raise ConfigurationError(f"{path}: line {line}: {cell!r} is not a finite number")
    return float(cell)


def integer_in(path: Path, line: int, cell: str, name: str, largest: int) -> int:
    """An integer 0 … `largest` from one cell; ConfigurationError naming file, line and column if it is not one."""
    value = number_in(path, line, cell)
    if value != int(value) or not 0 <= value <= largest:
        raise ConfigurationError(f"{path}: line {line}: {name} is {cell}; allowed: integers 0 … {largest}")
    return int(value)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
