"""Every stage over runs of the embedded experiment: `python tests/golden/chain.py RESULTS EVENTS METHOD RUN [RUN …]`.

A program of its own: what kind of processor the libraries see is decided when they are loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from spyral_core.cli import _ONE_THREAD

ROOT = Path(__file__).parents[2]


def make(
    results: Path,
    events: int,
    runs: list[int],
    environment: Mapping[str, str] | None = None,
    fit_method: str = "leastsq",
) -> None:
    """Run this program, with further environment variables."""
    command = [sys.executable, __file__, str(results), str(events), fit_method, *map(str, runs)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def main(results: Path, events: int, fit_method: str, runs: list[int]) -> None:
    """Every stage over some runs, in their order."""
    from spyral_core.catalog import STAGES
    from spyral_core.config import canonical, validate
    from spyral_core.job import run_job

    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    values["simulate"]["events"] = events
    values["solver"]["fit_method"] = fit_method
    configuration = validate(values)
    assert configuration.solver is not None
    gate = Path(configuration.solver.gates[0])
    for run in runs:
        for stage in STAGES.values():
            if stage.name in ("report", "hypotheses", "species"):  # the embedded experiment has a gate
                continue
            parameters = json.loads(canonical(configuration, stage.parameters, stage.ignored))
            run_job(stage, run, parameters, results, results / "traces", gate if stage.name == "solve" else None)


if __name__ == "__main__":
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], [int(text) for text in sys.argv[4:]])
