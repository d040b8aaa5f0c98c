"""Loose points on a track's helix are picked up; noise, and what is across the beam, is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from spyral_core.clustering.pick_up import around, helix_distance, pick_up
from spyral_core.fitting.circle import fit_circle


def track(n: int, polar: float = 1.0, radius: float = 300.0, seed: int = 0) -> np.ndarray:
    """Points (n, 3) [mm] over 0.8 rad of a helix from the beam axis, scattered by 1.5 mm."""
    phi = np.linspace(0.1, 0.9, n)
    path = [radius * np.sin(phi), radius * (1 - np.cos(phi)), 400 + radius * phi / math.tan(polar)]
    return np.column_stack(path) + np.random.default_rng(seed).normal(scale=1.5, size=(n, 3))


def picked(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    order = np.argsort(points[:, 2], kind="stable")
    found = np.empty(len(points), np.int64)
    found[order] = pick_up(points[order], labels[order], 80.0, 6.0)
    return found


@pytest.mark.parametrize("polar", [0.3, 1.0, 1.5, 2.2])
def test_the_thin_end_of_a_track_comes_back(polar: float) -> None:
    points = track(60, polar)
    labels = np.full(60, 5)
    labels[[0, 1, 2, 3, 30, 31, 58, 59]] = -1
    assert (picked(points, labels) == 5).all()


def test_noise_stays_noise() -> None:
    points = track(60)
    noise = np.random.default_rng(1).uniform([-250, -250, 0], [250, 250, 1000], (3000, 3))
    near = cdist(noise, points).min(axis=1) < 80
    off = noise[near & (cdist(noise, track(2000, seed=9)).min(axis=1) > 20)]
    labels = np.concatenate([np.zeros(60, np.int64), np.full(len(off), -1)])
    assert np.mean(picked(np.vstack([points, off]), labels)[60:] == 0) < 0.05


def test_points_across_the_beam_are_another_particle() -> None:
    points = track(60)
    back = np.column_stack([[-25.0, -35.0], [0.0, 0.0], points[0, 2] - np.array([35.0, 42.0])])
    labels = np.concatenate([np.zeros(60, np.int64), [-1, -1]])
    assert (picked(np.vstack([points, back]), labels)[60:] == -1).all()


def test_a_small_cluster_picks_nothing_up() -> None:
    points = track(60)[:12]
    labels = np.zeros(12, np.int64)
    labels[11] = -1
    assert picked(points, labels)[11] == -1


def naive_distance(points: np.ndarray, members: np.ndarray, at: int) -> float:
    """Distance from the circle, and from the principal axis of (path, z), with azimuths unwrapped from the point."""
    center_x, center_y, radius = fit_circle(points[members, 0], points[members, 1])
    azimuth = np.arctan2(points[:, 1] - center_y, points[:, 0] - center_x)
    path = radius * ((azimuth - azimuth[at] + np.pi) % (2 * np.pi) - np.pi)
    plane = np.column_stack([path, points[:, 2]])
    middle = plane[members].mean(axis=0)
    axis = np.linalg.svd(plane[members] - middle)[2][0]
    way = plane[at] - middle
    across = abs(np.hypot(points[at, 0] - center_x, points[at, 1] - center_y) - radius)
    return float(max(across, abs(way[0] * axis[1] - way[1] * axis[0])))


def test_the_distance_is_that_of_a_slow_twin() -> None:
    generator = np.random.default_rng(7)
    for seed in range(30):
        points = track(80, float(generator.uniform(0.2, 2.9)), float(generator.uniform(60, 400)), seed)
        points[70:] += generator.normal(scale=10.0, size=(10, 3))
        for at in (70, 79):
            members = around(points, np.arange(70), at)
            nearest = np.argsort(np.linalg.norm(points[:70] - points[at], axis=1))[:40]
            assert sorted(members.tolist()) == sorted(nearest.tolist())
            assert helix_distance(points, members, at) == pytest.approx(naive_distance(points, members, at), rel=1e-6)
