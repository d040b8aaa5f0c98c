"""Every fault at its full count: `python tests/faults/full.py`, some ten minutes on two idle cores. Prints a table.

`--only kills,cut,…` chooses, `--kills`, `--cuts`, `--flips` and `--inputs` set the counts.
Exit code 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults import disk, inputs, kills, malformed, samples
from faults.damage import Damage, Sound, cut, flipped, try_all
from faults.guarded import Guarded


@dataclass
class Line:
    """One line of the table."""

    fault: str
    tried: int
    survived: str
    lost: list[str]


def main() -> int:
    options = _options()
    chosen = {"kills": _kills, "cut": _cut, "flip": _flip, "malformed": _malformed, "disk": _disk, "inputs": _inputs}
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="faults_") as name:
        for key, run in chosen.items():
            if key in options.only:
                started = time.monotonic()
                found = run(Path(name), options)
                print(f"{key}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
                lines += found
    print("| fault | tried | survived | lost |\n| --- | --- | --- | --- |")
    for line in lines:
        print(f"| {line.fault} | {line.tried} | {line.survived} | {len(line.lost)} |")
    for line in lines:
        for text in line.lost:
            print(f"LOST {line.fault}: {text}")
    return int(any(line.lost for line in lines))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    every = "kills,cut,flip,malformed,disk,inputs"
    parser.add_argument("--only", type=lambda text: text.split(","), default=every.split(","))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--inputs", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _kills(folder: Path, options: argparse.Namespace) -> list[Line]:
    experiment = kills.Experiment(folder / "experiment")
    experiment.finish()  # compiles, if need be
    experiment.clear()
    started = time.monotonic()
    code, said = experiment.finish()
    if code:
        return [Line("kill", 0, "", [f"the undisturbed run failed: {said[-500:]}"])]
    reference, took = experiment.tables(), time.monotonic() - started
    outcome = kills.kill_some(experiment, reference, options.kills, min(0.5 * took, 12.0), random.Random(options.seed))
    killed = ", ".join(f"{number} × {target}" for target, number in sorted(outcome.by_target.items()))
    text = (
        f"in {outcome.sessions} starts of Snakemake; every table that was there was whole; {outcome.completed} "
        f"finished runs, the {len(reference)} tables of each those of an undisturbed run ({took:.0f} s); `--unlock` "
        f"needed {outcome.unlocked} times; at most {outcome.slowest:.0f} s from a kill to the end of every process "
        f"({killed})"
    )
    return [Line("process killed at a random moment", outcome.tried, text, outcome.lost)]


def _with_samples(folder: Path, run: Callable[[Sound, Guarded], Damage]) -> list[tuple[str, Damage]]:
    """Something done with a trace file of each kind of layout."""
    own = Path(tempfile.mkdtemp(dir=folder))
    traces, survey = samples.simulated(own / "sound")
    legacy = samples.as_legacy(traces, own / "legacy/run_0001.h5")
    results = []
    for layout, path in (("merger 2.0", traces), ("legacy", legacy)):
        with Guarded(own / f"guarded {layout}", survey) as guarded:
            results.append((layout, run(Sound(path, guarded), guarded)))
    return results


def _line(fault: str, result: Damage) -> Line:
    text = (
        f"{result.refused} files refused in one line; events: {result.intact} as in the sound file, {result.rejected} "
        f"rejected with a reason, {result.changed} with flips in their own samples, {result.noted} changed and named "
        f"in the log, {result.unreachable} out of HDF5's reach; at most {result.memory} MB"
    )
    return Line(fault, result.tried, text, result.lost)


def _cut(folder: Path, options: argparse.Namespace) -> list[Line]:
    def run(sound: Sound, guarded: Guarded) -> Damage:
        chance = random.Random(options.seed)
        lengths = [chance.randrange(1, len(sound.content)) for _ in range(options.cuts)]
        return try_all(sound, guarded, cut(sound, lengths))

    return [_line(f"{layout} file cut off", result) for layout, result in _with_samples(folder, run)]


def _flip(folder: Path, options: argparse.Namespace) -> list[Line]:
    def run(sound: Sound, guarded: Guarded, everywhere: bool) -> Damage:
        places = np.arange(len(sound.content)) if everywhere else sound.structure
        return try_all(sound, guarded, flipped(sound, options.flips, places, random.Random(options.seed)))

    return [
        _line(f"{layout} file, bytes flipped {where}", result)
        for everywhere, where in ((True, "anywhere"), (False, "in its structure"))
        for layout, result in _with_samples(folder, lambda sound, guarded, e=everywhere: run(sound, guarded, e))
    ]


def _malformed(folder: Path, _: argparse.Namespace) -> list[Line]:
    own = folder / "malformed"
    traces, survey = samples.simulated(own / "sound")
    lost: list[str] = []
    with Guarded(own / "guarded", survey) as guarded:
        sound = Sound(traces, guarded)
        kinds = malformed.kinds(own / "secret")
        for kind in kinds:
            lost += malformed.failures(kind, sound, guarded, own)
        others = list(malformed.other_files(own))
        for name, content in others:
            answer = guarded.run(content)
            if answer.status != "data error" or not answer.sound:
                lost.append(f"{name}: {answer.status}: {answer.message}")
    text = "all other events as in the sound file, the bad event rejected, or the file refused in one line"
    return [Line("wrong types, shapes, pads, samples, attributes; other files", len(kinds) + len(others), text, lost)]


def _disk(folder: Path, _: argparse.Namespace) -> list[Line]:
    own = folder / "disk"
    traces, survey = samples.simulated(own / "sound")
    cases: dict[str, list[Callable[[Path], list[str]]]] = {
        "disk full": [
            lambda at, stage=stage, size=size, threads=threads: disk.full_disk(
                traces.parent, survey, at, size, stage, threads
            )
            for stage, sizes in (("pointcloud", (40, 60, 80, 100)), ("simulate", (200, 900, 1800, 2600)))
            for size in sizes
            for threads in (1, 2)
        ],
        "read-only folder": [
            *(lambda at, threads=threads: disk.read_only(traces.parent, survey, at, threads) for threads in (1, 2)),
            lambda at: disk.not_permitted(traces.parent, survey, at),
        ],
        "input replaced, rewritten, cut off or removed while it is read": [
            lambda at, how=how, threads=threads: disk.changed_while_read(traces.parent, survey, at, how, threads)
            for how in ("replaced", "rewritten", "cut off", "removed")
            for threads in (1, 2)
        ],
    }
    lines = []
    for name, tries in cases.items():
        lost, skipped, tried = [], "", 0
        for number, attempt in enumerate(tries):
            at = own / f"{name.split(',')[0]} {number}"
            at.mkdir()
            try:
                lost += [f"attempt {number}: {text}" for text in attempt(at)]
                tried += 1
            except disk.NotPermitted as reason:
                skipped = f" ({len(tries) - tried} not tried: {reason})"
        lines.append(Line(name, tried, f"exit code 1, one line that says why, no output left{skipped}", lost))
    return lines


def _inputs(_: Path, options: argparse.Namespace) -> list[Line]:
    lines = []
    for kind in inputs.CHECKS:
        counted, lost = inputs.fuzz(kind, options.inputs, options.seed)
        text = f"{counted['read']} read, {counted['refused']} refused with a message"
        lines.append(Line(f"random {kind}", sum(counted.values()) + len(lost), text, lost))
    return lines


if __name__ == "__main__":
    sys.exit(main())
