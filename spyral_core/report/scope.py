"""What a set of figures is about: one run, or all runs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from spyral_core.fitting.gate import Gate
from spyral_core.report import names, truth
from spyral_core.report.read import Run, together

NOTHING = pl.DataFrame()


@dataclass(frozen=True)
class Scope:
    """Tables of one run or of all; one without columns where no run has the product.

    `solutions` (m), `refused` (clusters that the solver rejected) and `matched` (`truth.match` of the clean particles;
    empty mapping if the data are measured) go by gate; `species`: of every track the most probable fit without a gate.
    """

    name: str
    title: str
    runs: tuple[Run, ...]
    events: pl.DataFrame
    estimates: pl.DataFrame
    solutions: Mapping[str, pl.DataFrame]
    refused: Mapping[str, int]
    matched: Mapping[str, pl.DataFrame]
    species: pl.DataFrame


def scopes_of(runs: Sequence[Run], gates: Mapping[str, Gate], simulated: bool) -> list[Scope]:
    """All runs together, then each run."""
    single = [_of_run(run, gates, simulated) for run in runs]
    numbers = [run.number for run in runs]
    whole = Scope(
        name=names.ALL_RUNS,
        title="all runs",
        runs=tuple(runs),
        events=together(numbers, [run.events for run in runs]),
        estimates=together(numbers, [run.estimates for run in runs]),
        solutions={gate: together(numbers, [run.solutions.get(gate) for run in runs]) for gate in gates},
        refused={gate: sum(scope.refused[gate] for scope in single) for gate in gates},
        matched={gate: together(numbers, [_or_none(scope.matched[gate]) for scope in single]) for gate in gates}
        if simulated
        else {},
        species=together(numbers, [run.species for run in runs]),
    )
    return [whole, *single]


def _of_run(run: Run, gates: Mapping[str, Gate], simulated: bool) -> Scope:
    return Scope(
        name=names.scope_of(run.number),
        title=f"run {run.number}",
        runs=(run,),
        events=NOTHING if run.events is None else run.events,
        estimates=NOTHING if run.estimates is None else run.estimates,
        solutions={gate: run.solutions.get(gate, NOTHING) for gate in gates},
        refused={gate: _refused(run, gate) for gate in gates},
        matched={name: _matched(run, name, gate) for name, gate in gates.items()} if simulated else {},
        species=NOTHING if run.species is None else run.species,
    )


def _refused(run: Run, gate: str) -> int:
    return run.rejected.filter((pl.col("stage") == "solve") & (pl.col("gate") == gate)).height


def _matched(run: Run, name: str, gate: Gate) -> pl.DataFrame:
    """A run's clean true particles with their solutions; nothing if the run was not solved."""
    if run.truth is None or name not in run.solutions:
        return NOTHING
    return truth.match(truth.clean(run.truth, (gate.Z, gate.A)), run.solutions[name])


def _or_none(frame: pl.DataFrame) -> pl.DataFrame | None:
    return frame if frame.columns else None
