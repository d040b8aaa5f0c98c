"""Time to z, and the correction of the drift field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from spyral_core.detector.drift import FieldCorrection, correct_points, drift_velocity, time_from_z, z_from_time
from spyral_core.errors import ConfigurationError

Floats = NDArray[np.float64]
LENGTH = 1000.0
TABLE = Path("garfield/electrons_h2_300torr.txt")


def test_the_edges_of_the_drift_are_the_window_and_the_pad_plane() -> None:
    np.testing.assert_allclose(z_from_time(np.array([560.0, 285.0, 10.0]), 10.0, 560.0, LENGTH), [0.0, 500.0, LENGTH])


@given(st.floats(-500.0, 2000.0), st.floats(-100.0, 200.0), st.floats(1.0, 3000.0), st.floats(10.0, 5000.0))
def test_time_and_z_are_inverse(time: float, micromegas: float, drift: float, length: float) -> None:
    z = z_from_time(time, micromegas, micromegas + drift, length)
    assert time_from_z(z, micromegas, micromegas + drift, length) == pytest.approx(time, abs=1e-9, rel=1e-9)


def test_the_drift_velocity_of_e20009() -> None:
    """1 m in (406.9 − 62.4) buckets of 0.32 µs."""
    assert drift_velocity(62.4, 406.9, LENGTH, 3.125) == pytest.approx(9.0711, abs=1e-4)


def naive_correct(x: Floats, y: Floats, z: Floats, displacement: Floats, rho_max: float, length: float) -> Floats:
    """scipy's interpolation on the clipped position, and a turn by the azimuth."""
    n_rho, n_z, _ = displacement.shape
    axes = (np.linspace(0.0, rho_max, n_rho), np.linspace(0.0, length, n_z))
    place = np.stack([np.clip(np.hypot(x, y), 0.0, rho_max), np.clip(z, 0.0, length)], axis=1)
    outward, around, along = RegularGridInterpolator(axes, displacement)(place).T
    azimuth = np.arctan2(y, x)
    return np.stack(
        [
            x + outward * np.cos(azimuth) - around * np.sin(azimuth),
            y + outward * np.sin(azimuth) + around * np.cos(azimuth),
            z + along,
        ]
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_kernel_agrees_with_its_naive_twin(seed: int) -> None:
    generator = np.random.default_rng(seed)
    displacement = generator.normal(0.0, 3.0, (*generator.integers(2, 12, 2), 3))
    x, y = generator.uniform(-300.0, 300.0, (2, 500))
    z = generator.uniform(-100.0, 1100.0, 500)
    x[:4], y[:4], z[:4] = (0.0, 270.0, 0.0, -270.0), (0.0, 0.0, -270.0, 0.0), (0.0, 1000.0, 500.0, 1000.0)
    np.testing.assert_allclose(
        correct_points(x, y, z, displacement, 270.0, LENGTH),
        naive_correct(x, y, z, displacement, 270.0, LENGTH),
        atol=1e-10,
    )


def test_a_position_that_is_not_a_number_stays_one() -> None:
    corrected = correct_points(np.array([np.nan]), np.zeros(1), np.array([np.nan]), np.ones((3, 4, 3)), 270.0, LENGTH)
    assert np.isnan(corrected[[0, 2]]).all()


class Langevin:
    """Electrons with friction in crossed fields, solved in space: m dv/dt = −e (E + v × B) − (e/μ) v, dv/dt = 0.

    B and E point to the window (−z); E also draws electrons outwards, in proportion to rho, most half-way. Lengths in
    mm, times in ns, drift velocity 0.012 mm/ns on the axis, ωτ = μB = 0.8.
    """

    length = 970.0
    speed = 0.012
    omega_tau = 0.8
    pull = 4e-5  # [1/mm] of E_rho / E_z at rho = 1 mm

    def velocity(self, position: Floats) -> Floats:
        x, y, z = position
        inwards = -self.pull * np.sin(np.pi * z / self.length)
        field = self.speed * np.array([inwards * x, inwards * y, -(1.0 - (x * x + y * y) * 1e-7) * np.ones_like(z)])
        b = -self.omega_tau
        # v × B with B = b ẑ is (v_y b, −v_x b, 0): v + μ v × B = −μE
        matrix = np.array([[1.0, b, 0.0], [-b, 1.0, 0.0], [0.0, 0.0, 1.0]])
        return np.linalg.solve(matrix, -field)

    def land(self, start: Floats, n_steps: int = 100) -> tuple[Floats, Floats, Floats]:
        """Landing x, y and drift time of electrons from (3, n) positions; fourth-order Runge–Kutta in z."""
        step = (self.length - start[2]) / n_steps
        state = np.concatenate([start, np.zeros_like(start[:1])])

        def slope(state: Floats) -> Floats:
            velocity = self.velocity(state[:3])
            return np.concatenate([velocity, np.ones_like(velocity[:1])]) / velocity[2]

        for _ in range(n_steps):
            one = slope(state)
            two = slope(state + 0.5 * step * one)
            three = slope(state + 0.5 * step * two)
            four = slope(state + step * three)
            state = state + step / 6.0 * (one + 2.0 * two + 2.0 * three + four)
        return state[0], state[1], state[3]

    def write_table(self, path: Path) -> None:
        """As Garfield would: z from the pad plane, rho along one direction, transverse = z × rho, right-handed."""
        table_z, rho = np.meshgrid(np.arange(3.0, 100.5), np.arange(-27.0, 27.5), indexing="ij")
        start = np.stack([10.0 * rho.ravel(), np.zeros(rho.size), self.length + 30.0 - 10.0 * table_z.ravel()])
        x, y, time = self.land(start)
        axis, outwards = np.array([0.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0])
        across = np.cross(axis, outwards)[1] * y
        rows = [table_z.ravel(), rho.ravel(), np.full(rho.size, 3.0), x / 10.0, across / 10.0, time]
        np.savetxt(path, np.stack(rows, axis=1), delimiter="\t")


def test_e_cross_b_carries_electrons_back_where_they_came_from(tmp_path: Path) -> None:
    """Electrons of any azimuth, drifted by the Langevin equation in the fields of the detector, come back."""
    world = Langevin()
    world.write_table(tmp_path / "drift.txt")
    correction = FieldCorrection.from_garfield(tmp_path / "drift.txt", world.length)
    generator = np.random.default_rng(7)
    rho, azimuth = generator.uniform(0.0, 260.0, 300), generator.uniform(-np.pi, np.pi, 300)
    start = np.stack([rho * np.cos(azimuth), rho * np.sin(azimuth), generator.uniform(0.0, world.length, 300)])
    x, y, time = world.land(start)
    longest = world.land(np.array([[10.0], [0.0], [0.0]]))[2][0]
    apparent_z = world.length * (1.0 - time / longest)
    before = np.stack([x, y, apparent_z]) - start
    after = np.stack(correction.correct(x, y, apparent_z)) - start
    assert np.hypot(before[0], before[1]).max() > 3.0
    assert np.abs(before[2]).max() > 3.0
    assert np.abs(after).max() < 0.05
    turn = np.arctan2(y, x) - azimuth
    assert np.all(np.sin(turn) < 1e-12), "E and B towards the window: electrons pushed outwards turn to −azimuth"


def test_a_uniform_field_needs_no_correction(tmp_path: Path) -> None:
    z, rho = (axis.ravel() for axis in np.meshgrid([1.0, 2.0, 5.0], [0.0, 2.0, 3.5], indexing="ij"))
    rows = np.stack([z, rho, np.ones(9), rho, np.zeros(9), 800.0 * (z - 1.0)], axis=1)
    np.savetxt(tmp_path / "drift.txt", rows)
    correction = FieldCorrection.from_garfield(tmp_path / "drift.txt", 500.0)
    assert correction.rho_max == 35.0
    np.testing.assert_allclose(correction.displacement, 0.0, atol=1e-9)


def test_electrons_that_change_places_cannot_be_sent_back(tmp_path: Path) -> None:
    z, rho = (axis.ravel() for axis in np.meshgrid([0.0, 1.0, 2.0], [0.0, 10.0, 20.0], indexing="ij"))
    time = 1000.0 * z + np.where((rho == 20.0) & (z == 1.0), 5000.0, 0.0)
    rows = np.stack([z, rho, np.zeros(9), rho * (1.0 - 0.45 * z), np.zeros(9), time], axis=1)
    np.savetxt(tmp_path / "drift.txt", rows)
    with pytest.raises(ConfigurationError, match=r"drift\.txt: cannot be inverted"):
        FieldCorrection.from_garfield(tmp_path / "drift.txt", 100.0)


@pytest.fixture(scope="module")
def correction(shared: Path) -> FieldCorrection:
    return FieldCorrection.from_garfield(shared / TABLE, LENGTH)


def test_the_edges_on_the_axis_stay_where_they_are(correction: FieldCorrection) -> None:
    x, y, z = correction.correct(np.zeros(2), np.zeros(2), np.array([0.0, LENGTH]))
    np.testing.assert_allclose(np.stack([x, y]), 0.0, atol=1e-9)
    np.testing.assert_allclose(z, [0.0, LENGTH], atol=1e-6)


@pytest.mark.parametrize("azimuth", [0.0, 1.1, -2.9])
def test_the_rows_of_a_real_table_come_back_to_their_start(
    shared: Path, correction: FieldCorrection, azimuth: float
) -> None:
    """Both signs of rho, every z; the edge of the table is coarser, as its outermost electrons are lost."""
    rows = np.loadtxt(shared / TABLE)
    axis = np.abs(rows[:, 1]) == 1.0
    first, last = (rows[axis & (rows[:, 0] == z), 5].mean() for z in (3.0, 100.0))
    rows = rows[(np.abs(rows[:, 2] - 2.9995) < 0.5) & (rows[:, 1] != 0.0)]
    time = rows[:, 5] + (rows[:, 2] - 2.9995) * (last - first) / 97.0
    outward = np.array([np.cos(azimuth), np.sin(azimuth)])
    transverse = np.array([np.sin(azimuth), -np.cos(azimuth)])
    x, y = 10.0 * (rows[:, 3:4] * outward + rows[:, 4:5] * transverse).T
    apparent_z = LENGTH * (last - time) / (last - first)
    start = np.array([*(10.0 * rows[:, 1:2] * outward).T, LENGTH * (100.0 - rows[:, 0]) / 97.0])
    off = np.stack(correction.correct(x, y, apparent_z)) - start
    across, along = np.hypot(off[0], off[1]), np.abs(off[2])
    inner = np.abs(rows[:, 1]) <= 25.0
    assert np.hypot(*(np.stack([x, y]) - start[:2])).max() > 3.0
    assert across[inner].max() < 0.03
    assert across.max() < 0.12
    assert along.max() < 0.06


def test_electrons_of_a_real_table_are_pulled_outwards_and_turned_as_the_fields_say(
    correction: FieldCorrection,
) -> None:
    """Back to the start goes inwards and to growing azimuth; the ratio of both is ωτ, about μB = vB/E."""
    middle = correction.displacement[20:100, 50:350]
    assert np.all(middle[..., 0] < 0.0)
    assert np.all(middle[..., 1] > 0.0)
    omega_tau = 12150.0 * 2.85 / 45000.0
    assert np.median(-middle[..., 1] / middle[..., 0]) == pytest.approx(omega_tau, rel=0.15)
