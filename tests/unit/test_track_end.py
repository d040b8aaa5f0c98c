"""Where a stopping track ends, from its last pads and the silent ones behind them."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.fitting.nodes import gather
from spyral_core.fitting.settings import Track
from spyral_core.fitting.track_end import LARGEST_SHIFT, LEAST_SIGMA, NOT_MEASURED, end_of
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of, trajectory

Array = NDArray[np.float64]
GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
STRAIGHT = motion_of(GAS, 1, 2, 1e-4, 0.0)
TABLES = (STRAIGHT.constants, STRAIGHT.log_ke, STRAIGHT.slope)
DIFFUSION, LENGTH, KE = 0.0123, 1000.0, 1.8  # mm, mm, MeV


def line(angle: float, further: float, polar: float) -> tuple[Array, Array]:
    """A track that stops at 150 mm from the axis, or `further` along itself."""
    along = np.array([math.sin(polar) * math.cos(angle), math.sin(polar) * math.sin(angle), math.cos(polar)])
    length = float(GAS.stopping(1, 2).range(KE))
    end = np.array([150 * math.cos(angle + 0.4), 150 * math.sin(angle + 0.4), 480.0])
    start = np.array([*(end + (further - length) * along), KE, polar, angle])
    path, states, stops = trajectory(STRAIGHT, start, (400.0, -1e3, 2e3))
    assert stops
    return path, states


def measured(
    track: Track, lit_pads: ModuleType, path: Array, states: Array, used: NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """Shift and standard deviation of the end of a trajectory."""
    plane, seen = lit_pads.plane(), lit_pads.seen(track, STRAIGHT, path, states, DIFFUSION)
    *_, level, noise = gather(
        seen.place, seen.beyond, seen.deviation, seen.direction, track.charge, seen.expected, 12.0, seen.drift,
        DIFFUSION, 0.0,
    )  # fmt: skip
    found: tuple[float, float] = end_of(
        seen.place, seen.beyond, seen.expected, track.points, track.charge, track.pads, DIFFUSION, level, noise, path,
        states, plane.xy, plane.corners, plane.used if used is None else used, LENGTH, *TABLES,
    )  # fmt: skip
    return found


def found_of(lit_pads: ModuleType, shift: float, rounds: int, seeds: int) -> tuple[Array, Array]:
    """Where the ends of tracks that go on for `shift` mm are found, and the errors stated.

    In each round the trajectory is moved to where the end was found before, as in a fit.
    """
    ends, sigmas = [], []
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        angle, polar = generator.uniform(-3, 3), math.radians(generator.uniform(60, 120))
        track = lit_pads.track_of(*lit_pads.charge_on(STRAIGHT, *line(angle, shift, polar), 1.0), DIFFUSION, generator)
        end, sigma = 0.0, NOT_MEASURED
        for _ in range(rounds):
            further, sigma = measured(track, lit_pads, *line(angle, end, polar))
            end += further
        assert sigma >= LEAST_SIGMA
        ends.append(end)
        sigmas.append(sigma)
    return np.array(ends), np.array(sigmas)


@pytest.mark.parametrize("shift", [-2.0, -1.0, 1.0, 2.0])
def test_an_end_before_or_behind_the_trajectorys_is_found(lit_pads: ModuleType, shift: float) -> None:
    once, sigma = found_of(lit_pads, shift, 1, 30)
    assert 0.5 < np.median(once / shift) < 1.3
    assert np.median(sigma) < 0.6
    again, _ = found_of(lit_pads, shift, 3, 30)
    assert np.median(again) == pytest.approx(shift, abs=0.5)


def test_its_error_is_that_of_simulated_tracks(lit_pads: ModuleType) -> None:
    ends, sigmas = found_of(lit_pads, 0.0, 3, 60)
    pulls = ends / sigmas
    width = np.subtract(*np.percentile(pulls, [84.1, 15.9])) / 2
    assert 0.6 < width < 1.5
    assert abs(np.median(ends)) < 0.5  # mm


def test_it_moves_by_no_more_than_pads_can_tell(lit_pads: ModuleType) -> None:
    for shift in (-30.0, 30.0):
        ends, _ = found_of(lit_pads, shift, 1, 10)
        assert (np.abs(ends) <= LARGEST_SHIFT).all()


def test_among_pads_that_are_not_read_no_end_is_measured(lit_pads: ModuleType) -> None:
    path, states = line(0.2, 0.0, 1.6)
    plane = lit_pads.plane()
    track = lit_pads.track_of(*lit_pads.charge_on(STRAIGHT, path, states, 1.0), DIFFUSION, np.random.default_rng(1))
    distance = np.linalg.norm(plane.xy - states[-1, :2], axis=1)
    lit = np.isin(np.arange(len(plane.xy)), track.pads)
    silent = np.flatnonzero(~lit & (distance < 12))
    used = plane.used.copy()
    used[silent[0]] = False
    assert measured(track, lit_pads, path, states, used)[1] == NOT_MEASURED
    far = plane.used & ~((distance > 15) & ~lit)
    assert measured(track, lit_pads, path, states, far)[1] != NOT_MEASURED


def test_two_pads_tell_no_end(lit_pads: ModuleType) -> None:
    path, states = line(0.2, 0.0, 1.6)
    track = lit_pads.track_of(*lit_pads.charge_on(STRAIGHT, path, states, 1.0), DIFFUSION, np.random.default_rng(1))
    far = np.linalg.norm(track.points[:, :2] - states[-1, :2], axis=1)
    keep = np.concatenate([np.flatnonzero(far > 60), np.argsort(far)[:2]])
    few = Track(track.points[keep], track.charge[keep], track.scale[keep], track.pads[keep])
    assert measured(few, lit_pads, path, states)[1] == NOT_MEASURED


def test_the_silence_behind_the_end_counts(lit_pads: ModuleType) -> None:
    """Of a trajectory that goes on over silent pads the end is pulled back; less so, where fewer of these exist."""
    plane = lit_pads.plane()
    with_silence, without = [], []
    for seed in range(20):
        track = lit_pads.track_of(
            *lit_pads.charge_on(STRAIGHT, *line(0.9, 0.0, 1.5), 1.0), DIFFUSION, np.random.default_rng(seed)
        )
        longer = line(0.9, 4.0, 1.5)
        far = np.linalg.norm(plane.xy - longer[1][-1, :2], axis=1) > 12.6
        close = plane.used & (~far | np.isin(np.arange(len(plane.xy)), track.pads))
        with_silence.append(measured(track, lit_pads, *longer))
        without.append(measured(track, lit_pads, *longer, used=close))
    assert np.median(with_silence, axis=0)[0] < -1.5
    assert np.median(with_silence, axis=0)[1] <= np.median(without, axis=0)[1]
