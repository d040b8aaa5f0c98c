"""Damaged trace files: the other events are as ever, the bad ones are named, nothing hangs, nothing is made up."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.errors import DataError
from spyral_core.job import run_job

from . import malformed, samples
from .damage import Sound, cut, flipped, try_all
from .guarded import Guarded
from .worker import read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def guarded(simulated: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with Guarded(tmp_path_factory.mktemp("guarded") / "results", simulated[1]) as found:
        yield found


@pytest.fixture(scope="module", params=["libattpc_merger:2.0", "legacy"])
def sound(
    request: pytest.FixtureRequest,
    simulated: tuple[Path, Path],
    guarded: Guarded,
    tmp_path_factory: pytest.TempPathFactory,
) -> Sound:
    path = simulated[0]
    if request.param == "legacy":
        path = samples.as_legacy(path, tmp_path_factory.mktemp("legacy") / "run_0001.h5")
    return Sound(path, guarded)


def test_a_file_cut_off_anywhere_gives_its_intact_events_or_one_error(sound: Sound, guarded: Guarded) -> None:
    chance = random.Random(5)
    size = len(sound.content)
    lengths = [chance.randrange(1, size) for _ in range(5)] + [size - 1, size - 400, size - 5000]
    result = try_all(sound, guarded, cut(sound, lengths))
    assert result.lost == []
    assert result.tried == len(lengths)


def test_flipped_bytes_anywhere_change_no_event_but_their_own(sound: Sound, guarded: Guarded) -> None:
    result = try_all(sound, guarded, flipped(sound, 10, np.arange(len(sound.content)), random.Random(6)))
    assert result.lost == []
    assert result.intact > 0


def test_flipped_bytes_of_the_files_structure_are_noticed(sound: Sound, guarded: Guarded) -> None:
    result = try_all(sound, guarded, flipped(sound, 40, sound.structure, random.Random(7)))
    assert result.lost == []
    assert result.intact > 5 * result.noted
    assert result.memory < 2000


@pytest.mark.parametrize("threads", [1, 2])
def test_an_event_whose_address_leads_to_another_ones_data_is_rejected(
    threads: int, simulated: tuple[Path, Path], tmp_path: Path
) -> None:
    """That is only seen after both were read: then all is done anew without it."""
    content = simulated[0].read_bytes()
    with h5py.File(simulated[0]) as file:
        own, other = (file[f"events/event_{n}/frib_physics/1903"].id.get_offset() for n in (4, 1))
    assert content.count(struct.pack("<Q", own)) == 1
    tables = []
    for name, written in (
        ("sound", content),
        ("damaged", content.replace(*(struct.pack("<Q", n) for n in (own, other)))),
    ):
        folder = tmp_path / name
        (folder / "traces").mkdir(parents=True)
        (folder / "survey").mkdir()
        (folder / "traces/run_0001.h5").write_bytes(written)
        shutil.copy2(simulated[1], folder / "survey/run_0001.parquet")
        configuration = validate({"traces": "traces", "max_rejected_share": 1})
        stage = STAGES["pointcloud"]
        parameters = json.loads(canonical(configuration, stage.parameters, stage.ignored))
        run_job(stage, 1, parameters, folder, folder / "traces", workers=threads, chunk_events=2)
        tables.append(read(folder))
    assert list(tables[1]["rejected"]) == ["4"]
    assert "an address is damaged" in tables[1]["rejected"]["4"]
    assert tables[1]["clouds"] == {number: cloud for number, cloud in tables[0]["clouds"].items() if number != "4"}


def test_a_damaged_heap_of_texts_does_not_hang(sound: Sound, guarded: Guarded) -> None:
    """The string `version` lies in one, and HDF5 would search it for ever."""
    heap = sound.content.find(b"GCOL")
    if heap < 0:
        pytest.skip("this layout has no such text")
    for place in (heap + 8, heap + 9, heap + 24, heap + 25, heap + 31):
        content = bytearray(sound.content)
        content[place] ^= 0xFF
        answer = guarded.run(bytes(content))
        assert answer.sound, answer
        assert answer.clouds == sound.clouds


@pytest.mark.parametrize("kind", malformed.kinds(Path("/secret")), ids=lambda kind: kind.name)
def test_malformed_data_cost_no_other_event(
    kind: malformed.Kind, simulated: tuple[Path, Path], guarded: Guarded, tmp_path: Path
) -> None:
    assert malformed.failures(kind, Sound(simulated[0], guarded), guarded, tmp_path) == []


def test_files_of_other_kinds_are_refused_in_one_line(guarded: Guarded, tmp_path: Path) -> None:
    for name, content in malformed.other_files(tmp_path):
        answer = guarded.run(content)
        assert answer.status == "data error", (name, answer)
        assert answer.sound, (name, answer)


def test_a_hostile_version_is_no_command_and_moves_no_cursor(
    simulated: tuple[Path, Path], guarded: Guarded, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.h5"
    copy.write_bytes(simulated[0].read_bytes())
    with h5py.File(copy, "r+") as file:
        file["events"].attrs["version"] = "\x1b[2J$(touch pwned)\n" * 50
    answer = guarded.run(copy.read_bytes())
    assert answer.status == "data error"
    assert "\x1b" not in answer.message
    assert len(answer.message) < 2000


def test_a_truncated_file_is_an_error_unless_what_is_left_shall_be_used(
    simulated: tuple[Path, Path], tmp_path: Path
) -> None:
    whole = simulated[0].read_bytes()
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces/run_0001.h5").write_bytes(whole[:-100])
    stage = STAGES["survey"]

    def survey(**keys: str) -> None:
        configuration = validate({"traces": "traces", **keys})
        parameters = json.loads(canonical(configuration, stage.parameters, stage.ignored))
        run_job(stage, 1, parameters, tmp_path / "results", tmp_path / "traces")

    with pytest.raises(DataError, match="is truncated: 100 bytes at its end are missing"):
        survey()
    assert not (tmp_path / "results").exists()
    survey(truncated_traces="recover")
    assert (tmp_path / "results/survey/run_0001.parquet").is_file()
