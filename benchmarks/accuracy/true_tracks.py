"""Which results belong to which true particle: by the cluster's points, whatever the fit made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.spatial import KDTree

from spyral_core import paths, store
from spyral_core.bound.scan import START
from spyral_core.config import Configuration
from spyral_core.physics.gas import load_gas
from spyral_core.physics.motion import dense, motion_of, trajectory

NEAR, SPACING = 30.0, 5.0  # mm: scattering moves the ends of long spirals by as much
OWN_SHARE = 1.0 / 3  # of a cluster's points that must lie near the true trajectory


def own_clusters(truth: pl.DataFrame, results: Path, paths_of: Mapping[int, NDArray[np.float64]]) -> pl.DataFrame:
    """The clusters (event, cluster_index) of which a third of the points or more lie near a true particle's path.

    `truth`: at most one particle an event; `paths_of` events: positions [mm] along it, some `SPACING` apart.
    """
    trees = {event: KDTree(paths_of[event]) for event in truth["event"].to_list()}
    found = []
    with store.TableReader(paths.product(results, "cluster", 1)) as reader:
        clusters = reader.read("clusters")
        columns = ("event", "cluster_index", "first_point", "n_points")
        for event, index, first, number in zip(*(clusters[name].tolist() for name in columns), strict=True):
            if event in trees:
                points = reader.read("points", first, number)
                places = np.column_stack([points[axis] for axis in "xyz"])
                distance, _ = trees[event].query(places, distance_upper_bound=NEAR)
                if np.mean(np.isfinite(distance)) >= OWN_SHARE:
                    found.append((event, index))
    return pl.DataFrame(found, schema={"event": pl.Int64, "cluster_index": pl.Int64}, orient="row")


def true_paths(
    truth: pl.DataFrame, species: tuple[int, int], configuration: Configuration
) -> dict[int, NDArray[np.float64]]:
    """Positions [mm] along the particles of a truth table, by event: from their starts, without scattering."""
    simulation = configuration.simulate
    assert simulation is not None
    detector = simulation.detector
    motion = motion_of(load_gas(simulation.gas), *species, detector.magnetic_field, detector.electric_field)
    volume = (detector.detector_radius, 0.0, detector.detector_length)
    found = {}
    for event, *start in truth.select("event", *START).iter_rows():
        path, states, _ = trajectory(motion, np.array(start), volume)
        found[event] = dense(path, states, SPACING)
    return found
