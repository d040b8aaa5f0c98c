"""Fits of tracks whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from spyral_core.fitting.fit import FitSettings, TrackFit, fit_track, kinetic_energy
from spyral_core.fitting.scattering import Fluctuations, deflection, fluctuations
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.fitting.track_fit import objective
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import advance, dense, ke_and_loss, motion_of, start_state, trajectory
from spyral_core.physics.nuclei import brho_from_ke

GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
SPREAD = np.array([2.0, 2.0, 1.5])  # mm


def settings(method: str = "leastsq", free: tuple[bool, bool, bool] = (True, True, True)) -> FitSettings:
    low, high = (math.log(float(brho_from_ke(ke, 1, 2))) for ke in (0.1, 70.0))
    return FitSettings(
        Z=1,
        A=2,
        motion=motion_of(GAS, 1, 2, 2.85, 45000.0),
        fluctuations=Fluctuations(0.0, 0.0),
        beam_spot=5.0,
        volume=np.array([320.0, -50.0, 1050.0]),
        visible=np.array([25.0, 270.0, 0.0, 1000.0]),
        lower=np.array([-100, -100, -50, low, math.radians(2), -4 * math.pi]),
        upper=np.array([100, 100, 1050, high, math.radians(178), 4 * math.pi]),
        free=free,
        method=method,
    )


def track(ke: float, polar: float, seed: int, strays: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Start (6,) and scattered points (n, 3) of a deuteron, some of them astray."""
    generator = np.random.default_rng(seed)
    start = np.array([*generator.normal(scale=5, size=2), 500.0, ke, math.radians(polar), generator.uniform(-3, 3)])
    points = dense(*trajectory(settings().motion, start, (270.0, 0.0, 1000.0))[:2], 3.0)
    points = points[np.hypot(points[:, 0], points[:, 1]) > 25]
    points = points + generator.normal(size=points.shape) * SPREAD
    points[generator.choice(len(points), strays, replace=False)] += generator.uniform(-60, 60, size=(strays, 3))
    return start, points


