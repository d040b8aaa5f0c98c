"""`config/README.md` and the JSON schema, made from the models, so that they cannot say anything else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spyral_core.config.analysis import Configuration
from spyral_core.config.files_document import FILES, files

README = Path("config/README.md")
SCHEMA = Path("workflow/schemas/config.schema.json")

_INTRODUCTION = """\
# Configuration

<!-- Written by `python -m spyral_core document` from the models in `spyral_core/config`: change those. -->

`config.yaml` is the embedded experiment. For data of your own write a file with the keys that differ from the
defaults below, and give it to Snakemake:

    .venv/bin/snakemake --cores all --configfile my_experiment.yaml

Your file replaces `config.yaml`; what it leaves out has the default given here. A relative path starts at the working
directory. An unknown key, a value of the wrong type or out of bounds, or a file that is not there stops the run before
any job, with the key's path and what is allowed. An editor checks the file while you write it if its first line is
`# yaml-language-server: $schema=<path of workflow/schemas/config.schema.json>`.

A section whose default is `null` is off; `{}` turns it on with the defaults of its keys. A nucleus is `[Z, A]`.

Gas target: `{"compound": [[Z, A, stoichiometry], …], "pressure(Torr)": 300.0}`, or a mixture:
`{"components": [[[1, 1, 4], [6, 12, 1]], [[18, 40, 1]]], "volume_fractions": [0.1, 0.9], "pressure(Torr)": 50.0}`; at
293 K, or with `"temperature(K)": 296.5`.
Particle gate: `{"name": "p", "xaxis": "dEdx", "yaxis": "brho", "vertices": [[x, y], …], "Z": 1, "A": 1}`; without axes
dEdx and brho are meant. Its results lie in `solver/<file's name without .json>/`.
"""
_BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "exclusiveMaximum": "< {}",
    "maximum": "≤ {}",
}


def schema() -> dict[str, Any]:
    """The JSON schema of a configuration file."""
    found = Configuration.model_json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = "Configuration of an analysis"
    for section in (found, *found["$defs"].values()):
        for field in section["properties"].values():
            unit = field.pop("unit", "")
            source = field.pop("source", "")
            field["description"] += (f" [{unit}]" if unit else "") + (f" (source: {source})" if source else "")
    return found


def readme() -> str:
    """Every key with its unit, default, bounds and meaning, one table a section."""
    found = Configuration.model_json_schema()
    parts = [_INTRODUCTION]
    for path, section in _sections(found, found, ""):
        parts.append(f"## {f'`{path}`' if path else 'Top level'}\n\n{section.get('description', '')}\n")
        parts.append(_table(section, found))
    return "\n".join(parts)


def _sections(section: dict[str, Any], whole: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A section and all inside it, with their paths, in the order of the models."""
    yield path, section
    for key, field in section["properties"].items():
        inner = _section_of(field, whole)
        if inner is not None:
            yield from _sections(inner, whole, f"{path}.{key}" if path else key)


def _section_of(field: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any] | None:
    for choice in (field, *field.get("anyOf", [])):
        if "$ref" in choice:
            section: dict[str, Any] = whole["$defs"][choice["$ref"].rsplit("/", 1)[1]]
            return section
    return None


def _table(section: dict[str, Any], whole: dict[str, Any]) -> str:
    rows = [("key", "default", "unit", "allowed", "meaning"), ("---",) * 5]
    for key, field in section["properties"].items():
        source = f" *Source: {field['source']}.*" if "source" in field else ""
        rows.append(
            (
                f"`{key}`",
                _default(key, field, section, whole),
                field.get("unit", ""),
                _allowed(field),
                field["description"] + "." + source,
            )
        )
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |\n" for row in rows)


def _default(key: str, field: dict[str, Any], section: dict[str, Any], whole: dict[str, Any]) -> str:
    if key in section.get("required", []):
        return "required"
    if "default" in field:
        return f"`{json.dumps(field['default'], ensure_ascii=False)}`"
    inner = _section_of(field, whole)
    return "see below" if inner is not None else ("`[]`" if field.get("type") == "array" else "`{}`")


def _allowed(field: dict[str, Any]) -> str:
    """What a value may be: a type and its bounds, or the values themselves."""
    choices = field.get("anyOf", [field])
    return " or ".join(_kind(choice) for choice in choices)


def _kind(choice: dict[str, Any]) -> str:
    if "$ref" in choice:
        return "section"
    if "enum" in choice:
        return ", ".join(f"`{value}`" for value in choice["enum"])
    names = {"number": "number", "integer": "integer", "string": "text", "boolean": "`true`, `false`", "null": "`null`"}
    if choice["type"] == "array":
        return "`[Z, A]`" if "prefixItems" in choice else f"list of {_kind(choice['items'])}"
    if choice["type"] == "object":
        return "mapping of text"
    bounds = [text.format(_number(choice[name])) for name, text in _BOUNDS.items() if name in choice]
    return ", ".join([names[choice["type"]], *bounds])


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def contents() -> dict[Path, str]:
    """The generated files: path from the repository's root → text."""
    return {README: readme(), FILES: files(), SCHEMA: json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"}


def write(root: Path) -> int:
    """Write the generated files; returns exit code 0."""
    for path, text in contents().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return 0


def check(root: Path) -> int:
    """Exit code 0 if the generated files say what the models say, else 1."""
    stale = [
        path for path, text in contents().items() if not (root / path).is_file() or (root / path).read_text() != text
    ]
    for path in stale:
        print(f"{path}: not in step with the models; run `python -m spyral_core document`", file=sys.stderr)
    return int(bool(stale))
