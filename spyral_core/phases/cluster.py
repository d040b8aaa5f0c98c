"""Point clouds to clusters, one a particle: docs/cluster.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core import store, tables
from spyral_core.clustering.beam_like import beam_like
from spyral_core.clustering.continuity_join import continuity_join
from spyral_core.clustering.grouping import drop_small
from spyral_core.clustering.hdbscan import hdbscan
from spyral_core.clustering.outliers import drop_outliers, list_clusters
from spyral_core.clustering.overlap_join import overlap_join
from spyral_core.clustering.pick_up import pick_up
from spyral_core.clustering.smooth_join import smooth_join
from spyral_core.clustering.tails import cut_tails
from spyral_core.errors import DataError, RejectedEventError
from spyral_core.runner import Files, Product

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LOOSE = 1.5  # times its root mean square may a point of a track be off
_READ_EVENTS = 32  # events whose points are read at once
_USED = ("x", "y", "z", "integral", "scale", "pad", "pulse")
_KEPT = [column.name for column in tables.CLUSTER_EVENTS.columns if column.name not in ("first_cluster", "n_clusters")]


@dataclass(frozen=True)
class Cloud:
    """The point cloud of one event: its row of the event table, and its points as columns (n,)."""

    event: dict[str, Any]
    points: dict[str, NDArray[Any]]


class CloudSource:
    """The point clouds of a run; points are read for many events at a time."""

    def __init__(self, reader: store.TableReader) -> None:
        self._reader = reader
        self._events = reader.read("events")
        self._ends = self._events["first_point"] + self._events["n_points"]
        if len(self._ends) and self._ends[-1] > reader.n_rows("points"):
            raise DataError(f"{reader.path}: the event table tells of more points than there are: make the file again")
        self.numbers: Integers = self._events["event"]
        self._block, self._first_row = -1, 0
        self._points: dict[str, NDArray[Any]] = {}

    def read(self, index: int) -> Cloud:
        if index // _READ_EVENTS != self._block:
            self._block = index // _READ_EVENTS
            first = self._block * _READ_EVENTS
            last = min(first + _READ_EVENTS, len(self.numbers)) - 1
            self._first_row = int(self._events["first_point"][first])
            self._points = self._reader.read("points", self._first_row, int(self._ends[last]) - self._first_row, _USED)
        rows = slice(
            int(self._events["first_point"][index]) - self._first_row, int(self._ends[index]) - self._first_row
        )
        return Cloud(
            {name: self._events[name][index] for name in _KEPT},
            {name: values[rows] for name, values in self._points.items()},
        )


@contextmanager
def open_source(files: Files, parameters: SimpleNamespace) -> Iterator[CloudSource]:
    """The point clouds of a run."""
    with store.TableReader(files["pointcloud"]) as reader:
        yield CloudSource(reader)


def prepare(files: Files, parameters: SimpleNamespace) -> SimpleNamespace:
    """The section `cluster` of the configuration."""
    section: SimpleNamespace = parameters.cluster
    return section


def process(cloud: Cloud, parameters: SimpleNamespace) -> Product:
    """Clusters of one cloud, in the order of their lowest points; the points of each in ascending z."""
    columns = cloud.points
    # all that follows sees the points in this order, so that their order in the file changes nothing
    order = in_order(columns["x"], columns["y"], columns["z"], columns["integral"])
    points = np.empty((len(order), 3))
    for axis, name in enumerate(("x", "y", "z")):
        points[:, axis] = columns[name][order]
    if not np.isfinite(points).all():
        raise RejectedEventError("the point cloud holds positions that are not numbers")
    charge = columns["integral"][order] / columns["scale"][order]
    labels = np.full(len(order), -1)
    across = np.flatnonzero(~beam_like(points, columns["pad"][order], columns["pulse"][order]))
    labels[across] = find_clusters(points[across], charge[across], parameters)
    names, sizes, directions, chosen = list_clusters(points, labels, parameters.direction_threshold)
    rows = order[chosen]
    return Product(
        {
            "events": {**cloud.event, "n_clusters": len(names)},
            "clusters": {
                "event": np.full(len(names), cloud.event["event"]),
                "cluster_index": np.arange(len(names)),
                "label": names,
                "direction": directions,
                "n_points": sizes,
            },
            "points": {
                "x": columns["x"][rows],
                "y": columns["y"][rows],
                "z": columns["z"][rows],
                "charge": columns["integral"][rows],
                "scale": columns["scale"][rows],
                "pad": columns["pad"][rows],
                "cloud_point": rows,
                "pulse": columns["pulse"][rows],
            },
        }
    )


def in_order(x: Floats, y: Floats, z: Floats, integral: Floats) -> Integers:
    """Order (n,) of points by z, x, y, integral."""
    order: Integers = np.argsort(z, kind="stable")
    ordered = z[order]
    if (ordered[1:] == ordered[:-1]).any():  # seldom: sorting by four keys takes four times as long
        order = np.lexsort((integral, y, x, z))
    return order


def find_clusters(points: Floats, charge: Floats, parameters: SimpleNamespace) -> Integers:
    """Label (n,) of each point (n, 3) [mm], sorted by z, with charges (n,) per pad size; −1 is noise.

    Clouds that are too small are all noise.
    """
    n_points = len(points)
    if n_points < parameters.min_cloud_size:
        return np.full(n_points, -1)
    hdbscan_ = parameters.hdbscan
    labels: Integers = hdbscan(
        points * np.array([1.0, 1.0, parameters.z_scale]),
        max(int(hdbscan_.min_size_scale_factor * n_points), hdbscan_.min_size_lower_cutoff),
        hdbscan_.min_points,
        hdbscan_.cluster_selection_epsilon,
    )
    labels = cut_tails(points, labels)
    labels = drop_outliers(points, labels, parameters.z_scale, parameters.outlier_scale_factor)
    if (smooth := parameters.smooth_join) is not None:
        labels = smooth_join(points, charge, labels, smooth.max_gap, smooth.tolerance)
    if (overlap := parameters.overlap_join) is not None:
        labels = overlap_join(points, labels, overlap.min_cluster_size_join, overlap.circle_overlap_ratio)
    elif (continuity := parameters.continuity_join) is not None:
        labels = continuity_join(
            points,
            labels,
            continuity.join_radius_fraction,
            continuity.join_z_fraction,
            parameters.direction_threshold,
        )
    labels = drop_small(labels, hdbscan_.min_size_lower_cutoff)
    if smooth is not None:
        labels = pick_up(points, labels, smooth.max_gap, _LOOSE * smooth.tolerance)
    return labels
