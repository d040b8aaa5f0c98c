"""The charge that a track leaves on a pad, and how it changes with the track's place.

Over the size of a pad a track is straight and its charge even. A triangle sees of it the chord that the track cuts,
smeared by diffusion across: a function of the distance between track and pad that is a piecewise linear chord, zero
outside the triangle and highest at its middle corner, folded with a normal distribution. In closed form it is a sum of
three ramps folded with it, ∫ max(0, x − y) N(y) dy = σ φ(x/σ) + x Φ(x/σ).
"""

from __future__ import annotations

import math

from spyral_core.compiled import kernel

ROOT_TWO, ROOT_TWO_PI = math.sqrt(2.0), math.sqrt(2.0 * math.pi)
SHORTEST = 1e-3  # mm: between two corners, seen along the track


@kernel
def ramp(x, sigma):  # type: ignore[no-untyped-def]
    """max(0, x) folded with a normal distribution of width σ, and its first two derivatives."""
    u = x / sigma
    density = math.exp(-0.5 * u * u) / ROOT_TWO_PI
    share = 0.5 * math.erfc(-u / ROOT_TWO)
    return sigma * density + x * share, share, density / sigma


@kernel
def seen_chord(offset, first, second, third, area, sigma):  # type: ignore[no-untyped-def]
    """Mean chord [mm] that a pad sees of a track, its derivative by the offset, and by σ² [1/mm].

    `offset` [mm] of the track from the pad's centroid; `first` ≤ `second` ≤ `third` [mm]: the corners' distances from
    the centroid in that direction; `area` [mm²] of the triangle; `sigma` [mm]: the spread of the charge.
    """
    second = max(second, first + SHORTEST)
    third = max(third, second + SHORTEST)
    height = 2.0 * area / (third - first)
    rise, fall = height / (second - first), height / (third - second)
    a, a1, a2 = ramp(offset - first, sigma)
    b, b1, b2 = ramp(offset - second, sigma)
    c, c1, c2 = ramp(offset - third, sigma)
    value = rise * a - (rise + fall) * b + fall * c
    return (
        max(value, 0.0),
        rise * a1 - (rise + fall) * b1 + fall * c1,
        0.5 * (rise * a2 - (rise + fall) * b2 + fall * c2),
    )


@kernel
def corner_distances(corners, nx, ny):  # type: ignore[no-untyped-def]
    """Distances of a triangle's corners (3, 2) from its centroid along a unit vector, in rising order."""
    a = corners[0, 0] * nx + corners[0, 1] * ny
    b = corners[1, 0] * nx + corners[1, 1] * ny
    c = corners[2, 0] * nx + corners[2, 1] * ny
    return min(a, b, c), a + b + c - min(a, b, c) - max(a, b, c), max(a, b, c)


@kernel
def triangle_area(corners):  # type: ignore[no-untyped-def]
    """Area [mm²] of a triangle (3, 2)."""
    ax, ay = corners[1, 0] - corners[0, 0], corners[1, 1] - corners[0, 1]
    bx, by = corners[2, 0] - corners[0, 0], corners[2, 1] - corners[0, 1]
    return 0.5 * abs(ax * by - bx * ay)
