"""Broken tracks are joined, whatever the order of their pieces; what only looks alike is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from spyral_core.clustering.continuity_join import continuity_join
from spyral_core.clustering.grouping import label_limit, merge_linked
from spyral_core.clustering.overlap_join import common_area, overlap_join


def spiral(polar: float, turns: float, radius: float, azimuth: float, vertex_z: float = 300.0) -> np.ndarray:
    """Points every 3 mm of a positive particle from the beam axis, B along −z; the radius shrinks to 60 %."""
    turn = np.arange(0.0, 2 * math.pi * turns, 3.0 / radius)
    shrinking = radius * (1 - 0.4 * turn / turn[-1])
    centre = radius * np.array([-math.cos(azimuth), -math.sin(azimuth)])
    x = centre[0] + shrinking * np.cos(azimuth + turn)
    y = centre[1] + shrinking * np.sin(azimuth + turn)
    return np.column_stack([x, y, vertex_z + 0.8 * np.cumsum(np.full(len(turn), 3.0)) / math.tan(polar)])


def in_pieces(points: np.ndarray, n_pieces: int, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """A track with gaps [mm] in its path; the points, sorted by z, and a label for each piece."""
    pieces = np.array_split(np.arange(len(points)), n_pieces)
    kept = [piece[: -int(gap / 3)] for piece in pieces[:-1]] + [pieces[-1]]
    labels = np.repeat(np.arange(n_pieces), [len(piece) for piece in kept])
    points = points[np.concatenate(kept)]
    order = np.argsort(points[:, 2], kind="stable")
    return np.ascontiguousarray(points[order]), labels[order]


def together(*tracks: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    points, labels, limit = [], [], 0
    for track, of_track in tracks:
        points.append(track)
        labels.append(of_track + limit)
        limit += of_track.max() + 1
    everything = np.concatenate(points)
    order = np.argsort(everything[:, 2], kind="stable")
    return np.ascontiguousarray(everything[order]), np.concatenate(labels)[order]


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels[labels >= 0].tolist())}


JOINS = {
    "continuity": lambda points, labels: continuity_join(points, labels, 0.3, 0.2, 0.5),
    "overlap": lambda points, labels: overlap_join(points, labels, 15, 0.5),
}


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
@pytest.mark.parametrize("polar", [40.0, 75.0, 105.0, 140.0])
@pytest.mark.parametrize("n_pieces", [2, 3, 5])
def test_a_broken_spiral_becomes_whole(join, polar: float, n_pieces: int) -> None:  # type: ignore[no-untyped-def]
    points, labels = in_pieces(spiral(math.radians(polar), 2.0, 90.0, 1.0), n_pieces, 45.0)
    assert set(join(points, labels)) == {0}


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_noise_stays_noise_and_one_cluster_itself(join) -> None:  # type: ignore[no-untyped-def]
    points = spiral(1.0, 1.0, 80.0, 0.3)
    labels = np.zeros(len(points), np.int64)
    labels[::7] = -1
    assert (join(points, labels) == labels).all()
    assert (join(points, np.full(len(points), -1)) == -1).all()
    assert len(join(points[:0], labels[:0])) == 0


@pytest.mark.parametrize("join", JOINS.values(), ids=JOINS)
def test_the_order_of_clusters_has_no_influence(join) -> None:  # type: ignore[no-untyped-def]
    points, labels = together(
        in_pieces(spiral(1.2, 2.0, 90.0, 1.0), 4, 45.0), in_pieces(spiral(0.9, 1.5, 60.0, -2.0), 3, 40.0)
    )
    expected = partition(join(points, labels))
    assert len(expected) == 2
    random = np.random.default_rng(0)
    for _ in range(20):
        assert partition(join(points, random.permutation(7)[labels])) == expected


def test_continuity_keeps_a_forward_and_a_backward_track_of_one_vertex_apart() -> None:
    """The upper end of the one is the lower end of the other, but they turn differently along z."""
    points, labels = together(
        in_pieces(spiral(math.radians(60), 1.0, 90.0, 1.0), 1, 0.0),
        in_pieces(spiral(math.radians(130), 1.0, 80.0, 0.5), 1, 0.0),
    )
    assert len(partition(continuity_join(points, labels, 0.3, 0.2, 0.5))) == 2


def test_continuity_keeps_tracks_on_opposite_sides_of_the_beam_apart() -> None:
    """Both turn the same way, and the one ends in z where the other begins; but about different centres."""
    first = spiral(math.radians(70), 1.0, 60.0, 0.0, vertex_z=100.0)
    second = spiral(math.radians(70), 1.0, 60.0, math.pi, vertex_z=first[-1, 2] + 5)
    points, labels = together(in_pieces(first, 1, 0.0), in_pieces(second, 1, 0.0))
    assert len(partition(continuity_join(points, labels, 0.3, 0.2, 0.5))) == 2


def test_continuity_does_not_bridge_more_than_its_limits() -> None:
    points, labels = in_pieces(spiral(math.radians(60), 2.0, 90.0, 1.0), 2, 45.0)
    assert len(partition(continuity_join(points, labels, 0.3, 0.2, 0.5))) == 1
    assert len(partition(continuity_join(points, labels, 0.3, 0.01, 0.5))) == 2
    assert len(partition(continuity_join(points, labels, 0.01, 0.2, 0.5))) == 2


def test_overlap_leaves_small_and_separate_clusters_alone() -> None:
    points, labels = in_pieces(spiral(1.2, 2.0, 90.0, 1.0), 2, 45.0)
    fewest = np.bincount(labels).min()
    assert len(partition(overlap_join(points, labels, fewest, 0.5))) == 1
    assert len(partition(overlap_join(points, labels, fewest + 1, 0.5))) == 2
    apart = together(in_pieces(spiral(1.2, 1.0, 60.0, 0.0), 1, 0.0), in_pieces(spiral(1.2, 1.0, 60.0, math.pi), 1, 0.0))
    assert len(partition(overlap_join(*apart, 15, 0.5))) == 2


@pytest.mark.parametrize("seed", range(6))
def test_common_area_of_circles_is_that_of_a_raster(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(20):
        r1, r2 = random.uniform(5, 60, 2)
        distance = random.uniform(0, 1.1 * (r1 + r2))
        x, y = np.meshgrid(np.arange(-60, 60, 0.25) + 0.125, np.arange(-60, 60, 0.25) + 0.125)
        both = (np.hypot(x, y) < r1) & (np.hypot(x - distance, y) < r2)
        assert common_area(distance, r1, r2) == pytest.approx(both.sum() * 0.0625, abs=8.0)
        assert common_area(distance, r1, r2) == pytest.approx(common_area(distance, r2, r1), rel=1e-12)


def test_common_area_at_its_limits() -> None:
    assert common_area(50.0, 20.0, 30.0) == 0.0
    assert common_area(10.0, 20.0, 30.0) == pytest.approx(math.pi * 400)
    assert common_area(0.0, 20.0, 20.0) == pytest.approx(math.pi * 400)
    assert math.isnan(common_area(math.nan, math.nan, 20.0))


@pytest.mark.parametrize("seed", range(10))
def test_merging_is_by_connected_components(seed: int) -> None:
    random = np.random.default_rng(seed)
    n_labels = int(random.integers(1, 12))
    linked = random.random((n_labels, n_labels)) < 0.15
    labels = random.integers(-1, n_labels, 60)
    merged = merge_linked(labels, linked)
    component = connected_components(linked, directed=False)[1]
    smallest = np.array([np.flatnonzero(component == component[label])[0] for label in range(n_labels)])
    assert (merged == np.where(labels >= 0, smallest[labels], -1)).all()
    assert label_limit(labels) == labels.max() + 1
