"""Long runs from few simulated events: what is simulated once is read many times."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

SAMPLES = 517


def repeated(source: Path, target: Path, events: int) -> Path:
    """A run of copies of the events of another, again and again."""
    target.unlink(missing_ok=True)
    with h5py.File(source) as real, h5py.File(target, "w") as file:
        group = file.create_group("events")
        group.attrs["version"] = real["events"].attrs["version"]
        originals = [real["events"][name] for name in real["events"]]
        for number in range(events):
            real.copy(originals[number % len(originals)], group, f"event_{number}")
        group.attrs["min_event"], group.attrs["max_event"] = 0, events - 1
    return target


def sparse(source: Path, target: Path, gigabytes: float, every: int = 20) -> int:
    """A run of a given size of which most was never written: one event in `every` is real, the others are zeros.

    Each event has its own groups and datasets, so a reader has as much to look after as with a real file of this
    size. Returns the number of events.
    """
    target.unlink(missing_ok=True)
    with h5py.File(source) as real, h5py.File(target, "w") as file:
        group = file.create_group("events")
        group.attrs["version"] = "libattpc_merger:1.0"
        originals = [real["events"][name] for name in real["events"]]
        traces = int(np.mean([len(event["get_traces"]) for event in originals]))
        number, written = 0, 0
        while written < gigabytes * 1e9:
            original = originals[number % len(originals)]
            if number % every:
                event = group.create_group(f"event_{number}")
                written += _unwritten(event, "get_traces", (traces, SAMPLES), h5t.STD_I16LE)
                frib = event.create_group("frib_physics")
                for name, dataset in original["frib_physics"].items():
                    written += _unwritten(frib, name, dataset.shape, h5t.STD_U16LE)
            else:
                real.copy(original, group, f"event_{number}")
                written += original["get_traces"].nbytes
            number += 1
        group.attrs["min_event"], group.attrs["max_event"] = 0, number - 1
    return number


def _unwritten(group: h5py.Group, name: str, shape: tuple[int, ...], kind: h5t.TypeID) -> int:
    """A contiguous dataset that has its place in the file but was never written; returns its bytes."""
    plan = h5p.create(h5p.DATASET_CREATE)
    plan.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5d.FILL_TIME_NEVER)
    dataset = h5d.create(group.id, name.encode(), kind, h5s.create_simple(shape), dcpl=plan)
    return int(np.prod(shape)) * int(dataset.get_type().get_size())
