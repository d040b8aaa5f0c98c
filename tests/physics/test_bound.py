"""The bound of the charge pattern: laws that it must obey, and closed forms where there are some."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.bound.conditions import Conditions, conditions_of
from spyral_core.bound.information import bound_of, cells_of, censored_information, information_of
from spyral_core.bound.scan import starts
from spyral_core.bound.slices import slices_of
from spyral_core.config import validate
from spyral_core.physics.motion import Motion, derivative, motion_of, start_state
from spyral_core.physics.nuclei import brho_from_ke

ROOT = Path(__file__).parents[2]
DEUTERON = (1, 2)
STOPPING, ESCAPING, STEEP = (3.0, 80.0), (12.0, 65.0), (3.5, 150.0)  # MeV, deg
Array = NDArray[np.float64]


@cache
def detector() -> Conditions:
    """600 torr of deuterium at 3 T, as the embedded experiment reads it out."""
    gas = str(ROOT / "config/gas/deuterium_300torr.json")
    found = conditions_of(validate({"simulate": {"gas": gas, "detector": {"magnetic_field": 3.0}}}))
    return replace(found, gas=replace(found.gas, pressure=600.0))


def ideal(**changes: Any) -> Conditions:
    """The same without noise, scattering or straggling, its electrons independent of each other."""
    quiet = replace(
        detector().readout, noise=0.01, threshold=1e-3, time_noise=0.0, gain_spread=0.0, gain_drift=0.0
    )  # fmt: skip
    clean = {"scattering": False, "straggling": False, "fano_factor": 1.0, "together": math.inf, "readout": quiet}
    return replace(detector(), **{**clean, **changes})


def start(case: tuple[float, float]) -> Array:
    return np.array([2.0, -3.0, 800.0 if case[1] > 90 else 500.0, case[0], math.radians(case[1]), 0.7])


def track(at: Array, conditions: Conditions) -> tuple[Array, Motion]:
    """Parameters and motion as `slices_of` takes them."""
    parameters = np.array([*at[:3], math.log(float(brho_from_ke(at[3], *DEUTERON))), *at[4:]])
    return parameters, motion_of(conditions.gas, *DEUTERON, conditions.magnetic_field, conditions.electric_field)


def sigmas(at: Array, conditions: Conditions) -> Array:
    found = bound_of(DEUTERON, at, conditions)
    assert found is not None
    return np.array([found.ke, found.polar, found.vertex_z])


def pad_charges(parameters: Array, motion: Motion, conditions: Conditions) -> Array:
    """Charge of each pad over all its cells."""
    cells = cells_of(slices_of(parameters, motion, conditions), conditions)
    return np.bincount(cells.pad, cells.charge, len(conditions.scale)).astype(np.float64)


@pytest.mark.parametrize("case", [STOPPING, ESCAPING, STEEP])
@pytest.mark.parametrize("parameter", [0, 1, 3, 4, 5])
def test_charges_change_with_the_start_as_the_derivatives_say(case: tuple[float, float], parameter: int) -> None:
    conditions = ideal()
    parameters, motion = track(start(case), conditions)
    cells = cells_of(slices_of(parameters, motion, conditions), conditions)
    stated = np.bincount(cells.pad, cells.charge_changes[:, parameter], len(conditions.scale))
    step = np.zeros(6)
    step[parameter] = 0.05 if parameter < 3 else 2e-4
    seen = pad_charges(parameters + step, motion, conditions) - pad_charges(parameters - step, motion, conditions)
    seen /= 2 * step[parameter]
    assert np.sqrt(np.mean((seen - stated) ** 2)) < 0.06 * np.sqrt(np.mean(seen**2))


@pytest.mark.parametrize("case", [STOPPING, ESCAPING])
def test_nothing_but_the_beam_spot_tells_where_on_its_own_track_a_particle_started(case: tuple[float, float]) -> None:
    conditions = detector()
    at = start(case)
    parameters, motion = track(at, conditions)
    state, loss = np.empty(7), float(conditions.gas.stopping(*DEUTERON).dedx(at[3]))
    start_state(at, *tables(motion), state)
    bx, by, bz, shorter = derivative(*state[3:], *tables(motion))
    mass = float(motion.constants[1])
    sine = math.sin(at[4])
    along = np.array(  # a millimetre further on its track, as a change of the parameters
        [
            *state[3:6],
            loss * shorter * (at[3] + mass) / (at[3] * (at[3] + 2 * mass)),
            -bz / sine,
            (state[3] * by - state[4] * bx) / sine**2,
        ]
    )
    information = information_of(parameters, motion, conditions)
    assert abs(along @ information @ along) < 0.004  # 1/mm²; a beam spot of 5 mm tells 0.04
    assert along[:2] @ information[:2, :2] @ along[:2] > 1.0


def tables(motion: Motion) -> tuple[Array, Array, Array]:
    return motion.constants, motion.log_ke, motion.slope


def test_a_straight_line_of_n_electrons_is_known_to_their_spread_over_root_n() -> None:
    conditions = ideal(magnetic_field=1e-4, electric_field=1.0, diffusion=(0.3, 0.3))
    at = np.array([-180.0, 110.0, 520.0, 40.0, math.pi / 2, 0.0])
    parameters, motion = track(at, conditions)
    cells = cells_of(slices_of(parameters, motion, conditions), conditions)
    spread = math.sqrt(0.3 * 480.0)  # mm, larger than a pad
    expected = spread * math.sqrt((1.0 + conditions.gain_variance) / cells.charge.sum())
    assert 1 / math.sqrt(information_of(parameters, motion, conditions)[1, 1]) == pytest.approx(expected, rel=0.1)


def test_the_rigidity_of_a_uniform_track_is_known_as_gluckstern_says() -> None:
    """σ(κ) = ε/L² √(720/(N + 4)), for many points (NIM 24 (1963) 381): errors ε²/N → variance of the cloud over n."""
    conditions = ideal(diffusion=(0.12, 0.12), electric_field=1.0)
    conditions = replace(conditions, readout=replace(conditions.readout, gain_drift=1e3))  # no energy from dE/dx
    at = np.array([0.0, 0.0, 500.0, 60.0, math.pi / 2, 0.3])
    parameters, motion = track(at, conditions)
    cells = cells_of(slices_of(parameters, motion, conditions), conditions)
    radius = float(brho_from_ke(60.0, *DEUTERON)) / conditions.magnetic_field * 1e3
    first, last = 20.0, 270.0  # where the pads begin and end
    variance = 0.12 * 500.0 * (1 + conditions.gain_variance) / cells.charge.sum()
    expected = radius * math.sqrt(720.0 * variance) / (last - first) ** 2
    information = information_of(parameters, motion, conditions)
    across = information[np.ix_([0, 1, 3, 5], [0, 1, 3, 5])]
    across[:2, :2] += np.eye(2) * 1e-6  # along the track nothing tells where it starts
    assert math.sqrt(np.linalg.inv(across)[2, 2]) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("case", [STOPPING, ESCAPING, STEEP])
def test_less_noise_or_scattering_never_hurts(case: tuple[float, float]) -> None:
    at, conditions = start(case), detector()
    readout = conditions.readout
    before = sigmas(at, conditions)
    for better in (
        replace(conditions, scattering=False),
        replace(conditions, straggling=False),
        replace(conditions, beam_spot=2.5),
        replace(conditions, diffusion=(conditions.diffusion[0], conditions.diffusion[1] / 2)),
        replace(conditions, gain_variance=0.0),
        replace(conditions, together=math.inf),
        replace(conditions, readout=replace(readout, threshold=readout.threshold / 2)),
        replace(conditions, readout=replace(readout, noise=readout.noise / 2, time_noise=readout.time_noise / 2)),
        replace(conditions, readout=replace(readout, gain_spread=0.02, gain_drift=0.01)),
        replace(conditions, readout=replace(readout, offset_big=0.2, offset_small=0.2)),
        replace(conditions, pads=np.arange(len(conditions.scale))),  # no hole for the beam
    ):
        assert (sigmas(at, better) < before * (1 + 1e-6)).all()


@pytest.mark.parametrize("case", [STOPPING, ESCAPING, STEEP])
def test_the_covariance_is_one(case: tuple[float, float]) -> None:
    found = bound_of(DEUTERON, start(case), detector())
    assert found is not None
    size = np.sqrt(np.diag(found.covariance))
    correlation = found.covariance / np.outer(size, size)
    assert correlation == pytest.approx(correlation.T)
    assert np.linalg.eigvalsh(correlation)[0] > 0.0


def test_the_information_of_two_halves_of_the_pads_adds_up() -> None:
    conditions = ideal()
    parameters, motion = track(start(ESCAPING), conditions)
    halves = [
        information_of(parameters, motion, replace(conditions, pads=conditions.pads[part::2])) for part in range(2)
    ]
    whole = information_of(parameters, motion, conditions)
    size = np.sqrt(np.diag(whole))
    assert (halves[0] + halves[1]) / np.outer(size, size) == pytest.approx(whole / np.outer(size, size), abs=1e-9)


@pytest.mark.parametrize("case", [STOPPING, ESCAPING])
def test_no_azimuth_is_better_than_another_on_average(case: tuple[float, float]) -> None:
    conditions = detector()
    draws = starts(case[0], math.radians(case[1]), 500.0, 5.0)
    means = []
    for turn in (0.0, 1.0, 2.0):
        turned = draws.copy()
        turned[:, :2] = draws[:, :2] @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        turned[:, 5] += turn
        means.append(np.mean([sigmas(at, conditions) for at in turned], axis=0))
    assert np.ptp(means, axis=0) / np.mean(means, axis=0) == pytest.approx(0.0, abs=0.12)


def test_a_track_that_no_pad_sees_has_no_bound() -> None:
    assert bound_of(DEUTERON, start((0.1, 90.0)), detector()) is None
    assert bound_of(DEUTERON, start((1e-3, 90.0)), detector()) is None
    for place in ((0.0, 0.0, -5.0), (0.0, 0.0, 1000.0), (400.0, 0.0, 500.0)):
        assert bound_of(DEUTERON, np.array([*place, 5.0, 1.2, 0.3]), detector()) is None


def test_a_silent_pad_tells_what_the_likelihood_of_it_tells() -> None:
    """Against the expected square of the derivative of the logarithm of the likelihood, summed over outcomes."""
    from scipy.stats import norm

    for below in (-4.0, -1.0, 0.0, 1.5, 3.0):
        value = np.linspace(below, below + 12, 400_001)
        seen = np.trapezoid(value**2 * norm.pdf(value), value)
        silent = norm.pdf(below) ** 2 / norm.cdf(below)
        assert censored_information(np.array([below]))[0] == pytest.approx(seen + silent, rel=1e-6)
