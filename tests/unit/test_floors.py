"""Imports go down the floors of docs/developers.md, never up, never in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "spyral_core"
# From the ground up; a module may import from its own floor and from those below.
FLOORS = [
    ("errors", "closure", "compiled", "config", "tables", "catalog", "paths", "runs", "store", "inputs", "json_file"),
    ("detector", "physics", "traces"),
    ("signal", "clustering", "fitting"),
    ("lineage", "runner"),
    ("phases", "simulate", "bound"),
    ("report", "calibrate", "acceptance", "job", "warmup", "provenance", "recheck"),
    ("cli", "__main__"),
]
# Names that only type checkers import are no dependency at run time.
MODULES = sorted(PACKAGE.rglob("*.py"))


def floor_of(part: str) -> int:
    return next(level for level, parts in enumerate(FLOORS) if part in parts)


def imported(tree: ast.Module) -> set[str]:
    """Modules of the package that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.startswith("spyral_core.")}


def first_part(name: str) -> str:
    return name.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_from_its_floor_or_below(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if relative == Path("__init__.py"):
        return
    own = floor_of(relative.parts[0].removesuffix(".py"))
    for name in imported(ast.parse(path.read_text())):
        if (PACKAGE / first_part(name)).exists() or (PACKAGE / f"{first_part(name)}.py").exists():
            assert floor_of(first_part(name)) <= own, f"{relative} imports {name}"


def test_no_module_imports_itself_in_a_circle() -> None:
    def name_of(path: Path) -> str:
        dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        return dotted.removesuffix(".__init__")

    known = {name_of(path): path for path in MODULES}
    # only what is imported when a module is loaded: a function may import what imports its module
    graph = {}
    for name, path in known.items():
        tree = ast.parse(path.read_text())
        top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        graph[name] = {other for other in imported(top) if other in known and other != name}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join([*above[above.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())
