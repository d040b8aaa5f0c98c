"""Text attributes read without HDF5's own reader of variable-length strings.

Such a string lies in a "global heap", which has no checksum: in one whose sizes are damaged HDF5 searches for ever, and
nothing in its process can stop it. So the few bytes are found here by the file format specification (HDF Group, "HDF5
File Format Specification Version 3.0", sections III.E global heap, IV.A object headers, IV.A.2.m attribute message).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
from h5py import h5a, h5g, h5o, h5t

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_MOST_BLOCKS, _MOST_OBJECTS, _LONGEST_HEADER, _LONGEST_TEXT = 64, 4096, 1 << 20, 4096


def text_attribute(file: h5py.File, path: Path, group: h5g.GroupID, name: str) -> str | None:
    """The text of an attribute, None if there is none of this name.

    Raises ValueError, or what h5py raises (`DAMAGE`), if it cannot be read or is no single text.
    """
    if not h5a.exists(group, name.encode()):
        return None
    attribute = h5a.open(group, name.encode())
    stored = attribute.get_type()
    if not isinstance(stored, h5t.TypeStringID) or attribute.get_space().get_simple_extent_npoints() != 1:
        raise ValueError(f"the attribute `{name}` is no single text")
    if not stored.is_variable_str():
        value = np.empty(attribute.shape, dtype=attribute.dtype)
        attribute.read(value)
        return bytes(value.reshape(-1)[0]).rstrip(b"\0").decode("utf-8", "replace")
    base = file.userblock_size
    with path.open("rb") as raw:
        try:
            length, heap, index = struct.unpack("<IQI", _attribute_data(raw, base, h5o.get_info(group).addr, name))
            return _heap_object(raw, base + heap, index, length).decode("utf-8", "replace")
        except (struct.error, IndexError, OverflowError):
            raise ValueError(f"the attribute `{name}` is damaged") from None


def _bytes(raw: BinaryIO, offset: int, number: int) -> bytes:
    if number > _LONGEST_HEADER or offset < 0:
        raise ValueError("a block of an object header has an impossible size")
    raw.seek(offset)
    return raw.read(number)


def _attribute_data(raw: BinaryIO, base: int, address: int, name: str) -> bytes:
    """The stored 16 bytes of a variable-length text attribute: its length, heap and place in the heap."""
    for kind, body in object_messages(raw, base, base + address):
        if kind == _ATTRIBUTE:
            version, _, n_name, n_type, n_space = struct.unpack_from("<BBHHH", body)
            start = 9 if version == 3 else 8
            if body[start : start + n_name].split(b"\0")[0] == name.encode():
                sizes = [size + -size % 8 if version == 1 else size for size in (n_name, n_type, n_space)]
                return body[start + sum(sizes) :][:16]
    raise ValueError(f"the attribute `{name}` is not in its object's header")


def object_messages(raw: BinaryIO, base: int, address: int) -> Iterator[tuple[int, bytes]]:
    """Type and body of each message of an object header, of version 1 or 2, at an address in the file.

    Raises ValueError, struct.error or IndexError if the header is damaged.
    """
    prefix = _bytes(raw, address, 64)
    modern = prefix[:4] == b"OHDR"
    if modern:
        flags = prefix[5]
        start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(prefix[start : start + width], "little")
        blocks, step = [(address + start + width, size)], 6 if flags & 4 else 4
    else:
        blocks, step = [(address + 16, int(struct.unpack_from("<I", prefix, 8)[0]))], 8
    for number, (start, size) in enumerate(blocks):
        if number > _MOST_BLOCKS:
            raise ValueError("an object header goes on without end")
        block = _bytes(raw, start, size)
        if modern and number:
            block = block[4:-4]  # `OCHK` and the checksum
        place = 0
        while place + step <= len(block):
            kind, length = struct.unpack_from("<BH" if modern else "<HH", block, place)
            body = block[place + step : place + step + length]
            if kind == _CONTINUATION:
                offset, extent = struct.unpack_from("<QQ", body)
                blocks.append((base + offset, extent))
            yield kind, body
            place += step + length


def _heap_object(raw: BinaryIO, address: int, index: int, length: int) -> bytes:
    """The first `length` bytes of an object of a global heap."""
    header = _bytes(raw, address, 16)
    if header[:4] != b"GCOL" or length > _LONGEST_TEXT:
        raise ValueError("a text is not where its attribute says")
    end = address + int(struct.unpack_from("<Q", header, 8)[0])
    place = address + 16
    for _ in range(_MOST_OBJECTS):
        number, _, size = struct.unpack("<HHxxxxQ", _bytes(raw, place, 16))
        if number == index and length <= size:
            return _bytes(raw, place + 16, length)
        place += 16 + size + -size % 8
        if number == 0 or place >= end:
            break
    raise ValueError("a text is not in its heap")
