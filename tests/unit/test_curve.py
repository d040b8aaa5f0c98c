"""The curve through a trajectory's states, against slow and obvious twins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spyral_core.fitting.curve import curve_point, curve_tangent, nearest_place
from spyral_core.fitting.point_errors import charge_share, pad_sigma, point_variances
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


def test_an_evenly_lit_triangle_spreads_by_its_side_over_root_24() -> None:
    generator = np.random.default_rng(11)
    side = 9.8164706
    corners = np.array([[-side / 2, 0], [side / 2, 0], [0, side * math.sqrt(3) / 2]])
    shares = generator.dirichlet([1, 1, 1], size=200_000)
    spread = (shares @ corners).std(axis=0)
    np.testing.assert_allclose(spread, pad_sigma(np.array([1.0]))[0], rtol=5e-3)


def test_a_pad_with_little_charge_is_known_less_well() -> None:
    share = charge_share(np.array([10.0, 10.0, 10.0, 5.0, 0.001, 1000.0]))
    np.testing.assert_allclose(share, [1.0, 1.0, 1.0, 0.5, 0.05, 1.5])
    variances = point_variances(np.array([1.0, 0.5]), np.array([1.0, 0.5]), np.array([4.0, 0.0]))
    np.testing.assert_allclose(variances[0], [9.8164706**2 / 24 + 4.0, 1.5**2])
    np.testing.assert_allclose(variances[1], [9.8164706**2 / 4 / 24 / 0.5, 1.5**2 / 0.5])
