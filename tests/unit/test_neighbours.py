"""Which pads touch, and how the plane is the same when turned or mirrored."""

from __future__ import annotations

import numpy as np

from spyral_core.detector.neighbours import images, touching
from spyral_core.detector.pads import builtin

PLANE = builtin()
RADIUS = np.hypot(PLANE.x, PLANE.y)


def on_edge(place: np.ndarray, start: np.ndarray, end: np.ndarray) -> bool:
    """Whether a place lies on the line between two others (1 µm)."""
    along, across = end - start, place - start
    part = float(across @ along / (along @ along))
    return -1e-3 < part < 1 + 1e-3 and float(np.linalg.norm(across - part * along)) < 1e-3


def touch(one: np.ndarray, other: np.ndarray) -> tuple[bool, bool]:
    """Whether two triangles share a part of a side, and whether the second one holds a corner of the first.

    Two corners of either on one side of the other: then they share what lies between.
    """
    sides = [(k, (k + 1) % 3) for k in range(3)]
    shared = any(
        sum(on_edge(corner, base[a], base[b]) for corner in top) == 2
        for base, top in ((one, other), (other, one))
        for a, b in sides
    )
    held = any(on_edge(corner, other[a], other[b]) for corner in one for a, b in sides)
    return shared, held


def test_touching_pads_are_those_whose_triangles_touch() -> None:
    found = touching()
    rng = np.random.default_rng(3)
    border = np.flatnonzero(np.abs(RADIUS - 145) < 8)
    for pad in [0, 5119, 9000, *rng.choice(10240, 15), *rng.choice(border, 25)]:
        near = np.flatnonzero(np.hypot(PLANE.x - PLANE.x[pad], PLANE.y - PLANE.y[pad]) < 25)
        told = {int(other): touch(PLANE.vertices[pad], PLANE.vertices[other]) for other in near if other != pad}
        sides = [other for other, (shared, _) in told.items() if shared]
        corners = [other for other, (shared, held) in told.items() if held and not shared]
        assert [other for other in found.sides[pad].tolist() if other >= 0] == sides
        assert [other for other in found.corners[pad].tolist() if other >= 0] == corners


def test_inside_a_region_of_one_size_twelve_pads_touch_each() -> None:
    found = touching()
    inside = (RADIUS < 120) | ((RADIUS > 170) & (RADIUS < 250))
    assert set((found.sides[inside] >= 0).sum(axis=1).tolist()) == {3}
    assert set((found.corners[inside] >= 0).sum(axis=1).tolist()) == {9}


def test_turned_or_mirrored_the_plane_is_the_same() -> None:
    found = images()
    assert found.shape == (10240, 11)
    there = found >= 0
    assert np.count_nonzero(~there.all(axis=1)) < 30  # of the rim's pads
    pads, column = np.nonzero(there)
    others = found[pads, column]
    np.testing.assert_allclose(RADIUS[others], RADIUS[pads], atol=1e-9)
    assert np.array_equal(PLANE.scale[others], PLANE.scale[pads])
    for one in range(found.shape[1]):
        assert len(np.unique(found[there[:, one], one])) == there[:, one].sum()


def test_images_of_touching_pads_touch() -> None:
    sides, found = touching().sides, images()
    for pad in np.random.default_rng(1).choice(np.flatnonzero(RADIUS < 250), 50):
        for column in range(found.shape[1]):
            expected = sorted(found[other, column] for other in sides[pad] if other >= 0)
            assert [other for other in sides[found[pad, column]].tolist() if other >= 0] == expected
