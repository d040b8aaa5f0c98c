"""The benchmarks count, compare and make their samples rightly; what they measure is not tested here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest

from spyral_core import store, tables
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.file import open_traces
from spyral_core.traces.writer import TraceWriter

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def speed() -> Iterator[Any]:
    """The modules of `benchmarks/speed`, which the commands there find beside themselves."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(BENCHMARKS))
    from speed import (  # type: ignore[import-not-found,unused-ignore]
        long_runs,
        machine,
        memory,
        physics,
        plain_reading,
        sample,
        served,
        table,
    )

    modules = (long_runs, machine, memory, physics, plain_reading, sample, served, table)
    yield SimpleNamespace(**{module.__name__.removeprefix("speed."): module for module in modules})
    patch.undo()


def events(layouts: ModuleType, number: int) -> list[TraceEvent]:
    return [layouts.make_event(index, n_pads=3) for index in range(number)]


def same(one: TraceEvent, other: TraceEvent) -> bool:
    pairs: list[tuple[Any, Any]] = [
        (getattr(one, name), getattr(other, name)) for name in ("pads", "ion_chamber", "mesh")
    ]
    return all(np.array_equal(mine, theirs) for mine, theirs in pairs) and one.trigger == other.trigger


def test_medians_are_shown_with_their_spread(speed: Any) -> None:
    assert speed.table.Spread.of([3.0, 1.0, 2.0]).text() == "2 (1–3)"
    assert speed.table.Spread.of([0.012345]).text() == "0.0123"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.00001234, "0.0000123"), (1234.6, "1235"), (88.88, "88.9"), (2.0, "2")]
)
def test_numbers_are_never_in_powers_of_ten(speed: Any, value: float, shown: str) -> None:
    assert speed.table.significant(value, 4 if value > 1000 else 3) == shown


def test_ratios_are_taken_pair_by_pair(speed: Any) -> None:
    """A machine at half its speed for one repetition changes no ratio."""
    ratio = speed.table.ratios([10.0, 20.0, 10.0], [1.0, 2.0, 1.0])
    assert (ratio.median, ratio.low, ratio.high) == (10.0, 10.0, 10.0)


def test_what_was_measured_once_stands_against_all_repetitions(speed: Any) -> None:
    ratio = speed.table.ratios([12.0], [1.0, 2.0, 3.0])
    assert (ratio.median, ratio.low, ratio.high) == (6.0, 4.0, 12.0)


def test_room_to_a_target_is_above_one_where_it_is_met(speed: Any) -> None:
    assert speed.table.verdict(50.0, 40.0, at_least=True) == "met (× 1.25)"
    assert speed.table.verdict(5.0, 4.0, at_least=False) == "**missed** (× 0.80)"


def test_tables_are_markdown(speed: Any) -> None:
    assert speed.table.markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_the_processor_is_named(speed: Any) -> None:
    text = "processor\t: 0\nvendor_id\t: X\ncpu family\t: 6\nmodel\t\t: 167\nmodel name\t: Some CPU\n"
    assert speed.machine.processor(text) == "Some CPU, family 6, model 167"


def test_memory_of_processes_below_is_seen(speed: Any) -> None:
    """A process that fills 50 MB is found among the children of this one, with that much memory."""
    script = "import sys, time; kept = bytearray(b'x') * 50_000_000; print('full', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "full\n"
        assert process.pid in speed.memory.children(os.getpid())
        assert 50 < speed.memory.proportional_set(process.pid) < 200
        process.communicate("")
    assert speed.memory.proportional_set(process.pid) is None


QUALITY = {
    "particles": 250,
    "solved": 0.99,
    "close": 0.98,
    "ke_median": 0.001,
    "ke_width": 0.02,
    "polar_median": 0.05,
    "polar_width": 0.3,
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"solved": 1.0, "ke_width": 0.01, "polar_median": -0.01}, None),
        ({"solved": 0.95}, "solved"),
        ({"close": 0.9}, "close"),
        ({"ke_median": -0.02}, "ke: median"),
        ({"polar_median": 0.4}, "polar: median"),
        ({"ke_width": 0.03}, "ke: width"),
    ],
)
def test_worse_physics_is_named(speed: Any, change: dict[str, float], fault: str | None) -> None:
    quality = speed.physics.Quality
    found = speed.physics.worse(quality(**QUALITY | change), quality(**QUALITY))
    assert len(found) == (fault is not None)
    assert fault is None or found[0].startswith(fault)


