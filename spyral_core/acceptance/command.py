"""The command `acceptance`: simulate, reconstruct, count, write."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from spyral_core import lineage, store
from spyral_core.acceptance import chain, cross_section, figures, files, summary
from spyral_core.acceptance.cells import Array, Cuts, tally
from spyral_core.acceptance.files import AXES
from spyral_core.acceptance.plan import Plan, Request, plan
from spyral_core.config import Configuration
from spyral_core.errors import ConfigurationError
from spyral_core.report import style
from spyral_core.report.reaction import Reaction, reaction_of
from spyral_core.store import atomic

CM_STEP = 5.0  # deg


def acceptance(
    configuration: Configuration,
    request: Request,
    cuts: Cuts,
    folder: Path | None,
    cm_step: float = CM_STEP,
    workers: int = 1,
    only_plan: bool = False,
) -> str:
    """Make the map in `folder`, by default `acceptance` below the results; the summary as text.

    `only_plan` writes just the configuration of the simulation. Raises ConfigurationError and DataError.
    """
    place = folder or Path(configuration.results) / files.FOLDER
    planned = plan(configuration, request, place)
    reaction = _reaction(planned)
    _write_configuration(place / files.CONFIGURATION, planned)
    if only_plan:
        return summary.of_plan(planned, place)
    from spyral_core import warmup

    warmup.ensure()
    print(summary.beginning(planned), file=sys.stderr)
    made = sorted(chain.make(planned, place, workers))
    tracks = pl.concat([store.read_parquet(path) for path in made])
    made_by = _made_by(planned, cuts, cm_step, made)
    counts, integrated = tally(tracks, planned.particles, cuts), tally(tracks, planned.particles, cuts, AXES[:2])
    store.write_parquet(place / files.MAP, files.MAP_TABLE, counts, made_by)
    store.write_parquet(place / files.INTEGRATED, files.INTEGRATED_TABLE, integrated, made_by)
    title = summary.title(planned)
    _draw(place, counts, integrated, planned, reaction, title)
    against_angle = None
    if reaction is not None and reaction.ejectile == planned.nucleus:
        edges = cross_section.bins(cm_step)
        against_angle = cross_section.against_cm_angle(counts, planned.particles, reaction, edges)
        store.write_parquet(place / files.CROSS_SECTION, files.CROSS_SECTION_TABLE, against_angle, made_by)
        figure, heading = place / files.CROSS_SECTION_FIGURE, f"Efficiency for {reaction.name} · {title}"
        style.write(figure, figures.cross_section_figure, against_angle, heading)
    else:
        for name in (files.CROSS_SECTION, files.CROSS_SECTION_FIGURE):
            (place / name).unlink(missing_ok=True)
    numbers = summary.numbers(planned, cuts, integrated, against_angle, reaction)
    text = summary.text(planned, cuts, integrated, against_angle, reaction)
    with atomic(place / files.SUMMARY) as temporary:
        temporary.write_text(json.dumps(numbers, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    with atomic(place / files.TEXT) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return text


def _reaction(planned: Plan) -> Reaction | None:
    try:
        return reaction_of(planned.configuration.model_dump())
    except ValueError as error:
        raise ConfigurationError(f"acceptance: reaction: {error}") from None


def _draw(
    place: Path,
    counts: dict[str, Array],
    integrated: dict[str, Array],
    planned: Plan,
    reaction: Reaction | None,
    title: str,
) -> None:
    grid = planned.particles
    heading = f"Efficiency · {title}"
    style.write(place / files.MAP_FIGURE, figures.map_figure, counts, integrated, grid, reaction, heading)
    style.write(place / files.STAGES_FIGURE, figures.stages_figure, integrated, grid, f"How far they come · {title}")
    style.write(place / files.ERRORS_FIGURE, figures.errors_figure, integrated, grid, f"Errors of the fits · {title}")


def _write_configuration(path: Path, planned: Plan) -> None:
    head = "# The simulation of an acceptance map, written by `python -m spyral_core acceptance`.\n"
    with store.writing(path), atomic(path) as temporary:
        temporary.write_text(
            head + yaml.safe_dump(planned.configuration.model_dump(mode="json"), sort_keys=False), encoding="utf-8"
        )


def _made_by(planned: Plan, cuts: Cuts, cm_step: float, made: list[Path]) -> dict[str, Any]:
    """The lineage of the map: that of the tracks, with cuts and bins."""
    first = chain.made_by(planned, 1)
    return {
        **first,
        "run": planned.configuration.runs,
        "parameters": {**first["parameters"], "acceptance": {**asdict(cuts), "cm_step": cm_step}},
        "inputs": first["inputs"] | {path.name: lineage.describe(path) for path in made},
    }
