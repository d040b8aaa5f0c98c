"""A sample through the whole chain, and what came of its true particles."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from accuracy.dead_pads import dead_pads, remove_pads
from accuracy.samples import Sample
from accuracy.true_tracks import own_clusters, true_paths
from spyral_core import paths, store
from spyral_core.bound.conditions import conditions_of
from spyral_core.bound.scan import of_tracks
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical
from spyral_core.job import run_job
from spyral_core.report.truth import CLOSE_ENERGY, CLOSE_POLAR, clean, match

threadpool_limits(1)  # small matrices: further threads of BLAS only wait, and take the processor while they do
CHAIN = ("simulate", "survey", "pointcloud", "cluster", "estimate", "solve", "hypotheses", "species")
ERRORS = ("sigma_ke", "sigma_polar", "sigma_vz")
KEY = ["event", "cluster_index"]


@dataclass(frozen=True)
class Found:
    """What came of a sample's clean particles of 80 pads or more, fitted as what they are.

    `tracks`: their truth, results and residuals (`report.truth.match`), the results' uncertainties, `bound_…` of each,
    `told` (it stops or turns by 30°), `close` (its result is within 20 % and 5°), `species_right` (null if nobody
    asked). `own_results` of clusters that are theirs, `all_results` in their events.
    """

    name: str
    settings: Configuration
    scattering: bool
    tracks: pl.DataFrame
    own_results: int
    all_results: int

    @property
    def fitted(self) -> pl.DataFrame:
        return self.tracks.filter(pl.col("fitted_ke").is_not_null())


def run_chain(settings: Configuration, sample: Sample, folder: Path, first: str, identify: bool) -> None:
    """Make the products of the stages from `first` on under `folder`."""
    assert settings.solver is not None
    gate, results = Path(settings.solver.gates[0]), folder / "results"
    for name in CHAIN[CHAIN.index(first) : None if identify else CHAIN.index("solve") + 1]:
        started = time.monotonic()
        parameters = json.loads(canonical(settings, STAGES[name].parameters))
        run_job(STAGES[name], 1, parameters, results, results / "traces", gate if name == "solve" else None, workers=1)
        if name == "simulate" and sample.dead_share > 0.0:
            remove_pads(paths.trace_file(results / "traces", 1), dead_pads(sample.dead_share))
        print(f"{folder.name} {name}: {time.monotonic() - started:.1f} s", file=sys.stderr)


def reconstruct(
    name: str,
    settings: Configuration,
    sample: Sample,
    folder: Path,
    first: str = "simulate",
    identify: bool = False,
    paths_of: Mapping[int, NDArray[np.float64]] | None = None,
) -> Found:
    """Run the chain from stage `first` on and hold its results against the truth.

    `paths_of` events: where the particles went [mm], if it is not where this program's equation of motion takes them.
    """
    run_chain(settings, sample, folder, first, identify)
    assert settings.simulate is not None
    results, species = folder / "results", sample.species
    truth = clean(store.read_parquet(paths.product(results, "truth", 1)), species, min_turn=-1.0)
    bounds = _bounds(truth, sample, settings, folder / "bound.parquet", first != "simulate")
    solutions = store.read_parquet(paths.product(results, "solver", 1, "all"))
    solutions = solutions.filter(pl.col("event").is_in(truth["event"].implode()))
    own_keys = own_clusters(truth, results, paths_of or true_paths(truth, species, settings))
    own = solutions.join(own_keys, on=KEY, how="semi")
    tracks = match(truth, own).join(own.select(*KEY, *ERRORS), on=KEY, how="left", maintain_order="left")
    told = clean(truth, species).select("event", told=pl.lit(True))
    tracks = tracks.join(told, on="event", how="left", maintain_order="left").with_columns(
        pl.col("told").fill_null(False),
        close=((pl.col("ke_residual").abs() <= CLOSE_ENERGY) & (pl.col("polar_residual").abs() <= CLOSE_POLAR))
        .fill_null(False),
    )  # fmt: skip
    tracks = pl.concat([tracks, bounds], how="horizontal")
    if identify:
        best = store.read_parquet(paths.product(results, "species", 1)).filter("best")
        right = (pl.col("Z") == species[0]) & (pl.col("A") == species[1])
        tracks = tracks.join(
            best.select(*KEY, species_right=right), on=KEY, how="left", maintain_order="left"
        ).with_columns(pl.col("species_right").fill_null(False))
    else:
        tracks = tracks.with_columns(species_right=pl.lit(None, dtype=pl.Boolean))
    return Found(name, settings, settings.simulate.detector.scattering, tracks, own.height, solutions.height)


def _bounds(
    truth: pl.DataFrame, sample: Sample, settings: Configuration, kept: Path, may_be_kept: bool
) -> pl.DataFrame:
    """The bound of each true particle; it takes 15 ms and depends on nothing but the truth."""
    if may_be_kept and kept.is_file() and (known := pl.read_parquet(kept)).height == truth.height:
        return known
    conditions = conditions_of(settings)
    alive = np.setdiff1d(conditions.pads, dead_pads(sample.dead_share))
    bounds = of_tracks(truth, sample.species, replace(conditions, pads=alive))
    bounds.write_parquet(kept)
    return bounds
