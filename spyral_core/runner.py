"""One stage over one run: event ranges, worker processes, progress, rejected events, atomic output."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spyral_core import lineage, store, tables
from spyral_core.catalog import STAGES, Stage
from spyral_core.errors import ConfigurationError, DataError, RejectedEventError

Files = Mapping[str, Path]
Rows = list[tuple[int, ...]]


@dataclass
class Product:
    """What a stage makes of one event: rows of its tables, clusters it could not use, counts it keeps of the run."""

    tables: dict[str, store.Columns] = field(default_factory=dict)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class Audit:
    """What only shows when all events have been read: events that are damaged, with the reason; counts; lines to say.

    What it finds may not depend on the order of the evidence.
    """

    doubtful: dict[int, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class _DoubtfulError(Exception):
    """Events that were used and must not be."""

    def __init__(self, events: dict[int, str]) -> None:
        super().__init__(len(events))
        self.events = events


class Source(Protocol):
    """The events of a file: their numbers, and one event at a time."""

    numbers: NDArray[np.int64]

    def read(self, index: int) -> Any: ...


class StageModule(Protocol):
    """The functions that the module of an event-wise stage has.

    `process(event, constants)` is a pure function of one event; it raises RejectedEventError with the reason if the
    event cannot be used. A module may go without these: `extra(files, parameters)` gives the columns of the stage's
    further outputs; `audit(evidence, used)` says what all that its sources gave as `evidence()` shows together, given
    the numbers of the events that were used.
    """

    def open_source(self, files: Files, parameters: SimpleNamespace) -> AbstractContextManager[Source]: ...

    def prepare(self, files: Files, parameters: SimpleNamespace) -> Any: ...

    def process(self, event: Any, constants: Any) -> Product: ...


def namespace(values: Any) -> Any:
    """Nested mappings as nested attributes: `parameters.get.peak_threshold`."""
    if isinstance(values, Mapping):
        return SimpleNamespace(**{key: namespace(item) for key, item in values.items()})
    return values


@dataclass
class _Job:
    """What a worker process needs to know once."""

    stage: str
    files: dict[str, Path]
    parameters: dict[str, Any]
    doubtful: dict[int, str]


def _load(job: _Job) -> tuple[Any, Callable[[Any, Any], Product]]:
    """The stage's module and its function of one event, which the configuration may replace."""
    module = importlib.import_module(STAGES[job.stage].module)
    own = (job.parameters.get("phases") or {}).get(job.stage)
    if not own:
        return module, module.process
    name, _, function = own.partition(":")
    try:
        return module, getattr(importlib.import_module(name), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"phases.{job.stage}: {own!r} cannot be loaded as `package.module:function`: {error}"
        ) from None


class _Worker:
    """Processes ranges of events of one file."""

    def __init__(self, job: _Job) -> None:
        module, self._process = _load(job)
        parameters = namespace(job.parameters)
        self._constants = module.prepare(job.files, parameters)
        self._context = module.open_source(job.files, parameters)
        self._source = self._context.__enter__()
        self._tables = STAGES[job.stage].tables
        self._doubtful = job.doubtful

    def __call__(
        self, span: tuple[int, int]
    ) -> tuple[list[Mapping[str, store.Columns]], list[tuple[int, int, str]], dict[str, int], Rows]:
        pieces: list[Mapping[str, store.Columns]] = []
        rejected: list[tuple[int, int, str]] = []
        counts: dict[str, int] = {}
        for index in range(*span):
            number = int(self._source.numbers[index])
            if number in self._doubtful:
                rejected.append((number, -1, self._doubtful[number]))
                continue
            try:
                product = self._process(self._source.read(index), self._constants)
                checked = {
                    table.name: store.as_columns(table, product.tables[table.name])
                    for table in self._tables
                    if table.name in product.tables
                }
            except RejectedEventError as reason:
                rejected.append((number, -1, str(reason)))
                continue
            except MemoryError:
                raise
            except Exception as error:  # one bad event is a row, not a crash
                rejected.append((number, -1, f"{type(error).__name__}: {error}"))
                continue
            pieces.append(checked)
            rejected.extend((number, cluster, reason) for cluster, reason in product.rejected)
            for name, count in product.counts.items():
                counts[name] = counts.get(name, 0) + count
        evidence: Rows = self._source.evidence() if hasattr(self._source, "evidence") else []
        return pieces, rejected, counts, evidence

    def close(self) -> None:
        self._context.__exit__(None, None, None)


_worker: _Worker | None = None


def _start_worker(job: _Job) -> None:
    global _worker  # noqa: PLW0603  (a worker process serves one job)
    _worker = _Worker(job)


def _work(span: tuple[int, int]) -> Any:
    assert _worker is not None
    return _worker(span)


@contextmanager
def _worker_closed() -> Iterator[None]:
    """Closes the source of this process's own worker, if it had one: HDF5 gives an open file to who opens it again."""
    global _worker  # noqa: PLW0603  (a worker process serves one job)
    try:
        yield
    finally:
        if _worker is not None:
            _worker.close()
            _worker = None


