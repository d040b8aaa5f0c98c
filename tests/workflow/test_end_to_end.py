"""The whole analysis of a tiny simulated experiment, on this machine."""

from __future__ import annotations

import copy
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pytest

from .conftest import CONFIGURATION, Workspace

pytestmark = pytest.mark.slow
TINY: dict[str, Any] = {**CONFIGURATION, "simulate": {**CONFIGURATION["simulate"], "events": 10}}


def tables(folder: Path) -> dict[str, bytes]:
    """The bytes of every table under the results."""
    results = folder / "results"
    return {
        str(path.relative_to(results)): path.read_bytes()
        for pattern in ("*.h5", "*.parquet")
        for path in results.rglob(pattern)
    }


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a folder: its bytes and its time stamp."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def made(pristine: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A working directory in which the whole analysis was run."""
    folder = tmp_path_factory.mktemp("made") / "work"
    shutil.copytree(pristine.folder, folder)
    workspace = Workspace(pristine.project, folder)
    workspace.configure({**TINY, "running": {"chunk_events": 64}})
    done = workspace.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace


def copy_of(workspace: Workspace, tmp_path: Path, *names: str) -> Workspace:
    """Another working directory with the same inputs (and what `names` says)."""
    folder = tmp_path / "work"
    for name in ("inputs", *names):
        shutil.copytree(workspace.folder / name, folder / name)
    return Workspace(workspace.project, folder)


def measured(made: Workspace, tmp_path: Path, runs: str = "1-2") -> Workspace:
    """A working directory in which the simulated traces are a user's measured ones."""
    workspace = copy_of(made, tmp_path)
    (workspace.folder / "measured").mkdir()
    for run in (1, 2):
        shutil.copy2(made.folder / f"results/traces/run_{run:04d}.h5", workspace.folder / "measured")
    configuration = copy.deepcopy(TINY)
    del configuration["simulate"]
    workspace.configure({**configuration, "traces": "measured", "runs": runs})
    return workspace


def test_the_report_is_made_and_nothing_is_left_to_do(made: Workspace) -> None:
    assert (made.folder / "results/report.html").stat().st_size > 10_000
    assert made.planned() == {}
    assert list((made.folder / "results").rglob(".*")) == []


def test_what_the_workflow_made_would_be_made_again(made: Workspace) -> None:
    for product in ("solver/deuteron/run_0001.parquet", "estimate/run_0002_rejected.parquet", "traces/run_0001.h5"):
        done = made.python("lineage", f"results/{product}", "--check", "--config", "config.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout == f"results/{product}: would be made again as it is\n"


@pytest.mark.parametrize(("cores", "workers", "chunk"), [("1", 1, 1), ("2", 2, 7)])
def test_cores_and_chunks_change_no_byte(made: Workspace, tmp_path: Path, cores: str, workers: int, chunk: int) -> None:
    workspace = copy_of(made, tmp_path)
    workspace.configure({**TINY, "running": {"chunk_events": chunk, "max_threads": workers}, "runs": "1"})
    done = workspace.snakemake("--cores", cores)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = {name: content for name, content in tables(made.folder).items() if "run_0001" in name}
    assert tables(workspace.folder) == expected


def test_nothing_is_ever_written_to_the_traces_of_a_user(made: Workspace, tmp_path: Path) -> None:
    workspace = measured(made, tmp_path)
    before = state(workspace.folder / "measured")
    for arguments in (["--forceall"], ["--forceall", "--dry-run"], ["--delete-all-output"]):
        done = workspace.snakemake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert state(workspace.folder / "measured") == before
    assert not (workspace.folder / "results/report.html").exists()
    assert tables(workspace.folder) == {}


def test_unusable_runs_are_named_and_the_others_finish(made: Workspace, tmp_path: Path) -> None:
    workspace = measured(made, tmp_path, runs="1-5")
    folder = workspace.folder / "measured"
    whole = (folder / "run_0002.h5").read_bytes()
    (folder / "run_0002.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "run_0003.h5").write_text("not HDF5 at all")
    with h5py.File(folder / "run_0004.h5", "w") as file:
        file.create_group("events").attrs["version"] = "libattpc_merger:2.0"

    done = workspace.snakemake()
    output = done.stdout + done.stderr
    assert done.returncode != 0
    for run, reason in ((2, "truncated"), (3, "cannot be opened as HDF5"), (4, "holds no events")):
        lines = {line.strip() for line in output.splitlines() if f"data: measured/run_{run:04d}.h5: " in line}
        assert len(lines) == 1, output
        assert reason in lines.pop()
    assert "Traceback" not in output
    assert "Left out, no file in measured: runs 5" in output
    assert (workspace.folder / "results/solver/deuteron/run_0001.parquet").is_file()
    page = (workspace.folder / "results/report.html").read_text()
    assert "holds no events" in page

    workspace.configure({**TINY, "simulate": None, "traces": "measured", "runs": "1-3", "skip_runs": [3]})
    (folder / "run_0002.h5").write_bytes(whole)
    assert workspace.planned()["report"] == 1
    done = workspace.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds no events" not in (workspace.folder / "results/report.html").read_text()
    assert workspace.planned() == {}


def test_a_page_of_what_is_there_is_made_again(made: Workspace, tmp_path: Path) -> None:
    workspace = measured(made, tmp_path)
    (workspace.folder / "measured/run_0002.h5").write_text("not HDF5 at all")
    assert workspace.snakemake().returncode != 0
    assert (workspace.folder / "results/report.html").is_file()
    workspace.configure({**TINY, "simulate": None, "traces": "measured", "skip_runs": [2]})
    assert workspace.planned() == {"report": 1}


def test_snakemake_makes_its_own_report_of_the_marked_figures(made: Workspace) -> None:
    done = made.snakemake("--report", "report.zip")
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(made.folder / "report.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert {"report.html", "event_display.png", "particle_identification.png", "truth.png"} <= names
