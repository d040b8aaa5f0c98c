"""What the gas does to a particle at random: Rossi's deflections, Bohr's straggling, the kicks made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spyral_core.fitting.deflections import slabs_of
from spyral_core.fitting.scattering import deflection, fluctuations
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import ke_and_loss, motion_of, trajectory
from spyral_core.physics.nuclei import nuclear_mass

GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
MOTION = motion_of(GAS, 1, 2, 2.85, 45000.0)
TABLES = (MOTION.constants, MOTION.log_ke, MOTION.slope)
NOISE = np.array([fluctuations(GAS).scattering, fluctuations(GAS).straggling])


def test_the_deflection_is_rossi_and_the_straggling_bohr() -> None:
    import pycatima

    mass = nuclear_mass(1, 2)
    number = mass / 931.49410242
    for ke in (1.0, 5.0, 20.0):
        per_mm = deflection(float(GAS.stopping(1, 2).range(ke)), NOISE[0], *TABLES)
        projectile = pycatima.Projectile(number, 1, T=ke / number)
        twin = pycatima.angular_scattering_power(projectile, GAS.material()) * GAS.density / 10
        assert per_mm == pytest.approx(twin, rel=0.01)
    # Bohr: 4π (α ħc)² n_e, with the classical electron radius: 4π (r_e m_e c²)² n_e
    electrons_per_mm3 = 2 * GAS.density / GAS.molar_mass * 6.02214076e23 / 1000
    assert pytest.approx(4 * math.pi * (2.8179403e-12 * 0.51099895) ** 2 * electrons_per_mm3, rel=1e-4) == NOISE[1]


@pytest.mark.parametrize("ke", [2.0, 6.0, 15.0])
def test_the_slabs_hold_the_variances_of_the_whole_way(ke: float) -> None:
    """∫ k(R) ds of the angle and ∫ (σ_E / S)² ds of the range, summed in steps of 0.1 mm."""
    path, states, _ = trajectory(MOTION, np.array([0, 0, 500.0, ke, 1.3, 0.4]), (300.0, 0.0, 1000.0))
    places, sizes = slabs_of(path, states, NOISE, *TABLES)
    assert (np.diff(places) > 0).all()
    assert 0 < places[0] < places[-1] < path[-1]
    assert len(places) <= 80
    edges = np.zeros(len(places) + 1)
    for k, place in enumerate(places):
        edges[k + 1] = 2 * place - edges[k]
    assert edges[-1] == pytest.approx(path[-1])
    # in the last millimetres the angles go to infinity, and move nothing
    number = np.count_nonzero(np.interp(edges[1:], path, states[:, 6]) > 5)
    ways = np.arange(0.05, edges[number], 0.1)
    left = np.interp(ways, path, states[:, 6])
    turned = 0.1 * sum(deflection(value, NOISE[0], *TABLES) for value in left)
    lengthened = 0.1 * sum(NOISE[1] / ke_and_loss(value, *TABLES)[1] ** 2 for value in left)
    assert np.sum(sizes[:number, 0] ** 2) == pytest.approx(turned, rel=0.03)
    assert np.sum(sizes[:number, 2] ** 2) == pytest.approx(lengthened, rel=0.03)
    assert np.array_equal(sizes[:, 0], sizes[:, 1])


def test_a_gas_without_fluctuations_has_no_slabs() -> None:
    path, states, _ = trajectory(MOTION, np.array([0, 0, 500.0, 6.0, 1.3, 0.4]))
    places, sizes = slabs_of(path, states, np.zeros(2), *TABLES)
    assert len(places) == 0
    assert sizes.shape == (0, 3)