def test_solutions_are_held_to_the_truth_without_the_last_event(speed: Any, tmp_path: Path) -> None:
    """Forty particles, each fitted 10 % too high in energy and 1° too high in angle; the last event does not count."""
    number = 40
    truth: dict[str, Any] = {name: np.zeros(number) for name in tables.TRUTH.names}
    truth |= {
        "event": np.arange(number),
        "Z": np.full(number, 1),
        "A": np.full(number, 2),
        "trigger": np.full(number, 1),
        "n_pads": np.full(number, 200),
        "stops": np.full(number, True),
        "ke": np.linspace(2.0, 20.0, number),
        "polar": np.full(number, 1.0),
        "vertex_z": np.full(number, 400.0),
    }
    store.write_parquet(tmp_path / "truth.parquet", tables.TRUTH, truth, {})
    fitted = {
        "event": np.arange(number),
        "cluster_index": np.zeros(number, np.int64),
        "ke": truth["ke"] * 1.1,
        "polar": truth["polar"] + np.radians(1.0),
        **{name: np.zeros(number) for name in ("azimuthal", "vertex_x", "vertex_y", "redchisq")},
        "vertex_z": np.full(number, 0.4),
    }
    pl.DataFrame(fitted).write_parquet(tmp_path / "solutions.parquet")
    matched = speed.physics.matched(tmp_path / "truth.parquet", tmp_path / "solutions.parquet")
    found = speed.physics.quality(matched)
    assert (found.particles, found.solved, found.close) == (number - 1, 1.0, 1.0)
    assert found.ke_median == pytest.approx(0.1)
    assert found.polar_median == pytest.approx(1.0)
    assert speed.physics.difference(matched, matched) == (number - 1, 0.0, 0.0)


def test_traces_are_the_same_in_the_layout_that_spyral_reads(speed: Any, layouts: ModuleType, tmp_path: Path) -> None:
    written = events(layouts, 4)
    source, target = tmp_path / "run_0001.h5", tmp_path / "run_0002.h5"
    with TraceWriter(source, 1) as writer:
        for event in written:
            columns: list[Any] = [event.ion_chamber, event.mesh, event.silicon]
            physics = np.stack([*columns, *[np.zeros_like(columns[0])] * 5], axis=1)
            writer.write_event(event.number, event.pads, physics, event.trigger)
    speed.sample.to_merger_1(source, target)
    with open_traces(target) as file:
        assert file.layout == "libattpc_merger:1.0"
        assert all(same(file.read(index), event) for index, event in enumerate(written))


def test_long_runs_repeat_their_events(
    speed: Any, layouts: ModuleType, write_layout: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_layout(tmp_path / "run_0001.h5", "libattpc_merger:1.0", events(layouts, 3))
    target = speed.long_runs.repeated(source, tmp_path / "run_0002.h5", 8)
    with open_traces(source) as few, open_traces(target) as many:
        assert many.numbers.tolist() == list(range(8))
        assert all(same(many.read(index), few.read(index % 3)) for index in range(8))


def test_sparse_runs_are_long_in_the_file_and_short_on_the_disk(
    speed: Any, layouts: ModuleType, write_layout: Callable[..., Path], tmp_path: Path
) -> None:
    made = [layouts.make_event(index, n_pads=400) for index in range(2)]
    source = write_layout(tmp_path / "run_0001.h5", "libattpc_merger:1.0", made)
    target = tmp_path / "run_0002.h5"
    number = speed.long_runs.sparse(source, target, 0.1)
    assert target.stat().st_size > 90e6
    assert target.stat().st_blocks * 512 < 0.2 * target.stat().st_size
    with open_traces(target) as file:
        assert len(file.numbers) == number
        assert file.read(1).pads.shape == (400, 517)
        assert not file.read(1).pads.any()
        assert same(file.read(20), made[0])


def test_plain_reading_reads_every_dataset(
    speed: Any, layouts: ModuleType, write_layout: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_layout(tmp_path / "run_0001.h5", "libattpc_merger:1.0", events(layouts, 3))
    with h5py.File(source) as file:
        size = sum(
            dataset[:].nbytes
            for event in file["events"].values()
            for dataset in (event["get_traces"], *event["frib_physics"].values())
        )
    assert speed.plain_reading.read_all(source) == (9, size)


def test_a_served_program_answers_until_it_dies(speed: Any, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    request = json.loads(line)\n"
        "    if request['number'] == 3: sys.exit('three is too much')\n"
        "    print(json.dumps({'twice': 2 * request['number']}), flush=True)\n"
    )
    with speed.served.Served([sys.executable, program], tmp_path / "log") as served:
        assert [served.ask(number=number)["twice"] for number in (1, 2)] == [2, 4]
        with pytest.raises(RuntimeError, match="three is too much"):
            served.ask(number=3)


def test_both_programs_get_the_same_parameters(speed: Any, tmp_path: Path) -> None:
    configured = speed.sample.configuration(tmp_path, 10)
    settings = speed.sample.spyral_settings(configured, tmp_path, (26.0, 130, 36.0, 101))
    own = {name: speed.sample.parameters(configured, name) for name in ("pointcloud", "cluster", "solve")}
    assert settings["get"] == own["pointcloud"]["get"]
    assert settings["cluster"]["hdbscan"] == own["cluster"]["cluster"]["hdbscan"]
    assert settings["detector"]["magnetic_field"] == own["solve"]["detector"]["magnetic_field"]
    assert settings["solver"]["ic_min_val"] == own["solve"]["solver"]["ic_min_val"]
