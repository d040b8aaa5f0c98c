"""How trajectories change with their parameters and with kicks, against trajectories that were changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.curve import curve_point, curve_tangent
from spyral_core.fitting.deviation import (
    EDGE,
    change_of_place,
    follow_end,
    is_visible,
    project,
    silent_length,
    silent_share,
)
from spyral_core.fitting.sensitivity import (
    follow_kicked,
    kick,
    repeat_steps,
    start_of,
    trajectory_and_changes,
)
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of, trajectory
from spyral_core.physics.nuclei import brho_from_ke

GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
VOLUME = np.array([320.0, -50.0, 1050.0])
NUCLEI = [(1, 1), (1, 2), (2, 4)]
STEPS = np.array([1e-2, 1e-4, 1e-2, 1e-5, 1e-5, 1e-4])


def tables_of(Z: int, A: int) -> tuple[NDArray[np.float64], ...]:
    motion = motion_of(GAS, Z, A, 2.85, 45000.0)
    return motion.constants, motion.log_ke, motion.slope


def parameters_of(Z: int, A: int, ke: float, polar: float, frame: float) -> NDArray[np.float64]:
    across = (3.0, -4.0) if frame == 0.0 else (5.0, 0.9)
    return np.array([*across, 500.0, math.log(float(brho_from_ke(ke, Z, A))), math.radians(polar), 0.7])


def test_the_start_has_the_energy_of_its_brho() -> None:
    for Z, A in NUCLEI:
        constants, *_ = tables_of(Z, A)
        for ke in (0.5, 5.0, 50.0):
            start = start_of(parameters_of(Z, A, ke, 60.0, 0.0), np.zeros(1), (constants[1], constants[0]))
            np.testing.assert_allclose(start, [3, -4, 500, ke, math.radians(60), 0.7], rtol=1e-12)
    turned = start_of(parameters_of(1, 2, 5.0, 60.0, 1.0), np.ones(1), (constants[1], constants[0]))
    np.testing.assert_allclose(turned[:2], [5 * math.cos(0.9), 5 * math.sin(0.9)])


@pytest.mark.parametrize("frame", [0.0, 1.0])
@pytest.mark.parametrize("polar", [35.0, 88.0, 140.0])
@pytest.mark.parametrize("nucleus", NUCLEI)
def test_changes_are_differences_of_whole_trajectories(nucleus: tuple[int, int], polar: float, frame: float) -> None:
    tables, how = tables_of(*nucleus), np.array([frame])
    mass_charge = (tables[0][1], tables[0][0])
    parameters = parameters_of(*nucleus, 4.0, polar, frame)
    path, states, changes, stops = trajectory_and_changes(parameters, how, VOLUME, *tables)
    twin_path, twin_states, twin_stops = trajectory(
        motion_of(GAS, *nucleus, 2.85, 45000.0), start_of(parameters, how, mass_charge), tuple(VOLUME)
    )
    assert np.array_equal(path, twin_path)
    assert np.array_equal(states, twin_states)
    assert stops == twin_stops
    # where little range is left nothing is linear in a change of the range
    whole = states[:, 6] > 30.0
    for k, step in enumerate(STEPS):
        shifted = []
        for sign in (1, -1):
            other, at = np.empty_like(states), parameters.copy()
            at[k] += sign * step
            repeat_steps(start_of(at, how, mass_charge), path, *tables, other)
            shifted.append(other)
        twin = (shifted[0] - shifted[1]) / (2 * step)
        for part in (slice(0, 3), slice(3, 6), slice(6, 7)):
            scale = np.abs(twin[whole, part]).max()
            np.testing.assert_allclose(
                changes[k][whole, part], twin[whole, part], atol=3e-3 * scale + 1e-8, err_msg=f"{k} {part}"
            )


def test_a_kick_turns_and_lengthens_as_it_says() -> None:
    generator = np.random.default_rng(4)
    for _ in range(50):
        polar, azimuth = generator.uniform(0.2, 2.9), generator.uniform(-3, 3)
        unit = np.array([math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)])
        turn, lift, lengthen = generator.normal(scale=1e-4, size=3)
        state = np.array([1.0, 2.0, 3.0, *unit, 50.0])
        kick(state, turn, lift, lengthen)
        x, y, z = state[3:6]
        assert np.linalg.norm(state[3:6]) == pytest.approx(1.0)
        assert math.acos(z) - polar == pytest.approx(lift, abs=1e-6)
        assert math.remainder(math.atan2(y, x) - azimuth, 2 * math.pi) * math.sin(polar) == pytest.approx(
            turn, abs=1e-6
        )
        np.testing.assert_array_equal(state[:3], [1, 2, 3])
        assert state[6] == 50.0 + lengthen


def test_without_kicks_the_trajectory_is_the_plain_one() -> None:
    tables, start = tables_of(1, 2), np.array([1.0, 2.0, 500.0, 6.0, 1.2, 0.3])
    motion = motion_of(GAS, 1, 2, 2.85, 45000.0)
    plain, plain_states, plain_stops = trajectory(motion, start, tuple(VOLUME))
    path, states, stops = follow_kicked(start, VOLUME, np.empty(0), np.empty((0, 3)), *tables)
    assert np.array_equal(path, plain)
    assert np.array_equal(states, plain_states)
    assert stops == plain_stops
    # steps that end where kicks are, kicks that are none
    places = np.array([10.0, 33.3, 150.0, 1e9])
    path, states, stops = follow_kicked(start, VOLUME, places, np.zeros((4, 3)), *tables)
    assert set(places[:3]) <= set(path)
    assert stops == plain_stops
    assert path[-1] + states[-1, 6] == pytest.approx(plain[-1] + plain_states[-1, 6], abs=1e-3)
    assert np.linalg.norm(states[-1, :3] - plain_states[-1, :3]) < 0.01


def test_a_kicked_particle_goes_on_from_where_it_was_kicked() -> None:
    motion = motion_of(GAS, 1, 2, 2.85, 0.0)  # without an electric field the range is the path
    tables, start = (motion.constants, motion.log_ke, motion.slope), np.array([1.0, 2.0, 500.0, 2.0, 1.2, 0.3])
    places, kicks = np.array([40.0]), np.array([[0.05, -0.03, 12.0]])
    plain, plain_states, _ = follow_kicked(start, VOLUME, places, 0 * kicks, *tables)
    path, states, _ = follow_kicked(start, VOLUME, places, kicks, *tables)
    at = int(np.flatnonzero(path == 40.0)[0])
    np.testing.assert_array_equal(states[:at], plain_states[:at])
    np.testing.assert_array_equal(states[at, :3], plain_states[at, :3])
    assert states[at, 6] - plain_states[at, 6] == pytest.approx(12.0)
    assert path[-1] - plain[-1] == pytest.approx(12.0, abs=0.01)


def test_the_changes_of_a_place_are_those_of_the_curve() -> None:
    tables, frame = tables_of(1, 2), np.zeros(1)
    parameters = parameters_of(1, 2, 4.0, 70.0, 0.0)
    path, states, changes, _ = trajectory_and_changes(parameters, frame, VOLUME, *tables)
    change, place = np.empty((6, 3)), (len(path) // 2, 0.3)
    change_of_place(*place, path, changes, change)
    for k, step in enumerate(STEPS):
        ends = []
        for sign in (1, -1):
            shifted = states + sign * step * changes[k]
            ends.append(np.array(curve_point(path, shifted, *place)))
        np.testing.assert_allclose(change[k], (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-6)


def test_what_is_left_of_a_change_is_across_the_curve() -> None:
    generator = np.random.default_rng(1)
    change, along = generator.normal(size=(5, 3)), np.empty(5)
    tangent, weight, weight_z = (0.6, 0.0, 0.8), 0.3, 2.0
    before, metric = change.copy(), np.array([weight, weight, weight_z])
    project(change, tangent, weight, weight_z, along)
    np.testing.assert_allclose(change @ (metric * tangent), 0.0, atol=1e-12)
    np.testing.assert_allclose(change + np.outer(along, tangent), before)
    follow_end(change, tangent, along)
    np.testing.assert_allclose(change, before)


def test_only_the_visible_part_beyond_the_last_point_is_silent() -> None:
    motion = motion_of(GAS, 1, 2, 2.85, 45000.0)
    path, states, _ = trajectory(motion, np.array([0.5, -1.0, 500.0, 6.0, math.radians(75), 0.4]), tuple(VOLUME))
    everything = np.array([0.0, 1e4, -1e4, 1e4])
    assert silent_length(path, states, 0.0, everything) == pytest.approx((path[-1], 1.0))
    assert silent_length(path, states, path[-1] - 50, everything) == pytest.approx((50, 1.0))
    assert silent_length(path, states, path[-1], everything) == (0.0, 1.0)
    assert silent_length(path, states, 0.0, np.array([0.0, 1e4, -1e4, -1e3])) == (0.0, 0.0)
    # the beam region lights no pads: about its radius is missing, on a curved way
    outside, _ = silent_length(path, states, 0.0, np.array([25.0, 1e4, -1e4, 1e4]))
    assert 20 < path[-1] - outside < 40
    assert is_visible(30.0, 0.0, 50.0, np.array([25.0, 270.0, 0.0, 1000.0]))
    assert not is_visible(10.0, 10.0, 50.0, np.array([25.0, 270.0, 0.0, 1000.0]))


def test_pulses_are_cut_where_the_record_begins_but_not_at_the_pads() -> None:
    visible = np.array([25.0, 270.0, 90.0, 1000.0])
    assert not is_visible(100.0, 0.0, 95.0, visible)
    assert is_visible(100.0, 0.0, 110.0, visible)
    assert is_visible(100.0, 0.0, 999.0, visible)


@pytest.mark.parametrize(
    ("ke", "polar", "visible"),
    [(1.8, 125.0, (25.0, 270.0, 240.0)), (1.8, 125.0, (65.0, 270.0, 0.0)), (1.0, 100.0, (25.0, 85.0, 0.0))],
    ids=["record", "beam", "rim"],
)
def test_how_far_an_unseen_end_lies_off_changes_no_silence(
    ke: float, polar: float, visible: tuple[float, float, float]
) -> None:
    """Particles that stop before the record begins, over the beam's hole, and beyond the rim of the pads."""
    motion = motion_of(GAS, 1, 2, 2.85, 45000.0)
    path, states, stops = trajectory(motion, np.array([0, 0, 500.0, ke, math.radians(polar), 0.4]), tuple(VOLUME))
    assert stops
    seen = np.array([*visible, 1000.0])
    length, by_range = silent_length(path, states, 40.0, seen)
    assert by_range == 0.0
    assert 20 < length < path[-1] - 45
    # the particle's last steps, farther on
    longer, farther = path.copy(), states.copy()
    longer[-1] += 5.0
    farther[-1, :3] += 5.0 * states[-1, 3:6]
    assert silent_length(longer, farther, 40.0, seen) == pytest.approx((length, 0.0), abs=0.1)
    everything = np.array([0.0, 1e4, -1e4, 1e4])
    assert silent_length(longer, farther, 40.0, everything) == pytest.approx((path[-1] + 5.0 - 40.0, 1.0))


