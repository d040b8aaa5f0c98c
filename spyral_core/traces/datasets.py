"""Single objects of a trace file, read and checked: what is damaged is named in a RejectedEventError.

With h5py's low-level interface: an event is some ten small objects, and its high-level one takes far longer to make
Python objects of them than HDF5 takes to read them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable
from contextlib import suppress
from typing import Any, TypeAlias

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5i, h5o, h5s, h5t
from numpy.typing import NDArray

from spyral_core.errors import RejectedEventError
from spyral_core.traces.claims import FRIB_TRACES, REGISTER, Claims
from spyral_core.traces.event import ASAD, CHANNEL, PAD_COLUMNS, SILICON_DETECTORS, no_pads
from spyral_core.traces.heap_names import stored_names

GroupID: TypeAlias = h5g.GroupID
DatasetID: TypeAlias = h5d.DatasetID
ObjectID: TypeAlias = GroupID | DatasetID

# What h5py raises on damaged objects, depending on where the damage is.
DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError)
# Larger shapes come from damaged headers; reading them would take all memory before it fails.
MAX_PAD_ROWS = 1 << 16
MAX_FRIB_SAMPLES = 1 << 20
MAX_FRIB_CHANNELS = 64
# Names inside an event: the last ones are of FRIBDAQ modules that are not read.
_NAMES = frozenset(
    ("get", "get_traces", "pads", *SILICON_DETECTORS, "frib_physics", "1903", "977", "1904", "1905", "1906")
)
_NAMES |= {"events", "scalers", "meta", "frib", "evt", "scaler"}
_PLAIN_NAME = re.compile(r"[\w.: -]+", re.ASCII)
# Chips of an AsAd board and channels of a chip (GET, Nucl. Instrum. Methods A 887 (2018) 81): the same everywhere.
_ADDRESSES = np.array([4, 4, 68], np.uint16)


def one_line(text: object) -> str:
    """A text without line breaks, and with other characters that cannot be printed as their codes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in " ".join(str(text).split()))


def link_names(group: GroupID) -> list[str]:
    """Names of all links of a group, without opening what they lead to."""
    found: list[bytes] = []
    group.links.iterate(found.append)
    return [name.decode("utf-8", "replace") for name in found]


def some_names(group: GroupID) -> list[str]:
    """Names of links of a group up to the first that cannot be read."""
    found: list[bytes] = []
    with suppress(*DAMAGE):
        group.links.iterate(found.append)
    return [name.decode("utf-8", "replace") for name in found]


def names_by_trial(group: GroupID, names: Iterable[str], stated: bool = True) -> list[str]:
    """Which of some names a group has, or may have: those whose place in its index is damaged are among them.

    For a group whose `link_names` cannot be listed. What h5py raised first is raised again if no name is sound. If
    the names are not `stated` by the file, those after the last sound one are left out.
    """
    found: list[str] = []
    fault: Exception | None = None
    sound = 0
    for name in names:
        try:
            there = group.links.exists(name.encode())
        except DAMAGE as error:
            fault = fault or error
            found.append(name)
            continue
        if there:
            found.append(name)
            sound = len(found)
    if fault is not None and not sound:
        raise fault
    return found if stated else found[:sound]


def path_of(group: GroupID, name: str) -> str:
    """The path in the file of something below a group, for messages."""
    above = h5i.get_name(group) or b"?"
    return f"{above.decode('utf-8', 'replace').rstrip('/')}/{name}"


def child_group(group: GroupID, name: str) -> GroupID | None:
    """A group below a group; None if there is no such name, RejectedEventError if it leads nowhere or elsewhere."""
    return _child(group, name, GroupID)


def child_dataset(group: GroupID, name: str) -> DatasetID | None:
    """A dataset below a group; None if there is no such name, RejectedEventError if it leads nowhere or elsewhere."""
    return _child(group, name, DatasetID)


def _child(group: GroupID, name: str, kind: type) -> Any:
    with _Rejecting(group, name):
        if not group.links.exists(name.encode()):
            _refuse_misspelt(group, name)
            if name in _NAMES:
                refuse_lost(group, name, stored_names(group))
            return None
        found = h5o.open(group, name.encode())
    if not isinstance(found, kind):
        wanted = "group" if kind is GroupID else "dataset"
        raise RejectedEventError(f"{path_of(group, name)}: is not a {wanted}")
    return found


def refuse_lost(group: GroupID, name: str, stored: Container[str]) -> None:
    """Something whose name the group keeps, though its index does not lead there, must not count as absent."""
    if name in stored:
        raise RejectedEventError(
            f"{path_of(group, name)}: its name is there, but leads nowhere: removed afterwards, or the index is damaged"
        )


