"""Configurations and JSON inputs at random: a clear error or a correct reading, and nothing in them is executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from spyral_core.config import canonical, load, validate
from spyral_core.errors import ConfigurationError

from . import inputs

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", list(inputs.CHECKS))
def test_random_inputs_are_read_or_refused(kind: str) -> None:
    counted, lost = inputs.fuzz(kind, 80, seed=11)
    assert lost == []
    assert counted["read"] > 0
    assert counted["refused"] > 10


@given(
    section=st.sampled_from(["detector", "get", "cluster", "solver", "runs", "phases", "pads", "simulate"]),
    value=VALUES,
)
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
def test_any_value_of_any_section_is_taken_or_refused(section: str, value: Any) -> None:
    try:
        configuration = validate({"traces": "traces", section: value})
    except ConfigurationError as error:
        assert str(error)
    else:
        json.loads(canonical(configuration, ["detector", "get", "cluster", "solver", "pads"]))


@given(text=st.text(max_size=60) | st.binary(max_size=60))
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
def test_any_text_is_a_configuration_or_refused(text: str | bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        load(path)
    except ConfigurationError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("tag", ["apply:os.system ['touch pwned']", "name:os.system ''", "module:os ''"])
def test_yaml_makes_no_python_objects(tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(f"results: !!python/object/{tag}\n" if tag.startswith("apply") else f"results: !!python/{tag}\n")
    with pytest.raises(ConfigurationError, match="is not YAML"):
        load(path)
    assert [item.name for item in tmp_path.iterdir()] == ["config.yaml"]
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(path.read_text())


def test_no_code_of_the_project_unpickles_or_evaluates() -> None:
    """Nothing that is read is ever executed: no pickle, no eval, no unsafe YAML, no shell."""
    package = Path(__file__).parents[2] / "spyral_core"
    forbidden = ("pickle", "eval(", "exec(", "yaml.load(", "allow_pickle=True", "shell=True", "os.system", "marshal")
    for path in sorted(package.rglob("*.py")):
        text = path.read_text()
        assert not [word for word in forbidden if word in text], path
