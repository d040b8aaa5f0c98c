"""Which layout a trace file has: the file itself says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import h5py

from spyral_core.errors import DataError, RejectedEventError
from spyral_core.traces.datasets import DAMAGE, GroupID, link_names, one_line
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.grouped import GroupedLayout, get_of_merger_1, get_of_merger_2
from spyral_core.traces.legacy import LegacyLayout

KNOWN = (
    "group `meta` or `get` (legacy merger), or group `events` with attribute `version` = libattpc_merger:2.0, "
    "libattpc_merger:1.0, libattpc_merger:<x.y.z> (before October 2024), synchronizer:0.1.0 or harmonizer:0.1.0"
)
# Until October 2024 the merger wrote the version of its package, in three parts, where it now writes the format's.
_PACKAGE_VERSION = re.compile(r"libattpc_merger:[0-9]+\.[0-9]+\.[0-9]+\S*")
# By version: how GET data are read, whether events come from other runs, whether they were numbered anew.
_GROUPED = {
    "libattpc_merger:2.0": (get_of_merger_2, False, False),
    "libattpc_merger:1.0": (get_of_merger_1, False, False),
    "synchronizer:0.1.0": (get_of_merger_1, False, True),
    "harmonizer:0.1.0": (get_of_merger_1, True, True),
}


class Layout(Protocol):
    """What a reader of one layout offers."""

    def numbers(self) -> tuple[list[int], list[str]]:
        """Event numbers in any order, and names among the events that are no event's."""
        ...

    def stated_range(self) -> tuple[int | None, tuple[int, ...]]:
        """First event as the file states it, None if not, and what it states of the last one, each possible meaning."""
        ...

    def read(self, number: int) -> TraceEvent:
        """One event; RejectedEventError if it is damaged."""
        ...

    def scalers(self) -> Iterator[tuple[GroupID, str]]:
        """Group and name of each scaler readout, in order."""
        ...


def recognise(file: h5py.File, path: Path, run: int) -> tuple[str, Layout]:
    """The name of a file's layout (its version string, or `legacy`) and its reader.

    Raises DataError, saying what was found and what is known, if it is none of the known ones.
    """
    try:
        root = file["/"].id
        groups = link_names(root)
        version = _version(file) if "events" in groups else None
        if version is None and ("meta" in groups or ("get" in groups and "events" not in groups)):
            return "legacy", LegacyLayout(root, run)
        if version is not None and (version in _GROUPED or _PACKAGE_VERSION.fullmatch(version)):
            read_get, harmonized, renumbering = _GROUPED.get(version, _GROUPED["libattpc_merger:1.0"])
            return version, GroupedLayout(root, file["events"].id, run, read_get, harmonized, renumbering)
    except (*DAMAGE, RejectedEventError) as error:
        raise DataError(f"{path}: is damaged: {one_line(error)}") from None
    raise DataError(
        f"{path}: the layout of this trace file is not known: it has {one_line(_listing(groups))}"
        + ("" if "events" not in groups else f", and version {version!r}" if version else ", and `events` no version")
        + f"; known are: {KNOWN}"
    )


def _version(file: h5py.File) -> str | None:
    """The attribute `version` of the group `events`; None if there is none."""
    events = file["events"]
    if not isinstance(events, h5py.Group) or "version" not in events.attrs:
        return None
    value = events.attrs["version"]
    if hasattr(value, "size") and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _listing(groups: list[str]) -> str:
    if not groups:
        return "no groups"
    return "groups " + ", ".join(groups[:8]) + (", …" if len(groups) > 8 else "")
