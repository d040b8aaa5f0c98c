"""What a map says, in numbers for programs and in words for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spyral_core.acceptance import binomial, files
from spyral_core.acceptance.cells import Array, Cuts
from spyral_core.acceptance.files import STEPS
from spyral_core.acceptance.plan import Plan
from spyral_core.physics.gas import load_gas
from spyral_core.physics.nuclei import symbol
from spyral_core.report.reaction import Reaction

TABLE_STEPS = tuple(STEPS)


def sought(planned: Plan) -> str:
    """By what the particle is told from others."""
    return f"gate {planned.gate.stem}" if planned.gate else "no gate"


def title(planned: Plan) -> str:
    """`2H, gate deuteron: 300 torr, 2.85 T`."""
    simulation = planned.simulation
    pressure, field = load_gas(simulation.gas).pressure, simulation.detector.magnetic_field
    return f"{symbol(*planned.nucleus)}, {sought(planned)}: {pressure:g} torr, {field:g} T"


def beginning(planned: Plan) -> str:
    """What is going to be done."""
    energies, angles, vertices = planned.particles.shape
    simulation = planned.simulation
    number = simulation.runs * simulation.events
    return (
        f"acceptance of {title(planned)}: {energies} energies × {angles} angles × {vertices} vertices × "
        f"{number // (energies * angles * vertices)} = {number} tracks in {simulation.runs} runs"
    )


def of_plan(planned: Plan, folder: Path) -> str:
    """What to do with a configuration that was only written."""
    file = folder / files.CONFIGURATION
    return (
        f"{beginning(planned)}\n{file}: complete; make its runs by `snakemake --configfile {file}` (on a cluster with "
        "its profile), then give this command again without --plan"
    )


def by_energy(integrated: dict[str, Array]) -> list[tuple[float, float, list[int]]]:
    """Counts of all steps by energy, over all angles and vertices."""
    rows = []
    for low, high in dict.fromkeys(zip(integrated["energy_low"], integrated["energy_high"], strict=True)):
        own = integrated["energy_low"] == low
        rows.append((float(low), float(high), [int(integrated[name][own].sum()) for name in TABLE_STEPS]))
    return rows


def numbers(
    planned: Plan, cuts: Cuts, integrated: dict[str, Array], against_angle: dict[str, Array] | None, reaction: Any
) -> dict[str, Any]:
    """The summary as JSON holds it; shares with the ends of their 68 % intervals."""
    totals = {name: int(integrated[name].sum()) for name in STEPS}
    low, high = binomial.wilson(totals["accepted"], totals["generated"])
    solver = planned.configuration.model_dump(mode="json")["solver"]
    return {
        "particle": list(planned.nucleus),
        "symbol": symbol(*planned.nucleus),
        "gate": planned.gate.name if planned.gate else None,
        "title": title(planned),
        "grid": {name: getattr(planned.particles, name) for name in ("energies", "angles", "vertices")},
        "cuts": asdict(cuts),
        "totals": totals,
        "efficiency": [totals["accepted"] / max(totals["generated"], 1), float(low), float(high)],
        "detector": planned.configuration.model_dump(mode="json")["detector"],
        "solver": {key: value for key, value in solver.items() if key not in ("gates", "species")},
        "reaction": reaction.name if against_angle is not None else None,
    }


def text(
    planned: Plan,
    cuts: Cuts,
    integrated: dict[str, Array],
    against_angle: dict[str, Array] | None,
    reaction: Reaction | None,
) -> str:
    """The summary in Markdown."""
    heads = ["energy [MeV]", *TABLE_STEPS, "efficiency", "68 %"]
    rows = [_shares(f"{low:g} – {high:g}", counts) for low, high, counts in by_energy(integrated)]
    rows.append(_shares("all", [int(integrated[name].sum()) for name in TABLE_STEPS]))
    grid = planned.particles
    parts = [
        f"# Acceptance of {title(planned)}",
        f"Uniform over angles {grid.angles[0]:g} … {grid.angles[-1]:g}° and vertices {grid.vertices[0]:g} … "
        f"{grid.vertices[-1]:g} mm; detected: {cuts.trigger_pads} pad(s) or more outside the beam region; accepted: "
        f"fitted within {100 * cuts.energy:g} % in energy and {cuts.polar:g}° in polar angle. Efficiency: accepted / "
        "generated.",
        _markdown(heads, rows),
    ]
    if against_angle is not None and reaction is not None:
        parts += [f"## {reaction.name}, against the ejectile's centre-of-mass angle", _reaction_table(against_angle)]
    elif reaction is not None:
        parts.append(
            f"{symbol(*planned.nucleus)} is not the ejectile of {reaction.name}: no table for its cross section."
        )
    return "\n\n".join(parts)


def _shares(name: str, counts: list[int]) -> list[str]:
    n, k = counts[0], counts[-1]
    low, high = binomial.wilson(k, n)
    share = f"{100 * k / n:.1f} %" if n else "–"
    return [name, *(f"{count}" for count in counts), share, f"{100 * float(low):.1f} – {100 * float(high):.1f} %"]


def _reaction_table(columns: dict[str, Array]) -> str:
    first = (columns["vertex_low"] == columns["vertex_low"].min()) & (
        columns["vertex_high"] == columns["vertex_high"].max()
    )
    heads = [
        "angle [°]",
        "energy [MeV]",
        "polar angle [°]",
        "efficiency",
        "68 %",
        "solid angle [sr]",
        "× efficiency [sr]",
    ]
    rows = []
    for place in np.flatnonzero(first & (columns["covered"] > 0.0)):
        row = {name: float(values[place]) for name, values in columns.items()}
        ends = f"{100 * row['efficiency_low']:.1f} – {100 * row['efficiency_high']:.1f} %"
        known = bool(np.isfinite(row["efficiency"]))
        rows.append(
            [
                f"{row['cm_low']:g} – {row['cm_high']:g}",
                f"{row['energy_low']:.2f} – {row['energy_high']:.2f}",
                f"{row['angle_low']:.1f} – {row['angle_high']:.1f}",
                f"{100 * row['efficiency']:.1f} %" if known else f"{100 * row['covered']:.0f} % covered",
                ends if known else "–",
                f"{row['solid_angle']:.4f}",
                f"{row['effective_solid_angle']:.4f}" if known else "–",
            ]
        )
    return _markdown(heads, rows) if rows else "The grid does not cover the reaction anywhere."


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [" | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [heads, *rows]]
    lines.insert(1, " | ".join("-" * (width - 1) + ":" for width in widths))
    return "\n".join(f"| {line} |" for line in lines)
