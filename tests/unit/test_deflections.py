"""What a kick does to the rest of a trajectory, against trajectories that are kicked."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spyral_core.fitting.curve import curve_point
from spyral_core.fitting.deflections import add_kicks, effects_of
from spyral_core.fitting.deviation import change_of_place
from spyral_core.fitting.sensitivity import N_PARAMETERS, follow_kicked, start_of, trajectory_and_changes
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of
from spyral_core.physics.nuclei import brho_from_ke

GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
VOLUME, FRAME = np.array([320.0, -300.0, 1300.0]), np.zeros(1)
SMALL = np.array([[1e-3, 1e-3, 0.1]])  # rad, rad, mm
TURN, LIFT, LENGTHEN = range(3)


def at_way(path: np.ndarray, states: np.ndarray, way: float) -> np.ndarray:
    cell = min(max(int(np.searchsorted(path, way)) - 1, 0), len(path) - 2)
    return np.array(curve_point(path, states, cell, (way - path[cell]) / (path[cell + 1] - path[cell])))


@pytest.mark.parametrize("polar", [30.0, 75.0, 89.9, 90.5, 120.0, 155.0])
@pytest.mark.parametrize(("nucleus", "ke"), [((1, 1), 3.0), ((1, 2), 4.0), ((1, 2), 12.0), ((2, 4), 9.0)])
@pytest.mark.parametrize("kind", [TURN, LIFT, LENGTHEN])
def test_a_small_kick_moves_the_track_behind_it_as_combined_changes_do(
    nucleus: tuple[int, int], ke: float, polar: float, kind: int
) -> None:
    motion = motion_of(GAS, *nucleus, 2.85, 45000.0)
    tables = (motion.constants, motion.log_ke, motion.slope)
    parameters = np.array([2.0, -1.0, 500.0, math.log(float(brho_from_ke(ke, *nucleus))), math.radians(polar), 0.7])
    path, states, changes, _ = trajectory_and_changes(parameters, FRAME, VOLUME, *tables)
    start = start_of(parameters, FRAME, (tables[0][1], tables[0][0]))
    for place in (0.2 * path[-1], 0.55 * path[-1]):
        places = np.array([place])
        effects = effects_of(places, SMALL, path, states, changes)
        kicks = np.zeros((1, 3))
        kicked = []
        for sign in (1, -1):
            kicks[0, kind] = sign * SMALL[0, kind]
            kicked.append(follow_kicked(start, VOLUME, places, kicks, *tables)[:2])
        ways = np.linspace(place + 1, path[-1] - 3 * SMALL[0, LENGTHEN] - 2.0, 12)
        twins, found = [], []
        for way in ways:
            cell = min(max(int(np.searchsorted(path, way)) - 1, 0), len(path) - 2)
            change = np.empty((N_PARAMETERS + 3, 3))
            change_of_place(
                cell, (way - path[cell]) / (path[cell + 1] - path[cell]), path, changes, change[:N_PARAMETERS]
            )
            add_kicks(way, *effects, change)
            found.append(change[N_PARAMETERS + kind])
            twins.append((at_way(*kicked[0], way) - at_way(*kicked[1], way)) / 2)
        scale = np.abs(twins).max()
        np.testing.assert_allclose(found, twins, atol=0.02 * scale)


def test_before_a_kick_and_beyond_the_trajectory_nothing_moves() -> None:
    motion = motion_of(GAS, 1, 2, 2.85, 45000.0)
    tables = (motion.constants, motion.log_ke, motion.slope)
    parameters = np.array([2.0, -1.0, 500.0, math.log(float(brho_from_ke(4.0, 1, 2))), 1.2, 0.7])
    path, states, changes, _ = trajectory_and_changes(parameters, FRAME, VOLUME, *tables)
    shares, own, first = effects_of(np.array([50.0, path[-1] + 5]), np.ones((2, 3)), path, states, changes)
    assert first[:3].tolist() == [50.0] * 3
    assert np.isinf(first[3:]).all()
    assert not shares[3:].any()
    change = np.ones((N_PARAMETERS + 6, 3))
    add_kicks(49.0, shares, own, first, change)
    assert not change[N_PARAMETERS:].any()
    add_kicks(path[-1], shares, own, first, change)
    assert not change[N_PARAMETERS + 3 :].any()


def test_at_its_own_place_a_kick_has_not_moved_anything() -> None:
    motion = motion_of(GAS, 1, 2, 2.85, 45000.0)
    tables = (motion.constants, motion.log_ke, motion.slope)
    parameters = np.array([2.0, -1.0, 500.0, math.log(float(brho_from_ke(4.0, 1, 2))), 1.2, 0.7])
    path, states, changes, _ = trajectory_and_changes(parameters, FRAME, VOLUME, *tables)
    cell = 7
    place = 0.4 * path[cell] + 0.6 * path[cell + 1]
    effects = effects_of(np.array([place]), SMALL, path, states, changes)
    change = np.empty((N_PARAMETERS + 3, 3))
    change_of_place(cell, 0.6, path, changes, change[:N_PARAMETERS])
    add_kicks(place + 1e-9, *effects, change)
    np.testing.assert_allclose(change[N_PARAMETERS:], 0.0, atol=1e-9)
