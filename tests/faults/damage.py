"""Trace files cut off and with flipped bytes: every event is as before, or is named, or the file is."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from spyral_core import runs

from .guarded import Answer, Guarded

_LACKING = re.compile(r"events have (?:no|their) .*: ([-0-9, ]+)$", re.MULTILINE)


@dataclass
class Damage:
    """What became of damaged copies of a file.

    Events are `intact` (the cloud is byte for byte that of the sound file), `rejected` (a row with its reason) or
    `changed`, and then a flipped byte lies in that event's own data. `noted`: changed, because it lacks something or
    has it elsewhere, and the log says so. `unreachable`: in files that could not be opened, or left out with a note.
    `lost`: what must not be.
    """

    tried: int = 0
    refused: int = 0
    intact: int = 0
    rejected: int = 0
    changed: int = 0
    noted: int = 0
    unreachable: int = 0
    memory: int = 0
    lost: list[str] = field(default_factory=list)


class Sound:
    """An undamaged file, its clouds, and where the data of its events lie."""

    def __init__(self, path: Path, guarded: Guarded) -> None:
        self.content = path.read_bytes()
        self.answer = guarded.run(self.content)
        assert self.answer.status == "done", self.answer
        assert not self.answer.rejected, self.answer
        self.clouds = self.answer.clouds or {}
        self.owner = np.full(len(self.content), -1)  # event whose data a byte is, −1 for the file's structure
        with h5py.File(path) as file:
            file.visititems(self._own)

    def _own(self, name: str, thing: h5py.HLObject) -> None:
        if isinstance(thing, h5py.Dataset) and thing.id.get_offset() is not None:
            number = next(
                (part for part in name.split("/") if part.startswith(("event_", "evt")) and part != "evt"), ""
            )
            digits = number.removeprefix("event_").removeprefix("evt").split("_")[0]
            event = int(digits) if digits and not name.startswith("scalers") else -2
            first = thing.id.get_offset()
            self.owner[first : first + thing.id.get_storage_size()] = event

    @property
    def structure(self) -> NDArray[np.int64]:
        """Offsets of the bytes that are no data."""
        return np.flatnonzero(self.owner == -1)


def cut(sound: Sound, lengths: Iterable[int]) -> Iterator[tuple[bytes, set[int]]]:
    for length in lengths:
        yield sound.content[:length], set()


def flipped(
    sound: Sound, number: int, places: NDArray[np.int64], chance: random.Random
) -> Iterator[tuple[bytes, set[int]]]:
    """Copies with 1 to 32 flipped bytes or bits among `places`, and the events whose data these are."""
    for _ in range(number):
        content, events = bytearray(sound.content), set()
        for _ in range(chance.choice([1, 1, 2, 8, 32])):
            place = int(places[chance.randrange(len(places))])
            content[place] ^= 1 << chance.randrange(8) if chance.random() < 0.5 else chance.randrange(1, 256)
            events.add(int(sound.owner[place]))
        yield bytes(content), events


def try_all(sound: Sound, guarded: Guarded, copies: Iterable[tuple[bytes, set[int]]]) -> Damage:
    """Make the clouds of damaged copies, and compare with those of the sound file."""
    result = Damage()
    for content, touched in copies:
        result.tried += 1
        answer = guarded.run(content)
        result.memory = max(result.memory, answer.memory)
        if not answer.sound:
            result.lost.append(f"copy {result.tried}: {answer.status}: {answer.message}")
        elif answer.status == "data error":
            result.refused += 1
            result.unreachable += len(sound.clouds)
            if guarded.left():
                result.lost.append(f"copy {result.tried}: failed and left {guarded.left()}")
        else:
            _compare(sound, answer, touched, result)
    return result


def _compare(sound: Sound, answer: Answer, touched: set[int], result: Damage) -> None:
    clouds, rejected = answer.clouds or {}, answer.rejected or {}
    counted = len(clouds) + len(rejected) + (answer.counts or {}).get("downscaled_ic", 0)
    if counted != (answer.counts or {}).get("events"):
        result.lost.append(f"copy {result.tried}: {counted} events of {answer.counts}")
    lacking = {number for found in _LACKING.findall(answer.log) for number in runs.parse(found)}
    for number, digest in sound.clouds.items():
        if clouds.get(number) == digest:
            result.intact += 1
        elif number in rejected:
            result.rejected += 1
        elif int(number) in touched:  # its own samples, or its trigger
            result.changed += 1
        elif int(number) in lacking:
            result.noted += 1
        elif number not in clouds and "run_0001.h5:" in answer.log:  # its name is lost, and the log tells of a hole
            result.unreachable += 1
        else:
            result.lost.append(f"copy {result.tried}: event {number} is {clouds.get(number, 'gone')} without a word")
