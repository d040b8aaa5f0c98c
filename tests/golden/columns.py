"""The columns of every table under a folder of results, their summaries, and how two of either differ.

Integers, words and numbers of rows are to be equal; floating-point columns to a tolerance, in units of the column's
largest magnitude, because the last bits depend on the kind of processor (docs/reproducibility.md).
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spyral_core import store

TOLERANCE = {"solver": 1e-6}  # by folder: the fit stops near the minimum, within its own tolerance
TOLERANCE_ELSEWHERE = 1e-9

Columns = dict[str, NDArray[Any]]
Summary = dict[str, Any]


def tolerance(column: str) -> float:
    """The tolerance of a column, named as in `read`."""
    return TOLERANCE.get(column.partition("/")[0], TOLERANCE_ELSEWHERE)


def read(results: Path) -> Columns:
    """All columns, by `file:table/column` of an HDF5 file and `file:column` of a parquet file.

    Of the trace files: the numbers of the events, and all pads and samples as one column.
    """
    found: Columns = {}
    for path in sorted(results.rglob("*.parquet")):
        for name, column in store.read_parquet(path).to_dict().items():
            found[f"{path.relative_to(results)}:{name}"] = column.to_numpy()
    for path in sorted(results.rglob("*.h5")):
        with h5py.File(path) as file:
            name = str(path.relative_to(results))
            if "events" in file and "get" in next(iter(file["events"].values())):
                found[f"{name}:pads"] = np.concatenate(
                    [event["get/pads"][:].ravel() for event in file["events"].values()]
                )
                continue
            for table, group in file.items():
                found.update({f"{name}:{table}/{column}": data[:] for column, data in group.items()})
    return found


def is_exact(values: NDArray[Any]) -> bool:
    """Whether a column must be equal to the last bit."""
    return values.dtype.kind != "f"


def summary(values: NDArray[Any]) -> Summary:
    """A column in a few numbers: of exact ones a checksum, too."""
    if values.dtype.kind in "OUST":
        return {"rows": len(values), "checksum": _checksum("\n".join(map(str, values)).encode())}
    if is_exact(values):
        whole = values.astype(np.int64)
        extremes = {"least": int(whole.min()), "greatest": int(whole.max())} if len(whole) else {}
        return {"rows": len(values), "sum": int(whole.sum()), **extremes, "checksum": _checksum(whole.tobytes())}
    finite = values[np.isfinite(values)]
    numbers: Summary = {"rows": len(values), "finite": len(finite)}
    if len(finite):
        numbers["mean"] = math.fsum(finite) / len(finite)
        numbers["rms"] = math.sqrt(math.fsum(finite**2) / len(finite))
        numbers["least"], numbers["greatest"] = float(finite.min()), float(finite.max())
    return numbers


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def moved(expected: dict[str, Summary], found: dict[str, Summary]) -> list[str]:
    """The columns whose summaries differ, and by how much: a line for each."""
    lines = [f"{column}: is new" for column in sorted(set(found) - set(expected))]
    lines += [f"{column}: is gone" for column in sorted(set(expected) - set(found))]
    for column in sorted(set(expected) & set(found)):
        changes, largest = _changes(expected[column], found[column], tolerance(column))
        if changes:
            size = f"moved by {largest:.2g} of its largest value: " if largest else ""
            lines.append(f"{column}: {size}{', '.join(changes)}")
    return lines


def _changes(before: Summary, after: Summary, allowed: float) -> tuple[list[str], float]:
    """Entries of a summary that differ, and the largest move in units of the column's largest magnitude."""
    scale = max((abs(before[key]) for key in ("least", "greatest") if key in before), default=0.0)
    changes, largest = [], 0.0
    for key in sorted({*before, *after}):
        one, other = before.get(key), after.get(key)
        if isinstance(one, float) and isinstance(other, float):
            move = abs(other - one)
            if move <= allowed * scale:
                continue
            largest = max(largest, move / scale if scale else math.inf)
        if one != other:
            changes.append(f"{key} {one} → {other}")
    return changes, largest


def differences(one: Columns, other: Columns) -> tuple[list[str], dict[str, float]]:
    """What is beyond tolerance between two sets of columns; and of each column that differs at all, by how much.

    The latter in units of the column's largest magnitude.
    """
    beyond = [f"{name}: only in one" for name in sorted(set(one) ^ set(other))]
    seen: dict[str, float] = {}
    for name in sorted(set(one) & set(other)):
        a, b = one[name], other[name]
        if len(a) != len(b):
            beyond.append(f"{name}: {len(a)} rows and {len(b)}")
        elif is_exact(a):
            if not np.array_equal(a, b):
                beyond.append(f"{name}: differs in {np.count_nonzero(a != b)} of {len(a)} rows")
        elif not np.array_equal(np.isfinite(a), np.isfinite(b)):
            beyond.append(f"{name}: not finite in different rows")
        else:
            finite = np.isfinite(a)
            scale = np.abs(a[finite]).max(initial=0.0)
            largest = np.abs(a[finite] - b[finite]).max(initial=0.0)
            if largest > 0:
                seen[name] = float(largest / scale) if scale else math.inf
                if seen[name] > tolerance(name):
                    beyond.append(f"{name}: differs by up to {seen[name]:.2g} of the largest value")
    return beyond, seen
