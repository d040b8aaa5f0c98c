"""What a fit needs to know besides the track."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spyral_core.fitting.scattering import Fluctuations
from spyral_core.fitting.silent_pads import PadIndex, index_pads
from spyral_core.physics.motion import Motion

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """The points of a track (n, 3) [mm], with charges (n,), and sizes and numbers of their pads (n,)."""

    points: Array
    charge: Array
    scale: Array
    pads: NDArray[np.int32]


@dataclass(frozen=True)
class Plane:
    """All pads: centroids `xy` (p, 2) and `corners` (p, 3, 2) against them [mm], and which are `used` (p,)."""

    xy: Array
    corners: Array
    used: NDArray[np.bool_]

    @cached_property
    def index(self) -> PadIndex:
        """Where the pads lie, for looking them up."""
        return index_pads(self.xy)


@dataclass(frozen=True)
class FitSettings:
    """What is the same for all tracks of a species.

    `volume` (3,): radius, smallest and largest z [mm] in which the trajectory is followed. `visible` (4,): smallest and
    largest rho, smallest and largest z [mm] in which a track lights pads; `length` of the detector [mm]. `diffusion`
    [mm]: variance of an electron's place across a mm of drift; each track corrects it. `lower`, `upper` (6,) bound the
    parameters (see `sensitivity`), the first two only loosely. `free` says what is fitted: vertex rho, vertex phi,
    azimuthal.
    """

    Z: int
    A: int
    motion: Motion
    fluctuations: Fluctuations
    plane: Plane
    diffusion: float
    beam_spot: float
    length: float
    volume: Array
    visible: Array
    lower: Array
    upper: Array
    free: tuple[bool, bool, bool]
    method: str

    @property
    def tables(self) -> tuple[Array, Array, Array]:
        """The motion as kernels take it."""
        return self.motion.constants, self.motion.log_ke, self.motion.slope

    @property
    def noise(self) -> Array:
        """Scattering and straggling as kernels take them."""
        return np.array([self.fluctuations.scattering, self.fluctuations.straggling])

    @property
    def straggling(self) -> float:
        """Variance of the energy loss [MeV²/mm]."""
        return self.Z**2 * self.fluctuations.straggling
