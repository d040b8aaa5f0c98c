"""What must not grow: `python benchmarks/limits.py`. Start-up, the workflow's own time, a dry run, memory.

start-up: each stage's command on an empty run, compiled before. workflow: what Snakemake takes beyond its jobs, from
two numbers of empty runs. dry-run: over 1 000 runs and one gate. memory: each stage with two workers over a run of
20 GB, most of which is a hole on the disk, and over a tenth of it.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import yaml
from speed import long_runs, machine, sample
from speed.chain import snakemake
from speed.environment import cache_folder
from speed.long_runs import SAMPLES
from speed.memory import watched
from speed.served import own_program
from speed.table import Spread, markdown, verdict

from spyral_core import paths

STAGES = ("survey", "pointcloud", "cluster", "estimate", "solve")
START_TARGET, FIXED_TARGET, JOB_TARGET, DRY_TARGET, MEMORY_TARGET = 1.5, 2.0, 0.1, 20.0, 800.0
DRY_RUNS = 1000
BASE_RUN, BASE_EVENTS = 1, 300
DOWNSCALED = 2


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parser().parse_args()
    folder: Path = options.folder.resolve()
    print(f"Measured on {machine.description()}. Load average before: {machine.load():.2f}.\n", flush=True)
    parts: dict[str, Callable[[], str]] = {
        "start-up": lambda: _start_up(folder, options.repeats),
        "workflow": lambda: _workflow(folder),
        "dry-run": lambda: _dry_run(folder),
        "memory": lambda: _memory(folder, options.gigabytes),
    }
    for name in options.parts or parts:
        print(parts[name](), flush=True)
    return 0


def empty_run(path: Path) -> None:
    """A trace file of one event of the downscaled trigger, in which no pad was read out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("events")
        group.attrs["version"], group.attrs["min_event"], group.attrs["max_event"] = "libattpc_merger:1.0", 0, 0
        event = group.create_group("event_0")
        event.create_dataset("get_traces", data=np.empty((0, SAMPLES), np.int16))
        frib = event.create_group("frib_physics")
        frib.create_dataset("1903", data=np.full((2048, 8), 300, np.uint16))
        frib.create_dataset("977", data=np.array([DOWNSCALED], np.uint16))


def _project(folder: Path, runs: int) -> Path:
    """A folder with `runs` empty runs and a configuration; returns the configuration's path."""
    shutil.rmtree(folder, ignore_errors=True)
    traces = folder / "traces"
    empty_run(paths.trace_file(traces, 1))
    for run in range(2, runs + 1):
        os.link(paths.trace_file(traces, 1), paths.trace_file(traces, run))
    values = sample.configuration(folder, 1).model_dump(mode="json", exclude={"simulate"})
    values |= {"results": str(folder / "results"), "traces": str(traces), "runs": f"1-{runs}"}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def _start_up(folder: Path, repeats: int) -> str:
    """Each stage's command on an empty run; the first time is not counted."""
    configuration = _project(folder / "start", 1)
    rows = []
    for stage in STAGES:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "spyral_core",
            stage,
            "--run",
            "1",
            "--config",
            configuration,
        ]
        if stage == "solve":
            command += ["--gate", folder / "start" / "deuterons.json"]
        taken = [_seconds(command) for _ in range(repeats + 1)][1:]
        spread = Spread.of([wall for wall, _ in taken])
        used = Spread.of([processor for _, processor in taken])
        judged = verdict(spread.median, START_TARGET, at_least=False)
        rows.append([stage, spread.text(), used.text(), judged])
    return markdown(["start-up on an empty run", "wall, s", "processor, s", f"target < {START_TARGET} s"], rows)


def _seconds(command: list[str | Path]) -> tuple[float, float]:
    """Wall and processor time of a command; its output is shown if it fails."""
    before, started = os.times(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used


def _workflow(folder: Path) -> str:
    """Snakemake's own time: wall time less what its jobs took, over few and more runs."""
    numbers, beyond, jobs = (1, 5), [], []
    for number in numbers:
        configuration = _project(folder / "workflow", number)
        wall, _ = _seconds(snakemake(configuration))
        taken = [_job_seconds(file) for file in (folder / "workflow" / "results" / "benchmarks").rglob("*.tsv")]
        beyond.append(wall - sum(taken))
        jobs.append(len(taken))
    each = (beyond[1] - beyond[0]) / (jobs[1] - jobs[0])
    fixed = beyond[0] - each * jobs[0]
    rows = [[str(runs), str(job), f"{own:.2f}"] for runs, job, own in zip(numbers, jobs, beyond, strict=True)]
    return (
        markdown(["runs", "jobs", "Snakemake beyond its jobs, s"], rows)
        + f"\nThat is {fixed:.2f} s and {each:.3f} s a job: targets < {FIXED_TARGET:g} s "
        f"({verdict(fixed, FIXED_TARGET, at_least=False)}) and {JOB_TARGET:g} s a job "
        f"({verdict(each, JOB_TARGET, at_least=False)}).\n"
    )


def _job_seconds(benchmark: Path) -> float:
    """The wall time of a job by Snakemake's own account."""
    with benchmark.open() as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])


def _dry_run(folder: Path) -> str:
    """What Snakemake takes to find out what is to be done."""
    wall, used = _seconds([*snakemake(_project(folder / "dry", DRY_RUNS)), "--dry-run", "--quiet"])
    return (
        f"Dry run over {DRY_RUNS} runs with one gate: {wall:.1f} s ({used:.1f} s processor); target "
        f"< {DRY_TARGET:g} s, {verdict(wall, DRY_TARGET, at_least=False)}.\n"
    )


def _memory(folder: Path, gigabytes: float) -> str:
    """The largest PSS of job and worker over a long run and a shorter one."""
    sample.make_run(folder, BASE_RUN, BASE_EVENTS, workers=len(machine.cores()))
    base = paths.trace_file(folder / "traces", BASE_RUN)
    sizes = (gigabytes / 10, gigabytes)
    largest: dict[tuple[str, float], tuple[float, float]] = {}
    events = {}
    for run, size in enumerate(sizes, start=2):
        trace_file = paths.trace_file(folder / "traces", run)
        events[size] = long_runs.sparse(base, trace_file, size)
        for stage in STAGES:
            print(f"{size:g} GB, {stage}", file=sys.stderr, flush=True)
            with own_program(folder, sample.configuration(folder, BASE_EVENTS)) as own, watched(own.pid) as seen:
                own.ask(do="run", phase=stage, run=run, workers=2)
            workers = [value for number, value in seen.items() if number != own.pid]
            largest[stage, size] = (seen[own.pid], max(workers, default=0.0))
        trace_file.unlink()
    rows = [
        [
            stage,
            *(f"{value:.0f}" for size in sizes for value in largest[stage, size]),
            verdict(max(largest[stage, gigabytes]), MEMORY_TARGET, at_least=False),
        ]
        for stage in STAGES
    ]
    header = ["PSS, MB"]
    for size in sizes:
        header += [f"{size:g} GB, {events[size]} events: job", "worker"]
    return markdown([*header, f"target < {MEMORY_TARGET:g} MB"], rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--parts", nargs="+", choices=("start-up", "workflow", "dry-run", "memory"), help="default: all"
    )
    parser.add_argument("--folder", type=Path, default=cache_folder() / "limits", help="traces and products")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of the start-up (default: 5)")
    parser.add_argument("--gigabytes", type=float, default=20.0, help="size of the long run (default: 20)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
