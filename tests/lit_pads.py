"""Tracks on the pad plane whose truth is known: particles in gas, their electrons, the pads that these light."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spyral_core.detector.pads import builtin, pads_at
from spyral_core.fitting.curve import curve_point, points_on_curve
from spyral_core.fitting.expected_charge import expected_charges
from spyral_core.fitting.scattering import Fluctuations, deflection
from spyral_core.fitting.settings import FitSettings, Plane, Track
from spyral_core.fitting.silent_pads import silent_pads
from spyral_core.phases.solve import plane_of
from spyral_core.physics.motion import SHORTEST_RANGE, Motion, advance, ke_and_loss, start_state, trajectory
from spyral_core.physics.nuclei import brho_from_ke

Array = NDArray[np.float64]
LENGTH = 1000.0  # mm
BEAM_SPOT = 5.0  # mm
QUIET = Fluctuations(0.0, 0.0)
W_VALUE = 40e-6  # MeV an electron
GRAZED = 5.0  # electrons: a pad with fewer is not seen
TIME_ERROR = 0.3  # mm


def plane() -> Plane:
    """The AT-TPC's pads."""
    return plane_of(builtin(), np.zeros(len(builtin().x), np.bool_))


def fit_settings(
    motion: Motion, species: tuple[int, int], diffusion: float, fluctuations: Fluctuations = QUIET
) -> FitSettings:
    """How a species (Z, A) is fitted on these pads: 0.1 to 70 MeV, any direction, a beam spot of BEAM_SPOT."""
    low, high = (math.log(float(brho_from_ke(ke, *species))) for ke in (0.1, 70.0))
    return FitSettings(
        Z=species[0],
        A=species[1],
        motion=motion,
        fluctuations=fluctuations,
        plane=plane(),
        diffusion=diffusion,
        beam_spot=BEAM_SPOT,
        length=LENGTH,
        volume=np.array([320.0, -50.0, 1050.0]),
        visible=np.array([25.0, 270.0, 0.0, LENGTH]),
        lower=np.array([-100, -100, -50, low, math.radians(2), -4 * math.pi]),
        upper=np.array([100, 100, 1050, high, math.radians(178), 4 * math.pi]),
        free=(True, True, True),
        method="leastsq",
    )


def particle(
    motion: Motion, start: Array, noise: Fluctuations, generator: np.random.Generator, step: float = 1.0
) -> tuple[Array, Array]:
    """Middles (n, 3) [mm] and energy losses (n,) [MeV] of the steps of a particle from a start (6,) (`motion.follow`).

    After each step it is deflected and its range changed at random, with the variances of the gas for a step.
    """
    tables = (motion.constants, motion.log_ke, motion.slope)
    state, places, losses = np.empty(7), [], []
    start_state(np.asarray(start, float), *tables, state)
    while state[6] > SHORTEST_RANGE and math.hypot(state[0], state[1]) < 300 and 0 < state[2] < LENGTH:
        before, length = state.copy(), min(step, 0.5 * state[6])
        advance(state, length, *tables)
        energy, loss = ke_and_loss(state[6], *tables)
        places.append((before[:3] + state[:3]) / 2)
        losses.append(ke_and_loss(before[6], *tables)[0] - energy)
        if noise.scattering > 0:
            width = math.sqrt(deflection(state[6], noise.scattering, *tables) * length)
            unit = state[3:6] + generator.normal(scale=width, size=3)
            state[3:6] = unit / np.linalg.norm(unit)
        if noise.straggling > 0:
            width = motion.constants[0] * math.sqrt(noise.straggling * length) / loss
            state[6] = max(state[6] + generator.normal(scale=width), SHORTEST_RANGE / 2)
    return np.array(places), np.array(losses)


def track_of(places: Array, losses: Array, diffusion: float, generator: np.random.Generator) -> Track:
    """What the pads outside the beam see of electrons [MeV] set free at `places`: σ² across is `diffusion` · drift.

    Each electron drifts for itself and is multiplied with an exponential gain; the time of a pad has an error of its
    own.
    """
    electrons = np.repeat(places, generator.poisson(losses / W_VALUE), axis=0)
    width = np.sqrt(diffusion * np.maximum(LENGTH - electrons[:, 2], 0.0))
    electrons[:, :2] += generator.normal(size=(len(electrons), 2)) * width[:, None]
    return collected(electrons, generator.exponential(W_VALUE, len(electrons)), generator)


