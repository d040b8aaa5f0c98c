"""Trace files of every layout give the same events."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

from spyral_core.errors import DataError, RejectedEventError
from spyral_core.tables import SCALERS
from spyral_core.traces.event import PAD_COLUMNS, TraceEvent
from spyral_core.traces.file import open_traces, run_of

LEGACY, MERGER_1, SYNCHRONIZER, HARMONIZER, MERGER_2 = LAYOUTS = (
    "legacy",
    "libattpc_merger:1.0",
    "synchronizer:0.1.0",
    "harmonizer:0.1.0",
    "libattpc_merger:2.0",
)
OLD_MERGER = "libattpc_merger:0.2.0"
Write = Callable[..., Path]


def same(one: TraceEvent, other: TraceEvent) -> None:
    """Assert that two events agree in every attribute and array type."""
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        expected = vars(other)[name]
        if name == "get_silicon":
            assert value.keys() == expected.keys()
            for detector, rows in value.items():
                np.testing.assert_array_equal(rows, expected[detector])
        elif isinstance(expected, np.ndarray):
            assert value.dtype == expected.dtype, name
            assert value.flags.c_contiguous, name
            np.testing.assert_array_equal(value, expected)
        else:
            assert value == expected, name


@pytest.fixture
def events(layouts: ModuleType) -> list[TraceEvent]:
    return [layouts.make_event(number, n_pads=3 + number) for number in range(4)]


def pads_path(layout: str, number: int) -> str:
    below = {LEGACY: f"get/evt{number}_data", MERGER_2: f"events/event_{number}/get/pads"}
    return below.get(layout, f"events/event_{number}/get_traces")


def frib_path(layout: str, number: int, module: str) -> str:
    if layout == LEGACY:
        return f"frib/evt/evt{number}_{module}"
    return f"events/event_{number}/frib_physics/{module}"


def put(path: Path, name: str, data: object) -> None:
    """Replace a dataset."""
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        file[name] = data


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_event_of_every_layout_is_read_in_full(
    layout: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    with open_traces(write_layout(tmp_path / "run_0007.h5", layout, events)) as traces:
        assert traces.layout == layout
        assert traces.numbers.dtype == np.int64
        assert traces.numbers.tolist() == [0, 1, 2, 3]
        assert traces.notes == []
        for index, event in enumerate(events):
            same(traces.read(index), event)


def test_the_merger_before_october_2024_wrote_its_package_version(
    tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", MERGER_1, events, version=OLD_MERGER)
    with open_traces(path) as traces:
        assert traces.layout == OLD_MERGER
        same(traces.read(3), events[3])


@pytest.mark.parametrize("version", [np.bytes_(MERGER_1), np.array([MERGER_1.encode()])])
def test_a_version_may_be_stored_as_bytes(
    version: object, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", MERGER_1, events)
    with h5py.File(path, "r+") as file:
        file["events"].attrs["version"] = version
    with open_traces(path) as traces:
        same(traces.read(0), events[0])


def test_harmonized_events_keep_their_origin(tmp_path: Path, layouts: ModuleType, write_layout: Write) -> None:
    events = [layouts.make_event(0, orig_run=94, orig_event=311), layouts.make_event(1, orig_run=95, orig_event=0)]
    with open_traces(write_layout(tmp_path / "run_0000.h5", HARMONIZER, events)) as traces:
        read = [traces.read(index) for index in range(2)]
    assert [(event.orig_run, event.orig_event) for event in read] == [(94, 311), (95, 0)]


def test_a_harmonized_event_without_origin_does_not_invent_one(
    tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", HARMONIZER, events, without={"origin"})
    with open_traces(path) as traces:
        event = traces.read(2)
    assert (event.orig_run, event.orig_event) == (-1, -1)


@pytest.mark.parametrize(
    ("name", "run"),
    [("run_0001.h5", 1), ("run_94.h5", 94), ("run_12345.h5", 12345), ("run_0003_sync.h5", 3), ("beam.h5", 0)],
)
def test_the_run_number_is_in_the_file_name(name: str, run: int) -> None:
    assert run_of(Path("/some/run_9999") / name) == run


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("piece", ["get", "frib_physics", "1903", "977", "range", "clocks", "silicon", "scalers"])
def test_any_piece_may_be_missing(
    layout: str, piece: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    expected = events[3]
    if piece == "get":
        expected = replace(expected, pads=expected.pads[:0], get_id=-1, get_timestamp=-1, get_timestamp_other=-1)
    if piece in ("frib_physics", "1903"):
        expected = replace(expected, ion_chamber=None, mesh=None, silicon=None)
    if piece in ("frib_physics", "977"):
        expected = replace(expected, trigger=-1)
    if piece in ("frib_physics", "clocks"):
        expected = replace(expected, frib_id=-1, frib_timestamp=-1)
    if piece == "clocks":
        expected = replace(expected, get_id=-1, get_timestamp=-1, get_timestamp_other=-1)
    path = write_layout(tmp_path / "run_0007.h5", layout, events, without={piece})
    with open_traces(path) as traces:
        assert traces.numbers.tolist() == [0, 1, 2, 3]
        same(traces.read(3), expected)


def test_an_event_may_have_nothing_at_all(tmp_path: Path, events: list[TraceEvent], write_layout: Write) -> None:
    path = write_layout(tmp_path / "run_0007.h5", MERGER_2, events)
    with h5py.File(path, "r+") as file:
        file.create_group("events/event_4")
    with open_traces(path) as traces:
        event = traces.read(4)
    assert event.pads.shape == (0, PAD_COLUMNS)
    assert event.ion_chamber is event.mesh is event.silicon is None
    assert event.trigger == -1


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("empty", [np.empty((0, 517), np.int16), np.empty(0, np.int16), h5py.Empty("i2")])
def test_empty_datasets_are_as_good_as_none(
    layout: str, empty: object, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", layout, events)
    for name in (pads_path(layout, 1), frib_path(layout, 1, "1903"), frib_path(layout, 1, "977")):
        put(path, name, empty)
    with open_traces(path) as traces:
        event = traces.read(1)
    assert event.pads.shape == (0, PAD_COLUMNS)
    assert event.ion_chamber is None
    assert event.trigger == -1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_frib_traces_may_have_any_length(
    layout: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", layout, events)
    put(path, frib_path(layout, 0, "1903"), np.arange(700 * 8, dtype=np.uint16).reshape(700, 8))
    put(path, frib_path(layout, 1, "1903"), np.arange(3000, dtype=np.uint16).reshape(3000, 1))
    with open_traces(path) as traces:
        short, narrow = traces.read(0), traces.read(1)
    assert short.mesh is not None
    np.testing.assert_array_equal(short.mesh, np.arange(700) * 8 + 1)
    assert narrow.ion_chamber is not None
    assert len(narrow.ion_chamber) == 3000
    assert narrow.mesh is narrow.silicon is None


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("register", [0, 3, 4, 17, 65535])
def test_any_register_value_is_passed_on(
    layout: str, register: int, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", layout, [replace(events[0], trigger=register)])
    with open_traces(path) as traces:
        assert traces.read(0).trigger == register


def test_silicon_detectors_of_merger_2_are_in_the_event(
    tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    silicon = {"si_upstream_front": events[1].pads, "si_downstream_back": events[2].pads}
    event = replace(events[0], get_silicon=silicon)
    with open_traces(write_layout(tmp_path / "run_0007.h5", MERGER_2, [event])) as traces:
        same(traces.read(0), event)


@pytest.mark.parametrize("dtype", [">i2", np.uint16, np.int32, np.int64, np.uint64])
def test_other_integer_types_are_read_where_the_values_fit(
    dtype: object, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", MERGER_1, events)
    put(path, pads_path(MERGER_1, 2), events[2].pads.astype(dtype))  # type: ignore[call-overload]
    with open_traces(path) as traces:
        read = traces.read(2).pads
    assert read.dtype == np.dtype(np.int16)
    np.testing.assert_array_equal(read, events[2].pads)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_aborted_file_is_read_to_its_last_event(
    layout: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", layout, events, without={"range"})
    with open_traces(path) as traces:
        assert traces.numbers.tolist() == [0, 1, 2, 3]
        assert [note for note in traces.notes if "last event is not stated" in note] == traces.notes != []
        same(traces.read(3), events[3])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_frib_only_events_beyond_the_stated_last_are_events(
    layout: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    last_two = [replace(event, pads=event.pads[:0]) for event in events[2:]]
    path = write_layout(tmp_path / "run_0007.h5", layout, [*events[:2], *last_two])
    with open_traces(path) as traces:
        assert traces.numbers.tolist() == [0, 1, 2, 3]
        assert "beyond the stated last" in traces.notes[0]
        event = traces.read(3)
    assert event.pads.shape == (0, PAD_COLUMNS)
    np.testing.assert_array_equal(event.ion_chamber, events[3].ion_chamber)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_holes_in_the_numbering_do_no_harm_and_order_is_by_number(
    layout: str, tmp_path: Path, layouts: ModuleType, write_layout: Write
) -> None:
    events = [layouts.make_event(number) for number in (100, 9, 10, 2)]
    with open_traces(write_layout(tmp_path / "run_0007.h5", layout, events)) as traces:
        assert traces.numbers.tolist() == [2, 9, 10, 100]
        same(traces.read(3), events[0])
        assert len(traces.notes) == 1
        assert "95 event number(s) between 2 and 100 are missing, 3 is the first" in traces.notes[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_that_are_no_event_are_noted(
    layout: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", layout, events)
    with h5py.File(path, "r+") as file:
        group = file["get" if layout == LEGACY else "events"]
        for name in ("event_x", "event_-1", "event_", "notes", "event_99999999999999999999"):
            group.create_group(name)
    with open_traces(path) as traces:
        assert traces.numbers.tolist() == [0, 1, 2, 3]
        assert len(traces.notes) == 1
        assert traces.notes[0].startswith("run_0007.h5: 5 object(s)")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_may_have_no_events(layout: str, tmp_path: Path, write_layout: Write) -> None:
    with open_traces(write_layout(tmp_path / "run_0007.h5", layout, [])) as traces:
        assert traces.numbers.shape == (0,)
        assert traces.numbers.dtype == np.int64
        assert traces.notes == ["run_0007.h5: there are no events"]
        assert all(len(column) == 0 for column in traces.scalers().values())


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != HARMONIZER])
def test_all_scalers_are_read(layout: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write) -> None:
    n_words = len(SCALERS.names)
    rows = [[4_000_000_000 + 100 * row + word for word in range(n_words)] for row in range(12)]
    rows[1] = [*rows[1], 7, 8, 9]
    rows[2] = rows[2][:9]
    path = write_layout(tmp_path / "run_0007.h5", layout, events, scalers=rows)
    rows[1], rows[2] = rows[1][:n_words], [*rows[2], -1, -1]
    with open_traces(path) as traces:
        columns = traces.scalers()
        assert traces.notes == []
    assert tuple(columns) == SCALERS.names
    assert {column.dtype for column in columns.values()} == {np.dtype(np.int64)}
    np.testing.assert_array_equal(np.transpose(list(columns.values())), rows)


@pytest.mark.parametrize("words", [np.arange(11.0), np.arange(11, dtype=np.uint64), np.arange(11, dtype=">i4")])
def test_scalers_may_be_stored_as_any_whole_numbers(
    words: np.ndarray, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", LEGACY, events, scalers=[[1] * 11])
    put(path, "frib/scaler/scaler0_data", words)
    with open_traces(path) as traces:
        assert [int(column[0]) for column in traces.scalers().values()] == list(range(11))


def test_an_aborted_legacy_file_may_lack_its_meta_data(
    tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", LEGACY, events)
    with h5py.File(path, "r+") as file:
        del file["meta"]
    with open_traces(path) as traces:
        assert (traces.layout, len(traces), len(traces.notes)) == ("legacy", 4, 1)
        same(traces.read(3), events[3])


def test_harmonized_files_have_no_scalers(tmp_path: Path, events: list[TraceEvent], write_layout: Write) -> None:
    with open_traces(write_layout(tmp_path / "run_0007.h5", HARMONIZER, events)) as traces:
        assert {name: len(column) for name, column in traces.scalers().items()} == dict.fromkeys(SCALERS.names, 0)


def test_legacy_scalers_end_at_the_first_that_is_absent(
    tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", LEGACY, events, scalers=[[1] * 11, [2] * 11, [3] * 11])
    with h5py.File(path, "r+") as file:
        del file["frib/scaler/scaler1_data"]
    with open_traces(path) as traces:
        assert traces.scalers()["clock_free"].tolist() == [1]


def test_a_damaged_scaler_is_an_empty_row_and_a_note(
    tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", MERGER_2, events, scalers=[[1] * 11, [2] * 11, [3] * 11])
    put(path, "scalers/event_1", np.ones((3, 3)))
    with open_traces(path) as traces:
        traces.scalers()
        assert traces.scalers()["ic_ds"].tolist() == [1, -1, 3]
        assert len(traces.notes) == 1
        assert "/scalers/event_1" in traces.notes[0]


def test_files_are_named_when_the_layout_is_not_known(
    tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", MERGER_2, events, version="libattpc_merger:3.0")
    with pytest.raises(DataError, match=r"run_0007\.h5.*events, scalers.*'libattpc_merger:3\.0'.*synchronizer:0\.1\.0"):
        open_traces(path)
    with h5py.File(path, "r+") as file:
        del file["events"].attrs["version"]
    with pytest.raises(DataError, match="`events` no version"):
        open_traces(path)
    with h5py.File(path, "w") as file:
        file["clouds"] = 1
    with pytest.raises(DataError, match=r"has groups clouds; known are"):
        open_traces(path)
    with h5py.File(path, "w") as file:
        file["two\nlines"] = 1
    with pytest.raises(DataError, match="groups two lines;"):
        open_traces(path)
    with h5py.File(path, "w") as file:
        file["events"] = 1
    with pytest.raises(DataError, match="layout of this trace file is not known"):
        open_traces(path)


@pytest.mark.parametrize(("layout", "version"), [(MERGER_2, OLD_MERGER), (MERGER_1, MERGER_2)])
def test_a_wrong_version_does_not_pass_for_events_without_pads(
    layout: str, version: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", layout, events, version=version)
    with open_traces(path) as traces, pytest.raises(RejectedEventError, match="another layout"):
        traces.read(0)


def test_files_that_are_no_hdf5_are_said_to_be_so_in_one_line(
    tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", MERGER_2, events)
    whole = path.read_bytes()
    for content in (b"", b"cobo,asad\n1,2\n" * 100, whole[:100]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"run_0007\.h5: cannot be opened as HDF5") as caught:
            open_traces(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="no such file"):
        open_traces(tmp_path / "run_0008.h5")


DAMAGED_PADS = {
    "511 samples": (np.zeros((4, 516), np.int16), r"shape \(4, 516\), must be \(pads, 517\)"),
    "one dimension": (np.zeros(517, np.int16), "shape"),
    "three dimensions": (np.zeros((2, 517, 1), np.int16), "shape"),
    "floats": (np.zeros((4, 517)), "float64, must be integers"),
    "text": (np.full((4, 517), b"a"), "must be integers"),
    "records": (np.zeros((4, 517), [("cobo", np.int16)]), "must be integers"),
    "too large": (np.full((4, 517), 40000, np.uint16), "values from 40000 to 40000, outside -32768 to 32767"),
    "too many rows": (h5py.VirtualLayout((10**6, 517), np.int16), "1000000 rows"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("damage", DAMAGED_PADS)
def test_a_damaged_event_is_rejected_with_its_reason_and_the_others_are_read(
    layout: str, damage: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", layout, events)
    data, reason = DAMAGED_PADS[damage]
    if isinstance(data, h5py.VirtualLayout):
        with h5py.File(path, "r+") as file:
            del file[pads_path(layout, 2)]
            file.create_virtual_dataset(pads_path(layout, 2), data)
    else:
        put(path, pads_path(layout, 2), data)
    with open_traces(path) as traces:
        assert traces.numbers.tolist() == [0, 1, 2, 3]
        with pytest.raises(RejectedEventError, match=f"{pads_path(layout, 2)}.*{reason}"):
            traces.read(2)
        same(traces.read(1), events[1])
        same(traces.read(3), events[3])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("module", ["1903", "977"])
@pytest.mark.parametrize("damage", ["floats", "group", "nowhere"])
def test_damaged_frib_data_reject_the_event(
    layout: str, module: str, damage: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", layout, events)
    name = frib_path(layout, 0, module)
    with h5py.File(path, "r+") as file:
        del file[name]
        if damage == "group":
            file.create_group(name)
        else:
            file[name] = np.ones((10, 8)) if damage == "floats" else h5py.SoftLink("/nowhere")
    with open_traces(path) as traces:
        with pytest.raises(RejectedEventError, match=name):
            traces.read(0)
        same(traces.read(1), events[1])


@pytest.mark.parametrize("layout", [MERGER_1, MERGER_2])
def test_data_that_cannot_be_read_back_reject_the_event(
    layout: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    """A compressed chunk with flipped bits, and an object header with flipped bits."""
    path = write_layout(tmp_path / "run_0007.h5", layout, events)
    for number in (1, 2):
        with h5py.File(path, "r+") as file:
            name = pads_path(layout, number)
            del file[name]
            dataset = file.create_dataset(
                name, data=events[number].pads, chunks=(2, 517), compression="gzip", fletcher32=True
            )
            chunk = dataset.id.get_chunk_info(0)
            header = h5py.h5o.get_info(dataset.id).addr
        start, size = (chunk.byte_offset, chunk.size) if number == 1 else (header, 64)
        content = bytearray(path.read_bytes())
        content[start : start + size] = bytes(byte ^ 0xA5 for byte in content[start : start + size])
        path.write_bytes(content)
    with open_traces(path) as traces:
        for index in (1, 2):
            with pytest.raises(RejectedEventError, match="cannot be read"):
                traces.read(index)
        same(traces.read(3), events[3])


@pytest.mark.parametrize("what", ["dataset", "nowhere"])
def test_an_event_that_is_no_group_is_rejected(
    what: str, tmp_path: Path, events: list[TraceEvent], write_layout: Write
) -> None:
    path = write_layout(tmp_path / "run_0007.h5", MERGER_2, events)
    put(path, "events/event_1", 5 if what == "dataset" else h5py.SoftLink("/nowhere"))
    with open_traces(path) as traces:
        assert traces.numbers.tolist() == [0, 1, 2, 3]
        with pytest.raises(RejectedEventError, match="event_1"):
            traces.read(1)


@pytest.mark.slow
def test_listing_many_events_opens_none_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run_0001.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("events")
        group.attrs["version"] = MERGER_2
        group.attrs["max_event"] = 49_999
        for number in range(50_000):
            group.id.links.create_hard(f"event_{number}".encode(), group.id, b".")
    opened: list[bytes] = []
    whole = h5py.h5o.open

    def watched(group: object, name: bytes, **options: object) -> object:
        opened.append(name)
        return whole(group, name, **options)

    monkeypatch.setattr(h5py.h5o, "open", watched)
    with open_traces(path) as traces:
        assert len(traces) == 50_000
        np.testing.assert_array_equal(traces.numbers, np.arange(50_000))
        assert set(opened) <= {b"/", b"events"}
        traces.read(0)
        assert b"event_0" in opened


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_events(
    tmp_path: Path, layouts: ModuleType, write_layout: Write
) -> None:
    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    if not Path("/proc/self/statm").exists():
        pytest.skip("the memory of a process is read from /proc")
    event = replace(layouts.make_event(0, n_pads=1), ion_chamber=None)
    path = write_layout(tmp_path / "run_0007.h5", MERGER_2, [replace(event, number=number) for number in range(3000)])
    with open_traces(path) as traces:
        for index in range(300):
            traces.read(index)
        before = resident()
        for index in range(300, 3000):
            traces.read(index)
        assert resident() - before < 20
