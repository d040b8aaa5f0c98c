"""Names of everything the report writes. Light to import: the workflow reads it when the Snakefile is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spyral_core.paths import run_token

FOLDER = "report"
ALL_RUNS = "all"
FLOW = "flow"
SCOPE_FIGURES = ("event_display", "ion_chamber", "masked_pads", "particle_identification")
GATE_FIGURES = ("kinematics", "vertices", "fit_quality")
TRUTH = "truth"
NUMBERS = ("flow.csv", "rejected.csv", "numbers.json")


def scopes(runs: Sequence[int]) -> list[str]:
    """All runs together, then each run: the names of the report's folders."""
    return [ALL_RUNS, *(scope_of(run) for run in runs)]


def scope_of(run: int) -> str:
    """94 → `run_0094`."""
    return f"run_{run_token(run)}"


def gate_names(parameters: Mapping[str, Any]) -> list[str]:
    """Names of the solver's results: the stems of the gate files; none where the configuration has no solver."""
    solver = parameters.get("solver") or {}
    return [Path(gate).stem for gate in solver.get("gates") or ()]


def figure_file(scope: str, figure: str, gate: str | None = None) -> str:
    """Path of a figure below the results folder."""
    return "/".join(part for part in (FOLDER, scope, gate, f"{figure}.png") if part)


def truth_file(gate: str) -> str:
    """Path of the table of the comparison with the truth below the results folder."""
    return f"{FOLDER}/truth_{gate}.csv"


def figure_files(runs: Sequence[int], gates: Sequence[str], simulated: bool) -> list[str]:
    """Every figure the report always writes, below the results folder: with data or saying that there are none."""
    files = [figure_file(ALL_RUNS, FLOW)]
    for scope in scopes(runs):
        files += [figure_file(scope, figure) for figure in SCOPE_FIGURES]
        for gate in gates:
            files += [figure_file(scope, figure, gate) for figure in (*GATE_FIGURES, *((TRUTH,) if simulated else ()))]
    return files


def number_files(gates: Sequence[str], simulated: bool) -> list[str]:
    """Every table of numbers the report always writes, below the results folder."""
    return [*(f"{FOLDER}/{name}" for name in NUMBERS), *(truth_file(gate) for gate in gates if simulated)]
