"""The charge that a straight track leaves on a triangle, against sums over a grid and electrons one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.pattern import corner_distances, ramp, seen_chord, triangle_area

Array = NDArray[np.float64]
SIDE = 9.8164706
EQUILATERAL = SIDE * np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, math.sqrt(3) / 2]])
SKEW = np.array([[0.0, 0.0], [7.0, 1.0], [2.0, 4.0]])
TRIANGLES = [EQUILATERAL - EQUILATERAL.mean(axis=0), EQUILATERAL.mean(axis=0) - EQUILATERAL, SKEW - SKEW.mean(axis=0)]
ANGLES = np.radians([3.0, 30.0, 47.0, 90.0, 110.0, 151.0, 200.0, 340.0])


def normal_to(angle: float) -> Array:
    return np.array([-math.sin(angle), math.cos(angle)])


def seen(offset: float, corners: Array, angle: float, sigma: float) -> tuple[float, float, float]:
    nx, ny = normal_to(angle)
    found: tuple[float, float, float] = seen_chord(
        offset, *corner_distances(corners, nx, ny), triangle_area(corners), sigma
    )
    return found


def chord(offsets: Array, corners: Array, normal: Array) -> Array:
    """Length of each line at an offset along `normal` inside the triangle: from its crossings with the three sides."""
    along = np.array([normal[1], -normal[0]])
    crossings = [np.full(len(offsets), np.nan)]
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        a, b = one @ normal, other @ normal
        share = (offsets - a) / (b - a)
        crossings.append(np.where((share >= 0) & (share <= 1), (one + share[:, None] * (other - one)) @ along, np.nan))
    found = np.array(crossings)
    any_crossing = np.isfinite(found).any(axis=0)
    length = np.zeros(len(offsets))
    length[any_crossing] = np.nanmax(found[:, any_crossing], axis=0) - np.nanmin(found[:, any_crossing], axis=0)
    return length


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("corners", TRIANGLES)
def test_the_chord_is_that_of_the_polygon_folded_with_the_diffusion(corners: Array, sigma: float) -> None:
    grid = np.arange(-30.0, 30.0, 0.01)
    for angle in ANGLES:
        lengths = chord(grid, corners, normal_to(angle))
        for offset in np.linspace(-9, 9, 13):
            folded = np.sum(lengths * np.exp(-0.5 * ((grid - offset) / sigma) ** 2)) * 0.01
            folded /= sigma * math.sqrt(2 * math.pi)
            assert seen(offset, corners, angle, sigma)[0] == pytest.approx(folded, abs=0.005)


def test_electrons_of_a_straight_track_fall_on_the_pad_as_often_as_its_chord_says() -> None:
    """Per mm of track: electrons on the pad over electrons of a millimetre."""
    generator = np.random.default_rng(7)
    per_mm, half, sigma = 20_000, 25.0, 1.6
    n = int(2 * half * per_mm)
    for corners, angle, offset in zip(TRIANGLES, (0.3, 1.9, 4.0), (1.0, -2.5, 3.0), strict=True):
        along, normal = np.array([math.cos(angle), math.sin(angle)]), normal_to(angle)
        places = np.outer(generator.uniform(-half, half, n), along) + offset * normal
        places += generator.normal(scale=sigma, size=(n, 2))
        inside = np.ones(n, bool)
        for k in range(3):
            one, other, third = corners[k], corners[(k + 1) % 3], corners[(k + 2) % 3]
            side = other - one
            sense = np.sign(side[0] * (third - one)[1] - side[1] * (third - one)[0])
            inside &= sense * (side[0] * (places[:, 1] - one[1]) - side[1] * (places[:, 0] - one[0])) > 0
        number = np.count_nonzero(inside)
        assert seen(offset, corners, angle, sigma)[0] == pytest.approx(
            number / per_mm, abs=4 * math.sqrt(number) / per_mm
        )


@pytest.mark.parametrize("corners", TRIANGLES)
def test_its_derivatives_are_those_of_differences(corners: Array) -> None:
    for angle in ANGLES:
        for sigma in (0.4, 1.5, 3.0):
            for offset in np.linspace(-8, 8, 9):
                _, by_offset, by_variance = seen(offset, corners, angle, sigma)
                step = 1e-4
                ahead, behind = (seen(offset + d, corners, angle, sigma)[0] for d in (step, -step))
                assert by_offset == pytest.approx((ahead - behind) / (2 * step), abs=1e-5)
                wider, narrower = (seen(offset, corners, angle, math.sqrt(sigma**2 + d))[0] for d in (step, -step))
                assert by_variance == pytest.approx((wider - narrower) / (2 * step), abs=1e-5)


@pytest.mark.parametrize("corners", TRIANGLES)
def test_all_parallel_tracks_together_light_the_area(corners: Array) -> None:
    offsets = np.arange(-30.0, 30.0, 0.05)
    for angle in ANGLES:
        total = 0.05 * sum(seen(offset, corners, angle, 1.7)[0] for offset in offsets)
        assert total == pytest.approx(triangle_area(corners), rel=1e-5)


@pytest.mark.parametrize("corners", TRIANGLES)
def test_a_mirrored_pad_sees_a_mirrored_track(corners: Array) -> None:
    mirror = np.array([1.0, -1.0])
    for angle in ANGLES:
        for offset in (-4.0, -1.0, 0.5, 6.0):
            one, other = seen(offset, corners, angle, 1.2), seen(-offset, corners * mirror, -angle, 1.2)
            np.testing.assert_allclose(one, [other[0], -other[1], other[2]], atol=1e-12)


def test_a_corner_seen_along_a_side_makes_no_division_by_zero() -> None:
    corners = TRIANGLES[0]
    for angle in (0.0, math.pi):  # a side along the track: two corners at the same distance
        found, near = seen(0.5, corners, angle, 1.0), seen(0.5, corners, angle + 1e-3, 1.0)
        np.testing.assert_allclose(found, near, atol=0.02)


def test_far_away_there_is_nothing() -> None:
    assert seen(60.0, TRIANGLES[0], 0.7, 1.0)[0] == 0.0
    assert 0.0 <= seen(-60.0, TRIANGLES[0], 0.7, 1.0)[0] < 1e-9


def test_the_ramp_is_straight_where_no_charge_crosses_its_foot() -> None:
    assert ramp(8.0, 1.0) == pytest.approx((8.0, 1.0, 0.0), abs=1e-12)
    assert ramp(-8.0, 1.0) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert ramp(0.0, 2.0)[0] == pytest.approx(2.0 / math.sqrt(2 * math.pi))


def test_area_and_distances_of_corners() -> None:
    assert triangle_area(EQUILATERAL) == pytest.approx(math.sqrt(3) / 4 * SIDE**2)
    for angle in ANGLES:
        np.testing.assert_allclose(corner_distances(SKEW, *normal_to(angle)), np.sort(SKEW @ normal_to(angle)))
