"""Charges that a trajectory is expected to leave on pads, against simulated electrons, differences and arcs."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.curve import points_on_curve
from spyral_core.fitting.expected_charge import expected_charge, expected_charges, mean_loss
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import ke_and_loss, motion_of, trajectory
from spyral_core.physics.nuclei import brho_from_ke

Array = NDArray[np.float64]
GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
STRAIGHT = motion_of(GAS, 1, 2, 1e-4, 0.0)
TABLES = (STRAIGHT.constants, STRAIGHT.log_ke, STRAIGHT.slope)
DIFFUSION, LENGTH, Z = 0.0123, 1000.0, 500.0  # mm, mm, mm
FAST = 12.0  # MeV: it loses little in the detector
CORNERS = np.array([[-4.9, -2.8], [4.9, -2.8], [0.0, 5.7]])  # mm


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.1, 2.0, -0.8])
def test_all_pads_together_expect_what_the_particle_loses(lit_pads: ModuleType, angle: float) -> None:
    """Pads tile the plane, but for gaps that the built-in plane does not have: charges a mm add up to dE/dx."""
    plane, sides = lit_pads.plane(), 150.0
    path, states = lit_pads.line(STRAIGHT, angle, 3.0, FAST)
    points = np.column_stack([plane.xy, np.full(len(plane.xy), Z)])
    near = np.abs(plane.xy @ [math.cos(angle), math.sin(angle)]) < sides
    near &= np.hypot(plane.xy[:, 0], plane.xy[:, 1]) < 250
    place, beyond, deviation, direction = points_on_curve(points[near], 2.0, path, states)
    expected = expected_charges(
        place, beyond, deviation, direction, plane.corners[near], np.full(near.sum(), 500.0), DIFFUSION, path, states,
        *TABLES,
    )  # fmt: skip
    loss = ke_and_loss(states[0, 6] - 230, *TABLES)[1]
    assert expected[:, 0].sum() == pytest.approx(loss * 2 * sides, rel=0.02)
    # moving the track across takes charge from one side to the other, widening it outwards
    assert abs(expected[:, 1].sum()) < 0.02 * np.abs(expected[:, 1]).sum()
    assert abs(expected[:, 3].sum()) < 0.05 * np.abs(expected[:, 3]).sum()


def test_expected_charges_are_those_of_simulated_electrons(lit_pads: ModuleType) -> None:
    path, states = lit_pads.line(STRAIGHT, 0.4, 5.0, FAST, polar=1.2)
    track = lit_pads.collected(*lit_pads.smeared(*lit_pads.charge_on(STRAIGHT, path, states), DIFFUSION), threshold=1.0)
    expected = lit_pads.seen(track, STRAIGHT, path, states, DIFFUSION).expected[:, 0]
    inside = np.hypot(track.points[:, 0], track.points[:, 1]) < 220
    np.testing.assert_allclose(track.charge[inside], expected[inside], atol=0.03 * expected.max())
    assert track.charge[inside].sum() == pytest.approx(expected[inside].sum(), rel=0.005)


@pytest.mark.parametrize("curvature", [0.0, 0.03, -0.02])
def test_derivatives_of_an_expected_charge_are_differences(curvature: float) -> None:
    direction, drift = np.array([0.6, 0.5, math.sqrt(1 - 0.61)]), 420.0
    normal = np.array([-0.5, 0.6, 0.0]) / math.hypot(0.5, 0.6)

    def charge(offset: float, left: float, diffusion: float) -> Array:
        deviation = np.array([1.0, -2.0, 0.3]) - offset * normal
        return np.array(expected_charge(deviation, direction, curvature, left, CORNERS, drift, diffusion, *TABLES))

    for left in (4.0, 20.0, 200.0):
        found = charge(0.0, left, DIFFUSION)
        for k, (step, ahead, behind) in enumerate(
            [
                (1e-3, charge(1e-3, left, DIFFUSION), charge(-1e-3, left, DIFFUSION)),
                (1e-3, charge(0.0, left + 1e-3, DIFFUSION), charge(0.0, left - 1e-3, DIFFUSION)),
            ]
        ):
            assert found[k + 1] == pytest.approx((ahead[0] - behind[0]) / (2 * step), rel=1e-3)
    # the smearing along the track is taken to be fixed, and with it how far a bent track runs aside
    wider, narrower = (charge(0.0, 200.0, DIFFUSION + d)[0] for d in (1e-5, -1e-5))
    assert charge(0.0, 200.0, DIFFUSION)[3] == pytest.approx((wider - narrower) / 2e-5, rel=0.02 + 4 * abs(curvature))


def test_the_loss_around_the_end_is_smeared() -> None:
    """As a sum over the path with normal weights; at the end, where the loss breaks off, in five steps."""
    ranges = np.arange(0.0025, 120.0, 0.005)
    losses = np.array([ke_and_loss(left, *TABLES)[1] for left in ranges])
    for left in (-6.0, -2.0, 0.5, 3.0, 8.0, 50.0):
        loss, by_range = mean_loss(left, 3.0, *TABLES)
        weights = np.exp(-0.5 * ((ranges - left) / 3.0) ** 2) / (3.0 * math.sqrt(2 * math.pi))
        assert loss == pytest.approx(0.005 * np.sum(weights * losses), abs=0.04 * losses.max())
        ahead, behind = (mean_loss(left + d, 3.0, *TABLES)[0] for d in (1e-4, -1e-4))
        assert by_range == pytest.approx((ahead - behind) / 2e-4, rel=1e-3)
    assert mean_loss(-8.0, 3.0, *TABLES) == (0.0, 0.0)
    total = 0.25 * sum(mean_loss(left, 3.0, *TABLES)[0] for left in np.arange(-20, 60, 0.25))
    assert total == pytest.approx(ke_and_loss(59.875, *TABLES)[0], rel=0.02)


def test_where_along_the_path_a_pad_sees_and_what_is_lost_there() -> None:
    """The variance of an evenly lit triangle's places is its area over 6√3, and diffusion adds its own."""
    corners = 9.8 * np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]])
    corners -= corners.mean(axis=0)
    shares = np.random.default_rng(2).dirichlet([1, 1, 1], size=200_000) @ corners
    polar, left = 0.9, 150.0
    direction = np.array([math.sin(polar), 0.0, math.cos(polar)])
    *_, smear, loss = expected_charge(np.zeros(3), direction, 0.0, left, corners, 400.0, DIFFUSION, *TABLES)
    twin = (shares[:, 0].var() + 400.0 * DIFFUSION) / math.sin(polar) ** 2
    assert smear == pytest.approx(twin, rel=0.01)
    assert loss == pytest.approx(ke_and_loss(left, *TABLES)[1], rel=0.01)