def _refuse_misspelt(group: GroupID, name: str) -> None:
    """Something whose name or index is damaged must not count as absent. Not looked for in a group of many events."""
    if name in _NAMES:
        for other in link_names(group):
            wrong = sum(a != b for a, b in zip(name, other, strict=False))
            near = len(other) == len(name) and wrong <= 2 and other not in _NAMES
            short = name.startswith(other) and other not in _NAMES
            if near or short or other == name or not _PLAIN_NAME.fullmatch(other):
                raise RejectedEventError(f"{path_of(group, repr(other))}: a damaged `{name}`?")


class _Rejecting:
    """What HDF5 raises in here is the event's rejection. A class: its generator twin took a tenth of all reading."""

    __slots__ = ("_group", "_name")

    def __init__(self, group: GroupID, name: str) -> None:
        self._group, self._name = group, name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DAMAGE):
            raise RejectedEventError(f"{path_of(self._group, self._name)}: cannot be read: {one_line(error)}") from None


def claim(group: GroupID | None, name: str, kind: str, claims: Claims) -> None:
    """Add to `claims` what a dataset of an event claims that is not read; nothing if that cannot be told."""
    with suppress(*DAMAGE, RejectedEventError):
        dataset = None if group is None else child_dataset(group, name)
        if dataset is not None:
            _check_storage(dataset, dataset.shape, kind, claims)


def read_pads(group: GroupID, name: str, kind: str, claims: Claims) -> NDArray[np.int16]:
    """Pad rows int16 (n, 517); no rows if the dataset is absent or empty. What it claims is added to `claims`.

    Any integer type is accepted as long as its values fit. Raises RejectedEventError otherwise.
    """
    dataset, shape = _not_empty(group, name)
    if dataset is None:
        return no_pads()
    if len(shape) != 2 or shape[1] != PAD_COLUMNS:
        raise RejectedEventError(f"{path_of(group, name)}: has shape {shape}, must be (pads, {PAD_COLUMNS})")
    if shape[0] > MAX_PAD_ROWS:
        raise RejectedEventError(f"{path_of(group, name)}: has {shape[0]} rows, more than there are channels")
    rows = _integers(group, name, dataset, shape, np.int16, kind, claims)
    impossible = number_of_impossible(rows)
    if impossible > 0.5 * len(rows):
        raise RejectedEventError(
            f"{path_of(group, name)}: {impossible} of {len(rows)} rows are of channels that do not exist: no traces"
        )
    return rows


def number_of_impossible(rows: NDArray[np.int16]) -> int:
    """How many of some pad rows (n, 517) are of channels that do not exist."""
    address = rows[:, ASAD : CHANNEL + 1].view(np.uint16)  # in which negative numbers are large
    return int(np.count_nonzero((address >= _ADDRESSES).any(axis=1)))


def read_frib_traces(group: GroupID, name: str, claims: Claims) -> NDArray[np.int32] | None:
    """Traces of a FRIBDAQ digitizer, int32 (channels, samples); None if the dataset is absent or empty.

    Raises RejectedEventError if it is not a two-dimensional array of integers.
    """
    dataset, shape = _not_empty(group, name)
    if dataset is None:
        return None
    if len(shape) != 2 or shape[0] > MAX_FRIB_SAMPLES or shape[1] > MAX_FRIB_CHANNELS:
        raise RejectedEventError(f"{path_of(group, name)}: has shape {shape}, must be (samples, channels)")
    return np.ascontiguousarray(_integers(group, name, dataset, shape, np.int32, FRIB_TRACES, claims).T)


def read_register(group: GroupID, name: str, claims: Claims) -> int:
    """The first word of a register; -1 if the dataset is absent or empty.

    Raises RejectedEventError if it holds anything but integers.
    """
    dataset, shape = _not_empty(group, name)
    if dataset is None:
        return -1
    if int(np.prod(shape)) > MAX_FRIB_SAMPLES:
        raise RejectedEventError(f"{path_of(group, name)}: has shape {shape}, must be a single word")
    values = _integers(group, name, dataset, shape, np.int64, REGISTER, claims).ravel()
    return int(values[0]) if len(values) else -1


def _not_empty(group: GroupID, name: str) -> tuple[DatasetID | None, tuple[int, ...]]:
    """A dataset and its shape; None if it is absent or has no rows."""
    dataset = child_dataset(group, name)
    if dataset is None:
        return None, ()
    with _Rejecting(group, name):
        space = dataset.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            return None, ()
        shape = space.get_simple_extent_dims()
    return (None if 0 in shape[:1] else dataset), shape


