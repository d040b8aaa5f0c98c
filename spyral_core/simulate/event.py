"""One event of the embedded experiment: particles through the gas, their charge on the pads, what is read out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core.config.simulation import SimulatedReaction, Simulation
from spyral_core.detector.pads import PadPlane, builtin, pads_at
from spyral_core.physics.gas import GasTarget
from spyral_core.physics.kinematics import two_body
from spyral_core.physics.nuclei import brho_from_ke, ke_from_brho, nuclear_mass
from spyral_core.simulate import ion_chamber
from spyral_core.simulate.drift import diffusion, drift
from spyral_core.simulate.electronics import PadElectronics, pad_electronics, read_out, spurious_pulses
from spyral_core.simulate.generator import Plan, Start, beam_particle, plan, react, single_particle
from spyral_core.simulate.ionisation import ionise
from spyral_core.simulate.medium import medium
from spyral_core.simulate.response import N_SAMPLES, Response, collect, peak_delay, response
from spyral_core.simulate.transport import AT_PLANE, STOPPED, Track, transport

Nucleus = tuple[int, int]
Masses = tuple[float, float, float, float]
Vector = NDArray[np.float64]
# Streams of random numbers: each has its place in the seed.
DETECTOR_STREAM, RUN_STREAM, EVENT_STREAM, SCALER_STREAM, PARTICLE_STREAM = 0, 1, 2, 3, 4
SHORTEST_RECORD = 20  # FRIB TB that a second ion-chamber pulse must have left in the record


def random_stream(seed: int, *place: int) -> np.random.Generator:
    """The random numbers that belong to one place (stream, run, event): independent of all others."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=place)))


@dataclass(frozen=True)
class Experiment:
    """What is the same for all events of a run."""

    simulation: Simulation
    run: int
    gas: GasTarget
    pads: PadPlane
    channels: PadElectronics
    response: Response
    contaminant_energy: float
    contaminant_signal: float

    @property
    def buckets_per_mm(self) -> float:
        """Drift time per length [TB/mm].

        `window_time_bucket` is where pulses from the window have their maximum, so later by what diffusion along the
        drift does to it, which grows with the drift length as the drift time does.
        """
        detector, settings = self.simulation.detector, self.simulation.electronics
        buckets = detector.window_time_bucket - detector.micromegas_time_bucket
        spread = diffusion(detector.longitudinal_diffusion_voltage, detector.electric_field)  # mm
        variance = spread * buckets**2 / detector.detector_length
        shaping = 1e-3 * settings.shaping_time * detector.get_frequency
        return (buckets - peak_delay(variance, shaping)) / detector.detector_length

    @property
    def longest_delay(self) -> float:
        """How long after the trigger a second beam particle may come [µs]: in the drift time, and on record."""
        detector, settings = self.simulation.detector, self.simulation.electronics
        drift_time = self.buckets_per_mm * detector.detector_length / detector.get_frequency
        record = (ion_chamber.N_SAMPLES - SHORTEST_RECORD - settings.trigger_time_bucket) / ion_chamber.FREQUENCY
        return max(min(drift_time, record), 0.0)


def prepare(simulation: Simulation, gas: GasTarget, run: int) -> Experiment:
    """Draw the detector's and the run's properties.

    ValueError if a nucleus is not known, or the beam's energy does not suffice for the reaction.
    """
    detector, settings, reaction = simulation.detector, simulation.electronics, simulation.reaction
    masses = _masses(reaction, reaction.projectile, (reaction.ejectile, reaction.residue))
    if not np.isfinite(two_body(*masses, reaction.beam_energy, 0.0)[0]):
        raise ValueError(f"reaction.beam_energy ({reaction.beam_energy}) does not suffice for the reaction")
    if simulation.particles is not None:
        nuclear_mass(*simulation.particles.nucleus)
    pads = builtin()
    run_rng = random_stream(simulation.seed, RUN_STREAM, run)
    run_gain = max(1.0 + detector.gain_drift * run_rng.standard_normal(), 0.1)
    channels = pad_electronics(
        settings, pads, detector.get_frequency, run_gain, random_stream(simulation.seed, DETECTOR_STREAM), run_rng
    )
    beam, other = reaction.projectile, simulation.beam.contaminant_nucleus
    energy = float(ke_from_brho(brho_from_ke(reaction.beam_energy, *beam), *other))
    return Experiment(
        simulation=simulation,
        run=run,
        gas=gas,
        pads=pads,
        channels=channels,
        response=response(settings.shaping_time, detector.get_frequency, settings.amplifier_range),
        contaminant_energy=energy,
        contaminant_signal=float(gas.stopping(*other).dedx(energy) / gas.stopping(*beam).dedx(reaction.beam_energy)),
    )


