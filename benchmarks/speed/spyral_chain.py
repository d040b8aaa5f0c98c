"""Spyral's whole pipeline as its users start it, one process: run by the Python that Spyral is installed in.

python spyral_chain.py SETTINGS.json
"""

import json
import multiprocessing
import sys
from pathlib import Path

import spyral
from spyral.phases import estimation_phase
from spyral_driver import phases_of, with_plain_direction


class Estimation(spyral.EstimationPhase):
    """Spyral's estimation, with the direction as a number also in the process that Spyral starts for it."""

    def run(self, *arguments):
        estimation_phase.estimate_physics = with_plain_direction(estimation_phase.estimate_physics)
        try:
            return super().run(*arguments)
        finally:
            estimation_phase.estimate_physics = estimation_phase.estimate_physics.__wrapped__


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    phases = phases_of(settings, settings["method"])
    estimation = phases["estimate"]
    phases["estimate"] = Estimation(estimation.estimate_params, estimation.det_params)
    pipeline = spyral.Pipeline(
        list(phases.values()), [True] * len(phases), Path(settings["workspace"]), Path(settings["traces"])
    )
    spyral.start_pipeline(pipeline, 1, settings["runs"], 1, disable_display=True)
    for run in range(1, settings["runs"] + 1):
        if not list(Path(settings["workspace"], "InterpSolver").glob(f"run_{run:04d}_*.parquet")):
            sys.exit(f"Spyral has no solutions of run {run}: see {settings['workspace']}/log")


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
