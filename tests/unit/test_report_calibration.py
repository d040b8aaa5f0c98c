"""The report shows the edges of the drift by run, warns of those elsewhere than configured, and the tables in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spyral_core.detector.pads import N_PADS, builtin
from spyral_core.report import calibration
from spyral_core.report.page import Grid
from spyral_core.report.read import Run

NO_TABLES = {"time_correction": None, "gain_correction": None}


def surveyed(number: int, micromegas: float | None, window: float | None = None) -> Run:
    def edge(time: float | None, configured: float) -> dict[str, Any]:
        differs = time is not None and abs(time - configured) > 1.0
        error = None if time is None else 0.1
        return {"time": time, "error": error, "width": error, "configured": configured, "differs": differs}

    seen = micromegas is not None and window is not None
    velocity = {"value": 11.4 if seen else None, "error": 0.01 if seen else None, "configured": 11.364}
    drift = {"micromegas": edge(micromegas, 10.0), "window": edge(window, 560.0), "velocity": velocity}
    return Run(number, facts={"survey": {"drift": drift}})


def test_edges_stand_beside_what_is_configured() -> None:
    edges, tables = calibration.parts([surveyed(1, 10.2), surveyed(2, 9.9, 558.0)], {"pads": NO_TABLES}, builtin())
    assert isinstance(edges, Grid)
    assert edges.rows == [
        ["1", "10.20 ± 0.10", "10", "–", "560", "–", "11.364"],
        ["2", "9.90 ± 0.10", "10", "558.00 ± 0.10", "560", "11.400 ± 0.010", "11.364"],
    ]
    assert len(edges.heads) == 7
    assert "No corrections" in str(tables)


def test_edges_elsewhere_are_a_notice() -> None:
    assert calibration.differing([surveyed(1, 10.2), Run(2)]) == []
    (notice,) = calibration.differing([surveyed(1, 10.2), surveyed(7, 14.0), Run(9)])
    assert notice[0] == "warning"
    assert "run 7: micromegas edge at 14.00 ± 0.10 TB, detector.micromegas_time_bucket is 10" in notice[2]
    assert "run 1" not in notice[2]


def test_runs_without_a_survey_of_the_drift_are_left_out() -> None:
    (text, _) = calibration.parts([Run(1)], {"pads": NO_TABLES}, builtin())
    assert "No run has been surveyed" in str(text)


def test_tables_in_use_are_summed_up(tmp_path: Path) -> None:
    plane, rng = builtin(), np.random.default_rng(0)
    time = np.where(plane.scale == 1.0, rng.normal(0.0, 0.3, N_PADS), 0.0)
    path = tmp_path / "times.csv"
    path.write_text("time\n" + "\n".join(map(str, time)) + "\n")
    tables = calibration.parts([], {"pads": {**NO_TABLES, "time_correction": str(path)}}, plane)[1]
    assert isinstance(tables, Grid)
    ((name, file, number, small, big, _),) = tables.rows
    assert (name, file, number, small) == ("time_correction", "times.csv", "4,096", "–")
    assert big == f"{time[plane.scale == 1.0].std():.3g} TB"
