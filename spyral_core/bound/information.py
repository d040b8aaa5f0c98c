"""Fisher information of a track's charge pattern, and the bound that it sets.

A measurement is a pad and a stretch of time that its pulses can be told apart by: its charge Q and its mean z. Each has
a normal distribution; electrons of one slice go to pads at random, everything that pads share is an unknown
(`slices`). A pad whose pulse may stay below the threshold tells less: if it is silent, only that its charge was small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from spyral_core.bound.conditions import Array, Conditions
from spyral_core.bound.pad_share import REACH, shares_of
from spyral_core.bound.slices import Slices, slices_of
from spyral_core.compiled import kernel
from spyral_core.fitting.sensitivity import LOG_BRHO, N_PARAMETERS, POLAR
from spyral_core.physics.motion import SHORTEST_RANGE, Motion, motion_of
from spyral_core.physics.nuclei import brho_from_ke

LEAST_CHARGE = 0.05  # electrons that a pad must expect to be asked
LEAST_SPREAD = 0.3  # mm
RESOLVED = 2.35  # widths of a pulse (its full width at half maximum) from which on two on a pad are told apart
LONGEST = 2.0  # of these: a pad that lies under a track for longer counts as several
ROOT_TWO_PI = math.sqrt(2.0 * math.pi)


@dataclass(frozen=True)
class Bound:
    """Least standard deviations of energy (relative), polar angle [deg] and vertex z [mm]; the covariance (6, 6) of
    `sensitivity`'s parameters; the number of pads that expect a pulse over the threshold."""

    ke: float
    polar: float
    vertex_z: float
    covariance: Array
    n_pads: int


@dataclass(frozen=True)
class Cells:
    """What is measured (c,): pad, charge [electrons], its variance; mean z's variance [mm²]; share of pulses that are
    seen, what is left of the charge's information; derivatives (c, u) of charge and z."""

    pad: NDArray[np.int64]
    charge: Array
    charge_variance: Array
    z_variance: Array
    seen: Array
    left: Array
    charge_changes: Array
    z_changes: Array


def bound_of(species: tuple[int, int], start: Array, conditions: Conditions) -> Bound | None:
    """The bound of a particle (Z, A) that starts with (x, y, z [mm], ke [MeV], polar, azimuthal [rad]).

    None if what is measured does not determine the six parameters: the track is outside the gas, or no pad sees it.
    """
    outside = math.hypot(start[0], start[1]) >= conditions.radius or not 0.0 < start[2] < conditions.length
    if outside or float(conditions.gas.stopping(*species).range(start[3])) < 2 * SHORTEST_RANGE:
        return None
    motion = motion_of(conditions.gas, *species, conditions.magnetic_field, conditions.electric_field)
    parameters = np.array([*start[:3], math.log(float(brho_from_ke(start[3], *species))), *start[4:6]])
    slices = slices_of(parameters, motion, conditions)
    cells = cells_of(slices, conditions)
    information = marginal(cells, slices.prior, conditions)
    information[[0, 1], [0, 1]] += 1.0 / (conditions.beam_spot**2 + (conditions.divergence * start[2]) ** 2)
    try:
        covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    variances = np.diag(covariance)
    if not np.isfinite(covariance).all() or (variances <= 0.0).any():
        return None
    ke, mass = start[3], float(motion.constants[1])
    n_pads = len(np.unique(cells.pad[cells.seen > 0.5]))
    return Bound(
        ke=(ke + 2 * mass) / (ke + mass) * math.sqrt(variances[LOG_BRHO]),
        polar=math.degrees(math.sqrt(variances[POLAR])),
        vertex_z=math.sqrt(variances[2]),
        covariance=covariance,
        n_pads=n_pads,
    )


def information_of(parameters: Array, motion: Motion, conditions: Conditions) -> Array:
    """Fisher information (6, 6) of what is measured of a track with `parameters` (`slices.slices_of`), without priors
    on these."""
    slices = slices_of(parameters, motion, conditions)
    return marginal(cells_of(slices, conditions), slices.prior, conditions)


