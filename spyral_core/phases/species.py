"""The probability of each species of each track, from all tracks of a run: docs/solve.md, "Which particle"."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from spyral_core import lineage, store
from spyral_core.catalog import Stage
from spyral_core.fitting.species import identify
from spyral_core.physics.nuclei import symbol
from spyral_core.runner import check_unchanged, stamps
from spyral_core.tables import HYPOTHESES, SPECIES_SOLUTIONS

TRACK, SPECIES = ("event", "cluster_index"), ("Z", "A")


def run(
    stage: Stage,
    run: int,
    parameters: dict[str, Any],
    inputs: dict[str, Path],
    outputs: dict[str, Path],
    workers: int = 1,
    chunk_events: int = 32,
) -> None:
    """Weigh a run's `hypotheses` against each other. Raises DataError if the file cannot be used."""
    before = stamps(inputs)
    hypotheses = store.read_parquet(inputs["hypotheses"]).select(HYPOTHESES.names)
    columns = weigh(hypotheses)
    best = hypotheses.filter(pl.Series(columns["best"], dtype=pl.Boolean))
    counts = {"selected": store.read_metadata(inputs["hypotheses"]).get("counts", {}).get("selected", best.height)}
    for (Z, A), rows in sorted(best.group_by(SPECIES)):
        counts[symbol(Z, A)] = rows.height
    print(f"species run {run}: " + ", ".join(f"{name} {count}" for name, count in counts.items()), file=sys.stderr)
    made_by = lineage.build(stage, run, parameters, inputs)
    check_unchanged(inputs, before)
    values = {name: hypotheses[name].to_numpy() for name in HYPOTHESES.names} | columns
    store.write_parquet(outputs["output"], SPECIES_SOLUTIONS, values, made_by, counts)


def weigh(hypotheses: pl.DataFrame) -> dict[str, Any]:
    """The columns that `tables.SPECIES_SOLUTIONS` has beyond those of the hypotheses, for its rows."""
    track = hypotheses.select(pl.struct(TRACK).rank("dense")).to_series().to_numpy().astype(np.int64) - 1
    kind = hypotheses.select(pl.struct(SPECIES).rank("dense")).to_series().to_numpy().astype(np.int64) - 1
    shape = (int(track.max(initial=-1)) + 1, int(kind.max(initial=-1)) + 1)
    level, deviance = np.full(shape, np.nan), np.full(shape, np.nan)
    level[track, kind], deviance[track, kind] = hypotheses["level"].to_numpy(), hypotheses["deviance"].to_numpy()
    found = identify(level, deviance)
    likeliest = found.probability.argmax(axis=1) if shape[0] else np.zeros(0, np.int64)
    return {
        "charge_pull": found.pull[track, kind],
        "probability": found.probability[track, kind],
        "best": likeliest[track] == kind,
    }