_failure: Exception | None = None


def _begin(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Start a worker process; a failure is kept for the first item, or the pool would only know that it died."""
    global _failure  # noqa: PLW0603  (of this worker process)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        start(*arguments)
    except Exception as error:
        _failure = error


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _continue(work: Callable[[Any], Any], item: Any) -> Any:
    if _failure is not None:
        raise _failure
    return work(item)


def ordered_map(
    work: Callable[[Any], Any],
    items: Sequence[Any],
    workers: int,
    start: Callable[..., None],
    arguments: tuple[Any, ...],
) -> Iterator[Any]:
    """`map(work, items)` by worker processes, in order, with few items under way at a time.

    `start(*arguments)` runs once in each worker (and here, if there is only one); what it raises is raised here. A
    worker that dies is a DataError, and workers end when this process does, however that ends.
    """
    if workers <= 1 or len(items) <= 1:
        start(*arguments)
        yield from map(work, items)
        return
    number = min(workers, len(items))
    with ProcessPoolExecutor(number, get_context("spawn"), _begin, (start, arguments)) as pool:
        waiting: deque[Future[Any]] = deque()
        remaining = iter(items)
        try:
            for item in remaining:
                waiting.append(pool.submit(_continue, work, item))
                if len(waiting) >= 3 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise DataError(
                "a worker process died (killed, or out of memory): give the job more memory or fewer threads"
            ) from None
        except BaseException:  # SIGTERM, too: not to wait for what the workers have begun
            for worker in active_children():
                worker.terminate()
            raise
        finally:
            for future in waiting:
                future.cancel()


def spans(n_events: int, chunk: int) -> list[tuple[int, int]]:
    """Ranges of `chunk` events that cover all."""
    return [(first, min(first + chunk, n_events)) for first in range(0, n_events, chunk)]


class Progress:
    """A bar on a terminal, a line now and then in a log."""

    def __init__(self, label: str, total: int, every_seconds: float = 20.0) -> None:
        self._label, self._total, self._every = label, total, every_seconds
        self._done, self._start = 0, time.monotonic()
        self._last = self._start

    def advance(self, n_events: int) -> None:
        self._done += n_events
        now = time.monotonic()
        share = self._done / max(self._total, 1)
        rate = self._done / max(now - self._start, 1e-9)
        text = f"{self._label}: {self._done} of {self._total} events ({share:.0%}), {rate:.0f}/s"
        if sys.stderr.isatty():
            bar = "█" * int(24 * share)
            print(
                f"\r{text} {bar:<24}",
                end="\n" if self._done >= self._total else "",
                file=sys.stderr,
                flush=True,
            )
        elif now - self._last > self._every or self._done >= self._total:
            print(text, file=sys.stderr, flush=True)
            self._last = now


@contextmanager
def _all_or_none(outputs: Files, inputs: Stamps) -> Iterator[None]:
    """Of the outputs of a stage that fails none is left: each of them would look as if the stage had been done."""
    try:
        yield
    except BaseException:
        for path in outputs.values():
            if path not in inputs:
                path.unlink(missing_ok=True)
        raise


Stamps = dict[Path, tuple[int, int, int]]


def stamps(files: Files) -> Stamps:
    """What tells a file from another one of its name: size, time of its last change, inode.

    Raises DataError if one is not there.
    """
    found: Stamps = {}
    for path in files.values():
        try:
            state = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
        found[path] = (state.st_size, state.st_mtime_ns, state.st_ino)
    return found


def check_unchanged(files: Files, before: Stamps) -> None:
    """DataError if a file is not the one that `stamps` saw: half of the result would be of another file."""
    now = stamps(files)
    for path, stamp in before.items():
        if now[path] != stamp:
            raise DataError(f"{path}: was changed or replaced while it was read: give the same command again")


def run_stage(
    stage: Stage,
    run: int,
    parameters: dict[str, Any],
    inputs: dict[str, Path],
    outputs: dict[str, Path],
    workers: int = 1,
    chunk_events: int = 32,
) -> None:
    """Run an event-wise stage over a file.

    `inputs` are the stage's inputs and further files (gas, gate, …) by name; `outputs` holds `output`, `rejected` and
    the stage's extra outputs. The result does not depend on `workers` and `chunk_events`.

    Raises DataError if an input cannot be used, or more than `max_rejected_share` of the events are rejected.
    """
    doubtful: dict[int, str] = {}
    while True:
        try:
            _attempt(stage, run, _Job(stage.name, inputs, parameters, doubtful), outputs, workers, chunk_events)
        except _DoubtfulError as found:
            print(
                f"{stage.name} run {run}: {len(found.events)} event(s) prove damaged; all is done anew without them",
                file=sys.stderr,
            )
            doubtful = doubtful | found.events
        else:
            return


def _attempt(stage: Stage, run: int, job: _Job, outputs: dict[str, Path], workers: int, chunk_events: int) -> None:
    """Run a stage over a file; _DoubtfulError if it used events that all of them together show to be damaged."""
    module, _ = _load(job)
    inputs, parameters = job.files, job.parameters
    before = stamps(inputs)
    made_by = lineage.build(stage, run, parameters, inputs)
    with module.open_source(inputs, namespace(parameters)) as source:
        numbers = source.numbers.tolist()
    n_events = len(numbers)
    evidence: Rows = []
    rejected: list[tuple[int, int, str]] = []
    counts: dict[str, int] = {"events": n_events}
    progress = Progress(f"{stage.name} run {run}", n_events)
    ranges = spans(n_events, chunk_events)
    with _worker_closed(), _all_or_none(outputs, before), _table_sink(stage, outputs["output"], made_by) as sink:
        for span, (pieces, refused, counted, seen) in zip(
            ranges, ordered_map(_work, ranges, workers, _start_worker, (job,)), strict=True
        ):
            for piece in pieces:  # one event at a time: the file must not depend on the ranges
                for name, columns in piece.items():
                    sink.append(name, columns)
            rejected.extend(refused)
            evidence.extend(seen)
            for name, count in counted.items():
                counts[name] = counts.get(name, 0) + count
            progress.advance(span[1] - span[0])
        if hasattr(module, "audit"):
            refused_events = {number for number, cluster, _ in rejected if cluster < 0}
            used = [number for number in numbers if number not in refused_events]
            _audit(module.audit(evidence, used), refused_events, counts)
        further = {name: module.extra(inputs, namespace(parameters)) for name in stage.extra}
        _say(stage, run, rejected, counts)
        check_unchanged(inputs, before)
        _check_share(stage, run, n_events, rejected, parameters["max_rejected_share"])
        for name, table in stage.extra.items():
            store.write_parquet(outputs[name], table, further[name], made_by, counts)
        refusals = list(zip(*rejected, strict=True)) or [(), (), ()]
        store.write_parquet(
            outputs["rejected"],
            tables.REJECTED,
            dict(zip(tables.REJECTED.names, refusals, strict=True)),
            made_by,
            counts,
        )
        sink.counts = counts


def _audit(found: Audit, refused: Collection[int], counts: dict[str, int]) -> None:
    if found.doubtful.keys() - refused:
        raise _DoubtfulError(found.doubtful)
    for note in found.notes:
        print(note, file=sys.stderr)
    counts |= found.counts


def _say(stage: Stage, run: int, rejected: list[tuple[int, int, str]], counts: dict[str, int]) -> None:
    """What was counted and what was rejected, to the log."""
    counted = ", ".join(f"{name} {number}" for name, number in counts.items())
    print(f"{stage.name} run {run}: {counted}", file=sys.stderr)
    for kind, whole in (("event", True), ("cluster", False)):
        reasons = [(number, reason) for number, cluster, reason in rejected if (cluster < 0) == whole]
        if reasons:
            print(f"{stage.name} run {run}: {len(reasons)} {kind}(s) rejected", file=sys.stderr)
        first = dict(reversed([(reason, number) for number, reason in reasons]))
        for reason, number in Counter(reason for _, reason in reasons).most_common(5):
            print(f"  {number} × {reason} (event {first[reason]})", file=sys.stderr)


def _check_share(stage: Stage, run: int, n_events: int, rejected: list[tuple[int, int, str]], limit: float) -> None:
    whole = [(number, reason) for number, cluster, reason in rejected if cluster < 0]
    if len(whole) > limit * n_events:
        number, reason = whole[0]
        raise DataError(
            f"{stage.name}, run {run}: {len(whole)} of {n_events} events were rejected, more than the share of {limit} "
            f"that `max_rejected_share` allows; the first is event {number}: {reason}"
        )


class _ParquetSink:
    """Collects the one table of a parquet output; the counterpart of `store.TableWriter`."""

    def __init__(self, path: Path, stage: Stage, made_by: Mapping[str, Any]) -> None:
        self._path, self._made_by = path, made_by
        (self._table,) = stage.tables
        self._pieces: list[Mapping[str, NDArray[Any]]] = []
        self.counts: dict[str, int] = {}

    def __enter__(self) -> _ParquetSink:
        return self

    def append(self, _: str, values: Mapping[str, NDArray[Any]]) -> None:
        self._pieces.append(values)  # checked where they were made

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            joined = {
                name: np.concatenate([piece[name] for piece in self._pieces]) if self._pieces else ()
                for name in self._table.names
            }
            store.write_parquet(self._path, self._table, joined, self._made_by, self.counts)


def _table_sink(stage: Stage, path: Path, made_by: Mapping[str, Any]) -> store.TableWriter | _ParquetSink:
    if path.suffix == ".parquet":
        return _ParquetSink(path, stage, made_by)
    return store.TableWriter(path, stage.tables, made_by)
