"""A spiral's turns: how many, how far along the beam, and from a wrong number of them to the right one."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest

from spyral_core.fitting.fit import fit_track
from spyral_core.fitting.follow import follow
from spyral_core.fitting.refine import at_rest, refine
from spyral_core.fitting.robust import encode, parametrisation, robust_minimum, weights_of
from spyral_core.fitting.scattering import Fluctuations, fluctuations
from spyral_core.fitting.sensitivity import LOG_BRHO
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.fitting.turns import decode, length_of, neighbour, settled, turns_of
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of
from spyral_core.physics.nuclei import brho_from_ke

FIELD = 3.0  # T
GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 600.0})
DIFFUSION = 2 * 0.277 / 45  # mm


@pytest.fixture(scope="module")
def settings(lit_pads: ModuleType) -> FitSettings:
    """Of protons without scattering."""
    made: FitSettings = lit_pads.fit_settings(motion_of(GAS, 1, 1, FIELD, 45000.0), (1, 1), DIFFUSION)
    return made


def truth(ke: float, polar: float) -> np.ndarray:
    """Parameters of a proton from the axis."""
    return np.array([0.0, 0.0, 400.0, math.log(float(brho_from_ke(ke, 1, 1))), math.radians(polar), 0.5])


def seen(lit_pads: ModuleType, settings: FitSettings, at: np.ndarray, noise: Fluctuations, seed: int) -> Track:
    """A spiral as the pads see it, each turn for itself: turns that cross a pad again light it again."""
    generator = np.random.default_rng(seed)
    ke = 0.5 * (math.exp(at[LOG_BRHO]) * 299.792458) ** 2 / 938.272  # MeV, near enough
    start = np.array([*at[:3], ke, *at[4:]])
    places, losses = lit_pads.particle(settings.motion, start, noise, generator)
    cuts = np.arange(0, len(places) + 60, 60)  # mm of path: less than the smallest turn
    parts = [
        lit_pads.track_of(places[a:b], losses[a:b], DIFFUSION, generator) for a, b in pairwise(cuts) if a < len(places)
    ]
    return Track(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("points", "charge", "scale", "pads"))
    )


def first_of(at: np.ndarray) -> FirstEstimate:
    return FirstEstimate((at[0], at[1], at[2]), math.exp(at[LOG_BRHO]), at[4], at[5])


def test_turns_without_energy_loss_have_the_pitch_of_a_helix(settings: FitSettings) -> None:
    thin = motion_of(parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 0.05}), 1, 1, FIELD, 0.0)
    free = replace(settings, motion=thin)
    at = truth(2.0, 60.0)
    pitch = 2e3 * math.pi * math.exp(at[LOG_BRHO]) / FIELD * math.cos(at[4])
    assert turns_of(at, free) == pytest.approx((1050.0 - 400.0) / pitch, rel=0.01)
    assert length_of(1.5, at, free) == pytest.approx(1.5 * pitch, rel=0.05)
    assert length_of(100.0, at, free) == pytest.approx(650.0, rel=0.01)


@pytest.mark.parametrize(("polar", "off"), [(88.0, -0.16), (86.0, 0.2)])
def test_a_wrong_number_of_turns_is_put_right(
    lit_pads: ModuleType, settings: FitSettings, polar: float, off: float
) -> None:
    at = truth(5.8, polar)
    track = seen(lit_pads, settings, at, Fluctuations(0.0, 0.0), 3)
    weights = weights_of(track, settings)
    start = at.copy()
    start[LOG_BRHO] += off
    wrong = robust_minimum(first_of(start), track.points, weights, settings)
    assert abs(wrong.parameters[LOG_BRHO] - at[LOG_BRHO]) > 0.03, "a minimum with another number of turns"
    found = settled(wrong, track, weights, settings)
    assert abs(found.parameters[LOG_BRHO] - at[LOG_BRHO]) < 0.005


@pytest.mark.parametrize(("polar", "more"), [(89.9, 1), (90.1, 1), (90.3, 2)])
def test_a_turn_that_lights_no_pads_is_one_too_many(
    lit_pads: ModuleType, settings: FitSettings, polar: float, more: int
) -> None:
    """The turns of a flat spiral lie on each other: as many and one more pass its points equally well."""
    at = truth(5.8, polar)
    track = seen(lit_pads, settings, at, Fluctuations(0.0, 0.0), 3)
    weights = weights_of(track, settings)
    right = robust_minimum(first_of(at), track.points, weights, settings)
    wrong = right
    for _ in range(more):
        further = neighbour(wrong.parameters, 1, track, weights, settings)
        assert further is not None
        wrong = further
    assert turns_of(wrong.parameters, settings) == pytest.approx(turns_of(at, settings) + more, abs=0.1)
    assert wrong.value < 1.2 * right.value
    found = settled(wrong, track, weights, settings)
    assert turns_of(found.parameters, settings) == pytest.approx(turns_of(at, settings), abs=0.1)
    assert abs(found.parameters[LOG_BRHO] - at[LOG_BRHO]) < 0.01


def test_a_neighbour_starts_from_the_same_vertex_whatever_is_fitted_of_it(
    lit_pads: ModuleType, settings: FitSettings
) -> None:
    """The first two parameters are x and y, or distance and azimuth."""
    at = truth(5.8, 88.0)
    track = seen(lit_pads, settings, at, Fluctuations(0.0, 0.0), 3)
    weights, polar = weights_of(track, settings), replace(settings, free=(False, True, True))
    vertex = np.array([4.0, -3.0])
    in_xy, in_polar = at.copy(), at.copy()
    in_xy[:2], in_polar[:2] = vertex, (5.0, math.atan2(-3.0, 4.0))
    for parameters, how in ((in_xy, settings), (in_polar, polar)):
        first = decode(parameters, parametrisation(how)[0])
        np.testing.assert_allclose(first.vertex, (*vertex, 400.0))
        np.testing.assert_allclose(encode(first, how), parameters)
    found = neighbour(in_polar, 1, track, weights, polar)
    assert found is not None
    assert found.parameters[0] == pytest.approx(5.0)


@pytest.mark.slow
def test_a_spiral_that_scattering_bends_is_followed(lit_pads: ModuleType, settings: FitSettings) -> None:
    """Where one minimum of the whole spiral is off by several errors, its turns one by one lead to the truth."""
    noisy = replace(settings, fluctuations=fluctuations(GAS))
    at, parted = truth(7.0, 84.5), 0
    for seed in range(6):
        track = seen(lit_pads, noisy, at, noisy.fluctuations, seed)
        weights = weights_of(track, noisy)
        at_once = refine(
            track, weights, at_rest(robust_minimum(first_of(at), track.points, weights, noisy).parameters), noisy
        )
        assert at_once is not None
        parted += abs(at_once.motion.parameters[LOG_BRHO] - at[LOG_BRHO]) > 4 * math.sqrt(at_once.covariance[3, 3])
        followed = follow(track, weights, first_of(at), noisy)
        assert followed is not None
        error = math.sqrt(followed.covariance[LOG_BRHO, LOG_BRHO])
        assert abs(followed.motion.parameters[LOG_BRHO] - at[LOG_BRHO]) < 4 * error < 0.02
        found = fit_track(track, first_of(at), noisy)
        assert found is not None
        assert abs(found.values[LOG_BRHO] - at[LOG_BRHO]) < 0.01
    print(f"{parted} of 6 spirals part from the fit of the whole")


def test_a_short_track_has_nothing_to_be_followed(lit_pads: ModuleType, settings: FitSettings) -> None:
    at = truth(1.0, 60.0)
    track = seen(lit_pads, settings, at, Fluctuations(0.0, 0.0), 1)
    assert follow(track, weights_of(track, settings), first_of(at), settings) is None
