"""Every number of the embedded experiment says what it is, in which unit and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from spyral_core.config.fields import Section
from spyral_core.config.simulation import Simulation

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulate.md"


def leaves(section: type[Section], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from leaves(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


@pytest.mark.parametrize(("name", "field"), list(leaves(Simulation)))
def test_each_parameter_has_meaning_source_and_a_line_in_the_documentation(name: str, field: FieldInfo) -> None:
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    assert field.description
    assert extra["source"], f"{name} has no source"
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    assert len(lines) == 1
    default = field.default
    shown = lines[0].split("|")[2].strip()
    if isinstance(default, float):
        assert float(shown) == default
    assert lines[0].split("|")[3].strip() == extra["unit"]


@pytest.mark.parametrize(
    "values",
    [
        {"reaction": {"angle_min": 120.0, "angle_max": 110.0}},
        {"reaction": {"ejectile": (1, 3), "projectile": (1, 1)}},
        {"reaction": {"vertex_max": 1500.0}},
        {"detector": {"window_time_bucket": 5.0}},
        {"detector": {"electric_field": 0.0}},
        {"electronics": {"slow_noise_shortest": 500.0}},
        {"beam": {"contaminant_nucleus": (0, 1)}},
        {"gain": 1.0},
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Simulation.model_validate(values)
