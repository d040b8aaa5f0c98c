"""Particles along the beam are no part of a track across the gas."""

from __future__ import annotations

import numpy as np
import pytest

from spyral_core.clustering.beam_like import BESIDE, LONGEST, beam_like

SLICE = 20.0  # mm


def long_pulse(x: float, y: float, low: float, high: float) -> np.ndarray:
    z = np.arange(low, high + 1.0, SLICE)
    return np.column_stack([np.full(len(z), x), np.full(len(z), y), z])


def test_a_beam_particle_s_pads_are_left_out_and_the_ejectile_stays() -> None:
    beam = [long_pulse(22.0, 0.0, 100.0, 400.0), long_pulse(27.0, 3.0, 100.0, 400.0)]
    away = np.linspace(0, 200, 80)
    ejectile = np.column_stack([30 + away, 0.3 * away, 410 + 0.5 * away])
    points = np.concatenate([*beam, ejectile])
    pads = np.concatenate([np.full(len(beam[0]), 1), np.full(len(beam[1]), 2), 10 + np.arange(80)])
    pulses = np.concatenate([np.full(len(beam[0]), 0), np.full(len(beam[1]), 1), 2 + np.arange(80)])
    found = beam_like(points, pads, pulses)
    assert found[: -len(ejectile)].all()
    assert not found[-len(ejectile) :].any()


def test_a_run_may_be_made_of_several_pulses() -> None:
    points = np.concatenate([long_pulse(22.0, 0.0, 100.0, 140.0), long_pulse(22.0, 0.0, 170.0, 100.0 + LONGEST + 20)])
    pulses = np.array([0] * 3 + [1] * (len(points) - 3))
    assert beam_like(points, np.ones(len(points), np.int64), pulses).all()


def test_windings_of_a_spiral_on_one_pad_are_no_run() -> None:
    """They are pulses of their own, however near."""
    points = long_pulse(60.0, 0.0, 100.0, 400.0)
    pads, pulses = np.ones(len(points), np.int64), np.arange(len(points))
    assert not beam_like(points, pads, pulses).any()


def test_an_inclined_track_s_slices_stay() -> None:
    points = long_pulse(40.0, 0.0, 100.0, 100.0 + LONGEST - SLICE)
    assert not beam_like(points, np.ones(len(points), np.int64), np.zeros(len(points), np.int64)).any()


@pytest.mark.parametrize(
    ("aside", "beyond", "left_out"), [(8.0, 0.0, True), (BESIDE + 4.0, 0.0, False), (8.0, 30.0, False)]
)
def test_what_diffuses_from_the_beam_goes_with_it(aside: float, beyond: float, left_out: bool) -> None:
    beam = long_pulse(22.0, 0.0, 100.0, 400.0)
    points = np.concatenate([beam, [[22.0 + aside, 0.0, 400.0 + beyond]]])
    pads = np.array([1] * len(beam) + [2])
    pulses = np.array([0] * len(beam) + [1])
    assert beam_like(points, pads, pulses)[-1] == left_out
