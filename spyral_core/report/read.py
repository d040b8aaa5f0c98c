"""Collects what the phases made of each run, and why a run is not complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spyral_core import lineage, store, tables
from spyral_core.errors import DataError
from spyral_core.paths import product
from spyral_core.report.logs import log_file, reason_in_log

EVENT_COLUMNS = ("event", "ic_amplitude", "ic_multiplicity", "ic_centroid", "first_point", "n_points")
CLUSTER_COLUMNS = ("event", "cluster_index", "first_point", "n_points")
EMPTY_REJECTED = pl.DataFrame(
    schema={
        "stage": pl.String,
        "gate": pl.String,
        "event": pl.Int64,
        "cluster_index": pl.Int64,
        "reason": pl.String,
    }
)
METRES = ("vertex_x", "vertex_y", "vertex_z", "sigma_vx", "sigma_vy", "sigma_vz")


@dataclass(frozen=True)
class Failure:
    """What of a run is missing, and why; `stage` is the rule that should have made it."""

    run: int
    stage: str
    gate: str | None
    reason: str
    log: str | None

    @property
    def place(self) -> str:
        return f"{self.stage} ({self.gate})" if self.gate else self.stage


@dataclass
class Run:
    """What the phases made of one run; a table is None where its product is missing.

    `events`: EVENT_COLUMNS of the point clouds; `clusters`: CLUSTER_COLUMNS; `solutions` by gate; `rejected`: columns
    of EMPTY_REJECTED; `masked`: pads that the survey left out; `counts`, `facts` and `lineages` by product, the
    solver's as `solver/<gate>`.
    """

    number: int
    events: pl.DataFrame | None = None
    clusters: pl.DataFrame | None = None
    estimates: pl.DataFrame | None = None
    solutions: dict[str, pl.DataFrame] = field(default_factory=dict)
    species: pl.DataFrame | None = None
    rejected: pl.DataFrame = field(default_factory=EMPTY_REJECTED.clone)
    truth: pl.DataFrame | None = None
    masked: pl.DataFrame | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    lineages: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not self.failures


def read_run(
    results: Path, run: int, gates: Sequence[str], simulated: bool, estimates: Sequence[str], species: bool = False
) -> Run:
    """Read a run's products, of the estimates the named columns; also those of `species` where they are configured.

    The first that is missing, damaged or older than what it was made from becomes a `Failure`, and nothing behind it is
    read: it would be left over from an earlier analysis. Nothing is raised for it.
    """
    found = Run(run)
    steps: list[tuple[str, str, str | None]] = [("survey", "survey", None)]
    steps += [(stage, stage, None) for stage in ("pointcloud", "cluster", "estimate")]
    steps += [("solve", "solver", gate) for gate in gates]
    steps += [(stage, stage, None) for stage in ("hypotheses", "species") if species]
    if simulated:
        steps.insert(0, ("simulate", "truth", None))
    for stage, name, gate in steps:
        made, reason = _read_product(found, results, stage, name, gate, estimates)
        if not made:
            log = log_file(results, stage, run, gate)
            shown = log.relative_to(results).as_posix() if log.is_file() else None
            found.failures.append(Failure(run, stage, gate, reason or reason_in_log(log), shown))
        if not made and stage != "solve":
            break
    return found


def _read_product(
    found: Run, results: Path, stage: str, name: str, gate: str | None, estimates: Sequence[str]
) -> tuple[bool, str]:
    """Whether a product was there to be read, and if it is damaged, how."""
    path = product(results, name, found.number, gate)
    if not path.is_file():
        return False, ""
    try:
        metadata = store.read_metadata(path)
        outdated = _outdated_input(found, metadata.get("lineage", {}))
        if outdated:
            return False, f"not made again yet since its input {outdated} changed"
        _take(found, name, gate, path, estimates)
        rejected = product(results, f"{name}_rejected", found.number, gate) if _rejects(name) else None
        if rejected is not None and rejected.is_file():
            _add_rejected(found, stage, gate, store.read_parquet(rejected))
    except (DataError, KeyError, OSError, ValueError, pl.exceptions.PolarsError) as error:
        text = str(error).replace(f"{path}: ", "")
        return False, f"{path.relative_to(results).as_posix()} cannot be used: {text}; delete it and run again"
    key = f"{name}/{gate}" if gate else name
    found.counts[key] = metadata.get("counts", {})
    found.facts[key] = metadata.get("facts", {})
    found.lineages[key] = metadata.get("lineage", {})
    return True, ""


def _outdated_input(found: Run, made_by: Mapping[str, Any]) -> str | None:
    """The input of which a product was made from another version than the one that is there now."""
    for name, described in made_by.get("inputs", {}).items():
        known = found.lineages.get(name)
        if known and "lineage" in described and described["lineage"] != lineage.digest(known):
            return str(name)
    return None


def _rejects(name: str) -> bool:
    return name in {"pointcloud", "cluster", "estimate", "solver", "hypotheses"}


def _take(found: Run, name: str, gate: str | None, path: Path, estimates: Sequence[str]) -> None:
    """Read one product into its place."""
    if name == "pointcloud":
        found.events = _hdf5_table(path, "events", EVENT_COLUMNS)
    elif name == "cluster":
        found.clusters = _hdf5_table(path, "clusters", CLUSTER_COLUMNS)
    elif name == "estimate":
        found.estimates = store.read_parquet(path).select(estimates)
    elif name == "truth":
        found.truth = store.read_parquet(path).select(tables.TRUTH.names)
    elif name == "survey":
        found.masked = store.read_parquet(path).select(tables.SURVEY.names).filter(pl.col("masked"))
    elif name == "species":
        found.species = store.read_parquet(path).select(tables.SPECIES_SOLUTIONS.names).filter(pl.col("best"))
    elif gate is not None:
        found.solutions[gate] = store.read_parquet(path).select(tables.SOLUTIONS.names)


def _hdf5_table(path: Path, table: str, columns: Sequence[str]) -> pl.DataFrame:
    with store.TableReader(path) as reader:
        return pl.DataFrame(reader.read(table)).select(columns)


def _add_rejected(found: Run, stage: str, gate: str | None, rejected: pl.DataFrame) -> None:
    rows = rejected.select(
        pl.lit(stage).alias("stage"),
        pl.lit(gate, dtype=pl.String).alias("gate"),
        *(pl.col(name) for name in tables.REJECTED.names),
    )
    found.rejected = pl.concat([found.rejected, rows])


def in_millimetres(solutions: pl.DataFrame) -> pl.DataFrame:
    """Solutions with vertex and its standard deviations in mm; their files hold m."""
    return solutions.with_columns(pl.col(METRES) * 1000.0)


@dataclass(frozen=True)
class CloudEvent:
    """The points of one event: columns of its point cloud, and of each the cluster it is in (−1: none)."""

    run: int
    event: int
    points: Mapping[str, NDArray[Any]]
    cluster: NDArray[np.int64]


def read_event(results: Path, run: Run, event: int) -> CloudEvent:
    """Read one event's point cloud and clusters, by range: the rest of the file is not touched."""
    with store.TableReader(product(results, "pointcloud", run.number)) as reader:
        assert run.events is not None
        row = run.events.row(by_predicate=pl.col("event") == event, named=True)
        points = reader.read("points", row["first_point"], row["n_points"])
    cluster = np.full(row["n_points"], -1, dtype=np.int64)
    if run.clusters is not None:
        with store.TableReader(product(results, "cluster", run.number)) as reader:
            for own in run.clusters.filter(pl.col("event") == event).iter_rows(named=True):
                member = reader.read("points", own["first_point"], own["n_points"])["cloud_point"]
                cluster[member[(member >= 0) & (member < len(cluster))]] = own["cluster_index"]
    return CloudEvent(run.number, event, points, cluster)


def together(runs: Sequence[int], frames: Sequence[pl.DataFrame | None]) -> pl.DataFrame:
    """The rows of all runs with a column `run`; a frame without columns if no run has a table."""
    parts = [
        frame.select(pl.lit(run, dtype=pl.Int64).alias("run"), pl.all())
        for run, frame in zip(runs, frames, strict=True)
        if frame is not None
    ]
    return pl.concat(parts) if parts else pl.DataFrame()
