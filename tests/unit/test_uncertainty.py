"""Propagation of correlated errors, against refits of displaced points and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spyral_core.fitting.curve import curve_point
from spyral_core.fitting.scattering import deflection, fluctuations, scattering_spread
from spyral_core.fitting.track_fit import levenberg_marquardt, objective, silent_length
from spyral_core.fitting.uncertainty import displaced, independent_errors, influences
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import advance, dense, motion_of, trajectory
from spyral_core.physics.nuclei import brho_from_ke, nuclear_mass

GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
MOTION = motion_of(GAS, 1, 2, 2.85, 45000.0)
TABLES = (MOTION.constants, MOTION.log_ke, MOTION.slope)
VOLUME, VISIBLE = np.array([320.0, -50.0, 1050.0]), np.array([25.0, 270.0, 0.0, 1000.0])
START = np.array([0.5, -1.0, 500.0, 6.0, math.radians(75), 0.4])
PARAMETERS = np.array([0.5, -1.0, 500.0, math.log(float(brho_from_ke(6.0, 1, 2))), math.radians(75), 0.4])


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    path, states, _ = trajectory(MOTION, START, (250.0, 0.0, 1000.0))
    found = dense(path, states, 4.0)
    return found[np.hypot(found[:, 0], found[:, 1]) > 25]


def test_a_deflection_moves_the_parameters_as_a_refit_does(points: np.ndarray) -> None:
    weights = np.column_stack([np.full(len(points), 0.25), np.full(len(points), 0.4)])
    frame, spot = np.zeros(1), 1e3
    rest = (points, weights, frame, spot, VOLUME, VISIBLE, *TABLES)
    gradient, curvature = np.zeros(6), np.zeros((6, 6))
    objective(PARAMETERS, *rest, gradient, curvature)
    pull, cells, shares, path, states = influences(PARAMETERS, points, weights, frame, VOLUME, *TABLES)
    first = len(path) // 3
    turned = states[first].copy()
    turned[3:6] += 2e-3 * np.array([-turned[4], turned[3], 0.0]) / math.hypot(turned[3], turned[4])
    expected = np.linalg.solve(curvature, displaced(first, turned, path, pull, cells, shares, states, *TABLES))

    other, state = states.copy(), turned.copy()
    other[first] = state
    for i in range(first + 1, len(path)):
        advance(state, path[i] - path[i - 1], *TABLES)
        other[i] = state
    moved = points.copy()
    for k in np.flatnonzero(cells >= first):
        moved[k] += np.subtract(
            curve_point(path, other, cells[k], shares[k]), curve_point(path, states, cells[k], shares[k])
        )
    refitted = PARAMETERS.copy()
    wide = np.full(6, 1e4)
    levenberg_marquardt(
        refitted, np.ones(6, dtype=bool), -wide, wide, 60, moved, weights, frame, spot, VOLUME, VISIBLE, *TABLES,
        gradient, curvature,
    )  # fmt: skip
    change = refitted - PARAMETERS
    scale = np.sqrt(np.diag(np.linalg.inv(curvature)))
    np.testing.assert_allclose(change / scale, expected / scale, atol=0.1 * np.abs(expected / scale).max())


def test_independent_errors_as_large_as_the_weights_say_give_the_curvature_back(points: np.ndarray) -> None:
    generator = np.random.default_rng(3)
    weights = generator.uniform(0.1, 1.0, size=(len(points), 2))
    pull, *_ = influences(PARAMETERS, points, weights, np.zeros(1), VOLUME, *TABLES)
    twin = sum(one @ np.diag(1 / weight[[0, 0, 1]]) @ one.T for one, weight in zip(pull, weights, strict=True))
    np.testing.assert_allclose(independent_errors(pull, 1 / weights), twin, rtol=1e-9, atol=1e-9)


def test_scattering_spreads_a_straight_track_with_the_cube_of_the_path() -> None:
    """Variance ∫ k (s − s')² ds' = k s³/3 for a fast particle in a weak field; none along the track."""
    weak = motion_of(GAS, 1, 2, 0.01, 0.0)
    tables = (weak.constants, weak.log_ke, weak.slope)
    path, states, _ = trajectory(weak, np.array([0, 0, 500.0, 60.0, math.pi / 2, 0.0]), (200.0, 0.0, 1000.0))
    scattering = fluctuations(GAS).scattering
    spread = scattering_spread(path, states, scattering, *tables)
    per_mm, _ = deflection(states[0, 6], scattering, *tables)
    np.testing.assert_allclose(spread[-1], per_mm * path[-1] ** 3 / 3, rtol=0.02)


def test_the_deflection_is_rossi_and_the_straggling_bohr() -> None:
    import pycatima

    mass = nuclear_mass(1, 2)
    number = mass / 931.49410242
    noise = fluctuations(GAS)
    for ke in (1.0, 5.0, 20.0):
        per_mm, _ = deflection(float(GAS.stopping(1, 2).range(ke)), noise.scattering, *TABLES)
        projectile = pycatima.Projectile(number, 1, T=ke / number)
        twin = pycatima.angular_scattering_power(projectile, GAS.material()) * GAS.density / 10
        assert per_mm == pytest.approx(twin, rel=0.01)
    # Bohr: 4π (α ħc)² n_e, with the classical electron radius: 4π (r_e m_e c²)² n_e
    electrons_per_mm3 = 2 * GAS.density / GAS.molar_mass * 6.02214076e23 / 1000
    assert noise.straggling == pytest.approx(
        4 * math.pi * (2.8179403e-12 * 0.51099895) ** 2 * electrons_per_mm3, rel=1e-4
    )


def test_only_the_visible_part_beyond_the_last_point_is_silent(points: np.ndarray) -> None:
    path, states, _ = trajectory(MOTION, START, (320.0, -50.0, 1050.0))
    everything = np.array([0.0, 1e4, -1e4, 1e4])
    assert silent_length(path, states, len(path), 0.0, everything) == pytest.approx(path[-1])
    assert silent_length(path, states, len(path), path[-1] - 50, everything) == pytest.approx(50)
    assert silent_length(path, states, len(path), 0.0, np.array([0.0, 1e4, -1e4, -1e3])) == 0.0
