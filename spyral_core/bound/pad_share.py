"""Which share of a cloud of electrons arrives on a pad, and how it changes with the cloud's place.

The cloud is a normal distribution around (x, y), the pad a triangle. Along the pad's base the integral is a difference
of two error functions; across it, Gauss and Legendre's rule takes the part of the height within REACH widths.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel

REACH = 4.5  # widths of the cloud
PLACES, WEIGHTS = np.polynomial.legendre.leggauss(12)
LEAST_SHARE = 1e-4
ROOT_TWO, ROOT_TWO_PI = math.sqrt(2.0), math.sqrt(2.0 * math.pi)


@kernel
def pad_share(x, y, sigma, corners):  # type: ignore[no-untyped-def]
    """Share of the cloud on a pad and its derivatives by x and y [1/mm].

    `sigma` [mm] of the cloud; `corners` (3, 2) [mm]: the base's two ends and the apex.
    """
    ex, ey = corners[1, 0] - corners[0, 0], corners[1, 1] - corners[0, 1]
    base = math.hypot(ex, ey)
    ex, ey = ex / base, ey / base
    fx, fy = -ey, ex
    ax, ay = corners[2, 0] - corners[0, 0], corners[2, 1] - corners[0, 1]
    height, apex = ax * fx + ay * fy, ax * ex + ay * ey
    if height < 0.0:
        fx, fy, height = -fx, -fy, -height
    along = (x - corners[0, 0]) * ex + (y - corners[0, 1]) * ey
    above = (x - corners[0, 0]) * fx + (y - corners[0, 1]) * fy
    low, high = max(0.0, above - REACH * sigma), min(height, above + REACH * sigma)
    if low >= high:
        return 0.0, 0.0, 0.0
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    share, by_along, by_above = 0.0, 0.0, 0.0
    for i in range(len(PLACES)):
        w = middle + half * PLACES[i]
        part = w / height
        left, right = (apex * part - along) / sigma, (base + (apex - base) * part - along) / sigma
        offset = (w - above) / sigma
        density = half * WEIGHTS[i] * math.exp(-0.5 * offset * offset) / (ROOT_TWO_PI * sigma)
        inside = 0.5 * (math.erfc(-right / ROOT_TWO) - math.erfc(-left / ROOT_TWO))
        share += density * inside
        by_along += density * (math.exp(-0.5 * left * left) - math.exp(-0.5 * right * right)) / (ROOT_TWO_PI * sigma)
        by_above += density * inside * offset / sigma
    return share, by_along * ex + by_above * fx, by_along * ey + by_above * fy


@kernel
def shares_of(x, y, sigma, pads, centroids, corners, reach):  # type: ignore[no-untyped-def]
    """Shares of clouds (n,) on all pads that get some: cloud (m,), pad (m,), share and derivatives (m, 3).

    `pads` (k,): numbers of the pads that are read; `centroids` (p, 2), `corners` (p, 3, 2) of all; `reach` [mm]: the
    largest distance of a corner from its centroid.
    """
    room = 4096
    cloud, pad, values = np.empty(room, np.int64), np.empty(room, np.int64), np.empty((room, 3))
    n = 0
    for i in range(len(x)):
        farthest = reach + REACH * sigma[i]
        for k in pads:
            dx, dy = centroids[k, 0] - x[i], centroids[k, 1] - y[i]
            if abs(dx) > farthest or abs(dy) > farthest or dx * dx + dy * dy > farthest * farthest:
                continue
            share, by_x, by_y = pad_share(x[i], y[i], sigma[i], corners[k])
            if share < LEAST_SHARE:
                continue
            if n == room:
                cloud = np.concatenate((cloud, np.empty(room, np.int64)))
                pad = np.concatenate((pad, np.empty(room, np.int64)))
                values = np.concatenate((values, np.empty((room, 3))))
                room *= 2
            cloud[n], pad[n] = i, k
            values[n, 0], values[n, 1], values[n, 2] = share, by_x, by_y
            n += 1
    return cloud[:n], pad[:n], values[:n]
