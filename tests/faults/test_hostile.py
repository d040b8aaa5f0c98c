"""Names and paths that would be commands, wildcards or ways out of the folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spyral_core import inputs
from spyral_core.errors import ConfigurationError

from .damage import Sound
from .guarded import Guarded
from .kills import CONFIGURATION, INPUTS, Experiment

HOSTILE = "it's $(touch pwned); touch pwned #`touch pwned`"


def everything(folder: Path) -> set[str]:
    """Every file of a folder but Snakemake's own."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".snakemake" not in path.relative_to(folder).parts
    }


@pytest.mark.slow
def test_hostile_names_are_names_and_nothing_is_written_outside_the_results(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "outer/work")
    gates = [f"../gates/{HOSTILE}.json", '-rf *%d[x]"q".json']
    (tmp_path / "outer/gates").mkdir()
    for gate in gates:
        (experiment.folder / gate).write_text(INPUTS["deuteron.json"])
    gas = f"{HOSTILE}.gas"
    (experiment.folder / gas).write_text(INPUTS["gas.json"])
    results = f"-x {HOSTILE}"
    experiment.configure(
        CONFIGURATION
        | {"results": results, "runs": "1", "solver": {"gas": gas, "gates": gates}}
        | {"simulate": CONFIGURATION["simulate"] | {"runs": 1, "events": 3, "gas": gas}}
    )
    before = everything(tmp_path)
    code, said = experiment.finish()
    assert code == 0, said
    made = everything(tmp_path) - before
    assert {name for name in made if not name.startswith(f"outer/work/{results}/")} == {"outer/work/snakemake.log"}
    solved = {name.split("/")[-2] for name in made if name.endswith("/run_0001.parquet") and "/solver/" in name}
    assert solved == {HOSTILE, '-rf *%d[x]"q"'}
    assert f"outer/work/{results}/report.html" in made


@pytest.mark.parametrize("name", ["{run}", "{gate}", "{", "a\nb", "a\x1b[2Jb", "a\u202eb", "..", "."])
def test_gates_whose_names_mean_more_than_a_name_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.json"
    path.write_text(INPUTS["deuteron.json"])
    with pytest.raises(ConfigurationError, match="rename it") as refused:
        inputs.gates([str(path)])
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"results": "{}"}, "results"),
        ({"results": "a\nb"}, "results"),
        ({"results": "./x/.."}, "results"),
        ({"simulate": None, "traces": "{run}"}, "traces"),
        ({"simulate": CONFIGURATION["simulate"] | {"gas": "{x}.json"}}, "simulate.gas"),
    ],
)
def test_paths_that_mean_more_than_a_path_are_refused(sections: dict[str, Any], key: str, tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "work")
    (experiment.folder / "{run}").mkdir()
    (experiment.folder / "{run}/run_0001.h5").write_bytes(b"")
    (experiment.folder / "{x}.json").write_text(INPUTS["gas.json"])
    chosen = {name: value for name, value in (CONFIGURATION | sections).items() if value is not None}
    experiment.configure(chosen)
    before = everything(tmp_path)
    code, said = experiment.finish()
    assert code != 0
    assert f"configuration: {key}: " in said
    assert "Traceback" not in said
    assert everything(tmp_path) - before == {"work/snakemake.log"}


@pytest.mark.slow
def test_hostile_names_and_attributes_in_a_trace_file_are_data(simulated: tuple[Path, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(simulated[0].read_bytes())
    texts = [HOSTILE, "../../../pwned", "\x1b]0;pwned\x07", "new\nline", "{run}", "%s%n"]
    with h5py.File(copy, "r+") as file:
        for text in texts:
            name = text.replace("/", "∕")  # a slash would make a group
            file["events"].create_group(f"event_{name}")
            file.create_group(name)
            for thing in (file, file["events"], file["events/event_1"], file["events/event_1/get"]):
                thing.attrs[text] = text
        file["events/event_1"].attrs["orig_run"] = np.bytes_(HOSTILE.encode())
        file["events/event_2"].attrs["orig_event"] = np.int64(-5)
    with Guarded(tmp_path / "guarded", simulated[1]) as guarded:
        sound = Sound(simulated[0], guarded)
        before = everything(tmp_path)
        answer = guarded.run(copy.read_bytes())
        assert answer.sound, answer
        assert set(answer.rejected or {}) == {"1"}
        assert "orig_run" in (answer.rejected or {})["1"]
        others = sound.clouds.keys() - {"1", "2"}
        assert all((answer.clouds or {})[number] == sound.clouds[number] for number in others)
        assert all(letter.isprintable() or letter == "\n" for letter in answer.log)
        assert everything(tmp_path) == before
