"""Products of runs whose tracks follow the equation of motion, for tests of the report."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from spyral_core import store, tables
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.detector.pads import builtin, pads_at
from spyral_core.paths import product
from spyral_core.physics.gas import load_gas
from spyral_core.physics.kinematics import two_body
from spyral_core.physics.motion import dense, motion_of, trajectory
from spyral_core.physics.nuclei import brho_from_ke, nuclear_mass

ROOT = Path(__file__).parents[1]
GATE = {
    "name": "deuterons",
    "vertices": [[0.5, 0.02], [1e9, 0.02], [1e9, 2.0], [0.5, 2.0], [0.5, 0.02]],
    "Z": 1,
    "A": 2,
}
N_EVENTS = 24


def parameters_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """The report's parameters of an embedded experiment with one gate, as the workflow gives them."""
    gate = folder / "deuteron.json"
    gate.write_text(json.dumps(GATE))
    gas = str(ROOT / "config/gas/deuterium_300torr.json")
    values = {
        "simulate": {"gas": gas},
        "solver": {"gas": gas, "gates": [str(gate)], "ic_min_val": 900.0, "ic_max_val": 1350.0},
        **changes,
    }
    stage = STAGES["report"]
    chosen: dict[str, Any] = json.loads(canonical(validate(values), stage.parameters, stage.ignored))
    return chosen


