"""Spyral's phases one at a time, on request: run by the Python of the virtual environment that Spyral is installed in.

    python spyral_driver.py SETTINGS.json

Requests come as one JSON object a line on the standard input, answers go as one a line to the standard output (see
`served.py`). Nothing of this project is imported here. What Spyral itself prints goes to the standard error.
"""

import functools
import json
import os
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import spyral
from spyral.core.run_stacks import form_run_string
from spyral.phases import estimation_phase

PHASES = ("pointcloud", "cluster", "estimate", "solve")
ARTIFACTS = {"pointcloud": "pointcloud", "cluster": "cluster", "estimate": "estimation", "solve": "interp_solver"}


class Silence:
    """In place of the queue of progress messages, which nobody reads here."""

    def put(self, message: object) -> None:
        pass


def with_plain_direction(estimate):
    """Spyral's estimation of one cluster, with the direction as a number: polars cannot store the Enum."""

    @functools.wraps(estimate)
    def estimated(*arguments):
        result = estimate(*arguments)
        if result is not None:
            result.direction = getattr(result.direction, "value", result.direction)
        return result

    return estimated


def phases_of(settings: dict, method: str) -> dict:
    """The four phases by this project's names of them."""
    detector = spyral.DetectorParameters(
        **settings["detector"], garfield_file_path=Path("none"), do_garfield_correction=False
    )
    cluster = dict(settings["cluster"])
    hdbscan = spyral.HdbscanParameters(**cluster.pop("hdbscan"))
    join = spyral.ContinuityJoinParameters(**cluster.pop("continuity_join"))
    solver = dict(settings["solver"])
    solver["gas_data_path"] = Path(solver["gas_data_path"])
    solver["particle_id_filename"] = Path(solver["particle_id_filename"])
    return {
        "pointcloud": spyral.PointcloudPhase(
            spyral.GetParameters(**{key: value for key, value in settings["get"].items() if key != "shaping_time"}),
            spyral.FribParameters(**settings["frib"]),
            detector,
            spyral.PadParameters(spyral.DEFAULT_MAP, spyral.DEFAULT_MAP, spyral.DEFAULT_MAP),
        ),
        "cluster": spyral.ClusterPhase(
            spyral.ClusterParameters(
                **cluster,
                hdbscan_parameters=hdbscan,
                tripclust_parameters=None,
                overlap_join=None,
                continuity_join=join,
            ),
            detector,
        ),
        "estimate": spyral.EstimationPhase(spyral.EstimateParameters(**settings["estimate"]), detector),
        "solve": spyral.InterpSolverPhase(spyral.SolverParameters(**solver, fit_method=method), detector),
    }


class Spyral:
    """A pipeline of one process whose phases are called one by one."""

    def __init__(self, settings: dict) -> None:
        estimation_phase.estimate_physics = with_plain_direction(estimation_phase.estimate_physics)
        self._settings = settings
        self._workspace, self._traces = Path(settings["workspace"]), Path(settings["traces"])
        self._phases = {method: phases_of(settings, method) for method in ("leastsq", "lbfgsb")}
        self._handles: dict[str, SharedMemory] = {}
        self._random = np.random.default_rng(settings["seed"])
        pipeline = spyral.Pipeline(list(self._phases["leastsq"].values()), [True] * 4, self._workspace, self._traces)
        self._workspace.mkdir(parents=True, exist_ok=True)
        pipeline.create_workspace()

    def mesh(self) -> dict:
        """Make the trajectory mesh unless it lies there, load it for both methods; what making it took, now or then."""
        solver = self._phases["leastsq"]["solve"]
        folder = solver.get_asset_storage_path(self._workspace)
        mark = folder / "made.txt"
        if not mark.exists():
            for mesh in folder.glob("*.npy"):
                mesh.unlink()
        before, started = [mesh.stat().st_mtime_ns for mesh in folder.glob("*.npy")], time.perf_counter()
        for phases in self._phases.values():
            phases["solve"].shared_mesh_name = f"interp_shared_mesh_{os.getpid()}"
            phases["solve"].create_assets(self._workspace)
        if [mesh.stat().st_mtime_ns for mesh in folder.glob("*.npy")] != before:
            mark.write_text(str(time.perf_counter() - started))
        solver.create_shared_data(self._workspace, self._handles)
        _, _, energies, angles = solver.shared_mesh_shape
        return {"seconds": float(mark.read_text()), "cells": energies * angles}

    def run(self, phase: str, run: int, method: str) -> dict:
        """One phase over one run; what the phases before it made is looked up where they put it."""
        payload = spyral.PhaseResult({"trace": self._traces / f"{form_run_string(run)}.h5"}, True, run)
        phases = self._phases[method]
        for name in PHASES[: PHASES.index(phase)]:
            payload = phases[name].construct_artifact(payload, self._workspace)
        wall, processor = time.perf_counter(), time.process_time()
        result = phases[phase].run(payload, self._workspace, Silence(), self._random)
        answer = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
        if not result.successful:
            raise RuntimeError(f"Spyral's phase {phase} did not succeed on run {run}")
        return answer | {"output": str(result.artifacts[ARTIFACTS[phase]])}

    def close(self) -> None:
        for handle in self._handles.values():
            handle.close()
            handle.unlink()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pipeline = Spyral(json.loads(Path(sys.argv[1]).read_text()))
    try:
        for line in sys.stdin:
            request = json.loads(line)
            function = {"mesh": pipeline.mesh, "run": pipeline.run}[request.pop("do")]
            print(json.dumps(function(**request)), file=answers, flush=True)
    finally:
        pipeline.close()


if __name__ == "__main__":
    main()
