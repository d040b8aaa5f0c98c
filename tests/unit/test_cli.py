"""Arguments to stages, errors to exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from spyral_core import cli, paths, store, tables

HEAVY = ("numpy", "numba", "polars", "scipy", "sklearn", "matplotlib", "h5py")
GAS = '{"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration for measured traces."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spyral_core.warmup.ensure", lambda: None)
    (tmp_path / "data").mkdir()
    (tmp_path / "gas.json").write_text(GAS)
    configuration = {"traces": "data", "solver": {"gas": "gas.json"}, "max_rejected_share": 1}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(configuration))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said on stderr: one line."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


def empty_point_clouds(folder: Path) -> None:
    writer = store.TableWriter(
        paths.product(folder, "pointcloud", 7), (tables.POINTCLOUD_EVENTS, tables.POINTS), {"made": "by a test"}
    )
    with writer:
        pass


def test_a_stage_runs_from_a_configuration_file_or_from_its_parameters_with_the_same_result(place: Path) -> None:
    empty_point_clouds(place / "results")
    empty_point_clouds(place / "other")
    assert cli.main(["cluster", "--run", "7", "--config", "my.yaml"]) == 0
    first = store.read_lineage(paths.product(place / "results", "cluster", 7))
    assert first is not None
    parameters = json.dumps(first["parameters"])
    assert cli.main(["cluster", "--run", "7", "--parameters", parameters, "--results", "other"]) == 0
    for name in ("cluster", "cluster_rejected"):
        one, other = (paths.product(place / folder, name, 7) for folder in ("results", "other"))
        assert one.read_bytes() == other.read_bytes()


def test_unusable_data_is_one_line_and_exit_code_1(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["survey", "--run", "7", "--config", "my.yaml"]) == 1
    assert "data/run_0007.h5: no such file" in said(capsys)
    (place / "data/run_0007.h5").write_bytes(b"no HDF5")
    assert cli.main(["survey", "--run", "7", "--config", "my.yaml"]) == 1
    assert "data/run_0007.h5: cannot be opened as HDF5" in said(capsys)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["cluster", "--run", "7", "--config", "absent.yaml"], "absent.yaml: cannot be read"),
        (["cluster", "--run", "7", "--config", "my.yaml", "--results", "x"], "--results and --traces go with"),
        (["cluster", "--run", "7", "--parameters", "{}"], "needs --results"),
        (["cluster", "--run", "7", "--parameters", "{", "--results", "x"], "is not JSON"),
        (["cluster", "--run", "7", "--parameters", "{}", "--results", "x"], "needs the key cluster"),
        (["cluster", "--run", "7", "--parameters", "[1]", "--results", "x"], "needs the key cluster"),
        (["simulate", "--run", "7", "--config", "my.yaml"], "simulate: is null"),
        (["solve", "--run", "7", "--config", "my.yaml", "--gate", "d.json"], "no such file: d.json"),
        (["report", "--config", "my.yaml"], "no run to analyse"),
        (["report", "--config", "my.yaml", "--runs", "x"], "neither a run number nor a range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_configuration_or_argument_is_one_line_and_exit_code_2(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert cli.main(arguments) == 2
    assert text in said(capsys)


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["cluster"], ["cluster", "--run", "0", "--config", "my.yaml"]])
def test_arguments_that_cannot_be_parsed_are_exit_code_2(place: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2


def test_the_lineage_of_a_file_is_printed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty_point_clouds(place)
    assert cli.main(["lineage", "--json", str(paths.product(place, "pointcloud", 7))]) == 0
    assert json.loads(capsys.readouterr().out) == {"made": "by a test"}
    assert cli.main(["lineage", "gas.json"]) == 1
    assert "carries no lineage" in said(capsys)


def test_every_command_computes_with_one_thread_whatever_the_environment_says() -> None:
    code = (
        "from spyral_core.cli import main; main(['lineage', 'absent'])\n"
        "import polars, scipy.linalg; from numba import config; from threadpoolctl import threadpool_info\n"
        "pools = {pool['num_threads'] for pool in threadpool_info()}\n"
        "print(polars.thread_pool_size(), config.NUMBA_NUM_THREADS, pools)"
    )
    many = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "2")
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | many, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1 1 {1}"


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys; from spyral_core.cli import _parser; _parser().format_help(); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_workflow_imports_is_light() -> None:
    code = (
        "import sys\n"
        "from spyral_core import inputs, job, lineage, paths, runs\n"
        "from spyral_core.catalog import STAGES\n"
        "from spyral_core.config import canonical, validate\n"
        "from spyral_core.report import names\n"
        "[lineage.fingerprint(stage) for stage in STAGES.values()]\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sigterm_ends_a_stage_and_leaves_no_file(place: Path) -> None:
    events = 100_000
    (place / "my.yaml").write_text(yaml.safe_dump({"simulate": {"events": events, "gas": "gas.json"}}))
    code = (
        "import sys, spyral_core.warmup as w; w.ensure = lambda: print('started', flush=True)\n"
        "from spyral_core.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [sys.executable, "-c", code, "simulate", "--run", "1", "--config", "my.yaml"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        deadline = time.monotonic() + 60
        while not list(place.glob("results/traces/.*.part")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert errors.strip().endswith("terminated")
    assert [path for path in place.glob("results/traces/*") if path.is_file()] == []
