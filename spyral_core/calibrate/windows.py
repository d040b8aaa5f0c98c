"""A track in the neighbourhood of each of its pads: where it runs, when its charge comes, and how much there is.

Nothing is taken for granted of the particle: around each pad the track is a parabola across the beam and a line along
it. What the neighbours say of a pad is compared with what it shows; the pad itself is left out of time and charge.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.pattern import triangle_area

Floats = NDArray[np.float64]

WINDOW = 30.0  # mm around a pad
ALONG_BEAM = 0.5  # weight of a distance along the beam
FEWEST = 8  # neighbours
FEWEST_ON_A_SIDE = 3
ELONGATED = 4.0  # least ratio of variances along the track and across it, seen along the beam
STRAY_TIME = 2.0  # TB from which on a neighbour counts for half
STRAY_CHARGE = 0.6  # the same, relative
LEAST_SHARE = 0.05  # of a neighbour's expected charge over the largest; others are too uncertain
PARTS = 8  # of a pad's side, for sums over its area
PAD_SHAPE = 6.0 * math.sqrt(3.0)  # area over variance of an equilateral triangle
LEAST_SPREAD = 0.1  # mm


@kernel
def places_on_track(x, y, time, charge, mm_per_bucket):  # type: ignore[no-untyped-def]
    """Where the track of a cluster runs past each of its pads: (n, 3).

    `x`, `y` [mm], `time` [TB], `charge` (n,). Columns: offset of the track from the pad's centroid [mm], to the left of
    its direction; the direction's x and y, of unit length across the beam. nan where neighbours do not tell.
    """
    n = len(x)
    places = np.full((n, 3), np.nan)
    for i in range(n):
        sums = np.zeros(6)
        for j in range(n):
            if _near(i, j, x, y, time, mm_per_bucket):
                _add(sums, charge[j], x[j] - x[i], y[j] - y[i])
        if sums[0] <= 0.0:
            continue
        mx, my = sums[1] / sums[0], sums[2] / sums[0]
        xx, xy, yy = sums[3] / sums[0] - mx * mx, sums[4] / sums[0] - mx * my, sums[5] / sums[0] - my * my
        half, root = 0.5 * (xx + yy), math.hypot(0.5 * (xx - yy), xy)
        if half + root < ELONGATED * (half - root):
            continue
        angle = 0.5 * math.atan2(2.0 * xy, xx - yy)
        ux, uy = math.cos(angle), math.sin(angle)
        offset, slope, number = _parabola(i, x, y, time, charge, mm_per_bucket, ux, uy)
        if number < FEWEST:
            continue
        length = math.sqrt(1.0 + slope * slope)
        places[i, 0] = offset / length
        places[i, 1], places[i, 2] = (ux - slope * uy) / length, (uy + slope * ux) / length
    return places


@kernel
def _near(i, j, x, y, time, mm_per_bucket):  # type: ignore[no-untyped-def]
    along = ALONG_BEAM * mm_per_bucket * (time[j] - time[i])
    return (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 + along * along < WINDOW**2


@kernel
def _add(sums, weight, dx, dy):  # type: ignore[no-untyped-def]
    sums[0] += weight
    sums[1] += weight * dx
    sums[2] += weight * dy
    sums[3] += weight * dx * dx
    sums[4] += weight * dx * dy
    sums[5] += weight * dy * dy


@kernel
def _parabola(i, x, y, time, charge, mm_per_bucket, ux, uy):  # type: ignore[no-untyped-def]
    """Offset and slope at a pad of the parabola through its neighbours, weighted by charge; number of neighbours."""
    matrix, right, number = np.zeros((3, 3)), np.zeros(3), 0
    for j in range(len(x)):
        if not _near(i, j, x, y, time, mm_per_bucket):
            continue
        s = ((x[j] - x[i]) * ux + (y[j] - y[i]) * uy) / WINDOW
        v = -(x[j] - x[i]) * uy + (y[j] - y[i]) * ux
        powers = (1.0, s, s * s)
        for a in range(3):
            right[a] += charge[j] * powers[a] * v
            for b in range(3):
                matrix[a, b] += charge[j] * powers[a] * powers[b]
        number += 1
    if number < FEWEST:
        return 0.0, 0.0, number
    trace = matrix[0, 0] + matrix[1, 1] + matrix[2, 2]
    for a in range(3):
        matrix[a, a] += 1e-9 * trace
    solution = np.linalg.solve(matrix, right)
    return solution[0], solution[1] / WINDOW, number


@kernel
def seen_by_pads(places, corners, variance):  # type: ignore[no-untyped-def]
    """What each pad sees of its track: length [mm], and how far beyond its centroid that lies along the track [mm].

    `places` (n, 3) of `places_on_track`; `corners` (n, 3, 2) against the centroids [mm]; `variance` (n,) of the charge
    across the track [mm²]. The third column is the largest length that a track in this direction can leave. (n, 3)
    """
    seen = np.full((len(places), 3), np.nan)
    for i in range(len(places)):
        offset, ux, uy = places[i]
        if math.isnan(offset):
            continue
        area = triangle_area(corners[i]) / PARTS**2
        spread = math.sqrt(variance[i] + LEAST_SPREAD**2 + area / PAD_SHAPE)
        length, moment, middle = 0.0, 0.0, 0.0
        for a in range(PARTS):
            for b in range(2 * (PARTS - a) - 1):
                first, second = (a + (1.0 + b % 2) / 3.0) / PARTS, (b // 2 + (1.0 + b % 2) / 3.0) / PARTS
                third = 1.0 - first - second
                px = first * corners[i, 0, 0] + second * corners[i, 1, 0] + third * corners[i, 2, 0]
                py = first * corners[i, 0, 1] + second * corners[i, 1, 1] + third * corners[i, 2, 1]
                along, across = px * ux + py * uy, -px * uy + py * ux
                density = math.exp(-0.5 * ((across - offset) / spread) ** 2)
                length += density
                moment += density * along
                middle += math.exp(-0.5 * (across / spread) ** 2)
        norm = area / (math.sqrt(2.0 * math.pi) * spread)
        seen[i, 0], seen[i, 2] = norm * length, norm * middle
        seen[i, 1] = moment / length if length > 0.0 else 0.0
    return seen


@kernel
def against_neighbours(x, y, time, charge, sound, places, seen, mm_per_bucket):  # type: ignore[no-untyped-def]
    """Each pad by the others around it: time later than theirs [TB], expected charge, slope [TB/mm]: (n, 3).

    `sound` (n,): hits that may be compared. The others' time is a line along the track, their charge per length seen is
    one, too. nan where there are too few of them, or all on one side.
    """
    n = len(x)
    result = np.full((n, 3), np.nan)
    for i in range(n):
        if not sound[i] or math.isnan(places[i, 0]):
            continue
        ux, uy, own = places[i, 1], places[i, 2], seen[i, 1]
        s, late, lit, held = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
        number, before, most = 0, 0, 0.0
        for j in range(n):
            if j == i or not sound[j] or math.isnan(places[j, 0]) or not _near(i, j, x, y, time, mm_per_bucket):
                continue
            turned = 1.0 if places[j, 1] * ux + places[j, 2] * uy >= 0.0 else -1.0
            s[number] = (x[j] - x[i]) * ux + (y[j] - y[i]) * uy + turned * seen[j, 1] - own
            late[number], lit[number], held[number] = time[j] - time[i], seen[j, 0], charge[j]
            before += s[number] < 0.0
            most = max(most, seen[j, 0])
            number += 1
        if number < FEWEST or min(before, number - before) < FEWEST_ON_A_SIDE:
            continue
        used = lit[:number] > LEAST_SHARE * most
        at, slope = _line(s[:number], late[:number], np.where(used, lit[:number], 0.0), np.ones(number), STRAY_TIME)
        level, _ = _line(s[:number], held[:number], np.where(used, 1.0, 0.0) / (lit[:number] + 0.1 * most),
                         lit[:number], -STRAY_CHARGE)  # fmt: skip
        result[i, 0], result[i, 2] = -at, slope
        if level > 0.0 and seen[i, 0] > 0.0:
            result[i, 1] = level * seen[i, 0]
    return result


@kernel
def _line(s, value, weight, factor, stray):  # type: ignore[no-untyped-def]
    """a and b of value ≈ factor·(a + b·s) by weighted least squares, with strays of little weight.

    A positive `stray` is a deviation, a negative one a share of the fitted value.
    """
    a, b, counts = 0.0, 0.0, np.ones(len(s))
    for _ in range(4):
        s0, s1, s2, r0, r1 = 1e-12, 0.0, 0.0, 0.0, 0.0
        for j in range(len(s)):
            w = weight[j] * counts[j]
            f, g = factor[j], factor[j] * s[j]
            s0 += w * f * f
            s1 += w * f * g
            s2 += w * g * g
            r0 += w * f * value[j]
            r1 += w * g * value[j]
        determinant = s0 * s2 - s1 * s1
        if not determinant > 1e-9 * s0 * s0:
            a, b = r0 / s0, 0.0
        else:
            a, b = (r0 * s2 - r1 * s1) / determinant, (r1 * s0 - r0 * s1) / determinant
        for j in range(len(s)):
            model = factor[j] * (a + b * s[j])
            scale = stray if stray > 0.0 else max(-stray * model, 1e-9)
            counts[j] = 1.0 / (1.0 + ((value[j] - model) / scale) ** 2)
    return a, b