def test_the_silent_length_ends_where_the_particle_gets_out_of_sight() -> None:
    """Within a step, too: on a straight track across the begin of the record."""
    path = np.array([0.0, 10.0, 50.0, 90.0])
    states = np.zeros((4, 7))
    states[:, 0], states[:, 2] = 100.0, 200.0 - path
    for begin in (95.0, 107.0, 120.0, 171.0):
        seen, _ = silent_length(path, states, 5.0, np.array([25.0, 270.0, begin, 1000.0]))
        assert seen == pytest.approx(200.0 - (begin + EDGE) - 5.0, abs=0.2)


def test_the_share_of_a_trajectory_that_is_dark() -> None:
    motion = motion_of(GAS, 1, 2, 2.85, 45000.0)
    path, states, _ = trajectory(motion, np.array([0.5, -1.0, 500.0, 6.0, math.radians(75), 0.4]), tuple(VOLUME))
    everywhere, nowhere = np.array([0.0, 1e4, -1e4, 1e4]), np.array([0.0, 1e4, -1e4, -1e3])
    places = np.arange(0.0, path[-1], 3.0)
    charge, late = np.ones(len(places)), places > 0.3 * path[-1]
    assert silent_share(path, states, places, charge, everywhere) == 0.0
    assert silent_share(path, states, places[late], charge[late], everywhere) == pytest.approx(0.3, abs=0.02)
    # a little charge from beside it is none of its own
    assert silent_share(path, states, places, np.where(late, 1.0, 0.1), everywhere) == pytest.approx(0.3, abs=0.02)
    assert silent_share(path, states, places, np.where(late, 1.0, 0.5), everywhere) == 0.0
    assert silent_share(path, states, places[:0], charge[:0], everywhere) == 1.0
    assert silent_share(path, states, places[:0], charge[:0], nowhere) == 0.0
    # nor is what nobody sees dark
    seen = np.array([0.0, 1e4, 500.0 - EDGE + 0.5 * (states[-1, 2] - 500.0), 1e4])
    assert silent_share(path, states, places[late], charge[late], seen) == 0.0


def test_the_tangent_of_the_curve_is_the_direction_of_the_particle() -> None:
    motion = motion_of(GAS, 1, 2, 2.85, 45000.0)
    path, states, _ = trajectory(motion, np.array([0.5, -1.0, 500.0, 6.0, math.radians(75), 0.4]), tuple(VOLUME))
    for cell in range(len(path) - 1):
        np.testing.assert_allclose(curve_tangent(path, states, cell, 0.0), states[cell, 3:6], atol=1e-12)
