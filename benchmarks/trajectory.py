"""Direct integration against interpolation on a mesh: accuracy and time of one trajectory.

    python benchmarks/trajectory.py

The mesh is the reference software's default shape: trajectories on a grid of kinetic energy and polar angle, stored at
equal steps, interpolated bilinearly (on the right cells). The truth is the integration with steps ten times shorter.
"""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import Motion, advance, dense, motion_of, start_state, trajectory

ENERGIES, ANGLES, STEPS = np.linspace(0.1, 70.0, 350), np.radians(np.linspace(2.0, 88.0, 166)), 1000
START = np.array([0.0, 0.0, 500.0])
VOLUME = (292.0, 0.0, 1000.0)


def mesh_cell(motion: Motion, ke: float, polar: float) -> NDArray[np.float64]:
    """Positions (STEPS, 3) [mm] at equal shares of the path: what a mesh stores of one energy and angle."""
    path, states, _ = trajectory(motion, np.array([*START, ke, polar, 0.0]), VOLUME)
    return dense(path, states, path[-1] / (STEPS - 1))[:STEPS]


def interpolated(motion: Motion, ke: float, polar: float) -> NDArray[np.float64]:
    """Positions (STEPS, 3) interpolated between the four neighbours on the mesh."""
    i, j = int(np.searchsorted(ENERGIES, ke)) - 1, int(np.searchsorted(ANGLES, polar)) - 1
    a = (ke - ENERGIES[i]) / (ENERGIES[i + 1] - ENERGIES[i])
    b = (polar - ANGLES[j]) / (ANGLES[j + 1] - ANGLES[j])
    corners = [[mesh_cell(motion, ENERGIES[i + k], ANGLES[j + m])[: STEPS - 1] for m in (0, 1)] for k in (0, 1)]
    return (1 - a) * ((1 - b) * corners[0][0] + b * corners[0][1]) + a * ((1 - b) * corners[1][0] + b * corners[1][1])


def precise(motion: Motion, ke: float, polar: float, length: float) -> NDArray[np.float64]:
    """Positions every 0.25 mm, by steps of 0.25 mm or a fiftieth of the residual range."""
    state = np.empty(7)
    start_state(np.array([*START, ke, polar, 0.0]), motion.constants, motion.log_ke, motion.slope, state)
    points, travelled = [state[:3].copy()], 0.0
    while state[6] > 0.02 and travelled < length - 1e-6:
        step = min(0.25, 0.02 * state[6], length - travelled)
        advance(state, step, motion.constants, motion.log_ke, motion.slope)
        travelled += step
        points.append(state[:3].copy())
    return np.array(points)


def largest_distance(points: NDArray[np.float64], curve: NDArray[np.float64]) -> float:
    """Largest distance [mm] of points from a finely sampled curve."""
    from scipy.spatial import cKDTree

    return float(cKDTree(curve).query(points)[0].max())


def main() -> None:
    gas = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
    motion = motion_of(gas, 1, 2, 2.85, 45000.0)
    generator = np.random.default_rng(1)
    errors: dict[str, list[float]] = {"direct": [], "mesh": []}
    bands: list[float] = []
    direct_time, n_tracks = 0.0, 200
    trajectory(motion, np.array([*START, 1.0, 1.0, 0.0]), VOLUME)  # compiles
    for ke, polar in zip(
        np.exp(generator.uniform(math.log(0.5), math.log(30), n_tracks)),
        np.radians(generator.uniform(15, 87, n_tracks)),
        strict=True,
    ):
        start = np.array([*START, ke, polar, 0.0])
        began = time.perf_counter()
        path, states, _ = trajectory(motion, start, VOLUME)
        direct_time += time.perf_counter() - began
        truth = precise(motion, ke, polar, path[-1])
        fine = dense(path, states, 0.05)
        errors["direct"].append(largest_distance(truth[::8], fine))
        errors["mesh"].append(largest_distance(interpolated(motion, ke, polar), np.vstack([truth, fine])))
        bands.append(ke)
    print(f"{'ke (MeV)':>10} {'direct: median, max (mm)':>28} {'mesh: median, max (mm)':>28}")
    for low, high in ((0.5, 2), (2, 5), (5, 10), (10, 30)):
        chosen = (np.array(bands) >= low) & (np.array(bands) < high)
        cells = [f"{np.median(np.array(e)[chosen]):.3f}, {np.array(e)[chosen].max():.3f}" for e in errors.values()]
        print(f"{f'{low}–{high}':>10} {cells[0]:>28} {cells[1]:>28}")
    print(f"direct integration: {1e6 * direct_time / n_tracks:.0f} µs a trajectory, no memory kept")
    size = len(ENERGIES) * len(ANGLES) * STEPS * 3 * 8
    print(f"mesh: {size / 1e9:.2f} GB, {len(ENERGIES) * len(ANGLES)} trajectories to make first")


if __name__ == "__main__":
    main()
