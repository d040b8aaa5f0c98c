"""Where the fits of one track start: around its first estimate, and the other way along the beam."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spyral_core.fitting.fit import FirstEstimate

BRHO_FACTORS = (1.0, 0.8, 1.25)
POLAR_OFFSETS = (0.0, -0.17, 0.17)  # rad


def starts(first: FirstEstimate) -> Iterator[FirstEstimate]:
    """Estimates to start from, the given one first.

    A spiral's objective has a minimum for every number of turns between its points; steps of 10° and a quarter of Bρ
    reach the neighbouring ones. The sense along the beam is turned round for tracks whose direction was misread.
    """
    for turned in (False, True):
        polar = math.pi - first.polar if turned else first.polar
        for factor in BRHO_FACTORS:
            for offset in (0.0,) if turned else POLAR_OFFSETS:
                yield replace(first, brho=first.brho * factor, polar=polar + offset)
