"""Configurations and JSON inputs at random: a clear error or a correct reading, and nothing is executed."""

from __future__ import annotations

import copy
import json
import math
import os
import random
import string
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from spyral_core import inputs, runs
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, load
from spyral_core.errors import ConfigurationError
from spyral_core.fitting.gate import load_gate
from spyral_core.physics.gas import load_gas

CONFIGURATION: dict[str, Any] = {
    "results": "results",
    "traces": "traces",
    "runs": "1-3, 7",
    "skip_runs": [2],
    "detector": {"magnetic_field": 2.85, "get_frequency": 6.25, "garfield_file": None},
    "pads": {"geometry": "builtin", "electronics": None},
    "get": {"peak_threshold": 40.0},
    "cluster": {"hdbscan": {"min_points": 3}, "overlap_join": {"circle_overlap_ratio": 0.5}},
    "solver": {"gas": "gas.json", "gates": ["gate.json"], "ic_min_val": 900},
    "reaction": {"projectile": [6, 16], "target": [1, 2], "ejectile": [1, 2], "beam_energy": 184.1},
    "phases": {},
}
GAS: dict[str, Any] = {"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}
MIXTURE: dict[str, Any] = {
    "components": [[[1, 1, 4], [6, 12, 1]], [[18, 40, 1]]],
    "volume_fractions": [0.1, 0.9],
    "pressure(Torr)": 50.0,
}
GATE: dict[str, Any] = {
    "name": "p",
    "xaxis": "dEdx",
    "yaxis": "brho",
    "vertices": [[0, 0], [1, 0], [1, 1], [0, 0]],
    "Z": 1,
    "A": 1,
}
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    2**63,
    -(2**70),
    10**400,
    1e308,
    math.nan,
    math.inf,
    -math.inf,
    0.5,
    "",
    "x",
    "1",
    "../..",
    "/",
    "/etc/passwd",
    "\x00",
    "\ud800",
    "a\nb",
    "$(touch pwned)",
    "; touch pwned",
    "{run}",
    "{{",
    "é",
    [],
    [[]],
    [1],
    [None],
    {},
    {"a": 1},
    {"a": {"b": [1, {}]}},
    ["x"] * 3,
    [[1, 1, 1]],
    [[1, 2], [3, 4]],
    [[1, 10**9, 1]],
    "!!python/object:os.system",
]
HOSTILE_YAML = [
    "!!python/object/apply:os.system ['touch pwned']",
    "results: !!python/object/apply:os.system ['touch pwned']",
    "results: !!python/name:os.system ''",
    "results: !!python/object/new:subprocess.Popen [['touch', 'pwned']]",
    "!!binary aGVsbG8=",
    "a: &a [*a]",
    "? [1, 2]\n: 3",
    "1: 2",
    "detector: {<<: {magnetic_field: 3}}",
    "runs: 2026-01-01",
    "\t",
    "%YAML 9.9\n---\n",
    "results: 'x\x07'",
    "[" * 2000,
    "a: " * 500,
    "&a [" + "*b," * 10,
    "\ufeffresults: r",
]


