"""HDBSCAN against a slow, obvious twin, and against scikit-learn where that is defined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import cdist

from spyral_core.clustering.hdbscan import hdbscan
from spyral_core.clustering.linkage import single_linkage
from spyral_core.clustering.neighbours import neighbourhoods
from spyral_core.clustering.spanning_tree import spanning_tree

Floats = NDArray[np.float64]


def sorted_by_z(points: Floats) -> Floats:
    return np.ascontiguousarray(points[np.lexsort(points.T)])


def arcs_and_noise(seed: int, size: int) -> Floats:
    """Some arcs with scatter and a third of noise, of about `size` points."""
    random = np.random.default_rng(seed)
    parts = [random.uniform(-200, 200, (max(size // 3, 1), 3))]
    n_arcs = int(random.integers(1, 5))
    for _ in range(n_arcs):
        turn = np.sort(random.uniform(0, 6, max(2 * size // (3 * n_arcs), 1)))
        centre, radius = random.normal(0, 60, 3), random.uniform(5, 100)
        arc = np.column_stack([radius * np.cos(turn), radius * np.sin(turn), 40 * turn])
        parts.append(centre + arc + random.normal(0, random.uniform(0.1, 6), arc.shape))
    return sorted_by_z(np.concatenate(parts))


def on_lattice(seed: int, size: int) -> Floats:
    """As before, moved to a cubic lattice of 5 mm, each place taken once: full of equal distances."""
    return sorted_by_z(np.unique(np.rint(arcs_and_noise(seed, size) / 5) * 5, axis=0))


def named_by_first(labels: NDArray[Any]) -> list[int]:
    """Labels renamed 0, 1, … in the order in which they first occur; noise stays −1."""
    names: dict[int, int] = {-1: -1}
    return [names.setdefault(int(label), len(names) - 1) for label in labels]


# --- the twin -------------------------------------------------------------------------------------------------------


@dataclass
class Node:
    """A cluster of the condensed tree."""

    birth: float
    parent: Node | None
    stability: float = 0.0
    children: list[Node] = field(default_factory=list)


def reachability(points: Floats, min_points: int) -> Floats:
    distances = cdist(points, points)
    core = np.sort(distances, axis=1)[:, min(min_points, len(points)) - 1]
    reach = np.maximum(np.maximum(distances, core[:, None]), core[None, :])
    return np.maximum(np.rint(reach / 1e-6), 1) * 1e-6


def naive_hdbscan(points: Floats, min_size: int, min_points: int, epsilon: float) -> list[int]:
    """Campello's definition, by cutting the graph of mutual reachability at each length again."""
    reach = reachability(points, min_points)
    owner: list[Node | None] = [None] * len(points)
    fall_off = np.zeros(len(points))

    def grow(members: NDArray[np.int64], node: Node) -> None:
        while True:
            graph = reach[np.ix_(members, members)]
            longest = minimum_spanning_tree(graph).max()
            density = 1 / longest
            cut = (graph < longest) & ~np.eye(len(members), dtype=bool)
            n_pieces, of_piece = connected_components(cut, directed=False)
            pieces = [members[of_piece == piece] for piece in range(n_pieces)]
            large = [piece for piece in pieces if len(piece) >= min_size]
            for piece in pieces:
                if len(piece) < min_size:
                    fall_off[piece] = density
                    for point in piece:
                        owner[point] = node
                if len(piece) < min_size or len(large) > 1:
                    node.stability += len(piece) * (density - node.birth)
            if len(large) == 1:
                members = large[0]
                continue
            for piece in large:
                child = Node(density, node)
                node.children.append(child)
                grow(piece, child)
            return

    def best(node: Node) -> tuple[float, list[Node]]:
        below = [best(child) for child in node.children]
        total = sum(value for value, _ in below)
        return (
            (total, [c for _, chosen in below for c in chosen]) if total > node.stability else (node.stability, [node])
        )

    root = Node(0.0, None)
    grow(np.arange(len(points)), root)
    chosen = []
    for node in best(root)[1]:
        while node.parent is not None and node.birth > 0 and 1 / node.birth < epsilon:
            node = node.parent  # noqa: PLW2901
        chosen.append(id(node))
    furthest = np.inf
    if id(root) in chosen:
        furthest = 3 * float(np.median(1 / fall_off))
        if epsilon > 0:
            furthest = float(np.clip(furthest, epsilon, 3 * epsilon))
        if np.sum(fall_off >= 1 / furthest) < min_size:
            return [-1] * len(points)
    labels = []
    for point in range(len(points)):
        at = owner[point]
        while at is not None and id(at) not in chosen:
            at = at.parent
        labels.append(-1 if at is None or fall_off[point] < 1 / furthest else id(at))
    return named_by_first(np.array(labels))


