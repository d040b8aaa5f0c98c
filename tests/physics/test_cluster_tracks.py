"""Clusters are particles: purity and efficiency on simulated tracks with noise, and measured events."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core import tables
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.detector import pads
from spyral_core.detector.lattice import pads_at
from spyral_core.phases import cluster
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.motion import dense, motion_of, trajectory
from spyral_core.runner import namespace

Floats = NDArray[np.float64]
GASES = {
    "D2": GasTarget(elements=((1, 2, 2),), pressure=300.0),
    "He": GasTarget(elements=((2, 4, 1),), pressure=600.0),
}
BUCKET = 1000 / 550  # mm
PULSE, SEPARATION = 6 * BUCKET, 50 * BUCKET  # mm: one pulse, and the least distance of two in one trace
FORWARD, BACKWARD = 0, 1


def parameters(**section: Any) -> Any:
    configuration = validate({"traces": "traces", "cluster": section})
    return namespace(json.loads(canonical(configuration, STAGES["cluster"].parameters))).cluster


def cloud(points: Floats, integral: Floats) -> cluster.Cloud:
    event = {column.name: 0 for column in tables.CLUSTER_EVENTS.columns[:-2]}
    x, y, z = points.T
    pads = np.zeros(len(points), np.int32)  # clustering does not look at them
    columns = {"x": x, "y": y, "z": z, "integral": integral, "scale": np.ones(len(points)), "pad": pads}
    columns["pulse"] = np.arange(len(points))
    return cluster.Cloud(event, columns)


def readout(random: np.random.Generator, particles: list[tuple[int, int, float, float]], gas: str) -> Any:
    """Points (n, 3) and the particle of each (−1 noise) of an event of particles (Z, A, ke [MeV], polar [deg]).

    All start at one vertex, at azimuths 0.6 rad or more apart. Electrons diffuse; each pad gives at most five pulses,
    at its centroid and in whole time buckets; a pulse needs the electrons of 1.2 mm of path; beam pads are left out.
    """
    vertex = [*random.normal(0, 5, 2), random.uniform(100, 850)]
    azimuth = random.uniform(-math.pi, math.pi)
    electrons = []
    for index, (Z, A, ke, polar) in enumerate(particles):
        start = np.array([*vertex, ke, math.radians(polar), azimuth + random.uniform(0.6, 5.7) * index])
        path, states, _ = trajectory(motion_of(GASES[gas], Z, A, 2.85, 45000.0), start)
        positions = dense(path, states, 0.2)
        drift = np.clip(1 - positions[:, 2] / 1000, 0, None)
        positions += random.normal(0, 1, positions.shape) * np.sqrt(2 * 0.277 * drift / 45000)[:, None] * 1000
        electrons.append(np.column_stack([positions, np.full(len(positions), index)]))
    gone = np.concatenate(electrons)
    number = pads_at(gone[:, 0], gone[:, 1])
    inside = (number >= 0) & (gone[:, 2] > 0) & (gone[:, 2] < 1000)
    points, owners = [], []
    plane = pads.builtin()
    for pad in np.unique(number[inside]):
        if not plane.beam[pad]:
            for z, owner in pulses(gone[inside & (number == pad)][:, 2:], float(random.normal(0, 0.28))):
                points.append([plane.x[pad], plane.y[pad], z])
                owners.append(owner)
    for pad in random.integers(0, pads.N_PADS, random.poisson(15)):
        points.append([plane.x[pad], plane.y[pad], np.rint(random.uniform(0, 550)) * BUCKET])
        owners.append(-1)
    shuffle = random.permutation(len(points))
    return np.array(points)[shuffle], np.array(owners)[shuffle]


def pulses(arrivals: Floats, shift: float) -> Iterator[tuple[float, int]]:
    """Position and owner of a pad's pulses, the largest first, from the electrons' z and owner (n, 2)."""
    arrivals = arrivals[np.argsort(arrivals[:, 0])]
    z = arrivals[:, 0]
    ends = np.searchsorted(z, z + PULSE)
    charge = ends - np.arange(len(z))
    for _ in range(5):
        best = int(np.argmax(charge))
        if charge[best] < 6:
            return
        inside = slice(best, ends[best])
        owner = np.bincount(arrivals[inside, 1].astype(int)).argmax()
        yield float(np.rint(z[inside].mean() / BUCKET + shift) * BUCKET), int(owner)
        charge[np.abs(z - z[best]) < SEPARATION] = 0


def one_forward(random: np.random.Generator) -> list[tuple[int, int, float, float]]:
    polar = random.uniform(20, 84)
    return [(1, 2, 72.7 * math.cos(math.radians(polar)) ** 2, polar)]


def one_backward(random: np.random.Generator) -> list[tuple[int, int, float, float]]:
    return [(1, 1, random.uniform(2, 12), random.uniform(96, 165))]


def one_alpha(random: np.random.Generator) -> list[tuple[int, int, float, float]]:
    polar = random.uniform(20, 84)
    return [(2, 4, 70 * math.cos(math.radians(polar)) ** 2, polar)]


def forward_and_backward(random: np.random.Generator) -> list[tuple[int, int, float, float]]:
    return one_forward(random) + one_backward(random)


SAMPLES = {
    "deuteron": (one_forward, "D2"),
    "proton, backward": (one_backward, "D2"),
    "alpha": (one_alpha, "He"),
    "deuteron and proton": (forward_and_backward, "D2"),
}


def measure(sample: str, n_events: int, **section: Any) -> tuple[Floats, Floats, Floats]:
    """Purity and efficiency of each particle's best cluster, and whether its direction is right, wrong (−1) or open."""
    make, gas = SAMPLES[sample]
    settings = parameters(**section)
    purity, efficiency, right = [], [], []
    for seed in range(n_events):
        random = np.random.default_rng(seed)
        particles = make(random)
        points, owners = readout(random, particles, gas)
        if len(points) < settings.min_cloud_size:
            continue
        made = cluster.process(cloud(points, np.ones(len(points))), settings).tables
        of_point = np.full(len(points), -1)
        of_point[made["points"]["cloud_point"]] = np.repeat(
            made["clusters"]["cluster_index"], made["clusters"]["n_points"]
        )
        for index, (_, _, _, polar) in enumerate(particles):
            mine = owners == index
            if mine.sum() < 40:
                continue
            found = of_point[mine & (of_point >= 0)]
            best = np.bincount(found).argmax() if len(found) else -2
            purity.append(np.mean(mine[of_point == best]) if len(found) else 0.0)
            efficiency.append(np.mean(of_point[mine] == best))
            sense = made["clusters"]["direction"][best] if len(found) else -1
            right.append(0 if sense < 0 else 1 if sense == (FORWARD if polar < 90 else BACKWARD) else -1)
    assert len(purity) >= 0.7 * n_events
    return np.array(purity), np.array(efficiency), np.array(right)


