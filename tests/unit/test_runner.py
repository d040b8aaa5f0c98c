"""One stage over one file: nothing is lost, nothing depends on how the work was split."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spyral_core import paths, runner, store, tables
from spyral_core.catalog import STAGES, Stage
from spyral_core.config import canonical, validate
from spyral_core.errors import DataError, RejectedEventError
from spyral_core.job import run_job
from spyral_core.tables import Column, Table

EVENTS = Table("squares", (Column("event", "int64", "", "number"), Column("square", "float64", "", "its square")))
N_EVENTS = 50


class Numbers:
    """A source of events that are numbers."""

    def __init__(self, n_events: int) -> None:
        self.numbers = np.arange(n_events) + 100

    def read(self, index: int) -> int:
        return int(self.numbers[index])


def square(event: int, _: Any) -> runner.Product:
    if event % 10 == 3:
        raise RejectedEventError("ends in 3")
    if event % 10 == 7:
        raise ZeroDivisionError("a bug in one event")
    if event % 10 == 9:
        return runner.Product(rejected=[(0, "its only cluster is too small")], counts={"nines": 1})
    return runner.Product({"squares": {"event": event, "square": float(event) ** 2}})


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage that squares event numbers."""
    module = ModuleType("squaring_stage")

    @contextmanager
    def open_source(files: Any, parameters: SimpleNamespace) -> Iterator[Numbers]:
        yield Numbers(parameters.n_events)

    module.open_source = open_source  # type: ignore[attr-defined]
    module.prepare = lambda files, parameters: None  # type: ignore[attr-defined]
    module.process = square  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "squaring_stage", module)
    made = Stage("squaring", "squaring_stage", (), (), "estimate", (EVENTS,))
    monkeypatch.setitem(STAGES, "squaring", made)
    return made


def run(stage: Stage, folder: Path, n_events: int = N_EVENTS, share: float = 0.5, chunk: int = 32) -> dict[str, Path]:
    outputs = {"output": folder / "squares.parquet", "rejected": folder / "rejected.parquet"}
    parameters = {"n_events": n_events, "max_rejected_share": share}
    runner.run_stage(stage, 1, parameters, {}, outputs, chunk_events=chunk)
    return outputs


def test_every_event_is_a_row_or_rejected_with_its_reason(stage: Stage, tmp_path: Path) -> None:
    outputs = run(stage, tmp_path)
    squares, rejected = store.read_parquet(outputs["output"]), store.read_parquet(outputs["rejected"])
    assert squares["event"].to_list() == [number for number in range(100, 150) if number % 10 not in (3, 7, 9)]
    assert (squares["square"] == squares["event"] ** 2).all()
    reasons = {row["event"]: (row["cluster_index"], row["reason"]) for row in rejected.iter_rows(named=True)}
    assert sorted(reasons) == [number for number in range(100, 150) if number % 10 in (3, 7, 9)]
    assert reasons[103] == (-1, "ends in 3")
    assert reasons[107] == (-1, "ZeroDivisionError: a bug in one event")
    assert reasons[109] == (0, "its only cluster is too small")
    assert store.read_metadata(outputs["output"])["counts"] == {"events": 50, "nines": 5}


def test_chunks_change_no_byte(stage: Stage, tmp_path: Path) -> None:
    found = []
    for chunk in (1, 7, 64):
        outputs = run(stage, tmp_path / str(chunk), chunk=chunk)
        found.append([path.read_bytes() for path in outputs.values()])
    assert found[0] == found[1] == found[2]


def test_no_events_give_empty_tables_with_all_columns(stage: Stage, tmp_path: Path) -> None:
    outputs = run(stage, tmp_path, n_events=0)
    assert store.read_parquet(outputs["output"]).columns == ["event", "square"]
    assert store.read_parquet(outputs["rejected"]).height == 0


def test_too_many_rejected_events_are_a_data_error_and_leave_no_file(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"10 of 50 events were rejected.*event 103: ends in 3"):
        run(stage, tmp_path, share=0.19)
    assert list(tmp_path.iterdir()) == []
    run(stage, tmp_path, share=0.2)


