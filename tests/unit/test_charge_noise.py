"""Noise, charge and place of simulated tracks, of which the read-out hides the pads with little charge."""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.charge_noise import compare_charges
from spyral_core.fitting.node_charges import FLOOR, common_variance
from spyral_core.fitting.nodes import _node_of_each
from spyral_core.fitting.scattering import fluctuations
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of

Array = NDArray[np.float64]
GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
STRAIGHT = motion_of(GAS, 1, 2, 1e-4, 0.0)
STRAGGLING = fluctuations(GAS).straggling  # MeV²/mm
DIFFUSION, FAST = 0.0123, 12.0  # mm, MeV
TRACKS = 300
SEEN, HIDDEN = 5.0, 11.0  # electrons that a pad needs: all pads are seen, or a third of them is not


class Compared(NamedTuple):
    """Of the inner nodes (n,): offsets and standard deviations [mm]; of the tracks (t,): the rest."""

    offset: Array
    sigma: Array
    mean: Array
    """offset of a whole track [mm]"""
    error: Array
    """what its nodes say of its standard deviation [mm]"""
    level: Array
    noise: Array
    hidden: float

    @property
    def pulls(self) -> Array:
        """Offsets in their standard deviations."""
        return self.offset / self.sigma


def width(values: Array) -> float:
    """Half the distance between the quantiles of ± one standard deviation."""
    return float(np.subtract(*np.percentile(values, [84.1, 15.9])) / 2)


@pytest.fixture(scope="module")
def compared(lit_pads: ModuleType):  # type: ignore[no-untyped-def]
    """`compared(straggling, told, threshold, silent)`: random tracks against themselves."""

    @cache
    def of(straggling: float, told: float, threshold: float, silent: bool) -> Compared:
        nodes, tracks, hidden = [], [], []
        for seed in range(TRACKS):
            generator = np.random.default_rng(seed)
            angle, off, polar = generator.uniform(-3, 3), generator.uniform(30, 120), generator.uniform(1.0, 2.1)
            path, states = lit_pads.line(STRAIGHT, angle, off, FAST, polar, reach=200.0)
            places, losses = lit_pads.charge_on(STRAIGHT, path, states, 0.5)
            if straggling > 0:
                losses = lit_pads.straggled(places, losses, straggling, generator)
            everything = lit_pads.track_of(places, losses, DIFFUSION, generator)
            track = lit_pads.above(everything, threshold)
            hidden.append(1 - len(track.pads) / len(everything.pads))
            found = lit_pads.seen(track, STRAIGHT, path, states, DIFFUSION, silent)
            inside = np.arange(len(found.pads)) < len(track.pads)
            order = np.argsort(found.place + found.beyond)
            node, first = _node_of_each(order, found.place, len(track.pads), 12.0)
            _, offset, variance, *_, level, noise = compare_charges(
                track.charge, found.expected, inside.astype(float), order, first, node, found.place, told
            )
            at = np.array([found.place[inside & (node == k)].mean() for k in range(len(offset))])
            inner = np.isfinite(variance) & (at > 20) & (at < path[-1] - 20)
            nodes.append(np.column_stack([offset[inner], np.sqrt(variance[inner])]))
            weight = 1 / variance[inner]
            tracks.append([weight @ offset[inner] / weight.sum(), 1 / math.sqrt(weight.sum()), level, noise])
        return Compared(*np.concatenate(nodes).T, *np.transpose(tracks), float(np.mean(hidden)))

    return of


@pytest.mark.parametrize("straggling", [0.0, STRAGGLING, 3 * STRAGGLING])
@pytest.mark.parametrize("threshold", [SEEN, HIDDEN])
def test_noise_and_charge_are_those_of_the_electrons(lit_pads: ModuleType, compared, threshold, straggling) -> None:  # type: ignore[no-untyped-def]
    """n electrons of exponential gain have a variance of 2 n; straggling is no part of it."""
    found = compared(straggling, straggling, threshold, True)
    noise = 2 * lit_pads.W_VALUE / (1 + FLOOR)
    assert np.median(found.noise) == pytest.approx(noise, rel=0.15)
    assert np.median(found.level) == pytest.approx(1.0, abs=0.07)


@pytest.mark.parametrize("straggling", [0.0, STRAGGLING, 3 * STRAGGLING])
@pytest.mark.parametrize("threshold", [SEEN, HIDDEN])
def test_offsets_are_as_uncertain_as_they_say(compared, threshold, straggling) -> None:  # type: ignore[no-untyped-def]
    found = compared(straggling, straggling, threshold, True)
    assert 0.85 < width(found.pulls) < 1.15
    assert 0.85 < width(found.mean / found.error) < 1.15
    assert abs(found.mean.mean()) < 0.02  # mm
    assert abs(np.clip(found.offset, -2, 2).mean()) < 0.03


