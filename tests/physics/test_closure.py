"""The whole chain against simulated truth: the embedded experiment, and other reactions, gases and fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from spyral_core import paths, store
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical, load, validate
from spyral_core.job import run_job
from spyral_core.report.truth import clean, match, summary

ROOT = Path(__file__).parents[2]
CHAIN = ("simulate", "survey", "pointcloud", "cluster", "estimate", "solve")


def reconstruct(configuration: Configuration, runs: range, results: Path) -> tuple[pl.DataFrame, int]:
    """Clean true particles of the gate's species with their solutions, and the number of results in clean events."""
    assert configuration.solver is not None
    gate = Path(configuration.solver.gates[0])
    species = json.loads(gate.read_text())
    matched, n_results = [], 0
    for run in runs:
        for name in CHAIN:
            stage = STAGES[name]
            parameters = json.loads(canonical(configuration, stage.parameters))
            run_job(stage, run, parameters, results, results / "traces", gate if name == "solve" else None, workers=2)
        truth = clean(store.read_parquet(paths.product(results, "truth", run)), (species["Z"], species["A"]))
        solutions = store.read_parquet(paths.product(results, "solver", run, gate.stem))
        matched.append(match(truth, solutions))
        n_results += len(solutions.filter(pl.col("event").is_in(truth["event"].implode())))
    return pl.concat(matched), n_results


def signed_error(matched: pl.DataFrame, column: str) -> tuple[float, float]:
    """Median of the signed errors and its standard error (1.25 σ/√n with the robust σ of half the central 68 %)."""
    values = matched[column].drop_nulls().to_numpy()
    low, high = np.percentile(values, [15.87, 84.13])
    return float(np.median(values)), 1.253 * float(high - low) / 2 / float(np.sqrt(len(values)))


def hold(matched: pl.DataFrame, n_results: int) -> None:
    """Print the table by energy and hold it to what the documentation promises."""
    table = summary(matched)
    with pl.Config(tbl_cols=-1, tbl_rows=-1, tbl_width_chars=200, float_precision=3):
        print(table)
    total = table.row(-1, named=True)
    (energy, energy_error), (polar, polar_error) = (signed_error(matched, f"{q}_residual") for q in ("ke", "polar"))
    print(
        f"{total['n_true']} particles, solved {total['solved']:.3f}, within 20 % and 5° {total['close']:.3f}, results "
        f"a particle {n_results / total['n_true']:.3f}, median error {energy:+.4f} ± {energy_error:.4f} in energy, "
        f"{polar:+.3f} ± {polar_error:.3f}° in polar angle"
    )
    assert total["solved"] >= 0.97
    assert total["close"] >= 0.95
    assert abs(energy) < 0.005 + 2 * energy_error
    assert abs(polar) < 0.1 + 2 * polar_error


@pytest.mark.slow
def test_the_embedded_experiment_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    configuration = load(ROOT / "config" / "config.yaml")
    assert configuration.simulate is not None
    hold(*reconstruct(configuration, range(1, configuration.simulate.runs + 1), tmp_path))


OTHERS: dict[str, dict[str, Any]] = {
    "10Be(d,d) in 600 torr D2, 3 T": {
        "gas": {"compound": [[1, 2, 2]], "pressure(Torr)": 600.0},
        "gate": (1, 2),
        "field": 3.0,
        "simulate": {
            "reaction": {"projectile": [4, 10], "beam_energy": 96.0, "beam_energy_spread": 0.0},
        },
    },
    "14C(4He,4He) in 600 torr He, 2.85 T": {
        "gas": {"compound": [[2, 4, 1]], "pressure(Torr)": 600.0},
        "gate": (2, 4),
        "field": 2.85,
        "simulate": {
            "reaction": {
                "projectile": [6, 14],
                "target": [2, 4],
                "ejectile": [2, 4],
                "beam_energy": 112.0,
                "angle_min": 80.0,
                "angle_max": 165.0,
            },
            "detector": {"w_value": 41.0},
            "beam": {"contaminant_nucleus": [5, 12]},
        },
    },
    "10Be(d,p), backward protons, in 600 torr D2, 3 T": {
        "gas": {"compound": [[1, 2, 2]], "pressure(Torr)": 600.0},
        "gate": (1, 1),
        "field": 3.0,
        "simulate": {
            "reaction": {"projectile": [4, 10], "ejectile": [1, 1], "beam_energy": 96.0, "angle_max": 175.0},
        },
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_reactions_gases_and_fields_come_back(name: str, tmp_path: Path) -> None:
    """Without a gate drawn for them: every cluster is fitted, and the particle's own result is looked for."""
    other = OTHERS[name]
    gas, gate = tmp_path / "gas.json", tmp_path / "all.json"
    gas.write_text(json.dumps(other["gas"]))
    everything = [[0, 0], [1e9, 0], [1e9, 10], [0, 10]]
    gate.write_text(json.dumps({"vertices": everything, "Z": other["gate"][0], "A": other["gate"][1]}))
    simulate = {"seed": 11, "runs": 1, "events": 200, "gas": str(gas), **other["simulate"]}
    simulate["detector"] = {**simulate.get("detector", {}), "magnetic_field": other["field"]}
    configuration = validate(
        {
            "simulate": simulate,
            "detector": {"magnetic_field": other["field"]},
            "solver": {"gas": str(gas), "gates": [str(gate)]},
        }
    )
    hold(*reconstruct(configuration, range(1, 2), tmp_path))
