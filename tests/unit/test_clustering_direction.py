"""The sense of motion along the beam from the sense of rotation, in a magnetic field along −z."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spyral_core.clustering.direction import (
    BACKWARD,
    FORWARD,
    UNKNOWN,
    _periodogram,
    direction,
    total_turn,
)
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.motion import dense, motion_of, trajectory

DEUTERIUM = GasTarget(elements=((1, 2, 2),), pressure=300.0)


def sorted_by_z(points: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(points[np.lexsort(points.T)])


def helix(polar: float, turns: float, start: float, radius: float = 70.0, step: float = 4.0) -> np.ndarray:
    """Exact helix of a positive particle in B along −z: its azimuth about the centre grows with time."""
    azimuth = np.arange(0.0, 2 * math.pi * turns, step / radius)
    z = radius / math.tan(polar) * azimuth
    return np.column_stack([30 + radius * np.cos(start + azimuth), -50 + radius * np.sin(start + azimuth), 500 + z])


@pytest.mark.parametrize("turns", [0.3, 0.8, 1.0, 2.5, 6.0])
@pytest.mark.parametrize("start", [-3.0, -1.0, 0.0, 2.0, 3.1])
@pytest.mark.parametrize("polar", [20.0, 60.0, 85.0])
def test_exact_helices(turns: float, start: float, polar: float) -> None:
    forward = helix(math.radians(polar), turns, start)
    backward = helix(math.radians(180 - polar), turns, start)
    assert direction(sorted_by_z(forward), 0.9) == FORWARD
    assert direction(sorted_by_z(backward), 0.9) == BACKWARD


@pytest.mark.parametrize("polar", [30.0, 65.0, 84.0, 96.0, 120.0, 150.0])
@pytest.mark.parametrize("seed", range(3))
def test_slowing_deuterons_read_out_in_buckets(polar: float, seed: int) -> None:
    """The equation of motion itself, scatter of the pads' size, z in buckets of 1.8 mm that many points share."""
    random = np.random.default_rng(seed)
    motion = motion_of(DEUTERIUM, 1, 2, 2.85, 45000.0)
    start = np.array([3.0, -4.0, 500.0, 4.0, math.radians(polar), random.uniform(-3, 3)])
    path, states, _ = trajectory(motion, start)
    points = dense(path, states, 4.0)
    points[:, :2] += random.normal(0, 2.5, (len(points), 2))
    points[:, 2] = np.rint((points[:, 2] + random.normal(0, 1, len(points))) / 1.8) * 1.8
    assert len(np.unique(points[:, 2])) < len(points)
    assert direction(sorted_by_z(points), 0.5) == (FORWARD if polar < 90 else BACKWARD)


@pytest.mark.parametrize("polar", [84.0, 97.0])
def test_many_windings_that_get_narrower_have_the_sense_of_their_sections(polar: float) -> None:
    """No single turn per mm describes them: a proton of 7 MeV in dense gas, from the second winding on."""
    dense_gas = GasTarget(elements=((1, 2, 2),), pressure=600.0)
    start = np.array([0.0, 0.0, 500.0, 6.0, math.radians(polar), 0.3])
    path, states, _ = trajectory(motion_of(dense_gas, 1, 1, 3.0, 45000.0), start)
    points = dense(path, states, 4.0)[200:]
    random = np.random.default_rng(1)
    points[:, :2] += random.normal(0, 2.5, (len(points), 2))
    points[:, 2] += random.normal(0, 0.5, len(points))
    assert direction(sorted_by_z(points), 0.5) == (FORWARD if polar < 90 else BACKWARD)


def test_scattered_points_have_no_sense() -> None:
    """Neither one turn nor the turns of sections: δ-electrons about a residue."""
    for seed in range(20):
        points = np.random.default_rng(seed).normal(scale=[30.0, 30.0, 150.0], size=(240, 3))
        assert direction(sorted_by_z(points), 0.5) == UNKNOWN


def test_a_straight_track_has_no_sense() -> None:
    random = np.random.default_rng(1)
    unknown = 0
    for _ in range(100):
        z = np.sort(random.uniform(0, 300, 80))
        points = np.column_stack([0.4 * z, -0.2 * z, z]) + random.normal(0, 2, (80, 3)) * [1, 1, 0]
        unknown += direction(points, 0.5) == UNKNOWN
    assert unknown >= 97


