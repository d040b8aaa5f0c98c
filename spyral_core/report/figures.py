"""Draws every figure of the report into its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from spyral_core.detector.pads import PadPlane
from spyral_core.errors import DataError
from spyral_core.fitting.gate import Gate
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.nuclei import symbol
from spyral_core.report import (
    comparison,
    event_display,
    fit_quality,
    ion_chamber,
    kinematics,
    masked_pads,
    names,
    particle_identification,
    style,
    vertices,
)
from spyral_core.report.bands import bands_of
from spyral_core.report.event_display import Choice, Track
from spyral_core.report.fitted import fitted_path
from spyral_core.report.reaction import Reaction
from spyral_core.report.read import CloudEvent, Run, in_millimetres, read_event
from spyral_core.report.scope import Scope


@dataclass(frozen=True)
class Setting:
    """What all figures share: the detector and solver sections, gates, gas, pads and reaction."""

    detector: Mapping[str, Any]
    solver: Mapping[str, Any] | None
    gates: Mapping[str, Gate]
    gas: GasTarget | None
    plane: PadPlane
    reaction: Reaction | None


def draw(results: Path, scopes: Sequence[Scope], setting: Setting) -> None:
    """Write the figures of all scopes."""
    choices = {run.number: event_display.choose(run) for scope in scopes for run in scope.runs}
    for scope in scopes:
        _draw_scope(results, scope, setting, choices)
        for name, gate in setting.gates.items():
            _draw_gate(results, scope, setting, name, gate)


def _draw_scope(results: Path, scope: Scope, setting: Setting, choices: Mapping[int, Choice | None]) -> None:
    def write(figure: str, function: Any, *arguments: Any) -> None:
        style.write(results / names.figure_file(scope.name, figure), function, *arguments, scope.title)

    solver = setting.solver
    bounds = None if solver is None else (float(solver["ic_min_val"]), float(solver["ic_max_val"]))
    lines = setting.reaction.rigidity_lines() if setting.reaction else []
    write("ion_chamber", ion_chamber.figure, scope.events, bounds)
    masked = [run.masked for run in scope.runs if run.masked is not None]
    write("masked_pads", masked_pads.figure, masked, setting.plane)
    reaction = setting.reaction.name if setting.reaction else ""
    gates = list(setting.gates.values())
    nuclei = [] if solver is None else [(int(Z), int(A)) for Z, A in solver["species"]]
    bands = bands_of(setting.gas, nuclei, scope.estimates, scope.species, gates)
    identification = partial(particle_identification.figure, bands=bands)
    write("particle_identification", identification, scope.estimates, gates, lines, reaction)
    length = float(setting.detector["detector_length"])
    event, tracks = _event(results, scope, setting, choices)
    write("event_display", event_display.figure, event, tracks, setting.plane, length)


def _event(
    results: Path, scope: Scope, setting: Setting, choices: Mapping[int, Choice | None]
) -> tuple[CloudEvent | None, list[Track]]:
    """The event to show and its fitted tracks; none if no run has an event that can be read."""
    known = [choice for run in scope.runs if (choice := choices[run.number]) is not None]
    chosen = event_display.best(known)
    if chosen is None:
        return None, []
    run = next(run for run in scope.runs if run.number == chosen.run)
    try:
        return read_event(results, run, chosen.event), _tracks(run, chosen.event, setting)
    except DataError:
        return None, []


def _tracks(run: Run, event: int, setting: Setting) -> list[Track]:
    tracks = []
    for name, gate in setting.gates.items():
        if name not in run.solutions or setting.gas is None:
            continue
        rows = in_millimetres(run.solutions[name].filter(pl.col("event") == event))
        for row in rows.iter_rows(named=True):
            path = fitted_path(row, setting.gas, (gate.Z, gate.A), setting.detector)
            tracks.append(Track(_track_label(row, gate), path))
    return tracks


def _track_label(row: Mapping[str, Any], gate: Gate) -> str:
    angle = f"{row['polar'] * 57.29577951:.1f}°"
    return f"fit of cluster {row['cluster_index']}: {symbol(gate.Z, gate.A)}, {row['ke']:.2f} MeV, {angle}"


def _draw_gate(results: Path, scope: Scope, setting: Setting, name: str, gate: Gate) -> None:
    def write(figure: str, function: Any, *arguments: Any) -> None:
        path = results / names.figure_file(scope.name, figure, name)
        style.write(path, function, *arguments, f"{name} · {scope.title}")

    solved = scope.solutions[name]
    solutions = in_millimetres(solved) if solved.height else solved
    detector = setting.detector
    write("kinematics", kinematics.figure, solutions, (gate.Z, gate.A), setting.reaction)
    radius, length = float(detector["beam_region_radius"]), float(detector["detector_length"])
    write("vertices", vertices.figure, solutions, radius, length)
    write("fit_quality", fit_quality.figure, solutions, scope.estimates.height, scope.refused[name])
    if scope.matched:
        write(names.TRUTH, comparison.figure, scope.matched[name])