def _check_storage(dataset: DatasetID, shape: tuple[int, ...], kind: str, claims: Claims) -> None:
    """ValueError if not all bytes are stored that shape and type tell of, or the type is none of whole bytes."""
    stored_type = dataset.get_type()
    offset, stored = dataset.get_offset(), dataset.get_storage_size()
    expected = math.prod(shape) * stored_type.get_size()
    if offset is not None and stored != expected:
        raise ValueError(f"{stored} bytes are stored, shape {shape} and type tell of {expected}")
    if offset is None:
        creation = dataset.get_create_plist()
        if creation.get_external_count():
            raise ValueError("its data lie in another file")
        if (creation.get_layout() != h5d.CHUNKED or not creation.get_nfilters()) and stored < expected:
            raise ValueError(f"{stored} bytes are stored, shape {shape} and type tell of {expected}")
        if creation.get_layout() == h5d.CHUNKED and dataset.get_num_chunks() < _chunks(shape, creation.get_chunk()):
            raise ValueError("not all of it is stored")
    if isinstance(stored_type, h5t.TypeIntegerID):
        if stored_type.get_precision() != 8 * stored_type.get_size() or stored_type.get_offset():
            raise ValueError("its integers are not of whole bytes")
        if kind in (FRIB_TRACES, REGISTER):
            claims.orders.add(stored_type.get_order())
    claims.objects.append((kind, -1 if offset is None else offset, stored))


def _chunks(shape: tuple[int, ...], chunk: tuple[int, ...]) -> int:
    return math.prod(-(-size // step) for size, step in zip(shape, chunk, strict=True))


def _integers(
    group: GroupID,
    name: str,
    dataset: DatasetID,
    shape: tuple[int, ...],
    dtype: type[np.signedinteger[Any]],
    kind: str,
    claims: Claims,
) -> NDArray[Any]:
    """All values of a dataset as `dtype`, if they are integers and fit."""
    with _Rejecting(group, name):
        stored = dataset.dtype
        if not np.issubdtype(stored, np.integer):
            raise RejectedEventError(f"{path_of(group, name)}: holds {stored}, must be integers")
        _check_storage(dataset, shape, kind, claims)
        values = np.empty(shape, dtype=stored)
        dataset.read(h5s.ALL, h5s.ALL, values)
    if not np.can_cast(stored, dtype) and values.size:
        limits = np.iinfo(dtype)
        low, high = int(values.min()), int(values.max())
        if low < limits.min or high > limits.max:
            raise RejectedEventError(
                f"{path_of(group, name)}: holds values from {low} to {high}, outside {limits.min} to {limits.max}"
            )
    return np.ascontiguousarray(values, dtype=dtype)


def integer_attribute(thing: ObjectID | None, *names: bytes) -> int | None:
    """The first of some attributes that is there and is one integer; None if none is."""
    for name in names if thing is not None else ():
        try:
            if not h5a.exists(thing, name):
                continue
            attribute = h5a.open(thing, name)
            if attribute.get_space().get_simple_extent_npoints() == 1 and np.issubdtype(attribute.dtype, np.integer):
                value = np.empty(attribute.shape, dtype=attribute.dtype)
                attribute.read(value)
                return int(value.reshape(())[()])
        except DAMAGE:
            continue
    return None


def stated_integer(thing: ObjectID, name: bytes) -> int | None:
    """An attribute that is one integer; None if there is none. RejectedEventError if it is there and is no integer."""
    try:
        there = bool(h5a.exists(thing, name))
    except DAMAGE:
        there = True
    value = integer_attribute(thing, name)
    if there and value is None:
        above = h5i.get_name(thing) or b"?"
        raise RejectedEventError(f"{above.decode('utf-8', 'replace')}: its attribute `{name.decode()}` is damaged")
    return value


def first_words(dataset: DatasetID, number: int) -> NDArray[np.int64]:
    """The first `number` words of a list; those that are missing are -1.

    Raises ValueError, or what h5py raises (`DAMAGE`), if it is no list of whole numbers.
    """
    filled = np.full(number, -1, dtype=np.int64)
    stored = h5py.Dataset(dataset)
    if stored.shape is None:
        return filled
    if stored.ndim != 1 or stored.dtype.kind not in "iuf":
        raise ValueError(f"has shape {stored.shape} of {stored.dtype}, must be one row of whole numbers")
    values = stored[:number]
    if values.dtype.kind == "f" and not np.all(np.isfinite(values) & (values == np.trunc(values))):
        raise ValueError("holds numbers that are not whole")
    if values.size and not -(2**63) <= int(values.min()) <= int(values.max()) < 2**63:
        raise ValueError("holds numbers beyond 64 bits")
    filled[: len(values)] = values.astype(np.int64)
    return filled
