"""How near the estimates come to the truth, for tracks with energy loss, scattering, diffusion and real pads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.detector.pads import builtin, pads_at
from spyral_core.errors import RejectedEventError
from spyral_core.fitting.geometry import Estimate, Settings, estimate_track
from spyral_core.fitting.spiral_search import Volume
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import SHORTEST_RANGE, advance, ke_and_loss, motion_of, start_state, step_length
from spyral_core.physics.nuclei import nuclear_mass

D2_600 = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 600.0})
D2_300 = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
HE_600 = parse_gas({"compound": [[2, 4, 1]], "pressure(Torr)": 600.0})
RADIATION_LENGTH = {1: 125.97, 2: 94.32}  # g/cm² of D2 and He (Particle Data Group)
FIELD, DRIFT_FIELD, LENGTH, FIRST_Z = 2.85, 45000.0, 1000.0, 87.0
SETTINGS = Settings(FIELD, Volume(FIRST_Z, LENGTH, 25.0), 30, 100.0)
KIND = tuple[object, int, int, float, float]
GRID: list[KIND] = [
    *((D2_600, 1, 2, ke, polar) for ke in (2, 4, 8, 15, 20) for polar in (20, 45, 70, 88, 110, 160)),
    *((D2_600, 1, 1, ke, polar) for ke in (2, 6, 12) for polar in (30, 60, 90, 140)),
    *((D2_300, 1, 2, ke, polar) for ke in (2, 6, 12) for polar in (30, 70, 100)),
    *((HE_600, 2, 4, ke, polar) for ke in (4, 10, 25) for polar in (25, 50, 75)),
]


@dataclass(frozen=True)
class Track:
    """Points (3, n) [mm], charge and pad size (n,), and the truth: start (x, y, z, ke, polar, azimuthal) and Bρ."""

    points: NDArray[np.float64]
    charge: NDArray[np.float64]
    scale: NDArray[np.float64]
    start: NDArray[np.float64]
    brho: float


def particle_path(rng, gas, Z, A, start):
    """States (n, 7) every few mm, with multiple scattering (Highland), and the energy [MeV] lost between them."""
    motion = motion_of(gas, Z, A, FIELD, DRIFT_FIELD)
    table = (motion.constants, motion.log_ke, motion.slope)
    mass = nuclear_mass(Z, A)
    depth = gas.density / 10 / RADIATION_LENGTH[gas.elements[0][0]]  # radiation lengths per mm
    state = np.empty(7)
    start_state(start, *table, state)
    states, losses = [state.copy()], []
    while state[6] > SHORTEST_RANGE and np.hypot(state[0], state[1]) < 292 and 0 <= state[2] <= LENGTH:
        step = min(step_length(state[6], *table), 5.0)
        before = ke_and_loss(state[6], *table)[0]
        advance(state, step, *table)
        ke = ke_and_loss(max(state[6], 1e-3), *table)[0]
        momentum = math.sqrt(ke * (ke + 2 * mass))
        thick = step * depth
        angle = 13.6 * Z * (ke + mass) / momentum**2 * math.sqrt(thick) * max(1 + 0.038 * math.log(thick), 0.3)
        kick = rng.normal(0, angle, 3)
        direction = state[3:6] + kick - state[3:6] * np.dot(state[3:6], kick)
        state[3:6] = direction / np.linalg.norm(direction)
        states.append(state.copy())
        losses.append(max(before - ke, 1e-6))
    return np.array(states), np.array(losses)


def simulate(rng, gas, Z, A, ke, polar, stray=0.03):
    """A track on the pads: diffusion (0.277 V), no beam pads, a threshold of 1 keV, 5 % gain, stray points."""
    start = np.array(
        [*rng.normal(0, 5, 2), rng.uniform(100, 930), ke, math.radians(polar), rng.uniform(-math.pi, math.pi)]
    )
    states, losses = particle_path(rng, gas, Z, A, start)
    segment = np.repeat(np.arange(len(losses)), 12)
    place = rng.uniform(size=len(segment))[:, None]
    x, y, z = (states[segment, :3] * (1 - place) + states[segment + 1, :3] * place).T
    sigma = 1000 * np.sqrt(2 * 0.277 * np.clip(LENGTH - z, 0, None) / 1000 / DRIFT_FIELD)
    x, y, z = (axis + sigma * rng.normal(size=len(axis)) for axis in (x, y, z))
    plane = builtin()
    pad = pads_at(x, y)
    seen = (pad >= 0) & (z > FIRST_Z) & (z < LENGTH) & ~plane.beam[np.maximum(pad, 0)]
    pad, z, charge = pad[seen], z[seen], losses[segment][seen] / 12
    order = np.lexsort((z, pad))
    pad, z, charge = pad[order], z[order], charge[order]
    pulse = np.cumsum((np.diff(pad, prepend=-1) != 0) | (np.diff(z, prepend=0) > 40)) - 1
    total = np.bincount(pulse, charge)
    mean_z = np.bincount(pulse, charge * z) / total + rng.normal(0, 0.7, len(total))
    pads = pad[np.flatnonzero(np.diff(pulse, prepend=-1))]
    kept = np.flatnonzero(total > 0.001)
    points = np.stack([plane.x[pads], plane.y[pads], mean_z])[:, kept]
    wrong = rng.uniform(size=len(kept)) < stray
    points[:, wrong] += rng.normal(0, 20, (3, int(wrong.sum())))
    brho = math.sqrt(ke * (ke + 2 * nuclear_mass(Z, A))) / (299.792458 * Z)
    shuffled = rng.permutation(len(kept))
    charges = 1e5 * total[kept] * rng.normal(1, 0.05, len(kept))
    return Track(points[:, shuffled], charges[shuffled], plane.scale[pads][kept][shuffled], start, brho)


def sample(kinds, n_tracks, seed):
    """Tracks of each kind within 3° of its polar angle, and their estimates; short tracks are left out."""
    for index, (gas, Z, A, ke, polar) in enumerate(kinds):
        rng = np.random.default_rng([seed, index])
        for _ in range(n_tracks):
            track = simulate(rng, gas, Z, A, float(ke), polar + rng.uniform(-3, 3))
            try:
                found = estimate_track(track.points, track.charge, track.scale, -1, SETTINGS)
            except RejectedEventError as reason:
                assert "too few points" in str(reason)
                continue
            yield index, track, found


def errors(track: Track, found: Estimate) -> tuple[float, ...]:
    """Polar [deg], Bρ (relative), vertex z [mm], azimuthal [deg], whether the direction is right, dE/dx."""
    turn = (found.azimuthal - track.start[5] + np.pi) % (2 * np.pi) - np.pi
    return (
        math.degrees(found.polar - track.start[4]),
        found.brho / track.brho - 1,
        found.vertex_z - track.start[2],
        math.degrees(turn),
        float((found.direction == 0) == (track.start[4] < math.pi / 2)),
        found.dEdx,
    )


def typical(values):
    """The error that 68 % of tracks do not exceed."""
    return float(np.quantile(np.abs(values), 0.68))


@pytest.mark.parametrize(
    ("kind", "polar_error", "brho_error"),
    [
        ((D2_600, 1, 2, 4.0, 70.0), 1.0, 0.03),
        ((D2_600, 1, 2, 15.0, 95.0), 0.5, 0.08),
        ((D2_600, 1, 1, 6.0, 30.0), 0.5, 0.04),
        ((HE_600, 2, 4, 10.0, 50.0), 0.8, 0.06),
    ],
    ids=["stops after a turn", "leaves the gas", "steep, several turns", "alpha"],
)
def test_a_kind_of_track_is_estimated_as_well_as_its_pads_allow(kind, polar_error, brho_error):
    found = np.array([errors(track, estimate) for _, track, estimate in sample([kind], 10, seed=2)])
    assert len(found) >= 5
    assert found[:, 4].all()
    assert typical(found[:, 0]) < polar_error
    assert typical(found[:, 1]) < brho_error


def test_deuterons_and_protons_part_in_the_plane_of_gates():
    """dE/dx at one Bρ: a proton of twice the deuteron's energy has the same Bρ and about a quarter of its dE/dx."""
    deuterons = [estimate for _, _, estimate in sample([(D2_600, 1, 2, 4.0, polar) for polar in (45, 75, 120)], 4, 3)]
    protons = [estimate for _, _, estimate in sample([(D2_600, 1, 1, 8.0, polar) for polar in (45, 75, 120)], 4, 3)]
    assert np.median([d.brho for d in deuterons]) == pytest.approx(np.median([p.brho for p in protons]), rel=0.1)
    assert min(d.dEdx for d in deuterons) > 2 * max(p.dEdx for p in protons)


