"""Every file name pattern of the project; nothing else spells one."""

from __future__ import annotations

import re
from pathlib import Path

SPECIES = "species"  # the name of results without a gate, that no gate may have

PATTERNS: dict[str, str] = {
    "traces": "traces/run_{run}.h5",
    "truth": "traces/run_{run}_truth.parquet",
    "survey": "survey/run_{run}.parquet",
    "pointcloud": "pointcloud/run_{run}.h5",
    "pointcloud_rejected": "pointcloud/run_{run}_rejected.parquet",
    "scalers": "pointcloud/run_{run}_scalers.parquet",
    "cluster": "cluster/run_{run}.h5",
    "cluster_rejected": "cluster/run_{run}_rejected.parquet",
    "estimate": "estimate/run_{run}.parquet",
    "estimate_rejected": "estimate/run_{run}_rejected.parquet",
    "hypotheses": "hypotheses/run_{run}.parquet",
    "hypotheses_rejected": "hypotheses/run_{run}_rejected.parquet",
    "species": f"solver/{SPECIES}/run_{{run}}.parquet",
    "solver": "solver/{gate}/run_{run}.parquet",
    "solver_rejected": "solver/{gate}/run_{run}_rejected.parquet",
    "report": "report.html",
}


def run_token(run: int) -> str:
    """94 → `0094`."""
    return f"{run:04d}"


def trace_file(folder: Path, run: int) -> Path:
    """A run's file in a folder of traces."""
    return folder / f"run_{run_token(run)}.h5"


def product(results: Path, name: str, run: int | None = None, gate: str | None = None) -> Path:
    """The path of a product; `name` is a key of PATTERNS."""
    tokens = {"run": "" if run is None else run_token(run), "gate": gate or ""}
    return results / PATTERNS[name].format(**tokens)


def results_of(path: Path) -> Path | None:
    """The folder of all products that a product lies in; None if it is not where a product would be."""
    for pattern in PATTERNS.values():
        depth = pattern.count("/") + 1
        expected = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern))
        if re.fullmatch(expected, "/".join(path.parts[-depth:])):
            return path.parents[depth - 1]
    return None
