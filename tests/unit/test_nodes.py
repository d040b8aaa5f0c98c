"""Nodes lie where the track runs, whatever side of the trajectory it is on; simulated pads against closed forms."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.curve import curve_point, curve_tangent
from spyral_core.fitting.nodes import FEWEST_PADS, WIDEST_GAP, _node_of_each, gather, nodes_at
from spyral_core.fitting.settings import Track
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of

Array = NDArray[np.float64]
GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
STRAIGHT = motion_of(GAS, 1, 2, 1e-4, 0.0)
DIFFUSION = 0.0123  # mm
FAST = 12.0  # MeV: it loses little in the detector


def all_lit(lit_pads: ModuleType, path: Array, states: Array) -> Track:
    """What pads without noise and threshold see."""
    places, losses = lit_pads.charge_on(STRAIGHT, path, states)
    track: Track = lit_pads.collected(*lit_pads.smeared(places, losses, DIFFUSION), threshold=1.0)
    return track


def gathered(
    track: Track, lit_pads: ModuleType, path: Array, states: Array, diffusion: float = DIFFUSION, silent: bool = True
) -> tuple:
    """What `gather` finds, of a particle that does not straggle."""
    found = lit_pads.seen(track, STRAIGHT, path, states, diffusion, silent)
    return gather(
        found.place, found.beyond, found.deviation, found.direction, track.charge, found.expected, 12.0, found.drift,
        diffusion, 0.0,
    )  # fmt: skip


def nodes_one_by_one(place: Array, lit: NDArray[np.bool_], node_length: float) -> list[int]:
    """The node of each place, in their order along the track."""
    nodes, held = [], []
    number = 0
    for at, is_lit in zip(place, lit, strict=True):
        if is_lit:
            long = bool(held) and at - held[0] > node_length and len(held) >= FEWEST_PADS
            if long or (held and at - held[-1] > WIDEST_GAP):
                number, held = number + 1, []
            held.append(at)
        nodes.append(number)
    return nodes


def test_nodes_are_runs_of_neighbours() -> None:
    place = np.array([0.0, 1.0, 2.0, 5.0, 13.0, 14.0, 15.0, 90.0, 91.0])
    shuffled = np.array([4, 0, 8, 2, 6, 1, 7, 3, 5])
    node, first = _node_of_each(np.argsort(place[shuffled]), place[shuffled], 9, 12.0)
    assert node[np.argsort(shuffled)].tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert first.tolist() == [0, 4, 7, 9]
    few, _ = _node_of_each(np.arange(4), np.array([0.0, 20.0, 38.0, 50.0]), 4, 12.0)
    assert few.tolist() == [0, 0, 0, 1]


def test_silent_pads_belong_to_the_node_where_they_lie_and_begin_none() -> None:
    lit, silent = [0.0, 1.0, 2.0, 13.0, 14.0, 15.0], [-3.0, 1.5, 12.5, 14.5, 60.0, 100.0]
    place = np.array(lit + silent)
    node, first = _node_of_each(np.argsort(place), place, len(lit), 12.0)
    assert node.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]
    assert first.tolist() == [0, 6, 12]


@pytest.mark.parametrize("seed", range(20))
def test_nodes_are_those_of_one_step_after_the_other(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, n_lit = 60, int(generator.integers(1, 60))
    place = np.cumsum(generator.exponential(generator.choice([2.0, 15.0]), n))[generator.permutation(n)]
    order = np.argsort(place)
    node, first = _node_of_each(order, place, n_lit, 12.0)
    assert node[order].tolist() == nodes_one_by_one(place[order], order < n_lit, 12.0)
    for k in range(len(first) - 1):
        assert set(node[order[first[k] : first[k + 1]]]) == {k}
        assert (order[first[k] : first[k + 1]] < n_lit).any(), "no node of silent pads only"
    assert first[-1] == n


@pytest.mark.parametrize("angle", [0.1, 0.8, 2.4])
@pytest.mark.parametrize("shift", [-2.0, -0.7, 0.0, 1.3])
def test_a_track_beside_the_trajectory_is_found(lit_pads: ModuleType, angle: float, shift: float) -> None:
    """Where the track lies a mm or two aside, the second round, around what the first has found, is exact."""
    path, _ = lit_pads.line(STRAIGHT, angle, 30.0, FAST)
    truth = lit_pads.line(STRAIGHT, angle, 30.0 + shift, FAST)
    track = all_lit(lit_pads, *truth)
    found = 0.0
    for _ in range(3):
        at, offset, variance, *_ = gathered(track, lit_pads, *lit_pads.line(STRAIGHT, angle, 30.0 + found, FAST))
        inner = (at > 20) & (at < path[-1] - 20)
        weight = 1 / variance[inner, 0]
        found += float(np.sum(weight * offset[inner, 0]) / np.sum(weight))
    assert found == pytest.approx(shift, abs=0.05)
    assert np.sqrt(np.average(offset[inner, 0] ** 2, weights=weight)) < 0.2


def test_stray_pads_do_not_pull(lit_pads: ModuleType) -> None:
    """Pads at another drift time, and pads with the charge of another particle, on one side of the track."""
    generator = np.random.default_rng(2)
    path, states = lit_pads.line(STRAIGHT, 0.5, 30.0, FAST)
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
    path, states = lit_pads.line(STRAIGHT, 0.5, 30.0, FAST)
    pulls = []
    for seed in range(8):
        track = lit_pads.track_of(
            *lit_pads.charge_on(STRAIGHT, path, states, 1.0), DIFFUSION, np.random.default_rng(seed)
        )
        at, offset, variance, *_ = gathered(track, lit_pads, path, states)
        inner = (at > 20) & (at < path[-1] - 20)
        pulls.extend(offset[inner, 0] / np.sqrt(variance[inner, 0]))
    width = np.subtract(*np.percentile(pulls, [84.1, 15.9])) / 2
    assert 0.75 < width < 1.35
    assert abs(np.mean(np.clip(pulls, -4, 4))) < 0.2


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_the_diffusion_moves_towards_the_truth(lit_pads: ModuleType, wrong: float) -> None:
    path, states = lit_pads.line(STRAIGHT, 0.5, 30.0, FAST)
    track = all_lit(lit_pads, path, states)
    diffusion = wrong * DIFFUSION
    for _ in range(6):
        better = gathered(track, lit_pads, path, states, diffusion)[3]
        assert abs(math.log(better / DIFFUSION)) < abs(math.log(diffusion / DIFFUSION)) + 0.05
        diffusion = better
    assert diffusion == pytest.approx(DIFFUSION, rel=0.15)


def test_along_the_beam_a_node_is_the_mean_of_its_pads(lit_pads: ModuleType) -> None:
    path, states = lit_pads.line(STRAIGHT, 0.5, 30.0, FAST)
    track = all_lit(lit_pads, path, states)
    lifted = Track(track.points + np.array([0.0, 0.0, 1.5]), track.charge, track.scale, track.pads)
    _, offset, *_ = gathered(lifted, lit_pads, path, states)
    np.testing.assert_allclose(offset[:, 1], 1.5, atol=0.01)


@pytest.mark.parametrize("polar", [35.0, 90.0, 125.0])
def test_its_error_is_that_of_the_times_of_its_pads(lit_pads: ModuleType, polar: float) -> None:
    """Each time has an error of its own; on inclined tracks also the electrons' places along the track count."""
    pulls = []
    for seed in range(8):
        path, states = lit_pads.line(STRAIGHT, 0.5, 30.0, FAST, math.radians(polar))
        places = lit_pads.charge_on(STRAIGHT, path, states, 1.0)
        track = lit_pads.track_of(*places, DIFFUSION, np.random.default_rng(seed))
        at, offset, variance, *_ = gathered(track, lit_pads, path, states)
        inner = (at > 20) & (at < path[-1] - 20)
        pulls.extend(offset[inner, 1] / np.sqrt(variance[inner, 1]))
    assert 0.8 < np.subtract(*np.percentile(pulls, [84.1, 15.9])) / 2 < 1.25
    assert abs(np.mean(np.clip(pulls, -4, 4))) < 0.2


def test_nodes_stand_beside_the_curve(lit_pads: ModuleType) -> None:
    path, states = lit_pads.line(STRAIGHT, 0.5, 30.0, FAST)
    at, offset = np.array([33.0, 120.0]), np.array([[2.0, -0.5], [-1.0, 0.25]])
    for node, way, (across, along) in zip(nodes_at(at, offset, path, states), at, offset, strict=True):
        cell = int(np.searchsorted(path, way)) - 1
        share = (way - path[cell]) / (path[cell + 1] - path[cell])
        ux, uy, _ = curve_tangent(path, states, cell, share)
        twin = np.add(curve_point(path, states, cell, share), [-uy * across, ux * across, along])
        np.testing.assert_allclose(node, twin, atol=1e-6)
