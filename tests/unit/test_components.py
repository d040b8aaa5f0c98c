"""A stretch of a trace as a sum of responses: kernels against slow twins, and what is found against what was put in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import least_squares

from spyral_core.signal import components, response_table
from spyral_core.signal.components import MOST_COMPONENTS, USUAL_VARIANCE, VARIANCE_SPREAD
from spyral_core.signal.response_table import FIRST, LAST, MOST_VARIANCE, look_up
from spyral_core.signal.restore import TOP
from spyral_core.simulate.response import shape

Array = NDArray[np.float64]
TABLE = response_table.response_table()


def spread_response(u: float, variance: float) -> float:
    """The response to charge around u = 0 with a variance [shaping times²], by integration."""
    sigma = np.sqrt(variance)

    def integrand(arrival: float) -> float:
        normal = np.exp(-0.5 * (arrival / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        return float(normal * shape(u - arrival))

    return float(quad(integrand, -7 * sigma, 7 * sigma, points=[u], limit=200)[0])


def made_of(parts: Array, shaping: float, n: int) -> Array:
    """The sum of the responses (k, 3) of height, time, variance."""
    return np.array([sum(h * look_up(TABLE, (i - t) / shaping, v)[0] for h, t, v in parts) for i in range(n)])


def arriving(height: float, time: float, spread: float, shaping: float, rng: np.random.Generator, n: int) -> Array:
    """The response to 80 lumps of charge around a time."""
    arrivals, charges = time + spread * rng.normal(size=80), rng.gamma(1.5, size=80)
    charges *= height / charges.sum()
    responses: Array = charges[:, None] * shape((np.arange(n) - arrivals[:, None]) / shaping)
    total: Array = responses.sum(axis=0)
    return total


def decomposed(signal: Array, starts: list[tuple[float, float]], shaping: float, noise: float) -> Array:
    weight, found = np.empty(signal.size), np.empty((MOST_COMPONENTS, 3))
    components.weights_of(signal, np.zeros(signal.size, np.bool_), noise, weight)
    number = components.decompose(
        signal, weight, np.array(starts, float), len(starts), 30.0, shaping, TABLE, found
    )  # fmt: skip
    return found[:number]


def passages(found: Array, shaping: float) -> Array:
    """Height and time of what arrives at one time: components that do not stand apart are one."""
    groups = [[found[0]]]
    for one in found[1:]:
        if components.apart(groups[-1][-1], one, shaping):
            groups.append([])
        groups[-1].append(one)
    return np.array([[sum(o[0] for o in g), sum(o[0] * o[1] for o in g) / sum(o[0] for o in g)] for g in groups])


@pytest.mark.parametrize("variance", [0.05, 0.2, 0.37, 1.0])
def test_the_table_is_the_response_to_spread_charge(variance: float) -> None:
    for u in np.linspace(-2.0, 5.0, 23):
        assert look_up(TABLE, u, variance)[0] == pytest.approx(spread_response(u, variance), abs=2e-3)


def test_without_spread_it_is_the_response() -> None:
    for u in np.linspace(FIRST, LAST, 200, endpoint=False):
        assert look_up(TABLE, u, 0.0)[0] == pytest.approx(float(shape(u)), abs=1e-3)
    assert look_up(TABLE, FIRST - 1.0, 0.1) == look_up(TABLE, LAST + 1.0, 0.1) == (0.0, 0.0, 0.0)


def test_moments_of_the_response() -> None:
    u = np.linspace(0, 7, 70_001)
    s = shape(u)
    mean = (s * u).sum() / s.sum()
    assert mean - TOP == pytest.approx(response_table.LAG, abs=2e-4)
    assert (s * (u - mean) ** 2).sum() / s.sum() == pytest.approx(response_table.RESPONSE_VARIANCE, abs=2e-4)


def test_derivatives_are_those_of_the_table() -> None:
    rng = np.random.default_rng(1)
    step = 1e-6
    for _ in range(100):
        u, variance = rng.uniform(-2, 5), rng.uniform(0.01, 0.99) * MOST_VARIANCE
        value, slope, by_variance = look_up(TABLE, u, variance)
        if abs((u * 32) % 1 - 0.5) < 0.49 and abs((variance / 0.05) % 1 - 0.5) < 0.49:
            assert (look_up(TABLE, u + step, variance)[0] - value) / step == pytest.approx(slope, abs=1e-4)
            assert (look_up(TABLE, u, variance + step)[0] - value) / step == pytest.approx(by_variance, abs=1e-4)


def test_equations_are_solved() -> None:
    rng = np.random.default_rng(2)
    for n in range(1, 16):
        root, right = rng.normal(size=(n + 3, n)), rng.normal(size=n)
        matrix = root.T @ root
        expected = np.linalg.solve(matrix, right)
        assert components.solve_in_place(matrix.copy(), right, n)
        np.testing.assert_allclose(right, expected, rtol=1e-6, atol=1e-9)
    assert not components.solve_in_place(np.zeros((2, 2)), np.ones(2), 2)


def test_chi_squared_and_its_derivatives() -> None:
    rng = np.random.default_rng(3)
    parts = np.array([[500.0, 12.3, 0.111], [200.0, 24.7, 0.263]])
    signal, weight = rng.normal(scale=50, size=60), rng.uniform(0, 0.1, 60)
    left, gradient, curvature = np.empty(60), np.empty(6), np.empty((6, 6))
    value = components.chi_squared(signal, weight, parts, 6.25, TABLE, left, gradient, curvature)
    np.testing.assert_allclose(left, signal - made_of(parts, 6.25, 60), atol=1e-9)
    off = (parts[:, 2] - USUAL_VARIANCE) / VARIANCE_SPREAD
    assert value == pytest.approx((weight * left**2).sum() + (off**2).sum())

    def residuals(flat: Array) -> Array:
        own = flat.reshape(-1, 3)
        model = np.sqrt(weight) * (signal - made_of(own, 6.25, 60))
        return np.concatenate([model, (own[:, 2] - USUAL_VARIANCE) / VARIANCE_SPREAD])

    steps = np.array([1e-3, 1e-7, 1e-7] * 2)
    here = residuals(parts.ravel())
    jacobian = np.array([(residuals(parts.ravel() + step) - here) / step.sum() for step in np.diag(steps)]).T
    np.testing.assert_allclose(gradient, -jacobian.T @ residuals(parts.ravel()), rtol=1e-3, atol=1e-2)
    lower = np.tril_indices(6)
    np.testing.assert_allclose(curvature[lower], (jacobian.T @ jacobian)[lower], rtol=1e-3, atol=1e-2)


def test_the_fit_is_that_of_scipy() -> None:
    rng = np.random.default_rng(4)
    for _ in range(12):
        parts = np.array([[rng.uniform(200, 2000), 10.0, 0.1], [rng.uniform(200, 2000), 24 + rng.uniform(), 0.15]])
        signal = made_of(parts, 6.25, 70) + 4 * rng.normal(size=70)
        weight, left = np.full(70, 1 / 16), np.empty(70)
        start = parts + rng.normal(size=parts.shape) * [30, 0.7, 0.01]
        fitted = start.copy()
        value = components.fit_components(signal, weight, fitted, 6.25, TABLE, left)

        def residuals(flat: Array, signal: Array = signal) -> Array:
            own = flat.reshape(-1, 3)
            off = (own[:, 2] - USUAL_VARIANCE) / VARIANCE_SPREAD
            return np.concatenate([(signal - made_of(own, 6.25, 70)) / 4, off])

        best = 2 * least_squares(residuals, start.ravel(), bounds=([-1e9, -1e9, 0] * 2, [1e9, 1e9, 1] * 2)).cost
        assert best - 1e-6 <= value <= 1.02 * best + 0.5


def test_most_missed_is_the_best_match() -> None:
    rng = np.random.default_rng(5)
    for shaping in (1.5, 6.25, 12.5):
        left, weight = rng.normal(size=80), rng.uniform(0, 1, 80)
        left += made_of(np.array([[5.0, 40.2, 0.06]]), shaping, 80)
        before, behind = np.ceil(1.2 * shaping), np.ceil(3.0 * shaping)
        best = (0.0, 0.0, -1.0)
        for time in range(-int(before), 80):
            seen = [i for i in range(80) if -before <= i - time < behind]
            response = np.array([look_up(TABLE, (i - time) / shaping, USUAL_VARIANCE)[0] for i in seen])
            overlap, norm = (weight[seen] * response * left[seen]).sum(), (weight[seen] * response**2).sum()
            if overlap > 0 and overlap**2 / norm > best[0]:
                best = (overlap**2 / norm, overlap / norm, time)
        assert components.most_missed(left, weight, shaping, TABLE) == pytest.approx(best)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.floats(14.0, 30.0), st.floats(-1.0, 1.0), st.floats(700.0, 2500.0), st.sampled_from([3.125, 6.25, 9.375]),
    st.sampled_from([4.0, 8.0]), st.integers(0, 10**6),
)  # fmt: skip
def test_two_charges_are_found_as_two(
    distance: float, log_ratio: float, height: float, shaping: float, noise: float, seed: int
) -> None:
    """From a distance of 2.2 shaping times on, whichever is the larger one, if the smaller stands out of the noise."""
    rng = np.random.default_rng(seed)
    distance *= shaping / 6.25
    later = height * 10.0 ** (0.5 * log_ratio)
    times = np.array([2.2 * shaping, 2.2 * shaping + distance]) + rng.uniform()
    n = int(times[1] + 5 * shaping)
    spread = 0.2 * shaping
    signal = arriving(height, times[0], spread, shaping, rng, n) + arriving(later, times[1], spread, shaping, rng, n)
    signal += noise * rng.normal(size=n)
    starts = [(signal.max(), float(signal.argmax()) - TOP * shaping)]
    found = passages(decomposed(signal, starts, shaping, noise), shaping)
    assert len(found) == 2
    smaller, larger = sorted([height, later])
    np.testing.assert_allclose(
        found[:, 1], times, atol=(0.15 + 2 * noise / smaller + 0.02 * larger / smaller) * shaping
    )
    np.testing.assert_allclose(found[:, 0], [height, later], atol=0.05 * larger + 5 * noise)


@pytest.mark.parametrize("noise", [4.0, 8.0])
@pytest.mark.parametrize("shaping", [1.5625, 3.125, 6.25, 9.375, 12.5])
def test_one_charge_stays_one(shaping: float, noise: float) -> None:
    rng = np.random.default_rng(6)
    several = 0
    for _ in range(200):
        height, time = np.exp(rng.uniform(np.log(60), np.log(3500))), 2.5 * shaping + rng.uniform()
        signal = arriving(height, time, rng.uniform(0.05, 0.4) * shaping, shaping, rng, int(8 * shaping) + 4)
        signal += noise * rng.normal(size=signal.size)
        found = decomposed(signal, [(signal.max(), float(signal.argmax()) - TOP * shaping)], shaping, noise)
        assert len(found) > 0
        several += len(found) > 1 and components.apart(found[0], found[1], shaping)
    assert several <= 1  # 0.5 %


def test_two_guesses_of_one_charge_do_not_stand_apart() -> None:
    rng = np.random.default_rng(7)
    for _ in range(30):
        signal = arriving(400.0, 15.0, 1.2, 6.25, rng, 55) + 4 * rng.normal(size=55)
        found = decomposed(signal, [(380.0, 14.0), (370.0, 17.5)], 6.25, 4.0)
        assert not any(components.apart(one, other, 6.25) for one, other in itertools.pairwise(found))
        assert found[:, 0].sum() == pytest.approx(400.0, rel=0.05)
        assert (found[:, 0] * found[:, 1]).sum() / found[:, 0].sum() == pytest.approx(15.0, abs=0.5)


def test_too_many_guesses_are_none() -> None:
    assert len(decomposed(np.ones(200), [(100.0, 20.0 * k) for k in range(MOST_COMPONENTS + 1)], 6.25, 4.0)) == 0
