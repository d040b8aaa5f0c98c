"""The lattice of triangles: numbering, tiling, and finding the pad under a point."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spyral_core.detector.lattice import HEIGHT, N_HALF, N_PADS, PITCH, RIM_RADIUS, lattice, pad_at, pads_at

COORDINATE = st.floats(-300.0, 300.0, allow_nan=False)
MARGIN = 1e-9  # of a triangle's height


def barycentric(x: float, y: float) -> NDArray[np.float64]:
    """The three barycentric coordinates of a point in each of the pads: (10240, 3)."""
    a, b, c = np.moveaxis(lattice().vertices, 1, 0)
    point = np.array([x, y])

    def cross(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]

    parts = np.stack([cross(b - point, c - point), cross(c - point, a - point), cross(a - point, b - point)], axis=1)
    return parts / cross(b - a, c - a)[:, None]


def naive_pads_at(x: float, y: float, margin: float) -> set[int]:
    """Every pad whose triangle, grown by `margin`, holds the point."""
    return set(np.flatnonzero(barycentric(x, y).min(axis=1) > -margin).tolist())


def test_there_are_4096_big_and_6144_small_pads_in_two_mirrored_halves() -> None:
    pads = lattice()
    assert len(pads.x) == N_PADS
    assert np.count_nonzero(pads.size == 1.0) == 4096
    assert np.count_nonzero(pads.size == 0.5) == 6144
    np.testing.assert_array_equal(pads.x[:N_HALF], pads.x[N_HALF:])
    np.testing.assert_array_equal(pads.mid_y[:N_HALF], -pads.mid_y[N_HALF:])
    np.testing.assert_array_equal(pads.centroid_y[:N_HALF], -pads.centroid_y[N_HALF:])
    np.testing.assert_array_equal(pads.size[:N_HALF], pads.size[N_HALF:])


def test_pads_are_equilateral_triangles() -> None:
    sides = np.linalg.norm(lattice().vertices - np.roll(lattice().vertices, 1, axis=1), axis=2)
    np.testing.assert_allclose(sides, 2.0 * PITCH * lattice().size[:, None] * np.ones(3), rtol=1e-12)


def test_the_centroid_is_the_mean_of_the_vertices() -> None:
    pads = lattice()
    np.testing.assert_allclose(pads.vertices.mean(axis=1), np.stack([pads.x, pads.centroid_y], axis=1), atol=1e-11)


@pytest.mark.parametrize(("size", "distance"), [(1.0, 1.4168855), (0.5, 0.7084427)], ids=["big", "small"])
def test_the_centroid_stands_a_sixth_of_the_height_off_the_middle(size: float, distance: float) -> None:
    pads = lattice()
    off = (pads.centroid_y - pads.mid_y)[pads.size == size]
    np.testing.assert_allclose(np.abs(off), distance, atol=1e-6)
    assert np.any(off > 0) and np.any(off < 0)


def test_orientation_follows_row_and_column() -> None:
    """m + k odd: the centroid is nearer to y = 0 than the middle of the height (k rows, m columns of big pads)."""
    pads = lattice()
    big = pads.size == 1.0
    m = np.rint(pads.x[big] / PITCH).astype(int)
    k = np.rint(np.abs(pads.mid_y[big]) / HEIGHT - 0.5).astype(int)
    nearer = np.abs(pads.centroid_y[big]) < np.abs(pads.mid_y[big])
    np.testing.assert_array_equal(nearer, (m + k) % 2 == 1)
    c = np.rint(2.0 * pads.x[~big] / PITCH).astype(int)
    j = np.rint(2.0 * np.abs(pads.mid_y[~big]) / HEIGHT - 0.5).astype(int)
    nearer = np.abs(pads.centroid_y[~big]) < np.abs(pads.mid_y[~big])
    np.testing.assert_array_equal(nearer, (c + j) % 2 == 1)


def test_numbers_and_places_are_those_of_the_pad_table(shared: Path) -> None:
    table = np.loadtxt(shared / "pad_plane" / "padxy.csv", delimiter=",", skiprows=1)
    pads = lattice()
    assert np.abs(pads.x - table[:, 0]).max() < 1e-4
    assert np.abs(pads.mid_y - table[:, 1]).max() < 1e-4


def test_sizes_are_those_of_the_scale_table(shared: Path) -> None:
    table = np.loadtxt(shared / "pad_plane" / "pad_scale.csv", skiprows=1)
    np.testing.assert_array_equal(lattice().size, table)


def test_every_point_of_a_pad_is_found_in_it() -> None:
    generator = np.random.default_rng(20)
    weights = generator.dirichlet((1.0, 1.0, 1.0), size=(40, N_PADS))
    points = np.einsum("spv,pvc->spc", weights, lattice().vertices)
    found = pads_at(points[..., 0].ravel(), points[..., 1].ravel()).reshape(40, N_PADS)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.broadcast_to(np.arange(N_PADS), found.shape))


def test_points_next_to_the_corners_belong_to_the_pad() -> None:
    """Corners pulled in by 1e-9 of the way to the centroid: the lookup is exact up to rounding."""
    vertices = lattice().vertices
    corners = vertices + MARGIN * (vertices.mean(axis=1, keepdims=True) - vertices)
    for corner in range(3):
        np.testing.assert_array_equal(pads_at(corners[:, corner, 0], corners[:, corner, 1]), np.arange(N_PADS))


def test_pads_cover_the_plane_without_gap_or_overlap() -> None:
    """Random points: inside the rim's rows each lies in one triangle only, and their areas add up to the share hit."""
    generator = np.random.default_rng(21)
    x, y = generator.uniform(-280.0, 280.0, (2, 2_000_000))
    hit = pads_at(x, y)
    area = np.sum(np.sqrt(3.0) * (PITCH * lattice().size) ** 2)
    share = np.mean(hit >= 0)
    error = 560.0**2 * np.sqrt(share * (1.0 - share) / len(x))
    assert abs(share * 560.0**2 - area) < 4.0 * error
    inner = np.hypot(x, y) < RIM_RADIUS - 2.0 * HEIGHT
    assert np.all(hit[inner] >= 0)
    counts = np.bincount(hit[hit >= 0], minlength=N_PADS)
    expected = len(x) * np.sqrt(3.0) * (PITCH * lattice().size) ** 2 / 560.0**2
    assert np.sum((counts - expected) ** 2 / expected) < N_PADS + 6.0 * np.sqrt(2.0 * N_PADS)


