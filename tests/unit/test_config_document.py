"""The documentation and the schema of the configuration say what the models say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from spyral_core.config import Configuration, document, validate
from spyral_core.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


def leaves(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield name, field
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from leaves(part)


@pytest.mark.parametrize("path", document.contents(), ids=str)
def test_generated_files_are_in_step(path: Path) -> None:
    assert (ROOT / path).read_text() == document.contents()[path], "run `python -m spyral_core document`"


def test_every_parameter_has_a_meaning_and_numbers_have_a_row() -> None:
    text = document.readme()
    for name, field in leaves(Configuration):
        assert field.description
        assert f"| `{name}` |" in text


def test_check_says_which_file_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document.write(tmp_path)
    assert document.check(tmp_path) == 0
    (tmp_path / document.README).write_text("other")
    assert document.check(tmp_path) == 1
    assert str(document.README) in capsys.readouterr().err


def test_the_schema_accepts_the_embedded_experiment() -> None:
    jsonschema.Draft202012Validator.check_schema(document.schema())
    jsonschema.validate(yaml.safe_load((ROOT / "config/config.yaml").read_text()), document.schema())


@pytest.mark.parametrize(
    "values",
    [
        {"traces": "data", "clustre": {}},
        {"traces": "data", "get": {"peak_threshold": "high"}},
        {"traces": "data", "detector": {"magnetic_field": -1}},
        {"traces": "data", "solver": {}},
    ],
)
def test_the_schema_refuses_what_the_models_refuse(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, document.schema())
    with pytest.raises(ConfigurationError):
        validate(values)
