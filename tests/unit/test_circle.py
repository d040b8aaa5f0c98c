"""The circle fit finds the circle of least squared distances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from spyral_core.fitting.circle import fit_circle


def arc(rng, radius, turn, n_points, scatter):
    azimuth = rng.uniform(0, 2 * np.pi) + rng.uniform(0, turn, n_points)
    x = 50 + radius * np.cos(azimuth) + rng.normal(0, scatter, n_points)
    y = -30 + radius * np.sin(azimuth) + rng.normal(0, scatter, n_points)
    return x, y


def distances(circle, x, y):
    return np.hypot(x - circle[0], y - circle[1]) - circle[2]


def naive_circle(x, y, start):
    return least_squares(lambda c: distances(c, x, y), start, x_scale=np.maximum(np.abs(start), 1.0), method="lm").x


@pytest.mark.parametrize("seed", range(60))
def test_no_circle_is_nearer_than_the_one_that_is_found(seed):
    rng = np.random.default_rng(seed)
    radius = 10 ** rng.uniform(1, 3)
    x, y = arc(rng, radius, rng.uniform(0.1, 7), int(rng.integers(3, 150)), rng.uniform(0, 3))
    found = fit_circle(x, y)
    best = min(np.sum(distances(naive_circle(x, y, start), x, y) ** 2) for start in ((50, -30, radius), found))
    assert np.sum(distances(found, x, y) ** 2) <= best * (1 + 1e-6) + 1e-9


def test_exact_points_give_the_exact_circle():
    x, y = arc(np.random.default_rng(1), 120.0, 1.0, 20, 0.0)
    assert fit_circle(x, y) == pytest.approx((50, -30, 120), abs=1e-6)


def test_points_moved_and_turned_give_the_circle_moved_and_turned():
    rng = np.random.default_rng(3)
    x, y = arc(rng, 150.0, 0.6, 40, 2.0)
    centre_x, centre_y, radius = fit_circle(x, y)
    c, s = np.cos(0.7), np.sin(0.7)
    turned = fit_circle(c * x - s * y + 1000, s * x + c * y - 500)
    assert turned == pytest.approx((c * centre_x - s * centre_y + 1000, s * centre_x + c * centre_y - 500, radius))


def test_points_in_a_line_give_a_huge_finite_circle_through_them():
    x = np.linspace(0, 100, 30)
    circle = fit_circle(x, 2 * x + 5)
    assert np.isfinite(circle).all() and circle[2] > 1e6
    assert np.abs(distances(circle, x, 2 * x + 5)).max() < 0.01


@pytest.mark.parametrize(
    "points", [[(1.0, 2.0)] * 5, [(0.0, 0.0), (1.0, 1.0)], [], [(0.0, 0.0), (np.inf, 1.0), (2.0, 0.0)]]
)
def test_points_that_are_no_circle_give_nan(points):
    x, y = np.array(points, dtype=float).reshape(-1, 2).T.copy()
    assert np.isnan(fit_circle(x, y)).all()
