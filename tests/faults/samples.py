"""Small trace files of simulated events, and the survey that goes with them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.job import run_job

GAS = {"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}


def simulated(folder: Path, events: int = 8) -> tuple[Path, Path]:
    """A simulated trace file in the layout `libattpc_merger:2.0`, and its survey."""
    folder.mkdir(parents=True, exist_ok=True)
    gas = folder / "gas.json"
    gas.write_text(json.dumps(GAS))
    configuration = validate({"simulate": {"seed": 3, "runs": 1, "events": events, "gas": str(gas)}})
    for name in ("simulate", "survey"):
        stage = STAGES[name]
        parameters = json.loads(canonical(configuration, stage.parameters, stage.ignored))
        run_job(stage, 1, parameters, folder, folder / "traces")
    return folder / "traces/run_0001.h5", folder / "survey/run_0001.parquet"


def as_legacy(traces: Path, path: Path) -> Path:
    """The same events in the layout of the legacy merger."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(traces) as source, h5py.File(path, "w") as file:
        numbers = sorted(int(name.removeprefix("event_")) for name in source["events"])
        file["meta/meta"] = np.array([numbers[0], 0.0, numbers[-1], 0.0])
        for number in numbers:
            event = source[f"events/event_{number}"]
            if "get" in event:
                file[f"get/evt{number}_data"] = event["get/pads"][:]
            for module in ("1903", "977"):
                if module in event["frib_physics"]:
                    file[f"frib/evt/evt{number}_{module}"] = event[f"frib_physics/{module}"][:]
    return path
