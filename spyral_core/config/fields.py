"""How a parameter is declared: default, unit, meaning, bounds, in one line."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue


class Section(BaseModel):
    """A section of the configuration: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _integer_as_float(value: Any) -> Any:
    """YAML writes 25 where 25.0 is meant; text and booleans stay errors."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError:
        raise ValueError("is too large for a number") from None


def _integer_as_text(value: Any) -> Any:
    """YAML reads a single run number as an integer; booleans stay errors."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Real = Annotated[float, BeforeValidator(_integer_as_float)]
RunList = Annotated[str, BeforeValidator(_integer_as_text)]


def parameter(default: Any, unit: str, meaning: str, source: str = "", **bounds: Any) -> Any:
    """A field with its unit (`""` if it has none), its meaning and, for numbers of nature, their source.

    `bounds` are pydantic's: `gt`, `ge`, `lt`, `le`, `min_length`, … A default of `...` makes it required; a callable
    default is called for each new section.
    """
    extra: dict[str, JsonValue] = {"unit": unit, **({"source": source} if source else {})}
    if callable(default):
        return Field(default_factory=default, description=meaning, json_schema_extra=extra, **bounds)
    return Field(default=default, description=meaning, json_schema_extra=extra, **bounds)
