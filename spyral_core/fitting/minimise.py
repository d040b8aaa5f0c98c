"""Minimisation of an objective of some parameters, within bounds: Levenberg–Marquardt, or L-BFGS-B."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Fills half the gradient and the Gauss–Newton matrix; returns the value, then anything.
Objective = Callable[[Array, Array, Array], tuple[Any, ...]]
SMALL_GAIN, SMALL_DAMPING, LARGEST_DAMPING = 0.05, 0.1, 1e6


@dataclass
class Minimum:
    """Where a minimisation ended: what the objective returned there, its half gradient and Gauss–Newton matrix."""

    parameters: Array
    found: tuple[Any, ...]
    gradient: Array
    curvature: Array

    @property
    def value(self) -> float:
        return float(self.found[0])


@dataclass(frozen=True)
class Bounds:
    """`lower`, `upper` (k,) of the parameters, and which are `free`; the others stay where they start."""

    lower: Array
    upper: Array
    free: NDArray[np.bool_]


def evaluate(objective: Objective, parameters: Array) -> Minimum:
    """The objective at some parameters."""
    gradient, curvature = np.zeros(len(parameters)), np.zeros((len(parameters), len(parameters)))
    return Minimum(parameters, objective(parameters, gradient, curvature), gradient, curvature)


def leastsq(objective: Objective, start: Array, bounds: Bounds, iterations: int) -> Minimum:
    """Levenberg–Marquardt with Marquardt's scaling; the damping falls by 5 on success and grows by 4 on failure."""
    best, damping = evaluate(objective, start.copy()), 1e-3
    fixed = ~bounds.free
    for _ in range(iterations):
        damped = best.curvature + np.diag(damping * np.diag(best.curvature) + 1e-12)
        damped[fixed, :] = damped[:, fixed] = 0.0
        damped[fixed, fixed] = 1.0
        try:
            step = np.linalg.solve(damped, np.where(fixed, 0.0, best.gradient))
        except np.linalg.LinAlgError:
            step = np.full(len(start), math.nan)
        trial = None
        if np.isfinite(step).all():
            trial = evaluate(objective, np.clip(best.parameters - step, bounds.lower, bounds.upper))
        if trial is not None and trial.value < best.value:
            gain, best = best.value - trial.value, trial
            if gain < SMALL_GAIN and damping < SMALL_DAMPING:
                break
            damping = max(damping / 5, 1e-9)
        else:
            damping *= 4
            if damping > LARGEST_DAMPING:
                break
    return best


def lbfgsb(objective: Objective, start: Array, bounds: Bounds, iterations: int) -> Minimum:
    """L-BFGS-B (Byrd et al., SIAM J. Sci. Comp. 16 (1995) 1190) in coordinates of about one standard deviation."""
    from scipy.optimize import minimize

    first = evaluate(objective, start.copy())
    unit = np.where(bounds.free, 1 / np.sqrt(np.maximum(np.diag(first.curvature), 1e-12)), 0.0)

    def value_and_slope(steps: Array) -> tuple[float, Array]:
        there = evaluate(objective, start + unit * steps)
        return there.value, 2 * unit * there.gradient

    with np.errstate(divide="ignore", invalid="ignore"):
        limits = [
            (low / size, high / size) if size > 0 else (0.0, 0.0)
            for low, high, size in zip(bounds.lower - start, bounds.upper - start, unit, strict=True)
        ]
    found = minimize(
        value_and_slope, np.zeros(len(start)), jac=True, method="L-BFGS-B", bounds=limits,
        options={"maxiter": 3 * iterations, "ftol": 1e-10},
    )  # fmt: skip
    return evaluate(objective, start + unit * found.x)


METHODS: dict[str, Callable[[Objective, Array, Bounds, int], Minimum]] = {"leastsq": leastsq, "lbfgsb": lbfgsb}
