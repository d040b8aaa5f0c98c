"""A track that leaves the record says nothing of its end."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from spyral_core.fitting.fit import fit_track, kinetic_energy
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.physics.gas import parse_gas
from spyral_core.physics.motion import motion_of
from spyral_core.physics.nuclei import brho_from_ke

GAS = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 300.0})
DIFFUSION = 2 * 0.277 / 45  # mm
BEGIN, CUT = 400.0, 8.0  # mm: where the record begins; pulses nearer to it are cut, and not found


@pytest.fixture(scope="module")
def settings(lit_pads: ModuleType) -> FitSettings:
    """Of deuterons, without scattering."""
    made: FitSettings = lit_pads.fit_settings(motion_of(GAS, 1, 2, 2.85, 45000.0), (1, 2), DIFFUSION)
    visible = made.visible.copy()
    visible[2] = BEGIN
    return replace(made, visible=visible)


def pulls(lit_pads: ModuleType, settings: FitSettings, ke: float, polar: float, seed: int) -> tuple[float, float]:
    """Deviation of the energy over its standard deviation, and that over the energy."""
    generator = np.random.default_rng(seed)
    start = np.array([*generator.normal(scale=4.0, size=2), 500.0, ke, math.radians(polar), generator.uniform(-3, 3)])
    places, losses = lit_pads.particle(settings.motion, start, lit_pads.QUIET, generator)
    whole = lit_pads.track_of(places, losses, DIFFUSION, generator)
    kept = whole.points[:, 2] > BEGIN + CUT
    assert not kept.all()
    seen = Track(whole.points[kept], whole.charge[kept], whole.scale[kept], whole.pads[kept])
    first = FirstEstimate((0.0, 0.0, 502.0), float(brho_from_ke(0.97 * ke, 1, 2)), start[4] + 0.03, start[5])
    found = fit_track(seen, first, settings)
    assert found is not None
    energy, sigma = kinetic_energy(found, settings)
    return (energy - ke) / sigma, sigma / ke


@pytest.mark.parametrize(("ke", "polar"), [(1.5, 140.0), (1.8, 125.0), (2.2, 130.0)])
def test_energies_of_particles_that_stop_before_the_record_begins(
    lit_pads: ModuleType, settings: FitSettings, ke: float, polar: float
) -> None:
    """Not too low by what silence before the end of the record would say."""
    found = np.array([pulls(lit_pads, settings, ke, polar, seed) for seed in range(8)])
    print(found.T)
    assert (np.abs(found[:, 0]) < 4).all()
    assert abs(np.mean(found[:, 0])) < 1.2
