"""The curve through a trajectory's states, against slow and obvious twins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spyral_core.fitting.curve import curvature_across, curve_point, curve_tangent, nearest_place, points_on_curve
from spyral_core.fitting.point_errors import charge_share, pad_sigma, point_variances
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import dense, motion_of, trajectory
from spyral_core.physics.nuclei import brho_from_ke


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


def test_points_beyond_the_end_are_measured_from_it(spiral: tuple[np.ndarray, np.ndarray]) -> None:
    path, states = spiral
    (end, unit), begin = (states[-1, :3], states[-1, 3:6]), states[0, 3:6]
    aside = np.cross(unit, [0.0, 0.0, 1.0]) / math.hypot(*unit[:2])
    points = np.array([end + 7 * unit, end + 3 * unit + 0.4 * aside, states[0, :3] - 5 * begin])
    place, beyond, deviation, direction = points_on_curve(points, 1.0, path, states)
    np.testing.assert_allclose(place, [path[-1], path[-1], 0.0], atol=1e-9)
    np.testing.assert_allclose(beyond, [7.0, 3.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(deviation, [7 * unit, 3 * unit + 0.4 * aside, -5 * begin], atol=1e-9)
    np.testing.assert_allclose(direction, [unit, unit, begin], atol=1e-3)


def test_places_and_deviations_of_points_are_those_of_the_dense_curve(spiral: tuple[np.ndarray, np.ndarray]) -> None:
    path, states = spiral
    curve, spacing = dense(path, states, 0.05), 0.05
    generator = np.random.default_rng(5)
    chosen = generator.integers(200, len(curve) - 200, 100)
    points = curve[chosen] + generator.normal(scale=2, size=(100, 3))
    place, beyond, deviation, _ = points_on_curve(points, 2.0, path, states)
    for point, at, off in zip(points, place, deviation, strict=True):
        distance = np.linalg.norm((curve - point) * np.sqrt([1, 1, 2.0]), axis=1)
        assert distance[round(at / spacing)] < distance.min() + 0.02
        np.testing.assert_allclose(point - off, curve[round(at / spacing)], atol=spacing)
    assert not beyond.any()


@pytest.mark.parametrize(("field", "sense"), [(2.0, 1.0), (-2.0, -1.0)])
@pytest.mark.parametrize("polar", [30.0, 90.0, 140.0])
def test_a_helix_has_the_curvature_of_its_projection(field: float, sense: float, polar: float) -> None:
    """sin θ · Bρ / B is its radius; seen along the beam, particles of positive charge turn one way for each field."""
    thin = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 0.05})
    start = np.array([0.0, 0.0, 0.0, 5.0, math.radians(polar), 0.3])
    path, states, _ = trajectory(motion_of(thin, 1, 2, field, 0.0), start, (400.0, -1e3, 2e3))
    radius = 1e3 * float(brho_from_ke(5.0, 1, 2)) / abs(field) * math.sin(math.radians(polar))
    turned = math.remainder(math.atan2(states[1, 4], states[1, 3]) - 0.3, 2 * math.pi)
    assert math.copysign(1.0, turned) == sense
    for cell in range(0, len(path) - 1, 5):
        assert curvature_across(path, states, cell) == pytest.approx(sense / radius, rel=0.01)
