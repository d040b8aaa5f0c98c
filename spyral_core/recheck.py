"""Would the present checkout and configuration make a file again? What differs, if not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spyral_core import inputs, lineage, provenance
from spyral_core.catalog import STAGES, Stage
from spyral_core.config import Configuration, canonical
from spyral_core.provenance import Origin

_ABSENT = object()


def differences(path: Path, configuration: Configuration) -> list[str]:
    """What would be otherwise if a file, and all that it was made from, were made now; empty if nothing.

    Compared are parameters, code, versions and the content of the inputs. Raises DataError as `provenance.follow`,
    ConfigurationError if a file that the configuration names is not there.
    """
    traces = Path(configuration.traces) if configuration.traces else None
    found: dict[str, None] = {}  # a stage reached on two ways is named once
    waiting = [provenance.follow(path, traces)]
    while waiting:
        origin = waiting.pop(0)
        stage = STAGES.get(origin.lineage.get("stage", ""))
        if stage is None:
            return [f"{origin.path}: made by {origin.lineage.get('stage')!r}, which is no stage of this version"]
        found.update(dict.fromkeys(f"{stage.name}: {line}" for line in _of_stage(stage, origin, configuration)))
        # traces of the user's own are given, whatever made them
        waiting += [item for name, item in origin.upstream.items() if name != "traces" or traces is None]
    return list(found)


def _of_stage(stage: Stage, origin: Origin, configuration: Configuration) -> Iterator[str]:
    made_by = origin.lineage
    now = json.loads(canonical(configuration, stage.parameters, stage.ignored))
    yield from _values("parameter", made_by["parameters"], lineage.file_names(stage, now))
    code = lineage.fingerprint(stage, (now.get("phases") or {}).get(stage.name))
    if code != made_by["code"]:
        yield f"code: {made_by['code']} then, {code} now"
    yield from _values("version of", made_by["versions"], lineage.versions())
    recorded = made_by["inputs"]
    for name in sorted({*recorded, *inputs.configured(stage, now)} - set(stage.inputs)):
        yield from _of_file(stage, name, recorded, now, configuration)
    traces = Path(configuration.traces) if configuration.traces else None
    for name in sorted(set(stage.inputs) & set(recorded) - set(origin.upstream)):
        source = provenance.source_of(origin.path, name, made_by["run"], traces)
        difference = provenance.changed(recorded[name], source)
        if difference:
            yield f"input {name}: {difference}"


def _of_file(
    stage: Stage, name: str, recorded: Mapping[str, Any], now: Mapping[str, Any], configuration: Configuration
) -> Iterator[str]:
    """A file that the configuration names: gas, gate, tables."""
    files = inputs.configured(stage, now)
    if name == "gate":
        gates = configuration.solver.gates if configuration.solver else []
        same = [path for path in inputs.gates(gates).values() if path.name == recorded[name]["file"]]
        if same:
            files[name] = same[0]
    if name not in recorded:
        yield f"input {name}: none then, {files[name]} now"
    elif name not in files:
        yield f"input {name}: {recorded[name]['file']} then, not named by the configuration now"
    else:
        difference = provenance.changed(recorded[name], files[name])
        if difference:
            yield f"input {name}: {difference}"


def _values(what: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Keys whose values differ, with both values."""
    before, after = dict(provenance.leaves(then)), dict(provenance.leaves(now))
    for key in sorted({*before, *after}):
        one, other = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if one != other:
            yield f"{what} {key}: {_shown(one)} then, {_shown(other)} now"


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value)
