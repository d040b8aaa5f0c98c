"""The numbers behind the page, for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl

from spyral_core.report import names, truth
from spyral_core.report.flow import totals
from spyral_core.report.read import Run
from spyral_core.store import atomic


def write(
    results: Path,
    runs: Sequence[Run],
    flow: pl.DataFrame,
    rejected: pl.DataFrame,
    matched: Mapping[str, pl.DataFrame],
) -> None:
    """Write the tables of `names.number_files`; `matched`: `truth.match` of all runs by gate."""
    flow_file, rejected_file, numbers_file = (results / names.FOLDER / name for name in names.NUMBERS)
    _write_csv(flow_file, flow)
    _write_csv(rejected_file, rejected)
    summaries = {gate: truth.summary(frame if frame.columns else _unmatched()) for gate, frame in matched.items()}
    for gate, summary in summaries.items():
        _write_csv(results / names.truth_file(gate), summary)
    numbers = {
        "runs": [run.number for run in runs],
        "complete": [run.number for run in runs if run.complete],
        "failures": [asdict(failure) for run in runs for failure in run.failures],
        "totals": totals(flow),
        "truth": {gate: summary.row(-1, named=True) for gate, summary in summaries.items()},
    }
    with atomic(numbers_file) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n")


def _write_csv(path: Path, frame: pl.DataFrame) -> None:
    with atomic(path) as temporary:
        frame.write_csv(temporary)


def _unmatched() -> pl.DataFrame:
    """The columns that `truth.summary` needs, without rows."""
    return pl.DataFrame(
        schema=dict.fromkeys(("ke", "fitted_ke", "ke_residual", "polar_residual", "vertex_z_residual"), pl.Float64)
    )
