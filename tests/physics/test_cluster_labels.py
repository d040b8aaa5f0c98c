"""Clusters of the embedded experiment against the particles whose charge made their points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spyral_core import paths, store
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.job import run_job
from spyral_core.physics.gas import load_gas
from spyral_core.report.truth import clean
from spyral_core.simulate import labels
from spyral_core.simulate.event import prepare

CHAIN = ("simulate", "survey", "pointcloud", "cluster", "estimate", "solve")
EVERYTHING = [[0, 0], [1e9, 0], [1e9, 10], [0, 10]]


@pytest.mark.slow
def test_broken_spirals_are_one_cluster_and_one_result_beside_the_residue(tmp_path: Path) -> None:
    """Protons that cross the beam pads and the rim with each turn, and the heavy residue through their midst."""
    gas, gate = tmp_path / "gas.json", tmp_path / "all.json"
    gas.write_text(json.dumps({"compound": [[1, 2, 2]], "pressure(Torr)": 600.0}))
    gate.write_text(json.dumps({"vertices": EVERYTHING, "Z": 1, "A": 1}))
    reaction = {"projectile": [4, 10], "ejectile": [1, 1], "beam_energy": 96.0, "angle_min": 100.0, "angle_max": 175.0}
    settings = validate(
        {
            "simulate": {
                "seed": 71, "runs": 1, "events": 70, "gas": str(gas), "reaction": reaction,
                "detector": {"magnetic_field": 3.0},
                "beam": {"contaminant": 0.0, "pile_up": 0.0, "downscaled": 0.0},
            },
            "detector": {"magnetic_field": 3.0},
            "solver": {"gas": str(gas), "gates": [str(gate)]},
        }
    )  # fmt: skip
    assert settings.simulate is not None
    for name in CHAIN:
        parameters = json.loads(canonical(settings, STAGES[name].parameters))
        run_job(STAGES[name], 1, parameters, tmp_path, tmp_path / "traces", gate if name == "solve" else None, 2)
    truth = clean(store.read_parquet(paths.product(tmp_path, "truth", 1)), (1, 1), min_turn=-1.0)
    solutions = store.read_parquet(paths.product(tmp_path, "solver", 1, "all"))
    experiment = prepare(settings.simulate, load_gas(gas), 1)
    with store.TableReader(paths.product(tmp_path, "pointcloud", 1)) as reader:
        clouds, points = reader.read("events"), reader.read("points", names=("pad", "time"))
    with store.TableReader(paths.product(tmp_path, "cluster", 1)) as reader:
        clusters, chosen = reader.read("clusters"), reader.read("points", names=("cloud_point",))["cloud_point"]
    purity, efficiency, pieces, results = [], [], [], 0
    for event in truth["event"].to_list():
        row = int(np.flatnonzero(clouds["event"] == event)[0])
        cloud = slice(clouds["first_point"][row], clouds["first_point"][row] + clouds["n_points"][row])
        owners = labels.owners(points["pad"][cloud], points["time"][cloud], labels.sources(event, experiment))
        ours = {}
        for k in np.flatnonzero(clusters["event"] == event):
            first = clusters["first_point"][k]
            members = owners[chosen[first : first + clusters["n_points"][k]]]
            ours[int(clusters["cluster_index"][k])] = (int(np.count_nonzero(members == 0)), len(members))
        n_true = np.count_nonzero(owners == 0)
        held, size = max(ours.values())
        purity.append(held / size)
        efficiency.append(held / n_true)
        pieces.append(sum(mine > 0.1 * n_true for mine, _ in ours.values()))
        found = solutions.filter(solutions["event"] == event)["cluster_index"].to_list()
        results += sum(ours[k][0] > 0.5 * ours[k][1] for k in found)
    print(
        f"{truth.height} protons: efficiency {np.mean(efficiency):.3f}, purity {np.mean(purity):.3f}, pieces "
        f"{np.mean(pieces):.3f}, results a proton {results / truth.height:.3f}"
    )
    assert truth.height > 50
    assert np.mean(efficiency) > 0.975
    assert np.mean(purity) > 0.985
    assert np.mean(pieces) < 1.05
    assert results / truth.height < 1.035  # 1.02, and one of so few tracks


def test_a_point_belongs_to_the_highest_pulse_where_it_is() -> None:
    def pulse(at: int, height: float) -> np.ndarray:
        trace = np.zeros(512, np.float32)
        trace[at - 2 : at + 3] = height
        return trace

    event = labels.Sources(
        [labels.BEAM, 0, 1, labels.NOISE],
        [
            (np.array([7], np.int32), np.array([pulse(100, 50.0)])),
            (np.array([7, 8], np.int32), np.array([pulse(100, 80.0), pulse(300, 90.0)])),
            (np.array([8], np.int32), np.array([pulse(300, 20.0) + pulse(400, 30.0)])),
            (np.array([9], np.int32), np.array([pulse(50, 200.0)])),
        ],
    )
    pads = np.array([7, 8, 8, 8, 9, 10], np.int32)
    times = np.array([100.4, 299.0, 401.0, 200.0, 51.0, 51.0])
    assert labels.owners(pads, times, event).tolist() == [0, 0, 1, labels.NOISE, labels.NOISE, labels.NOISE]
