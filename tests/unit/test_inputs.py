"""Files that the configuration names are inputs of the stages that read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from spyral_core import inputs
from spyral_core.catalog import STAGES
from spyral_core.config import validate
from spyral_core.errors import ConfigurationError


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, str]:
    """A file for each table of the pads, by its key."""
    keys = ("geometry", "scale", "time_correction", "gain_correction", "electronics")
    for key in keys:
        (tmp_path / f"{key}.csv").touch()
    return {key: str(tmp_path / f"{key}.csv") for key in keys}


def test_builtin_and_null_are_no_files() -> None:
    values = validate({"traces": "data"}).model_dump()
    assert all(inputs.configured(stage, values) == {} for stage in STAGES.values())


def test_every_table_of_the_pads_is_an_input_of_the_point_clouds(tables: dict[str, str], tmp_path: Path) -> None:
    garfield = tmp_path / "garfield.txt"
    garfield.touch()
    values = validate({"traces": "data", "pads": tables, "detector": {"garfield_file": str(garfield)}}).model_dump()
    found = inputs.configured(STAGES["pointcloud"], values)
    assert {name: str(path) for name, path in found.items()} == {**tables, "garfield": str(garfield)}
    assert list(inputs.configured(STAGES["survey"], values)) == ["electronics"]
    assert inputs.configured(STAGES["cluster"], values) == {}


def test_every_key_of_a_file_is_a_parameter_of_its_stage() -> None:
    for stage in STAGES.values():
        for key in stage.files.values():
            assert any(key == given or key.startswith(f"{given}.") for given in stage.parameters), (stage.name, key)


def test_a_missing_file_is_named_with_its_key(tmp_path: Path) -> None:
    values = validate({"traces": "data", "solver": {"gas": str(tmp_path / "absent.json")}}).model_dump()
    with pytest.raises(ConfigurationError, match=r"^solver\.gas: no such file: .*absent\.json"):
        inputs.configured(STAGES["solve"], values)


def test_gates_are_named_by_their_stems(tmp_path: Path) -> None:
    for name in ("proton.json", "deuteron.json", "other/proton.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = inputs.gates([str(tmp_path / "proton.json"), str(tmp_path / "deuteron.json")])
    assert list(found) == ["proton", "deuteron"]
    with pytest.raises(ConfigurationError, match="would both write solver/proton"):
        inputs.gates([str(tmp_path / "proton.json"), str(tmp_path / "other/proton.json")])
    with pytest.raises(ConfigurationError, match=r"solver\.gates: no such file"):
        inputs.gates([str(tmp_path / "absent.json")])
