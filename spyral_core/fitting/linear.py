"""Small symmetric systems of equations, as least squares make them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel

Floats = NDArray[np.float64]


@kernel
def solve_damped(matrix: Floats, right: Floats, damping: float) -> Floats:
    """Solution (k,) of (M + damping · diag M) v = right for a positive semidefinite M (k, k), by Cholesky's method.

    A direction without information (a vanishing pivot) is left where it is: its v is 0.
    """
    k = len(right)
    lower = np.zeros((k, k))
    solution = right.copy()
    for i in range(k):
        for j in range(i):
            value = matrix[i, j]
            for m in range(j):
                value -= lower[i, m] * lower[j, m]
            lower[i, j] = value / lower[j, j]
        pivot = matrix[i, i] * (1.0 + damping)
        for m in range(i):
            pivot -= lower[i, m] ** 2
        if pivot > 1e-14 * matrix[i, i] and pivot > 0.0:
            lower[i, i] = np.sqrt(pivot)
        else:
            lower[i, :i] = 0.0
            lower[i, i] = 1e150
        for m in range(i):
            solution[i] -= lower[i, m] * solution[m]
        solution[i] /= lower[i, i]
    for i in range(k - 1, -1, -1):
        for m in range(i + 1, k):
            solution[i] -= lower[m, i] * solution[m]
        solution[i] /= lower[i, i]
    return solution