class Experiment:
    """Writes the products of runs whose tracks follow the equation of motion, with the store's own writers."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        self.parameters = parameters_of(folder)
        gas = load_gas(ROOT / "config/gas/deuterium_300torr.json")
        self._motion = motion_of(gas, 1, 2, 2.85, 45000.0)
        self._plane = builtin()

    def write_run(self, run: int, n_events: int = N_EVENTS) -> None:
        rng = np.random.default_rng(run)
        events = [self._event(number, rng) for number in range(n_events)]
        self._write_clouds(run, events, rng)
        self._write_clusters(run, events)
        self._write_tracks(run, events, rng)
        pads = {"pad": [17, 4000, 5000], "hits": [90, 80, 0], "hit_share": [0.9, 0.8, 0.0]}
        masked = {
            "repeated_share": [0.0, 1.0, 0.0],
            "masked": [True] * 3,
            "reason": ["noisy", "repeats one charge", "dead"],
        }
        store.write_parquet(product(self.results, "survey", run), tables.SURVEY, pads | masked, made_by(run))

    def _event(self, number: int, rng: np.random.Generator) -> dict[str, Any]:
        masses = (nuclear_mass(6, 16), nuclear_mass(1, 2), nuclear_mass(1, 2), nuclear_mass(6, 16))
        ke, polar, _, _ = two_body(*masses, 180.0, math.radians(rng.uniform(100, 160)))
        azimuthal, z = rng.uniform(0, 2 * math.pi), rng.uniform(50, 900)
        start = np.array([*rng.normal(0, 4, 2), z, float(ke), float(polar), azimuthal])
        path, states, stopped = trajectory(self._motion, start)
        track = dense(path, states, 3.0)
        track = track + rng.normal(0, 1.0, track.shape)
        pad = pads_at(track[:, 0].copy(), track[:, 1].copy())
        return {"event": number, "start": start, "track": track[pad >= 0], "pad": pad[pad >= 0], "stops": stopped}

    def _write_clouds(self, run: int, events: list[dict[str, Any]], rng: np.random.Generator) -> None:
        rejected = {
            "event": [900, 901, 902],
            "cluster_index": [-1] * 3,
            "reason": [f"trace of {n} rows" for n in (3, 5, 9)],
        }
        counts = {"events": len(events) + 3 + 2, "downscaled_ic": 2, "downscaled_ic_within_multiplicity": 1}
        file = product(self.results, "pointcloud", run)
        with store.TableWriter(file, STAGES["pointcloud"].tables, made_by(run)) as writer:
            for event in events:
                n_points = len(event["track"])
                row = {"event": event["event"], "orig_run": run, "orig_event": event["event"], "trigger": 1}
                row |= {"ic_amplitude": rng.normal(1100, 40), "ic_integral": 5e4, "ic_centroid": rng.normal(1200, 2)}
                writer.append("events", row | {"ic_multiplicity": 1.0, "n_points": n_points})
                columns = dict(zip("xyz", event["track"].T, strict=True))
                charge = rng.lognormal(6, 0.5, n_points)
                columns |= {"amplitude": charge, "integral": 5 * charge, "pad": event["pad"]}
                columns |= {"time": 560 - 0.55 * event["track"][:, 2], "scale": self._plane.scale[event["pad"]]}
                writer.append("points", columns | {"saturated": np.zeros(n_points), "pulse": np.arange(n_points)})
            writer.counts = counts
        store.write_parquet(
            product(self.results, "pointcloud_rejected", run), tables.REJECTED, rejected, made_by(run), counts
        )

    def _write_clusters(self, run: int, events: list[dict[str, Any]]) -> None:
        with store.TableWriter(product(self.results, "cluster", run), STAGES["cluster"].tables, made_by(run)) as writer:
            for event in events:
                n_points = len(event["track"])
                row = {"event": event["event"], "orig_run": run, "orig_event": event["event"], "ic_amplitude": 1100.0}
                row |= {"ic_integral": 5e4, "ic_centroid": 1200.0, "ic_multiplicity": 1.0, "n_clusters": 1}
                writer.append("events", row)
                cluster = {"event": event["event"], "cluster_index": 0, "label": 0, "direction": 0}
                writer.append("clusters", cluster | {"n_points": n_points})
                columns = dict(zip("xyz", event["track"].T, strict=True))
                columns |= {"charge": np.full(n_points, 500.0), "scale": self._plane.scale[event["pad"]]}
                writer.append(
                    "points",
                    columns | {"pad": event["pad"], "cloud_point": np.arange(n_points), "pulse": np.arange(n_points)},
                )
        nothing = {"event": [], "cluster_index": [], "reason": []}
        store.write_parquet(product(self.results, "cluster_rejected", run), tables.REJECTED, nothing, made_by(run))

    def _write_tracks(self, run: int, events: list[dict[str, Any]], rng: np.random.Generator) -> None:
        number = np.array([event["event"] for event in events], dtype=int)
        x, y, z, ke, polar, azimuthal = np.reshape([event["start"] for event in events], (-1, 6)).T
        n_tracks, zero = len(number), np.zeros(len(number))
        origin = {"event": number, "cluster_index": zero, "cluster_label": zero}
        origin |= {"orig_run": np.full(n_tracks, run), "orig_event": number}
        angles = {"polar": polar + rng.normal(0, 0.01, n_tracks), "azimuthal": azimuthal}
        fitted_ke = ke * rng.normal(1, 0.02, n_tracks)
        brho = brho_from_ke(fitted_ke, 1, 2)
        estimate = {column.name: zero for column in tables.ESTIMATES.columns} | origin | angles
        estimate |= {"brho": brho, "dEdx": 100 / fitted_ke * rng.lognormal(0, 0.1, n_tracks)}
        store.write_parquet(product(self.results, "estimate", run), tables.ESTIMATES, estimate, made_by(run))
        solution = {column.name: zero + 0.01 for column in tables.SOLUTIONS.columns} | origin | angles
        solution |= {"vertex_x": x / 1000, "vertex_y": y / 1000, "vertex_z": z / 1000, "brho": brho, "ke": fitted_ke}
        solution |= {"redchisq": rng.chisquare(20, n_tracks) / 20, "sigma_ke": 0.02 * ke}
        solution |= {"n_points": [len(event["track"]) for event in events], "stops": [e["stops"] for e in events]}
        store.write_parquet(
            product(self.results, "solver", run, "deuteron"), tables.SOLUTIONS, solution, made_by(run, gate="deuteron")
        )
        truth = {"event": number, "Z": zero + 1, "A": zero + 2, "ke": ke, "polar": polar, "azimuthal": azimuthal}
        truth |= {"vertex_x": x, "vertex_y": y, "vertex_z": z, "brho": brho_from_ke(ke, 1, 2), "turn": zero + 3}
        truth |= {"n_pads": zero + 120, "stops": zero == 0, "trigger": zero + 1}
        truth |= {"pile_up": zero > 0, "contaminant": zero > 0}
        store.write_parquet(product(self.results, "truth", run), tables.TRUTH, truth, made_by(run))


def made_by(run: int, **more: Any) -> dict[str, Any]:
    return {"stage": "test", "run": run, "code": "0123456789abcdef", "versions": {"numpy": "2"}, **more}
