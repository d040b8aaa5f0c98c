"""Trace files that end before their end: cut off while they were copied.

HDF5 does not open a file that is shorter than its superblock says, however much of it is intact. Here the superblock is
shown to it with the length that the file really has, and the headers of the groups of events without their references
to parts beyond the end (attributes that the writer added when it closed the file). Nothing else is altered and nothing
made up: what lies beyond the end HDF5 refuses by itself, object by object.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from spyral_core.traces.datasets import DAMAGE

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Where superblocks of version 0 and 1 keep the length of the file (section II.A of the HDF5 file
# format). Later ones, with a checksum, are written by none of the programs that write traces.
_LENGTH_AT = {0: 40, 1: 44}
_ADDRESS_BYTES = 13
_ROOT_AFTER_LENGTH = 24  # from the file's length to the address of the root group's header
_NOTHING, _CONTINUATION, _INDEX = 0x00, 0x10, 0x11  # types of messages in a header
_MOST_BLOCKS = 64
_GROUPS = ("events", "scalers", "get", "meta", "frib", "frib/evt", "frib/scaler")


class _ShortenedFile(io.RawIOBase):
    """A file of which some bytes, `patches`, are shown otherwise than they are."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._size = self._file.seek(0, io.SEEK_END)
        self.patches: dict[int, bytes] = {}
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if not 0 <= self._at <= self._size:
            raise OSError(f"byte {self._at} is beyond the end")
        self._file.seek(self._at)
        number: int = self._file.readinto(buffer) or 0
        for start, shown in self.patches.items():
            for place in range(max(start, self._at), min(start + len(shown), self._at + number)):
                buffer[place - self._at] = shown[place - start]
        self._at += number
        return number

    def close(self) -> None:
        self._file.close()
        super().close()


def missing_bytes(path: Path) -> int:
    """By how much a file is shorter than its superblock says; 0 if it is not, or that cannot be told."""
    try:
        length_at = _length_at(path)
        if length_at is None:
            return 0
        with path.open("rb") as file:
            file.seek(length_at)
            (stated,) = struct.unpack("<Q", file.read(8))
        return max(int(stated) - path.stat().st_size, 0)
    except (OSError, struct.error):
        return 0


def open_shortened(path: Path) -> h5py.File:
    """Open a file of which `missing_bytes` are missing; OSError if HDF5 cannot make anything of it."""
    length_at = _length_at(path)
    if length_at is None:
        raise OSError("it has no superblock of version 0 or 1")
    size = path.stat().st_size
    view = _ShortenedFile(path)
    view.patches = {length_at: struct.pack("<Q", size)}
    with path.open("rb") as raw:
        try:
            raw.seek(length_at + _ROOT_AFTER_LENGTH)
            view.patches |= _without_lost_parts(raw, int(struct.unpack("<Q", raw.read(8))[0]), size)
        except (struct.error, OverflowError):
            raise OSError("its root group is missing") from None
        file = h5py.File(view, "r")
        atexit.register(file.close)  # HDF5 must not ask this for bytes after Python has ended
        for name in _GROUPS:
            with contextlib.suppress(*DAMAGE, struct.error):
                above, _, last = name.rpartition("/")
                group = file[f"/{above}"]
                address = group.id.links.get_info(last.encode()).u
                kept = _index_addresses(raw, length_at, address) if name == last else None
                view.patches |= _without_lost_parts(raw, address, size, kept)
    return file


def _index_addresses(raw: BinaryIO, length_at: int, address: int) -> bytes | None:
    """Where the index of a group in the root group lies, 16 bytes, as the root group keeps it beside the group's name.

    `address` is that of the header of the group. None if the root group does not keep it (section III.C).
    """
    raw.seek(length_at + _ROOT_AFTER_LENGTH + 16)
    (tree,) = struct.unpack("<Q", raw.read(8))
    raw.seek(tree + 32)  # over the head of the tree, its neighbours and the first key
    (node,) = struct.unpack("<Q", raw.read(8))
    raw.seek(node)
    signature, number = struct.unpack("<4sxxH", raw.read(8))
    for _ in range(number if signature == b"SNOD" else 0):
        _, header, kind, addresses = struct.unpack("<QQI4x16s", raw.read(40))
        if header == address and kind == 1:
            return bytes(addresses)
    return None


def _without_lost_parts(
    raw: BinaryIO, address: int, size: int, index_addresses: bytes | None = None
) -> dict[int, bytes]:
    """Patches that take references to parts beyond the end out of an object's header (version 1, section IV.A.1.a).

    The first of them is replaced by the message on where a group's index lies, if that was in a part beyond the end.
    """
    raw.seek(address)
    version, _, _, _, length = struct.unpack("<BBHII", raw.read(12))
    if version != 1:
        return {}
    patches: dict[int, bytes] = {}
    blocks, number, indexed = [(address + 16, length)], 0, False
    for start, extent in blocks:  # which grows
        place = start
        while place + 8 <= start + extent:
            raw.seek(place)
            kind, n_bytes = struct.unpack("<HHxxxx", raw.read(8))
            number += 1
            indexed = indexed or kind == _INDEX
            if kind == _CONTINUATION:
                where, more = struct.unpack("<QQ", raw.read(16))
                if where + more > size:
                    patches[place] = struct.pack("<H", _NOTHING)
                elif len(blocks) < _MOST_BLOCKS:
                    blocks.append((where, more))
            place += 8 + n_bytes
    if patches and index_addresses is not None and not indexed:
        lost = min(patches)
        patches |= {lost: struct.pack("<H", _INDEX), lost + 8: index_addresses}
    return patches | {address + 2: struct.pack("<H", number)} if patches else {}


def _length_at(path: Path) -> int | None:
    with path.open("rb") as file:
        start = file.read(16)
    if len(start) < 16 or start[:8] != _SIGNATURE or start[_ADDRESS_BYTES] != 8:
        return None
    return _LENGTH_AT.get(start[8])
