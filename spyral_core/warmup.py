"""Compile every kernel once, before jobs need them at the same time.

Many jobs that start together would each compile the same kernels, and write them into one cache. So the first job
takes a lock, sends a tiny simulated run through all stages, and the others wait for it. Afterwards a mark in the cache
says that nothing is to be done: for this code, this numba and this kind of processor.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numpy as np

from spyral_core import compiled, paths, store
from spyral_core.catalog import STAGES, Stage
from spyral_core.closure import package_digest
from spyral_core.config import canonical, validate
from spyral_core.detector.pads import builtin, pads_at
from spyral_core.job import run_job
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import dense, motion_of, trajectory
from spyral_core.tables import SURVEY

_STAGES = [stage for stage in STAGES.values() if stage.name not in ("report", "hypotheses", "species")]
_GAS = {"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}
_JOINS: list[dict[str, Any]] = [{"overlap_join": {}}, {"continuity_join": {}}]
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
    processor = llvmlite.binding.get_host_cpu_name()
    return compiled.base_folder() / f"compiled-{package_digest()}-numba{numba.__version__}-{processor}"


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """An exclusive lock between processes; none where the file system has no locks (numba replaces files whole)."""
    with path.open("a") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run_all(folder: Path) -> list[str]:
    """Each stage over a tiny simulated run in a temporary folder; the stages that could not, with the reason.

    Half of the kernels are those of the last two stages: another process compiles them meanwhile, on a track made up
    for it. What goes wrong there is met again here.
    """
    ahead = get_context("spawn").Process(target=_fit_ahead, args=(folder / "ahead",), daemon=True)
    if (os.cpu_count() or 1) > 1:
        ahead.start()
    failures = []
    for stage in _STAGES:
        try:
            if stage.name == "estimate" and ahead.pid is not None:
                ahead.join()
            for join in _JOINS if stage.name == "cluster" else _JOINS[:1]:
                _run(stage, folder, join)
        except Exception as error:
            failures.append(f"{stage.name}: {type(error).__name__}: {error}")
            break
    return failures


def _run(stage: Stage, folder: Path, join: dict[str, Any]) -> None:
    """One stage of run 1 in a folder."""
    folder.mkdir(exist_ok=True)
    gas, gate = folder / "gas.json", folder / "gate.json"
    gas.write_text(json.dumps(_GAS))
    gate.write_text(json.dumps(_GATE))
    configuration = validate(
        {
            "simulate": {"events": 6, "gas": str(gas), "beam": {"downscaled": 0, "contaminant": 0, "pile_up": 0}},
            "solver": {"gas": str(gas), "interp_ke_max": 200.0},
            "max_rejected_share": 1,
            "cluster": join,
        }
    )
    parameters = json.loads(canonical(configuration, stage.parameters, stage.ignored))
    with contextlib.redirect_stderr(io.StringIO()):
        run_job(stage, 1, parameters, folder, folder / "traces", gate if stage.name == "solve" else None)


def _fit_ahead(folder: Path) -> None:
    """Estimate and fit a track that was never simulated."""
    with contextlib.suppress(Exception):
        _write_track(paths.product(folder, "cluster", 1))
        _write_survey(paths.product(folder, "survey", 1))
        for name in ("estimate", "solve"):
            _run(STAGES[name], folder, _JOINS[0])


def _write_track(path: Path) -> None:
    """A cluster file of one event with one track: the pads under a deuteron's trajectory."""
    motion = motion_of(parse_gas(_GAS), 1, 2, 2.85, 45000.0)
    route = dense(*trajectory(motion, np.array([0.0, 0.0, 500.0, 3.0, 1.3, 0.5]), (250.0, 0.0, 1000.0))[:2], 1.0)
    pads, first = np.unique(pads_at(route[:, 0].copy(), route[:, 1].copy()), return_index=True)
    first = np.sort(first[(pads >= 0) & ~builtin().beam[pads]])
    pads = pads_at(route[first, 0].copy(), route[first, 1].copy())
    number = len(pads)
    points = {
        "x": builtin().x[pads], "y": builtin().y[pads], "z": route[first, 2], "charge": np.full(number, 1000.0),
        "scale": builtin().scale[pads], "pad": pads, "cloud_point": np.arange(number), "pulse": np.arange(number),
    }  # fmt: skip
    rows: dict[str, dict[str, Any]] = {
        "events": {"n_clusters": 1}, "clusters": {"n_points": number, "direction": 0}, "points": points
    }  # fmt: skip
    path.parent.mkdir(parents=True)
    with store.TableWriter(path, STAGES["cluster"].tables, {}) as writer:
        for table in STAGES["cluster"].tables:
            given = rows[table.name]
            writer.append(
                table.name,
                {column.name: given.get(column.name, [0]) for column in table.columns if column.name in table.given},
            )


def _write_survey(path: Path) -> None:
    """A survey that masks no pad."""
    number = len(builtin().x)
    nothing = {column.name: np.full(number, "" if column.dtype == "str" else 0) for column in SURVEY.columns}
    path.parent.mkdir(parents=True)
    store.write_parquet(path, SURVEY, nothing | {"pad": np.arange(number)}, {})
