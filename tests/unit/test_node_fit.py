"""The rows of the likelihood are its derivatives, and a fit of nodes finds the trajectory that they lie on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.curve import curve_point
from spyral_core.fitting.deflections import slabs_of
from spyral_core.fitting.deviation import silent_length
from spyral_core.fitting.minimise import Bounds
from spyral_core.fitting.node_fit import design
from spyral_core.fitting.refine import LARGEST_KICK, _curvature, _gauss_newton
from spyral_core.fitting.scattering import fluctuations
from spyral_core.fitting.sensitivity import N_PARAMETERS, trajectory_and_changes
from spyral_core.fitting.track_fit import cauchy
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of
from spyral_core.physics.nuclei import brho_from_ke

Array = NDArray[np.float64]
GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
MOTION = motion_of(GAS, 1, 2, 2.85, 45000.0)
TABLES = (MOTION.constants, MOTION.log_ke, MOTION.slope)
NOISE = np.array([fluctuations(GAS).scattering, fluctuations(GAS).straggling])
VOLUME, VISIBLE = np.array([320.0, -50.0, 1050.0]), np.array([25.0, 270.0, 0.0, 1000.0])
SPOT = 5.0
STEPS = np.array([0.02, 0.02, 0.02, 2e-4, 2e-4, 2e-4])
UNMEASURED, MEASURED = 0.0, 1.0


def problem(ke: float, polar: float, off: float, kind: float, beyond: float, frame: float = 0.0) -> tuple[Array, tuple]:
    """Unknowns at zero kicks, and the rest of `design`: nodes about `off` mm from a trajectory.

    The track ends `beyond` mm before or behind the trajectory does.
    """
    generator = np.random.default_rng(int(10 * polar))
    across = (3.0, -4.0) if frame == 0.0 else (5.0, 0.9)
    parameters = np.array([*across, 500.0, math.log(float(brho_from_ke(ke, 1, 2))), math.radians(polar), 0.7])
    how = np.array([frame])
    path, states, _, _ = trajectory_and_changes(parameters, how, VOLUME, *TABLES)
    places, sizes = slabs_of(path, states, NOISE, *TABLES)
    ways = np.arange(30.0, 0.95 * path[-1], 12.0)
    cells = np.clip(np.searchsorted(path, ways) - 1, 0, len(path) - 2)
    shares = (ways - path[cells]) / (path[cells + 1] - path[cells])
    nodes = np.array([curve_point(path, states, cell, share) for cell, share in zip(cells, shares, strict=True)])
    nodes += off * generator.normal(size=nodes.shape)
    weights = generator.uniform(0.5, 4.0, size=(len(nodes), 2))
    if beyond >= 0:
        end = states[-1, :3] + beyond * states[-1, 3:6]
    else:
        cell = int(np.searchsorted(path, path[-1] + beyond)) - 1
        end = np.array(
            curve_point(path, states, cell, (path[-1] + beyond - path[cell]) / (path[cell + 1] - path[cell]))
        )
    fixed = (
        nodes, weights, np.array([*end, 2.0, kind]), places, sizes, how, SPOT, VOLUME, VISIBLE, *TABLES
    )  # fmt: skip
    return np.concatenate([parameters, np.zeros(3 * len(places))]), fixed


def by_differences(unknowns: Array, fixed: tuple, k: int) -> Array:
    step = STEPS[k] if k < N_PARAMETERS else 0.02
    ahead, behind = unknowns.copy(), unknowns.copy()
    ahead[k] += step
    behind[k] -= step
    found: Array = -(design(ahead, *fixed)[1] - design(behind, *fixed)[1]) / (2 * step)
    return found


@pytest.mark.parametrize("frame", [0.0, 1.0])
@pytest.mark.parametrize(("ke", "polar"), [(1.5, 50.0), (2.5, 88.0), (3.0, 130.0), (9.0, 60.0), (9.0, 115.0)])
def test_rows_are_how_deviations_fall(ke: float, polar: float, frame: float) -> None:
    """A node tells nothing of the motion along the curve, which the nearest place follows: both sides leave it out."""
    unknowns, fixed = problem(ke, polar, 0.0, MEASURED, -3.0, frame)
    rows, right, _ = design(unknowns, *fixed)
    n_nodes = len(fixed[0])
    assert np.abs(right[: 3 * n_nodes]).max() < 0.02  # nodes lie on it
    late = 3 * n_nodes - 3
    for k in range(len(unknowns)):
        twin = by_differences(unknowns, fixed, k)
        scale = max(np.abs(twin[: 3 * n_nodes]).max(), 1e-3)
        # the curve between the last state before a kick and the kick already bends a little
        allowed = 0.03 * scale if k < N_PARAMETERS else 0.05 * scale + 0.02
        np.testing.assert_allclose(rows[:late, k], twin[:late], atol=allowed, err_msg=f"{k}")
        np.testing.assert_allclose(rows[-2:, k], twin[-2:], atol=2e-4)


@pytest.mark.parametrize("beyond", [-8.0, -1.0, 1.0, 6.0])
@pytest.mark.parametrize(("ke", "polar"), [(1.5, 50.0), (2.5, 88.0), (1.8, 125.0)])
def test_the_row_of_a_measured_end(ke: float, polar: float, beyond: float) -> None:
    unknowns, fixed = problem(ke, polar, 0.5, MEASURED, beyond)
    rows, right, _ = design(unknowns, *fixed)
    end = 3 * len(fixed[0])
    # range left at the end of the last step counts as path
    assert right[end] * 2.0 == pytest.approx(-beyond, abs=0.05)
    early = np.repeat(np.asarray(fixed[3]) < 0.8 * fixed[3][-1], 3)
    for k in range(len(unknowns)):
        if k < N_PARAMETERS or early[k - N_PARAMETERS]:
            twin = by_differences(unknowns, fixed, k)[end]
            assert rows[end, k] == pytest.approx(twin, abs=0.02 * abs(twin) + 0.02), k


@pytest.mark.parametrize("beyond", [-20.0, -6.0, -1.0])
def test_an_end_that_was_just_seen_last_pulls_by_the_silence_beyond(beyond: float) -> None:
    """Half the gradient of Cauchy's loss of the silent length, by differences."""
    unknowns, fixed = problem(2.5, 88.0, 0.5, UNMEASURED, beyond)
    rows, right, _ = design(unknowns, *fixed)
    end = 3 * len(fixed[0])

    def loss(at: Array) -> float:
        root_and_left = design(at, *fixed)[1][end] * 2.0  # √factor · left
        # left from √(left² / (1 + left²/(9 σ²)))
        left2 = root_and_left**2 / (1 - root_and_left**2 / (9 * 4.0))
        value: float = cauchy(left2 / 4.0)[0]
        return value

    path, states, _, _ = trajectory_and_changes(unknowns[:6], fixed[5], VOLUME, *TABLES)
    silent, _ = silent_length(path, states, path[-1] + beyond, VISIBLE)
    assert right[end] == pytest.approx(math.sqrt(cauchy(silent**2 / 4)[1]) * silent / 2, rel=0.02)
    for k in range(N_PARAMETERS):
        ahead, behind = unknowns.copy(), unknowns.copy()
        ahead[k] += STEPS[k]
        behind[k] -= STEPS[k]
        twin = (loss(ahead) - loss(behind)) / (2 * STEPS[k])
        assert -2 * rows[end, k] * right[end] == pytest.approx(twin, rel=0.06, abs=0.02), k


