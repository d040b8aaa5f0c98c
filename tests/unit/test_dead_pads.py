"""Pads that never fire are found where tracks pass, and only there."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.detector.neighbours import images, touching
from spyral_core.detector.pads import N_PADS, builtin, pads_at
from spyral_core.phases import survey
from spyral_core.signal import dead_pads as module
from spyral_core.signal.dead_pads import MOST_AT_CORNERS, MOST_BESIDE, N_PATTERNS, dead_pads, log_chance, once_an_event
from spyral_core.signal.faulty_pads import Hits, Places
from spyral_core.signal.silent_regions import events_in_regions, silent_regions, widened

PLANE = builtin()
PLACES = Places(PLANE.x, PLANE.y, ~PLANE.beam, PLANE.scale < 1)
RADIUS = np.hypot(PLANE.x, PLANE.y)
THRESHOLD = 40.0  # ADC
SHARE = 0.2
NONE = np.zeros(N_PADS, np.bool_)


def tracks(
    seed: int, n_events: int, reach: tuple[float, float] = (60.0, 300.0), offset: float = 0.0, side: float = math.pi
) -> Hits:
    """Pulses of three curved tracks an event from around the axis that end within a `reach` [mm], and of 15 noisy pads.

    The beam may stand `offset` mm from the axis, tracks may go to one `side` (± rad) alone. A pulse is of the charge
    that diffusion puts on the pad, so that pads at a track's edge often stay under threshold.
    """
    rng = np.random.default_rng(seed)
    number = 3 * n_events
    steps = np.arange(0.0, reach[1], 0.25)
    length = rng.uniform(*reach, (number, 1))
    angle = rng.uniform(-side, side, (number, 1)) + steps / rng.uniform(150, 600, (number, 1))
    x = offset + rng.normal(0, 3, (number, 1)) + np.cumsum(0.25 * np.cos(angle), axis=1)
    y = rng.normal(0, 3, (number, 1)) + np.cumsum(0.25 * np.sin(angle), axis=1)
    pads = pads_at((x + rng.normal(0, 1.5, x.shape)).ravel(), (y + rng.normal(0, 1.5, y.shape)).ravel())
    charge = (rng.uniform(20, 80, (number, 1)) * rng.exponential(1, x.shape)).ravel()
    event = np.repeat(np.arange(number) // 3, len(steps))
    lit = (np.broadcast_to(steps, x.shape) < length).ravel() & (pads >= 0)
    key, place = np.unique(event[lit] * N_PADS + pads[lit], return_inverse=True)
    amplitude = np.bincount(place, charge[lit])
    noise = rng.integers(0, N_PADS, 15 * n_events)
    event = np.concatenate([key // N_PADS, np.repeat(np.arange(n_events), 15)])
    pad = np.concatenate([key % N_PADS, noise])
    amplitude = np.concatenate([amplitude, THRESHOLD + rng.exponential(20, len(noise))])
    seen = (amplitude > THRESHOLD) & ~PLANE.beam[pad]
    return Hits(event[seen], pad[seen], amplitude[seen], rng.uniform(10, 500, np.count_nonzero(seen)))


def found_in(hits: Hits, share: float = SHARE) -> NDArray[np.bool_]:
    return dead_pads(hits, THRESHOLD, PLACES, touching(), images(), share)


def some(share: float, seed: int = 5) -> NDArray[np.bool_]:
    return (np.random.default_rng(seed).random(N_PADS) < share) & PLACES.used


def chip(x: float, y: float, number: int) -> NDArray[np.bool_]:
    """The pads nearest to a place."""
    dead = np.zeros(N_PADS, np.bool_)
    dead[np.argsort(np.hypot(PLANE.x - x, PLANE.y - y), kind="stable")[:number]] = True
    return dead


@pytest.mark.parametrize("n_events", [1, 20, 150, 600])
@pytest.mark.parametrize("offset", [0.0, 8.0])
def test_a_sound_detector_has_none(n_events: int, offset: float) -> None:
    """Whatever the number of events, and where the beam stands."""
    for seed in range(3):
        assert not found_in(tracks(seed, n_events, offset=offset)).any()


def test_a_run_of_nothing_has_none() -> None:
    assert not found_in(tracks(0, 0)).any()


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_dead_pads_where_tracks_pass_are_found(share: float) -> None:
    dead = some(share)
    found = found_in(tracks(1, 1000).without(dead))
    assert not (found & ~dead).any()
    assert found[dead & (RADIUS < 150)].mean() > 0.9
    assert found[dead].mean() > 0.7


def test_few_events_tell_few_of_them() -> None:
    dead = some(0.1)
    found = found_in(tracks(1, 100).without(dead))
    assert not (found & ~dead).any()
    assert found[dead].mean() < 0.3


def test_where_nobody_lights_the_plane_none_is_dead() -> None:
    dead = some(0.05)
    found = found_in(tracks(2, 800, reach=(60.0, 120.0)).without(dead))
    assert found[dead & (RADIUS < 100)].mean() > 0.9
    assert not found[RADIUS > 130].any()


def test_a_plane_lit_on_one_side_alone_is_not_half_dead() -> None:
    """What an asymmetric trigger leaves."""
    hits = tracks(3, 600, side=1.2)
    fired = np.bincount(hits.pad, minlength=N_PADS)
    assert fired[PLANE.x > 60].mean() > 15 * fired[PLANE.x < -60].mean()
    assert not found_in(hits).any()


@pytest.mark.parametrize(("x", "y", "number"), [(60, 30, 64), (-100, 90, 64), (180, -60, 64), (90, -120, 256)])
def test_a_dead_chip_is_found(x: float, y: float, number: int) -> None:
    dead = chip(x, y, number) & PLACES.used
    found = found_in(tracks(4, 700).without(dead))
    assert found[dead].mean() > 0.85
    assert np.count_nonzero(found & ~dead) <= 0.05 * number  # at its rim, silent by chance


def test_a_channel_that_gives_noise_alone_is_dead() -> None:
    dead = some(0.03)
    rng = np.random.default_rng(8)
    event, place = np.nonzero(rng.random((1000, np.count_nonzero(dead))) < 0.03)
    pad, noise = np.flatnonzero(dead)[place], THRESHOLD + rng.exponential(20, len(place))
    true = tracks(1, 1000).without(dead)
    hits = Hits(
        np.concatenate([true.event, event]),
        np.concatenate([true.pad, pad]),
        np.concatenate([true.amplitude, noise]),
        np.concatenate([true.time, noise]),
    )
    found = found_in(hits)
    assert not (found & ~dead).any()
    assert found[dead].mean() > 0.6


@pytest.mark.parametrize("gain", [0.8, 0.5])
def test_a_pad_of_low_gain_is_not_dead(gain: float) -> None:
    hits, weak = tracks(1, 800), some(0.05)
    amplitude = np.where(weak[hits.pad], gain * hits.amplitude, hits.amplitude)
    seen = amplitude > THRESHOLD
    assert not found_in(Hits(hits.event[seen], hits.pad[seen], amplitude[seen], hits.time[seen])).any()


def test_with_a_share_of_nothing_none_is_dead() -> None:
    assert not found_in(tracks(1, 600).without(some(0.1) | chip(60, 30, 64)), share=0.0).any()


def test_the_survey_gives_the_reason() -> None:
    dead = chip(60, 30, 1) | chip(-80, 20, 1)
    choice = SimpleNamespace(noisy_pad_share=0.5, repeated_charge_share=0.5, min_hits=8, dead_pad_share=SHARE)
    columns = survey.examine(tracks(1, 600).without(dead), 600, choice, THRESHOLD)
    assert np.flatnonzero(columns["masked"]).tolist() == np.flatnonzero(dead).tolist()
    assert set(columns["reason"][dead]) == {survey.DEAD}
    assert set(columns["hits"][dead]) == {0}


def test_patterns_agree_with_their_twin() -> None:
    event, pad, strong = once_an_event(tracks(6, 6), THRESHOLD, N_PADS)
    around = touching()
    fast = module._patterns(event, pad, strong, around.sides, around.corners)
    slow = np.zeros((3, N_PADS, N_PATTERNS), np.int64)
    for number in np.unique(event):
        lit = set(pad[event == number].tolist())
        bright = set(pad[(event == number) & strong].tolist())
        for other in range(N_PADS):
            beside = len(bright & set(around.sides[other].tolist()))
            at_corners = len(bright & set(around.corners[other].tolist()))
            if beside + at_corners:
                pattern = min(beside, MOST_BESIDE) * (MOST_AT_CORNERS + 1) + min(at_corners, MOST_AT_CORNERS)
                slow[:, other, pattern] += (1, other in lit, other in bright)
    # A pad counts for those that hold one of its corners; beside pads of another size that is not always mutual.
    mutual = np.ones(N_PADS, np.bool_)
    mutual[(RADIUS > 125) & (RADIUS < 170)] = False
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(one[mutual], other[mutual])


def test_pads_that_fired_twice_count_once_and_by_their_larger_pulse() -> None:
    hits = Hits(np.array([1, 0, 1, 1]), np.array([7, 9, 7, 3]), np.array([50.0, 79.0, 81.0, 41.0]), np.zeros(4))
    event, pad, strong = once_an_event(hits, THRESHOLD, N_PADS)
    assert event.tolist() == [0, 1, 1]
    assert pad.tolist() == [9, 3, 7]
    assert strong.tolist() == [False, False, True]


def test_events_in_regions_agree_with_their_twin() -> None:
    event, pad, _ = once_an_event(tracks(7, 5), THRESHOLD, N_PADS)
    around = np.concatenate(
        [np.arange(N_PADS, dtype=np.int32)[:, None], touching().sides, touching().corners], axis=1
    )  # fmt: skip
    wide = widened(around)
    counts = events_in_regions(event, pad, wide)
    for other in np.random.default_rng(1).choice(np.flatnonzero(RADIUS < 110), 100):
        region = {int(far) for near in around[other] if near >= 0 for far in around[near] if far >= 0}
        assert set(wide[other].tolist()) - {-1} == region
        assert counts[other] == sum(bool(region & set(pad[event == number].tolist())) for number in range(5))


def test_the_chance_is_never_under_the_true_one_and_not_far_above() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        trials, probability = rng.integers(0, 25, 4), rng.uniform(0.3, 0.98, 4)
        exact = np.ones(1)
        for n, p in zip(trials, probability, strict=True):
            for _ in range(n):
                exact = np.convolve(exact, [1 - p, p])
        for number in (0, 1, int(0.2 * (trials @ probability))):
            true = math.log(exact[: number + 1].sum())
            bound = log_chance(number, trials, probability)
            assert bound > true - 1e-9
            assert bound < true + 0.05 * abs(true) + (0.01 if number == 0 else 3.0)


def test_a_region_is_compared_with_those_that_lie_as_it_does() -> None:
    """A dead board is found although nothing beside its inner pads fires, and its own images may be dead, too."""
    dead = chip(100, 30, 200)
    dead[images()[dead, 2]] = True
    event, pad, _ = once_an_event(tracks(4, 700).without(dead), THRESHOLD, N_PADS)
    found = silent_regions(event, pad, PLACES.used, touching(), images(), 0.005)
    assert found[dead].mean() > 0.75
    sound = silent_regions(
        *once_an_event(tracks(4, 700), THRESHOLD, N_PADS)[:2], PLACES.used, touching(), images(), 0.005
    )
    assert not sound.any()
