"""Neighbours are those that all distances give; selections are those of a sorted list."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from spyral_core.clustering.neighbours import kth_smallest, kth_squares, neighbourhoods
from spyral_core.clustering.spanning_tree import first_of_smallest


def cloud(seed: int) -> np.ndarray:
    """A coil with scatter, on a lattice for every other seed, so that many distances are equal; sorted by z."""
    random = np.random.default_rng(seed)
    turn = random.uniform(0, 9, int(random.integers(12, 250)))
    points = np.column_stack([60 * np.cos(turn), 60 * np.sin(turn), random.choice([0.0, 4.0, 25.0]) * turn])
    points += random.normal(0, 4, points.shape)
    if seed % 2:
        points = np.rint(points / 5) * 5
    return np.ascontiguousarray(points[np.argsort(points[:, 2], kind="stable")])


def squares_to_others(points: np.ndarray) -> np.ndarray:
    squares = cdist(points, points, "sqeuclidean")
    np.fill_diagonal(squares, np.inf)
    return squares


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("k", [1, 2, 3, 11])
def test_the_kth_neighbour_is_that_of_all_distances(seed: int, k: int) -> None:
    points = cloud(seed)
    naive = np.sort(squares_to_others(points), axis=1)[:, k - 1]
    np.testing.assert_allclose(kth_squares(points, k), naive, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(neighbourhoods(points, k)[0], naive, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_a_neighbourhood_holds_all_that_are_as_near_as_the_kth(seed: int) -> None:
    points = cloud(seed)
    all_squares = squares_to_others(points)
    kth, begins, members, squares = neighbourhoods(points, 5)
    for index in range(len(points)):
        mine = slice(begins[index], begins[index + 1])
        assert sorted(members[mine].tolist()) == np.flatnonzero(all_squares[index] <= kth[index] * (1 + 1e-9)).tolist()
        np.testing.assert_allclose(squares[mine], all_squares[index, members[mine]], rtol=1e-12, atol=1e-12)


def test_as_many_neighbours_as_there_are() -> None:
    points = cloud(4)
    assert (np.diff(neighbourhoods(points, len(points) - 1)[1]) == len(points) - 1).all()


@pytest.mark.parametrize("seed", range(30))
def test_the_kth_smallest_is_that_of_the_sorted_values(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.choice([random.random(40), random.integers(0, 5, 40).astype(float), np.arange(40.0), np.ones(40)])
    values = values[: random.integers(1, 41)]
    for k in range(1, len(values) + 1):
        assert kth_smallest(values.copy(), k) == np.sort(values)[k - 1]


@pytest.mark.parametrize("seed", range(10))
def test_the_first_of_the_smallest_is_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.append(random.integers(0, 6, 30) * random.choice([1e-300, 1.0, 1e300]), np.inf)
    assert first_of_smallest(values) == np.argmin(values)
