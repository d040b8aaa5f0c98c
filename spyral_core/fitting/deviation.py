"""How far a point, and the end of a track, lie from a trajectory, and how that changes with the trajectory.

The changes are linear in the trajectory's own: rows of derivatives by parameters (`sensitivity`), or by the random
deflections of the particle (`deflections`).
"""

from __future__ import annotations

import numpy as np

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point

EDGE = 15.0  # mm of drift around the ends of the record in which pulses are cut
PIECE, FAINT = 12.0, 0.2  # mm of path on which a visible particle lights pads; share of the usual charge on them
HALVINGS = 8  # of a step in which a trajectory gets out of sight


@kernel
def change_of_place(cell, share, path, changes, change):  # type: ignore[no-untyped-def]
    """Derivatives (k, 3) of a place on the curve, at fixed path length, from those of the states (k, n, 7)."""
    for k in range(len(changes)):
        change[k, 0], change[k, 1], change[k, 2] = curve_point(path, changes[k], cell, share)


@kernel
def follow_end(change, tangent, end_changes):  # type: ignore[no-untyped-def]
    """The end of a stopping track also moves along it, as far as the residual range (k,) there changes."""
    for k in range(len(change)):
        for axis in range(3):
            change[k, axis] += end_changes[k] * tangent[axis]


@kernel
def project(change, tangent, weight, weight_z, along):  # type: ignore[no-untyped-def]
    """Take the part along the curve, which the nearest place follows, off the derivatives (k, 3); fills it in (k,).

    Orthogonal in the metric of the weights: dx² + dy² by `weight`, dz² by `weight_z`.
    """
    ux, uy, uz = tangent
    norm = weight * (ux * ux + uy * uy) + weight_z * uz * uz
    for k in range(len(change)):
        along[k] = (weight * (change[k, 0] * ux + change[k, 1] * uy) + weight_z * change[k, 2] * uz) / norm
        change[k, 0] -= along[k] * ux
        change[k, 1] -= along[k] * uy
        change[k, 2] -= along[k] * uz


@kernel
def is_visible(x, y, z, visible):  # type: ignore[no-untyped-def]
    """Whether a track would light pads here; `visible` = (smallest, largest rho, smallest, largest z) [mm].

    Not within `EDGE` of the smallest z: the record ends there, or the chamber does.
    """
    rho2 = x * x + y * y
    return visible[0] ** 2 < rho2 < visible[1] ** 2 and visible[2] + EDGE < z < visible[3]


@kernel
def silent_length(path, states, last, visible):  # type: ignore[no-untyped-def]
    """Visible length [mm] of the trajectory beyond path length `last`, and how it changes with the range: 1 or 0.

    A particle that stops where nothing is seen does so unseen however far it gets.
    """
    length, n = 0.0, len(path)
    end = is_visible(states[n - 1, 0], states[n - 1, 1], states[n - 1, 2], visible)
    later = end
    for i in range(n - 1, 0, -1):
        if path[i] <= last:
            break
        earlier = is_visible(states[i - 1, 0], states[i - 1, 1], states[i - 1, 2], visible)
        first, final = path[i - 1], path[i]
        if earlier != later:
            edge = first + (final - first) * _visible_until(states[i - 1], states[i], earlier, visible)
            first, final = (first, edge) if earlier else (edge, final)
        if earlier or later:
            length += max(final - max(first, last), 0.0)
        later = earlier
    return length, 1.0 if end else 0.0


@kernel
def _visible_until(one, other, seen, visible):  # type: ignore[no-untyped-def]
    """Share of the way from one state (7,) to the other at which visibility changes, which is `seen` at the first."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        x, y, z = (1 - middle) * one[:3] + middle * other[:3]
        if is_visible(x, y, z, visible) == seen:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel
def silent_share(path, states, places, charge, visible):  # type: ignore[no-untyped-def]
    """Share of the trajectory's visible length along which the track's points have no charge, or hardly any.

    Points, whose `places` (n,) [mm] and `charge` (n,) are given, are counted where they are nearest: pads beside one
    turn may lie nearer to another.
    """
    n_pieces = max(int(path[len(path) - 1] / PIECE), 1)
    lit, seen = np.zeros(n_pieces), np.zeros(n_pieces, np.bool_)
    for i in range(len(places)):
        lit[min(int(places[i] / PIECE), n_pieces - 1)] += charge[i]
    cell = 0
    for k in range(n_pieces):
        at = (k + 0.5) * PIECE
        while cell < len(path) - 2 and path[cell + 1] < at:
            cell += 1
        x, y, z = curve_point(path, states, cell, min((at - path[cell]) / (path[cell + 1] - path[cell]), 1.0))
        seen[k] = is_visible(x, y, z, visible)
    bright = lit[seen & (lit > 0.0)]
    if len(bright) == 0:
        return 1.0 if seen.any() else 0.0
    return np.mean(lit[seen] < FAINT * np.median(bright))
