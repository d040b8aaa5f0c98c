"""How far across the beam a track runs from a trajectory: the charges of neighbouring pads against the expected ones.

A pad's charge is uncertain for two reasons: the electrons that reach it are few, and the particle's energy loss
fluctuates along its path. The second is common to pads that see the same piece of the track: those on both sides have
more or less together, and their ratio, which tells where it runs, stays as it is. Fast light particles lose so little
that this is most of the scatter.
"""

from __future__ import annotations

import math

import numpy as np

from spyral_core.compiled import kernel

FLOOR = 0.1  # of the mean charge of a pad: noise that does not fall with the charge
CHARGE_SPREAD = 0.3  # relative, of a node's charge against the whole track's
LEAST_AMOUNT = 0.2  # of the expected charge
NEGLIGIBLE = 0.02  # share of a charge's variance that may as well be its own


@kernel
def common_variance(i, j, place, smear, jitter):  # type: ignore[no-untyped-def]
    """Covariance of the charges of two pads: their shares of the energy loss' variance per mm, where both see it.

    `place` (n,) [mm] along the path, `smear` (n,) [mm²]: variance of the charge's places along it, `jitter` (n,):
    standard deviation of the charge, times the root of the mm of path that are seen.
    """
    if jitter[i] == 0.0:
        return 0.0
    spread = smear[i] + smear[j]
    density = math.exp(-0.5 * (place[i] - place[j]) ** 2 / spread) / math.sqrt(2 * math.pi * spread)
    return jitter[i] * jitter[j] * density


@kernel
def fit_charges(charge, value, by_offset, factor, order, first, place, smear, own, jitter, prior):  # type: ignore[no-untyped-def]
    """Charge over the expected (k,), offset [mm] (k,) and its variance (k,) of each node by generalised least squares.

    Of each point (n,): `charge`, expected `value` and its derivative `by_offset`, `own` variance, what it has in common
    with others (`common_variance`) and how much it counts, `factor`. `order[first[k]:first[k + 1]]` are the points of
    node k; `prior`: weight of the expected charge itself. Also returned: the squares of what is left, made independent
    and in units of its standard deviations (n,), and of each point by itself (n,); how much more charge than expected
    the particle left where each point is, by what its neighbours say (n,); and the freedom that the nodes take.
    """
    n_nodes, n = len(first) - 1, len(charge)
    amount, offset, variance = np.ones(n_nodes), np.zeros(n_nodes), np.full(n_nodes, np.inf)
    independent, single, more = np.zeros(n), np.zeros(n), np.zeros(n)
    taken = 0.0
    for k in range(n_nodes):
        members = order[first[k] : first[k + 1]]
        members = members[factor[members] > 0.0]
        size = len(members)
        if size == 0:
            continue
        columns = np.empty((size, 3))
        for row in range(size):
            i = members[row]
            columns[row, 0], columns[row, 1], columns[row, 2] = value[i], by_offset[i], charge[i]
        common = _in_common(members, place, smear, own, jitter)
        together = len(common) > 0
        if together:
            root = _root(common, own[members] / factor[members])
            _divide(root, columns)
        else:
            for row in range(size):
                columns[row] *= math.sqrt(factor[members[row]] / own[members[row]])
        a, b, d, u, v = prior, 0.0, 0.0, prior, 0.0
        for row in range(size):
            x, y, q = columns[row, 0], columns[row, 1], columns[row, 2]
            a += x * x
            b += x * y
            d += y * y
            u += x * q
            v += y * q
        determinant = a * d - b * b
        if determinant > 1e-9 * a * d and determinant > 0.0:
            amount[k] = (d * u - b * v) / determinant
            scale = max(amount[k], LEAST_AMOUNT)
            moved = (a * v - b * u) / determinant
            offset[k], variance[k] = moved / scale, a / determinant / scale**2
            taken += 2.0 - prior * d / determinant
        else:
            moved = 0.0
        left = columns[:, 2] - amount[k] * columns[:, 0] - moved * columns[:, 1]
        for row in range(size):
            i = members[row]
            independent[i] = left[row] ** 2 / factor[i]
            single[i] = (charge[i] - amount[k] * value[i] - moved * by_offset[i]) ** 2
            single[i] /= own[i] + (common[row, row] if together else 0.0)
        if together:
            _divide_back(root, left)
            for row in range(size):
                more[members[row]] = np.sum(common[row] * left)
    return amount, offset, variance, independent, single, more, taken


@kernel
def _in_common(members, place, smear, own, jitter):  # type: ignore[no-untyped-def]
    """What some points' charges have in common (m, m); (0, 0) if that is next to nothing."""
    size = len(members)
    common = np.empty((size, size))
    alone = True
    for row in range(size):
        i = members[row]
        common[row, row] = common_variance(i, i, place, smear, jitter)
        alone = alone and common[row, row] < NEGLIGIBLE * own[i]
    if alone:
        return np.empty((0, 0))
    for row in range(size):
        for column in range(row):
            common[row, column] = common_variance(members[row], members[column], place, smear, jitter)
            common[column, row] = common[row, column]
    return common


@kernel
def _root(common, own):  # type: ignore[no-untyped-def]
    """Cholesky's root (m, m) of what charges have in `common` (m, m) and for their `own` (m,)."""
    size = len(own)
    root = np.zeros((size, size))
    for row in range(size):
        for column in range(row + 1):
            left = common[row, column] + (own[row] if row == column else 0.0)
            for k in range(column):
                left -= root[row, k] * root[column, k]
            root[row, column] = math.sqrt(left) if row == column else left / root[column, column]
    return root


@kernel
def _divide(root, columns):  # type: ignore[no-untyped-def]
    """Columns (m, c) divided by a lower triangular root (m, m), in place."""
    for row in range(len(root)):
        for column in range(columns.shape[1]):
            left = columns[row, column]
            for k in range(row):
                left -= root[row, k] * columns[k, column]
            columns[row, column] = left / root[row, row]


@kernel
def _divide_back(root, column):  # type: ignore[no-untyped-def]
    """A column (m,) divided by the transpose of a lower triangular root (m, m), in place."""
    for row in range(len(root) - 1, -1, -1):
        left = column[row]
        for k in range(row + 1, len(root)):
            left -= root[k, row] * column[k]
        column[row] = left / root[row, row]
