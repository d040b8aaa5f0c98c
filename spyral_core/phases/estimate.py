"""Clusters to first estimates of vertex, angles, Bρ and energy loss: docs/estimate.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core import store, tables
from spyral_core.errors import DataError, RejectedEventError
from spyral_core.fitting.geometry import Estimate, Settings, estimate_track
from spyral_core.fitting.spiral_search import Volume
from spyral_core.runner import Files, Product

_READ_EVENTS = 32  # events whose points are read at once
_LAST_SAMPLE = 511  # number of the last of a trace's time buckets
_USED = ("x", "y", "z", "charge", "scale")
_OF_EVENT = ("event", "orig_run", "orig_event", "ic_amplitude", "ic_centroid", "ic_integral", "ic_multiplicity")


@dataclass(frozen=True)
class Cluster:
    """One cluster: its number and label, its direction (0, 1, -1 not known), and its points as columns (n,)."""

    index: int
    label: int
    direction: int
    points: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ClusteredEvent:
    """An event's row of the event table, and its clusters."""

    event: dict[str, Any]
    clusters: list[Cluster]


class ClusterSource:
    """The clusters of a run, event by event; points are read for many events at a time."""

    def __init__(self, reader: store.TableReader) -> None:
        self._reader = reader
        events, clusters = reader.read("events"), reader.read("clusters")
        self.numbers: NDArray[np.int64] = events["event"]
        ends = events["first_cluster"] + events["n_clusters"]
        point_ends = np.append(0, clusters["first_point"] + clusters["n_points"])
        if (len(ends) and ends[-1] > len(clusters["event"])) or point_ends[-1] > reader.n_rows("points"):
            raise DataError(f"{reader.path}: its tables tell of more rows than there are: make the file again")
        # one value of a list takes a third of the time of one of an array
        self._events = {name: values.tolist() for name, values in events.items()}
        self._clusters = {name: values.tolist() for name, values in clusters.items()}
        self._ends, self._point_ends = ends.tolist(), point_ends.tolist()
        self._block, self._first_row = -1, 0
        self._points: dict[str, NDArray[Any]] = {}

    def read(self, index: int) -> ClusteredEvent:
        if index // _READ_EVENTS != self._block:
            self._read_block(index // _READ_EVENTS)
        event = {name: self._events[name][index] for name in _OF_EVENT}
        rows = range(self._events["first_cluster"][index], self._ends[index])
        return ClusteredEvent(event, [self._cluster(row) for row in rows])

    def _read_block(self, block: int) -> None:
        first = block * _READ_EVENTS
        last = min(first + _READ_EVENTS, len(self.numbers)) - 1
        self._first_row = self._point_ends[self._events["first_cluster"][first]]
        n_rows = self._point_ends[self._ends[last]] - self._first_row
        self._points = self._reader.read("points", self._first_row, n_rows, _USED)
        self._block = block

    def _cluster(self, row: int) -> Cluster:
        clusters = self._clusters
        first = clusters["first_point"][row] - self._first_row
        rows = slice(first, first + clusters["n_points"][row])
        return Cluster(
            clusters["cluster_index"][row],
            clusters["label"][row],
            clusters["direction"][row],
            {name: values[rows] for name, values in self._points.items()},
        )


@contextmanager
def open_source(files: Files, _: SimpleNamespace) -> Iterator[ClusterSource]:
    with store.TableReader(files["cluster"]) as reader:
        yield ClusterSource(reader)


def prepare(_: Files, parameters: SimpleNamespace) -> Settings:
    detector = parameters.detector
    drift = detector.window_time_bucket - detector.micromegas_time_bucket
    first_z = detector.detector_length * (detector.window_time_bucket - _LAST_SAMPLE) / drift
    return Settings(
        magnetic_field=detector.magnetic_field,
        volume=Volume(max(first_z, 0.0), detector.detector_length, detector.beam_region_radius),
        min_points=parameters.estimate.min_total_trajectory_points,
        penalty=parameters.estimate.smoothing_factor,
    )


def process(event: ClusteredEvent, settings: Settings) -> Product:
    """One row for each cluster that can be estimated; the others are rejected, each with its reason."""
    estimates: list[Estimate] = []
    used: list[Cluster] = []
    rejected: list[tuple[int, str]] = []
    for cluster in event.clusters:
        points = cluster.points
        try:
            estimate = estimate_track(
                np.array((points["x"], points["y"], points["z"])),
                points["charge"],
                points["scale"],
                cluster.direction,
                settings,
            )
        except RejectedEventError as reason:
            rejected.append((cluster.index, str(reason)))
            continue
        estimates.append(estimate)
        used.append(cluster)
    columns = {name: [value] * len(used) for name, value in event.event.items()}
    columns["cluster_index"] = [cluster.index for cluster in used]
    columns["cluster_label"] = [cluster.label for cluster in used]
    for place, name in enumerate(Estimate._fields):
        columns[name] = [estimate[place] for estimate in estimates]
    return Product({tables.ESTIMATES.name: columns}, rejected, {"clusters": len(event.clusters)})
