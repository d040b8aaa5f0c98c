"""What made a file: parameters, code fingerprint, versions, inputs.

A lineage holds nothing that can differ between two machines that compute the same numbers: no time, host, number of
cores or absolute path. Light to import: the workflow computes fingerprints each time the Snakefile is parsed.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from spyral_core import __version__
from spyral_core.catalog import Stage
from spyral_core.closure import closure_code
from spyral_core.errors import ConfigurationError

_FOUNDATION = ("spyral_core.runner", "spyral_core.store")
WHOLE_UP_TO = 16 * 2**20  # bytes of a file; of larger ones the checksum is of some blocks
BLOCKS = 64
BLOCK_BYTES = 2**17
_VERSIONS = ("numpy", "scipy", "h5py", "polars", "numba", "llvmlite", "pycatima", "periodictable")


def fingerprint(stage: Stage, own_code: str | None = None) -> str:
    """A hash of the code that a stage really uses: its import closure inside the package, and its tables.

    Taken over the syntax trees without docstrings, so that wording and formatting change nothing. `own_code` is a
    user's `package.module:function` that replaces the stage's function of one event.
    """
    modules = (stage.module, *(_FOUNDATION if stage.eventwise else ()))
    digest = hashlib.sha256(closure_code(*modules).encode())
    digest.update(repr((stage.tables, sorted(stage.extra.items()))).encode())
    if own_code:
        digest.update(_own_code(stage, own_code).encode())
    return digest.hexdigest()[:16]


def _own_code(stage: Stage, own_code: str) -> str:
    text = closure_code(own_code.partition(":")[0])
    if not text:
        raise ConfigurationError(
            f"phases.{stage.name}: {own_code!r}: no such module in the working directory or where Python looks"
        )
    return text


def build(stage: Stage, run: int, parameters: Mapping[str, Any], inputs: Mapping[str, Path]) -> dict[str, Any]:
    """The lineage of what a stage makes of a run."""
    own_code = (parameters.get("phases") or {}).get(stage.name)
    return {
        "stage": stage.name,
        "run": run,
        "parameters": file_names(stage, parameters),
        "code": fingerprint(stage, own_code),
        "versions": versions(),
        "inputs": {name: describe(path) for name, path in sorted(inputs.items())},
    }


def file_names(stage: Stage, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with files by their names: where they lie differs between machines, what is in them counts."""
    named: dict[str, Any] = copy.deepcopy(dict(parameters))
    for key in stage.files.values():
        section, _, leaf = key.partition(".")
        if named.get(section) and named[section].get(leaf):
            named[section][leaf] = Path(named[section][leaf]).name
    return named


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that numbers depend on."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "spyral-core": __version__,
        **{name: _version(name) for name in _VERSIONS},
    }


@cache
def _version(library: str) -> str:
    """A library's version; to look it up takes a millisecond."""
    return importlib.metadata.version(library)


def describe(path: Path) -> dict[str, Any]:
    """An input by its name, its size and a checksum of its content and, if it has one, the digest of its own lineage.

    Of files over 16 MB 64 blocks of 128 kB are read, evenly spread, the first and the last bytes among them: a checksum
    of all of a run's traces would take as long as some stages.
    """
    from spyral_core import store

    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE_UP_TO:
            content = hashlib.file_digest(file, "sha256")
        else:
            content = hashlib.sha256()
            for block in range(BLOCKS):
                file.seek(block * (size - BLOCK_BYTES) // (BLOCKS - 1))
                content.update(file.read(BLOCK_BYTES))
    described = {"file": path.name, "size": size, "sha256": content.hexdigest()}
    made_by = store.read_lineage(path)
    return described if made_by is None else {**described, "lineage": digest(made_by)}


def digest(lineage: Mapping[str, Any]) -> str:
    """A short name of a lineage."""
    return hashlib.sha256(json.dumps(lineage, sort_keys=True).encode()).hexdigest()[:16]
