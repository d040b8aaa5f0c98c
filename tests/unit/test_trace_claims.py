"""Damaged addresses and indexes of trace files are found in what all events together claim of the file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.errors import RejectedEventError
from spyral_core.traces.claims import displaced, far_off, lacking, overlapping
from spyral_core.traces.datasets import link_names
from spyral_core.traces.file import open_traces
from spyral_core.traces.heap_names import stored_names
from spyral_core.traces.order import in_order, out_of_order

Write = Callable[..., Path]
PADS, FRIB, REGISTER = 0, 1, 2


def written(n_events: int, seed: int = 0) -> NDArray[np.int64]:
    """What the events of a sound file claim: pads and 1903 with objects of HDF5 between them, 977 side by side."""
    chance = np.random.default_rng(seed)
    rows, end = [], 4096
    for event in range(n_events):
        for kind, size in ((PADS, 1034 * int(chance.integers(20, 300))), (FRIB, 32768)):
            end += int(chance.choice([0, 2048, 2136, 2480]))
            rows.append((event, kind, end, size))
            end += size
        rows.append((event, REGISTER, 2048 + 2 * event, 2))
    return np.array(rows, np.int64)


def moved(claims: NDArray[np.int64], event: int, kind: int, first: int) -> NDArray[np.int64]:
    changed = claims.copy()
    changed[(claims[:, 0] == event) & (claims[:, 1] == kind), 2] = first
    return changed


def place(claims: NDArray[np.int64], event: int, kind: int) -> tuple[int, int]:
    first, size = claims[(claims[:, 0] == event) & (claims[:, 1] == kind)][0, 2:].tolist()
    return first, size


@pytest.mark.parametrize("seed", range(5))
def test_a_sound_file_raises_no_suspicion_in_whatever_order_it_was_read(seed: int) -> None:
    claims = np.random.default_rng(seed).permutation(written(40, seed))
    assert overlapping(claims) == {}
    assert displaced(claims) == {}
    assert far_off(claims) == {}
    assert lacking(claims, range(40)) == {}


@pytest.mark.parametrize("seed", range(20))
def test_an_address_that_leads_into_another_event_is_found_and_the_other_event_kept(seed: int) -> None:
    chance, claims = np.random.default_rng(seed), written(40, seed)
    victim, other = chance.choice(40, 2, replace=False).tolist()
    first, size = place(claims, other, PADS)
    damaged = moved(claims, victim, FRIB, first + int(chance.integers(0, size)))
    found = set(overlapping(chance.permutation(damaged)))
    assert found == {victim} or (
        abs(victim - other) == 1 and found == {victim, other}
    )  # still in order: either of them


def test_a_register_read_from_the_next_event_is_doubtful_in_both() -> None:
    claims = written(10)
    assert set(overlapping(moved(claims, 4, REGISTER, place(claims, 5, REGISTER)[0]))) == {4, 5}


@pytest.mark.parametrize("shift", [-250, -3, 1, 2, 7, 171])
def test_data_shifted_a_little_are_found(shift: int) -> None:
    claims = written(30, seed=3)
    for event in range(1, 29):
        first, _ = place(claims, event, FRIB)
        damaged = moved(claims, event, FRIB, first + shift)
        assert event in overlapping(damaged) | displaced(damaged)


def test_in_a_file_that_was_rewritten_gaps_of_any_size_say_nothing() -> None:
    claims = written(30, seed=3)
    claims[claims[:, 1] == FRIB, 3] -= np.random.default_rng(1).integers(1, 99, 30)  # nearly every gap is odd
    assert displaced(claims) == {}


def test_data_in_free_space_are_told() -> None:
    claims = written(10)
    assert far_off(moved(claims, 4, REGISTER, 10**9)) == {"977": [4]}


def test_events_that_lack_what_others_have_are_told() -> None:
    claims = written(6)
    claims = claims[~((claims[:, 0] >= 4) & (claims[:, 1] == FRIB))]
    assert lacking(claims, [0, 1, 2, 3, 5]) == {"1903": [5]}
    assert lacking(claims[claims[:, 1] != FRIB], range(6)) == {}


@pytest.mark.parametrize("seed", range(30))
def test_what_is_in_order_ascends_and_one_stranger_is_the_only_one_out_of_it(seed: int) -> None:
    chance = np.random.default_rng(seed)
    values = chance.integers(0, 12, 12)
    kept = values[in_order(values)]
    assert np.all(np.diff(kept) > 0)
    values = np.arange(0, 40, 2)
    stranger = int(chance.integers(3, 17))
    values[stranger] = chance.choice([-1, 99])
    assert np.flatnonzero(~in_order(values)).tolist() == [stranger]


def test_names_twice_or_out_of_order_are_found() -> None:
    assert out_of_order(["a", "b", "c"]) == []
    assert out_of_order(["a", "c", "b", "d", "e", "f"]) == ["c", "b"]
    assert out_of_order(["a", "z", "b", "d"]) == ["z"]
    assert out_of_order(["a", "b", "b", "d"]) == ["b", "b"]


@pytest.mark.parametrize("number", [1, 7, 500])
def test_a_group_keeps_the_names_of_all_its_links(number: int, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "names.h5", "w") as file:
        for name in (f"evt{n}_{'x' * (n % 30)}" for n in range(number)):
            file.create_group(f"get/{name}")
        file.create_group("other/removed_afterwards")
        del file["other/removed_afterwards"]
    with h5py.File(tmp_path / "names.h5") as file:
        assert stored_names(file["get"].id) == set(link_names(file["get"].id))
        assert stored_names(file["other"].id) == set()
    with h5py.File(tmp_path / "new.h5", "w", libver="latest") as file:  # groups of the new kind have checksums
        file.create_group("get/evt0_data")
    with h5py.File(tmp_path / "new.h5") as file:
        assert stored_names(file["get"].id) == set()


@pytest.mark.parametrize("layout", ["legacy", "libattpc_merger:2.0"])
def test_a_register_that_a_damaged_index_hides_is_not_absent(
    layout: str, tmp_path: Path, layouts: ModuleType, write_layout: Write
) -> None:
    events = [layouts.make_event(number) for number in range(2)]
    path = write_layout(tmp_path / "run_0001.h5", layout, events)
    content = bytearray(path.read_bytes())
    group = "frib/evt" if layout == "legacy" else "events/event_1/frib_physics"
    with h5py.File(path) as file:
        last = "evt1_977" if layout == "legacy" else "977"
        header = h5py.h5o.get_info(file[f"{group}/{last}"].id).addr
    node = content.rfind(b"SNOD", 0, content.find(struct.pack("<Q", header)))
    content[node + 6] -= 2 if layout == "legacy" else 1  # the number of names: without the last ones
    path.write_bytes(content)
    with h5py.File(path) as file:
        assert last not in file[group]
    with open_traces(path) as file:
        with pytest.raises(RejectedEventError, match="leads nowhere"):
            file.read(1)
        assert file.read(0).trigger > 0