def cells_of(slices: Slices, conditions: Conditions) -> Cells:
    """What the slices' electrons do on the pads."""
    x, y, z = slices.place.T
    recorded = (z >= conditions.first_recorded) & (z <= conditions.length) & (np.hypot(x, y) <= conditions.radius)
    drifted = np.clip(conditions.length - z, 0.0, None)
    sigma = np.sqrt(conditions.diffusion[0] * drifted + LEAST_SPREAD**2)
    index = np.flatnonzero(recorded & (slices.electrons > 0.0))
    reach = float(np.max(np.hypot(*(conditions.corners - conditions.centroids[:, None, :]).transpose(2, 0, 1))))
    near = _near(x[index], y[index], float(sigma.max()) * REACH + reach, conditions)
    cloud, pad, shares = shares_of(
        x[index], y[index], sigma[index], near, conditions.centroids, conditions.corners, reach
    )
    cloud = index[cloud]
    order = np.lexsort((z[cloud], pad))
    cloud, pad, shares = cloud[order], pad[order], shares[order]
    resolved = RESOLVED * conditions.readout.pulse_length
    cell, n_cells = cell_of_each(pad, z[cloud], resolved, LONGEST * resolved)
    charge = np.bincount(cell, shares[:, 0] * slices.electrons[cloud], n_cells)
    kept = charge > LEAST_CHARGE
    renumbered = np.cumsum(kept) - 1
    inside = kept[cell]
    cell, cloud, pad, shares = renumbered[cell[inside]], cloud[inside], pad[inside], shares[inside]
    return _measured(cell, cloud, pad, np.ascontiguousarray(shares), drifted, slices, conditions)


def _near(x: Array, y: Array, farthest: float, conditions: Conditions) -> NDArray[np.int64]:
    """The pads that are read inside the box around a track."""
    px, py = conditions.centroids[conditions.pads].T
    if not len(x):
        return conditions.pads[:0]
    near: NDArray[np.int64] = conditions.pads[
        (px > x.min() - farthest) & (px < x.max() + farthest) & (py > y.min() - farthest) & (py < y.max() + farthest)
    ]
    return near


@kernel
def cell_of_each(pad, z, gap, longest):  # type: ignore[no-untyped-def]
    """Numbers (n,) of the cells of pads and z in rising order, and how many: a new one after a `gap` [mm], or when
    one gets longer than `longest` [mm]."""
    cell, number, first = np.empty(len(pad), np.int64), -1, 0.0
    for i in range(len(pad)):
        if i == 0 or pad[i] != pad[i - 1] or z[i] - z[i - 1] > gap or z[i] - first > longest:
            number += 1
            first = z[i]
        cell[i] = number
    return cell, number + 1


def _measured(
    cell: NDArray[np.int64],
    cloud: NDArray[np.int64],
    pad: NDArray[np.int64],
    shares: Array,
    drifted: Array,
    slices: Slices,
    conditions: Conditions,
) -> Cells:
    """Means, variances and derivatives of cells."""
    readout, n = conditions.readout, int(cell[-1]) + 1 if len(cell) else 0
    electrons = shares[:, 0] * slices.electrons[cloud]
    packet = np.maximum(slices.electrons / (slices.length * conditions.together), 1.0)
    spread = electrons * (packet[cloud] + conditions.gain_variance)
    charge: Array = np.bincount(cell, electrons, n).astype(np.float64)
    z = slices.place[cloud, 2]
    mean = np.bincount(cell, electrons * z, n) / charge
    squares = (z - mean[cell]) ** 2 + conditions.diffusion[1] * drifted[cloud]
    width = np.bincount(cell, electrons * squares, n) / charge
    variance = np.asarray(np.bincount(cell, spread, n) + readout.noise**2, dtype=np.float64)
    height = charge / np.sqrt(1.0 + width / readout.pulse_length**2)
    total = np.sqrt(variance + (readout.gain_spread * charge) ** 2)
    below = (readout.threshold * charge / height - charge) / total
    seen = 1.0 - ndtr(below)
    charge_changes, z_changes = derivatives(
        cell, cloud, shares, z - mean[cell], slices.electrons, slices.by_range, slices.change, slices.excess, n
    )
    number = np.zeros(n, np.int64)
    number[cell] = pad
    return Cells(
        pad=number,
        charge=charge,
        charge_variance=variance,
        z_variance=np.bincount(cell, spread * squares, n) / charge**2 + (readout.time_noise / height) ** 2,
        seen=seen,
        left=censored_information(below),
        charge_changes=charge_changes,
        z_changes=z_changes / charge[:, None],
    )


