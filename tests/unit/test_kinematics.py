"""Two-body kinematics obey the conservation laws and the closed forms of special cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spyral_core.physics.kinematics import lab_line, two_body
from spyral_core.physics.nuclei import nuclear_mass

PROTON, DEUTERON, CARBON16, CARBON17 = (nuclear_mass(*nucleus) for nucleus in ((1, 1), (1, 2), (6, 16), (6, 17)))


def momentum(kinetic: float, mass: float) -> float:
    return float(np.sqrt(kinetic * (kinetic + 2 * mass)))


@settings(max_examples=200, deadline=None)
@given(
    m1=st.floats(900, 40000),
    m2=st.floats(900, 40000),
    m3=st.floats(900, 40000),
    binding=st.floats(0, 20),
    energy=st.floats(0.5, 5000),
    angle=st.floats(0, np.pi),
)
def test_energy_and_momentum_are_conserved(
    m1: float, m2: float, m3: float, binding: float, energy: float, angle: float
) -> None:
    m4 = m1 + m2 - m3 + binding
    if m4 < 900:
        m3, m4 = m2, m1
    ke3, polar3, ke4, polar4 = two_body(m1, m2, m3, m4, energy, angle)
    if (m1 + m2) ** 2 + 2 * m2 * energy < (m3 + m4) ** 2:
        assert np.isnan(ke3) and np.isnan(ke4)
        return
    p3, p4 = momentum(ke3, m3), momentum(ke4, m4)
    beam = momentum(energy, m1)
    assert ke3 + m3 + ke4 + m4 == pytest.approx(energy + m1 + m2, rel=1e-12)
    assert p3 * np.cos(polar3) + p4 * np.cos(polar4) == pytest.approx(beam, rel=1e-9)
    assert p3 * np.sin(polar3) == pytest.approx(p4 * np.sin(polar4), abs=1e-7 * beam)


@settings(max_examples=50, deadline=None)
@given(energy=st.floats(20, 2000), angle=st.floats(0.01, 3.13))
def test_the_angle_in_the_centre_of_mass_is_the_one_asked_for(energy: float, angle: float) -> None:
    ke3, polar3, _, _ = two_body(CARBON16, DEUTERON, PROTON, CARBON17, energy, angle)
    beam, total = momentum(energy, CARBON16), energy + CARBON16 + DEUTERON
    beta = beam / total
    gamma = 1 / np.sqrt(1 - beta**2)
    p3 = momentum(ke3, PROTON)
    along = gamma * (p3 * np.cos(polar3) - beta * (ke3 + PROTON))
    assert np.arctan2(p3 * np.sin(polar3), along) == pytest.approx(angle, abs=1e-6)


def test_equal_masses_leave_at_right_angles_when_slow() -> None:
    _, polar3, _, polar4 = two_body(PROTON, PROTON, PROTON, PROTON, 1e-4, np.radians([30.0, 90.0, 150.0]))
    np.testing.assert_allclose(polar3 + polar4, np.pi / 2, atol=1e-6)


def test_a_struck_target_takes_at_most_what_a_head_on_collision_gives() -> None:
    ke3, polar3, ke4, _ = two_body(CARBON16, DEUTERON, DEUTERON, CARBON16, 184.1, 0.0)
    s = CARBON16**2 + DEUTERON**2 + 2 * DEUTERON * (184.1 + CARBON16)
    head_on = 2 * DEUTERON * momentum(184.1, CARBON16) ** 2 / s  # PDG, maximum energy transfer
    assert ke3 == pytest.approx(head_on, rel=1e-10)
    assert polar3 == pytest.approx(0.0, abs=1e-9)
    assert ke4 == pytest.approx(184.1 - head_on, rel=1e-9)


def test_elastic_recoil_energy_is_the_momentum_transfer() -> None:
    angle = np.radians(np.linspace(1, 179, 50))
    ke3, polar3, _, _ = two_body(CARBON16, DEUTERON, DEUTERON, CARBON16, 184.1, angle)
    s = CARBON16**2 + DEUTERON**2 + 2 * DEUTERON * (184.1 + CARBON16)
    cm_momentum = momentum(184.1, CARBON16) * DEUTERON / np.sqrt(s)
    np.testing.assert_allclose(ke3, cm_momentum**2 * (1 + np.cos(angle)) / DEUTERON, rtol=1e-9, atol=1e-12)
    # elastic recoils go forward, from the beam's direction to across it
    assert np.all(polar3 < np.pi / 2 + 1e-9) and np.all(np.diff(polar3) > 0)


def test_a_reaction_below_its_threshold_is_not_a_number() -> None:
    q_value = CARBON16 + DEUTERON - PROTON - (CARBON17 + 10.0)
    threshold = -q_value * (CARBON16 + DEUTERON + PROTON + CARBON17 + 10.0) / (2 * DEUTERON)
    below, above = (two_body(CARBON16, DEUTERON, PROTON, CARBON17 + 10.0, threshold * f, 1.0) for f in (0.999, 1.001))
    assert np.isnan(below).all() and np.isfinite(above).all()


def test_the_line_of_an_elastic_recoil_runs_from_head_on_to_grazing() -> None:
    polar, energy = lab_line(CARBON16, DEUTERON, DEUTERON, CARBON16, 184.1, 181)
    assert polar.shape == energy.shape == (181,)
    assert energy[0] == energy.max() and energy[-1] == pytest.approx(0.0, abs=1e-9)
    assert polar[0] == pytest.approx(0.0, abs=1e-9) and polar[-2] == pytest.approx(np.pi / 2, abs=0.02)