def collected(
    electrons: Array, charge: Array, generator: np.random.Generator | None = None, threshold: float = GRAZED
) -> Track:
    """The pads outside the beam that electrons (n, 3) [mm] with charges (n,) [MeV] fall on; z is the charge's mean.

    `threshold`: the charge that a pad needs [electrons]. The times have errors if there is a generator.
    """
    pads = builtin()
    pad = pads_at(electrons[:, 0], electrons[:, 1])
    on = pad >= 0
    total = np.bincount(pad[on], charge[on], len(pads.x))
    z = np.bincount(pad[on], (charge * electrons[:, 2])[on], len(pads.x))
    lit = np.flatnonzero((total > threshold * W_VALUE) & ~pads.beam)
    z = z[lit] / total[lit]
    if generator is not None:
        z += generator.normal(scale=TIME_ERROR, size=len(lit))
    return Track(
        np.column_stack([pads.x[lit], pads.y[lit], z]), total[lit], pads.scale[lit], lit.astype(np.int32)
    )  # fmt: skip


def above(track: Track, threshold: float) -> Track:
    """What of a track is seen if a pad needs a charge of `threshold` [electrons]."""
    lit = track.charge > threshold * W_VALUE
    return Track(track.points[lit], track.charge[lit], track.scale[lit], track.pads[lit])


def smeared(places: Array, losses: Array, diffusion: float, copies: int = 64) -> tuple[Array, Array]:
    """Places and charges of `copies` times as many packets, displaced by evenly spread quantiles: nearly no noise."""
    from scipy.stats import norm

    number = np.arange(len(places) * copies) + 0.5
    # R2 sequence: multiples of the inverse powers of the plastic number
    quantiles = norm.ppf(np.column_stack([number / 1.32471795724474602596, number / 1.32471795724474602596**2]) % 1.0)
    electrons = np.repeat(places, copies, axis=0)
    electrons[:, :2] += quantiles * np.sqrt(diffusion * (LENGTH - electrons[:, 2]))[:, None]
    return electrons, np.repeat(losses / copies, copies)


def line(
    motion: Motion, angle: float, off: float, ke: float, polar: float = math.pi / 2, reach: float = 230.0
) -> tuple[Array, Array]:
    """Path and states of a track that passes the axis at `off` mm, half-way in z; straight without fields."""
    along, normal = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    start = np.array([*(-reach * along + off * normal), LENGTH / 2 - reach / math.tan(polar), ke, polar, angle])
    path, states, _ = trajectory(motion, start, (math.hypot(reach, off) + 10, -1e3, 2e3))
    return path, states


def charge_on(motion: Motion, path: Array, states: Array, spacing: float = 0.1) -> tuple[Array, Array]:
    """Middles (n, 3) [mm] and energy losses (n,) [MeV] of steps of a trajectory."""
    edges = np.append(np.arange(0.0, path[-1], spacing), path[-1])
    left = np.interp(edges, path, states[:, 6])
    losses = -np.diff([ke_and_loss(value, motion.constants, motion.log_ke, motion.slope)[0] for value in left])
    middle = (edges[1:] + edges[:-1]) / 2
    cells = np.clip(np.searchsorted(path, middle) - 1, 0, len(path) - 2)
    shares = (middle - path[cells]) / (path[cells + 1] - path[cells])
    places = [curve_point(path, states, cell, share) for cell, share in zip(cells, shares, strict=True)]
    return np.array(places), losses


def straggled(places: Array, losses: Array, straggling: float, generator: np.random.Generator) -> Array:
    """Losses (n,) [MeV] that fluctuate with a variance of `straggling` [MeV²/mm], as sums of many positive ones do."""
    lengths = np.linalg.norm(np.gradient(places, axis=0), axis=1)
    scale = straggling * lengths / losses
    fluctuated: Array = generator.gamma(losses / scale, scale)
    return fluctuated


class Seen(NamedTuple):
    """A track's pads on a trajectory, behind them the silent ones beside it, and what is expected of them."""

    pads: NDArray[np.int64]
    place: Array
    beyond: Array
    deviation: Array
    direction: Array
    drift: Array
    expected: Array


def seen(track: Track, motion: Motion, path: Array, states: Array, diffusion: float, silent: bool = False) -> Seen:
    """The pads of a track on a trajectory; with the `silent` ones if wanted."""
    pads, (place, beyond, deviation, direction) = track.pads, points_on_curve(track.points, 2.0, path, states)
    z = track.points[:, 2]
    all_pads = plane()
    if silent:
        fired = np.isin(np.arange(len(all_pads.xy)), pads)
        visible = np.array([25.0, 270.0, 0.0, LENGTH])
        more, *rest = silent_pads(
            path, states, place.min(), place.max(), visible, all_pads.xy, all_pads.used, fired, *all_pads.index
        )
        pads, beyond = np.concatenate([pads, more]), np.concatenate([beyond, np.zeros(len(more))])
        place, deviation, direction, z = (
            np.concatenate(both) for both in zip((place, deviation, direction, z), rest, strict=True)
        )
    expected = expected_charges(
        place, beyond, deviation, direction, all_pads.corners[pads], LENGTH - z, diffusion, path, states,
        motion.constants, motion.log_ke, motion.slope,
    )  # fmt: skip
    return Seen(pads, place, beyond, deviation, direction, LENGTH - z, expected)
