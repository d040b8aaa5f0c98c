"""Both methods go to the lowest place within bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.minimise import METHODS, Bounds, evaluate

Array = NDArray[np.float64]
WIDE = np.full(6, 1e3)
EVERYTHING = np.ones(6, np.bool_)


class Quadratic:
    """(p − centre)ᵀ H (p − centre), with parameters of very different sizes."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        root = generator.normal(size=(6, 6)) * np.array([1.0, 1.0, 0.3, 80.0, 200.0, 100.0])
        self.curvature = root.T @ root + np.diag(np.diag(root.T @ root))
        self.centre = generator.normal(size=6)

    def __call__(self, at: Array, gradient: Array, curvature: Array) -> tuple[Any, ...]:
        off = at - self.centre
        gradient[:] = self.curvature @ off
        curvature[:] = self.curvature
        return float(off @ self.curvature @ off), "anything"


@pytest.mark.parametrize("method", METHODS)
def test_the_minimum_of_a_quadratic_is_found(method: str) -> None:
    for seed in range(20):
        objective = Quadratic(seed)
        found = METHODS[method](objective, objective.centre + 0.5, Bounds(-WIDE, WIDE, EVERYTHING), 60)
        sigma = np.sqrt(np.diag(np.linalg.inv(objective.curvature)))
        assert (np.abs(found.parameters - objective.centre) < 0.02 * sigma).all()
        assert found.value < 1e-3
        assert found.found[1] == "anything"
        np.testing.assert_array_equal(found.curvature, objective.curvature)


@pytest.mark.parametrize("method", METHODS)
def test_fixed_parameters_stay_and_the_others_go_where_it_is_lowest(method: str) -> None:
    for seed in range(20):
        objective = Quadratic(seed)
        free = np.random.default_rng(seed).uniform(size=6) < 0.7
        start = objective.centre + 0.3
        found = METHODS[method](objective, start, Bounds(-WIDE, WIDE, free), 60)
        np.testing.assert_array_equal(found.parameters[~free], start[~free])
        twin = start.copy()
        matrix = objective.curvature
        off = matrix[np.ix_(free, ~free)] @ (start - objective.centre)[~free]
        twin[free] = objective.centre[free] - np.linalg.solve(matrix[np.ix_(free, free)], off)
        assert found.value == pytest.approx(evaluate(objective, twin).value, abs=1e-3, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_bounds_hold_a_minimum_that_lies_beyond_them(method: str) -> None:
    for seed in range(10):
        objective = Quadratic(seed)
        objective.curvature = np.diag(np.diag(objective.curvature))
        lower, upper = -WIDE, np.where(np.arange(6) == seed % 6, objective.centre - 0.2, WIDE)
        start = np.minimum(objective.centre - 0.5, upper)
        found = METHODS[method](objective, start, Bounds(lower, upper, EVERYTHING), 60)
        assert (found.parameters <= upper + 1e-12).all()
        np.testing.assert_allclose(found.parameters, np.minimum(objective.centre, upper), atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_it_never_ends_higher_than_it_starts(method: str) -> None:
    """Also where the curvature is far from that of the objective."""

    def banana(at: Array, gradient: Array, curvature: Array) -> tuple[Any, ...]:
        one, other = 10 * (at[1] - at[0] ** 2), 1 - at[0]
        slopes = np.array([[-20 * at[0], 10.0], [-1.0, 0.0]])
        gradient[:] = slopes.T @ np.array([one, other])
        curvature[:] = slopes.T @ slopes
        return (one**2 + other**2,)

    bounds = Bounds(np.full(2, -5.0), np.full(2, 5.0), np.ones(2, np.bool_))
    for start in ([-1.2, 1.0], [3.0, -4.0], [0.0, 0.0]):
        first = evaluate(banana, np.array(start)).value
        found = METHODS[method](banana, np.array(start), bounds, 200)
        assert found.value <= first
        assert found.value < 0.1


def test_nothing_that_is_not_a_number_is_stepped_to() -> None:
    def broken(at: Array, gradient: Array, curvature: Array) -> tuple[Any, ...]:
        gradient[:] = np.nan
        curvature[:] = np.eye(2)
        return (1.0,)

    found = METHODS["leastsq"](broken, np.zeros(2), Bounds(-np.ones(2), np.ones(2), np.ones(2, np.bool_)), 20)
    np.testing.assert_array_equal(found.parameters, 0.0)