@pytest.mark.parametrize("make", [arcs_and_noise, on_lattice])
@pytest.mark.parametrize("epsilon", [0.0, 6.0, 10.0, 30.0])
def test_labels_are_those_of_the_twin(make: Any, epsilon: float) -> None:
    kinds = set()
    for seed in range(12):
        random = np.random.default_rng(seed)
        points = make(seed, int(random.integers(20, 110)))
        min_size, min_points = int(random.integers(2, 12)), int(random.integers(1, 7))
        labels = hdbscan(points, min_size, min_points, epsilon)
        assert labels.tolist() == naive_hdbscan(points, min_size, min_points, epsilon), (seed, min_size, min_points)
        kinds.add(labels.max())
    assert len(kinds) > 2, "the clouds were too much alike"


def test_labels_are_those_of_scikit_learn_where_no_lengths_are_equal() -> None:
    """With a core distance from more than two points lengths are equal, and scikit-learn's labels depend on the order.

    Without a threshold, because its search for one fails with recent numpy.
    """
    sklearn_cluster = pytest.importorskip("sklearn.cluster")
    several = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        points = arcs_and_noise(seed, int(random.integers(30, 250)))
        min_size, min_points = int(random.integers(2, 20)), int(random.integers(1, 3))
        theirs = sklearn_cluster.HDBSCAN(
            min_size, min_samples=min_points, allow_single_cluster=True, copy=True
        ).fit_predict(points)
        ours = hdbscan(points, min_size, min_points, 0.0)
        if theirs.max() > 0:
            several += 1
            assert ours.tolist() == named_by_first(theirs), seed
        else:  # the whole cloud: scikit-learn keeps its densest points only
            assert ours.max() == 0
            assert (ours[theirs == 0] == 0).all()
    assert several > 20


def test_the_order_of_points_has_no_influence() -> None:
    """Points of one z in another order, on a lattice where many lengths are equal."""
    random = np.random.default_rng(5)
    for seed in range(10):
        points = on_lattice(seed, 200)
        labels = hdbscan(points, 8, 3, 10.0)
        order = np.lexsort((random.permutation(len(points)), points[:, 2]))
        assert named_by_first(hdbscan(np.ascontiguousarray(points[order]), 8, 3, 10.0)) == named_by_first(labels[order])


def test_two_tracks_are_two_clusters_and_far_points_noise() -> None:
    z = np.arange(0.0, 60.0, 2.0)
    one, two = np.column_stack([z, 0 * z, z]), np.column_stack([-z - 60, 0 * z, z])
    far = np.array([[500.0, 500.0, 0.0], [-500.0, 300.0, 30.0]])
    points = np.concatenate([one, two, far])
    order = np.lexsort(points.T)
    labels = np.empty(len(points), int)
    labels[order] = hdbscan(np.ascontiguousarray(points[order]), 10, 3, 10.0)
    assert len(set(labels[:30])) == len(set(labels[30:60])) == 1
    assert labels[0] != labels[30]
    assert labels[60:].tolist() == [-1, -1]


def test_a_track_of_widely_spaced_points_stays_whole() -> None:
    steps = np.arange(40.0)
    track = np.column_stack([6 * steps, 0 * steps, 12 * steps])
    far = np.array([[-300.0, 200.0, 300.0], [200.0, -250.0, 500.0]])
    points = np.concatenate([track, far])
    order = np.lexsort(points.T)
    labels = np.empty(len(points), int)
    labels[order] = hdbscan(np.ascontiguousarray(points[order]), 10, 3, 10.0)
    assert (labels[:40] == 0).all()
    assert (labels[40:] == -1).all()


