"""Which files a stage reads besides the products of other stages: those that its parameters name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spyral_core.catalog import Stage
from spyral_core.errors import ConfigurationError
from spyral_core.paths import SPECIES

BUILTIN = "builtin"


def value_of(parameters: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key, None if it or a section on the way is null."""
    value: Any = parameters
    for part in key.split("."):
        if value is None:
            return None
        value = value[part]
    return value


def configured(stage: Stage, parameters: Mapping[str, Any], gate: Path | None = None) -> dict[str, Path]:
    """The files that a stage's parameters name, by the input's name; `gate` is the one file given beside them.

    Raises ConfigurationError naming the key if a file is not there.
    """
    found: dict[str, Path] = {}
    for name, key in stage.files.items():
        value = value_of(parameters, key)
        if value is not None and value != BUILTIN:
            found[name] = existing(Path(value), key)
    if gate is not None:
        found["gate"] = existing(gate, "solver.gates")
    return found


def existing(path: Path, key: str) -> Path:
    """The path, if a file is there; else ConfigurationError, also for paths that `literal` refuses."""
    literal(str(path), key)
    if not path.is_file():
        raise ConfigurationError(f"{key}: no such file: {path} (relative paths start at the working directory)")
    return path


def literal(path: str, key: str) -> str:
    """The path, if nothing in it has a meaning of its own to the workflow; else ConfigurationError."""
    if any(character in "{}" or not character.isprintable() for character in path):
        raise ConfigurationError(
            f"{key}: {path!r} has braces, which Snakemake takes for a wildcard, or a character that cannot be printed: "
            "rename it"
        )
    return path


def gates(files: Sequence[str]) -> dict[str, Path]:
    """Particle gates by the name of their results, the file's stem.

    Raises ConfigurationError if a file is not there, its stem is no name for a folder, or two have the same stem.
    """
    found: dict[str, Path] = {}
    for file in files:
        path = existing(Path(file), "solver.gates")
        if not path.stem.strip("."):
            raise ConfigurationError(
                f"solver.gates: {path} has no name before `.json` for its folder of results: rename it"
            )
        if path.stem == SPECIES:
            raise ConfigurationError(
                f"solver.gates: {path} would write solver/{SPECIES}, where the results of solver.species lie: rename it"
            )
        if path.stem in found:
            raise ConfigurationError(
                f"solver.gates: {found[path.stem]} and {path} would both write solver/{path.stem}: rename one of them"
            )
        found[path.stem] = path
    return found