def test_a_track_seen_to_the_end_has_no_silence() -> None:
    unknowns, fixed = problem(2.5, 88.0, 0.5, UNMEASURED, 2.0)
    rows, right, _ = design(unknowns, *fixed)
    end = 3 * len(fixed[0])
    assert right[end] == 0.0
    assert not rows[end].any()


@pytest.mark.parametrize(("axis", "limit"), [(0, 65.0), (2, 240.0)], ids=["beam", "record"])
def test_an_end_that_nobody_sees_pulls_at_nothing(axis: int, limit: float) -> None:
    """The silence before it counts, but does not tell how far the particle got."""
    unknowns, fixed = problem(1.8, 125.0, 0.5, UNMEASURED, -60.0)
    end = 3 * len(fixed[0])
    rows, right, _ = design(unknowns, *fixed)
    assert right[end] > 0.0
    assert rows[end].any()
    visible = VISIBLE.copy()
    visible[axis] = limit
    rows, right, _ = design(unknowns, *fixed[:8], visible, *fixed[9:])
    assert right[end] > 0.0
    assert not rows[end].any()


def test_a_particle_that_leaves_has_no_end_to_measure() -> None:
    unknowns, fixed = problem(12.0, 90.0, 0.5, UNMEASURED, -10.0)
    assert not trajectory_and_changes(unknowns[:6], fixed[5], VOLUME, *TABLES)[3]
    rows, right, _ = design(unknowns, *fixed)
    end = 3 * len(fixed[0])
    assert right[end] == 0.0
    assert not rows[end].any()


