"""Which runs are complete, why others are not, and what was rejected."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

from spyral_core import store, tables
from spyral_core.paths import product
from spyral_core.report import event_display, flow
from spyral_core.report.logs import NO_LOG, SILENT, reason_in_log
from spyral_core.report.read import Run, read_event, read_run

ESTIMATES = ["event", "cluster_index", "polar", "brho", "dEdx"]


@pytest.fixture
def new(report_products: ModuleType, tmp_path: Path) -> Any:
    """An experiment of one complete run."""
    made = report_products.Experiment(tmp_path)
    made.write_run(1, n_events=6)
    return made


def read(experiment: Any, *gates: str) -> Run:
    return read_run(experiment.results, 1, gates or ("deuteron",), True, ESTIMATES)


def test_a_complete_run_has_all_its_tables(new: Any) -> None:
    run = read(new)
    assert run.complete
    frames = (run.events, run.clusters, run.estimates, run.solutions["deuteron"], run.truth)
    assert [frame.height for frame in frames if frame is not None] == [6] * 5
    assert run.rejected["reason"].to_list() == [f"trace of {rows} rows" for rows in (3, 5, 9)]
    assert run.masked is not None
    assert run.masked["pad"].to_list() == [17, 4000, 5000]


def test_a_damaged_product_is_a_failure_that_says_what_to_do(new: Any) -> None:
    cluster = product(new.results, "cluster", 1)
    cluster.write_bytes(cluster.read_bytes()[:3000])
    (failure,) = read(new).failures
    assert failure.stage == "cluster"
    assert failure.reason.startswith("cluster/run_0001.h5 cannot be used: cannot be opened as HDF5")
    assert failure.reason.endswith("delete it and run again")


def test_leftovers_behind_a_missing_product_are_not_read(new: Any) -> None:
    product(new.results, "pointcloud", 1).unlink()
    run = read(new)
    assert [(failure.stage, failure.reason) for failure in run.failures] == [("pointcloud", NO_LOG)]
    assert run.clusters is None
    assert run.solutions == {}


def test_a_product_made_from_another_version_of_its_input_is_unfinished(new: Any, report_products: ModuleType) -> None:
    path = product(new.results, "estimate", 1)
    outdated = report_products.made_by(1, inputs={"cluster": {"file": "run_0001.h5", "lineage": "0" * 16}})
    store.write_parquet(path, tables.ESTIMATES, store.read_parquet(path).to_dict(), outdated)
    (failure,) = read(new).failures
    assert (failure.stage, failure.reason) == ("estimate", "not made again yet since its input cluster changed")


def test_each_gate_fails_for_itself(new: Any) -> None:
    run = read(new, "proton", "deuteron")
    assert [(failure.stage, failure.gate) for failure in run.failures] == [("solve", "proton")]
    assert list(run.solutions) == ["deuteron"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "pointcloud run 3: 10 of 20 events (50%), 3/s\ndata: run_0003.h5: truncated\n",
            "data: run_0003.h5: truncated",
        ),
        (
            "Traceback (most recent call last):\n  File \"x.py\", line 1\n    boom()\nKeyError: 'pad'\n",
            "KeyError: 'pad'",
        ),
        ("slurmstepd: error: Detected 1 oom_kill event\nlast words\n", "slurmstepd: error: Detected 1 oom_kill event"),
        ("\rsolve run 1: 10 of 20 events (50%), 3/s ███\rkilled", "killed"),
        ("cluster run 1: 10 of 20 events (50%), 3/s\n", SILENT),
        ("", SILENT),
    ],
)
def test_the_reason_is_the_last_telling_line_of_the_log(tmp_path: Path, text: str, reason: str) -> None:
    log = tmp_path / "run_0001.log"
    log.write_text(text, newline="")
    assert reason_in_log(log) == reason


def test_a_job_without_log_never_started(tmp_path: Path) -> None:
    assert reason_in_log(tmp_path / "run_0001.log") == NO_LOG


def rejected(*reasons: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "stage": ["estimate"] * len(reasons),
            "gate": pl.Series([None] * len(reasons), dtype=pl.String),
            "event": range(10, 10 + len(reasons)),
            "cluster_index": [0] * len(reasons),
            "reason": reasons,
        }
    )


def test_reasons_that_differ_in_a_number_are_counted_together() -> None:
    runs = [
        Run(1, rejected=rejected("9 of 30 points", "no circle", "11 of 30 points")),
        Run(2, rejected=rejected("-2.5 of 30 points")),
    ]
    table = flow.rejected_table(runs)
    assert table.select("kind", "reason", "number", "first", "runs").rows() == [
        ("cluster", "-2.5…11 of 30 points", 3, "run 1, event 10", "1: 2, 2: 1"),
        ("cluster", "no circle", 1, "run 1, event 11", "1: 1"),
    ]


def test_events_that_nothing_accounts_for_are_found(new: Any) -> None:
    run = read(new)
    counts = flow.count_run(run, ["deuteron"])
    assert flow.unaccounted(counts) == 0
    run.counts["pointcloud"]["events"] += 4
    assert flow.unaccounted(flow.count_run(run, ["deuteron"])) == 4


def test_the_displayed_event_is_the_longest_track_of_the_better_half(new: Any) -> None:
    run = read(new)
    solutions = run.solutions["deuteron"]
    better = solutions.filter(pl.col("redchisq") <= solutions["redchisq"].median())
    longest = better.filter(pl.col("n_points") == better["n_points"].max())
    chosen = event_display.choose(run)
    assert chosen is not None
    assert chosen.solved
    assert chosen.event in longest["event"].to_list()
    run.solutions.clear()
    by_cluster = event_display.choose(run)
    assert by_cluster is not None
    assert run.clusters is not None
    assert by_cluster.n_points == run.clusters["n_points"].max()


def test_an_event_is_read_with_the_cluster_of_each_point(new: Any) -> None:
    run = read(new)
    assert run.events is not None
    event = read_event(new.results, run, 4)
    assert len(event.points["x"]) == run.events.filter(pl.col("event") == 4)["n_points"].item()
    assert np.array_equal(event.cluster, np.zeros(len(event.points["x"])))
