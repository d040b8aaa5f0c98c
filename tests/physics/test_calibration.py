"""Times and gains of pads come back from simulated tracks, and tables made of them bring the pads together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from spyral_core.calibrate.command import calibrate
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical, validate
from spyral_core.detector.corrections import load_gain_correction, load_time_correction
from spyral_core.detector.pads import builtin
from spyral_core.job import run_job
from spyral_core.physics.gas import load_gas
from spyral_core.simulate.event import prepare

ROOT = Path(__file__).parents[2]
GAS = str(ROOT / "config/gas/deuterium_300torr.json")
PLANE = builtin()


def run_stages(configuration: Configuration, names: tuple[str, ...]) -> None:
    results = Path(configuration.results)
    for name in names:
        stage = STAGES[name]
        parameters = json.loads(canonical(configuration, stage.parameters, stage.ignored))
        run_job(stage, 1, parameters, results, results / "traces")


@pytest.mark.slow
def test_tracks_give_times_and_gains_and_tables_that_help(tmp_path: Path) -> None:
    """Gains are drawn more widely than real ones: their error with so few events would hide the slope."""
    values = {
        "results": str(tmp_path / "results"),
        "runs": "1",
        "simulate": {"seed": 9, "runs": 1, "events": 800, "gas": GAS, "electronics": {"gain_spread": 0.12}},
    }
    configuration = validate(values)
    assert configuration.simulate is not None
    channels = prepare(configuration.simulate, load_gas(Path(GAS)), 1).channels
    run_stages(configuration, ("simulate", "survey", "pointcloud", "cluster"))
    first, second = tmp_path / "first", tmp_path / "second"
    print(*calibrate(configuration, [1], tmp_path, first, "tracks", 6), sep="\n")
    table = pl.read_parquet(first / "calibration.parquet")
    for name, true in (("time", channels.offset), ("gain", channels.gain)):
        known = table[f"{name}_known"].to_numpy() & ~PLANE.beam
        assert np.count_nonzero(known) > {"time": 6000, "gain": 2500}[name]
        for size in (0.5, 1.0):
            own = known & (PLANE.scale == size)
            value, error = table[name].to_numpy()[own], table[f"{name}_error"].to_numpy()[own]
            exact = true[own] - np.median(true[own]) if name == "time" else true[own] / np.median(true[own])
            (slope, _), covariance = np.polyfit(exact, value, 1, w=1 / error, cov=True)
            pull = float(np.std((value - exact) / error))
            print(f"{name}, size {size}: slope {slope:.3f} ± {covariance[0, 0] ** 0.5:.3f}, pull {pull:.2f}")
            assert abs(slope - 1.0) < 0.05 + 2 * covariance[0, 0] ** 0.5
            assert 0.6 < pull < 1.6

    with_tables = validate(
        {
            **values,
            "pads": {
                "time_correction": str(first / "time_correction.csv"),
                "gain_correction": str(first / "gain_correction.csv"),
            },
        }
    )
    run_stages(with_tables, ("pointcloud", "cluster"))
    calibrate(with_tables, [1], tmp_path, second, "tracks", 6)
    known = table["time_known"].to_numpy() & ~PLANE.beam
    late = [
        channels.offset,
        *(channels.offset + load_time_correction(f / "time_correction.csv") for f in (first, second)),
    ]
    spreads = [float(np.std(values[known])) for values in late]
    print("times differ by", spreads)
    assert spreads[1] < 0.6 * spreads[0]
    assert spreads[2] < 1.1 * spreads[1]
    known = table["gain_known"].to_numpy() & ~PLANE.beam
    gain = [channels.gain, *(channels.gain * load_gain_correction(f / "gain_correction.csv") for f in (first, second))]
    spreads = [float(np.std(values[known])) for values in gain]
    print("gains differ by", spreads)
    assert spreads[1] < 0.75 * spreads[0]
    assert spreads[2] < 1.1 * spreads[1]
