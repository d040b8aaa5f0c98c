"""The configuration says what it means, or says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical, load, validate
from spyral_core.errors import ConfigurationError

MINIMAL: dict[str, Any] = {"traces": "data", "solver": {"gas": "gas.json", "gates": ["d.json"]}}


@pytest.mark.parametrize(
    ("values", "key", "said"),
    [
        ({"clustre": {}}, "clustre", "unknown key; allowed here: cluster"),
        ({"get": {"peak_treshold": 1.0}}, "get.peak_treshold", "unknown key; allowed here: baseline_window_scale"),
        ({"cluster": {"hdbscan": {"points": 3}}}, "cluster.hdbscan.points", "unknown key"),
        ({"get": {"peak_threshold": "high"}}, "get.peak_threshold", "valid number"),
        ({"get": {"peak_threshold": True}}, "get.peak_threshold", "found True"),
        ({"cluster": {"min_cloud_size": 50.5}}, "cluster.min_cloud_size", "valid integer"),
        ({"frib": {"correct_ic_time": 1}}, "frib.correct_ic_time", "valid boolean"),
        ({"detector": {"magnetic_field": -1.0}}, "detector.magnetic_field", "greater than 0"),
        ({"detector": {"electric_field": float("nan")}}, "detector.electric_field", "finite number"),
        ({"solver": {}}, "solver.gas", "is required"),
        ({"solver": {"gas": "g", "ic_min_val": 2.0, "ic_max_val": 1.0}}, "solver", "ic_min_val (2.0) must be smaller"),
        ({"solver": {"gas": "g", "fit_method": "magic"}}, "solver.fit_method", "'leastsq'"),
        ({"simulate": {}}, "configuration", "both are"),
        ({"traces": None}, "configuration", "neither is"),
        ({"cluster": {"overlap_join": {}, "continuity_join": {}}}, "cluster", "exclude each other"),
        ({"detector": {"window_time_bucket": 5.0}}, "detector", "must be larger than micromegas_time_bucket"),
        ({"runs": ["1"]}, "runs", "valid string"),
    ],
)
def test_a_fault_is_named_by_its_key_with_what_is_allowed(values: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        validate({**MINIMAL, **values}, "my.yaml")
    header, *faults = str(caught.value).splitlines()
    assert header.startswith("my.yaml: ")
    assert len(faults) == 1
    assert faults[0].strip().startswith(f"{key}: ")
    assert said in faults[0]


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match="2 fault") as caught:
        validate({**MINIMAL, "clustre": {}, "get": {"peak_threshold": -1.0}})
    assert "clustre" in str(caught.value)
    assert "get.peak_threshold" in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "a: [1", "\x00", "detector: 3"])
def test_what_is_no_mapping_of_sections_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"my\.yaml"):
        load(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load(tmp_path / "absent.yaml")


def test_integers_stand_for_real_numbers_and_for_a_single_run() -> None:
    configuration = validate({**MINIMAL, "detector": {"magnetic_field": 3}, "runs": 94})
    assert isinstance(configuration.detector.magnetic_field, float)
    assert configuration.runs == "94"


def test_the_embedded_experiment_is_valid() -> None:
    configuration = load(Path(__file__).parents[2] / "config/config.yaml")
    assert configuration.simulate is not None


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_equal_values_give_equal_text_however_they_are_written(stage: Any) -> None:
    short = validate({**MINIMAL, "detector": {"magnetic_field": 3}})
    text = yaml.safe_dump(short.model_dump(mode="json"), sort_keys=True)
    long = validate(dict(reversed(yaml.safe_load(text).items())))
    assert canonical(short, stage.parameters, stage.ignored) == canonical(long, stage.parameters, stage.ignored)


@pytest.mark.parametrize("name", ["survey", "pointcloud", "cluster", "estimate", "solve"])
def test_a_stage_sees_its_keys_only(name: str) -> None:
    stage = STAGES[name]
    seen = json.loads(canonical(validate(MINIMAL), stage.parameters, stage.ignored))
    assert set(seen) == {key.partition(".")[0] for key in stage.parameters}
    for section in seen.keys() - set(stage.parameters):
        assert {f"{section}.{leaf}" for leaf in seen[section]} <= set(stage.parameters)


def test_ignored_keys_are_left_out_and_null_sections_stay_null() -> None:
    solve, report = STAGES["solve"], STAGES["report"]
    assert "gates" not in json.loads(canonical(validate(MINIMAL), solve.parameters, solve.ignored))["solver"]
    without = json.loads(canonical(validate({"simulate": {}}), solve.parameters, solve.ignored))
    assert without["solver"] is None
    assert (
        "runs" not in json.loads(canonical(validate({"simulate": {}}), report.parameters, report.ignored))["simulate"]
    )


def test_every_key_of_the_catalog_exists_and_can_be_changed_by_no_running_knob() -> None:
    configuration = validate({"simulate": {}, "solver": {"gas": "gas.json"}})
    for stage in STAGES.values():
        assert canonical(configuration, stage.parameters, stage.ignored)
        assert not any(key.startswith("running") for key in stage.parameters)


def test_values_never_change_after_loading() -> None:
    configuration = validate(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        configuration.results = "elsewhere"
    assert isinstance(configuration, Configuration)