def scattered_track(ke: float, polar: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """As `track`, with a random deflection and a random change of range after every millimetre."""
    generator = np.random.default_rng(seed)
    motion, noise = settings().motion, fluctuations(GAS)
    start = np.array([*generator.normal(scale=5, size=2), 500.0, ke, math.radians(polar), generator.uniform(-3, 3)])
    tables = (motion.constants, motion.log_ke, motion.slope)
    state, points = np.empty(7), []
    start_state(start, *tables, state)
    while state[6] > 1.0 and math.hypot(state[0], state[1]) < 270 and 0 < state[2] < 1000:
        advance(state, 1.0, *tables)
        per_mm, _ = deflection(state[6], noise.scattering, *tables)
        unit = state[3:6] + generator.normal(scale=math.sqrt(per_mm), size=3)
        state[3:6] = unit / np.linalg.norm(unit)
        _, loss = ke_and_loss(state[6], *tables)
        state[6] += generator.normal(scale=math.sqrt(noise.straggling) / loss)
        points.append(state[:3].copy())
    found = np.array(points)[::3]
    found = found[np.hypot(found[:, 0], found[:, 1]) > 25]
    return start, found + generator.normal(size=found.shape) * SPREAD


def fit(start: np.ndarray, points: np.ndarray, how: FitSettings, off: float = 0.0) -> TrackFit:
    first = FirstEstimate(
        (0.0, 0.0, start[2] + 50 * off), float(brho_from_ke(start[3], 1, 2)) * (1 + off), start[4] + off, start[5] - off
    )
    found = fit_track(points, np.ones(len(points)), np.ones(len(points)), first, how)
    assert found is not None
    return found


TRACKS = [(1.2, 50.0), (2.0, 80.0), (4.0, 75.0), (6.0, 100.0), (10.0, 60.0), (15.0, 130.0)]


@pytest.mark.parametrize("method", ["leastsq", "lbfgsb"])
def test_energy_and_angle_come_back_from_a_bad_start_and_stray_points(method: str) -> None:
    for seed, (ke, polar) in enumerate(TRACKS):
        start, points = track(ke, polar, seed, strays=6)
        found = fit(start, points, settings(method), off=0.12)
        energy, sigma = kinetic_energy(found, settings())
        assert abs(energy / ke - 1) < max(0.03, 4 * sigma / ke), (ke, polar)
        assert abs(math.degrees(found.values[4]) - polar) < 1.0, (ke, polar)


def test_both_methods_find_the_same_minimum() -> None:
    for seed, (ke, polar) in enumerate(TRACKS):
        start, points = track(ke, polar, seed)
        one, other = (fit(start, points, settings(method), off=0.03) for method in ("leastsq", "lbfgsb"))
        sigma = np.sqrt(np.diag(one.covariance))
        assert (np.abs(one.values - other.values) < 0.3 * sigma).all(), (ke, polar)


def test_a_fixed_azimuth_stays_at_the_estimate() -> None:
    start, points = track(4.0, 75.0, 1)
    found = fit(start, points, settings(free=(True, True, False)))
    assert found.values[5] == pytest.approx(start[5], abs=1e-12)
    assert found.covariance[5, 5] == 0.0


def test_a_vertex_of_fixed_distance_moves_around_the_axis_only() -> None:
    start, points = track(4.0, 75.0, 1)
    first = FirstEstimate((3.0, 4.0, 500.0), float(brho_from_ke(4.0, 1, 2)), start[4], start[5])
    found = fit_track(points, np.ones(len(points)), np.ones(len(points)), first, settings(free=(False, True, True)))
    assert found is not None
    assert math.hypot(*found.values[:2]) == pytest.approx(5.0, abs=1e-9)


def test_the_gradient_is_that_of_the_objective() -> None:
    how = settings()
    start, points = track(4.0, 100.0, 3)
    weights = np.column_stack([np.full(len(points), 1 / 4), np.full(len(points), 1 / 2.25)])
    parameters = np.array([1.0, -2.0, 499.0, math.log(float(brho_from_ke(4.05, 1, 2))), start[4] + 0.01, start[5]])
    motion = how.motion
    rest = (points, weights, np.zeros(1), 5.0, how.volume, how.visible, motion.constants, motion.log_ke, motion.slope)
    gradient, curvature, unused = np.zeros(6), np.zeros((6, 6)), (np.zeros(6), np.zeros((6, 6)))
    objective(parameters, *rest, gradient, curvature)
    for k, step in enumerate((1e-3, 1e-3, 1e-3, 1e-5, 1e-5, 1e-5)):
        ahead, behind = parameters.copy(), parameters.copy()
        ahead[k] += step
        behind[k] -= step
        twin = (objective(ahead, *rest, *unused)[0] - objective(behind, *rest, *unused)[0]) / (2 * step)
        assert 2 * gradient[k] == pytest.approx(twin, rel=0.02, abs=0.02 * math.sqrt(curvature[k, k]))


@pytest.mark.slow
@pytest.mark.parametrize(("energies", "scatters"), [((4, 12), False), ((1.5, 4), True), ((4, 12), True)])
def test_errors_are_as_large_as_they_say(energies: tuple[float, float], scatters: bool) -> None:
    pulls = []
    how = replace(settings(), fluctuations=fluctuations(GAS)) if scatters else settings()
    for seed in range(150):
        generator = np.random.default_rng(1000 + seed)
        make = scattered_track if scatters else track
        start, points = make(float(generator.uniform(*energies)), float(generator.uniform(50, 130)), seed)
        found = fit(start, points, how, off=0.02)
        truth = np.array([*start[:3], math.log(float(brho_from_ke(start[3], 1, 2))), *start[4:]])
        difference = found.values - truth
        difference[5] = math.remainder(difference[5], 2 * math.pi)
        pulls.append(difference / np.sqrt(np.diag(found.covariance)))
    width = np.subtract(*np.percentile(pulls, [84.1, 15.9], axis=0)) / 2
    assert (np.abs(np.median(pulls, axis=0)) < 0.35).all()
    assert ((width > 0.65) & (width < 1.4)).all(), width