def test_spans_cover_all_events_once() -> None:
    for n_events in (0, 1, 7, 8, 9):
        covered = [index for span in runner.spans(n_events, 4) for index in range(*span)]
        assert covered == list(range(n_events))


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    """A results folder with the point clouds of one run: arcs, of 0 to 120 points."""
    random = np.random.default_rng(1)
    with store.TableWriter(
        paths.product(tmp_path, "pointcloud", 1), (tables.POINTCLOUD_EVENTS, tables.POINTS), {"made": "by a test"}
    ) as writer:
        for event in range(40):
            size = 3 * event
            angle = np.sort(random.uniform(0, 4, size))
            ion_chamber = dict.fromkeys(("ic_amplitude", "ic_integral", "ic_centroid", "ic_multiplicity"), 1.0)
            columns = {"event": event, "orig_run": 1, "orig_event": event, "n_points": size, "trigger": 1}
            writer.append("events", columns | ion_chamber)
            points = {"x": 90 * np.cos(angle), "y": 90 * np.sin(angle), "z": 100 * angle + random.normal(0, 1, size)}
            same = dict.fromkeys(("amplitude", "integral", "time"), np.full(size, 100.0))
            other = {
                "pad": np.arange(size),
                "scale": np.ones(size),
                "saturated": np.zeros(size),
                "pulse": np.arange(size),
            }
            writer.append("points", points | same | other)
        writer.counts = {"events": 40}
    return tmp_path


def cluster(results: Path, workers: int, chunk: int, own: str | None = None) -> list[bytes]:
    """The bytes of what the cluster stage makes."""
    import json

    stage = STAGES["cluster"]
    values = {"traces": "data", "phases": {"cluster": own} if own else {}, "max_rejected_share": 1.0}
    parameters = json.loads(canonical(validate(values), stage.parameters, stage.ignored))
    run_job(stage, 1, parameters, results, results / "traces", workers=workers, chunk_events=chunk)
    return [paths.product(results, name, 1).read_bytes() for name in ("cluster", "cluster_rejected")]


def test_chunks_change_no_byte_of_a_file_of_many_blocks(clouds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BLOCK_ROWS", 16)
    found = [cluster(clouds, workers=1, chunk=chunk) for chunk in (1, 7, 64)]
    assert found[0] == found[1] == found[2]


def test_workers_change_no_byte(clouds: Path) -> None:
    alone = cluster(clouds, workers=1, chunk=32)
    assert cluster(clouds, workers=2, chunk=7) == alone
    with store.TableReader(paths.product(clouds, "cluster", 1)) as reader:
        assert reader.n_rows("events") == 40
        assert reader.n_rows("clusters") > 10


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a user's module with a `process`; returns how the configuration names it."""

    def write(body: str) -> str:
        (tmp_path / "my_clusters.py").write_text(
            "from spyral_core.errors import RejectedEventError\n"
            "from spyral_core.phases.cluster import process as standard\n\n\n"
            f"def process(event, constants):\n    {body}\n    return standard(event, constants)\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        sys.modules.pop("my_clusters", None)
        return "my_clusters:process"

    return write


def test_own_code_replaces_the_function_of_one_event(clouds: Path, own_module: Callable[[str], str]) -> None:
    name = own_module('raise RejectedEventError("not to my liking")')
    cluster(clouds, 1, 32, name)
    rejected = store.read_parquet(paths.product(clouds, "cluster_rejected", 1))
    assert rejected["reason"].to_list() == ["not to my liking"] * 40


def test_a_worker_that_dies_is_a_data_error(clouds: Path, own_module: Callable[[str], str]) -> None:
    name = own_module("import os; os._exit(9)")
    with pytest.raises(DataError, match="a worker process died"):
        cluster(clouds, 2, 7, name)
    assert not paths.product(clouds, "cluster", 1).exists()
