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
MOST_NODES = 400
TURN_OF_STEP = 0.12  # rad


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
    n_steps = int(min(max(turn / TURN_OF_STEP, 24.0), MOST_NODES - 2.0)) + 1
    step = (last - first) / n_steps
    before = int(np.ceil(-first / step))
    after = int(np.ceil(last / step))
    return step * np.arange(-before, after + 1).astype(np.float64)


@kernel
def trace_curve(s: Floats, parameters: Floats, reference: Floats) -> Floats:
    """The curve at nodes s (m,): rows (10, m) x, y, azimuth, x by φ₀, κ₀, w, y by φ₀, κ₀, w, and curvature.

    `reference` = (x, y, azimuth) of the line that the offset is measured from. Simpson's rule from node to node.
    """
    curve = np.zeros((10, len(s)))
    zero = int(np.argmin(np.abs(s)))
    curve[0, zero] = reference[0] - parameters[0] * np.sin(reference[2])
    curve[1, zero] = reference[1] + parameters[0] * np.cos(reference[2])
    curve[2, zero] = parameters[1]
    here = np.empty(8)
    middle = np.empty(8)
    there = np.empty(8)
    for sense in (1, -1):
        _slopes(s[zero], parameters, here)
        node = zero + sense
        while 0 <= node < len(s):
            step = s[node] - s[node - sense]
            _slopes(s[node] - 0.5 * step, parameters, middle)
            azimuth = _slopes(s[node], parameters, there)
            for row in range(2):
                curve[row, node] = curve[row, node - sense] + step / 6.0 * (here[row] + 4.0 * middle[row] + there[row])
            curve[2, node] = azimuth
            for row in range(6):
                curve[3 + row, node] = curve[3 + row, node - sense] + step / 6.0 * (
                    here[2 + row] + 4.0 * middle[2 + row] + there[2 + row]
                )
            here[:] = there
            node += sense
    for node in range(len(s)):
        curve[9, node] = parameters[2] * turned(s[node], parameters[3])[1]
    return curve


@kernel
def _slopes(s: float, parameters: Floats, slopes: Floats) -> float:
    """Fill d/ds of x, y and of their derivatives by φ₀, κ₀, w (8,); returns the azimuth."""
    whole, _, by_w = turned(s, parameters[3])
    azimuth: float = parameters[1] + parameters[2] * whole
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    slopes[0], slopes[1] = cosine, sine
    slopes[2], slopes[3], slopes[4] = -sine, -sine * whole, -sine * parameters[2] * by_w
    slopes[5], slopes[6], slopes[7] = cosine, cosine * whole, cosine * parameters[2] * by_w
    return azimuth
