"""What both programs are given: the reaction, the parameters, and trace files that both can read.

10Be(d,d) at 96 MeV in 600 torr of D2 and 3 T. All parameters that both programs have are those of the example in
Spyral's own description, except for the magnetic field, which is that of the simulation. The gate is one of angle and
Bρ, which both programs estimate in the same units; dE/dx is not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spyral_core import paths
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical, validate
from spyral_core.job import run_job
from spyral_core.traces.file import open_traces

SPECIES = (1, 2)
FIELD = 3.0
_GAS = {"compound": [[1, 2, 2]], "pressure(Torr)": 600.0}
# Deuterons of 0.1 to 26 MeV at 36° to 88°: those of the reaction, with room, and within any mesh used here.
_BRHO, _POLAR = (0.0646, 1.0454), (0.6283, 1.5359)
_GATE = {
    "name": "deuterons",
    "vertices": [[_POLAR[i], _BRHO[j]] for i, j in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))],
    "xaxis": "polar",
    "yaxis": "brho",
    "Z": SPECIES[0],
    "A": SPECIES[1],
}
_CLUSTER = {
    "outlier_scale_factor": 0.1,
    "hdbscan": {"min_size_scale_factor": 0.03},
    "continuity_join": {"join_radius_fraction": 0.4, "join_z_fraction": 0.2},
}


def configuration(folder: Path, events: int, seed: int = 7, **solver: Any) -> Configuration:
    """This program's configuration; writes the files of gas and gate into `folder`, as `gas.json`, `deuterons.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    gas, gate = folder / "gas.json", folder / "deuterons.json"
    gas.write_text(json.dumps(_GAS))
    gate.write_text(json.dumps(_GATE))
    return validate(
        {
            "results": str(folder / "own"),
            "simulate": {
                "seed": seed,
                "events": events,
                "gas": str(gas),
                "reaction": {"projectile": [4, 10], "beam_energy": 96.0, "beam_energy_spread": 0.0},
                "detector": {"magnetic_field": FIELD},
            },
            "detector": {"magnetic_field": FIELD},
            "cluster": _CLUSTER,
            "solver": {"gas": str(gas), "gates": [str(gate)], "ic_min_val": 900.0, "ic_max_val": 1350.0, **solver},
        }
    )


def parameters(configured: Configuration, stage: str) -> dict[str, Any]:
    """What a stage gets to see of a configuration."""
    return dict(json.loads(canonical(configured, STAGES[stage].parameters, STAGES[stage].ignored)))


def make_run(folder: Path, run: int, events: int, seed: int = 7, workers: int = 1) -> Path:
    """Simulate a run unless it is there; returns its trace file in the layout `libattpc_merger:1.0`.

    That is the newest layout that Spyral 1.1.2 reads as the merger writes it: in 2.0 it looks for names of silicon
    detectors which the merger does not use. The truth lies beside the trace file.
    """
    traces = folder / "traces"
    target, truth = paths.trace_file(traces, run), traces / f"run_{paths.run_token(run)}_truth.parquet"
    asked = {"events": events, "seed": seed}
    mark = traces / f"run_{paths.run_token(run)}.json"
    if target.exists() and mark.exists() and json.loads(mark.read_text()) == asked:
        return target
    made = folder / "simulated"
    stage = STAGES["simulate"]
    settings = parameters(configuration(folder, events, seed), "simulate")
    run_job(stage, run, settings, made, made / "traces", workers=workers)
    traces.mkdir(parents=True, exist_ok=True)
    to_merger_1(paths.trace_file(made / "traces", run), target)
    paths.product(made, "truth", run).replace(truth)
    paths.trace_file(made / "traces", run).unlink()
    mark.write_text(json.dumps(asked))
    return target


def to_merger_1(source: Path, target: Path) -> None:
    """Write the events of a trace file in the layout `libattpc_merger:1.0`."""
    with open_traces(source) as events, h5py.File(target, "w") as file:
        group = file.create_group("events")
        group.attrs["version"] = "libattpc_merger:1.0"
        for index, number in enumerate(events.numbers):
            event = events.read(index)
            one = group.create_group(f"event_{number}")
            pads = one.create_dataset("get_traces", data=event.pads)
            pads.attrs["id"], pads.attrs["timestamp"] = event.get_id, event.get_timestamp
            pads.attrs["timestamp_other"] = event.get_timestamp_other
            frib = one.create_group("frib_physics")
            frib.attrs["id"], frib.attrs["timestamp"] = event.frib_id, event.frib_timestamp
            columns = [event.ion_chamber, event.mesh, event.silicon]
            length = next(len(column) for column in columns if column is not None)
            samples = np.zeros((length, 8), dtype=np.uint16)
            for place, column in enumerate(columns):
                if column is not None:
                    samples[:, place] = column
            frib.create_dataset("1903", data=samples)
            frib.create_dataset("977", data=np.array([event.trigger], dtype=np.uint16))
        group.attrs["min_event"], group.attrs["max_event"] = events.numbers[0], events.numbers[-1]


def spyral_settings(configured: Configuration, folder: Path, mesh: tuple[float, int, float, int]) -> dict[str, Any]:
    """The same parameters as `spyral_driver.py` takes them.

    `mesh` is the largest kinetic energy [MeV] with its number of energies, and the smallest angle [deg] with its
    number of angles; the mesh begins at 0.1 MeV and ends at 88°, as in Spyral's example.
    """
    values = configured.model_dump(mode="json")
    detector, frib, cluster, solver = (values[name] for name in ("detector", "frib", "cluster", "solver"))
    ke_max, ke_bins, polar_min, polar_bins = mesh
    return {
        "workspace": str(folder / "spyral"),
        "traces": str(folder / "traces"),
        "seed": 7,
        "get": values["get"],
        "frib": {key: value for key, value in frib.items() if key != "correct_ic_time"},
        "detector": {key: value for key, value in detector.items() if key != "garfield_file"},
        "cluster": {
            key: cluster[key]
            for key in ("min_cloud_size", "direction_threshold", "outlier_scale_factor", "hdbscan", "continuity_join")
        },
        "estimate": values["estimate"],
        "solver": {
            "gas_data_path": solver["gas"],
            "particle_id_filename": solver["gates"][0],
            **{key: solver[key] for key in ("ic_min_val", "ic_max_val", "n_time_steps", "interp_ke_min")},
            **{key: solver[key] for key in ("fit_vertex_rho", "fit_vertex_phi", "fit_azimuthal")},
            "interp_ke_max": ke_max,
            "interp_ke_bins": ke_bins,
            "interp_polar_min": polar_min,
            "interp_polar_max": 88.0,
            "interp_polar_bins": polar_bins,
        },
    }
