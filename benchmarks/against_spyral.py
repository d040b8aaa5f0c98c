"""This program against Spyral 1.1.2, phase by phase in turn: `python benchmarks/against_spyral.py`.

The traces are simulated (10Be(d,d), 96 MeV, 600 torr D2, 3 T), Spyral is installed from PyPI into an environment of its
own (its build needs a C++ compiler and Eigen: Debian's g++ and libeigen3-dev). Both programs run as one process on one
core with one thread, and each phase has run once on a small file before it is timed. Printed as Markdown: the
ratios, and what both found against the truth; the exit code is 1 if this program's physics is worse.

Traces and Spyral's trajectory mesh are kept in the folder and made anew only if something changed. The mesh is not
part of the solver's time; the gate holds the energies and angles that the smaller of its meshes covers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import polars as pl
from speed import chain, environment, machine, physics, sample, spyral_venv
from speed.served import Served, own_program
from speed.table import Spread, markdown, ratios, significant, verdict

HERE = Path(__file__).parent
PHASES = ("pointcloud", "cluster", "estimate")
METHODS = ("leastsq", "lbfgsb")
MAIN_RUN, SHORT_RUN, WARM_RUN = 1, 2, 3
WARM_EVENTS = 20
# Largest energy and number of energies, smallest angle and number of angles: cells as large as in Spyral's example.
MESHES = {"kinematics": (26.0, 130, 36.0, 101), "example": (70.0, 350, 2.0, 166)}
TARGETS = {
    "pointcloud": 40.0,
    "cluster": 15.0,
    "estimate": 40.0,
    "solve, leastsq": 60.0,
    "solve, lbfgsb": 20.0,
    "chain": 30.0,
}
READING_TARGET = 4.0


@dataclass
class Times:
    """Times [s] of what was repeated, by phase and run, and the outputs of the last repetition."""

    clock: str
    taken: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    output: dict[tuple[str, int], Path] = field(default_factory=dict)

    def add(self, phase: str, run: int, answer: dict[str, Any]) -> None:
        self.taken[phase, run].append(answer[self.clock])
        self.output[phase, run] = Path(answer["output"])


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parser().parse_args()
    folder: Path = options.folder.resolve()
    python = spyral_venv.ensure(options.spyral_venv)
    short = max(options.events // 4, 1)
    for run, events in ((MAIN_RUN, options.events), (SHORT_RUN, short), (WARM_RUN, WARM_EVENTS)):
        sample.make_run(folder, run, events, workers=len(machine.cores()))
    events = {SHORT_RUN: short, MAIN_RUN: options.events}
    load = machine.load()
    with _programs(folder, python, options) as (own, spyral):
        mesh = spyral.ask(do="mesh")
        ours, theirs, reading = _measure(own, spyral, options)
    table, faults = _physics(ours, theirs, folder)
    print(f"Measured on {machine.description()}. Load average before: {load:.2f}.\n")
    print(_ratio_table(ours, theirs, reading, folder, events[MAIN_RUN]))
    print(_mesh_line(mesh))
    print(_scaling_table(ours, theirs, events))
    print(table, flush=True)
    if options.chain != "no":
        print(_chain(options, python, theirs, mesh))
    for fault in faults:
        print(f"this program's physics is worse: {fault}", file=sys.stderr)
    return int(bool(faults))


@contextmanager
def _programs(folder: Path, python: Path, options: argparse.Namespace) -> Iterator[tuple[Served, Served]]:
    """Both programs, started, on the last core that there is."""
    configured = sample.configuration(folder, options.events)
    settings, log, core = folder / "spyral.json", folder / "spyral.log", machine.cores()[-1]
    settings.write_text(json.dumps(sample.spyral_settings(configured, folder, MESHES[options.mesh])))
    log.unlink(missing_ok=True)
    with (
        own_program(folder, configured, core) as own,
        Served([python, HERE / "speed" / "spyral_driver.py", settings], log, core) as spyral,
    ):
        yield own, spyral


def _measure(own: Served, spyral: Served, options: argparse.Namespace) -> tuple[Times, Times, list[float]]:
    """Times of both programs, in turn, and of plain reading."""
    ours, theirs, reading = Times(options.clock), Times(options.clock), []
    for run in (WARM_RUN, SHORT_RUN, MAIN_RUN):
        repeats = options.repeats if run == MAIN_RUN else 1
        for repeat in range(repeats):
            _say(f"run {run}, repetition {repeat + 1} of {repeats}")
            if run == MAIN_RUN:
                reading.append(own.ask(do="read", run=run)[options.clock])
            ours.add("survey", run, own.ask(do="run", phase="survey", run=run))
            for phase in PHASES:
                theirs.add(phase, run, spyral.ask(do="run", phase=phase, run=run, method="leastsq"))
                ours.add(phase, run, own.ask(do="run", phase=phase, run=run))
        for method in METHODS:
            for repeat in range(options.solver_repeats if run == MAIN_RUN else 1):
                _say(f"run {run}, {method}, repetition {repeat + 1}")
                name = f"solve, {method}"
                answer = spyral.ask(do="run", phase="solve", run=run, method=method)
                theirs.add(name, run, answer | {"output": _keep(answer["output"], method)})
                if method == "leastsq":
                    ours.add("solve", run, own.ask(do="run", phase="solve", run=run))
    while len(ours.taken["solve", MAIN_RUN]) < options.repeats:
        ours.add("solve", MAIN_RUN, own.ask(do="run", phase="solve", run=MAIN_RUN))
    return ours, theirs, reading


def _keep(output: str, method: str) -> str:
    """Rename Spyral's solutions: both methods write the same file."""
    path = Path(output)
    return str(path.replace(path.with_name(f"{path.stem}_{method}.parquet")))