def parts(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything in nested values."""
    yield path
    for key, item in (
        values.items() if isinstance(values, dict) else enumerate(values if isinstance(values, list) else [])
    ):
        yield from parts(item, (*path, key))


def mutated(values: Any, chance: random.Random) -> Any:
    """A copy with a few random changes: junk for a part, a part removed, a key renamed, a list repeated."""
    copied = {"": copy.deepcopy(values)}
    for _ in range(chance.choice([1, 1, 2, 4])):
        path = ("", *chance.choice(list(parts(copied[""]))))
        target: Any = copied
        for key in path[:-1]:
            target = target[key]
        what = chance.randrange(5)
        if what == 0 and len(path) > 1:
            del target[path[-1]]
        elif what == 1 and isinstance(target, dict) and len(path) > 1:
            target[chance.choice(["x", "", 1, None, 2.5, "solver"])] = target.pop(path[-1])
        elif what == 2 and isinstance(target[path[-1]], list):
            target[path[-1]] = target[path[-1]] * chance.choice([2, 50])
        else:
            target[path[-1]] = copy.deepcopy(chance.choice(JUNK))
    return copied[""]


def noisy_text(text: str, chance: random.Random) -> bytes:
    """A text with characters and bytes changed, left out and added."""
    content = bytearray(text.encode())
    for _ in range(chance.choice([1, 3, 10])):
        place = chance.randrange(len(content) + 1)
        extra = chance.choice([b"", bytes([chance.randrange(256)]), chance.choice(string.punctuation).encode() * 3])
        content[place : place + chance.randrange(3)] = extra
    return bytes(content)


def check_configuration(path: Path) -> str:
    """Read a configuration as the commands do: `read`, or `refused`; anything else is raised."""
    try:
        configuration = load(path)
        for stage in STAGES.values():
            json.loads(canonical(configuration, stage.parameters, stage.ignored))
            inputs.configured(stage, configuration.model_dump())
        runs.parse(configuration.runs)
        inputs.gates(configuration.solver.gates if configuration.solver else [])
    except ConfigurationError as error:
        assert str(path) in str(error) or ":" in str(error), error
        return "refused"
    return "read"


def check_gas(path: Path) -> str:
    """Read a gas, and use it."""
    try:
        gas = load_gas(path)
        assert 0 < gas.density < math.inf
        gas.stopping(1, 2)
    except ConfigurationError as error:
        assert str(path) in str(error), error
        return "refused"
    return "read"


def check_gate(path: Path) -> str:
    """Read a gate, and use it."""
    try:
        gate = load_gate(path)
        gate.contains(gate.vertices[:, 0], gate.vertices[:, 1])
    except ConfigurationError as error:
        assert str(path) in str(error), error
        return "refused"
    return "read"


def texts(kind: str, number: int, seed: int) -> Iterator[bytes]:
    """Random contents of a file of a kind: `configuration`, `gas` or `gate`."""
    chance = random.Random(seed)
    sound = {"configuration": [CONFIGURATION], "gas": [GAS, MIXTURE], "gate": [GATE]}[kind]
    if kind == "configuration":
        yield from (text.encode("utf-8", "surrogatepass") for text in HOSTILE_YAML)
    else:
        yield from (b"", b"null", b"[" * 100_000, b"\xff\xfe", b'{"a": 1' + b"}" * 5, b"1" * 10_000, b"NaN")
    for _ in range(number):
        values = chance.choice(sound)
        if chance.random() < 0.3:
            yield noisy_text(json.dumps(values) if kind != "configuration" else yaml.safe_dump(values), chance)
        elif kind == "configuration":
            yield yaml.safe_dump(mutated(values, chance)).encode("utf-8", "surrogatepass")
        else:
            yield json.dumps(mutated(values, chance)).encode("utf-8", "surrogatepass")


CHECKS: dict[str, Callable[[Path], str]] = {
    "configuration": check_configuration,
    "gas": check_gas,
    "gate": check_gate,
}


def fuzz(kind: str, number: int, seed: int = 0) -> tuple[dict[str, int], list[str]]:
    """Try random contents: how many were read and refused, and what went wrong."""
    counted, lost = {"read": 0, "refused": 0}, []
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            folder = Path(name)
            for file, values in (("gas.json", GAS), ("gate.json", GATE)):
                (folder / file).write_text(json.dumps(values))
            path = folder / ("config.yaml" if kind == "configuration" else "input.json")
            for content in texts(kind, number, seed):
                path.write_bytes(content)
                try:
                    counted[CHECKS[kind](path)] += 1
                except Exception as error:
                    lost.append(f"{kind}: {type(error).__name__}: {error}: {content[:200]!r}")
            left = {item.name for item in folder.iterdir()} - {"gas.json", "gate.json", path.name}
            if left:
                lost.append(f"{kind}: {left} appeared: something was executed")
        finally:
            os.chdir(before)
    return counted, lost
