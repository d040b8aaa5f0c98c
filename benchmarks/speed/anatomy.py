"""Where the time of a stage goes: reading, computing, writing, and the rest of its job.

The parts are those of `spyral_core.runner`, each over the whole run; what is left of the job's own time is for opening
files, preparing tables, lineage, and counting.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from spyral_core import inputs, paths, runner, store
from spyral_core.catalog import STAGES, Stage
from spyral_core.errors import RejectedEventError

Clock = Callable[[], float]


@dataclass(frozen=True)
class Anatomy:
    """Seconds of each part over a run, and how many events there are."""

    events: int
    reading: float
    computing: float
    writing: float


def sources(
    stage: Stage, run: int, results: Path, traces: Path, parameters: Mapping[str, Any], gate: Path | None
) -> dict[str, Path]:
    """The files that a stage reads, as a job finds them."""
    found = {
        name: paths.trace_file(traces, run) if name == "traces" else paths.product(results, name, run)
        for name in stage.inputs
    }
    return found | inputs.configured(stage, parameters, gate)


def dissect(
    stage: Stage, files: Mapping[str, Path], parameters: Mapping[str, Any], clock: Clock, chunk: int = 200
) -> Anatomy:
    """Time reading, computing and writing of an event-wise stage by themselves.

    `clock` gives seconds. Events are read and computed some at a time, as they do not all fit into memory.
    """
    module: Any = import_module(stage.module)
    space = runner.namespace(parameters)
    constants = module.prepare(files, space)
    reading = computing = 0.0
    pieces: list[Mapping[str, store.Columns]] = []
    with module.open_source(files, space) as source:
        number = len(source.numbers)
        for first in range(0, number, chunk):
            started = clock()
            events = [source.read(index) for index in range(first, min(first + chunk, number))]
            between = clock()
            pieces += [_product(module, event, constants) for event in events]
            reading, computing = reading + between - started, computing + clock() - between
    started = clock()
    _write(stage, pieces)
    return Anatomy(number, reading, computing, clock() - started)


def _product(module: Any, event: Any, constants: Any) -> Mapping[str, store.Columns]:
    try:
        tables: Mapping[str, store.Columns] = module.process(event, constants).tables
    except RejectedEventError:
        return {}
    return tables


def _write(stage: Stage, pieces: Sequence[Mapping[str, store.Columns]]) -> None:
    """The stage's output, into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(paths.PATTERNS[stage.output]).name
        if path.suffix == ".h5":
            with store.TableWriter(path, stage.tables, {}) as writer:
                for piece in pieces:
                    for name, columns in piece.items():
                        writer.append(name, columns)
        else:
            (table,) = stage.tables
            rows = [store.as_columns(table, piece[table.name]) for piece in pieces if table.name in piece]
            joined = {name: np.concatenate([row[name] for row in rows]) if rows else () for name in table.names}
            store.write_parquet(path, table, joined, {}, {})


def one_stage(
    name: str, run: int, results: Path, traces: Path, parameters: Mapping[str, Any], gate: Path | None, clock: Clock
) -> Anatomy:
    """`dissect` of a stage by name."""
    stage = STAGES[name]
    gate = gate if name == "solve" else None
    return dissect(stage, sources(stage, run, results, traces, parameters, gate), parameters, clock)
