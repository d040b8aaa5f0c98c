"""Trajectories against an independent integration: momentum as the variable, pycatima asked at every step."""

from __future__ import annotations

import math

import numpy as np
import pycatima
import pytest
from scipy.integrate import solve_ivp
from scipy.spatial import cKDTree

from spyral_core.physics.gas import GasTarget, parse_gas
from spyral_core.physics.motion import dense, motion_of, trajectory
from spyral_core.physics.nuclei import ATOMIC_MASS_UNIT, brho_from_ke, ke_from_brho, nuclear_mass

DEUTERIUM = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
HELIUM = parse_gas({"compound": [[2, 4, 1]], "pressure(Torr)": 600.0})
PROTON, DEUTERON, ALPHA = (1, 1), (1, 2), (2, 4)
LEFT = 1.0  # mm of residual range: so far the two must agree


def reference(
    gas: GasTarget, nucleus: tuple[int, int], start: list[float], magnetic: float, electric: float
) -> np.ndarray:
    """Points (n, 3) of dp/dt = q(E + v × B) − dE/dx u, by scipy at a tolerance of 1e-9."""
    Z, A = nucleus
    mass = nuclear_mass(Z, A)
    mass_number = mass / ATOMIC_MASS_UNIT
    material, projectile = gas.material(), pycatima.Projectile(mass_number, Z)

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        momentum = math.sqrt(float(state[3:] @ state[3:]))
        energy = math.hypot(momentum, mass)
        beta, unit = momentum / energy, state[3:] / momentum
        projectile.T(momentum**2 / (energy + mass) / mass_number)
        loss = pycatima.dedx(projectile, material) * gas.density / 10
        lorentz = 0.299792458 * Z * np.array([-unit[1], unit[0], 0.0]) * magnetic
        return np.concatenate([unit, lorentz - loss / beta * unit - [0, 0, Z * electric * 1e-9 / beta]])

    def momentum_left(_: float, state: np.ndarray) -> float:
        return float(np.linalg.norm(state[3:])) - momentum_at_end

    def radius_left(_: float, state: np.ndarray) -> float:
        return 292.0 - math.hypot(state[0], state[1])

    def length_left(_: float, state: np.ndarray) -> float:
        return float(state[2] * (1000.0 - state[2]))

    momentum_at_end = 299.792458 * Z * float(brho_from_ke(gas.stopping(Z, A).ke(LEFT), Z, A))
    for event in (momentum_left, radius_left, length_left):
        event.terminal = True  # type: ignore[attr-defined]
    x, y, z, ke, polar, azimuthal = start
    momentum = 299.792458 * Z * float(brho_from_ke(ke, Z, A))
    unit = [math.sin(polar) * math.cos(azimuthal), math.sin(polar) * math.sin(azimuthal), math.cos(polar)]
    found = solve_ivp(
        slope, (0, 50_000), [x, y, z, *(momentum * np.array(unit))], rtol=1e-9, atol=1e-9,
        events=(momentum_left, radius_left, length_left), dense_output=True,
    )  # fmt: skip
    return found.sol(np.linspace(0, found.t[-1], 300))[:3].T


@pytest.mark.parametrize(
    ("gas", "nucleus", "energies"),
    [
        (DEUTERIUM, PROTON, (0.3, 1.0, 3.0, 10.0)),
        (DEUTERIUM, DEUTERON, (0.5, 2.0, 6.0, 20.0)),
        (HELIUM, ALPHA, (1.0, 5.0, 12.0, 30.0)),
    ],
    ids=["p", "d", "4He"],
)
@pytest.mark.parametrize("polar", [10.0, 45.0, 88.0, 120.0, 165.0])
def test_a_trajectory_is_within_a_tenth_of_a_millimetre_of_an_independent_integration(
    gas: GasTarget, nucleus: tuple[int, int], energies: tuple[float, ...], polar: float
) -> None:
    motion = motion_of(gas, *nucleus, magnetic_field=2.85, electric_field=45000.0)
    for ke in energies:
        start = [2.0, -1.0, 500.0, ke, math.radians(polar), 0.7]
        path, states, _ = trajectory(motion, np.array(start))
        curve = cKDTree(dense(path, states, 0.02))
        distance = curve.query(reference(gas, nucleus, start, 2.85, 45000.0))[0].max()
        assert distance < 0.02, f"{ke} MeV: {distance:.4f} mm"  # 0.01 of it is the spacing of the curve's points


def test_without_gas_and_electric_field_the_path_is_a_circle_of_brho_over_b() -> None:
    thin = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 1e-6})
    motion = motion_of(thin, 1, 2, magnetic_field=2.0, electric_field=0.0)
    path, states, stopped = trajectory(motion, np.array([0, 0, 500.0, 2.0, math.pi / 2, 0.0]), max_states=200)
    radius = 1000 * float(brho_from_ke(2.0, 1, 2)) / 2.0
    points = dense(path, states, 1.0)
    assert not stopped
    # a positive charge in a field along −z turns left: the centre is on the left of its first direction
    np.testing.assert_allclose(np.hypot(points[:, 0], points[:, 1] - radius), radius, rtol=2e-5)


def test_the_electric_field_slows_a_particle_that_moves_along_the_beam() -> None:
    motion = motion_of(DEUTERIUM, 1, 1, magnetic_field=2.85, electric_field=45000.0)
    free = motion_of(DEUTERIUM, 1, 1, magnetic_field=2.85, electric_field=0.0)
    start = np.array([0, 0, 100.0, 5.0, 0.05, 0.0])
    with_field, without = (trajectory(each, start)[1][-1, 6] for each in (motion, free))
    table = DEUTERIUM.stopping(1, 1)
    lost = float(table.ke(without) - table.ke(with_field))
    assert 0.9 * 0.0405 < lost < 1.1 * 0.0405  # 45 keV/m over 0.9 m


def test_a_stopping_particle_travels_its_range() -> None:
    motion = motion_of(DEUTERIUM, 1, 2, magnetic_field=2.85, electric_field=0.0)
    path, _, stopped = trajectory(motion, np.array([0, 0, 500.0, 1.0, 1.2, 0.0]))
    assert stopped
    assert path[-1] == pytest.approx(float(DEUTERIUM.stopping(1, 2).range(1.0)), abs=0.05)


def test_rigidity_and_energy_are_inverse_to_each_other() -> None:
    ke = np.geomspace(1e-3, 300, 50)
    for nucleus in (PROTON, DEUTERON, ALPHA, (6, 16)):
        np.testing.assert_allclose(ke_from_brho(brho_from_ke(ke, *nucleus), *nucleus), ke, rtol=1e-12)
