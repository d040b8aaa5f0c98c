"""Trace files that are well-formed HDF5 and hold what no trace file should; and files of other kinds."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from .damage import Sound
from .guarded import Guarded

PADS = "events/event_2/get/pads"
"""The dataset that is spoiled: event 2 of a `libattpc_merger:2.0` file."""
REJECTED, KEPT, REFUSED, SAME = "event 2 rejected", "event 2 kept", "file refused", "nothing changed"


@dataclass(frozen=True)
class Kind:
    """A kind of fault, what must come of it, and what the reason or the message must say."""

    name: str
    spoil: Callable[[h5py.File], None]
    expected: str
    says: str = ""


def put(values: object, **options: object) -> Callable[[h5py.File], None]:
    """Replace event 2's pads."""

    def spoil(file: h5py.File) -> None:
        del file[PADS]
        file.create_dataset(PADS, data=values, **options)

    return spoil


def declare(shape: tuple[int, ...], **options: object) -> Callable[[h5py.File], None]:
    """Declare event 2's pads with a shape, without data."""

    def spoil(file: h5py.File) -> None:
        del file[PADS]
        file.create_dataset(PADS, shape=shape, dtype=np.int16, **options)

    return spoil


def change(where: object, value: int) -> Callable[[h5py.File], None]:
    """Change values of event 2's pads."""

    def spoil(file: h5py.File) -> None:
        file[PADS][where] = value

    return spoil


def link(target: object) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        del file[PADS]
        file[PADS] = target

    return spoil


def without(*attributes: str) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        def strip(_: str, thing: h5py.HLObject) -> None:
            for name in set(thing.attrs) & set(attributes):
                del thing.attrs[name]

        file.visititems(strip)

    return spoil


def _rename(file: h5py.File) -> None:
    for old, new in ((1, 900), (0, 77), (3, 12)):
        file.move(f"events/event_{old}", f"events/event_{new}")


def _no_events(file: h5py.File) -> None:
    for name in list(file["events"]):
        del file["events"][name]


def _cycle(file: h5py.File) -> None:
    del file["events/event_2/get"]
    file["events/event_2/get"] = file["events"]


def _remove(name: str) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        del file[name]

    return spoil


def _version(value: object) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        file["events"].attrs["version"] = value

    return spoil


def _frib(name: str, values: object) -> Callable[[h5py.File], None]:
    def spoil(file: h5py.File) -> None:
        del file[f"events/event_2/frib_physics/{name}"]
        file[f"events/event_2/frib_physics/{name}"] = values

    return spoil


def kinds(secret: Path) -> list[Kind]:
    """All kinds of spoilt files; `secret` is a file that none of them may be read through."""
    rows = np.zeros((5, 517), np.int16)
    nan = np.full((5, 517), np.nan)
    record = np.zeros(5, dtype=[("pad", "i4"), ("trace", "i2", 512)])
    return [
        Kind("511 samples", put(rows[:, :516]), REJECTED, "shape"),
        Kind("one dimension", put(rows[0]), REJECTED, "shape"),
        Kind("three dimensions", put(rows[:, :, None]), REJECTED, "shape"),
        Kind("a scalar", put(np.int16(3)), REJECTED, "shape"),
        Kind("NaN samples", put(nan), REJECTED, "float64"),
        Kind("floats", put(rows.astype(np.float32)), REJECTED, "float32"),
        Kind("texts", put(np.full((5, 517), b"x")), REJECTED, "integers"),
        Kind("records", put(record), REJECTED, "shape"),
        Kind("a pickle in an opaque type", put(np.void(pickle.dumps(rows))), REJECTED, "shape"),
        Kind("values beyond 16 bits", put(rows.astype(np.int64) + (1 << 40)), REJECTED, "outside"),
        Kind("unsigned of twice the size", put(rows.astype(np.uint32)), KEPT),
        Kind("big-endian", put(rows.astype(">i2")), KEPT),
        Kind("no pads", put(rows[:0]), KEPT),
        Kind("a null space", put(h5py.Empty("i2")), KEPT),
        Kind("pads without number", change((slice(None), 4), -1), KEPT),
        Kind("pads beyond 10 239", change((slice(None), 4), 10240), KEPT),
        Kind("impossible channels", change((slice(None), 3), 900), REJECTED, "do not exist"),
        Kind("saturated samples", change((slice(None), slice(5, None)), 4095), KEPT),
        Kind("samples all zero", change((slice(None), slice(5, None)), 0), KEPT),
        Kind("samples beyond the ADC", change((slice(None), slice(5, None)), -32768), KEPT),
        Kind("2^40 rows declared", declare((1 << 40, 517), chunks=(64, 517)), REJECTED, "rows"),
        Kind("65 536 rows declared", declare((1 << 16, 517), chunks=(64, 517)), REJECTED, "are stored"),
        Kind("2^30 columns declared", declare((4, 1 << 30), chunks=(1, 1 << 20)), REJECTED, "shape"),
        Kind("data in another file", declare((5, 517), external=[(str(secret), 0, 5170)]), REJECTED, "another file"),
        Kind("a link into another file", link(h5py.ExternalLink(str(secret), "/x")), REJECTED),
        Kind("a link that leads nowhere", link(h5py.SoftLink("/nowhere")), REJECTED),
        Kind("a link to itself", link(h5py.SoftLink(f"/{PADS}")), REJECTED),
        Kind("a group in a circle", _cycle, KEPT),
        Kind("GET data removed", _remove("events/event_2/get"), REJECTED, "removed afterwards"),
        Kind("FRIBDAQ data removed", _remove("events/event_2/frib_physics"), KEPT),
        Kind("ion chamber of another length", _frib("1903", np.full((100, 8), 7, np.uint16)), KEPT),
        Kind("ion chamber of one sample", _frib("1903", np.full((1, 8), 7, np.uint16)), KEPT),
        Kind("ion chamber of floats", _frib("1903", np.full((2048, 8), np.nan)), REJECTED, "float64"),
        Kind("an unknown trigger", _frib("977", np.array([60000], np.uint16)), KEPT),
        Kind("numbers with holes, out of order", _rename, KEPT),
        Kind("no last event stated", without("min_event", "max_event"), SAME),
        Kind("no clocks", without("id", "timestamp", "timestamp_other"), SAME),
        Kind("no version", without("version"), REFUSED, "no version"),
        Kind("an unknown version", _version("libattpc_merger:9.0"), REFUSED, "9.0"),
        Kind("a version with control characters", _version("\x1b[2J\n$(touch pwned)"), REFUSED, "version"),
        Kind("a version of a megabyte", _version(np.bytes_(b"v" * 60000)), REFUSED, "version"),
        Kind("zero events", _no_events, REFUSED, "no events"),
        Kind("no group of events", _remove("events"), REFUSED, "not known"),
    ]


