"""Where the pads are: the built-in AT-TPC pad plane, or one read from tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spyral_core.detector.lattice import N_PADS, Lattice, lattice, pad_at, pads_at
from spyral_core.detector.tables_csv import read_column, read_columns
from spyral_core.errors import ConfigurationError

__all__ = ["BEAM_PAD_RADIUS", "N_PADS", "GeometryHolds", "PadPlane", "builtin", "load", "pad_at", "pads_at"]

GeometryHolds = Literal["mid-height", "centroid"]

BEAM_PAD_RADIUS = 20.0
"""Beam pads are those whose middle height stands within this distance of the axis [mm]: 122 pads."""
_LARGEST_DEVIATION = 1.0  # [mm] centroids taken for mid-heights or the other way round are off by 1.4 mm
_LARGEST_STRETCH = 0.05


@dataclass(frozen=True, eq=False)
class PadPlane:
    """The pads in the order of their numbers; arrays that cannot be written to.

    `x`, `y`: true centroids [mm], float64 (10240,). `scale`: linear size, 1.0 big and 0.5 small, float64 (10240,).
    `beam`: the 122 pads around the beam axis, bool (10240,). `vertices`: corners of the triangles [mm], the base's two
    ends and the apex, float64 (10240, 3, 2).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    scale: NDArray[np.float64]
    beam: NDArray[np.bool_]
    vertices: NDArray[np.float64]

    def __post_init__(self) -> None:
        for array in (self.x, self.y, self.scale, self.beam, self.vertices):
            array.flags.writeable = False


@cache
def builtin() -> PadPlane:
    """The AT-TPC pad plane as its lattice gives it."""
    pads = lattice()
    return PadPlane(pads.x, pads.centroid_y, pads.size, _beam(pads), pads.vertices)


def load(
    geometry: str | Path = "builtin",
    geometry_holds: GeometryHolds = "mid-height",
    scale: str | Path = "builtin",
) -> PadPlane:
    """The pad plane of a configuration: `geometry` and `scale` are each `builtin` or the path of a CSV file.

    A geometry file has columns x, y [mm] and a row a pad. By `geometry_holds` they are the middle of each triangle's
    height, as in the AT-TPC's tables, or its centroid. The former are moved to the centroids: by a sixth of the height
    away from the apex. Whether a triangle's apex points up or down follows from its number, see `lattice.py`; the table
    may be shifted, turned or mirrored against the lattice (the affine map that fits best is used for all directions).

    A scale file has one column: 1.0 for big and 0.5 for small pads. Old tables hold the area, 0.25, for small pads:
    where a file has 0.25 and no 0.5, these become 0.5.

    Raises ConfigurationError if a file cannot be read, has the wrong shape, or does not describe this pad plane.
    """
    plane = builtin()
    x, y, vertices = plane.x, plane.y, plane.vertices
    if str(geometry) != "builtin":
        x, y, vertices = _placed(Path(geometry), geometry_holds)
    size: NDArray[np.float64] = plane.scale if str(scale) == "builtin" else _read_scale(Path(scale))
    return PadPlane(x, y, size, plane.beam, vertices)


def _beam(pads: Lattice) -> NDArray[np.bool_]:
    beam: NDArray[np.bool_] = np.hypot(pads.x, pads.mid_y) < BEAM_PAD_RADIUS
    return beam


def _placed(path: Path, holds: GeometryHolds) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Centroids x, y and vertices of a geometry file."""
    table = read_columns(path, 2, N_PADS, "columns x,y [mm], one row for each of 10240 pads").T
    pads = lattice()
    centroids = np.stack([pads.x, pads.centroid_y], axis=1)
    expected = np.stack([pads.x, pads.mid_y], axis=1) if holds == "mid-height" else centroids
    linear = _linear_map(path, expected, table)
    placed = table + (centroids - expected) @ linear
    vertices = placed[:, None, :] + (pads.vertices - centroids[:, None, :]) @ linear
    return placed[:, 0].copy(), placed[:, 1].copy(), vertices


def _linear_map(path: Path, expected: NDArray[np.float64], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2 × 2 matrix that turns directions of the lattice into the table's, by least squares over all pads."""
    design = np.column_stack([expected, np.ones(N_PADS)])
    solution = np.linalg.lstsq(design, table, rcond=None)[0]
    linear = solution[:2].astype(np.float64)
    deviation = np.sqrt(np.sum((table - design @ solution) ** 2, axis=1))
    worst = int(np.argmax(deviation))
    if deviation[worst] > _LARGEST_DEVIATION:
        raise ConfigurationError(
            f"{path}: pad {worst} (line {worst + 2}) is {deviation[worst]:.3g} mm away from its place in the AT-TPC's "
            f"lattice; allowed: {_LARGEST_DEVIATION} mm, pads in the order of their numbers, and what "
            f"pads.geometry_holds says that the file holds"
        )
    stretch = np.linalg.svd(linear, compute_uv=False)
    if np.any(np.abs(stretch - 1.0) > _LARGEST_STRETCH):
        raise ConfigurationError(
            f"{path}: the pad plane is {stretch[0]:.4g} × {stretch[1]:.4g} times the size of the AT-TPC's; "
            f"allowed: within {100 * _LARGEST_STRETCH:.0f} %, in mm"
        )
    return linear


def _read_scale(path: Path) -> NDArray[np.float64]:
    values = read_column(path, N_PADS, "1.0 for big and 0.5 for small pads, one row for each of 10240 pads")
    found = set(values.tolist())
    if found <= {1.0, 0.25}:
        return np.where(values == 1.0, 1.0, 0.5)
    if not found <= {1.0, 0.5}:
        shown = ", ".join(f"{value:g}" for value in sorted(found)[:6])
        raise ConfigurationError(
            f"{path}: holds the scales {shown}; "
            "allowed: 1.0 for big and 0.5 for small pads (or, as areas, 1.0 and 0.25)"
        )
    return values