def test_a_third_of_the_pads_is_hidden(compared) -> None:  # type: ignore[no-untyped-def]
    assert 0.25 < compared(STRAGGLING, STRAGGLING, HIDDEN, True).hidden < 0.4


def test_without_silent_pads_noise_is_too_small_and_charge_too_large(lit_pads: ModuleType, compared) -> None:  # type: ignore[no-untyped-def]
    """Of the pads far from a track only those count then whose charge fluctuated upwards."""
    known, without = (compared(STRAGGLING, STRAGGLING, HIDDEN, silent) for silent in (True, False))
    assert np.median(without.noise) < 0.8 * np.median(known.noise)
    assert np.median(without.level) > np.median(known.level) + 0.07
    assert width(without.mean / without.error) > 1.15 * width(known.mean / known.error)
    assert np.var(np.clip(known.offset, -2, 2)) < np.var(np.clip(without.offset, -2, 2))


def test_straggling_that_is_not_allowed_for_widens_the_errors(compared) -> None:  # type: ignore[no-untyped-def]
    """Noise takes its place, which pads on both sides of the track do not have in common."""
    strong = 3 * STRAGGLING
    known, ignored = (compared(strong, told, HIDDEN, True) for told in (strong, 0.0))
    assert np.median(ignored.sigma) > 1.4 * np.median(known.sigma)
    assert np.std(ignored.mean) > 1.2 * np.std(known.mean)
    assert np.median(ignored.noise) > 2 * np.median(known.noise)


def charges_of(seed: int, noise: float, straggling: float) -> tuple[Array, ...]:
    """Arguments of `compare_charges` : 300 pads whose charges are distributed just as it takes them to be."""
    generator = np.random.default_rng(seed)
    n = 300
    place = np.sort(generator.uniform(0, 350, n))
    chord, side = generator.uniform(0.5, 7.0, n), generator.uniform(-0.15, 0.15, n)
    loss = np.full(n, 2e-3)
    expected = np.column_stack([loss * chord, 10 * side * loss, np.zeros((n, 2)), np.full(n, 8.0), loss])
    jitter = expected[:, 0] * math.sqrt(straggling) / loss
    common = np.array([[common_variance(i, j, place, expected[:, 4], jitter) for j in range(n)] for i in range(n)])
    own = noise * (expected[:, 0] + FLOOR * expected[:, 0].mean())
    charge = generator.multivariate_normal(expected[:, 0], common + np.diag(own), method="cholesky")
    order = np.arange(n)
    node, first = _node_of_each(order, place, n, 12.0)
    return np.maximum(charge, 1e-5), expected, np.ones(n), order, first, node, place


@pytest.mark.parametrize("straggling", [0.0, 1e-7, 5e-7])
@pytest.mark.parametrize("noise", [2e-5, 1e-4])
def test_a_known_noise_is_recovered(noise: float, straggling: float) -> None:
    found = [compare_charges(*charges_of(seed, noise, straggling), straggling)[-1] for seed in range(12)]
    assert np.mean(found) == pytest.approx(noise, rel=0.15)


@pytest.mark.parametrize("unit", [1e3, 1e6, 2.0**-8])
def test_the_unit_of_the_charge_is_of_no_importance(unit: float) -> None:
    charge, *rest = charges_of(1, 1e-4, 1e-7)
    one, other = compare_charges(charge, *rest, 1e-7), compare_charges(unit * charge, *rest, 1e-7)
    np.testing.assert_allclose(other[1], one[1], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other[2], one[2], rtol=1e-6)
    np.testing.assert_allclose(np.array(other[-2:]), unit * np.array(one[-2:]), rtol=1e-6)


def test_pads_with_another_particles_charge_hardly_count() -> None:
    charge, expected, *rest = charges_of(2, 1e-4, 1e-7)
    strays = np.arange(5, 300, 25)
    quiet = compare_charges(charge, expected, *rest, 1e-7)
    charge[strays] += 10 * expected[:, 0].mean()
    found = compare_charges(charge, expected, *rest, 1e-7)
    assert found[3][strays].max() < 0.1
    assert np.median(np.delete(found[3], strays)) > 0.9
    assert found[-1] == pytest.approx(quiet[-1], rel=0.4)
    away = (found[1] - quiet[1]) / np.sqrt(quiet[2])
    assert np.median(np.abs(away)) < 0.7


def test_charges_without_any_noise_leave_offsets_as_they_are() -> None:
    _, expected, *rest = charges_of(3, 1e-4, 0.0)
    charge = 5.0 * (expected[:, 0] + 0.3 * expected[:, 1])
    _, offset, _, factor, *_, level, noise = compare_charges(charge, expected, *rest, 0.0)
    np.testing.assert_allclose(offset, 0.3, atol=0.02)
    assert level == pytest.approx(5.0, rel=0.01)
    assert noise > 0
    assert factor.min() > 0.9
