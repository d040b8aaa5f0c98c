"""Simulated particles lose energy, straggle and scatter as pycatima says, and bend as the equation of motion says."""

from __future__ import annotations

import numpy as np
import pycatima
import pytest
from scipy.integrate import solve_ivp

from spyral_core.config.simulation import SimulatedDetector
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.nuclei import ATOMIC_MASS_UNIT, nuclear_mass
from spyral_core.simulate.medium import Medium, medium, rates_at
from spyral_core.simulate.transport import AT_PLANE, LEFT, STOPPED, Track, deflect, lose, rk4_step, transport

GAS = GasTarget(((1, 2, 2.0),), 300.0)
DEUTERON = (1, 2)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def detector(**values: object) -> SimulatedDetector:
    """A detector without fields to speak of, long and wide, unless told otherwise."""
    free = {"magnetic_field": 0.0, "electric_field": 1e-9, "detector_length": 10000.0, "detector_radius": 1000.0}
    return SimulatedDetector.model_validate({**free, **values})


def along(kinetic: float, gas_of: Medium, polar: float = 0.0) -> np.ndarray:
    size = np.sqrt(kinetic * (kinetic + 2 * gas_of.mass))
    return size * np.array([np.sin(polar), 0.0, np.cos(polar)])


def fly(kinetic: float, plane: float, seed: int, nucleus: tuple[int, int] = DEUTERON, **values: object) -> Track:
    of = medium(GAS, *nucleus)
    return transport(np.array([0.0, 0.0, 1.0]), along(kinetic, of), of, detector(**values), rng(seed), 1.0 + plane)


def catima(nucleus: tuple[int, int], kinetic: float, path: float) -> pycatima.Result:
    """pycatima's answer for `path` mm of the gas."""
    mass_number = nuclear_mass(*nucleus) / ATOMIC_MASS_UNIT
    material = GAS.material()
    material.thickness(path / 10 * GAS.density)
    return pycatima.calculate(pycatima.Projectile(mass_number, nucleus[0], T=kinetic / mass_number), material)


def energy_of(momentum: np.ndarray, mass: float) -> float:
    return float(np.sqrt(momentum @ momentum + mass**2) - mass)


@pytest.mark.parametrize(
    ("nucleus", "kinetic", "path"), [((1, 2), 5.0, 500.0), ((1, 2), 1.0, 100.0), ((6, 16), 184.1, 900.0)]
)
def test_the_mean_energy_loss_is_that_of_pycatima(nucleus: tuple[int, int], kinetic: float, path: float) -> None:
    track = fly(kinetic, path, 1, nucleus, straggling=False, scattering=False)
    expected = catima(nucleus, kinetic, path)
    mass_number = nuclear_mass(*nucleus) / ATOMIC_MASS_UNIT
    lost = kinetic - expected.Eout * mass_number
    assert track.end == AT_PLANE
    assert track.deposits.sum() == pytest.approx(lost, rel=0.005)
    assert energy_of(track.momentum, nuclear_mass(*nucleus)) == pytest.approx(kinetic - lost, abs=0.005 * lost)


@pytest.mark.parametrize("kinetic", [0.3, 1.0, 2.0])
def test_a_particle_stops_at_its_range_and_deposits_all(kinetic: float) -> None:
    track = fly(kinetic, 9000.0, 1, straggling=False, scattering=False)
    assert track.end == STOPPED
    assert track.deposits.sum() == pytest.approx(kinetic, rel=1e-6)
    assert track.points[-1, 2] - 1.0 == pytest.approx(float(GAS.stopping(*DEUTERON).range(kinetic)), rel=0.01, abs=0.5)


@pytest.mark.parametrize("step", [0.5, 2.0])
def test_energy_straggling_and_scattering_have_the_widths_of_pycatima_whatever_the_step(step: float) -> None:
    kinetic, path, n = 3.0, 100.0, 1500
    mass = nuclear_mass(*DEUTERON)
    tracks = [fly(kinetic, path, seed, step=step) for seed in range(n)]
    energies = np.array([energy_of(track.momentum, mass) for track in tracks])
    angles = np.array([track.momentum[:2] / track.momentum[2] for track in tracks])
    expected = catima(DEUTERON, kinetic, path)
    relative_error = 1 / np.sqrt(2 * n)
    assert energies.std() == pytest.approx(expected.sigma_E * mass / ATOMIC_MASS_UNIT, rel=5 * relative_error)
    assert angles[:, 0].std() == pytest.approx(expected.sigma_a, rel=5 * relative_error)
    assert angles[:, 1].std() == pytest.approx(expected.sigma_a, rel=5 * relative_error)
    assert abs(np.corrcoef(angles.T)[0, 1]) < 5 / np.sqrt(n)
    assert all(track.deposits.min() >= 0 for track in tracks)