def censored_information(below: Array) -> Array:
    """Information on the mean of a normal distribution of width 1 of which values under a threshold are only known to
    be so, `below` above the mean: 1 − Φ(a) + a φ(a) + φ(a)²/Φ(a) (Tobin, Econometrica 26 (1958) 24)."""
    a = np.clip(below, -30.0, 30.0)
    density = np.exp(-0.5 * a * a) / ROOT_TWO_PI
    found: Array = np.maximum(1.0 - ndtr(a) + a * density + density**2 / np.maximum(ndtr(a), 1e-300), 0.0)
    return found


@kernel
def derivatives(cell, cloud, shares, lead, electrons, by_range, change, excess, n_cells):  # type: ignore[no-untyped-def]
    """Derivatives (c, u) of charges, and of mean z times charge.

    Of each share of a slice on a pad (e,): `cell`, slice (`cloud`), `shares` (e, 3) as in `shares_of`, and `lead`: z
    less the cell's mean [mm].
    """
    n_unknowns = change.shape[1]
    charge, along = np.zeros((n_cells, n_unknowns)), np.zeros((n_cells, n_unknowns))
    for e in range(len(cell)):
        c, k = cell[e], cloud[e]
        share, by_x, by_y = shares[e, 0], electrons[k] * shares[e, 1], electrons[k] * shares[e, 2]
        by_left, amount = share * by_range[k], share * electrons[k]
        for u in range(n_unknowns):
            moved = by_x * change[k, u, 0] + by_y * change[k, u, 1] + by_left * change[k, u, 3] + share * excess[k, u]
            charge[c, u] += moved
            along[c, u] += moved * lead[e] + amount * change[k, u, 2]
    return charge, along


def marginal(cells: Cells, prior: Array, conditions: Conditions) -> Array:
    """Information (6, 6) on the parameters, all other unknowns allowed for with what is known of them (`prior`)."""
    readout = conditions.readout
    offset = np.where(conditions.scale[cells.pad] < 0.75, readout.offset_small, readout.offset_big)
    with_gain = np.column_stack([cells.charge_changes, readout.gain_drift * cells.charge])
    with_z = np.column_stack([cells.z_changes, np.zeros(len(cells.pad))])
    charge_rows = _whitened(
        with_gain, cells.charge_variance / np.maximum(cells.left, 1e-12), readout.gain_spread * cells.charge, cells.pad
    )
    z_rows = _whitened(with_z, cells.z_variance / np.maximum(cells.seen, 1e-12), offset, cells.pad)
    whole = charge_rows.T @ charge_rows + z_rows.T @ z_rows
    diagonal = np.append(prior, 1.0)
    whole[np.diag_indices_from(whole)] += diagonal
    inner, mixed = whole[N_PARAMETERS:, N_PARAMETERS:], whole[N_PARAMETERS:, :N_PARAMETERS]
    information = whole[:N_PARAMETERS, :N_PARAMETERS] - mixed.T @ np.linalg.solve(inner, mixed)
    found: Array = 0.5 * (information + information.T)
    return found


def _whitened(rows: Array, variance: Array, shared: Array, pad: NDArray[np.int64]) -> Array:
    """Rows (c, u) of errors with variances (c,) and an error that cells of a pad share, to rows of unit errors.

    The covariance of a pad's cells is D + s sᵀ, whose inverse is D⁻¹ − D⁻¹s sᵀD⁻¹/(1 + sᵀD⁻¹s): its root takes from
    the rows a multiple of their mean.
    """
    if not len(pad):
        return rows
    scaled, pull = rows / np.sqrt(variance)[:, None], shared / np.sqrt(variance)
    _, number = np.unique(pad, return_inverse=True)
    square = np.bincount(number, pull * pull)
    factor = (1.0 - 1.0 / np.sqrt(1.0 + square)) / np.maximum(square, 1e-300)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    mean = np.add.reduceat(pull[:, None] * scaled, first, axis=0)
    found: Array = scaled - pull[:, None] * (factor[:, None] * mean)[number]
    return found
