"""The share of a cloud of electrons that a triangle gets."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from spyral_core.bound.pad_share import LEAST_SHARE, pad_share, shares_of
from spyral_core.detector.pads import builtin

PLANE = builtin()
CENTROIDS = np.column_stack([PLANE.x, PLANE.y])


def naive_share(x: float, y: float, sigma: float, corners: NDArray[np.float64]) -> float:
    """Sum of the normal density over a fine grid of points inside the triangle."""
    u, v = np.meshgrid(*2 * [(np.arange(500) + 0.5) / 500], indexing="ij")
    inside = u + v < 1
    a, b, c = corners
    px = a[0] + u * (b[0] - a[0]) + v * (c[0] - a[0])
    py = a[1] + u * (b[1] - a[1]) + v * (c[1] - a[1])
    area = abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
    return float(np.sum(inside * norm.pdf(px, x, sigma) * norm.pdf(py, y, sigma)) * area / 500**2)


@pytest.mark.parametrize("seed", range(12))
def test_the_share_is_the_density_summed_over_the_triangle_however_it_is_turned(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn, size = rng.uniform(0, 2 * np.pi), rng.uniform(4, 12)
    corners = size * np.array([[np.cos(turn + k), np.sin(turn + k)] for k in (0.0, 2.1, 4.0)])
    x, y, sigma = rng.normal(0, 4), rng.normal(0, 4), rng.uniform(0.7, 5)
    assert pad_share(x, y, sigma, corners)[0] == pytest.approx(naive_share(x, y, sigma, corners), abs=3e-3)


@pytest.mark.parametrize("seed", range(12))
def test_its_derivatives_are_those_by_the_place_of_the_cloud(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi)
    corners = 5 * np.array([[np.cos(turn + k), np.sin(turn + k)] for k in (0.0, 2.0, 4.1)])
    x, y, sigma = rng.normal(0, 3), rng.normal(0, 3), rng.uniform(0.5, 4)
    _, by_x, by_y = pad_share(x, y, sigma, corners)
    h = 1e-5
    assert by_x == pytest.approx(
        (pad_share(x + h, y, sigma, corners)[0] - pad_share(x - h, y, sigma, corners)[0]) / (2 * h), abs=3e-4
    )
    assert by_y == pytest.approx(
        (pad_share(x, y + h, sigma, corners)[0] - pad_share(x, y - h, sigma, corners)[0]) / (2 * h), abs=3e-4
    )


def test_every_electron_inside_the_plane_arrives_on_a_pad() -> None:
    rng = np.random.default_rng(3)
    x, y, sigma = rng.uniform(-150, 150, 20), rng.uniform(-150, 150, 20), rng.uniform(0.4, 4, 20)
    all_pads = np.arange(len(PLANE.x))
    cloud, _, shares = shares_of(x, y, sigma, all_pads, CENTROIDS, np.ascontiguousarray(PLANE.vertices), 6.0)
    assert np.bincount(cloud, shares[:, 0]) == pytest.approx(1.0, abs=2e-3)
    assert shares[:, 0].min() >= LEAST_SHARE
