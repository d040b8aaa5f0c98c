"""Time and gain of pads from tracks: each pad against its neighbours on the same track, in rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spyral_core import store
from spyral_core.calibrate.found import Found, Quantity
from spyral_core.calibrate.relative import relative
from spyral_core.calibrate.robust import PadMeans, pad_means, spread, spread_by_kind
from spyral_core.calibrate.windows import against_neighbours, places_on_track, seen_by_pads
from spyral_core.compiled import kernel
from spyral_core.detector.pads import N_PADS, PadPlane

Floats = NDArray[np.float64]
COLUMNS = ("x", "y", "time", "charge", "pad", "drift", "saturated")

ROUNDS = 4
LEAST_SEEN = 0.4  # of the length that a track through the pad's middle leaves: nearer to its edge, charge says little
CHARGE_RANGE = (0.2, 5.0)  # over the expected one; beyond it is not of this track
LEAST_CHARGE = 5.0  # expected, over the smallest seen: below, only what is large for its place passes the threshold
SMALLEST = 0.01  # quantile of charges that is taken for the smallest
FEWEST_COMPARED = 100  # pads, to compare two halves of the clusters


@dataclass(frozen=True)
class Hits:
    """Points of clusters, one cluster after the other.

    `x`, `y` [mm], `time` [TB], `charge`, `pad`, `drift` [mm], `saturated` (n,); `ends` (m + 1,): where clusters end.
    """

    x: Floats
    y: Floats
    time: Floats
    charge: Floats
    pad: NDArray[np.int64]
    drift: Floats
    saturated: NDArray[np.bool_]
    ends: NDArray[np.int64]


def read_hits(cluster: Path, pointcloud: Path, mm_per_bucket: float, length: float) -> Hits:
    """The clusters of a run; of their point clouds, which points are saturated.

    Times are those of the places along the beam, so that a drift that is not straight is allowed for.
    """
    with store.TableReader(cluster) as reader:
        points = reader.read("points")
        clusters = reader.read("clusters", names=("event", "n_points"))
    with store.TableReader(pointcloud) as reader:
        events = reader.read("events", names=("event", "first_point"))
        saturated = reader.read("points", names=("saturated",))["saturated"]
    order = np.argsort(events["event"], kind="stable")
    place = order[np.searchsorted(events["event"], clusters["event"], sorter=order)]
    cloud_row = np.repeat(events["first_point"][place], clusters["n_points"]) + points["cloud_point"]
    return Hits(
        x=points["x"],
        y=points["y"],
        time=-points["z"] / mm_per_bucket,
        charge=points["charge"],
        pad=points["pad"].astype(np.int64),
        drift=np.maximum(length - points["z"], 0.0),
        saturated=saturated[cloud_row] != 0,
        ends=np.concatenate([[0], np.cumsum(clusters["n_points"])]),
    )


def together(runs: list[Hits]) -> Hits:
    """The hits of several runs."""
    before = np.cumsum([0, *(len(run.x) for run in runs)])
    ends = [run.ends[1:] + first for run, first in zip(runs, before[:-1], strict=True)]
    joined = {name: np.concatenate([getattr(run, name) for run in runs]) for name in COLUMNS}
    return Hits(**joined, ends=np.concatenate([[0], *ends]))


@kernel
def compare(  # type: ignore[no-untyped-def]
    x, y, time, charge, pad, variance, saturated, ends, corners, mm_per_bucket
):
    """`against_neighbours` of all clusters, and the share of the largest length that each pad sees: (n, 4)."""
    result = np.full((len(x), 4), np.nan)
    for k in range(len(ends) - 1):
        a, b = ends[k], ends[k + 1]
        places = places_on_track(x[a:b], y[a:b], time[a:b], charge[a:b], mm_per_bucket)
        seen = seen_by_pads(places, corners[pad[a:b]], variance[a:b])
        found = against_neighbours(x[a:b], y[a:b], time[a:b], charge[a:b], ~saturated[a:b], places, seen, mm_per_bucket)
        for i in range(b - a):
            result[a + i, 0], result[a + i, 1], result[a + i, 2] = found[i, 0], found[i, 1], found[i, 2]
            result[a + i, 3] = seen[i, 0] / seen[i, 2]
    return result


def from_tracks(hits: Hits, plane: PadPlane, diffusion: float, mm_per_bucket: float, min_hits: int) -> Found:
    """Times and gains of the pads that tracks show; those with fewer than `min_hits` hits are left at 0 and 1.

    `diffusion` [mm]: variance of an electron's place across, for a mm of drift. The errors hold for what the neighbours
    do to each other, too: they are scaled so that two halves of the clusters differ by what they say.
    """
    whole = _from_all(hits, plane, diffusion, mm_per_bucket, min_hits)
    odd = np.arange(len(hits.ends) - 1) % 2 == 1
    halves = [_from_all(chosen(hits, part), plane, diffusion, mm_per_bucket, min_hits) for part in (odd, ~odd)]
    return Found(
        time=_with_errors(whole.time, *(half.time for half in halves)),
        gain=_with_errors(whole.gain, *(half.gain for half in halves)),
    )


def _from_all(hits: Hits, plane: PadPlane, diffusion: float, mm_per_bucket: float, min_hits: int) -> Found:
    """In each round hits are corrected with what is known, and a pad's mean difference from its neighbours is added.

    A pad's neighbours are off, too; what is left of that vanishes in a few rounds. More of them only add the noise of
    differences between distant pads, which tracks hardly tell.
    """
    corners = np.ascontiguousarray(plane.vertices - np.stack([plane.x, plane.y], axis=1)[:, None, :])
    late, gain = np.zeros(N_PADS), np.ones(N_PADS)
    times = gains = PadMeans(np.zeros(N_PADS), np.full(N_PADS, np.inf), np.zeros(N_PADS, np.int64))
    least = _least_charge(hits, plane)
    for _ in range(ROUNDS):
        charge = hits.charge / gain[hits.pad]
        found = compare(
            hits.x, hits.y, hits.time - late[hits.pad], charge, hits.pad, diffusion * hits.drift, hits.saturated,
            hits.ends, corners, mm_per_bucket,
        )  # fmt: skip
        later, expected, slope, share = found.T
        ratio = charge / expected
        timed = np.isfinite(later)
        charged = (share > LEAST_SEEN) & (expected > least) & (ratio > CHARGE_RANGE[0]) & (ratio < CHARGE_RANGE[1])
        size = plane.scale[hits.pad]
        times = _means(hits, later, timed, np.abs(slope), share, size)
        gains = _means(hits, ratio - 1.0, charged, share, expected, size)
        late = relative(late + times.mean, times.hits >= min_hits, plane.scale)
        gain = np.exp(relative(np.log(gain * (1.0 + gains.mean)), gains.hits >= min_hits, plane.scale))
    return Found(
        time=Quantity(late, times.error, times.hits, times.hits >= min_hits),
        gain=Quantity(gain, gain * gains.error, gains.hits, gains.hits >= min_hits),
    )


def _least_charge(hits: Hits, plane: PadPlane) -> Floats:
    """Expected charge from which on a hit tells of its pad's gain (n,)."""
    least = np.zeros(len(hits.pad))
    for size in np.unique(plane.scale):
        own = plane.scale[hits.pad] == size
        if own.any():
            least[own] = LEAST_CHARGE * np.quantile(hits.charge[own], SMALLEST)
    return least


def chosen(hits: Hits, clusters: NDArray[np.bool_]) -> Hits:
    """The hits of some clusters (m,)."""
    number = np.diff(hits.ends)
    rows = np.repeat(clusters, number)
    columns = {name: getattr(hits, name)[rows] for name in COLUMNS}
    return Hits(**columns, ends=np.concatenate([[0], np.cumsum(number[clusters])]))


def _means(hits: Hits, values: Floats, used: NDArray[np.bool_], *kinds: Floats) -> PadMeans:
    own = values[used]
    return pad_means(hits.pad[used], own, spread_by_kind(own, *(kind[used] for kind in kinds)), N_PADS)


def _with_errors(whole: Quantity, first: Quantity, second: Quantity) -> Quantity:
    """With errors larger by as much as two halves differ more than theirs say; never smaller."""
    both = first.known & second.known
    pulls = (first.value - second.value)[both] / np.hypot(first.error, second.error)[both]
    factor = max(1.0, spread(pulls)) if len(pulls) >= FEWEST_COMPARED else 1.0
    return replace(whole, error=factor * whole.error)