def _ratio_table(ours: Times, theirs: Times, reading: list[float], folder: Path, events: int) -> str:
    """Phase by phase: medians (smallest–largest), ratio pair by pair, target."""
    rows = []
    for phase in (*PHASES, *(f"solve, {method}" for method in METHODS)):
        slow, fast = theirs.taken[phase, MAIN_RUN], ours.taken[phase.split(",")[0], MAIN_RUN]
        ratio = ratios(slow, fast)
        rows.append(
            [
                phase,
                Spread.of(slow).text(),
                Spread.of(fast).text(),
                ratio.text(),
                f"≥ {TARGETS[phase]:g}",
                verdict(ratio.median, TARGETS[phase], at_least=True),
            ]
        )
    header = ["phase", "Spyral 1.1.2, s", "this, s", "ratio", "target", ""]
    distance = ratios(ours.taken["pointcloud", MAIN_RUN], reading)
    size = (folder / "traces" / "run_0001.h5").stat().st_size / 1e6
    counts = _counts(ours, theirs)
    return (
        f"{events} events, {counts['traces']} traces, {size:.0f} MB; {ours.clock} times, "
        "medians (smallest–largest), warm, one core:\n\n"
        + markdown(header, rows)
        + f"\nPlain reading of the traces with h5py: {Spread.of(reading).text()} s; point cloud takes "
        f"{distance.text()} times as long: target ≤ {READING_TARGET:g}, "
        f"{verdict(distance.median, READING_TARGET, at_least=False)}.\n"
        f"Not in Spyral: survey, {Spread.of(ours.taken['survey', MAIN_RUN]).text()} s (at most 1 000 events of a run, "
        "so nothing in a long one).\n"
        f"Points: Spyral {counts['spyral_points']}, this {counts['own_points']}; clusters estimated: "
        f"{counts['spyral_estimates']}, {counts['own_estimates']}; tracks fitted: {counts['spyral_leastsq']} "
        f"(`leastsq`), {counts['spyral_lbfgsb']} (`lbfgsb`), {counts['own_solutions']}.\n"
    )


def _counts(ours: Times, theirs: Times) -> dict[str, int]:
    """How much both programs found in the main run."""
    with h5py.File(theirs.output["pointcloud", MAIN_RUN]) as file:
        spyral_points = sum(len(cloud) for cloud in file["cloud"].values())
    with h5py.File(ours.output["pointcloud", MAIN_RUN]) as file:
        own_points = len(file["points/x"])
    with h5py.File(ours.output["pointcloud", MAIN_RUN].parents[2] / "traces" / "run_0001.h5") as file:
        traces = sum(len(event["get_traces"]) for event in file["events"].values())
    tables = {
        "spyral_estimates": theirs.output["estimate", MAIN_RUN],
        "own_estimates": ours.output["estimate", MAIN_RUN],
        "own_solutions": ours.output["solve", MAIN_RUN],
        **{f"spyral_{method}": theirs.output[f"solve, {method}", MAIN_RUN] for method in METHODS},
    }
    heights = {name: pl.read_parquet(path).height for name, path in tables.items()}
    return heights | {"spyral_points": spyral_points, "own_points": own_points, "traces": traces}


def _mesh_line(mesh: dict[str, Any]) -> str:
    """What Spyral's mesh took when it was made."""
    each = mesh["seconds"] / mesh["cells"] * 1e3
    return (
        f"Spyral's trajectory mesh, not counted above: {mesh['cells']} cells in {mesh['seconds']:.0f} s, {each:.1f} ms "
        f"a cell (with the {350 * 166} of its example {each * 350 * 166 / 6e4:.0f} minutes). This program needs none.\n"
    )


