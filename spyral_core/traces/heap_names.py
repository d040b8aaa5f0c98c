"""Names that a group keeps, whether or not its index leads to them.

In groups of the old kind, which all programs that write traces make, names lie in a "local heap", and a B-tree leads to
them. Neither has a checksum: where the tree is damaged, HDF5 says that there is no such name. So the heap is asked, by
the file format specification (HDF Group, "HDF5 File Format Specification Version 3.0", sections III.D local heap,
IV.A.2.r symbol table message).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from h5py import h5f, h5g, h5i, h5o

from spyral_core.traces.text_attribute import object_messages

_SYMBOL_TABLE = 0x11
_LARGEST_HEAP = 1 << 28


def stored_names(group: h5g.GroupID) -> frozenset[str]:
    """All names in the heap of a group; none if it has none, or its file has no name of its own.

    Raises ValueError, or what h5py raises (`DAMAGE`), if the heap is damaged.
    """
    path = Path(h5f.get_name(group).decode("utf-8", "surrogateescape"))
    if not path.is_file():
        return frozenset()
    base = int(h5i.get_file_id(group).get_create_plist().get_userblock())
    with path.open("rb") as raw:
        try:
            for kind, body in object_messages(raw, base, base + h5o.get_info(group).addr):
                if kind == _SYMBOL_TABLE:
                    return _names(raw, base, base + int(struct.unpack_from("<8xQ", body)[0]))
        except (struct.error, OverflowError):
            raise ValueError("the list of its names is damaged") from None
    return frozenset()


def _names(raw: BinaryIO, base: int, address: int) -> frozenset[str]:
    raw.seek(address)
    signature, size, free, start = struct.unpack("<4s4xQQQ", raw.read(32))
    if signature != b"HEAP" or size > _LARGEST_HEAP:
        raise ValueError("the list of its names is damaged")
    raw.seek(base + start)
    data = raw.read(size)
    holes = _holes(data, free)
    found, place = set(), 0
    while place < len(data):
        if place in holes:
            place += holes[place]
            continue
        end = data.find(b"\0", place)
        end = len(data) if end < 0 else end
        found.add(data[place:end].decode("utf-8", "replace"))
        place = end + 8 - end % 8  # names begin at multiples of 8
    return frozenset(found - {""})


def _holes(data: bytes, free: int) -> dict[int, int]:
    """Free space in a heap, where removed names may linger: sizes by offset."""
    holes: dict[int, int] = {}
    while free + 16 <= len(data) and free not in holes and free > 1:  # 1: there is no more
        following, size = struct.unpack_from("<QQ", data, free)
        holes[free] = max(size, 8)
        free = following
    return holes
