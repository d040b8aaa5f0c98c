"""Which way along the beam a particle moves, from the sense in which it turns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.fitting.circle import fit_circle

Floats = NDArray[np.float64]

FORWARD, BACKWARD, UNKNOWN = 0, 1, -1
_HALF_TURNS = 80  # the most that are looked for
_MOST_POINTS = 400  # of a cluster in the periodogram, spread evenly
_AS_HIGH = 0.8  # a peak of the periodogram as high as this share of the highest may be the true one
_COHERENT = 0.2  # of less of them the turn of a whole track says nothing
_SECTIONS, _FEWEST_IN_SECTION = 6, 20
_LEAST_TURN = 0.2 * math.pi  # of a section that counts
_REFINEMENTS = 2  # the second takes in the points that the first brought into reach
_SIGNIFICANT = 3.0  # standard deviations by which a track must bend
_LEAST_SCATTER = 0.1  # mm: no pad plane measures better, whatever the points say


@kernel
def direction(points: Floats, threshold: float) -> int:
    """0 forward, 1 backward, −1 unknown, for a cluster's points (n, 3) [mm], sorted by z.

    With the magnetic field along −z, dp/dt = q v × B turns a positive particle so that its azimuth φ about the
    circle's centre grows with time. It moves forward if φ grows with z, backward if φ falls. Many windings that get
    narrower are judged in sections. The sense is unknown if no
    more than `threshold` of the steps along z turn that way, if the track is straight within its scatter, or if all
    points have one z.
    """
    if len(points) < 3 or not points[-1, 2] > points[0, 2]:
        return UNKNOWN
    x, y = points[:, 0].copy(), points[:, 1].copy()
    centre_x, centre_y, radius = fit_circle(x, y)
    if not radius > 0.0:
        return UNKNOWN
    height = (points[:, 2] - points[0, 2]) / (points[-1, 2] - points[0, 2])
    azimuth = np.arctan2(y - centre_y, x - centre_x)
    turn = total_turn(azimuth, height)
    if _coherence(azimuth, height, turn) < _COHERENT and len(points) >= _SECTIONS * _FEWEST_IN_SECTION:
        balance = _balance_of_sections(azimuth, points[:, 2])
        return UNKNOWN if abs(balance) <= 0.5 * threshold else FORWARD if balance > 0.0 else BACKWARD
    if not _bends(x, y, centre_x, centre_y, radius, turn) or _agreeing(azimuth, height, turn) <= threshold:
        return UNKNOWN
    return FORWARD if turn > 0.0 else BACKWARD


@kernel
def _coherence(azimuth: Floats, height: Floats, turn: float) -> float:
    """|mean exp i(φ − kh)|²: 1 for azimuths that turn evenly, about 1/n for any."""
    residual = azimuth - turn * height
    return float(np.mean(np.cos(residual)) ** 2 + np.mean(np.sin(residual)) ** 2)


@kernel
def _balance_of_sections(azimuth: Floats, z: Floats) -> float:
    """From −1 (all turn backward) to 1, weighed by how evenly each section along z turns; 0 if hardly one does.

    A slowing particle turns the faster along z the further it comes, so that no one turn describes many windings; in a
    section of them one does.
    """
    total, sense = 0.0, 0.0
    edges = np.linspace(z[0], z[-1], _SECTIONS + 1)
    for section in range(_SECTIONS):
        first, last = np.searchsorted(z, edges[section]), np.searchsorted(z, edges[section + 1])
        if last - first < _FEWEST_IN_SECTION:
            continue
        own = (z[first:last] - edges[section]) / (edges[section + 1] - edges[section])
        turn = total_turn(azimuth[first:last], own)
        if abs(turn) > _LEAST_TURN:
            weight = _coherence(azimuth[first:last], own, turn)
            total += weight
            sense += math.copysign(weight, turn)
    return sense / total if total > 1.0 else 0.0


@kernel
def total_turn(azimuth: Floats, height: Floats) -> float:
    """The turn [rad] of azimuths (n,) over heights (n,), which rise from 0 to 1.

    The peak of the periodogram |Σ exp i(φ − kh)|² over the turn k: no azimuth is unwrapped, and points in one time
    bucket may come in any order. Heights in buckets give peaks of other k that are as high; of those within 80 % of the
    highest, the one of least turn is taken, and then made exact by a straight line through the residual azimuths.
    """
    power = _periodogram(azimuth, height)
    enough = _AS_HIGH * np.max(power)
    place = _HALF_TURNS
    for half_turns in range(_HALF_TURNS + 1):
        up, down = power[_HALF_TURNS + half_turns], power[_HALF_TURNS - half_turns]
        if max(up, down) >= enough:
            place = _HALF_TURNS + half_turns if up >= down else _HALF_TURNS - half_turns
            break
    while 0 < place < 2 * _HALF_TURNS and max(power[place - 1], power[place + 1]) > power[place]:
        place += 1 if power[place + 1] > power[place - 1] else -1
    turn = (place - _HALF_TURNS) * math.pi
    for _ in range(_REFINEMENTS):
        residual = azimuth - turn * height
        mean = math.atan2(np.mean(np.sin(residual)), np.mean(np.cos(residual)))
        residual = residual - mean
        residual -= 2.0 * math.pi * np.rint(residual / (2.0 * math.pi))
        offset = height - np.mean(height)
        turn += np.sum(offset * residual) / np.sum(offset * offset)
    return turn


@kernel
def _periodogram(azimuth: Floats, height: Floats) -> Floats:
    """|Σ exp i(φ − kh)|² for k = −π m … π m, of not too many of the points."""
    n_places = _HALF_TURNS + 1
    sums = np.zeros((4, n_places))  # of cos φ and sin φ, each times cos kh and sin kh; they serve k and −k
    c, s = np.ones(2 * n_places), np.zeros(2 * n_places)
    for point in range(0, len(azimuth), (len(azimuth) + _MOST_POINTS - 1) // _MOST_POINTS):
        _fill_multiples(math.pi * height[point], n_places, c, s)
        u, v = math.cos(azimuth[point]), math.sin(azimuth[point])
        for place in range(n_places):
            sums[0, place] += u * c[place]
            sums[1, place] += v * s[place]
            sums[2, place] += v * c[place]
            sums[3, place] += u * s[place]
    up, down = (sums[0] + sums[1]) ** 2 + (sums[2] - sums[3]) ** 2, (sums[0] - sums[1]) ** 2 + (sums[2] + sums[3]) ** 2
    return np.concatenate((down[:0:-1], up))


@kernel
def _fill_multiples(angle: float, n_places: int, cosines: Floats, sines: Floats) -> None:
    """Fill in cosines and sines (2 n,) of 1 … n − 1 times an angle, each step twice as many; those of 0 are there."""
    known, cosine, sine = 1, math.cos(angle), math.sin(angle)
    while known < n_places:
        for place in range(known):
            cosines[known + place] = cosines[place] * cosine - sines[place] * sine
            sines[known + place] = sines[place] * cosine + cosines[place] * sine
        cosine, sine = cosine * cosine - sine * sine, 2.0 * cosine * sine
        known *= 2


@kernel
def _agreeing(azimuth: Floats, height: Floats, turn: float) -> float:
    """The share of steps along the track, each an eighth of a turn or of the track, that turn as the whole does."""
    n_steps = max(8, int(4.0 * abs(turn) / math.pi) + 1)
    u, v = np.zeros(n_steps), np.zeros(n_steps)
    for point in range(len(azimuth)):
        step = min(int(height[point] * n_steps), n_steps - 1)
        u[step] += math.cos(azimuth[point])
        v[step] += math.sin(azimuth[point])
    agreeing, number, last = 0, 0, -1
    for step in range(n_steps):
        if u[step] == 0.0 and v[step] == 0.0:
            continue
        if last >= 0:
            agreeing += (u[last] * v[step] - v[last] * u[step]) * turn > 0.0
            number += 1
        last = step
    return agreeing / max(number, 1)


@kernel
def _bends(x: Floats, y: Floats, centre_x: float, centre_y: float, radius: float, turn: float) -> bool:
    """Whether the arc's sagitta stands out from its uncertainty.

    The uncertainty is that of n points with scatter s, spread evenly over the arc: s √(720 / (n + 4)) / 8
    (Gluckstern, Nucl. Instrum. Methods 24 (1963) 381).
    """
    scatter = math.sqrt(np.mean((np.hypot(x - centre_x, y - centre_y) - radius) ** 2))
    sagitta = radius * (1.0 - math.cos(0.5 * min(abs(turn), math.pi)))
    scatter = max(scatter, _LEAST_SCATTER)
    return sagitta > _SIGNIFICANT * scatter * math.sqrt(720.0 / (len(x) + 4)) / 8.0
