"""The whole chain from the command to the last file, each program as its users start it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from speed.machine import one_thread
from spyral_core.config import Configuration

ROOT = Path(__file__).parents[2]


def own(folder: Path, configured: Configuration, runs: int, core: int | None) -> float:
    """Wall time [s] of `snakemake --cores 1` with nothing compiled; raises CalledProcessError if it fails.

    Reads `traces/` of `folder`, writes `products/` there.
    """
    products, compiled = folder / "products", folder / "compiled"
    for place in (products, compiled):
        shutil.rmtree(place, ignore_errors=True)
    products.mkdir(parents=True)
    values = configured.model_dump(mode="json", exclude={"simulate"})
    values |= {"results": str(products / "results"), "traces": str(folder / "traces"), "runs": f"1-{runs}"}
    (products / "config.yaml").write_text(yaml.safe_dump(values))
    command = snakemake(products / "config.yaml")
    return _seconds(command, products / "snakemake.log", core, {"NUMBA_CACHE_DIR": str(compiled)})


def snakemake(configuration: Path) -> list[str | Path]:
    """This checkout's workflow on one core, in the folder of the configuration."""
    command: list[str | Path] = [Path(sys.executable).with_name("snakemake"), "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", configuration.parent, "--configfile", configuration, "--cores", "1"]
    return [*command, "--workflow-profile", ROOT / "profiles" / "default"]


def spyral(folder: Path, settings: dict[str, Any], method: str, python: Path, runs: int, core: int | None) -> float:
    """Wall time [s] of Spyral's pipeline over the same runs, in a workspace with no mesh."""
    settings = settings | {"workspace": str(folder / "spyral_chain"), "runs": runs, "method": method}
    shutil.rmtree(settings["workspace"], ignore_errors=True)
    request = folder / "spyral_chain.json"
    request.write_text(json.dumps(settings))
    script = Path(__file__).with_name("spyral_chain.py")
    return _seconds([python, script, request], folder / "spyral_chain.log", core, {})


def _seconds(command: Sequence[str | Path], log: Path, core: int | None, more: dict[str, str]) -> float:
    """Wall time of a command on one core; its end is shown if it fails."""
    with log.open("w") as out:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=one_thread() | more)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        code = process.wait()
        passed = time.perf_counter() - started
    if code:
        print("\n".join(log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
        raise subprocess.CalledProcessError(code, [str(part) for part in command])
    return passed
