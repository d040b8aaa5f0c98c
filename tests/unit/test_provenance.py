"""A file says what made it, back to the traces, and whether it would be made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from spyral_core import cli, lineage, paths, provenance, store, tables
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, load
from spyral_core.job import run_job

CONFIGURATION: dict[str, Any] = {"traces": "data", "pads": {"scale": "scale.csv"}, "max_rejected_share": 1}


def configure(changes: dict[str, Any]) -> None:
    Path("my.yaml").write_text(yaml.safe_dump({**CONFIGURATION, **changes}))


def parameters_of(name: str) -> dict[str, Any]:
    stage = STAGES[name]
    chosen: dict[str, Any] = json.loads(canonical(load(Path("my.yaml")), stage.parameters, stage.ignored))
    return chosen


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The estimates of run 7, made in the working directory from traces of no event; they are returned."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/run_0007.h5").write_bytes(b"traces")
    Path("scale.csv").write_text("1\n")
    configure({})
    results = Path("results")
    survey, cloud = paths.product(results, "survey", 7), paths.product(results, "pointcloud", 7)
    traces = {"traces": Path("data/run_0007.h5")}
    made_by = lineage.build(STAGES["survey"], 7, parameters_of("survey"), traces)
    store.write_parquet(survey, tables.SURVEY, dict.fromkeys(tables.SURVEY.names, ()), made_by)
    sources = {**traces, "survey": survey, "scale": Path("scale.csv")}
    made_by = lineage.build(STAGES["pointcloud"], 7, parameters_of("pointcloud"), sources)
    with store.TableWriter(cloud, STAGES["pointcloud"].tables, made_by):
        pass
    for name in ("cluster", "estimate"):
        run_job(STAGES[name], 7, parameters_of(name), results, Path("data"))
    return paths.product(results, "estimate", 7)


def check(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit code and lines of `lineage --check`."""
    capsys.readouterr()
    code = cli.main(["lineage", str(path), "--check", "--config", "my.yaml"])
    return code, capsys.readouterr().out.splitlines()


def test_the_chain_is_followed_to_the_traces_and_shows_sizes_and_checksums(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["lineage", str(chain)]) == 0
    shown = capsys.readouterr().out
    blocks = shown.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [
        "results/estimate/run_0007.parquet",
        "results/cluster/run_0007.h5",
        "results/pointcloud/run_0007.h5",
        "results/survey/run_0007.parquet",
    ]
    read = lineage.describe(Path("data/run_0007.h5"))
    assert f"traces: run_0007.h5, 6 bytes\n      sha256 {read['sha256']}" in blocks[2]
    assert f"cluster: run_0007.h5, {Path('results/cluster/run_0007.h5').stat().st_size} bytes" in blocks[0]
    assert "is results/cluster/run_0007.h5, see below" in blocks[0]
    assert "    estimate.min_total_trajectory_points: 30" in blocks[0]
    assert f"code      {lineage.fingerprint(STAGES['estimate'])}" in blocks[0]
    assert "numpy " in blocks[0]


def test_what_nothing_changed_would_be_made_again(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (chain, paths.product(Path("results"), "estimate_rejected", 7)):
        code, lines = check(path, capsys)
        assert (code, lines) == (0, [f"{path}: would be made again as it is"])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"estimate": {"min_total_trajectory_points": 31}},
            "estimate: parameter estimate.min_total_trajectory_points: 30 then, 31 now",
        ),
        (
            {"cluster": {"min_cloud_size": 51}},
            "cluster: parameter cluster.min_cloud_size: 50 then, 51 now",
        ),
        ({"pads": {"scale": "builtin"}}, "pointcloud: input scale: scale.csv then, not named by the configuration now"),
    ],
)
def test_another_configuration_is_named_by_stage_key_and_values(
    chain: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], line: str
) -> None:
    configure(changes)
    code, lines = check(chain, capsys)
    assert code == 1
    assert line in lines
    assert lines[-1] == f"{chain}: would not be made again as it is"


def test_a_key_that_no_stage_of_the_chain_reads_changes_nothing(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"running": {"chunk_events": 3}, "runs": "1-9"})
    assert check(chain, capsys)[0] == 0


def test_other_code_and_versions_are_named(
    chain: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions, fingerprint = lineage.versions(), lineage.fingerprint
    monkeypatch.setattr(lineage, "versions", lambda: {**versions, "numpy": "0.1"})
    monkeypatch.setattr(
        lineage, "fingerprint", lambda stage, own: "0" * 16 if stage.name == "cluster" else fingerprint(stage, own)
    )
    code, lines = check(chain, capsys)
    assert code == 1
    assert f'estimate: version of numpy: "{versions["numpy"]}" then, "0.1" now' in lines
    assert f"cluster: code: {fingerprint(STAGES['cluster'])} then, {'0' * 16} now" in lines
    assert not any(line.startswith("estimate: code") for line in lines)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("data/run_0007.h5", "input traces: data/run_0007.h5 has another content than the file that was read"),
        ("scale.csv", "pointcloud: input scale: scale.csv has another content than the file that was read"),
    ],
)
def test_another_input_of_the_same_size_is_named(
    chain: Path, capsys: pytest.CaptureFixture[str], file: str, line: str
) -> None:
    Path(file).write_bytes(b"other!"[: Path(file).stat().st_size])
    code, lines = check(chain, capsys)
    assert code == 1
    assert any(line in found for found in lines), lines


def test_a_product_that_was_made_anew_from_other_parameters_is_no_longer_upstream(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure({"cluster": {"min_cloud_size": 51}})
    run_job(STAGES["cluster"], 7, parameters_of("cluster"), Path("results"), Path("data"))
    configure({})
    assert list(provenance.follow(chain).lost) == ["cluster"]
    code, lines = check(chain, capsys)
    assert code == 1
    assert lines[0].startswith("estimate: input cluster: results/cluster/run_0007.h5 has another lineage and ")
    Path("results/cluster/run_0007.h5").unlink()
    assert "estimate: input cluster: results/cluster/run_0007.h5 is not there" in check(chain, capsys)[1]


def test_the_chain_of_a_file_elsewhere_cannot_be_followed_and_says_so(
    chain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("copy.parquet").write_bytes(chain.read_bytes())
    assert cli.main(["lineage", "copy.parquet"]) == 0
    assert "cannot be looked for: the file does not lie in a folder of results" in capsys.readouterr().out
    assert check(Path("copy.parquet"), capsys)[0] == 1


def test_a_configuration_goes_with_the_check_alone(chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lineage", str(chain), "--config", "my.yaml"]) == 2
    assert "goes with --check" in capsys.readouterr().err


@pytest.mark.parametrize("name", paths.PATTERNS)
def test_the_folder_of_results_is_found_from_every_product(name: str) -> None:
    folder = Path("some/results")
    assert paths.results_of(paths.product(folder, name, 94, "deuteron")) == folder


def test_other_files_lie_in_no_folder_of_results() -> None:
    assert paths.results_of(Path("copy/run_0001.parquet")) is None
