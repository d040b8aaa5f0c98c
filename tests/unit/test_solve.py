"""What the stage hands to the fit, and what it writes of a fit."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spyral_core.detector.pads import N_PADS, builtin
from spyral_core.fitting.scattering import Fluctuations
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.phases.solve import FEWEST_POINTS, Selected, plane_of, process
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of
from spyral_core.physics.nuclei import brho_from_ke
from spyral_core.tables import SOLUTIONS

MOTION = motion_of(parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}), 1, 2, 2.85, 45000.0)
DIFFUSION = 2 * 0.277 / 45  # mm
START = np.array([2.0, -1.0, 500.0, 2.0, math.radians(80), 0.4])


@pytest.fixture(scope="module")
def settings(lit_pads: ModuleType) -> FitSettings:
    made: FitSettings = lit_pads.fit_settings(MOTION, (1, 2), DIFFUSION)
    return made


@pytest.fixture(scope="module")
def cluster(lit_pads: ModuleType) -> Selected:
    generator = np.random.default_rng(1)
    particle = lit_pads.particle(MOTION, START, Fluctuations(0.0, 0.0), generator)
    estimate: dict[str, Any] = {
        "event": 7, "cluster_index": 3, "cluster_label": 5, "orig_run": 12, "orig_event": 70, "vertex_x": 0.0,
        "vertex_y": 0.0, "vertex_z": 499.0, "brho": float(brho_from_ke(2.05, 1, 2)), "polar": START[4],
        "azimuthal": START[5],
    }  # fmt: skip
    return Selected(estimate, lit_pads.track_of(*particle, DIFFUSION, generator))


def test_the_fit_sees_triangles_around_their_centroids_and_no_beam_or_masked_pads() -> None:
    pads, masked = builtin(), np.zeros(N_PADS, np.bool_)
    plane = plane_of(pads, masked)
    np.testing.assert_allclose(plane.corners.mean(axis=1), 0.0, atol=1e-9)
    np.testing.assert_allclose(plane.corners + plane.xy[:, None], pads.vertices)
    assert np.count_nonzero(~plane.used) == 122
    assert np.hypot(*plane.xy[~plane.used].T).max() < 25
    masked[[40, 7000]] = True
    assert np.flatnonzero(plane.used & ~plane_of(pads, masked).used).tolist() == [40, 7000]


def test_a_row_is_in_metres_and_of_the_particle(cluster: Selected, settings: FitSettings) -> None:
    product = process([cluster], settings)
    assert not product.rejected
    rows = product.tables["solutions"]
    assert set(rows) == set(SOLUTIONS.names)
    row = {name: values[0] for name, values in rows.items()}
    assert (row["event"], row["cluster_index"], row["cluster_label"], row["orig_run"]) == (7, 3, 5, 12)
    for axis, true in zip("xyz", START[:3], strict=True):
        assert abs(row[f"vertex_{axis}"] - true / 1000) < 5 * row[f"sigma_v{axis}"]
    assert abs(row["ke"] - 2.0) < 5 * row["sigma_ke"] < 0.1
    assert row["brho"] == pytest.approx(float(brho_from_ke(row["ke"], 1, 2)))
    # T ∝ (Bρ)² at low energy
    assert row["sigma_ke"] / row["ke"] == pytest.approx(2 * row["sigma_brho"] / row["brho"], rel=0.01)
    assert abs(row["polar"] - START[4]) < 5 * row["sigma_polar"]
    assert 0 <= row["azimuthal"] < 2 * math.pi
    assert row["stops"]
    assert row["n_points"] == len(cluster.track.points)


def test_too_few_points_are_told(cluster: Selected, settings: FitSettings) -> None:
    track = cluster.track
    few = Track(*(values[: FEWEST_POINTS - 1] for values in (track.points, track.charge, track.scale, track.pads)))
    product = process([Selected(cluster.estimate, few), cluster], settings)
    assert product.counts["selected"] == 2
    assert product.rejected == [(3, f"{FEWEST_POINTS - 1} points are too few to fit")]
    assert product.tables["solutions"]["event"] == [7]