@pytest.mark.parametrize("n_points", [50, 100, 400])
def test_a_cloud_of_noise_is_no_cluster(n_points: int) -> None:
    for seed in range(10):
        points = np.random.default_rng(seed).uniform([-270, -270, 0], [270, 270, 580], (n_points, 3))
        assert (hdbscan(sorted_by_z(points), max(n_points // 20, 10), 3, 10.0) == -1).all()


def test_epsilon_keeps_whole_what_is_nearer() -> None:
    """Two dense lines with a gap of 8 mm between them."""
    x = np.concatenate([np.arange(0, 60.0), np.arange(67.0, 127.0)])
    points = sorted_by_z(np.column_stack([x, 0 * x, 0.01 * x]))
    assert hdbscan(points, 10, 3, 0.0).max() == 1
    assert set(hdbscan(points, 10, 3, 10.0)) == {0}


@pytest.mark.parametrize("n_points", [0, 1, 2, 5])
def test_fewer_points_than_a_cluster_are_noise(n_points: int) -> None:
    points = np.column_stack([np.arange(n_points, dtype=float)] * 3)
    assert hdbscan(points, 10, 3, 10.0).tolist() == [-1] * n_points


def test_coinciding_points_are_one_cluster() -> None:
    points = np.concatenate([np.zeros((20, 3)), np.full((20, 3), 100.0)])
    assert hdbscan(points, 5, 3, 10.0).tolist() == [0] * 20 + [1] * 20


@pytest.mark.parametrize("make", [arcs_and_noise, on_lattice])
@pytest.mark.parametrize("k", [1, 2, 9, 20])
def test_neighbourhoods_hold_all_points_as_near_as_the_kth(make: Any, k: int) -> None:
    points = make(3, 150)
    kth, begins, members, squares = neighbourhoods(points, k)
    distances = cdist(points, points, "sqeuclidean")
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_allclose(kth, np.sort(distances, axis=1)[:, k - 1], rtol=1e-12)
    for point in range(len(points)):
        mine = members[begins[point] : begins[point + 1]]
        assert sorted(mine) == np.flatnonzero(distances[point] <= kth[point] * (1 + 1e-9)).tolist()
        np.testing.assert_allclose(squares[begins[point] : begins[point + 1]], distances[point, mine], rtol=1e-12)


def test_a_lattice_of_ties_fits_into_the_neighbourhoods() -> None:
    """Every point of a shell is as near as the first: far more neighbours than were asked for."""
    angle = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    ring = np.column_stack([10 * np.cos(angle), 10 * np.sin(angle), np.zeros(300)])
    _, begins, _, _ = neighbourhoods(np.concatenate([ring, [[0.0, 0.0, 0.0]]]), 1)
    assert begins[-1] - begins[-2] == 300


@pytest.mark.parametrize("seed", range(4))
def test_spanning_tree_and_hierarchy_are_those_of_scipy(seed: int) -> None:
    points = arcs_and_noise(seed, 120)
    core = neighbourhoods(points, 4)[0]
    first, second, squares = spanning_tree(points, core)
    reach = np.maximum(np.maximum(cdist(points, points, "sqeuclidean"), core[:, None]), core[None, :])
    np.fill_diagonal(reach, 0)
    np.testing.assert_allclose(np.sort(squares), np.sort(minimum_spanning_tree(reach).data), rtol=1e-12)
    np.testing.assert_allclose(squares, reach[first, second], rtol=1e-12)
    order = np.argsort(squares, kind="stable")
    left, right, sizes = single_linkage(first[order], second[order], squares[order])
    theirs = linkage(reach[np.triu_indices(len(points), 1)], "single")
    np.testing.assert_allclose(squares[order], theirs[:, 2], rtol=1e-12)
    assert (sizes[len(points) :] == sizes[left] + sizes[right]).all()
    assert sizes[-1] == len(points)