def test_each_point_is_in_the_triangle_of_its_pad_and_in_no_other() -> None:
    generator = np.random.default_rng(22)
    for x, y in generator.uniform(-280.0, 280.0, (500, 2)):
        pad = pad_at(x, y)
        assert naive_pads_at(x, y, -MARGIN) <= {pad}
        assert naive_pads_at(x, y, MARGIN) >= ({pad} - {-1})


@settings(max_examples=60, deadline=None)
@given(COORDINATE, COORDINATE)
@example(0.0, 0.0)
@example(-0.0, -0.0)
@example(PITCH, HEIGHT)
@example(16.0 * PITCH, 16.0 * HEIGHT)
@example(31.5 * PITCH, HEIGHT / 2.0)
@example(-31.5 * PITCH, -HEIGHT / 2.0)
@example(24.0 * PITCH, 7.0 * HEIGHT)
def test_the_lookup_agrees_with_a_search_through_all_triangles(x: float, y: float) -> None:
    pad = pad_at(x, y)
    assert naive_pads_at(x, y, -MARGIN) <= {pad}
    if pad == -1:
        assert not naive_pads_at(x, y, -MARGIN)
    else:
        assert pad in naive_pads_at(x, y, MARGIN)


@pytest.mark.parametrize(
    ("x", "y"),
    [(280.0, 0.0), (0.0, 273.0), (0.0, -273.0), (1e300, 0.0), (0.0, np.inf), (np.nan, 0.0), (0.0, np.nan)],
)
def test_no_pad_outside(x: float, y: float) -> None:
    assert pad_at(x, y) == -1


def test_the_lookup_takes_less_than_100_ns() -> None:
    x, y = np.random.default_rng(23).uniform(-250.0, 250.0, (2, 200_000))
    pads_at(x[:1], y[:1])
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        pads_at(x, y)
        durations.append(time.perf_counter() - start)
    assert min(durations) / len(x) < 100e-9
