"""Amount and offset of a node by generalised least squares: what neighbouring pads have in common tells no place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, norm

from spyral_core.fitting.node_charges import LEAST_AMOUNT, common_variance, fit_charges

Array = NDArray[np.float64]


class Pads(NamedTuple):
    """The arguments of `fit_charges`."""

    charge: Array
    value: Array
    by_offset: Array
    factor: Array
    order: NDArray[np.int64]
    first: NDArray[np.int64]
    place: Array
    smear: Array
    own: Array
    jitter: Array
    prior: float


def pads(seed: int, straggling: float, prior: float = 3.0, sizes: tuple[int, ...] = (9, 5, 14)) -> Pads:
    """Pads of a few nodes in any order; of some points nothing is counted."""
    generator = np.random.default_rng(seed)
    n = sum(sizes)
    value = generator.uniform(0.3, 2.0, n)
    factor = generator.uniform(0.3, 1.0, n)
    factor[generator.integers(0, n, 3)] = 0.0
    return Pads(
        charge=value * generator.uniform(0.5, 1.6, n),
        value=value,
        by_offset=generator.uniform(-0.6, 0.6, n),
        factor=factor,
        order=generator.permutation(n),
        first=np.concatenate([[0], np.cumsum(sizes)]),
        place=generator.uniform(0, 20, n),
        smear=generator.uniform(4.0, 9.0, n),
        own=0.05 * value + 0.01,
        jitter=straggling * value,
        prior=prior,
    )


def shared_by(at: Pads, mine: NDArray[np.int64]) -> Array:
    """What charges have in common (m, m): two normal profiles along the path, multiplied and summed over it."""
    s = np.arange(-60.0, 80.0, 0.05)
    profile = at.jitter[mine, None] * norm.pdf(s, at.place[mine, None], np.sqrt(at.smear[mine, None]))
    together: Array = 0.05 * profile @ profile.T
    return together


def members(at: Pads, k: int) -> NDArray[np.int64]:
    mine = at.order[at.first[k] : at.first[k + 1]]
    return mine[at.factor[mine] > 0]


def test_two_pads_have_in_common_what_both_see_of_the_path() -> None:
    at = pads(1, 0.8)
    everyone = np.arange(len(at.charge))
    twin = shared_by(at, everyone)
    found = [[common_variance(i, j, at.place, at.smear, at.jitter) for j in everyone] for i in everyone]
    np.testing.assert_allclose(found, twin, rtol=1e-9, atol=1e-15)
    assert np.linalg.eigvalsh(twin).min() > -1e-12, "it is a covariance"


@pytest.mark.parametrize("prior", [0.0, 3.0])
@pytest.mark.parametrize("straggling", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_amount_and_offset_are_those_of_generalised_least_squares(seed: int, straggling: float, prior: float) -> None:
    at = pads(seed, straggling, prior)
    amount, offset, variance, independent, single, more, taken = fit_charges(*at)
    freedom = 0.0
    for k in range(3):
        mine = members(at, k)
        common, own = shared_by(at, mine), np.diag(at.own[mine] / at.factor[mine])
        precision, design = np.linalg.inv(common + own), np.column_stack([at.value[mine], at.by_offset[mine]])
        known = np.diag([prior, 0.0])
        normal = design.T @ precision @ design + known
        one, moved = np.linalg.solve(normal, design.T @ precision @ at.charge[mine] + [prior, 0.0])
        scale = max(one, LEAST_AMOUNT)
        assert amount[k] == pytest.approx(one, rel=1e-6)
        assert offset[k] == pytest.approx(moved / scale, rel=1e-6)
        assert variance[k] == pytest.approx(np.linalg.inv(normal)[1, 1] / scale**2, rel=1e-6)
        left = at.charge[mine] - design @ [one, moved]
        white = np.linalg.solve(np.linalg.cholesky(common + own), left)
        np.testing.assert_allclose(independent[mine], white**2 / at.factor[mine], rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(single[mine], left**2 / (at.own[mine] + np.diag(common)), rtol=1e-5, atol=1e-9)
        # mean of the common part, given what is left: of two normal distributions in product
        given = np.linalg.solve(np.eye(len(mine)) + common @ np.linalg.inv(own), common @ np.linalg.inv(own) @ left)
        np.testing.assert_allclose(more[mine], given, rtol=1e-5, atol=1e-8)
        freedom += np.trace(np.linalg.inv(normal) @ (normal - known))
    assert taken == pytest.approx(freedom, rel=1e-6)
    assert taken <= 6 + 1e-9
    silent = at.factor == 0.0
    assert not independent[silent].any()
    assert not more[silent].any()


@pytest.mark.parametrize("seed", range(3))
def test_they_are_the_most_likely_ones(seed: int) -> None:
    """The minimum of the density of the charges times that of the amount, found without derivatives."""
    at = pads(seed, 1.0)
    amount, offset, *_ = fit_charges(*at)
    for k in range(3):
        mine = members(at, k)
        covariance = shared_by(at, mine) + np.diag(at.own[mine] / at.factor[mine])

        def cost(unknowns: Array, mine: NDArray[np.int64] = mine, covariance: Array = covariance) -> float:
            mean = unknowns[0] * at.value[mine] + unknowns[1] * at.by_offset[mine]
            likelihood = multivariate_normal.logpdf(at.charge[mine], mean, covariance)
            return float(0.5 * at.prior * (unknowns[0] - 1.0) ** 2 - likelihood)

        best = minimize(cost, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).x
        assert amount[k] == pytest.approx(best[0], abs=1e-4)
        assert offset[k] == pytest.approx(best[1] / max(best[0], LEAST_AMOUNT), abs=1e-4)


@pytest.mark.parametrize("straggling", [0.0, 1e-3])
def test_without_straggling_it_is_weighted_least_squares(straggling: float) -> None:
    at = pads(6, straggling, 0.0)
    amount, offset, variance, independent, single, more, taken = fit_charges(*at)
    for k in range(3):
        mine = members(at, k)
        design, weight = np.column_stack([at.value[mine], at.by_offset[mine]]), at.factor[mine] / at.own[mine]
        root = np.sqrt(weight)
        one, moved = np.linalg.lstsq(root[:, None] * design, root * at.charge[mine], rcond=None)[0]
        assert amount[k] == pytest.approx(one, rel=1e-3)
        assert offset[k] == pytest.approx(moved / max(one, LEAST_AMOUNT), rel=1e-3, abs=1e-4)
        covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
        assert variance[k] == pytest.approx(covariance[1, 1] / max(one, LEAST_AMOUNT) ** 2, rel=1e-3)
        squares = (at.charge[mine] - design @ [one, moved]) ** 2 / at.own[mine]
        np.testing.assert_allclose(independent[mine], squares, rtol=0.01, atol=1e-3)
    np.testing.assert_allclose(single, independent, rtol=1e-9)
    assert not more.any()
    assert taken == pytest.approx(6.0)


def test_an_amount_that_is_known_takes_no_freedom() -> None:
    """One number a node remains, and the amount is the expected one."""
    amount, *_, taken = fit_charges(*pads(2, 1.0, 1e9))
    np.testing.assert_allclose(amount, 1.0, atol=1e-6)
    assert taken == pytest.approx(3.0, abs=1e-5)


def test_a_node_on_one_side_of_which_nothing_is_seen_has_no_offset() -> None:
    """A single pad tells an amount, or an offset; without a prior neither."""
    at = pads(3, 0.5, 0.0, (1, 8))._replace(factor=np.ones(9))
    amount, offset, variance, *_ = fit_charges(*at)
    assert (amount[0], offset[0], variance[0]) == (1.0, 0.0, np.inf)
    assert np.isfinite(variance[1])
    nothing = at._replace(factor=np.zeros(9))
    assert np.isinf(fit_charges(*nothing)[2]).all()


def test_pads_that_have_more_together_tell_no_offset_but_more_loss() -> None:
    """Two pairs on both sides of a track, the first with twice the charge: the particle lost more there."""
    at = Pads(
        charge=np.array([2.0, 2.0, 1.0, 1.0, 1.0, 1.0]),
        value=np.ones(6),
        by_offset=np.array([0.5, -0.5, 0.5, -0.5, 0.5, -0.5]),
        factor=np.ones(6),
        order=np.arange(6),
        first=np.array([0, 6]),
        place=np.array([0.0, 0.0, 15.0, 15.0, 30.0, 30.0]),
        smear=np.full(6, 4.0),
        own=np.full(6, 0.02),
        jitter=np.full(6, 1.5),
        prior=10.0,
    )
    amount, offset, variance, *_, more, _ = fit_charges(*at)
    assert offset[0] == pytest.approx(0.0, abs=1e-9)
    assert (more[:2] > 0.5).all()
    assert (np.abs(more[2:]) < 0.3).all()
    # the difference of each pair is as well known as without straggling
    amount_alone, _, alone, *_ = fit_charges(*at._replace(jitter=np.zeros(6)))
    assert variance[0] * amount[0] ** 2 == pytest.approx(alone[0] * amount_alone[0] ** 2, rel=1e-3)
