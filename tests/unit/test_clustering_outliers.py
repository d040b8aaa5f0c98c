"""The local outlier factor against scikit-learn, and against its definition where distances are equal."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from spyral_core.clustering.direction import direction
from spyral_core.clustering.outliers import drop_outliers, inliers, list_clusters, local_outlier_factors


def cloud(seed: int, size: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    turn = np.sort(random.uniform(0, 8, size))
    points = np.column_stack([80 * np.cos(turn), 80 * np.sin(turn), 30 * turn]) + random.normal(0, 3, (size, 3))
    points[:: max(size // 6, 1)] += random.normal(0, 40, points[:: max(size // 6, 1)].shape)
    return np.ascontiguousarray(points[np.argsort(points[:, 2])])


def naive_factors(points: np.ndarray, k: int) -> np.ndarray:
    """Definitions 3 to 7 of Breunig et al., loop by loop."""
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    kth = np.sort(distances, axis=1)[:, k - 1]
    around = [np.flatnonzero(distances[i] <= kth[i] * (1 + 5e-10)) for i in range(len(points))]
    density = np.array([1 / np.mean(np.maximum(distances[i, n], kth[n])) for i, n in enumerate(around)])
    return np.array([np.mean(density[n]) / density[i] for i, n in enumerate(around)])


@pytest.mark.parametrize("seed", range(8))
def test_factors_are_those_of_scikit_learn(seed: int) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    points = cloud(seed, 40 + 30 * seed)
    for k in (1, 2, 5, 20):
        theirs = neighbors.LocalOutlierFactor(n_neighbors=k).fit(points)
        np.testing.assert_allclose(local_outlier_factors(points, k), -theirs.negative_outlier_factor_, rtol=1e-9)
        assert (inliers(points, k) == (theirs.fit_predict(points) == 1)).all()


@pytest.mark.parametrize("k", [1, 3, 8])
def test_factors_follow_the_definition_on_a_lattice(k: int) -> None:
    points = np.unique(np.rint(cloud(2, 150) / 5) * 5, axis=0)
    points = np.ascontiguousarray(points[np.argsort(points[:, 2], kind="stable")])
    np.testing.assert_allclose(local_outlier_factors(points, k), naive_factors(points, k), rtol=1e-7)


def test_a_lonely_point_is_no_inlier_and_a_track_is() -> None:
    z = np.arange(0.0, 200.0, 2.0)
    points = np.column_stack([0.5 * z, -0.3 * z, z])
    points[60, :2] += 60
    assert np.flatnonzero(~inliers(points, 5)).tolist() == [60]


@pytest.mark.parametrize("n_points", [0, 1, 2])
def test_too_few_points_to_judge_are_kept(n_points: int) -> None:
    assert inliers(np.zeros((n_points, 3)), 5).all()


def test_coinciding_points_are_kept() -> None:
    assert inliers(np.zeros((30, 3)), 5).all()


def test_more_neighbours_than_points_are_all_others() -> None:
    points = cloud(1, 30)
    assert (inliers(points, 500) == inliers(points, 29)).all()


def test_clusters_lose_their_outliers_and_keep_their_labels() -> None:
    above = cloud(4, 90) + np.array([0.0, 0.0, 500.0])
    points = np.concatenate([cloud(3, 120), above, [[0, 0, 900.0]]])
    labels = np.repeat([3, 0, -1], [120, 90, 1])
    names, sizes, senses, chosen = list_clusters(points, drop_outliers(points, labels, 0.5, 0.05), 0.5)
    assert names.tolist() == [3, 0]  # in the order of their first points
    scaled = points * [1.0, 1.0, 0.5]
    for label, k, mine in ((3, 6, chosen[: sizes[0]]), (0, 5, chosen[sizes[0] :])):
        members = np.flatnonzero(labels == label)
        assert mine.tolist() == members[naive_factors(scaled[members], k) <= 1.5].tolist()
    assert sizes.sum() == len(chosen)
    assert senses.tolist() == [direction(points[mine], 0.5) for mine in np.split(chosen, [sizes[0]])]
