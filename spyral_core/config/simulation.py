"""Every parameter of the embedded experiment, with the source of its number."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from spyral_core.config.fields import Real, Section, parameter


class SimulatedReaction(Section):
    """Beam and two-body reaction. Nuclei are (Z, A)."""

    projectile: tuple[int, int] = parameter((6, 16), "Z, A", "the beam")
    target: tuple[int, int] = parameter((1, 2), "Z, A", "the struck nucleus of the gas")
    ejectile: tuple[int, int] = parameter((1, 2), "Z, A", "the light particle that is measured")
    beam_energy: Real = parameter(184.1, "MeV", "kinetic energy of the beam at the window", gt=0, le=1e6)
    beam_energy_spread: Real = parameter(
        0.005,
        "",
        "relative spread (σ) of the beam energy",
        "momentum spread of a fragment beam of 0.25 %",
        ge=0,
        le=0.5,
    )
    beam_spot: Real = parameter(5.0, "mm", "σ of the beam spot in x and in y", "field practice, e20009", ge=0, le=50)
    residual_excitation: Real = parameter(0.0, "MeV", "excitation energy of the fourth nucleus", ge=0, le=1000)
    angle_min: Real = parameter(
        100.0, "deg", "smallest centre-of-mass angle of the ejectile against the beam", ge=0, le=180
    )
    angle_max: Real = parameter(
        172.0, "deg", "largest centre-of-mass angle of the ejectile against the beam", ge=0, le=180
    )
    vertex_min: Real = parameter(50.0, "mm", "smallest z of the vertex", ge=0, le=10000)
    vertex_max: Real = parameter(950.0, "mm", "largest z of the vertex", ge=0, le=10000)
    residual: bool = parameter(True, "", "the heavy residue ionises the gas, too")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (("angle_min", "angle_max"), ("vertex_min", "vertex_max")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)}) must be smaller than {high} ({getattr(self, high)})")
        return self


class SimulatedDetector(Section):
    """The detector as it truly is: independent of what the analysis takes it to be."""

    magnetic_field: Real = parameter(2.85, "T", "magnetic field; positive points to the window (−z)", gt=0, le=20)
    electric_field: Real = parameter(45000.0, "V/m", "electric field; positive points to the window (−z)", ge=0, le=1e7)
    detector_length: Real = parameter(1000.0, "mm", "distance from the window to the pad plane", gt=0, le=10000)
    detector_radius: Real = parameter(
        292.0, "mm", "radius of the active gas volume", "Bradt et al., NIM A 875 (2017) 65", gt=0, le=1000
    )
    micromegas_time_bucket: Real = parameter(
        10.0, "TB", "time bucket at which a pulse from the pad plane peaks", ge=-512, le=512
    )
    window_time_bucket: Real = parameter(
        560.0, "TB", "time bucket at which a pulse from the window peaks", ge=-512, le=4096
    )
    get_frequency: Real = parameter(6.25, "MHz", "sampling frequency of the GET electronics", gt=0, le=100)
    w_value: Real = parameter(
        37.0, "eV", "mean energy spent for one ion pair", "ICRU Report 31 (1979), D2", gt=0, le=1000
    )
    fano_factor: Real = parameter(
        0.2,
        "",
        "variance of the number of ion pairs over its mean",
        "Fano, Phys. Rev. 72 (1947) 26; gases 0.1–0.3",
        ge=0,
        le=10,
    )
    diffusion_voltage: Real = parameter(
        0.277,
        "V",
        "characteristic energy of the electrons: σ² = 2·(this)·(drift length)/E, across and along",
        "Garfield, D2 at 600 torr and 600 V/cm",
        ge=0,
        le=10,
    )
    gas_gain: Real = parameter(175000.0, "", "mean gain of the Micromegas", "field practice", gt=0, le=1e9)
    straggling: bool = parameter(True, "", "energy loss fluctuates (pycatima's straggling)")
    scattering: bool = parameter(True, "", "multiple scattering (pycatima's angular straggling)")

    @model_validator(mode="after")
    def _drift_takes_time(self) -> Self:
        if self.window_time_bucket <= self.micromegas_time_bucket:
            raise ValueError("window_time_bucket must be larger than micromegas_time_bucket")
        return self


class SimulatedElectronics(Section):
    """GET and FRIBDAQ electronics. Sources not given otherwise: measured traces, see docs/simulate.md."""

    amplifier_range: Real = parameter(
        900.0,
        "fC",
        "charge that fills the range of 4095 ADC",
        "GET: 120 fC to 10 pC, 10.1016/j.nima.2016.09.018",
        gt=0,
        le=1e5,
    )
    shaping_time: Real = parameter(
        1000.0,
        "ns",
        "t of exp(−3t)·t³·sin(t) in units of this",
        "NIM A 835 (2016), 10.1016/j.nima.2016.09.018",
        gt=0,
        le=1e5,
    )
    baseline: Real = parameter(340.0, "ADC", "mean baseline", ge=0, le=4095)
    baseline_spread: Real = parameter(25.0, "ADC", "σ of the baseline from pad to pad", ge=0, le=1000)
    white_noise: Real = parameter(4.0, "ADC", "σ of the noise of a sample", ge=0, le=1000)
    slow_noise: Real = parameter(
        10.0, "ADC", "largest amplitude of the slow waves that neighbouring channels share", ge=0, le=1000
    )
    first_sample: Real = parameter(-25.0, "ADC", "outlier of the first sample against the baseline", ge=-1000, le=1000)
    tail_amplitude: Real = parameter(
        90.0, "ADC", "start of the exponential tail after a saturated pulse", ge=0, le=4095
    )
    tail_time: Real = parameter(75.0, "TB", "decay time of that tail", gt=0, le=1000)
    threshold: Real = parameter(
        30.0, "ADC", "a pad is read out when a sample exceeds its baseline by this", ge=0, le=4095
    )
    gain_spread: Real = parameter(0.04, "", "relative σ of the gain from pad to pad", ge=0, le=1)
    time_spread_big: Real = parameter(45.0, "ns", "σ of the time offset of big pads", ge=0, le=1000)
    time_spread_small: Real = parameter(34.0, "ns", "σ of the time offset of small pads", ge=0, le=1000)
    noise_pads: Real = parameter(15.0, "pads", "mean number of pads an event that fire at random", ge=0, le=10000)
    noisy_pads: int = parameter(4, "pads", "pads of the run that fire in nearly every event", ge=0, le=1000)
    flipped_pads: int = parameter(
        3, "pads", "pads of the run that repeat one charge at one time (bit flips)", ge=0, le=1000
    )
    ion_chamber_amplitude: Real = parameter(
        1100.0, "ADC", "mean amplitude of a beam particle in the ion chamber", gt=0, le=65535
    )
    ion_chamber_spread: Real = parameter(0.03, "", "relative σ of that amplitude", ge=0, le=1)
    trigger_time_bucket: int = parameter(
        1200, "FRIB TB", "where the triggering beam particle stands in the ion-chamber trace", ge=0, le=2047
    )


class SimulatedBeam(Section):
    """What comes with the events that are wanted."""

    pile_up: Real = parameter(0.03, "", "share of events with a second beam particle in the drift time", ge=0, le=1)
    contaminant: Real = parameter(
        0.03, "", "share of events from another beam (lower ion-chamber amplitude)", ge=0, le=1
    )
    contaminant_nucleus: tuple[int, int] = parameter((5, 14), "Z, A", "the other beam, of the same Bρ")
    downscaled: Real = parameter(0.02, "", "share of events taken by the downscaled ion-chamber trigger", ge=0, le=1)


class Simulation(Section):
    """The embedded experiment: traces with their truth beside them."""

    seed: int = parameter(1, "", "seed of all randomness, with the run and event number", ge=0, le=2**63 - 1)
    runs: int = parameter(2, "runs", "number of runs, 1 …", ge=1, le=9999)
    events: int = parameter(200, "events", "events a run", ge=0, le=10_000_000)
    gas: str = parameter("config/gas/deuterium_300torr.json", "", "gas target (path of a JSON file)")
    reaction: SimulatedReaction = parameter(SimulatedReaction, "", "beam and reaction")
    detector: SimulatedDetector = parameter(SimulatedDetector, "", "the true detector")
    electronics: SimulatedElectronics = parameter(SimulatedElectronics, "", "the electronics")
    beam: SimulatedBeam = parameter(SimulatedBeam, "", "pile-up, contaminant, downscaled triggers")