@dataclass
class Charge:
    """What the electrons of an event have done so far: pulses on the pads [ADC], arrivals at the mesh."""

    slots: NDArray[np.int64]
    pads: list[int] = field(default_factory=list)
    pulses: list[NDArray[np.float32]] = field(default_factory=list)
    mesh: NDArray[np.float64] = field(default_factory=lambda: np.zeros(ion_chamber.N_SAMPLES))

    def add(self, pads: NDArray[np.int32], pulses: NDArray[np.float32]) -> None:
        for pad, pulse in zip(pads.tolist(), pulses, strict=True):
            if self.slots[pad] < 0:
                self.slots[pad] = len(self.pads)
                self.pads.append(pad)
                self.pulses.append(pulse.copy())
            else:
                self.pulses[self.slots[pad]] += pulse


def no_charge(experiment: Experiment) -> Charge:
    """What an event begins with."""
    return Charge(np.full(len(experiment.pads.x), -1))


@dataclass(frozen=True)
class SimulatedEvent:
    """An event as it is written: pad rows (n, 517), block 1903, register; its rows of the truth table."""

    number: int
    pads: NDArray[np.int16]
    physics: NDArray[np.uint16]
    register: int
    truth: list[dict[str, Any]]


def simulate_event(number: int, experiment: Experiment, charge: Charge | None = None) -> SimulatedEvent:
    """The event of a number; it depends on nothing but the number and the experiment.

    `charge`, if given, takes up the electrons: the beam particle's, those of the products that ionise, of a second beam
    particle, and at last the spurious pulses, each by one call of `add`.
    """
    simulation = experiment.simulation
    stream = EVENT_STREAM if simulation.particles is None else PARTICLE_STREAM
    rng = random_stream(simulation.seed, stream, experiment.run, number)
    kind = plan(simulation.beam, experiment.longest_delay, rng)
    charge = no_charge(experiment) if charge is None else charge
    truth = _first_beam_particle(number, kind, experiment, charge, rng)
    signals = [(0.0, _ion_chamber_signal(experiment, kind.contaminant, rng))]
    if kind.pile_up is not None:
        beam = simulation.reaction.projectile
        release(_beam_track(experiment, beam, np.inf, rng), kind.pile_up, experiment, charge, rng)
        signals.append((kind.pile_up * ion_chamber.FREQUENCY, _ion_chamber_signal(experiment, False, rng)))
    settings = simulation.electronics
    charge.add(*spurious_pulses(settings, experiment.channels, simulation.detector.get_frequency, rng))
    pulses = np.array(charge.pulses, dtype=np.float32).reshape(-1, N_SAMPLES)
    rows = read_out(np.array(charge.pads, dtype=np.int32), pulses, experiment.channels, settings, rng)
    physics = ion_chamber.record(settings, signals, charge.mesh, rng)
    return SimulatedEvent(number, rows, physics, kind.trigger, truth)


