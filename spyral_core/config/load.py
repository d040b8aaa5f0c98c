"""Configuration files to models, and errors a person can act on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from spyral_core.config.analysis import Configuration
from spyral_core.errors import ConfigurationError


def load(path: Path) -> Configuration:
    """Read a YAML (or JSON) configuration file.

    Raises ConfigurationError naming the file and, for each fault, the key's path, the value and what is allowed.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: is not YAML: {error}") from None
    return validate(values if values is not None else {}, str(path))


def validate(values: Any, origin: str = "configuration") -> Configuration:
    """Check plain values (as YAML gives them) against the models; errors as in `load`."""
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{origin}: must be a mapping of sections, not {type(values).__name__}")
    try:
        return Configuration.model_validate(_tuples(values))
    except ValidationError as error:
        lines = [f"  {describe(fault)}" for fault in error.errors(include_url=False)]
        raise ConfigurationError("\n".join([f"{origin}: {len(lines)} fault(s) in the configuration", *lines])) from None


def _tuples(value: Any, name: str = "") -> Any:
    """YAML has no tuples: a list of two integers is offered as one where it is a nucleus."""
    if isinstance(value, Mapping):
        return {key: _tuples(item, str(key)) for key, item in value.items()}
    if isinstance(value, list) and name in ("projectile", "target", "ejectile", "nucleus", "contaminant_nucleus"):
        return tuple(value)
    if isinstance(value, list) and name == "species":
        return [tuple(item) if isinstance(item, list) else item for item in value]
    return value


def describe(fault: Mapping[str, Any]) -> str:
    """One pydantic fault as `key.path: what is wrong (value)`."""
    key = ".".join(str(part) for part in fault["loc"]) or "configuration"
    if fault["type"] == "extra_forbidden":
        allowed = ", ".join(_section_keys(fault["loc"][:-1]))
        return f"{key}: unknown key; allowed here: {allowed}"
    if fault["type"] == "missing":
        return f"{key}: is required"
    message = fault["msg"].removeprefix("Value error, ")
    value = fault["input"]
    shown = "" if isinstance(value, Mapping) else f" (found {_short(repr(value))})"
    return f"{key}: {message[0].lower()}{message[1:]}{shown}"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def _section_keys(location: Sequence[Any]) -> list[str]:
    """The keys that the models allow at a place in the configuration."""
    schema = Configuration.model_json_schema()
    node: Any = schema
    for part in location:
        node = _resolve(node, schema)["properties"].get(part, {})
    return sorted(_resolve(node, schema).get("properties", {}))


def _resolve(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    for choice in [node, *node.get("anyOf", []), *node.get("allOf", [])]:
        if "$ref" in choice:
            resolved: Mapping[str, Any] = schema["$defs"][choice["$ref"].rsplit("/", 1)[1]]
            return resolved
    return node


def canonical(configuration: Configuration, keys: Sequence[str], without: Sequence[str] = ()) -> str:
    """The values of some keys (`cluster`, `detector.get_frequency`, …) as one JSON text, `without` some keys in them.

    Defaults are filled in, types normalised and keys sorted, so that equal values give equal text however they were
    written. A section that is null is null.
    """
    whole = configuration.model_dump(mode="json")
    for key in without:
        section, _, leaf = key.rpartition(".")
        if whole[section] is not None:
            del whole[section][leaf]
    chosen: dict[str, Any] = {}
    for key in keys:
        value: Any = whole
        *parents, leaf = key.split(".")
        target = chosen
        for parent in parents:
            value = value[parent]
            if value is None:
                target[parent] = None
                break
            target = target.setdefault(parent, {})
        else:
            target[leaf] = value.get(leaf) if parents == ["phases"] else value[leaf]
    return json.dumps(chosen, sort_keys=True, separators=(",", ":"))
