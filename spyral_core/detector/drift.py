"""Time to z, and the correction of positions for a drift field that is not uniform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.detector.garfield import GarfieldTable, read_garfield
from spyral_core.errors import ConfigurationError

Real = TypeVar("Real", float, NDArray[np.float64])
Floats = NDArray[np.float64]

_STEP = 2.5  # [mm] of the correction's grid; real tables have steps of 10 mm
_CONVERGED = 1e-7  # [mm]
_MOST_ITERATIONS = 50


def z_from_time(time: Real, micromegas: float, window: float, length: float) -> Real:
    """z [mm] of electrons that arrive at `time` [TB], drifting at one velocity all the way.

    `micromegas` and `window` [TB] are the times of electrons from the pad plane, z = `length` [mm], and from the
    window, z = 0.
    """
    return (window - time) * (length / (window - micromegas))


def time_from_z(z: Real, micromegas: float, window: float, length: float) -> Real:
    """Time [TB] at which electrons from z [mm] arrive: the inverse of `z_from_time`."""
    return window - z * ((window - micromegas) / length)


def drift_velocity(micromegas: float, window: float, length: float, get_frequency: float) -> float:
    """Drift velocity [mm/µs] from the drift's edges [TB], its length [mm] and the sampling frequency [MHz]."""
    return length * get_frequency / (window - micromegas)


