"""Nodes lie where the track runs, whatever side of the trajectory it is on; simulated pads against closed forms."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.curve import curve_point, curve_tangent
from spyral_core.fitting.nodes import (
    _node_of_each,
    expected_charge,
    expected_charges,
    fit_charges,
    gather,
    mean_loss,
    nodes_at,
    points_on_curve,
)
from spyral_core.fitting.settings import Track
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import ke_and_loss, motion_of, trajectory

Array = NDArray[np.float64]
GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
STRAIGHT = motion_of(GAS, 1, 2, 1e-4, 0.0)
TABLES = (STRAIGHT.constants, STRAIGHT.log_ke, STRAIGHT.slope)
DIFFUSION, LENGTH, Z = 0.0123, 1000.0, 500.0  # mm, mm, mm
FAST = 12.0  # MeV: it loses little in the detector


def line(
    angle: float, off: float, ke: float = FAST, polar: float = math.pi / 2, reach: float = 230.0
) -> tuple[Array, Array]:
    """Path and states of a straight track that passes the axis at a distance of `off` mm."""
    along, normal = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    start = np.array([*(-reach * along + off * normal), Z - reach / math.tan(polar), ke, polar, angle])
    path, states, _ = trajectory(STRAIGHT, start, (reach + 10, -1e3, 2e3))
    return path, states


def charge_on(path: Array, states: Array, spacing: float = 0.1) -> tuple[Array, Array]:
    """Places (n, 3) and energy losses (n,) on the way."""
    ways = np.arange(spacing / 2, path[-1], spacing)
    places = np.column_stack([np.interp(ways, path, states[:, axis]) for axis in range(3)])
    edges = np.interp(np.append(ways - spacing / 2, ways[-1] + spacing / 2), path, states[:, 6])
    return places, -np.diff([ke_and_loss(left, *TABLES)[0] for left in edges])


def all_lit(lit_pads: ModuleType, path: Array, states: Array) -> Track:
    """What pads without noise and threshold see."""
    track: Track = lit_pads.collected(*lit_pads.smeared(*charge_on(path, states), DIFFUSION), threshold=1.0)
    return track


def gathered(track: Track, lit_pads: ModuleType, path: Array, states: Array, diffusion: float = DIFFUSION) -> tuple:
    place, beyond, deviation, direction = points_on_curve(track.points, 2.0, path, states)
    drift = LENGTH - track.points[:, 2]
    expected = expected_charges(
        place, beyond, deviation, direction, lit_pads.plane().corners[track.pads], drift, diffusion, path, states,
        *TABLES,
    )  # fmt: skip
    return gather(place, beyond, deviation, track.charge, expected, 12.0, drift, diffusion)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.1, 2.0, -0.8])
def test_all_pads_together_expect_what_the_particle_loses(lit_pads: ModuleType, angle: float) -> None:
    """Pads tile the plane, but for gaps that the built-in plane does not have: charges a mm add up to dE/dx."""
    plane, sides = lit_pads.plane(), 150.0
    path, states = line(angle, 3.0)
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
    path, states = line(0.4, 5.0, polar=1.2)
    track = all_lit(lit_pads, path, states)
    place, beyond, deviation, direction = points_on_curve(track.points, 2.0, path, states)
    expected = expected_charges(
        place, beyond, deviation, direction, lit_pads.plane().corners[track.pads], LENGTH - track.points[:, 2],
        DIFFUSION, path, states, *TABLES,
    )[:, 0]  # fmt: skip
    inside = np.hypot(track.points[:, 0], track.points[:, 1]) < 220
    np.testing.assert_allclose(track.charge[inside], expected[inside], atol=0.03 * expected.max())
    assert track.charge[inside].sum() == pytest.approx(expected[inside].sum(), rel=0.005)


def test_derivatives_of_an_expected_charge_are_differences() -> None:
    corners = np.array([[-4.9, -2.8], [4.9, -2.8], [0.0, 5.7]])
    direction, drift = np.array([0.6, 0.5, math.sqrt(1 - 0.61)]), 420.0
    normal = np.array([-0.5, 0.6, 0.0]) / math.hypot(0.5, 0.6)

    def charge(offset: float, left: float, diffusion: float) -> Array:
        deviation = np.array([1.0, -2.0, 0.3]) - offset * normal
        return np.array(expected_charge(deviation, direction, left, corners, drift, diffusion, *TABLES))

    for left in (4.0, 20.0, 200.0):
        found = charge(0.0, left, DIFFUSION)
        for k, (step, ahead, behind) in enumerate(
            [
                (1e-3, charge(1e-3, left, DIFFUSION), charge(-1e-3, left, DIFFUSION)),
                (1e-3, charge(0.0, left + 1e-3, DIFFUSION), charge(0.0, left - 1e-3, DIFFUSION)),
            ]
        ):
            assert found[k + 1] == pytest.approx((ahead[0] - behind[0]) / (2 * step), rel=1e-3)
    # the smearing along the track is taken to be fixed: only that across counts
    wider, narrower = (charge(0.0, 200.0, DIFFUSION + d)[0] for d in (1e-5, -1e-5))
    assert charge(0.0, 200.0, DIFFUSION)[3] == pytest.approx((wider - narrower) / 2e-5, rel=0.02)


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


def test_points_beyond_the_end_are_measured_from_it() -> None:
    path, states = line(0.0, 0.0, ke=2.0)
    end, unit = states[-1, :3], states[-1, 3:6]
    points = np.array([end + 7 * unit, end - 7 * unit + [0, 2, 0], states[0, :3] - 5 * unit])
    place, beyond, deviation, direction = points_on_curve(points, 1.0, path, states)
    np.testing.assert_allclose(place, [path[-1], path[-1] - 7, 0.0], atol=1e-3)
    np.testing.assert_allclose(beyond, [7.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(deviation[1], [0, 2, 0], atol=1e-3)
    np.testing.assert_allclose(direction, [unit] * 3, atol=1e-3)


def test_nodes_are_runs_of_neighbours() -> None:
    place = np.array([0.0, 1.0, 2.0, 5.0, 13.0, 14.0, 15.0, 90.0, 91.0])
    shuffled = np.array([4, 0, 8, 2, 6, 1, 7, 3, 5])
    node, number = _node_of_each(np.argsort(place[shuffled]), place[shuffled], 12.0)
    assert number == 3
    assert node[np.argsort(shuffled)].tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2]
    few, _ = _node_of_each(np.arange(4), np.array([0.0, 20.0, 38.0, 50.0]), 12.0)
    assert few.tolist() == [0, 0, 0, 1]


def test_amount_and_offset_are_those_of_least_squares() -> None:
    generator = np.random.default_rng(6)
    n = 40
    expected, node = generator.uniform(0.5, 2, size=(n, 4)), np.repeat(np.arange(4), 10)
    expected[:, 1] -= 1.2
    charge, factor = generator.uniform(0.5, 2, size=n), generator.uniform(0.2, 1, size=n)
    amount, offset, variance = fit_charges(charge, expected, factor, node, 4, 0.0, 1.3)
    for k in range(4):
        mine = node == k
        design, weight = (
            1.3 * expected[mine, :2],
            factor[mine] / (1.3 * expected[mine, 0] + 0.13 * expected[:, 0].mean()),
        )
        normal = design.T @ (weight[:, None] * design)
        one, other = np.linalg.solve(normal, design.T @ (weight * charge[mine]))
        assert amount[k] == pytest.approx(one)
        assert offset[k] == pytest.approx(other / max(one, 0.2))
        assert variance[k] == pytest.approx(np.linalg.inv(normal)[1, 1] / max(one, 0.2) ** 2)


@pytest.mark.parametrize("angle", [0.1, 0.8, 2.4])
@pytest.mark.parametrize("shift", [-2.0, -0.7, 0.0, 1.3])
def test_a_track_beside_the_trajectory_is_found(lit_pads: ModuleType, angle: float, shift: float) -> None:
    """Where the track lies a mm or two aside, the second round, around what the first has found, is exact."""
    path, _ = line(angle, 30.0)
    truth = line(angle, 30.0 + shift)
    track = all_lit(lit_pads, *truth)
    found = 0.0
    for _ in range(3):
        at, offset, variance, *_ = gathered(track, lit_pads, *line(angle, 30.0 + found))
        inner = (at > 20) & (at < path[-1] - 20)
        weight = 1 / variance[inner, 0]
        found += float(np.sum(weight * offset[inner, 0]) / np.sum(weight))
    assert found == pytest.approx(shift, abs=0.05)
    assert np.sqrt(np.average(offset[inner, 0] ** 2, weights=weight)) < 0.2


def test_stray_pads_do_not_pull(lit_pads: ModuleType) -> None:
    """Pads at another drift time, and pads with the charge of another particle, on one side of the track."""
    generator = np.random.default_rng(2)
    path, states = line(0.5, 30.0)
    track = all_lit(lit_pads, path, states)
    aside = np.flatnonzero(track.points[:, :2] @ [-math.sin(0.5), math.cos(0.5)] > 31)
    strays = generator.choice(aside, len(track.charge) // 20, replace=False)
    points, charge = track.points.copy(), track.charge.copy()
    points[strays[::2], 2] += 60.0
    charge[strays] += 3 * np.median(charge)
    stray = Track(points, charge, track.scale, track.pads)
    _, pulled, spread, *_ = gathered(stray, lit_pads, path, states)
    weight = 1 / spread[:, 0]
    assert abs(np.sum(weight * pulled[:, 0]) / np.sum(weight)) < 0.15
    assert abs(np.median(pulled[:, 0])) < 0.05


def test_the_offsets_scatter_as_much_as_they_say(lit_pads: ModuleType) -> None:
    path, states = line(0.5, 30.0)
    pulls = []
    for seed in range(8):
        track = lit_pads.track_of(*charge_on(path, states, 1.0), DIFFUSION, np.random.default_rng(seed))
        at, offset, variance, *_ = gathered(track, lit_pads, path, states)
        inner = (at > 20) & (at < path[-1] - 20)
        pulls.extend(offset[inner, 0] / np.sqrt(variance[inner, 0]))
    width = np.subtract(*np.percentile(pulls, [84.1, 15.9])) / 2
    assert 0.75 < width < 1.35
    assert abs(np.mean(np.clip(pulls, -4, 4))) < 0.2


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_the_diffusion_moves_towards_the_truth(lit_pads: ModuleType, wrong: float) -> None:
    path, states = line(0.5, 30.0)
    track = all_lit(lit_pads, path, states)
    diffusion = wrong * DIFFUSION
    for _ in range(6):
        better = gathered(track, lit_pads, path, states, diffusion)[3]
        assert abs(math.log(better / DIFFUSION)) < abs(math.log(diffusion / DIFFUSION)) + 0.05
        diffusion = better
    assert diffusion == pytest.approx(DIFFUSION, rel=0.15)


def test_along_the_beam_a_node_is_the_mean_of_its_pads(lit_pads: ModuleType) -> None:
    path, states = line(0.5, 30.0)
    track = all_lit(lit_pads, path, states)
    lifted = Track(track.points + np.array([0.0, 0.0, 1.5]), track.charge, track.scale, track.pads)
    _, offset, variance, *_ = gathered(lifted, lit_pads, path, states)
    np.testing.assert_allclose(offset[:, 1], 1.5, atol=0.01)
    assert 1 / variance[:, 1].min() <= 2 * np.max(np.unique(np.round(track.points[:, 0] / 12), return_counts=True)[1])


def test_nodes_stand_beside_the_curve() -> None:
    path, states = line(0.5, 30.0)
    at, offset = np.array([33.0, 120.0]), np.array([[2.0, -0.5], [-1.0, 0.25]])
    for node, way, (across, along) in zip(nodes_at(at, offset, path, states), at, offset, strict=True):
        cell = int(np.searchsorted(path, way)) - 1
        share = (way - path[cell]) / (path[cell + 1] - path[cell])
        ux, uy, _ = curve_tangent(path, states, cell, share)
        twin = np.add(curve_point(path, states, cell, share), [-uy * across, ux * across, along])
        np.testing.assert_allclose(node, twin, atol=1e-6)
