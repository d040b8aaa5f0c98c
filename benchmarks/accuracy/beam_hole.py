"""Why some of what was "seen" lies below the bound: nobody sees where a track began on its first millimetres.

The pads around the beam are not read, and the beam spot alone tells where in the hole the track began; the energy that
it lost on the way is not known better. With these pads read, or the vertex known, the bound falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from speed.table import markdown

from accuracy.bands import all_bands
from accuracy.chain import Found
from accuracy.samples import SAMPLES
from spyral_core.bound.conditions import conditions_of
from spyral_core.bound.scan import of_tracks
from spyral_core.report.bound import central_width

MOST_TRACKS = 40  # of a band
SMALL_SPOT = 0.5  # mm


def table(samples: Sequence[Found]) -> str:
    """Bounds of the energy in the bands of "seen" that lie below it, under changed conditions; empty without any."""
    rows = []
    for found in samples:
        sample = SAMPLES[found.name]
        if found.scattering:
            continue
        conditions = conditions_of(found.settings)
        changed = (
            replace(conditions, pads=np.arange(len(conditions.scale))),
            replace(conditions, beam_spot=SMALL_SPOT, divergence=0.0),
        )
        for low, high in all_bands():
            if low not in sample.seen:
                continue
            tracks = found.tracks.filter((pl.col("ke") >= low) & (pl.col("ke") < high)).head(MOST_TRACKS)
            seen = sample.seen[low][0]
            if tracks.height and (bound := _width(tracks)) > seen:
                values = [_width(of_tracks(tracks, sample.species, each)) for each in changed]
                cells = [f"{100 * value:.2f}" for value in (seen, bound, *values)]
                rows.append([found.name, f"{low:g}–{high:g}", str(tracks.height), *cells])
    head = ["sample", "energy (MeV)", "n", "seen (%)", "bound (%)", "with the pads around the beam",
            f"with a beam spot of {SMALL_SPOT:g} mm"]  # fmt: skip
    return markdown(head, rows) if rows else ""


def _width(bounds: pl.DataFrame) -> float:
    """Half of the central 68 % of the energy's errors if each track were at its bound."""
    bound = bounds["bound_ke"].to_numpy()
    return central_width(bound[np.isfinite(bound)])