def other_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Files of other kinds, by what they are."""
    frame = folder / "other.h5"
    with h5py.File(frame, "w") as file:
        file["table/values"] = np.zeros((10, 3))
    yield "HDF5 of another kind", frame.read_bytes()
    with h5py.File(frame, "w", libver="latest") as file:
        file["events"] = np.zeros(3)
    yield "HDF5 whose `events` is a dataset", frame.read_bytes()
    with h5py.File(frame, "w"):
        pass
    yield "HDF5 without anything", frame.read_bytes()
    yield "an empty file", b""
    yield "a text", b"run,event\n1,2\n"
    yield "a pickle", pickle.dumps([1, 2, 3])
    yield "the signature of HDF5 alone", b"\x89HDF\r\n\x1a\n"
    yield "the signature of HDF5 and zeros", b"\x89HDF\r\n\x1a\n" + bytes(4096)
    yield "the signature of HDF5 and ones", b"\x89HDF\r\n\x1a\n" + b"\xff" * 4096


def failures(kind: Kind, sound: Sound, guarded: Guarded, folder: Path) -> list[str]:
    """What did not come as a kind of fault expects; nothing is wanted."""
    secret, copy = folder / "secret", folder / "copy.h5"
    secret.write_bytes(b"secret" * 1000)
    copy.write_bytes(sound.content)
    chosen = next(item for item in kinds(secret) if item.name == kind.name)  # with the real path
    with h5py.File(copy, "r+") as file:
        chosen.spoil(file)
    answer = guarded.run(copy.read_bytes())
    if not answer.sound:
        return [f"{kind.name}: {answer.status}: {answer.message}"]
    clouds, rejected = answer.clouds or {}, answer.rejected or {}
    lost = []
    if kind.expected == REFUSED:
        if answer.status != "data error" or kind.says not in answer.message:
            lost.append(f"{answer.status}: {answer.message}")
        return [f"{kind.name}: {text}" for text in lost]
    renamed = kind.spoil is _rename
    others = sound.clouds.keys() - ({"0", "1", "2", "3"} if renamed else {"2"})
    lost += [f"event {number} changed" for number in others if clouds.get(number) != sound.clouds[number]]
    if kind.expected == REJECTED and (list(rejected) != ["2"] or kind.says not in rejected["2"]):
        lost.append(f"rejected {rejected}")
    if kind.expected in (KEPT, SAME) and (rejected or len(clouds) != len(sound.clouds)):
        lost.append(f"rejected {rejected}, clouds of {sorted(clouds)}")
    if kind.expected == SAME and clouds != sound.clouds:
        lost.append("changed")
    if renamed and {"900", "77", "12", "2"} - clouds.keys():
        lost.append(f"clouds of {sorted(clouds)}")
    return [f"{kind.name}: {text}" for text in lost]