@pytest.mark.slow
def test_estimates_over_particles_energies_and_angles(capsys):
    rows: dict[int, list[tuple[float, ...]]] = {}
    for index, track, found in sample(GRID, 12, seed=0):
        rows.setdefault(index, []).append(errors(track, found))
    with capsys.disabled():
        print("\n  A   ke polar   n  right | polar med  68% [deg] | brho med   68% [%] | z 68% [mm] | az 68% [deg]")
        for index, values in rows.items():
            kind, v = GRID[index], np.array(values)
            medians, widths = np.median(v, axis=0), [typical(v[:, k]) for k in range(4)]
            print(
                f"{kind[2]:3d} {kind[3]:4g} {kind[4]:5g} {len(v):3d}  {v[:, 4].mean():5.2f} | {medians[0]:9.2f} "
                f"{widths[0]:10.2f} | {100 * medians[1]:8.1f} {100 * widths[1]:9.1f} | {widths[2]:10.1f} | "
                f"{widths[3]:8.1f}"
            )
    every = np.array([values for group in rows.values() for values in group])
    with capsys.disabled():
        print(
            f"all {len(every)}: direction right {every[:, 4].mean():.1%}; polar within 5°"
            f" {np.mean(np.abs(every[:, 0]) < 5):.1%}, 68 % within {typical(every[:, 0]):.2f}°; brho within 15 %"
            f" {np.mean(np.abs(every[:, 1]) < 0.15):.1%}, 68 % within {typical(every[:, 1]):.1%};"
            f" vertex z 68 % within {typical(every[:, 2]):.1f} mm"
        )
    across = np.abs(np.array([GRID[index][4] for index, group in rows.items() for _ in group]) - 90) > 5
    assert len(every) > 500
    assert every[:, 4].mean() > 0.98 and every[across, 4].mean() > 0.995
    assert np.mean(np.abs(every[:, 0]) < 5) > 0.98 and typical(every[:, 0]) < 0.4
    assert np.mean(np.abs(every[:, 1]) < 0.15) > 0.93 and typical(every[:, 1]) < 0.035
    assert abs(np.median(every[:, 1])) < 0.015
    assert typical(every[:, 2]) < 6
