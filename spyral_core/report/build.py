"""Makes the report: `results/report.html`, its figures and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spyral_core.detector import pads
from spyral_core.errors import ConfigurationError
from spyral_core.fitting.gate import Gate, load_gate
from spyral_core.paths import product
from spyral_core.physics.gas import load_gas
from spyral_core.report import acceptance, bound, calibration, figures, flow, names, numbers, overview, page, style
from spyral_core.report.reaction import Reaction, reaction_of
from spyral_core.report.read import read_run
from spyral_core.report.scope import scopes_of
from spyral_core.store import atomic


def build_report(parameters: Mapping[str, Any], results: Path, runs: Sequence[int]) -> None:
    """Write the page, its figures and its numbers from what is there of some runs.

    `parameters`: the keys that `catalog.STAGES["report"]` names. A run that lacks a product is named on the page with
    the reason from its log. Raises ConfigurationError if a gate, the gas, the pads' geometry or the reaction is none.
    """
    setting = _setting(parameters)
    gates, simulated = setting.gates, parameters["simulate"] is not None
    columns = ["event", "cluster_index", "polar", "brho", "dEdx"]
    columns += [axis for gate in gates.values() for axis in (gate.xaxis, gate.yaxis)]
    species = bool(setting.solver and setting.solver["species"])
    found = [read_run(results, run, list(gates), simulated, list(dict.fromkeys(columns)), species) for run in runs]
    scopes = scopes_of(found, gates, simulated)
    flow_table, rejected = flow.flow_table(found, list(gates)), flow.rejected_table(found)

    style.write(results / names.figure_file(names.ALL_RUNS, names.FLOW), flow.figure, flow_table, rejected)
    figures.draw(results, scopes, setting)
    numbers.write(results, found, flow_table, rejected, scopes[0].matched)
    subject = _subject(setting.reaction, simulated)
    bounds = [
        bound.report_grid(matched, (gates[name].Z, gates[name].A), parameters, name)
        for name, matched in scopes[0].matched.items()
    ]
    shown = [table for table in bounds if table is not None]
    calibrated = calibration.parts(found, parameters, setting.plane)
    accepted = acceptance.parts(results, parameters)
    content = overview.compose(results, scopes, flow_table, rejected, list(gates), subject, shown, calibrated, accepted)
    with atomic(product(results, "report")) as temporary:
        temporary.write_text(page.render(content), encoding="utf-8")


def _setting(parameters: Mapping[str, Any]) -> figures.Setting:
    solver = parameters["solver"]
    gates: dict[str, Gate] = {
        name: load_gate(path)
        for name, path in zip(names.gate_names(parameters), solver["gates"] if solver else (), strict=True)
    }
    try:
        reaction = reaction_of(parameters)
    except ValueError as error:
        raise ConfigurationError(f"reaction: {error}") from None
    return figures.Setting(
        detector=parameters["detector"],
        solver=solver,
        gates=gates,
        gas=load_gas(solver["gas"]) if solver else None,
        plane=pads.load(parameters["pads"]["geometry"], parameters["pads"]["geometry_holds"]),
        reaction=reaction,
    )


def _subject(reaction: Reaction | None, simulated: bool) -> str:
    kind = "Simulated data" if simulated else "Measured data"
    return f"{kind}, {reaction.name}" if reaction else kind