@pytest.mark.parametrize("sample", ["deuteron", "proton, backward", "alpha"])
def test_a_track_in_noise_is_one_clean_cluster(sample: str) -> None:
    purity, efficiency, right = measure(sample, 12)
    assert purity.mean() > 0.98
    assert efficiency.mean() > 0.97
    assert np.mean((purity > 0.9) & (efficiency > 0.8)) > 0.9
    assert (right >= 0).all()
    assert right.mean() > 0.9


def test_two_tracks_of_one_vertex_are_two_clusters() -> None:
    purity, efficiency, right = measure("deuteron and proton", 12)
    assert np.mean((purity > 0.9) & (efficiency > 0.8)) > 0.75
    assert (right < 0).mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_join_by_default_mends_tracks_and_spoils_none(sample: str) -> None:
    joined, plain = measure(sample, 60), measure(sample, 60, continuity_join=None, smooth_join=None)

    def good(result: tuple[Floats, Floats, Floats]) -> float:
        return float(np.mean((result[0] > 0.9) & (result[1] > 0.8)))

    assert good(joined) >= good(plain)
    assert joined[0].mean() > plain[0].mean() - 0.005
    if sample == "proton, backward":
        assert good(joined) > good(plain) + 0.1


MEASURED = {
    # file: directions of the clusters of more than 100 points; the spirals are one cluster each
    "e20009_event.dat": {0, -1},
    "e20009_event_13.dat": {1},
    "e20009_event_97.dat": {0, -1},
}


def measured(folder: Path, name: str) -> tuple[Floats, Floats]:
    """Points, with z turned round to grow along the beam, and charges of a measured event."""
    table = np.loadtxt(folder / "real_events" / name, skiprows=1)
    return np.column_stack([table[:, :2], 1000 - (table[:, 2] - table[:, 2].min())]), table[:, 4]


@pytest.mark.parametrize("name", MEASURED)
def test_measured_events_give_their_tracks(shared: Path, name: str) -> None:
    points, charge = measured(shared, name)
    made = cluster.process(cloud(points, charge), parameters()).tables["clusters"]
    large = made["n_points"] > 100
    assert set(made["direction"][large].tolist()) == MEASURED[name]
    assert made["n_points"].sum() > 0.88 * len(points)
    assert large.sum() == len(MEASURED[name])


@pytest.mark.parametrize("name", MEASURED)
def test_measured_events_are_stable_under_small_moves(shared: Path, name: str) -> None:
    """A tenth of a millimetre changes the cluster of hardly any point."""
    points, charge = measured(shared, name)

    def labels(moved: Floats) -> NDArray[np.int64]:
        made = cluster.process(cloud(moved, charge), parameters()).tables
        found = np.full(len(points), -1)
        found[made["points"]["cloud_point"]] = np.repeat(
            made["clusters"]["cluster_index"], made["clusters"]["n_points"]
        )
        return found

    reference = labels(points)
    for seed in range(5):
        moved = points + np.random.default_rng(seed).normal(0, 0.1, points.shape)
        assert np.mean(labels(moved) == reference) > 0.97