def test_range_straggling_has_the_width_of_pycatima() -> None:
    kinetic, n = 1.0, 600
    ends = np.array([fly(kinetic, 9000.0, seed, scattering=False).points[-1, 2] for seed in range(n)])
    expected = catima(DEUTERON, kinetic, 1.0).sigma_r * 10 / GAS.density
    assert ends.std() == pytest.approx(expected, rel=0.2)


def test_fluctuations_can_be_switched_off_one_by_one() -> None:
    quiet = {"straggling": False, "scattering": False}
    first, second = (fly(2.0, 150.0, seed, **quiet) for seed in (1, 2))
    assert np.array_equal(first.points, second.points) and np.array_equal(first.deposits, second.deposits)
    assert not first.points[:, :2].any()
    straggling, scattering = (fly(2.0, 150.0, 1, **{**quiet, name: True}) for name in ("straggling", "scattering"))
    assert not straggling.points[:, :2].any()
    assert not np.array_equal(straggling.deposits[:50], first.deposits[:50])
    assert scattering.points[:, :2].any()
    np.testing.assert_allclose(scattering.deposits[:50], first.deposits[:50])


def test_a_loss_has_its_mean_and_variance_and_is_never_negative() -> None:
    source = rng()
    losses = np.array([lose(0.3, 0.5, source) for _ in range(40000)])
    assert losses.min() >= 0
    assert losses.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.5 / len(losses)))
    assert losses.var() == pytest.approx(0.5, rel=0.15)


def test_a_deflection_turns_by_its_angle_and_keeps_the_momentum() -> None:
    source = rng()
    for _ in range(100):
        before = source.normal(size=3) * 100
        angle_a, angle_b = source.normal(size=2) * 0.2
        after = before.copy()
        deflect(after, angle_a, angle_b)
        assert np.linalg.norm(after) == pytest.approx(np.linalg.norm(before), rel=1e-12)
        cosine = before @ after / np.linalg.norm(before) ** 2
        assert np.arccos(cosine) == pytest.approx(np.hypot(angle_a, angle_b), rel=1e-5)


def test_a_step_agrees_with_an_independent_integration_of_the_equation_of_motion() -> None:
    mass, charge, magnetic, electric, stopping = nuclear_mass(1, 2), 1.0, 2.85, 45000.0, 0.004
    start = np.array([1.0, 2.0, 3.0, 40.0, -30.0, 60.0])
    light = 299792458.0  # m/s

    def motion(_: float, state: np.ndarray) -> np.ndarray:
        """dp/dt = q(E + v × B) − dE/dx along v in SI units, per mm of path; x in mm, p in MeV/c."""
        p = state[3:]
        direction, beta = p / np.linalg.norm(p), np.linalg.norm(p) / np.sqrt(p @ p + mass**2)
        volts_per_metre = np.array([0, 0, -electric]) + np.cross(beta * light * direction, [0, 0, -magnetic])
        force = charge * volts_per_metre * 1e-9 - stopping * direction  # MeV/mm
        return np.concatenate([direction, force / beta])

    exact = solve_ivp(motion, (0.0, 2.0), start, rtol=1e-11, atol=1e-11).y[:, -1]
    position, momentum = start[:3].copy(), start[3:].copy()
    rk4_step(position, momentum, 2.0, mass, charge, magnetic, electric, stopping)
    np.testing.assert_allclose(position, exact[:3], atol=1e-7)
    np.testing.assert_allclose(momentum, exact[3:], rtol=1e-6)


def test_the_turn_is_path_over_radius_in_a_magnetic_field() -> None:
    of = medium(GAS, *DEUTERON)
    fields = detector(magnetic_field=2.85, straggling=False, scattering=False, detector_length=500.0)
    track = transport(np.array([0.0, 0.0, 1.0]), along(20.0, of, np.radians(70)), of, fields, rng())
    length = np.linalg.norm(np.diff(track.points, axis=0), axis=1).sum()
    radius = np.hypot(*along(20.0, of, np.radians(70))[:2]) / (0.299792458 * 2.85)
    assert track.end == LEFT
    assert track.turn == pytest.approx(length * np.sin(np.radians(70)) / radius, rel=0.02)
    # positive B points to −z: a positive particle turns counterclockwise seen from the pad plane
    assert track.points[20, 1] > 0


def test_rates_are_interpolated_in_the_logarithm_of_the_energy() -> None:
    of = medium(GAS, *DEUTERON)
    grid = of.log_energy_min + of.log_energy_step * np.arange(of.rates.shape[1])
    for energy in (1e-6, 0.01, 0.7, 33.0, 1e5):
        expected = np.interp(np.log(energy), grid, of.rates[0])
        assert rates_at(energy, of.log_energy_min, of.log_energy_step, of.rates[0]) == pytest.approx(expected, rel=1e-9)