def _first_beam_particle(
    number: int, kind: Plan, experiment: Experiment, charge: Charge, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """The triggering beam particle with its reaction, if it makes one; gives the truth of the products."""
    simulation, reaction = experiment.simulation, experiment.simulation.reaction
    beam = simulation.beam.contaminant_nucleus if kind.contaminant else reaction.projectile
    if kind.trigger == ion_chamber.DOWNSCALED_TRIGGER:
        release(_beam_track(experiment, beam, np.inf, rng), 0.0, experiment, charge, rng)
        return []
    single = None
    if simulation.particles is not None and not kind.contaminant:
        single = single_particle(simulation.particles, number, rng)
    plane = rng.uniform(reaction.vertex_min, reaction.vertex_max) if single is None else single.vertex_z
    incoming = _beam_track(experiment, beam, plane, rng)
    release(incoming, 0.0, experiment, charge, rng)
    if incoming.end != AT_PLANE:
        return []
    vertex = incoming.points[-1]
    truth = []
    for nucleus, mass, momentum, visible in _products(simulation, kind, single, incoming.momentum, rng):
        track = transport(vertex, momentum, medium(experiment.gas, *nucleus), simulation.detector, rng)
        n_pads = release(track, 0.0, experiment, charge, rng) if visible else 0
        truth.append(
            {
                "event": number,
                **_start_values(nucleus, mass, vertex, momentum),
                "n_pads": n_pads,
                "stops": track.end == STOPPED,
                "turn": abs(track.turn),
                "trigger": kind.trigger,
                "pile_up": kind.pile_up is not None,
                "contaminant": kind.contaminant,
            }
        )
    return truth


def _products(
    simulation: Simulation, kind: Plan, single: Start | None, beam_momentum: Vector, rng: np.random.Generator
) -> list[tuple[Nucleus, float, Vector, bool]]:
    """What leaves the vertex: nucleus, mass [MeV], momentum [MeV/c], and whether it ionises the gas."""
    reaction, particles = simulation.reaction, simulation.particles
    if single is not None and particles is not None:
        mass = nuclear_mass(*particles.nucleus)
        return [(particles.nucleus, mass, single.momentum(mass), True)]
    beam = simulation.beam.contaminant_nucleus if kind.contaminant else reaction.projectile
    nuclei = (reaction.target, beam) if kind.contaminant else (reaction.ejectile, reaction.residue)
    masses = _masses(reaction, beam, nuclei)
    momenta = react(reaction, masses, beam_momentum, rng)
    if momenta is None:
        return []
    return list(zip(nuclei, masses[2:], momenta, (True, reaction.residual), strict=True))


def _masses(reaction: SimulatedReaction, beam: Nucleus, products: tuple[Nucleus, Nucleus]) -> Masses:
    """Masses [MeV] of beam, target and products; the residue is excited if the beam is the wanted one."""
    excitation = reaction.residual_excitation if beam == reaction.projectile else 0.0
    light, heavy = products
    return (
        nuclear_mass(*beam),
        nuclear_mass(*reaction.target),
        nuclear_mass(*light),
        nuclear_mass(*heavy) + excitation,
    )


def _start_values(nucleus: Nucleus, mass: float, vertex: Vector, momentum: Vector) -> dict[str, Any]:
    """The columns of the truth table that a particle's start fixes."""
    square = float(momentum @ momentum)
    kinetic = square / (np.sqrt(square + mass**2) + mass)
    return {
        "Z": nucleus[0],
        "A": nucleus[1],
        "ke": kinetic,
        "polar": float(np.arctan2(np.hypot(momentum[0], momentum[1]), momentum[2])),
        "azimuthal": float(np.arctan2(momentum[1], momentum[0]) % (2.0 * np.pi)),
        "vertex_x": vertex[0],
        "vertex_y": vertex[1],
        "vertex_z": vertex[2],
        "brho": float(brho_from_ke(kinetic, *nucleus)),
    }


def _beam_track(experiment: Experiment, nucleus: Nucleus, plane: float, rng: np.random.Generator) -> Track:
    """A beam particle from the window to z = `plane` [mm], or to its end."""
    simulation = experiment.simulation
    reaction = simulation.reaction
    energy = reaction.beam_energy if nucleus == reaction.projectile else experiment.contaminant_energy
    start, momentum = beam_particle(reaction, energy, nuclear_mass(*nucleus), rng)
    return transport(start, momentum, medium(experiment.gas, *nucleus), simulation.detector, rng, plane)


def _ion_chamber_signal(experiment: Experiment, contaminant: bool, rng: np.random.Generator) -> float:
    """Amplitude [ADC] of a beam particle in the ion chamber, in the ratio of the stopping powers."""
    settings = experiment.simulation.electronics
    mean = settings.ion_chamber_amplitude * (experiment.contaminant_signal if contaminant else 1.0)
    return mean * max(1.0 + settings.ion_chamber_spread * rng.standard_normal(), 0.0)


def release(track: Track, delay: float, experiment: Experiment, charge: Charge, rng: np.random.Generator) -> int:
    """Bring the electrons of a track that began `delay` [µs] after the trigger to the pads.

    Gives the number of pads outside the beam region on which this charge alone makes a pulse over the threshold.
    """
    detector, settings = experiment.simulation.detector, experiment.simulation.electronics
    packets = ionise(track.points, track.deposits, detector.w_value, detector.fano_factor, detector.packets_per_mm, rng)
    arrivals = drift(
        packets,
        detector.detector_length,
        diffusion(detector.diffusion_voltage, detector.electric_field),
        diffusion(detector.longitudinal_diffusion_voltage, detector.electric_field),
        experiment.buckets_per_mm,
        detector.gas_gain,
        detector.polya_theta,
        rng,
    )
    late = delay * detector.get_frequency
    start = detector.micromegas_time_bucket - experiment.response.peak + late
    channels = experiment.channels
    pads = pads_at(arrivals[:, 0].copy(), arrivals[:, 1].copy())
    hit, pulses = collect(
        pads,
        arrivals[:, 2] + start,
        arrivals[:, 3].copy(),
        channels.offset,
        channels.gain,
        experiment.response.samples,
        N_SAMPLES,
    )
    charge.add(hit, pulses)
    frib = settings.trigger_time_bucket + (arrivals[:, 2] + late) * (ion_chamber.FREQUENCY / detector.get_frequency)
    inside = (pads >= 0) & (frib < ion_chamber.N_SAMPLES)
    charge.mesh += np.bincount(
        frib[inside].astype(np.int64), weights=packets[inside, 3], minlength=ion_chamber.N_SAMPLES
    )
    seen = pulses[:, 1:].max(axis=1, initial=0.0) > settings.threshold
    return int(np.count_nonzero(seen & ~experiment.pads.beam[hit]))
