"""Which layout a trace file has: the file itself says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import h5py
from h5py import h5a

from spyral_core.errors import DataError, RejectedEventError
from spyral_core.traces.claims import Claims
from spyral_core.traces.datasets import DAMAGE, GroupID, child_group, link_names, one_line
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.grouped import GroupedLayout, get_of_merger_1, get_of_merger_2
from spyral_core.traces.legacy import LegacyLayout
from spyral_core.traces.plain_objects import plain_objects
from spyral_core.traces.text_attribute import text_attribute

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
    """What a reader of one layout offers; `notes` are on damage that it found a way around."""

    notes: list[str]

    def numbers(self) -> tuple[list[int], list[str]]:
        """Event numbers in any order, and names among the events that are no event's.

        Numbers that the file states but whose place in it is lost are among them; reading them is refused.
        """
        ...

    def stated_range(self) -> tuple[int | None, tuple[int, ...]]:
        """First event as the file states it, None if not, and what it states of the last one, each possible meaning."""
        ...

    def read(self, number: int, claims: Claims) -> TraceEvent:
        """One event, and what it claims; RejectedEventError if it is damaged."""
        ...

    def claim(self, number: int, claims: Claims) -> None:
        """What an event claims that cannot be read, as far as it can be told."""
        ...

    def scalers(self) -> Iterator[tuple[GroupID, str]]:
        """Group and name of each scaler readout, in order."""
        ...


def recognise(file: h5py.File, path: Path, run: int) -> tuple[str, Layout, list[str]]:
    """The name of a file's layout (its version string, or `legacy`), its reader, and what is unusual about that.

    Raises DataError, saying what was found and what is known, if it is none of the known ones.
    """
    notes: list[str] = []
    try:
        root = file["/"].id
        groups = link_names(root)
        version = _version(file, path, notes) if "events" in groups else None
        if version is None and ("meta" in groups or ("get" in groups and "events" not in groups)):
            return "legacy", LegacyLayout(root, run), notes
        if version is not None and (version in _GROUPED or _PACKAGE_VERSION.fullmatch(version)):
            read_get, harmonized, renumbering = _GROUPED.get(version, _GROUPED["libattpc_merger:1.0"])
            events, objects = file["events"].id, plain_objects(file)
            return version, GroupedLayout(root, events, run, read_get, harmonized, renumbering, objects), notes
    except (*DAMAGE, RejectedEventError) as error:
        raise DataError(f"{path}: is damaged: {one_line(error)}") from None
    raise DataError(
        f"{path}: the layout of this trace file is not known: it has {one_line(_listing(groups))}"
        + (
            ""
            if "events" not in groups
            else f", and version {version[:80]!r}"
            if version
            else ", and `events` no version"
        )
        + f"; known are: {KNOWN}"
    )


def _version(file: h5py.File, path: Path, notes: list[str]) -> str | None:
    """The attribute `version` of the group `events`; None if there is none.

    Where it is damaged, the layout that the events have.
    """
    events = file["events"]
    if not isinstance(events, h5py.Group):
        return None
    try:
        stated = text_attribute(file, path, events.id, "version")
        if stated is None or stated in _GROUPED or _PACKAGE_VERSION.fullmatch(stated):
            return stated
        likely = next((known for known in _GROUPED if _misspelt(stated, known)), None)
        fault = f"reads {stated!r}"
    except DAMAGE as error:
        likely, stated, fault = _by_structure(events.id), None, f"cannot be read ({one_line(error)})"
    if likely is None:
        return stated
    notes.append(f"the file is damaged: its version {fault}; it is taken for {likely}")
    return likely


def _misspelt(text: str, known: str) -> bool:
    """Whether a text is a known version with one or two damaged characters; another digit is another version."""
    wrong = [b for a, b in zip(text, known, strict=False) if a != b]
    return len(text) == len(known) and 0 < len(wrong) <= 2 and not any(b.isdigit() for b in wrong)


def _by_structure(events: GroupID) -> str | None:
    """The version whose layout the first events have that hold GET data; None if none has."""
    names = [name for name in link_names(events) if name.startswith("event_")]
    for name in names[:1000]:
        try:
            event = child_group(events, name)
            if event is None:
                continue
            if event.links.exists(b"get"):
                return "libattpc_merger:2.0"
            if event.links.exists(b"get_traces"):
                return "harmonizer:0.1.0" if h5a.exists(event, b"orig_run") else "libattpc_merger:1.0"
        except (*DAMAGE, RejectedEventError):
            continue
    return None


def _listing(groups: list[str]) -> str:
    if not groups:
        return "no groups"
    return "groups " + ", ".join(groups[:8]) + (", …" if len(groups) > 8 else "")
