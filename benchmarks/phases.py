"""This program's stages by themselves: `python benchmarks/phases.py`.

Time a trace, an event and a track, the share of reading, computing and writing, the distance to plain reading with
h5py; time against the number of events; two workers against one; memory of a worker. Printed as Markdown.

Long runs (2 GB) hold the events of a short one again and again. Two workers are timed by the wall.
`--quick` takes a tenth of the events.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import h5py
import polars as pl
from speed import long_runs, machine, sample
from speed.environment import cache_folder
from speed.memory import watched
from speed.served import Served, own_program
from speed.table import Spread, markdown, ratios, significant, verdict

from spyral_core import paths

STAGES = ("pointcloud", "cluster", "estimate", "solve")
UNITS = {"pointcloud": ("trace", 1e6, "µs a trace"), "cluster": ("event", 1e3, "ms an event")}
TRACK = ("track", 1e3, "ms a track")
BASE_RUN, WARM_RUN = 1, 2
BASE_EVENTS, WARM_EVENTS = 300, 20
READING_TARGET, WORKERS_TARGET, MEMORY_TARGET = 4.0, 1.85, 800.0
Walls = dict[tuple[str, int, int], float]
Alone = dict[tuple[str, int], float]
Memory = dict[str, float]


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parser().parse_args()
    folder: Path = options.folder.resolve()
    sample.make_run(folder, BASE_RUN, BASE_EVENTS, workers=len(machine.cores()))
    sample.make_run(folder, WARM_RUN, WARM_EVENTS, workers=len(machine.cores()))
    sizes = [size // 10 if options.quick else size for size in (50, 500, 5000)]
    runs = {10 + place: size for place, size in enumerate(sizes)}
    for run, size in runs.items():
        long_runs.repeated(
            paths.trace_file(folder / "traces", BASE_RUN), paths.trace_file(folder / "traces", run), size
        )
    print(f"Measured on {machine.description()}. Load average before: {machine.load():.2f}.\n")
    configured = sample.configuration(folder, BASE_EVENTS)
    with own_program(folder, configured, machine.cores()[-1]) as own:
        _warm(own)
        print(_anatomy_table(own, folder, options.repeats, options.clock), flush=True)
    with own_program(folder, configured) as own:
        _warm(own)
        walls, alone, memory = _long(own, runs, options.clock)
    print(_linear_table(alone, runs))
    print(_workers_table(walls, memory, runs))
    for run in runs:
        paths.trace_file(folder / "traces", run).unlink()
    return 0


def _warm(own: Served) -> None:
    for stage in ("survey", *STAGES):
        own.ask(do="run", phase=stage, run=WARM_RUN)


def _anatomy_table(own: Served, folder: Path, repeats: int, clock: str) -> str:
    """Times of the base run, repeated, and the shares of their parts."""
    times, parts, reading = defaultdict(list), {}, []
    for _ in range(repeats):
        reading.append(own.ask(do="read", run=BASE_RUN)[clock])
        for stage in ("survey", *STAGES):
            times[stage].append(own.ask(do="run", phase=stage, run=BASE_RUN)[clock])
    for stage in STAGES:
        taken = [own.ask(do="dissect", phase=stage, run=BASE_RUN, clock=clock) for _ in range(repeats)]
        parts[stage] = {key: Spread.of([each[key] for each in taken]).median for key in taken[0]}
    traces, tracks = _amounts(folder)
    rows = []
    for stage in STAGES:
        total = Spread.of(times[stage])
        unit, factor, name = UNITS.get(stage, TRACK)
        number = {"trace": traces, "event": BASE_EVENTS, "track": tracks.get(stage, 0)}[unit]
        part = parts[stage]
        rest = max(total.median - part["reading"] - part["computing"] - part["writing"], 0.0)
        rows.append(
            [
                stage,
                total.text(),
                f"{significant(total.median / number * factor)} {name}",
                *(f"{part[key] / total.median:.0%}" for key in ("reading", "computing", "writing")),
                f"{rest / total.median:.0%}",
            ]
        )
    distance = ratios(times["pointcloud"], reading)
    per_read = ratios([parts["pointcloud"]["reading"]], reading)
    header = ["stage", "s", "of it", "reading", "computing", "writing", "rest"]
    return (
        f"{BASE_EVENTS} events, {traces} traces, warm, one core, {clock} times, medians (smallest–largest):\n\n"
        + markdown(header, rows)
        + f"\nSurvey: {Spread.of(times['survey']).text()} s. Plain reading of the traces with h5py: "
        f"{Spread.of(reading).text()} s; the reading of point cloud takes {per_read.text()} times as long, all of it "
        f"{distance.text()} times: target ≤ {READING_TARGET:g}, "
        f"{verdict(distance.median, READING_TARGET, at_least=False)}.\n"
    )


def _amounts(folder: Path) -> tuple[int, dict[str, int]]:
    """Traces, and tracks estimated and fitted, of the base run."""
    with h5py.File(paths.trace_file(folder / "traces", BASE_RUN)) as file:
        traces = sum(len(event["get_traces"]) for event in file["events"].values())
    tables = {"estimate": "estimate", "solve": "solver"}
    found = {
        stage: pl.read_parquet(paths.product(folder / "own", name, BASE_RUN, "deuterons")).height
        for stage, name in tables.items()
    }
    return traces, found


def _long(own: Served, runs: dict[int, int], clock: str) -> tuple[Walls, Alone, Memory]:
    """Wall times by stage, events and workers; by `clock` with one worker; memory [MB] of a worker."""
    walls: Walls = {}
    alone: Alone = {}
    memory: Memory = {}
    largest = max(runs)
    for run, size in runs.items():
        for stage in ("survey", *STAGES):
            print(f"{size} events, {stage}", file=sys.stderr, flush=True)
            repeats = 1 if size == runs[largest] else 3
            for workers in (1, 2) if size >= sorted(runs.values())[-2] else (1,):
                with watched(own.pid) as seen:
                    taken = [own.ask(do="run", phase=stage, run=run, workers=workers) for _ in range(repeats)]
                walls[stage, size, workers] = min(each["wall"] for each in taken)
                if workers == 1:
                    alone[stage, size] = min(each[clock] for each in taken)
                if workers == 2 and run == largest:
                    below = [value for number, value in seen.items() if number != own.pid]
                    memory[stage] = max(below, default=0.0)
    return walls, alone, memory


def _linear_table(alone: Alone, runs: dict[int, int]) -> str:
    """Milliseconds an event against the number of events."""
    sizes = sorted(runs.values())
    rows = []
    for stage in STAGES:
        each = [alone[stage, size] / size * 1e3 for size in sizes]
        slope = (alone[stage, sizes[-1]] - alone[stage, sizes[0]]) / (sizes[-1] - sizes[0]) * 1e3
        start = alone[stage, sizes[0]] * 1e3 - slope * sizes[0]
        rows.append([stage, *map(significant, each), f"{slope:.3g}", f"{start:.0f}", f"{each[-1] / each[1]:.2f}"])
    header = ["ms an event", *(f"{size} events" for size in sizes), "slope", "start, ms", "longest to middle"]
    return "One worker:\n\n" + markdown(header, rows)


def _workers_table(walls: Walls, memory: Memory, runs: dict[int, int]) -> str:
    """Two workers against one, and memory."""
    middle, largest = sorted(runs.values())[-2:]
    rows = []
    for stage in STAGES:
        one, two = (walls[stage, largest, workers] for workers in (1, 2))
        less = [walls[stage, middle, workers] for workers in (1, 2)]
        steady = (one - less[0]) / (two - less[1])
        rows.append(
            [
                stage,
                significant(one),
                significant(two),
                f"{one / two:.2f}",
                f"{steady:.2f}",
                verdict(one / two, WORKERS_TARGET, at_least=True),
                f"{memory[stage]:.0f}",
                verdict(memory[stage], MEMORY_TARGET, at_least=False),
            ]
        )
    header = [
        "stage",
        "one worker, s",
        "two, s",
        "ratio",
        f"of the time beyond {middle} events",
        f"target ≥ {WORKERS_TARGET:g}",
        "PSS of a worker, MB",
        f"target < {MEMORY_TARGET:g}",
    ]
    return f"{largest} events, start of the workers included:\n\n" + markdown(header, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=cache_folder() / "phases", help="traces and products")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of the short measurements (default: 5)")
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="processor: where others work, too",
    )
    parser.add_argument("--quick", action="store_true", help="runs of a tenth of the events")
    return parser


if __name__ == "__main__":
    sys.exit(main())
