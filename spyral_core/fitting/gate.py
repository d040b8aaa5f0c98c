"""Particle gates: polygons in two columns of the estimates, in Spyral's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.json_file import read_json
from spyral_core.physics.nuclei import nuclear_mass
from spyral_core.tables import ESTIMATES

DEFAULT_AXES = ("dEdx", "brho")


@dataclass(frozen=True)
class Gate:
    """A species (Z, A) and the polygon (n, 2), closed, that selects it in two columns of the estimates."""

    name: str
    xaxis: str
    yaxis: str
    vertices: NDArray[np.float64]
    Z: int
    A: int

    def contains(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points (n,) lie in the polygon: the even–odd rule, a ray along +x."""
        inside = np.zeros(len(x), dtype=bool)
        for (x0, y0), (x1, y1) in zip(self.vertices[:-1], self.vertices[1:], strict=True):
            if y0 == y1:
                continue
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return inside


def load_gate(path: str | Path) -> Gate:
    """Read a gate from JSON; an absent axis, or `DefaultAxis`, means dEdx for x and brho for y.

    Raises ConfigurationError naming the file and the fault.
    """
    name = Path(path).stem
    expected = "`name`, `vertices` ([[x, y], …]), `Z`, `A`"
    return read_json("gate", path, lambda values: parse_gate(values, name), expected)


def parse_gate(values: Any, name: str) -> Gate:
    """A gate from the plain values of its JSON; ValueError, TypeError or KeyError if they make none."""
    if not isinstance(values, dict):
        raise TypeError("must be a JSON object")
    axes = [
        default if values.get(key, "DefaultAxis") in ("DefaultAxis", None) else str(values[key])
        for key, default in zip(("xaxis", "yaxis"), DEFAULT_AXES, strict=True)
    ]
    for axis in axes:
        if axis not in ESTIMATES.names:
            raise ValueError(f"axis {axis!r} is no column of the estimates ({', '.join(ESTIMATES.names)})")
    vertices = np.array(values["vertices"], dtype=float)
    if vertices.ndim != 2 or vertices.shape[1] != 2 or len(vertices) < 3 or not np.isfinite(vertices).all():
        raise ValueError("vertices must be at least three pairs of numbers")
    if (vertices[0] != vertices[-1]).any():
        vertices = np.vstack([vertices, vertices[:1]])
    Z, A = int(values["Z"]), int(values["A"])
    if Z < 1:
        raise ValueError(f"Z must be at least 1 (found {Z})")
    nuclear_mass(Z, A)  # ValueError for an isotope that does not exist
    return Gate(str(values.get("name", name)), axes[0], axes[1], vertices, Z, A)
