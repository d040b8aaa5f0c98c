"""The code that a module really uses: its import closure inside the package (and inside its own, if it is a user's).

Light to import: the workflow computes fingerprints each time the Snakefile is parsed.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
# What these modules say reaches a stage as values (its parameters and tables), not as code.
_VALUES = ("spyral_core.config", "spyral_core.tables", "spyral_core.catalog")


def closure(*modules: str) -> dict[str, Path]:
    """The modules that some modules import, directly or not, with their files.

    Followed inside this package and inside the packages of `modules`.
    """
    found: dict[str, Path] = {}
    packages = {PACKAGE.name, *map(_top, modules)}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if _top(name) not in packages or name in found or name.startswith(_VALUES):
            continue
        path = _module_file(name)
        if path is None:
            continue
        found[name] = path
        waiting.extend(_imports(path))
        waiting.extend(name.rsplit(".", depth)[0] for depth in range(1, name.count(".")))
    return found


def closure_code(*modules: str) -> str:
    """The code of the import closure of some modules as one text: equal if, and only if, they do the same."""
    sources = closure(*modules)
    return "\n".join(f"{name}\n{code(path)}" for name, path in sorted(sources.items()))


def _top(name: str) -> str:
    return name.partition(".")[0]


def _module_file(name: str) -> Path | None:
    """A module's file, if it is more than a name in a module; found without importing anything.

    Users' modules are looked for as `python -m` does: in the working directory first.
    """
    folders = [PACKAGE.parent] if _top(name) == PACKAGE.name else [Path.cwd(), *map(Path, sys.path)]
    for folder in folders:
        base = folder.joinpath(*name.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def _imports(path: Path) -> frozenset[str]:
    """Every name a file imports, as `module` and as `module.name` (which may be a module, too)."""
    return _read(path)[0]


def code(path: Path) -> str:
    """A file's syntax tree as text, without docstrings; comments are not in it."""
    return _read(path)[1]


@cache
def _read(path: Path) -> tuple[frozenset[str], str]:
    """`_imports` and `code` of a file: to parse it is most of the work."""
    tree = ast.parse(path.read_bytes(), str(path))
    names: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and _is_text(node.body[0]):
            node.body = node.body[1:] or [ast.Pass()]
    return frozenset(names), ast.dump(tree)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """A module and all statements in it, at any depth; `ast.walk` would visit every expression, too."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, None)
            if isinstance(inner, list):
                waiting.extend(inner)


def package_digest() -> str:
    """A hash of all files of this package, comments and all: takes a tenth of the time of `closure_code` of them."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            if name.endswith(".py"):
                path = Path(folder, name)
                digest.update(f"{path.relative_to(PACKAGE)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
