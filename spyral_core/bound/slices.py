"""A trajectory cut into short slices: where they are, how many electrons they set free, how both change.

The unknowns are the six parameters of `sensitivity`, two deflections in each of some slabs, and the energy that the
particle lost beyond the mean in each of others. An energy lost is a charge set free: it lights the pads there, and
shortens the range behind.

Changes are those at fixed places of the track, not at fixed path lengths: of the motion of a slice along the track, a,
only its end and its start tell. With t the tangent, S(R) the energy loss and p what a pad sees of a place,
∫ δ(S p) ds = ∫ (S′ (δR − a dR/ds) p + S ∇p·δr⊥ − p S t′·δr) ds − (S a p) at the start, by parts. So a vertex that
moves along its own track, the energy with it, changes nothing beyond the start, to the last digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyral_core.bound.conditions import Conditions
from spyral_core.compiled import kernel
from spyral_core.fitting.deflections import effects_of
from spyral_core.fitting.scattering import deflection, fluctuations
from spyral_core.fitting.sensitivity import AZIMUTHAL, LOG_BRHO, N_PARAMETERS, POLAR, trajectory_and_changes
from spyral_core.physics.motion import Motion, ke_and_loss

Array = NDArray[np.float64]

SLICE, MOST_SLICES = 2.5, 1600  # mm of path
END, END_SLICE = 8.0, 0.4  # mm of path before a stop, where the energy loss rises and falls
SCATTERING_SLABS, LOSS_SLABS = 40, 240  # at most
RANGE_COLUMN = 3


@dataclass(frozen=True)
class Slices:
    """Slices (n,) of a track.

    `place` (n, 3) [mm]; `electrons` (n,) and `by_range` (n,) [1/mm]; `length` (n,) [mm]; `change` (n, u, 4): of the
    place, across the track, and of the residual range by the unknowns; `excess` (n, u): of the electrons, beyond what
    the range changes; `prior` (u,): what is known of each unknown beforehand, one over its variance, 0 for the six
    parameters.
    """

    place: Array
    electrons: Array
    by_range: Array
    length: Array
    change: Array
    excess: Array
    prior: Array


def slices_of(parameters: Array, motion: Motion, conditions: Conditions) -> Slices:
    """The slices of the mean trajectory with `parameters` (6,): vertex [mm], ln Bρ [T m], polar, azimuthal [rad]."""
    tables = motion.constants, motion.log_ke, motion.slope
    volume = np.array([conditions.radius, 0.0, conditions.length])
    path, states, changes, stops = trajectory_and_changes(parameters, np.zeros(1), volume, *tables)
    rest = states[-1, 6] if stops else 0.0
    edges = _edges(float(path[-1] + rest), bool(stops))
    length, middles = np.diff(edges), 0.5 * (edges[1:] + edges[:-1])
    place, left = _between(path, states[None], middles)[0, :, :3], np.interp(middles, path, states[:, 6])
    if stops:
        left[-1] = 0.5 * length[-1]  # the last slice ends where the range does: none of the energy loss is behind it
    loss = losses(left, length, *tables)
    electrons, per_mm = loss[:, 0] / conditions.pair_energy, loss[:, 0] / length
    noise = fluctuations(conditions.gas)
    scattering = noise.scattering if conditions.scattering else 0.0
    straggling = noise.straggling if conditions.straggling else 0.0
    scattered = _scattering(middles, left, length, scattering, tables)
    lost = _straggling(middles, per_mm, length, electrons, straggling, motion, conditions)
    moved = _between(path, changes, middles).transpose(1, 0, 2)  # (n, 6, 4)
    kicked = [
        _behind(middles, moved, effects_of(places, sizes, path, states, changes), kinds)
        for places, sizes, kinds in ((*scattered, (0, 1)), (*lost[:2], (2,)))
    ]
    change = np.ascontiguousarray(np.concatenate([moved, *kicked], axis=1))
    excess = np.zeros(change.shape[:2])
    excess[:, change.shape[1] - len(lost[0]) :] = lost[2]
    tangent = _tangents(path, states, middles)
    push = motion.constants[0] * conditions.electric_field * 1e-9 * tangent[:, 2] / np.maximum(per_mm, 1e-9)
    start_along = change[0, :, :RANGE_COLUMN] @ tangent[0]
    _hold_places(change, excess, middles, tangent, -1.0 - np.minimum(push, 1.0), electrons)
    excess[0] -= electrons[0] / length[0] * start_along
    prior = np.concatenate([np.zeros(N_PARAMETERS), np.ones(2 * len(scattered[0])), lost[3]])
    return Slices(place, electrons, loss[:, 1] / conditions.pair_energy, length, change, excess, prior)


def _edges(length: float, stops: bool) -> Array:
    """Edges (n + 1,) [mm] of the slices of a track."""
    end = min(END, 0.5 * length) if stops else 0.0
    n = int(min(max(math.ceil((length - end) / SLICE), 2), MOST_SLICES))
    fine = np.linspace(length - end, length, math.ceil(end / END_SLICE) + 1)
    return np.concatenate([np.linspace(0.0, length - end, n + 1), fine[1:]])


@kernel
def losses(left, length, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """Energy lost [MeV] in slices of lengths (n,) around residual ranges (n,) [mm], and its derivative by the range."""
    found = np.zeros((len(left), 2))
    for i in range(len(left)):
        for side in (0.5, -0.5):
            here = left[i] + side * length[i]
            if here > 0.0:
                energy, loss = ke_and_loss(here, constants, log_ke, slope)
                found[i, 0] += 2.0 * side * energy
                found[i, 1] += 2.0 * side * loss
    return found


@kernel
def deflections(left, constants, log_ke, slope):  # type: ignore[no-untyped-def]
    """`scattering.deflection` over its gas constant at residual ranges (n,)."""
    found = np.empty(len(left))
    for i in range(len(left)):
        found[i] = deflection(left[i], 1.0, constants, log_ke, slope)
    return found


def _between(path: Array, curves: Array, s: Array) -> Array:
    """Place and residual range (k, n, 4) of curves (k, m, 7), or of changes of them, at path lengths (n,)."""
    cell = np.clip(np.searchsorted(path, s, side="right") - 1, 0, len(path) - 2)
    h = (path[cell + 1] - path[cell])[:, None]
    t = (s - path[cell])[:, None] / h
    r0, r1 = curves[:, cell, :3], curves[:, cell + 1, :3]
    u0, u1 = h * curves[:, cell, 3:6], h * curves[:, cell + 1, 3:6]
    place = r0 + t * (u0 + t * (3 * (r1 - r0) - 2 * u0 - u1 + t * (2 * (r0 - r1) + u0 + u1)))
    left = (1 - t) * curves[:, cell, 6:] + t * curves[:, cell + 1, 6:]
    found: Array = np.concatenate([place, left], axis=2)
    return found


def _tangents(path: Array, states: Array, s: Array) -> Array:
    """Unit tangents (n, 3) at path lengths (n,)."""
    cell = np.clip(np.searchsorted(path, s, side="right") - 1, 0, len(path) - 2)
    t = ((s - path[cell]) / (path[cell + 1] - path[cell]))[:, None]
    found: Array = (1 - t) * states[cell, 3:6] + t * states[cell + 1, 3:6]
    found /= np.linalg.norm(found, axis=1)[:, None]
    return found


def _hold_places(change: Array, excess: Array, s: Array, tangent: Array, range_slope: Array, electrons: Array) -> None:
    """Changes at fixed path lengths to those at fixed places, in place (see the head); `range_slope`: dR/ds (n,)."""
    along = np.einsum("nuc,nc->nu", change[:, :, :RANGE_COLUMN], tangent)
    change[:, :, :RANGE_COLUMN] -= along[:, :, None] * tangent[:, None, :]
    change[:, :, RANGE_COLUMN] -= along * range_slope[:, None]
    excess -= electrons[:, None] * np.gradient(along, s, axis=0)  # t′·δr = da/ds, as t·δr′ = 0


def _slabs(n: int, most: int) -> tuple[NDArray[np.int64], int]:
    """The slab of each of n slices, and how many slabs there are."""
    per_slab = -(-n // most)
    slab = np.arange(n) // per_slab
    return slab, int(slab[-1]) + 1


def _scattering(
    s: Array, left: Array, length: Array, scattering: float, tables: tuple[Array, ...]
) -> tuple[Array, Array]:
    """Places (m,) [mm] of the deflections and their sizes (m, 3), as `deflections.effects_of` takes them."""
    if scattering == 0.0:
        return np.empty(0), np.empty((0, 3))
    slab, m = _slabs(len(s), SCATTERING_SLABS)
    variance = np.bincount(slab, scattering * deflections(np.maximum(left, 0.02), *tables) * length)
    sizes = np.zeros((m, 3))
    sizes[:, 0] = sizes[:, 1] = np.sqrt(variance)
    return np.bincount(slab, s) / np.bincount(slab), sizes


def _straggling(
    s: Array, loss: Array, length: Array, electrons: Array, straggling: float, motion: Motion, conditions: Conditions
) -> tuple[Array, Array, Array, Array]:
    """Places (m,) of losses beyond the mean, sizes (m, 3) of what they do to the range, electrons (n, m), prior (m,).

    Electrons that are shared out to pads fluctuate on each of these like independent ones; that their sum has a smaller
    variance, Fano's, is an unknown of negative variance.
    """
    slab, m = _slabs(len(s), LOSS_SLABS)
    together = np.maximum(electrons / (length * conditions.together), 1.0)
    lost = np.bincount(slab, straggling * motion.constants[0] ** 2 * length)  # MeV²
    per_slice = straggling * motion.constants[0] ** 2 * length / conditions.pair_energy**2
    charge = np.bincount(slab, per_slice - (together - conditions.fano_factor) * electrons)
    if straggling > 0.0:
        charge = np.maximum(charge, 0.0)
    sizes = np.zeros((m, 3))
    total, counted = np.bincount(slab, electrons), np.bincount(slab)
    sizes[:, 2] = -np.sqrt(lost) / np.maximum(np.bincount(slab, loss) / counted, 1e-12)
    share = electrons / np.maximum(total[slab], 1e-12)
    excess = np.zeros((len(s), m))
    excess[np.arange(len(s)), slab] = np.sqrt(np.abs(charge))[slab] * share
    return np.bincount(slab, s) / counted, sizes, excess, np.where(charge < 0.0, -1.0, 1.0)


def _behind(s: Array, moved: Array, effects: tuple[Array, Array, Array], kinds: tuple[int, ...]) -> Array:
    """Changes (n, k, 4) of slices by kicks of some kinds: none before the kick, see `deflections.add_kicks`."""
    shares, own, start = effects
    wanted = np.flatnonzero(np.isin(np.arange(len(start)) % 3, kinds))
    change = np.einsum("kj,njc->nkc", shares[wanted], moved[:, [POLAR, LOG_BRHO, AZIMUTHAL]], optimize=True)
    change[:, :, :RANGE_COLUMN] -= own[wanted]
    change[s[:, None] <= start[wanted]] = 0.0
    found: Array = change
    return found
