"""The smoothing spline is scipy's, and takes points of one place as one knot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from spyral_core.fitting.linear import solve_damped
from spyral_core.fitting.smooth import smooth_curve, smoothing_spline


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 100.0, 1e5])
@pytest.mark.parametrize("n_knots", [5, 6, 40, 300])
def test_it_is_the_smoothing_spline_of_scipy(n_knots, penalty):
    rng = np.random.default_rng(n_knots)
    t = np.cumsum(rng.uniform(0.1, 5, n_knots))
    values, weights = rng.normal(size=(n_knots, 3)), rng.uniform(0.5, 2, n_knots)
    naive = make_smoothing_spline(t, values, weights, lam=penalty)(t)
    np.testing.assert_allclose(smoothing_spline(t, values, weights, penalty), naive, atol=1e-8)


def test_without_penalty_the_values_stay():
    t, values = np.arange(10.0), np.arange(10.0) ** 2
    assert (smoothing_spline(t, values[:, None], np.ones(10), 0.0)[:, 0] == values).all()


def test_a_huge_penalty_gives_the_line_of_least_squares():
    rng = np.random.default_rng(0)
    t = np.sort(rng.uniform(0, 10, 30))
    values = rng.normal(size=30)
    np.testing.assert_allclose(
        smoothing_spline(t, values[:, None], np.ones(30), 1e10)[:, 0],
        np.polyval(np.polyfit(t, values, 1), t),
        atol=1e-5,
    )


def test_points_of_one_place_count_as_their_weighted_mean():
    rng = np.random.default_rng(2)
    t = np.repeat(np.arange(20.0), 3)
    values, weights = rng.normal(size=60), rng.uniform(0.5, 2, 60)
    means = np.average(values.reshape(20, 3), axis=1, weights=weights.reshape(20, 3))
    naive = smoothing_spline(np.arange(20.0), means[:, None], weights.reshape(20, 3).sum(axis=1), 3.0)
    np.testing.assert_allclose(smooth_curve(t, values[:, None], weights, 3.0), np.repeat(naive, 3, axis=0), rtol=1e-12)


def test_all_points_in_one_place_give_their_mean():
    curve = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [6.0, 60.0]])
    assert smooth_curve(np.full(4, 7.0), curve, np.ones(4), 1.0) == pytest.approx(np.tile([3.0, 30.0], (4, 1)))


@pytest.mark.parametrize("seed", range(10))
def test_damped_equations_are_solved_as_numpy_does(seed):
    rng = np.random.default_rng(seed)
    slopes = rng.normal(size=(20, 6))
    matrix, right = slopes.T @ slopes, rng.normal(size=6)
    naive = np.linalg.solve(matrix + 0.1 * np.diag(np.diag(matrix)), right)
    np.testing.assert_allclose(solve_damped(matrix, right, 0.1), naive, rtol=1e-9)


def test_a_direction_without_information_stays():
    matrix = np.diag([2.0, 0.0, 4.0])
    assert solve_damped(matrix, np.array([2.0, 1.0, 4.0]), 0.0) == pytest.approx([1.0, 0.0, 1.0])
