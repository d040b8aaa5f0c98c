"""What the writer writes is what the reader reads, byte for byte the same each time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

from spyral_core import store
from spyral_core.errors import DataError
from spyral_core.tables import SCALERS
from spyral_core.traces.event import SILICON_DETECTORS, TraceEvent
from spyral_core.traces.file import open_traces
from spyral_core.traces.writer import TraceWriter

SCALER_ROWS = [[10 * row + word for word in range(11)] for row in range(3)]


def physics(event: TraceEvent) -> np.ndarray:
    assert event.ion_chamber is not None
    assert event.mesh is not None
    assert event.silicon is not None
    traces = np.zeros((len(event.ion_chamber), 8), np.int64)
    traces[:, 0], traces[:, 1], traces[:, 2] = event.ion_chamber, event.mesh, event.silicon
    return traces


def write(path: Path, events: list[TraceEvent]) -> Path:
    with TraceWriter(path, run=7, lineage={"stage": "simulate", "run": 7}) as writer:
        for event in events:
            writer.write_event(
                event.number,
                event.pads,
                physics(event),
                event.trigger,
                timestamp=event.get_timestamp,
                timestamp_other=event.get_timestamp_other,
                frib_timestamp=event.frib_timestamp,
                silicon=event.get_silicon,
            )
        writer.write_scalers(SCALER_ROWS)
    return path


def test_events_and_scalers_come_back(tmp_path: Path, layouts: ModuleType) -> None:
    events = [layouts.make_event(number) for number in range(3)]
    with open_traces(write(tmp_path / "run_0007.h5", events)) as traces:
        assert traces.layout == "libattpc_merger:2.0"
        assert traces.notes == []
        for index, event in enumerate(events):
            read = traces.read(index)
            for name, value in vars(event).items():
                np.testing.assert_array_equal(getattr(read, name), value, err_msg=name)
        np.testing.assert_array_equal(np.transpose([traces.scalers()[name] for name in SCALERS.names]), SCALER_ROWS)


def test_the_file_is_as_the_merger_writes_it(tmp_path: Path, layouts: ModuleType) -> None:
    path = write(tmp_path / "run_0007.h5", [layouts.make_event(number) for number in range(3)])
    with h5py.File(path) as file:
        attributes = dict(file["events"].attrs)
        assert attributes["version"] == "libattpc_merger:2.0"
        assert (attributes["min_event"], attributes["max_event"], attributes["frib_run"]) == (0, 2, 7)
        assert (attributes["min_get_ts"], attributes["max_get_ts"]) == (10**12, 10**12 + 2)
        event = file["events/event_1"]
        assert set(event["get"]) == {"pads", *SILICON_DETECTORS}
        assert event["get"].attrs["id"] == event["frib_physics"].attrs["id"] == 1
        pads, traces = event["get/pads"], event["frib_physics/1903"]
        assert (pads.dtype, pads.shape) == (np.int16, (4, 517))
        assert (traces.dtype, traces.shape) == (np.uint16, (2048, 8))
        assert (event["frib_physics/977"].dtype, event["frib_physics/977"].shape) == (np.uint16, (1,))
        assert all(dataset.chunks is None and dataset.compression is None for dataset in (pads, traces))
        assert set(file["scalers/event_2"].attrs) == {"start_offset", "stop_offset", "timestamp", "incremental"}
        assert json.loads(file.attrs["lineage"]) == {"stage": "simulate", "run": 7}
    assert store.read_lineage(path) == {"stage": "simulate", "run": 7}


def test_pieces_that_were_not_recorded_are_not_written(tmp_path: Path, layouts: ModuleType) -> None:
    event = layouts.make_event(0)
    with TraceWriter(tmp_path / "run_0007.h5") as writer:
        writer.write_event(0, event.pads)
        writer.write_event(1, None, physics(event), 2)
        writer.write_event(2, None)
        writer.write_event(3, None, silicon={"si_upstream_back": event.pads})
    with open_traces(tmp_path / "run_0007.h5") as traces:
        only_get, only_frib, nothing, only_silicon = (traces.read(index) for index in range(4))
    assert (only_get.ion_chamber, only_get.trigger, only_get.frib_id) == (None, -1, -1)
    assert (len(only_frib.pads), only_frib.trigger, only_frib.get_id) == (0, 2, -1)
    assert (len(nothing.pads), nothing.mesh, nothing.trigger) == (0, None, -1)
    assert list(only_silicon.get_silicon) == ["si_upstream_back"]


def test_the_same_events_give_the_same_bytes(tmp_path: Path, layouts: ModuleType) -> None:
    events = [layouts.make_event(number) for number in range(20)]
    first = write(tmp_path / "a" / "run_0007.h5", events).read_bytes()
    time.sleep(1.1)  # HDF5 keeps times in whole seconds
    assert write(tmp_path / "b" / "run_0007.h5", events).read_bytes() == first


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path, layouts: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="detector on fire"), TraceWriter(tmp_path / "run_0007.h5") as writer:
        writer.write_event(0, layouts.make_event(0).pads)
        raise RuntimeError("detector on fire")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind_when_closing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(TraceWriter, "_finish", disk_full)
    with pytest.raises(DataError, match="cannot be written: no space"), TraceWriter(tmp_path / "run_0007.h5") as writer:
        writer.write_event(0, None, register=1)
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_the_layout_is_refused(tmp_path: Path, layouts: ModuleType) -> None:
    pads = layouts.make_event(0).pads
    with TraceWriter(tmp_path / "run_0007.h5") as writer:
        for number, (arguments, silicon) in enumerate(
            [
                ((pads[:, :516],), None),
                ((pads.astype(np.float64),), None),
                ((pads.astype(np.int64) + 40000,), None),
                ((pads, np.full((10, 8), -1)), None),
                ((pads, np.zeros(10, np.int64)), None),
                ((pads, None, 1 << 16), None),
                ((pads,), {"si_left": pads}),
            ]
        ):
            with pytest.raises(ValueError, match=r"shape|integers|fit|detectors"):
                writer.write_event(number, *arguments, silicon=silicon)
        with pytest.raises(ValueError, match="negative"):
            writer.write_event(-1, pads)
        writer.write_event(100, pads)
        with pytest.raises(ValueError, match="exists"):
            writer.write_event(100, pads)
    with open_traces(tmp_path / "run_0007.h5") as traces:
        assert traces.numbers.tolist() == [100]
