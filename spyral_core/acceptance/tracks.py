"""What became of each simulated particle of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from spyral_core import paths, store
from spyral_core.acceptance.files import AXES, TRACKS
from spyral_core.acceptance.plan import Plan
from spyral_core.fitting.gate import load_gate
from spyral_core.phases.solve import select
from spyral_core.report.truth import match
from spyral_core.runner import namespace
from spyral_core.simulate.generator import cells_of


def table(plan: Plan, run: int, results: Path) -> dict[str, Any]:
    """The columns of `files.TRACKS` of a run whose stages are done."""
    truth = store.read_parquet(paths.product(results, "truth", run))
    with store.TableReader(paths.product(results, "cluster", run)) as reader:
        events = reader.read("events", names=("event", "n_clusters"))
    estimates = store.read_parquet(paths.product(results, "estimate", run))
    solver = namespace(plan.configuration.model_dump()["solver"])
    selected = select(estimates, load_gate(plan.gate) if plan.gate else None, solver)
    found = match(truth, solutions_of(plan, run, results)).with_columns(
        run=pl.lit(run),
        clustered=_has(events["event"][events["n_clusters"] > 0]),
        estimated=_has(estimates["event"]),
        selected=_has(selected["event"]),
        cluster_index=pl.col("cluster_index").fill_null(-1),
        ke_error=pl.col("ke_residual"),
        polar_error=pl.col("polar_residual"),
    )
    values = {name: found[name].to_numpy() for name in TRACKS.names if name in found.columns}
    places = cells_of(plan.particles, found["event"].to_numpy())
    return values | {f"{axis}_cell": cells for axis, cells in zip(AXES, places, strict=True)}


def _has(events: Any) -> pl.Expr:
    return pl.col("event").is_in(np.unique(np.asarray(events)).tolist())


def solutions_of(plan: Plan, run: int, results: Path) -> pl.DataFrame:
    """The fits of a run as the wanted particle: those of its gate, or those to which no other species fits better."""
    if plan.gate is not None:
        return store.read_parquet(paths.product(results, "solver", run, plan.gate.stem))
    Z, A = plan.nucleus
    fits = store.read_parquet(paths.product(results, "species", run))
    return fits.filter(pl.col("best") & (pl.col("Z") == Z) & (pl.col("A") == A))
