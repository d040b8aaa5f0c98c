"""The samples in both programs' terms, from `accuracy.samples.TABLE`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from accuracy.samples import Sample, configuration

from spyral_core.config import Configuration
from spyral_core.config.simulation import Simulation

SIMULATOR_GAIN = 175_000  # goes with a response that is not scaled to a maximum of 1
MILLIMETRE = 1e-3  # m
SAME_NAMES = ("electric_field", "magnetic_field", "diffusion_voltage", "fano_factor", "w_value", "get_frequency",
              "micromegas_time_bucket", "window_time_bucket")  # fmt: skip


def analysis(sample: Sample, folder: Path, events: int, seed: int, scattering: bool, identify: bool) -> Configuration:
    """What the analysis is told, and what the bound takes the true detector for.

    `scattering`: the fit takes the tracks for scattered; in truth they are not. The beam comes along the axis.
    """
    made = configuration(sample, folder, events, seed, scattering, identify)
    simulation = made.simulate
    assert simulation is not None
    detector = simulation.detector.model_copy(update={"scattering": False, "straggling": False})
    reaction = simulation.reaction.model_copy(update={"beam_divergence": 0.0})
    true = simulation.model_copy(update={"detector": detector, "reaction": reaction})
    return made.model_copy(update={"simulate": true})


def as_dense(sample: Sample, factor: float) -> Sample:
    """The sample with another density of its gas: the pressure that goes with it."""
    gas = sample.gas
    return replace(sample, gas={**gas, "pressure(Torr)": factor * gas["pressure(Torr)"]})


def simulator_settings(simulation: Simulation, gas: dict[str, Any]) -> dict[str, Any]:
    """The settings of `simulator.py`; `gas` as in the gas file, one compound."""
    reaction, electronics = simulation.reaction, simulation.electronics
    return {
        "seed": simulation.seed,
        "events": simulation.events,
        "compound": gas["compound"],
        "pressure": gas["pressure(Torr)"],
        "target": reaction.target,
        "projectile": reaction.projectile,
        "ejectile": reaction.ejectile,
        "residue": reaction.residual,
        "beam_energy": reaction.beam_energy,
        "angles": [reaction.angle_min, reaction.angle_max],
        "vertices": [MILLIMETRE * reaction.vertex_min, MILLIMETRE * reaction.vertex_max],
        "beam_spot": MILLIMETRE * reaction.beam_spot,
        "gas_gain": SIMULATOR_GAIN,
        "amplifier_range": int(electronics.amplifier_range),
        "shaping_time": int(electronics.shaping_time),
        **{name: getattr(simulation.detector, name) for name in SAME_NAMES},
    }
