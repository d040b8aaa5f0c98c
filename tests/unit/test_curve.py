"""The curve through a trajectory's states, against slow and obvious twins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spyral_core.fitting.curve import curve_point, curve_tangent, nearest_place
from spyral_core.fitting.point_errors import charge_share, observed_spread, pad_sigma, point_variances
from spyral_core.fitting.track_fit import solve_positive
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import dense, motion_of, trajectory


@pytest.fixture(scope="module")
def spiral() -> tuple[np.ndarray, np.ndarray]:
    gas = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
    motion = motion_of(gas, 1, 2, 2.85, 45000.0)
    path, states, _ = trajectory(motion, np.array([3.0, -2.0, 400.0, 3.0, math.radians(70), 0.4]))
    return path, states


def test_the_nearest_place_is_the_nearest_of_all(spiral: tuple[np.ndarray, np.ndarray]) -> None:
    path, states = spiral
    curve = dense(path, states, 0.05)
    generator = np.random.default_rng(3)
    points = curve[generator.integers(0, len(curve), 300)] + generator.normal(scale=4, size=(300, 3))
    for weight_z in (0.5, 1.0, 4.0):
        metric = np.sqrt([1, 1, weight_z])
        for x, y, z in points:
            place = nearest_place(x, y, z, weight_z, path, states, len(path))
            found = np.linalg.norm((np.array(curve_point(path, states, *place)) - [x, y, z]) * metric)
            twin = np.linalg.norm((curve - [x, y, z]) * metric, axis=1).min()
            assert found < twin + 0.01


def test_the_tangent_is_the_derivative_of_the_curve(spiral: tuple[np.ndarray, np.ndarray]) -> None:
    path, states = spiral
    for cell in range(0, len(path) - 1, 3):
        length = path[cell + 1] - path[cell]
        for share in (0.1, 0.5, 0.9):
            ahead, behind = (np.array(curve_point(path, states, cell, share + d)) for d in (1e-6, -1e-6))
            twin = (ahead - behind) / (2e-6 * length)
            np.testing.assert_allclose(curve_tangent(path, states, cell, share), twin, atol=1e-5)


def test_equations_are_solved_in_the_free_rows_only() -> None:
    generator = np.random.default_rng(5)
    for _ in range(20):
        root = generator.normal(size=(6, 6))
        matrix, right = root @ root.T + np.eye(6), generator.normal(size=6)
        free = generator.uniform(size=6) < 0.7
        solution = np.zeros(6)
        assert solve_positive(matrix, right, free, solution)
        twin = np.zeros(6)
        twin[free] = np.linalg.solve(matrix[np.ix_(free, free)], right[free])
        np.testing.assert_allclose(solution, twin, atol=1e-9)
    assert not solve_positive(np.zeros((6, 6)), right, np.ones(6, dtype=bool), solution)


def test_an_evenly_lit_triangle_spreads_by_its_side_over_root_24() -> None:
    generator = np.random.default_rng(11)
    side = 9.8164706
    corners = np.array([[-side / 2, 0], [side / 2, 0], [0, side * math.sqrt(3) / 2]])
    shares = generator.dirichlet([1, 1, 1], size=200_000)
    spread = (shares @ corners).std(axis=0)
    np.testing.assert_allclose(spread, pad_sigma(np.array([1.0]))[0], rtol=5e-3)


def test_charge_is_compared_with_the_neighbours_along_the_track() -> None:
    place = np.arange(100.0)
    charge = 10.0 + place
    charge[50] = 6.0
    share = charge_share(charge[::-1], place[::-1])[::-1]
    assert share[50] == pytest.approx(0.1, abs=0.05)
    np.testing.assert_allclose(share[10:40], 1.0, atol=0.02)


def test_the_observed_spread_is_that_of_the_points() -> None:
    generator = np.random.default_rng(2)
    n = 20_000
    scale, share = np.where(generator.uniform(size=n) < 0.5, 1.0, 0.5), generator.uniform(0.2, 1.5, size=n)
    weights = 1 / point_variances(scale, share, 1.4, 2.5)
    errors = generator.normal(size=(n, 3)) / np.sqrt(weights[:, [0, 0, 1]])
    errors[: n // 50] = 100.0  # stray points
    for angle in np.radians([20.0, 50.0, 90.0]):
        # the nearest place in the metric of the weights: the part of the error along the track is taken off
        tangent = np.array([math.sin(angle), 0, math.cos(angle)])
        weight = weights[:, [0, 0, 1]]
        along = (errors * weight) @ tangent / (weight @ tangent**2)
        left = errors - along[:, None] * tangent
        deviations = np.column_stack([np.hypot(left[:, 0], left[:, 1]), left[:, 2], np.full(n, tangent[2])])
        factor, sigma_z = observed_spread(deviations, scale, share)
        assert factor == pytest.approx(1.4, rel=0.25)
        if angle > 1:
            assert sigma_z == pytest.approx(2.5, rel=0.05)