def _scaling_table(ours: Times, theirs: Times, events: dict[int, int]) -> str:
    """Time an event in a short and in the longer run: what may be taken to more events, and what a run costs once."""
    rows = []
    for phase in (*PHASES, *(f"solve, {method}" for method in METHODS)):
        pairs = ((theirs, phase), (ours, phase.split(",")[0]))
        each = [min(times.taken[name, run]) / events[run] * 1e3 for times, name in pairs for run in events]
        rows.append([phase, *map(significant, each)])
    header = [f"{program}, {events[run]} events" for program in ("Spyral", "this") for run in events]
    return markdown(["ms an event", *header], rows)


def _physics(ours: Times, theirs: Times, folder: Path) -> tuple[str, list[str]]:
    """The table of both against the truth, and in what this program is worse."""
    truth = folder / "traces" / "run_0001_truth.parquet"
    own = physics.matched(truth, ours.output["solve", MAIN_RUN])
    mine = physics.quality(own)
    rows, faults, both = [["this", *mine.row()]], [], ""
    for method in METHODS:
        other = physics.matched(truth, theirs.output[f"solve, {method}", MAIN_RUN])
        quality = physics.quality(other)
        rows.append([f"Spyral, `{method}`", *quality.row()])
        faults += [f"{fault} (`{method}`)" for fault in physics.worse(mine, quality)]
        number, energy, polar = physics.difference(own, other)
        both += (
            f"{number} particles are solved by both this and `{method}`: this finds {energy:+.2%} more energy and "
            f"{polar:+.2f}° more polar angle in the median.\n"
        )
    head = f"Against the truth of {mine.particles} clean deuterons:\n\n"
    return head + markdown(physics.HEADER, rows) + "\n" + both, faults


def _chain(options: argparse.Namespace, python: Path, theirs: Times, mesh: dict[str, Any]) -> str:
    """The whole chain over two runs: this program's measured, Spyral's measured or put together from its phases."""
    runs, events = 2, options.chain_events
    folder = options.folder.resolve() / "chain"
    for run in range(1, runs + 1):
        sample.make_run(folder, run, events, seed=100 + run, workers=len(machine.cores()))
    core = machine.cores()[-1]
    _say("whole chain, this program")
    own = chain.own(folder, sample.configuration(folder, events), runs, core)
    if options.chain == "measured":
        _say("whole chain, Spyral")
        configured = sample.configuration(folder, events)
        settings = sample.spyral_settings(configured, folder, MESHES["example"])
        spyral = chain.spyral(folder, settings, options.chain_method, python, runs, core)
        how = "measured, mesh of its example included"
    else:
        each = sum(
            min(theirs.taken[phase, MAIN_RUN]) / options.events for phase in (*PHASES, f"solve, {options.chain_method}")
        )
        making = mesh["seconds"] / mesh["cells"] * 350 * 166
        spyral = each * runs * events + making
        how = f"its warm phases times {runs * events} events, and {making:.0f} s for the mesh of its example"
    return (
        f"Whole chain, {runs} runs of {events} events, one core, from the command to the last file, start-up and "
        f"compilation included: Spyral (`{options.chain_method}`) {spyral:.0f} s ({how}), this {own:.1f} s (the report "
        f"included): {spyral / own:.1f} times; target ≥ {TARGETS['chain']:g}, "
        f"{verdict(spyral / own, TARGETS['chain'], at_least=True)}.\n"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = environment.cache_folder()
    parser.add_argument("--folder", type=Path, default=cache / "against_spyral", help="traces, mesh, products")
    parser.add_argument("--spyral-venv", type=Path, default=cache / "spyral_venv", help="environment of Spyral")
    parser.add_argument("--events", type=int, default=300, help="events of the run (default: 300)")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of all but Spyral's solver (default: 5)")
    parser.add_argument("--solver-repeats", type=int, default=2, help="repetitions of Spyral's solver (default: 2)")
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="time of the phases; processor where the machine does other work, too",
    )
    parser.add_argument(
        "--mesh", choices=MESHES, default="kinematics", help="Spyral's mesh: over this reaction, or as in its example"
    )
    parser.add_argument(
        "--chain",
        choices=("no", "from-phases", "measured"),
        default="from-phases",
        help="the whole chain; measured: Spyral's, too, some 40 minutes",
    )
    parser.add_argument("--chain-events", type=int, default=2000, help="events of each of its two runs (default: 2000)")
    parser.add_argument("--chain-method", choices=METHODS, default="leastsq", help="Spyral's solver in the whole chain")
    return parser


if __name__ == "__main__":
    sys.exit(main())