def test_an_exactly_straight_track_has_no_sense() -> None:
    z = np.arange(0.0, 100.0, 2.0)
    assert direction(np.column_stack([z, 2 * z, z]), 0.5) == UNKNOWN


@pytest.mark.parametrize("n_points", [0, 1, 2, 50])
def test_points_of_one_z_have_no_sense(n_points: int) -> None:
    angle = np.linspace(0, 5, n_points)
    assert direction(np.column_stack([50 * np.cos(angle), 50 * np.sin(angle), np.full(n_points, 7.0)]), 0.5) == UNKNOWN


def test_below_the_threshold_the_sense_is_not_believed() -> None:
    """Of seven steps between eighths of the track, five turn forward and two back."""
    mean = np.cumsum([0.0, 0.5, 0.5, -0.2, 0.5, 0.5, -0.2, 0.5])
    azimuth = np.repeat(mean, 20)
    points = np.column_stack([60 * np.cos(azimuth), 60 * np.sin(azimuth), np.linspace(0, 100, 160)])
    assert direction(points, 0.5) == direction(points, 0.7) == FORWARD
    assert direction(points, 0.72) == UNKNOWN


@pytest.mark.parametrize("turns", [-30.2, -3.0, -0.4, 0.1, 0.9, 7.3, 25.0])
def test_the_turn_is_exact_for_a_helix_and_near_with_scatter(turns: float) -> None:
    random = np.random.default_rng(3)
    height = np.sort(np.append(random.random(600), [0.0, 1.0]))
    azimuth = 2.0 + 2 * math.pi * turns * height
    wrapped = np.arctan2(np.sin(azimuth), np.cos(azimuth))
    assert total_turn(wrapped, height) == pytest.approx(2 * math.pi * turns, rel=1e-9)
    assert total_turn(wrapped + random.normal(0, 0.2, 602), height) == pytest.approx(2 * math.pi * turns, abs=0.15)


def test_the_periodogram_is_that_of_its_definition() -> None:
    random = np.random.default_rng(8)
    height, azimuth = np.sort(random.random(900)), random.uniform(-3, 3, 900)
    chosen = slice(None, None, 3)
    turns = math.pi * np.arange(-80, 81)
    expected = np.abs(np.exp(1j * (azimuth[chosen, None] - turns * height[chosen, None])).sum(axis=0)) ** 2
    np.testing.assert_allclose(_periodogram(azimuth, height), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("seed", range(10))
def test_a_flat_spiral_keeps_its_sense_when_buckets_mix_the_order(seed: int) -> None:
    """Pitch 20 mm, bucket 3.5 mm, z smeared by a tenth of a millimetre so that no two points share one."""
    random = np.random.default_rng(seed)
    polar = math.atan2(2 * math.pi * 70, 20)
    for angle, expected in ((polar, FORWARD), (math.pi - polar, BACKWARD)):
        points = helix(angle, 3.0, random.uniform(-3, 3))
        points[:, :2] += random.normal(0, 2.5, (len(points), 2))
        points[:, 2] = np.rint((points[:, 2] + random.normal(0, 1, len(points))) / 3.5) * 3.5
        points[:, 2] += random.normal(0, 0.1, len(points))
        assert direction(sorted_by_z(points), 0.5) == expected


def test_the_order_of_points_of_one_z_has_no_influence() -> None:
    points = helix(math.radians(70), 3.0, 0.5)
    points[:, 2] = np.rint(points[:, 2] / 20) * 20
    points = sorted_by_z(points)
    reverse = np.lexsort((-np.arange(len(points)), points[:, 2]))
    assert direction(points, 0.6) == direction(np.ascontiguousarray(points[reverse]), 0.6) == FORWARD


def test_the_periodogram_is_the_sum_of_phases() -> None:
    random = np.random.default_rng(0)
    azimuth, height = random.uniform(-3, 3, 50), np.sort(random.uniform(0, 1, 50))
    turns = np.arange(-80, 81) * np.pi
    naive = np.abs(np.exp(1j * (azimuth[:, None] - turns * height[:, None])).sum(axis=0)) ** 2
    np.testing.assert_allclose(_periodogram(azimuth, height), naive, atol=1e-9)
