"""Without a gate, simulated tracks are found to be the particles that they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from spyral_core import store
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.job import run_job
from spyral_core.paths import product
from spyral_core.report.truth import clean, match

CHAIN = ("simulate", "survey", "pointcloud", "cluster", "estimate", "hypotheses", "species")
LIGHT = [[1, 1], [1, 2], [1, 3], [2, 3], [2, 4]]
BERYLLIUM = {"projectile": [4, 10], "beam_energy": 96.0, "residual": False}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reaction", "compound", "nucleus"),
    [
        ({**BERYLLIUM, "angle_min": 110.0, "angle_max": 170.0}, [[1, 2, 2]], (1, 2)),
        (
            {**BERYLLIUM, "target": [2, 4], "ejectile": [2, 4], "angle_min": 90.0, "angle_max": 165.0},
            [[2, 4, 1]],
            (2, 4),
        ),
    ],
    ids=["deuterons", "alphas"],
)
def test_tracks_of_one_species_are_told_from_all_others(
    reaction: dict[str, Any], compound: list[list[int]], nucleus: tuple[int, int], tmp_path: Path
) -> None:
    gas = tmp_path / "gas.json"
    gas.write_text(json.dumps({"compound": compound, "pressure(Torr)": 600.0}))
    settings = validate(
        {
            "simulate": {
                "seed": 5, "runs": 1, "events": 40, "gas": str(gas), "reaction": reaction,
                "beam": {"contaminant": 0.0, "pile_up": 0.0, "downscaled": 0.0},
            },
            "solver": {"gas": str(gas), "species": LIGHT},
        }
    )  # fmt: skip
    for name in CHAIN:
        parameters = json.loads(canonical(settings, STAGES[name].parameters, STAGES[name].ignored))
        run_job(STAGES[name], 1, parameters, tmp_path, tmp_path / "traces", workers=2)
    rows = store.read_parquet(product(tmp_path, "species", 1))
    totals = rows.group_by("event", "cluster_index").agg(pl.col("probability").sum(), pl.col("best").sum())
    assert totals["probability"].to_numpy() == pytest.approx(1.0)
    assert totals["best"].to_list() == [1] * totals.height
    best = rows.filter("best")
    truth = clean(store.read_parquet(product(tmp_path, "truth", 1)), nucleus)
    known = best.select("event", "cluster_index", "probability", found_Z="Z", found_A="A")
    found = match(truth, best).filter(pl.col("opening") < 10).join(known, on=["event", "cluster_index"])
    assert found.height > 25
    right = (found["found_Z"] == nucleus[0]) & (found["found_A"] == nucleus[1])
    assert right.to_numpy().mean() > 0.94
    assert found["probability"].to_numpy().mean() > 0.9
