"""Where the fits of one track start: around its first estimate, and the other way along the beam."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

BRHO_FACTORS = (0.8, 1.25)
POLAR_OFFSETS = (-0.17, 0.0, 0.17)  # rad


@dataclass(frozen=True)
class FirstEstimate:
    """Where a fit starts: vertex [mm], Bρ [T m], angles [rad]."""

    vertex: tuple[float, float, float]
    brho: float
    polar: float
    azimuthal: float


def nearby(first: FirstEstimate) -> Iterator[FirstEstimate]:
    """The first estimate itself."""
    yield first


def distant(first: FirstEstimate) -> Iterator[FirstEstimate]:
    """Estimates to start from where the first one does not lead to a good fit.

    A spiral's objective has a minimum for every number of turns between its points; steps of 10° and a quarter of Bρ
    reach the neighbouring ones. The sense along the beam is turned round for tracks whose direction was misread.
    """
    for factor in (1.0, *BRHO_FACTORS):
        for offset in POLAR_OFFSETS:
            if factor != 1.0 or offset != 0.0:
                yield replace(first, brho=first.brho * factor, polar=first.polar + offset)
        yield replace(first, brho=first.brho * factor, polar=math.pi - first.polar)
