"""Groups and datasets of the form in which HDF5 writes them by default, straight from their bytes in the file.

HDF5 takes some 20 µs to open an object, and an event is five to ten of them. What is read here is the oldest form only,
which all programs that write traces use: old groups, contiguous data, few integer attributes (HDF Group, "HDF5 File
Format Specification Version 3.0", sections III.A.1 B-trees, III.B symbol table nodes, III.D local heap, IV.A.1.a object
headers of version 1, IV.A.2 messages). Whatever is otherwise raises UnusualError, and HDF5 is to be asked.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_SPACE, _TYPE, _LAYOUT, _ATTRIBUTE, _CONTINUATION, _INDEX = 0x01, 0x03, 0x08, 0x0C, 0x10, 0x11
_NOTHING = 0x00
_OF_NO_MATTER = frozenset((0x05, 0x12))  # fill value and time of modification, where they are short
_LONGEST_OF_NO_MATTER = 16  # shorter than any attribute, which must not be passed over for a damaged kind
_PREFIX, _MESSAGE = Struct("<BxHIIxxxx"), Struct("<HHBxxx")
_TWO_ADDRESSES, _ATTRIBUTE_HEAD, _ENTRY = Struct("<QQ"), Struct("<BxHHH"), Struct("<QQI20x")
_TREE = b"TREE\0\0\1\0" + b"\xff" * 16  # a leaf of one child, no neighbours
_TREE_CHILD, _HEAP = Struct("<24s8xQ"), Struct("<8sQ8xQ")
_MOST_ENTRIES, _USUAL_HEADER, _LONGEST_BLOCK, _MOST_BLOCKS = 8, 512, 4096, 3
_UNDEFINED = (1 << 64) - 1


def _stored(kind: str, size: int) -> bytes:
    """A datatype message: an integer of whole bytes, the lowest first."""
    return bytes((0x10, 8 if kind == "i" else 0, 0, 0, size, 0, 0, 0, 0, 0, 8 * size, 0))


_INTEGERS = {_stored(kind, size): np.dtype(f"<{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)}
_SCALARS = frozenset((bytes((1, 0, 0, 0, 0, 0, 0, 0)), bytes((1, 0, 1, 0, 0, 0, 0, 0))))
_SHAPES = {rank: Struct(f"<{rank}Q") for rank in (1, 2)}


class UnusualError(Exception):
    """An object is not of the usual form, or is damaged: HDF5 can tell."""


# What reading raises where a file is not of the usual form, or damaged.
NOT_PLAIN = (UnusualError, OSError, StructError, IndexError, OverflowError)


@dataclass(frozen=True)
class PlainGroup:
    """A group: its integer attributes, and the addresses of its objects by name."""

    attributes: dict[bytes, int]
    members: dict[bytes, int]


@dataclass(frozen=True)
class PlainDataset:
    """A dataset of integers in one piece: the place of its bytes in the file (-1: there are none)."""

    attributes: dict[bytes, int]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    size: int


class PlainObjects:
    """The objects of a file that HDF5 has opened, by its handle; methods raise what is in `NOT_PLAIN`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def group(self, address: int) -> PlainGroup:
        """The group whose header lies at an address."""
        found, attributes = self._messages(address)
        if found.keys() != {_INDEX} or len(found[_INDEX]) != _TWO_ADDRESSES.size:
            raise UnusualError
        tree, heap = _TWO_ADDRESSES.unpack(found[_INDEX])
        head, node = _TREE_CHILD.unpack(self._bytes(tree, _TREE_CHILD.size))
        signature, size, names_at = _HEAP.unpack(self._bytes(heap, _HEAP.size))
        if head != _TREE or signature != b"HEAP\0\0\0\0" or size > _LONGEST_BLOCK:
            raise UnusualError
        names = self._bytes(names_at, size)
        entries = self._bytes(node, 8 + _MOST_ENTRIES * _ENTRY.size)
        number = entries[6]
        if entries[:6] != b"SNOD\1\0" or entries[7] or not 0 < number <= _MOST_ENTRIES:
            raise UnusualError
        members = {}
        for name_at, header, cached in _ENTRY.iter_unpack(entries[8 : 8 + number * _ENTRY.size]):
            end = names.find(b"\0", name_at)
            if cached > 1 or name_at >= size or end < 0:
                raise UnusualError
            members[names[name_at:end]] = header
        if len(members) != number:
            raise UnusualError
        return PlainGroup(attributes, members)

    def dataset(self, address: int) -> PlainDataset:
        """The dataset whose header lies at an address."""
        found, attributes = self._messages(address)
        if found.keys() != {_SPACE, _TYPE, _LAYOUT}:
            raise UnusualError
        space, layout, dtype = found[_SPACE], found[_LAYOUT], _INTEGERS.get(found[_TYPE][:12])
        rank, limited = space[1], space[2]
        if space[0] != 1 or space[3:8] != bytes(5) or limited > 1 or rank not in _SHAPES:
            raise UnusualError
        shape = _SHAPES[rank].unpack_from(space, 8)
        if (limited and _SHAPES[rank].unpack_from(space, 8 + 8 * rank) != shape) or dtype is None:
            raise UnusualError
        if layout[:2] != b"\3\1":
            raise UnusualError
        offset, size = _TWO_ADDRESSES.unpack_from(layout, 2)
        number = shape[0] if rank == 1 else shape[0] * shape[1]
        if size != number * dtype.itemsize or (offset == _UNDEFINED) != (size == 0):
            raise UnusualError
        return PlainDataset(attributes, dtype, shape, offset if size else -1, size)

    def read(self, dataset: PlainDataset) -> NDArray[Any]:
        """The values of a dataset."""
        values = np.empty(dataset.shape, dataset.dtype)
        if dataset.size and os.preadv(self._handle, [values.data], dataset.offset) != values.nbytes:
            raise UnusualError
        return values

    def _bytes(self, address: int, size: int) -> bytes:
        found = os.pread(self._handle, size, address)
        if len(found) != size:
            raise UnusualError
        return found

    def _messages(self, address: int) -> tuple[dict[int, bytes], dict[bytes, int]]:
        """The messages of an object header that matter by their kind, each once, and the integer attributes."""
        block = os.pread(self._handle, _USUAL_HEADER, address)
        version, _, _, extent = _PREFIX.unpack_from(block)
        if version != 1 or block[1]:
            raise UnusualError
        place, end = _PREFIX.size, _PREFIX.size + extent
        if end > len(block):
            block = self._block(address, end)
        found: dict[int, bytes] = {}
        attributes: dict[bytes, int] = {}
        waiting: list[tuple[int, int]] = []
        for _ in range(_MOST_BLOCKS):
            while place + _MESSAGE.size <= end:
                kind, length, flags = _MESSAGE.unpack_from(block, place)
                place += _MESSAGE.size
                body = block[place : place + length]
                place += length
                if kind == _NOTHING or (kind in _OF_NO_MATTER and length <= _LONGEST_OF_NO_MATTER):
                    continue
                if flags & 2 or place > end or kind in found:  # bit 1: kept elsewhere
                    raise UnusualError
                if kind == _ATTRIBUTE:
                    name, value = _attribute(body)
                    attributes[name] = value
                elif kind == _CONTINUATION:
                    waiting.append(_TWO_ADDRESSES.unpack_from(body))
                else:
                    found[kind] = body
            if not waiting:
                return found, attributes
            start, end = waiting.pop()
            block, place = self._block(start, end), 0
        raise UnusualError

    def _block(self, address: int, size: int) -> bytes:
        if size > _LONGEST_BLOCK:
            raise UnusualError
        return self._bytes(address, size)


def _attribute(body: bytes) -> tuple[bytes, int]:
    """Name and value of an attribute message of version 1 that holds one integer."""
    version, n_name, n_type, n_space = _ATTRIBUTE_HEAD.unpack_from(body)
    name_end = 8 + n_name + -n_name % 8
    dtype, space = _INTEGERS.get(body[name_end : name_end + 12]), body[name_end + 16 : name_end + 24]
    if version != 1 or n_type != 12 or n_space != 8 or dtype is None or space not in _SCALARS:
        raise UnusualError
    value, name = body[name_end + 24 : name_end + 24 + dtype.itemsize], body[8 : 8 + n_name]
    if len(value) != dtype.itemsize or name.find(b"\0") != n_name - 1:
        raise UnusualError
    return name[:-1], int.from_bytes(value, "little", signed=dtype.kind == "i")


def plain_objects(file: h5py.File) -> PlainObjects | None:
    """The objects of an open file; None if its addresses are none of bytes of a file on disk."""
    created = file.id.get_create_plist()
    usual = file.driver == "sec2" and created.get_sizes() == (8, 8) and created.get_userblock() == 0
    return PlainObjects(file.id.get_vfd_handle()) if usual and sys.byteorder == "little" else None
