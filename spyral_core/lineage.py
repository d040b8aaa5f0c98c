"""What made a file: parameters, code fingerprint, versions, inputs.

A lineage holds nothing that can differ between two machines that compute the same numbers: no time, host, number of
cores or absolute path. Light to import: the workflow computes fingerprints each time the Snakefile is parsed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from spyral_core.catalog import Stage

PACKAGE = Path(__file__).parent
# What these modules say reaches a stage as values (its parameters and tables), not as code.
_VALUES = ("spyral_core.config", "spyral_core.tables", "spyral_core.catalog")
_FOUNDATION = ("spyral_core.runner", "spyral_core.store")
_VERSIONS = ("numpy", "scipy", "h5py", "polars", "numba", "pycatima", "periodictable")


def fingerprint(stage: Stage, own_code: str | None = None) -> str:
    """A hash of the code that a stage really uses: its import closure inside the package, and its tables.

    Taken over the syntax trees without docstrings, so that wording and formatting change nothing. `own_code` is a
    user's `package.module:function` that replaces the stage's function of one event.
    """
    sources = closure(stage.module, *(_FOUNDATION if stage.eventwise else ()))
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(name.encode() + _code(sources[name]).encode())
    digest.update(repr((stage.tables, sorted(stage.extra.items()))).encode())
    if own_code:
        spec = importlib.util.find_spec(own_code.partition(":")[0])
        if spec is not None and spec.origin is not None:
            digest.update(_code(Path(spec.origin)).encode())
    return digest.hexdigest()[:16]


def closure(*modules: str) -> dict[str, Path]:
    """The modules of the package that some modules import, directly or not, with their files."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _module_file(name)
        if path is None or name in found or name.startswith(_VALUES):
            continue
        found[name] = path
        waiting.extend(_imports(path))
        waiting.extend(name.rsplit(".", depth)[0] for depth in range(1, name.count(".")))
    return found


def _module_file(name: str) -> Path | None:
    """A module's file, if it belongs to the package and is more than a name in a module."""
    base = PACKAGE.parent.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if name.split(".", maxsplit=1)[0] == PACKAGE.name and path.is_file():
            return path
    return None


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def _imports(path: Path) -> set[str]:
    """Every name a file imports, as `module` and as `module.name` (which may be a module, too)."""
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@cache
def _code(path: Path) -> str:
    """A file's syntax tree as text, without docstrings; comments are not in it."""
    tree = ast.parse(path.read_text(), str(path))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and body and _is_text(body[0]):
            node.body = body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def build(stage: Stage, run: int, parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[str, Any]:
    """The lineage of what a stage makes of a run."""
    own_code = (parameters.get("phases") or {}).get(stage.name)
    return {
        "stage": stage.name,
        "run": run,
        "parameters": dict(parameters),
        "code": fingerprint(stage, own_code),
        "versions": versions(),
        "inputs": {name: describe(path) for name, path in sorted(inputs.items())},
    }


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that numbers depend on."""
    found = {name: importlib.metadata.version(name) for name in _VERSIONS}
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "spyral-core": importlib.metadata.version("spyral-core"),
        **found,
    }


def describe(path: Path) -> dict[str, Any]:
    """An input by its name, its size and, if it has one, the digest of its own lineage; else of its content.

    Of files over 64 MB without a lineage the first and last 32 MB are read.
    """
    from spyral_core import store

    made_by = store.read_lineage(path)
    if made_by is not None:
        return {"file": path.name, "lineage": digest(made_by)}
    size = path.stat().st_size
    half = 32 * 2**20
    content = hashlib.sha256()
    with path.open("rb") as file:
        content.update(file.read(half))
        if size > half:
            file.seek(max(half, size - half))
            content.update(file.read())
    return {"file": path.name, "size": size, "sha256": content.hexdigest()}


def digest(lineage: Mapping[str, Any]) -> str:
    """A short name of a lineage."""
    return hashlib.sha256(json.dumps(lineage, sort_keys=True).encode()).hexdigest()[:16]