def test_a_kick_does_not_move_what_lies_before_it() -> None:
    unknowns, fixed = problem(2.5, 88.0, 0.0, MEASURED, 0.0)
    rows, *_ = design(unknowns, *fixed)
    last = len(fixed[3]) - 1
    assert not rows[:30, N_PARAMETERS + 3 * last :].any()
    assert rows[: 3 * len(fixed[0]), N_PARAMETERS : N_PARAMETERS + 3].any()


def test_freedom_that_the_motion_along_the_curve_takes() -> None:
    """All of it from x and y for a track across the beam; shared by the weights otherwise."""
    unknowns, fixed = problem(9.0, 89.9, 0.0, MEASURED, 0.0)
    assert (design(unknowns, *fixed)[2] > 0.99).all()
    unknowns, fixed = problem(2.0, 20.0, 0.0, MEASURED, 0.0)
    taken = design(unknowns, *fixed)[2]
    weights = fixed[1]
    across = weights[:, 0] * math.sin(math.radians(20)) ** 2
    twin = across / (across + weights[:, 1] * math.cos(math.radians(20)) ** 2)
    np.testing.assert_allclose(taken[:2], twin[:2], atol=0.05)


@pytest.mark.parametrize(("ke", "polar"), [(2.5, 70.0), (1.8, 125.0), (8.0, 75.0)])
def test_the_fit_of_nodes_goes_back_to_their_trajectory(ke: float, polar: float) -> None:
    unknowns, fixed = problem(ke, polar, 0.0, MEASURED if ke < 5 else UNMEASURED, 0.0)
    spread = np.array([0.5, 0.5, 1.0, 0.003, 0.005, 0.005])
    off = unknowns.copy()
    off[:N_PARAMETERS] += spread * np.array([1, -1, 1, 1, -1, 1])
    wide = np.full(len(unknowns), 1e4)
    wide[N_PARAMETERS:] = LARGEST_KICK
    fixed = (*fixed[:6], 1e3, *fixed[7:])  # a wide beam: the vertex is where the nodes say
    found = _gauss_newton(off, fixed, Bounds(-wide, wide, np.ones(len(unknowns), np.bool_)))
    assert found is not None
    values, covariance = found.unknowns, found.covariance
    whole = np.linalg.inv(_curvature(found.rows))
    np.testing.assert_allclose(covariance, whole[:N_PARAMETERS, :N_PARAMETERS], rtol=1e-6, atol=1e-12)
    sigma = np.sqrt(np.diag(whole))
    assert (np.abs(values - unknowns)[:N_PARAMETERS] < 0.3 * sigma[:N_PARAMETERS]).all()
    # a kick is not known better than before it was looked for, nor worse
    assert (sigma[N_PARAMETERS:] <= 1 + 1e-9).all()
    assert (sigma[N_PARAMETERS:] > 0.2).all()


def test_fixed_parameters_have_no_error_and_bounds_hold() -> None:
    unknowns, fixed = problem(2.5, 70.0, 0.0, MEASURED, 0.0)
    wide = np.full(len(unknowns), 1e4)
    upper, free = wide.copy(), np.ones(len(unknowns), np.bool_)
    upper[2], free[5] = 499.0, False
    start = unknowns.copy()
    start[2] = 498.0
    found = _gauss_newton(start, fixed, Bounds(-wide, upper, free))
    assert found is not None
    values, covariance = found.unknowns, found.covariance
    assert values[2] <= 499.0
    assert values[5] == start[5]
    assert not covariance[5].any()