def test_a_straight_track_has_no_side_and_a_bent_one_runs_on_its_outside() -> None:
    """The charge that a pad sees of an arc stems from places farther ahead and behind, all on the arc's inner side."""
    direction = np.array([1.0, 0.0, 0.0])
    # to the left of the track: the inside of a left turn
    deviation = np.array([0.0, 6.0, 0.0])
    left_turn, straight, right_turn = (
        expected_charge(deviation, direction, curvature, 200.0, CORNERS, 500.0, DIFFUSION, *TABLES)[0]
        for curvature in (1 / 30, 0.0, -1 / 30)
    )
    assert right_turn < straight < left_turn


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_charges_of_an_arc_lead_to_no_offset(lit_pads: ModuleType, side: float) -> None:
    """Nearly a turn of 30 mm radius, without noise: its pads seem 0.1 mm aside where it is taken to be straight."""
    bent = motion_of(GAS, 1, 2, side * 1e3 * float(brho_from_ke(FAST, 1, 2)) / 30.0, 0.0)
    curved, straight = [], []
    for seed in range(5):
        generator = np.random.default_rng(seed)
        vertex = np.array([130.0, 60.0]) + generator.uniform(-10, 10, 2)
        start = np.array([*vertex, Z, FAST, math.pi / 2, generator.uniform(-3, 3)])
        path, states, _ = trajectory(bent, start, (400.0, -1e3, 2e3))
        turn = int(np.searchsorted(path, 0.9 * 2 * math.pi * 30.0))
        path, states = path[:turn], states[:turn]
        track = lit_pads.collected(
            *lit_pads.smeared(*lit_pads.charge_on(bent, path, states), DIFFUSION), threshold=0.01
        )
        found = lit_pads.seen(track, bent, path, states, DIFFUSION)
        tangents = [
            expected_charge(
                deviation, direction, 0.0, states[0, 6] - place, corners, drift, DIFFUSION, *TABLES
            )
            for deviation, direction, place, corners, drift in zip(
                found.deviation, found.direction, found.place, lit_pads.plane().corners[found.pads], found.drift,
                strict=True,
            )
        ]  # fmt: skip
        inner = (found.place > 12) & (found.place < path[-1] - 12)
        for expected, offsets in ((found.expected, curved), (np.array(tangents), straight)):
            root = 1 / np.sqrt(expected[:, 0] + 0.1 * expected[:, 0].mean())
            sides = (root[:, None] * expected[:, :2])[inner]
            amount, moved = np.linalg.lstsq(sides, (root * track.charge)[inner], rcond=None)[0]
            offsets.append(moved / amount)
    assert abs(np.mean(curved)) < 0.03
    assert abs(np.mean(straight)) > 0.1
