"""How far a point, and the end of a track, lie from a trajectory, and how that changes with the trajectory.

The changes are linear in the trajectory's own: rows of derivatives by parameters (`sensitivity`), or by the random
deflections of the particle (`deflections`).
"""

from __future__ import annotations

from spyral_core.compiled import kernel
from spyral_core.fitting.curve import curve_point


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
    """Whether a track would light pads here; `visible` = (smallest, largest rho, smallest, largest z) [mm]."""
    rho2 = x * x + y * y
    return visible[0] ** 2 < rho2 < visible[1] ** 2 and visible[2] < z < visible[3]


@kernel
def silent_length(path, states, last, visible):  # type: ignore[no-untyped-def]
    """Visible length [mm] of the trajectory beyond path length `last`."""
    length = 0.0
    for i in range(len(path) - 1, 0, -1):
        if path[i] <= last:
            break
        x, y = 0.5 * (states[i, 0] + states[i - 1, 0]), 0.5 * (states[i, 1] + states[i - 1, 1])
        if is_visible(x, y, 0.5 * (states[i, 2] + states[i - 1, 2]), visible):
            length += path[i] - max(path[i - 1], last)
    return length
