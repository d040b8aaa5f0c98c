"""What made a file, and what made that: the chain of lineages back to the traces, as a person reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spyral_core import lineage, paths, store
from spyral_core.catalog import STAGES
from spyral_core.errors import DataError


@dataclass(frozen=True)
class Origin:
    """A file, its lineage, and the products of other stages that it was made from, by the input's name.

    `upstream` are those found beside it that are still what was read; `lost` says of the others why not.
    """

    path: Path
    lineage: dict[str, Any]
    upstream: dict[str, Origin] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)


def follow(path: Path, traces: Path | None = None) -> Origin:
    """The origin of a file, back to its first input that this project did not make.

    `traces` is the folder of trace files, if they do not lie beside the other products. Raises DataError if the file
    is not there or carries no lineage.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    made_by = store.read_lineage(path)
    if made_by is None:
        raise DataError(f"{path}: carries no lineage; it was not made by spyral_core")
    origin = Origin(path, made_by)
    for name, recorded in sorted(made_by.get("inputs", {}).items()):
        if name not in paths.PATTERNS or "lineage" not in recorded:
            continue
        source = source_of(path, name, made_by["run"], traces)
        difference = changed(recorded, source)
        if difference:
            origin.lost[name] = difference
        elif source is not None:
            origin.upstream[name] = follow(source, traces)
    return origin


def source_of(path: Path, name: str, run: int, traces: Path | None = None) -> Path | None:
    """Where the input `name` of a product lies now; None if the product is not in a folder of results."""
    if name == "traces" and traces is not None:
        return paths.trace_file(traces, run)
    results = paths.results_of(path)
    return None if results is None else paths.product(results, name, run)


def changed(recorded: Mapping[str, Any], source: Path | None) -> str:
    """How a file differs from the one that was read; empty if it does not."""
    if source is None:
        return "cannot be looked for: the file does not lie in a folder of results"
    if not source.is_file():
        return f"{source} is not there"
    found = lineage.describe(source)
    keys = {"lineage": "lineage", "size": "size", "sha256": "content"}
    differing = [word for key, word in keys.items() if key in recorded and found.get(key) != recorded[key]]
    return f"{source} has another {' and '.join(differing)} than the file that was read" if differing else ""


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested sections; an empty section is a value."""
    for key, value in sorted(values.items()):
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{above}{key}.")
        else:
            yield above + key, value


def text(origin: Origin) -> str:
    """The whole chain as text, the file itself first, each file once."""
    parts: dict[Path, str] = {}
    waiting = [origin]
    while waiting:
        current = waiting.pop(0)
        parts.setdefault(current.path, _text_of_one(current))
        waiting.extend(current.upstream.values())
    return "\n\n".join(parts.values())


def _text_of_one(origin: Origin) -> str:
    made_by = origin.lineage
    known = made_by.get("stage") in STAGES
    lines = [
        str(origin.path),
        f"  made by   stage {made_by.get('stage')}, run {made_by.get('run')}",
        f"  lineage   {lineage.digest(made_by)}",
        f"  code      {made_by.get('code')}",
        f"  versions  {', '.join(f'{name} {version}' for name, version in made_by.get('versions', {}).items())}",
        "  parameters",
        *(f"    {key}: {json.dumps(value)}" for key, value in leaves(made_by.get("parameters", {}))),
        "  inputs" if made_by.get("inputs") else "  inputs    none",
    ]
    for name, recorded in made_by.get("inputs", {}).items():
        lines += _text_of_input(name, recorded)
        if name in origin.upstream:
            lines.append(f"      is {origin.upstream[name].path}, see below")
        elif name in origin.lost:
            lines.append(f"      {origin.lost[name]}")
    return "\n".join(lines if known else [*lines[:1], json.dumps(made_by, indent=2, sort_keys=True)])


def _text_of_input(name: str, recorded: Mapping[str, Any]) -> list[str]:
    part = ""
    if recorded.get("size", 0) > lineage.WHOLE_UP_TO:
        part = f" of {lineage.BLOCKS} blocks of {lineage.BLOCK_BYTES >> 10} kB"
    lines = [
        f"    {name}: {recorded.get('file')}, {recorded.get('size')} bytes",
        f"      sha256{part} {recorded.get('sha256')}",
    ]
    return lines + ([f"      lineage {recorded['lineage']}"] if "lineage" in recorded else [])
