"""What the bound depends on besides the track: gas, fields, diffusion, gain, noise, pads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyral_core.config import Configuration
from spyral_core.config.simulation import SimulatedDetector, SimulatedElectronics
from spyral_core.detector.pads import load
from spyral_core.errors import ConfigurationError
from spyral_core.physics.gas import GasTarget, load_gas
from spyral_core.simulate.drift import diffusion
from spyral_core.simulate.response import ADC_RANGE, FEMTOCOULOMB, LASTING, N_SAMPLES, shape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Readout:
    """How well a pad's pulse tells charge and place of the electrons that made it.

    In electrons before the gas gain: `noise` of a charge, `threshold` that its pulse must exceed. In mm along the beam:
    `time_noise` (times electrons) of the samples' noise, `pulse_length` (σ) of the response, `offset_big`,
    `offset_small` of the pads' times. Relative: `gain_spread` from pad to pad, `gain_drift` of all pads together.
    """

    noise: float
    threshold: float
    time_noise: float
    pulse_length: float
    offset_big: float
    offset_small: float
    gain_spread: float
    gain_drift: float


@dataclass(frozen=True, eq=False)
class Conditions:
    """Everything that is the same for all tracks.

    Fields in T and V/m; `length`, `radius` of the gas volume and `first_recorded` z [mm]; `diffusion` across and along
    [mm] (variance over drift length); `pair_energy` [MeV]; `gain_variance`: relative, of one electron's gain;
    `together` [1/mm]: electrons drift in at most so many packets. `beam_spot` [mm] at the window and `divergence`
    [rad]. `pads`: numbers of those that are read; of all pads `centroids` (p, 2), `corners` (p, 3, 2) [mm], `scale`.
    """

    gas: GasTarget
    magnetic_field: float
    electric_field: float
    length: float
    radius: float
    first_recorded: float
    diffusion: tuple[float, float]
    pair_energy: float
    fano_factor: float
    gain_variance: float
    together: float
    scattering: bool
    straggling: bool
    beam_spot: float
    divergence: float
    readout: Readout
    pads: NDArray[np.int64]
    centroids: Array
    corners: Array
    scale: Array


def conditions_of(configuration: Configuration) -> Conditions:
    """The simulated experiment's conditions; for measured data those of the analysis, and the simulation's defaults for
    what the analysis does not need to know.

    Raises ConfigurationError if there is neither a simulation nor a solver, or the gas cannot be read.
    """
    simulation, solver, assumed = configuration.simulate, configuration.solver, configuration.detector
    if simulation is not None:
        detector, electronics = simulation.detector, simulation.electronics
        gas, beam_spot = simulation.gas, simulation.reaction.beam_spot
        divergence, together = 1e-3 * simulation.reaction.beam_divergence, detector.packets_per_mm
        scattering, straggling = detector.scattering, detector.straggling
    elif solver is not None:
        shared = ("magnetic_field", "electric_field", "detector_length", "micromegas_time_bucket")
        detector = SimulatedDetector(
            **{name: getattr(assumed, name) for name in (*shared, "window_time_bucket", "get_frequency")},
            diffusion_voltage=solver.diffusion_voltage,
            longitudinal_diffusion_voltage=solver.diffusion_voltage,
        )
        electronics = SimulatedElectronics()
        gas, beam_spot, divergence, together = solver.gas, solver.beam_spot, 0.0, math.inf
        scattering = straggling = solver.scattering
    else:
        raise ConfigurationError("bound: needs the section simulate or solver, which name the gas")
    plane = load(configuration.pads.geometry, configuration.pads.geometry_holds, configuration.pads.scale)
    buckets = (detector.window_time_bucket - detector.micromegas_time_bucket) / detector.detector_length
    return Conditions(
        gas=load_gas(gas),
        magnetic_field=detector.magnetic_field,
        electric_field=detector.electric_field,
        length=detector.detector_length,
        radius=detector.detector_radius,
        first_recorded=max((detector.window_time_bucket - (N_SAMPLES - 1)) / buckets, 0.0),
        diffusion=(
            diffusion(detector.diffusion_voltage, detector.electric_field),
            diffusion(detector.longitudinal_diffusion_voltage, detector.electric_field),
        ),
        pair_energy=1e-6 * detector.w_value,
        fano_factor=detector.fano_factor,
        gain_variance=1.0 / (1.0 + detector.polya_theta),
        together=together,
        scattering=scattering,
        straggling=straggling,
        beam_spot=beam_spot,
        divergence=divergence,
        readout=_readout(detector, electronics, buckets),
        pads=np.flatnonzero(~plane.beam),
        centroids=np.column_stack([plane.x, plane.y]),
        corners=np.ascontiguousarray(plane.vertices),
        scale=np.asarray(plane.scale),
    )


def _readout(detector: SimulatedDetector, electronics: SimulatedElectronics, buckets_per_mm: float) -> Readout:
    """Errors of height and time of a pulse of known shape in white noise: σ / √Σf², σ / (height √Σf'²)."""
    shaping = 1e-3 * electronics.shaping_time * detector.get_frequency  # TB
    fine = np.linspace(0.0, LASTING, 4001)
    pulse = shape(fine)
    step = (fine[1] - fine[0]) * shaping
    squares, slopes = float(np.sum(pulse**2) * step), float(np.sum(np.gradient(pulse, step) ** 2) * step)
    mean = np.sum(fine * pulse) / np.sum(pulse)
    width = float(np.sqrt(np.sum((fine - mean) ** 2 * pulse) / np.sum(pulse))) * shaping
    height = detector.gas_gain * FEMTOCOULOMB / electronics.amplifier_range * ADC_RANGE  # ADC per electron
    mm = 1.0 / buckets_per_mm
    offset = 1e-3 * detector.get_frequency * mm
    return Readout(
        noise=electronics.white_noise / math.sqrt(squares) / height,
        threshold=electronics.threshold / height,
        time_noise=electronics.white_noise / math.sqrt(slopes) / height * mm,
        pulse_length=width * mm,
        offset_big=electronics.time_spread_big * offset,
        offset_small=electronics.time_spread_small * offset,
        gain_spread=electronics.gain_spread,
        gain_drift=detector.gain_drift,
    )
