"""Fits of tracks whose truth is known, on the real pad plane."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from spyral_core.fitting.fit import TrackFit, fit_track, kinetic_energy
from spyral_core.fitting.point_errors import charge_share, point_variances
from spyral_core.fitting.scattering import Fluctuations, fluctuations
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.fitting.track_fit import objective
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of
from spyral_core.physics.nuclei import brho_from_ke

GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
MOTION = motion_of(GAS, 1, 2, 2.85, 45000.0)
QUIET, NOISY = Fluctuations(0.0, 0.0), fluctuations(GAS)
DIFFUSION = 2 * 0.277 / 45  # mm
SPOT = 5.0  # mm


@pytest.fixture(scope="module")
def settings(lit_pads: ModuleType) -> FitSettings:
    """Of deuterons without scattering; the diffusion is first guessed a quarter too large."""
    made: FitSettings = lit_pads.fit_settings(MOTION, (1, 2), 1.25 * DIFFUSION)
    return made


def track(
    lit_pads: ModuleType, ke: float, polar: float, seed: int, noise: Fluctuations = QUIET, strays: int = 0
) -> tuple[np.ndarray, Track]:
    """Start (6,) and pads of a deuteron, some of them astray: moved anywhere near, with any charge."""
    generator = np.random.default_rng(seed)
    start = np.array([*generator.normal(scale=SPOT, size=2), 500.0, ke, math.radians(polar), generator.uniform(-3, 3)])
    found: Track = lit_pads.track_of(*lit_pads.particle(MOTION, start, noise, generator), DIFFUSION, generator)
    chosen = generator.choice(len(found.pads), strays, replace=False)
    points, pads = found.points.copy(), found.pads.copy()
    plane = lit_pads.plane()
    for i in chosen:
        near = np.flatnonzero(plane.used & (np.linalg.norm(plane.xy - points[i, :2], axis=1) < 60))
        pads[i] = generator.choice(near)
        points[i] = *plane.xy[pads[i]], points[i, 2] + generator.uniform(-60, 60)
    return start, Track(points, found.charge, found.scale, pads)


def fit(start: np.ndarray, seen: Track, how: FitSettings, off: float = 0.0) -> TrackFit:
    first = FirstEstimate(
        (0.0, 0.0, start[2] + 50 * off), float(brho_from_ke(start[3], 1, 2)) * (1 + off), start[4] + off, start[5] - off
    )
    found = fit_track(seen, first, how)
    assert found is not None
    return found


def truth_of(start: np.ndarray) -> np.ndarray:
    return np.array([*start[:3], math.log(float(brho_from_ke(start[3], 1, 2))), *start[4:]])


TRACKS = [(1.2, 50.0), (2.0, 80.0), (4.0, 75.0), (6.0, 100.0), (10.0, 60.0), (15.0, 130.0)]


@pytest.mark.parametrize("method", ["leastsq", "lbfgsb"])
def test_energy_and_angle_come_back_from_a_bad_start_and_stray_points(
    lit_pads: ModuleType, settings: FitSettings, method: str
) -> None:
    for seed, (ke, polar) in enumerate(TRACKS):
        start, seen = track(lit_pads, ke, polar, seed, strays=6)
        found = fit(start, seen, replace(settings, method=method), off=0.12)
        energy, sigma = kinetic_energy(found, settings)
        assert abs(energy / ke - 1) < max(0.01, 4 * sigma / ke), (ke, polar)
        assert abs(math.degrees(found.values[4]) - polar) < max(
            0.3, 4 * math.degrees(math.sqrt(found.covariance[4, 4]))
        )


def test_both_methods_find_the_same_minimum(lit_pads: ModuleType, settings: FitSettings) -> None:
    for seed, (ke, polar) in enumerate(TRACKS):
        start, seen = track(lit_pads, ke, polar, seed)
        one, other = (fit(start, seen, replace(settings, method=method), off=0.03) for method in ("leastsq", "lbfgsb"))
        sigma = np.sqrt(np.diag(one.covariance))
        assert (np.abs(one.values - other.values) < 0.3 * sigma).all(), (ke, polar)


def test_the_energy_of_a_quiet_particle_is_known_as_well_as_its_vertex(
    lit_pads: ModuleType, settings: FitSettings
) -> None:
    """The range of a stopping deuteron without scattering, less what the beam spot leaves open of its start."""
    start, seen = track(lit_pads, 2.0, 80.0, 1)
    found = fit(start, seen, settings)
    energy, sigma = kinetic_energy(found, settings)
    assert found.stops
    assert sigma / energy < 0.008
    assert abs(energy / 2.0 - 1) < 4 * sigma / energy
    assert 0.3 < found.redchisq < 3
    assert found.n_points == len(seen.pads)


def test_scattering_widens_the_errors(lit_pads: ModuleType, settings: FitSettings) -> None:
    start, seen = track(lit_pads, 6.0, 80.0, 1)
    quiet, noisy = fit(start, seen, settings), fit(start, seen, replace(settings, fluctuations=NOISY))
    assert (np.diag(noisy.covariance) > 0.99 * np.diag(quiet.covariance)).all()
    assert noisy.covariance[3, 3] > 1.5 * quiet.covariance[3, 3]


def test_a_fixed_azimuth_stays_at_the_estimate(lit_pads: ModuleType, settings: FitSettings) -> None:
    start, seen = track(lit_pads, 4.0, 75.0, 1)
    found = fit(start, seen, replace(settings, free=(True, True, False)))
    assert found.values[5] == pytest.approx(start[5], abs=1e-12)
    assert found.covariance[5, 5] == 0.0


def test_a_vertex_of_fixed_distance_moves_around_the_axis_only(lit_pads: ModuleType, settings: FitSettings) -> None:
    start, seen = track(lit_pads, 4.0, 75.0, 1)
    first = FirstEstimate((3.0, 4.0, 500.0), float(brho_from_ke(4.0, 1, 2)), start[4], start[5])
    found = fit_track(seen, first, replace(settings, free=(False, True, True), fluctuations=NOISY))
    assert found is not None
    assert math.hypot(*found.values[:2]) == pytest.approx(5.0, abs=1e-9)
    assert np.linalg.matrix_rank(found.covariance[:2, :2], tol=1e-9) == 1


def test_the_order_of_the_points_is_of_no_importance(lit_pads: ModuleType, settings: FitSettings) -> None:
    start, seen = track(lit_pads, 4.0, 75.0, 2, NOISY)
    how = replace(settings, fluctuations=NOISY)
    order = np.random.default_rng(1).permutation(len(seen.pads))
    other = Track(seen.points[order], seen.charge[order], seen.scale[order], seen.pads[order])
    one, two = fit(start, seen, how), fit(start, other, how)
    sigma = np.sqrt(np.diag(one.covariance))
    # the starts are compared on every n-th point
    assert (np.abs(one.values - two.values) < 0.3 * sigma).all()


def test_the_charge_s_unit_is_of_no_importance(lit_pads: ModuleType, settings: FitSettings) -> None:
    start, seen = track(lit_pads, 4.0, 75.0, 2)
    one, two = (fit(start, replace(seen, charge=unit * seen.charge), settings) for unit in (1.0, 2.0**20))
    np.testing.assert_allclose(one.values, two.values, rtol=1e-9)
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-6, atol=1e-15)


def test_pads_in_one_place_are_no_track(settings: FitSettings) -> None:
    points = np.tile([100.0, 50.0, 400.0], (12, 1))
    seen = Track(points, np.ones(12), np.ones(12), np.full(12, 5000, np.int32))
    found = fit_track(seen, FirstEstimate((0.0, 0.0, 400.0), 0.3, 1.5, 0.4), settings)
    assert found is None or np.isfinite(found.values).all()


def test_the_gradient_is_that_of_the_objective(lit_pads: ModuleType, settings: FitSettings) -> None:
    start, seen = track(lit_pads, 4.0, 100.0, 3)
    weights = 1 / point_variances(seen.scale, charge_share(seen.charge), np.zeros(len(seen.scale)))
    parameters = np.array([1.0, -2.0, 499.0, math.log(float(brho_from_ke(4.05, 1, 2))), start[4] + 0.01, start[5]])
    rest = (seen.points, weights, np.zeros(1), SPOT, settings.volume, settings.visible, *settings.tables)
    gradient, curvature, unused = np.zeros(6), np.zeros((6, 6)), (np.zeros(6), np.zeros((6, 6)))
    objective(parameters, *rest, gradient, curvature)
    for k, step in enumerate((1e-3, 1e-3, 1e-3, 1e-5, 1e-5, 1e-5)):
        ahead, behind = parameters.copy(), parameters.copy()
        ahead[k] += step
        behind[k] -= step
        twin = (objective(ahead, *rest, *unused)[0] - objective(behind, *rest, *unused)[0]) / (2 * step)
        assert 2 * gradient[k] == pytest.approx(twin, rel=0.02, abs=0.02 * math.sqrt(curvature[k, k]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("energies", "noise", "tracks", "bias"),
    [((4, 12), QUIET, 300, 0.25), ((4, 12), NOISY, 300, 0.25), ((1.5, 4), NOISY, 150, 0.45)],
)
def test_errors_are_as_large_as_they_say(
    lit_pads: ModuleType,
    settings: FitSettings,
    energies: tuple[float, float],
    noise: Fluctuations,
    tracks: int,
    bias: float,
) -> None:
    """Widths and medians of the pulls; Bρ of stopping particles comes out by some 0.2 standard deviations too low."""
    pulls, how = [], replace(settings, fluctuations=noise)
    for seed in range(tracks):
        generator = np.random.default_rng(1000 + seed)
        ke, polar = float(generator.uniform(*energies)), float(generator.uniform(50, 130))
        start, seen = track(lit_pads, ke, polar, seed, noise)
        found = fit(start, seen, how, off=0.02)
        difference = found.values - truth_of(start)
        difference[5] = math.remainder(difference[5], 2 * math.pi)
        pulls.append(difference / np.sqrt(np.diag(found.covariance)))
    width = np.subtract(*np.percentile(pulls, [84.1, 15.9], axis=0)) / 2
    assert (np.abs(np.median(pulls, axis=0)) < bias).all(), np.median(pulls, axis=0)
    assert ((width > 0.85) & (width < 1.2)).all(), width
    # one in a thousand of normal errors
    assert (np.mean(np.abs(pulls) > 5, axis=0) < 0.03).all()
