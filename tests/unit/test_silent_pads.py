"""Pads beside a track that were silent: which they are, by brute force, and what their silence is worth."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, truncnorm

from spyral_core.fitting import silent_pads as module
from spyral_core.fitting.silent_pads import CELL, MISSED, REACH, censored, index_pads, silent_pads
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import dense, motion_of, trajectory

Array = NDArray[np.float64]
GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
VISIBLE = np.array([25.0, 270.0, 0.0, 1000.0])
SAMPLED = 0.9 * REACH  # pads farther off may lie between two of the places at which pads are looked for


def bent(angle: float) -> tuple[Array, Array]:
    """A particle that leaves the detector before it has made half a turn."""
    motion = motion_of(GAS, 1, 2, 2.0, 0.0)
    start = np.array([2.0, -1.0, 400.0, 10.0, math.radians(70), angle])
    return trajectory(motion, start, (320.0, -1e3, 2e3))[:2]


def test_every_pad_is_in_the_cell_of_its_centroid(lit_pads: ModuleType) -> None:
    xy = lit_pads.plane().xy
    index = index_pads(xy)
    assert sorted(index.pads) == list(range(len(xy)))
    generator = np.random.default_rng(1)
    for row, column in generator.integers(0, index.side, size=(400, 2)):
        cell = row * index.side + column
        low = np.array([column, row]) * CELL - index.edge
        twin = np.flatnonzero(((xy >= low) & (xy < low + CELL)).all(axis=1))
        assert sorted(index.pads[index.begins[cell] : index.begins[cell + 1]]) == list(twin)


@pytest.mark.parametrize("angle", [0.3, 1.9, -2.2])
def test_silent_pads_are_those_within_reach_that_are_used_and_seen(lit_pads: ModuleType, angle: float) -> None:
    """By the distances of all pads from a dense curve; fired and unused ones are left out."""
    plane, (path, states) = lit_pads.plane(), bent(angle)
    generator = np.random.default_rng(3)
    used, fired = plane.used & (generator.random(len(plane.xy)) > 0.1), generator.random(len(plane.xy)) > 0.6
    first, last = 30.3, 0.8 * path[-1]
    numbers, place, deviation, direction, z = silent_pads(
        path, states, first, last, VISIBLE, plane.xy, used, fired, *plane.index
    )
    assert len(set(numbers)) == len(numbers) > 50
    curve = dense(path, states, 0.02)
    away = np.linalg.norm(plane.xy[:, None] - curve[None, ::25, :2], axis=2)
    near = np.flatnonzero(away.min(axis=1) < REACH + 2)
    wanted = []
    for pad in near:
        distance = np.linalg.norm(plane.xy[pad] - curve[:, :2], axis=1)
        at, rho = 0.02 * int(distance.argmin()), float(np.hypot(*plane.xy[pad]))
        if used[pad] and not fired[pad] and first < at < last and VISIBLE[0] < rho < VISIBLE[1]:
            if pad in numbers:
                assert distance.min() <= REACH
                k = int(np.flatnonzero(numbers == pad)[0])
                assert place[k] == pytest.approx(at, abs=0.1)
                nearest = curve[distance.argmin()]
                np.testing.assert_allclose(deviation[k], [*(plane.xy[pad] - nearest[:2]), 0.0], atol=0.1)
                assert z[k] == pytest.approx(nearest[2], abs=0.1)
                assert abs(deviation[k] @ direction[k]) < 0.02
                wanted.append(pad)
            else:
                assert distance.min() > SAMPLED
    assert sorted(numbers) == sorted(wanted)


def test_where_no_record_is_kept_nothing_is_silent(lit_pads: ModuleType) -> None:
    plane, (path, states) = lit_pads.plane(), bent(0.4)
    nothing = np.zeros(len(plane.xy), np.bool_)
    for visible, inside in (
        (VISIBLE, lambda z, rho: (z > 0) & (z < 1000) & (rho > 25) & (rho < 270)),
        (np.array([60.0, 150.0, 0.0, 440.0]), lambda z, rho: (z < 440) & (rho > 60) & (rho < 150)),
    ):
        numbers, *_, z = silent_pads(path, states, 0.0, path[-1], visible, plane.xy, plane.used, nothing, *plane.index)
        assert len(numbers)
        assert inside(z, np.hypot(*plane.xy[numbers].T)).all()


def test_behind_the_end_of_a_track_pads_are_not_beside_it(lit_pads: ModuleType) -> None:
    """All pads there have its end for their nearest place, and would be expected to hold the charge of its end."""
    plane = lit_pads.plane()
    motion = motion_of(GAS, 1, 2, 1e-4, 0.0)
    path, states, stops = trajectory(motion, np.array([60.0, 20.0, 500.0, 0.8, math.pi / 2, 0.4]), (320.0, -1e3, 2e3))
    assert stops
    nothing = np.zeros(len(plane.xy), np.bool_)
    numbers, place, *_ = silent_pads(path, states, 0.0, path[-1], VISIBLE, plane.xy, plane.used, nothing, *plane.index)
    ahead = (plane.xy[numbers] - states[-1, :2]) @ states[-1, 3:5]
    behind = (plane.xy[numbers] - states[0, :2]) @ states[0, 3:5]
    assert len(numbers) > 10
    assert ahead.max() < 0.1
    assert behind.min() > -0.1
    assert place.max() < path[-1]


def test_a_spiral_has_silent_pads_of_each_turn(lit_pads: ModuleType) -> None:
    """A pad between turns belongs to the one that comes by first; its place is near, not a turn away."""
    plane = lit_pads.plane()
    motion = motion_of(parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 600.0}), 1, 1, 3.0, 0.0)
    start = np.array([60.0, 60.0, 500.0, 5.0, math.radians(80), 0.4])
    path, states, _ = trajectory(motion, start, (320.0, -1e3, 2e3))
    nothing = np.zeros(len(plane.xy), np.bool_)
    numbers, place, deviation, *_ = silent_pads(
        path, states, 0.0, path[-1], VISIBLE, plane.xy, plane.used, nothing, *plane.index
    )
    curve = dense(path, states, 0.1)
    assert len(numbers) > 100
    assert (np.linalg.norm(deviation[:, :2], axis=1) < REACH + 0.1).all()
    np.testing.assert_allclose(
        plane.xy[numbers], curve[np.round(place / 0.1).astype(int), :2] + deviation[:, :2], atol=0.2
    )


def log_likelihood(expected: float, sigma: float, threshold: float) -> float:
    return math.log(norm.cdf((threshold - expected) / sigma) + MISSED)


@pytest.mark.parametrize("a", [-1.0, -0.5, 0.0, 0.7, 1.5])
@pytest.mark.parametrize(("sigma", "threshold"), [(1.0, 2.0), (0.2, 0.3), (50.0, 120.0)])
def test_a_silent_pad_pulls_as_its_likelihood_does(a: float, sigma: float, threshold: float) -> None:
    """Slope and curvature of ln(Φ(a) + MISSED) by the expected charge, by differences."""
    expected, step = threshold - a * sigma, 1e-3 * sigma
    low, here, high = (log_likelihood(expected + d, sigma, threshold) for d in (-step, 0.0, step))
    slope, curvature = (high - low) / (2 * step), (high - 2 * here + low) / step**2
    charge, share, _ = censored(expected, sigma, threshold)
    assert share == pytest.approx(-curvature * sigma**2, rel=1e-3)
    # of least squares with this charge and share of its weight
    assert share * (charge - expected) / sigma**2 == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("a", [-3.0, -1.0, 0.0, 1.0, 2.0])
def test_if_no_pad_were_missed_it_would_be_tobins(monkeypatch: pytest.MonkeyPatch, a: float) -> None:
    """The mean and variance of a normal distribution below the threshold."""
    monkeypatch.setattr(module, "MISSED", 0.0)
    sigma, threshold = 0.7, 5.0
    expected = threshold - a * sigma
    charge, share, told = censored.py_func(expected, sigma, threshold)
    below = truncnorm(-np.inf, a, loc=expected, scale=sigma)
    assert told == pytest.approx(below.mean(), rel=1e-9)
    assert share == pytest.approx(1 - below.var() / sigma**2, rel=1e-6)
    assert expected + share * (charge - expected) == pytest.approx(below.mean(), rel=1e-9)


def test_silence_where_little_is_expected_tells_nothing() -> None:
    charge, share, told = censored(0.1, 0.2, 2.0)
    assert share == 0.0
    assert charge == 0.1
    assert told == pytest.approx(0.1)


def test_silence_where_much_is_expected_is_another_reasons() -> None:
    """Dead, or lost from the cluster: it does not say that the track runs elsewhere."""
    charge, share, told = censored(10.0, 0.5, 2.0)
    assert share == 0.0
    assert told == charge == pytest.approx(10.0)


def test_what_is_told_lies_in_between() -> None:
    """No charge is negative, the shares are shares, and silence never speaks for more charge."""
    generator = np.random.default_rng(2)
    for _ in range(2000):
        expected, sigma, threshold = (
            generator.exponential(2.0),
            generator.exponential(1.0) + 1e-3,
            generator.exponential(),
        )
        charge, share, told = censored(expected, sigma, threshold)
        assert 0.0 <= share <= 1.0
        assert 0.0 <= told <= expected
        assert charge <= expected
