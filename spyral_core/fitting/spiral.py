"""The path of a particle that slows down in a magnetic field, without knowledge of the particle or the gas.

Seen along the field the path is a spiral: range goes with momentum like p ∝ (range left)^α, so that at the transverse
path length s its radius of curvature is ρ₀ (1 − w s)^α, 1/w being the transverse path at which the particle would stop.
Along the field z = z₀ + c s, c the cotangent of the polar angle. A positive particle in a field along −z turns
counter-clockwise: its azimuth grows with s.

Parameters (6,): offset [mm] of the point s = 0 to the left of a reference line, azimuth φ₀ of the momentum there
[rad], curvature κ₀ = 1/ρ₀ [1/mm], w [1/mm], z₀ [mm], c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]

ALPHA = 0.3  # range ∝ energy^1.7 for light ions of a few MeV, momentum ∝ energy^0.5
STOPPED = 0.02  # the share of the range below which the radius shrinks no more
FEWEST_STEPS, MOST_STEPS = 12, 200  # between nodes
TURN_OF_STEP = 0.25  # rad; a parabola through a node is right to 0.03 mm half a step off, on a radius of 100 mm


@kernel
def turned(s: float, w: float) -> tuple[float, float, float]:
    """∫₀ˢ (1 − w τ)^(−α) dτ [mm], its derivative by s, and its derivative by w [mm²]."""
    v = 1.0 - w * s
    if v < STOPPED:
        last = (1.0 - STOPPED) / w
        whole, slope, by_w = turned_before_stop(last, w)
        whole += (s - last) * slope
    else:
        whole, slope, by_w = turned_before_stop(s, w)
    return whole, slope, by_w


@kernel
def turned_before_stop(s: float, w: float) -> tuple[float, float, float]:
    """`turned` for w s < 1; a series where w s is small."""
    if abs(w * s) < 1e-3:
        a = w * s
        second, third = ALPHA / 2.0, ALPHA * (ALPHA + 1.0) / 6.0
        return (
            s * (1.0 + a * (second + a * third)),
            1.0 + ALPHA * a + 3.0 * third * a * a,
            s * s * (second + 2.0 * a * third),
        )
    v = 1.0 - w * s
    slope = v**-ALPHA
    whole = (1.0 - v * slope) / (w * (1.0 - ALPHA))
    return whole, slope, (s * slope - whole) / w


@kernel
def nodes_for(first: float, last: float, parameters: Floats) -> Floats:
    """Path lengths (m,) [mm] from `first` ≤ 0 to `last` > 0, 0 among them, close enough for `trace_curve`."""
    turn = parameters[2] * (turned(last, parameters[3])[0] - turned(first, parameters[3])[0])
    n_steps = int(min(max(turn / TURN_OF_STEP, FEWEST_STEPS), MOST_STEPS)) + 1
    step = (last - first) / n_steps
    before = int(np.ceil(-first / step))
    after = int(np.ceil(last / step))
    return step * np.arange(-before, after + 1).astype(np.float64)


@kernel
def trace_curve(s: Floats, parameters: Floats, reference: Floats) -> Floats:
    """The curve at nodes s (m,), as rows (14, m).

    These are x, y, azimuth; x by φ₀, κ₀, w; y by φ₀, κ₀, w; curvature; cosine and sine of the azimuth;
    azimuth by κ₀, w. `reference` = (x, y, azimuth) of the line that the offset is measured from. Simpson's rule from
    node to node.
    """
    curve = np.empty((14, len(s)))
    zero = int(np.argmin(np.abs(s)))
    curve[:9, zero] = 0.0
    curve[0, zero] = reference[0] - parameters[0] * np.sin(reference[2])
    curve[1, zero] = reference[1] + parameters[0] * np.cos(reference[2])
    slopes = np.empty((len(s), 8))
    middle = np.empty(8)
    for node in range(len(s)):
        curve[2, node], curve[9, node], curve[12, node], curve[13, node] = _slopes(s[node], parameters, slopes[node])
        curve[10, node], curve[11, node] = slopes[node, 0], slopes[node, 1]
    for sense in (1, -1):
        node = zero + sense
        while 0 <= node < len(s):
            before = node - sense
            step = (s[node] - s[before]) / 6.0
            _slopes(0.5 * (s[before] + s[node]), parameters, middle)
            for row in range(8):
                part = step * (slopes[before, row] + 4.0 * middle[row] + slopes[node, row])
                place = row if row < 2 else row + 1
                curve[place, node] = curve[place, before] + part
            node += sense
    return curve


@kernel
def _slopes(s: float, parameters: Floats, slopes: Floats) -> tuple[float, float, float, float]:
    """Fill d/ds of x, y and of their derivatives by φ₀, κ₀, w (8,).

    Returns the azimuth, the curvature, and the azimuth's derivatives by κ₀ and w.
    """
    whole, slope, by_w = turned(s, parameters[3])
    by_w *= parameters[2]
    azimuth = parameters[1] + parameters[2] * whole
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    slopes[0], slopes[1] = cosine, sine
    slopes[2], slopes[3], slopes[4] = -sine, -sine * whole, -sine * by_w
    slopes[5], slopes[6], slopes[7] = cosine, cosine * whole, cosine * by_w
    return azimuth, parameters[2] * slope, whole, by_w


@kernel
def beside_node(curve: Floats, node: int, shift: float) -> tuple[float, float, float, float]:
    """Where the curve is a `shift` [mm] of path from a node, on its parabola: x, y, cosine and sine of the azimuth."""
    cosine, sine, turn = curve[10, node], curve[11, node], curve[9, node] * shift
    return (
        curve[0, node] + shift * (cosine - 0.5 * turn * sine),
        curve[1, node] + shift * (sine + 0.5 * turn * cosine),
        cosine - turn * sine,
        sine + turn * cosine,
    )


@kernel
def fill_slopes(curve: Floats, node: int, shift: float, left_x: float, left_y: float, slopes: Floats) -> None:
    """Derivatives of a place of the curve beside a node by its first four parameters, as rows (2, ≥ 4) of `slopes`.

    The first row is to the left of the curve, the second along it; (left_x, left_y) is the offset's direction. What
    turns the azimuth moves the curve to the left by that times the path: so `shift` counts.
    """
    turn = curve[9, node] * shift
    cosine, sine = curve[10, node] - turn * curve[11, node], curve[11, node] + turn * curve[10, node]
    slopes[0, 0], slopes[1, 0] = left_y * cosine - left_x * sine, left_x * cosine + left_y * sine
    for k in range(3):
        by_x, by_y = curve[3 + k, node], curve[6 + k, node]
        slopes[0, 1 + k], slopes[1, 1 + k] = by_y * cosine - by_x * sine, by_x * cosine + by_y * sine
    slopes[0, 1] += shift
    slopes[0, 2] += shift * curve[12, node]
    slopes[0, 3] += shift * curve[13, node]