@dataclass(frozen=True, eq=False)
class FieldCorrection:
    """From where electrons seem to come to where they come from.

    Apparent position: the landing point on the pad plane, and the z that `z_from_time` gives for the drift time. True
    position: where the electron was set free. `displacement` (n_rho, n_z, 3) [mm] is true minus apparent on a regular
    grid of the apparent rho, 0 … `rho_max` [mm], and the apparent z, 0 … `length` [mm]: along the outward radial
    direction of the apparent position, along that of growing azimuth, and along z.

    Conventions. Apparent and true z agree on the axis at the window and at the pad plane, as these two edges calibrate
    the time. The table's range of z is stretched over the detector's length, its first z being the pad plane, its last
    the window. The table's frame (z, rho, transverse) is right-handed and its z runs against the beam: its transverse
    direction is that of falling azimuth. This is where electrons that are pushed outwards go by E × B when E and B both
    point to the window, see docs/detector.md.

    Outside the grid, and where no electron of the table arrives, the displacement is that of the nearest place known.
    """

    displacement: Floats
    rho_max: float
    length: float

    @classmethod
    def from_garfield(cls, path: str | Path, length: float) -> Self:
        """The correction from a Garfield table file, for a detector of `length` [mm].

        Raises ConfigurationError if the file is not such a table or cannot be inverted.
        """
        table = read_garfield(path)
        rho_max = float(table.rho[-1])
        rho = np.linspace(0.0, rho_max, 1 + int(np.ceil(rho_max / _STEP)))
        z = np.linspace(0.0, length, 1 + int(np.ceil(length / _STEP)))
        displacement = _invert(_Landing(table, length), *np.meshgrid(rho, z, indexing="ij"))
        if displacement is None:
            raise ConfigurationError(
                f"{path}: cannot be inverted: neighbouring electrons change places on their way; allowed: a drift that "
                f"changes smoothly from each starting point to the next"
            )
        return cls(displacement, rho_max, length)

    def correct(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """True from apparent positions [mm], each float64 (n,)."""
        corrected: Floats = correct_points(x, y, z, self.displacement, self.rho_max, self.length)
        return corrected[0], corrected[1], corrected[2]


class _Landing:
    """The forward map: start (rho, z) to landing point and apparent z, between the points of a table."""

    def __init__(self, table: GarfieldTable, length: float) -> None:
        from scipy.interpolate import RegularGridInterpolator  # 0.3 s that a uniform field does not need

        time = _filled(table.drift_time, table.rho)
        apparent_z = length * (time[-1, 0] - time) / (time[-1, 0] - time[0, 0])
        start_z = length * (table.z[-1] - table.z) / (table.z[-1] - table.z[0])
        shift = np.stack(
            [
                _filled(table.final_rho - table.rho, table.rho),
                _filled(table.final_transverse, table.rho),
                apparent_z - start_z[:, None],
            ],
            axis=2,
        )
        self._shift = RegularGridInterpolator((start_z[::-1], table.rho), shift[::-1])
        self._last_z = float(start_z[0])
        self._last_rho = float(table.rho[-1])

    def __call__(self, rho: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Distance of the landing point from the axis [mm], turn from start to landing point towards the table's
        transverse direction [rad], apparent z [mm]."""
        inside = np.stack([np.clip(z, 0.0, self._last_z), np.clip(rho, 0.0, self._last_rho)], axis=-1)
        outward, transverse, along = np.moveaxis(self._shift(inside), -1, 0)
        return np.hypot(rho + outward, transverse), np.arctan2(transverse, rho + outward), z + along


def _filled(values: Floats, rho: Floats) -> Floats:
    """Holes (nan) along rho of (n_z, n_rho) filled: linearly between neighbours, with the outermost value beyond."""
    filled = values.copy()
    for row in filled:
        known = ~np.isnan(row)
        row[~known] = np.interp(rho[~known], rho[known], row[known])
    return filled


def _invert(landing: _Landing, apparent_rho: Floats, apparent_z: Floats) -> Floats | None:
    """True minus apparent position of `FieldCorrection`, by fixed-point iteration; None if that does not converge."""
    rho, z = apparent_rho.copy(), apparent_z.copy()
    for _ in range(_MOST_ITERATIONS):
        landing_rho, turn, landing_z = landing(rho, z)
        off_rho, off_z = apparent_rho - landing_rho, apparent_z - landing_z
        rho, z = np.maximum(rho + off_rho, 0.0), z + off_z
        if max(np.abs(off_rho).max(), np.abs(off_z).max()) < _CONVERGED:
            return np.stack([rho * np.cos(turn) - apparent_rho, rho * np.sin(turn), z - apparent_z], axis=2)
    return None


@kernel
def correct_points(x: Floats, y: Floats, z: Floats, displacement: Floats, rho_max: float, length: float) -> Floats:
    """True positions (3, n) [mm] by bilinear interpolation; arguments as in `FieldCorrection`."""
    n_rho, n_z, _ = displacement.shape
    corrected = np.empty((3, len(x)))
    for point in range(len(x)):
        rho = np.hypot(x[point], y[point])
        i, u = _cell(rho / rho_max, n_rho)
        j, v = _cell(z[point] / length, n_z)
        outward = _bilinear(displacement, i, j, 0, u, v)
        around = _bilinear(displacement, i, j, 1, u, v)
        cosine, sine = (x[point] / rho, y[point] / rho) if rho > 0.0 else (1.0, 0.0)
        corrected[0, point] = x[point] + outward * cosine - around * sine
        corrected[1, point] = y[point] + outward * sine + around * cosine
        corrected[2, point] = z[point] + _bilinear(displacement, i, j, 2, u, v)
    return corrected


@kernel
def _bilinear(grid: Floats, i: int, j: int, component: int, u: float, v: float) -> float:
    """One component of (n_i, n_j, n) at the place (u, v) of the cell (i, j)."""
    near = (1.0 - v) * grid[i, j, component] + v * grid[i, j + 1, component]
    far = (1.0 - v) * grid[i + 1, j, component] + v * grid[i + 1, j + 1, component]
    return float((1.0 - u) * near + u * far)


@kernel
def _cell(position: float, n: int) -> tuple[int, float]:
    """Cell of a grid of n points over 0 … 1 and the place in it, 0 … 1; the nearest edge's outside (or if nan)."""
    scaled = position * (n - 1)
    if not scaled > 0.0:
        return 0, 0.0
    if scaled >= n - 1:
        return n - 2, 1.0
    cell = int(scaled)
    return cell, scaled - cell
