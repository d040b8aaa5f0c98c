"""Compile every kernel once, before jobs need them at the same time.

Many jobs that start together would each compile the same kernels, and write them into one cache. So the first job
takes a lock, sends a tiny simulated run through all stages, and the others wait for it. Afterwards a mark in the cache
says that nothing is to be done: for this code, this numba and this kind of processor.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba

from spyral_core import compiled
from spyral_core.catalog import STAGES
from spyral_core.closure import closure_code
from spyral_core.config import canonical, validate
from spyral_core.job import run_job

_STAGES = [stage for stage in STAGES.values() if stage.name != "report"]
_GAS = {"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}
_GATE = {"name": "d", "vertices": [[0, 0], [1e12, 0], [1e12, 1e3], [0, 1e3], [0, 0]], "Z": 1, "A": 2}


def ensure() -> None:
    """Compile all kernels unless that has been done.

    A failure here is not the caller's: the stage that has the fault will meet it again, with its own data.
    """
    mark = _mark()
    if mark.exists():
        return
    mark.parent.mkdir(parents=True, exist_ok=True)
    with _lock(mark.with_suffix(".lock")):
        if mark.exists():
            return
        print("compiling kernels, once for this version of the code", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="spyral_core_") as folder:
            failures = _run_all(Path(folder))
        for failure in failures:
            print(f"not compiled beforehand: {failure}", file=sys.stderr)
        mark.touch()


def _mark() -> Path:
    text = closure_code(*(stage.module for stage in _STAGES), "spyral_core.runner")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    processor = llvmlite.binding.get_host_cpu_name()
    return compiled.base_folder() / f"compiled-{digest}-numba{numba.__version__}-{processor}"


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """An exclusive lock between processes; none where the file system has no locks (numba replaces files whole)."""
    with path.open("a") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run_all(folder: Path) -> list[str]:
    """Each stage over a tiny simulated run in a temporary folder; the stages that could not, with the reason."""
    gas, gate = folder / "gas.json", folder / "gate.json"
    gas.write_text(json.dumps(_GAS))
    gate.write_text(json.dumps(_GATE))
    common = {
        "simulate": {"events": 6, "gas": str(gas), "beam": {"downscaled": 0, "contaminant": 0, "pile_up": 0}},
        "solver": {"gas": str(gas), "interp_ke_max": 200.0},
        "max_rejected_share": 1,
    }
    joins: list[dict[str, Any]] = [{"overlap_join": {}}, {"continuity_join": {}}]
    failures = []
    for stage in _STAGES:
        try:
            for join in joins if stage.name == "cluster" else joins[:1]:
                configuration = validate({**common, "cluster": join})
                parameters = json.loads(canonical(configuration, stage.parameters, stage.ignored))
                with contextlib.redirect_stderr(io.StringIO()):
                    run_job(stage, 1, parameters, folder, folder / "traces", gate if stage.name == "solve" else None)
        except Exception as error:
            failures.append(f"{stage.name}: {type(error).__name__}: {error}")
            break
    return failures
