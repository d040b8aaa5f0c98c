"""Every parameter of the embedded experiment, with the source of its number."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import model_validator

from spyral_core.config.fields import Real, Section, parameter

_PRACTICE = "field practice (10Be(d,d) in D2)"
_MEASURED = "measured GET traces, see docs/simulate.md"
_CHOICE = "choice of this experiment"
_NUMERICAL = "numerical: results do not depend on it"
_GET = "GET response, 10.1016/j.nima.2016.09.018"


class SimulatedReaction(Section):
    """Beam and two-body reaction. Nuclei are (Z, A)."""

    projectile: tuple[int, int] = parameter((6, 16), "Z, A", "the beam", _CHOICE)
    target: tuple[int, int] = parameter((1, 2), "Z, A", "the struck nucleus of the gas", _CHOICE)
    ejectile: tuple[int, int] = parameter((1, 2), "Z, A", "the light particle that is measured", _CHOICE)
    beam_energy: Real = parameter(
        184.1, "MeV", "mean kinetic energy of the beam at the window", "16C at 11.5 MeV/u", gt=0, le=1e6
    )
    beam_energy_spread: Real = parameter(
        0.005,
        "",
        "relative spread (σ) of the beam energy",
        "momentum spread of a fragment beam of 0.25 %",
        ge=0,
        le=0.2,
    )
    beam_spot: Real = parameter(5.0, "mm", "σ of the beam spot in x and in y", _PRACTICE, ge=0, le=50)
    beam_divergence: Real = parameter(
        2.0, "mrad", "σ of the beam's angle in x and in y at the window", "a few mrad for a fragment beam", ge=0, le=100
    )
    residual_excitation: Real = parameter(
        0.0, "MeV", "excitation energy of the fourth nucleus", "ground state", ge=0, le=1000
    )
    angle_min: Real = parameter(
        100.0,
        "deg",
        "smallest centre-of-mass angle of the ejectile against the beam (uniform in cosine)",
        _PRACTICE,
        ge=0,
        le=180,
    )
    angle_max: Real = parameter(
        172.0, "deg", "largest centre-of-mass angle of the ejectile against the beam", _PRACTICE, ge=0, le=180
    )
    vertex_min: Real = parameter(50.0, "mm", "smallest z of the vertex (uniform)", _PRACTICE, ge=0, le=10000)
    vertex_max: Real = parameter(950.0, "mm", "largest z of the vertex", _PRACTICE, ge=0, le=10000)
    residual: bool = parameter(True, "", "the heavy residue ionises the gas, too", _CHOICE)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (("angle_min", "angle_max"), ("vertex_min", "vertex_max")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)}) must be smaller than {high} ({getattr(self, high)})")
        return self

    @model_validator(mode="after")
    def _nuclei(self) -> Self:
        for name in ("projectile", "target", "ejectile"):
            protons, nucleons = getattr(self, name)
            if not 1 <= protons <= nucleons:
                raise ValueError(f"{name} must be a nucleus (Z, A) with 1 ≤ Z ≤ A, not {[protons, nucleons]}")
        protons, nucleons = self.residue
        if not 1 <= protons <= nucleons:
            raise ValueError(f"projectile + target − ejectile is no charged nucleus (Z, A): {[protons, nucleons]}")
        return self

    @property
    def residue(self) -> tuple[int, int]:
        """The fourth nucleus."""
        (z1, a1), (z2, a2), (z3, a3) = self.projectile, self.target, self.ejectile
        return z1 + z2 - z3, a1 + a2 - a3


class SimulatedDetector(Section):
    """The detector as it truly is: independent of what the analysis takes it to be."""

    magnetic_field: Real = parameter(
        2.85, "T", "magnetic field; positive points to the window (−z)", "a1954, a1975", ge=-20, le=20
    )
    electric_field: Real = parameter(
        45000.0, "V/m", "electric field; positive points to the window (−z)", "a1954, a1975", gt=0, le=1e7
    )
    detector_length: Real = parameter(
        1000.0, "mm", "distance from the window to the pad plane", "Bradt et al., NIM A 875 (2017) 65", gt=0, le=10000
    )
    detector_radius: Real = parameter(
        292.0, "mm", "radius of the active gas volume", "Bradt et al., NIM A 875 (2017) 65", gt=0, le=1000
    )
    micromegas_time_bucket: Real = parameter(
        10.0, "TB", "time bucket at which a pulse from the pad plane peaks", _PRACTICE, ge=-512, le=512
    )
    window_time_bucket: Real = parameter(
        560.0,
        "TB",
        "time bucket at which a pulse from the window peaks; of 512 buckets, later ones are never recorded",
        _PRACTICE,
        ge=-512,
        le=4096,
    )
    get_frequency: Real = parameter(6.25, "MHz", "sampling frequency of the GET electronics", _PRACTICE, gt=0, le=100)
    w_value: Real = parameter(
        37.0,
        "eV",
        "mean energy spent for one ion pair",
        _PRACTICE + "; ICRU Report 31 (1979): 36.4 for alpha particles in H2",
        gt=0,
        le=1000,
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
        "characteristic energy of the electrons across the drift: σ² = 2·(this)·(drift length)/E",
        _PRACTICE,
        ge=0,
        le=10,
    )
    longitudinal_diffusion_voltage: Real = parameter(
        0.277,
        "V",
        "the same along the drift",
        "taken equal to that across; in hydrogen it is smaller, if anything",
        ge=0,
        le=10,
    )
    gas_gain: Real = parameter(
        7700.0,
        "",
        "mean gain of the Micromegas",
        "175 000 of field practice, which goes with a response of maximum 0.044 instead of 1: the same pulses",
        gt=0,
        le=1e9,
    )
    polya_theta: Real = parameter(
        1.0,
        "",
        "θ of the Polya distribution of a single electron's gain, of relative variance 1/(1 + θ); 0: exponential",
        "Alkhazov, NIM 89 (1970) 155: 0 without space charge, Micromegas up to about 2",
        ge=0,
        le=100,
    )
    gain_drift: Real = parameter(
        0.03, "", "relative σ of the gain from run to run", "a few per cent in measured runs", ge=0, le=0.3
    )
    straggling: bool = parameter(True, "", "energy loss fluctuates", "pycatima's energy straggling")
    scattering: bool = parameter(True, "", "multiple scattering", "pycatima's angular straggling (ATIMA)")
    step: Real = parameter(1.0, "mm", "longest step of a particle", _NUMERICAL, gt=0, le=20)
    packets_per_mm: Real = parameter(
        40.0, "1/mm", "electrons drift in at most this many packets a mm of track", _NUMERICAL, gt=0, le=10000
    )

    @model_validator(mode="after")
    def _drift_takes_time(self) -> Self:
        if self.window_time_bucket <= self.micromegas_time_bucket:
            raise ValueError(
                f"window_time_bucket ({self.window_time_bucket}) must be larger than micromegas_time_bucket "
                f"({self.micromegas_time_bucket}): electrons from the window drift longest"
            )
        return self


class SimulatedElectronics(Section):
    """GET electronics of the pads, FRIBDAQ electronics of ion chamber and mesh."""

    amplifier_range: Real = parameter(
        900.0,
        "fC",
        "charge whose pulse reaches 4095 ADC",
        _PRACTICE + "; GET has 120 fC to 10 pC, NIM A 887 (2018) 81",
        gt=0,
        le=1e5,
    )
    shaping_time: Real = parameter(
        1000.0, "ns", "t of exp(−3t)·t³·sin(t) is in units of this", _PRACTICE + "; " + _GET, gt=0, le=1e5
    )
    baseline: Real = parameter(340.0, "ADC", "mean baseline", _PRACTICE, ge=0, le=4095)
    baseline_spread: Real = parameter(25.0, "ADC", "σ of the baseline from pad to pad", _PRACTICE, ge=0, le=1000)
    white_noise: Real = parameter(4.0, "ADC", "σ of the noise of a sample", _PRACTICE, ge=0, le=1000)
    slow_noise: Real = parameter(
        10.0,
        "ADC",
        "largest amplitude of the slow waves that the channels of a chip share",
        _MEASURED + " (5–10 ADC)",
        ge=0,
        le=1000,
    )
    slow_noise_shortest: Real = parameter(60.0, "TB", "shortest period of those waves", _MEASURED, ge=2, le=10000)
    slow_noise_longest: Real = parameter(400.0, "TB", "longest period of those waves", _MEASURED, ge=2, le=10000)
    first_sample: Real = parameter(
        -25.0, "ADC", "outlier of the first sample against the baseline", _MEASURED + " (−20 to −30)", ge=-4095, le=4095
    )
    first_sample_spread: Real = parameter(3.0, "ADC", "σ of that outlier", _MEASURED, ge=0, le=1000)
    tail_amplitude: Real = parameter(
        90.0, "ADC", "start of the exponential tail after a saturated pulse", _MEASURED, ge=0, le=4095
    )
    tail_time: Real = parameter(
        75.0, "TB", "decay time of that tail", _MEASURED + " (it is seen for over 150 TB)", gt=0, le=1000
    )
    threshold: Real = parameter(
        30.0, "ADC", "a pad is read out when a sample exceeds its baseline by this", _CHOICE, ge=0, le=4095
    )
    gain_spread: Real = parameter(
        0.04, "", "relative σ of the gain from pad to pad", _MEASURED + " (3–5 %)", ge=0, le=0.3
    )
    time_spread_big: Real = parameter(45.0, "ns", "σ of the time offset of big pads", _MEASURED, ge=0, le=1000)
    time_spread_small: Real = parameter(34.0, "ns", "σ of the time offset of small pads", _MEASURED, ge=0, le=1000)
    noise_pads: Real = parameter(
        15.0, "pads", "mean number of pads an event that fire at random", _PRACTICE, ge=0, le=5000
    )
    noise_amplitude: Real = parameter(
        120.0, "ADC", "mean amplitude of such pulses above the threshold (exponential)", _CHOICE, ge=0, le=4095
    )
    noisy_pads: int = parameter(4, "pads", "pads of the run that fire in nearly every event", _CHOICE, ge=0, le=1000)
    noisy_share: Real = parameter(0.95, "", "share of the events in which they fire", _CHOICE, ge=0, le=1)
    flipped_pads: int = parameter(
        3, "pads", "pads of the run that repeat one charge at one time (bit flips)", _CHOICE, ge=0, le=1000
    )
    ion_chamber_amplitude: Real = parameter(
        1100.0, "ADC", "mean amplitude of a beam particle in the ion chamber", _CHOICE, gt=0, le=60000
    )
    ion_chamber_spread: Real = parameter(0.03, "", "relative σ of that amplitude", _CHOICE, ge=0, le=0.5)
    frib_shaping_time: Real = parameter(
        500.0, "ns", "τ of the FRIBDAQ pulses (t/τ)·exp(1 − t/τ)", _CHOICE, gt=0, le=20000
    )
    frib_baseline: Real = parameter(
        300.0, "ADC", "baseline of the FRIBDAQ traces (2048 samples at 12.5 MHz)", _CHOICE, ge=0, le=60000
    )
    frib_noise: Real = parameter(3.0, "ADC", "σ of the noise of a FRIBDAQ sample", _CHOICE, ge=0, le=1000)
    trigger_time_bucket: int = parameter(
        1200, "FRIB TB", "where the pulse of the triggering beam particle peaks", _CHOICE, ge=0, le=2047
    )
    mesh_gain: Real = parameter(
        1.0, "ADC", "pulse height of the mesh for one electron (before the gas gain) arriving", _CHOICE, ge=0, le=1e6
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.slow_noise_shortest > self.slow_noise_longest:
            raise ValueError(
                f"slow_noise_shortest ({self.slow_noise_shortest}) must not be above slow_noise_longest "
                f"({self.slow_noise_longest})"
            )
        return self


class SimulatedBeam(Section):
    """What comes with the events that are wanted."""

    pile_up: Real = parameter(
        0.03, "", "share of events with a second beam particle in the drift time", _PRACTICE, ge=0, le=1
    )
    contaminant: Real = parameter(
        0.03, "", "share of events from another beam (lower ion-chamber amplitude)", _PRACTICE, ge=0, le=1
    )
    contaminant_nucleus: tuple[int, int] = parameter(
        (5, 14), "Z, A", "the other beam, of the same Bρ, scattering elastically on the target", _CHOICE
    )
    downscaled: Real = parameter(
        0.02, "", "share of events taken by the downscaled ion-chamber trigger", _PRACTICE, ge=0, le=1
    )
    both_triggers: Real = parameter(
        0.001, "", "share of the mesh-triggered events with the downscaled trigger as well", _CHOICE, ge=0, le=1
    )
    trigger_rate: Real = parameter(100.0, "1/s", "rate of events, for the scalers", _CHOICE, gt=0, le=1e6)
    live_share: Real = parameter(0.9, "", "share of the triggers that are taken, for the scalers", _CHOICE, gt=0, le=1)
    scaler_events: int = parameter(
        50, "events", "a scaler readout comes after each of so many events", _CHOICE, ge=1, le=10_000_000
    )

    @model_validator(mode="after")
    def _nucleus(self) -> Self:
        protons, nucleons = self.contaminant_nucleus
        if not 1 <= protons <= nucleons:
            raise ValueError(f"contaminant_nucleus must be a nucleus (Z, A) with 1 ≤ Z ≤ A, not {[protons, nucleons]}")
        return self


class SimulatedParticles(Section):
    """Single particles instead of the reaction's products: one an event, the events in turn over the cells of a grid.

    Uniform in each cell, of azimuth uniform; the beam comes to the vertex as ever. n + 1 edges make n cells.
    """

    nucleus: tuple[int, int] = parameter(..., "Z, A", "the particle", _CHOICE)
    energies: list[Real] = parameter(..., "MeV", "edges of the cells in kinetic energy, ascending", _CHOICE)
    angles: list[Real] = parameter(..., "deg", "edges of the cells in the polar angle against z, ascending", _CHOICE)
    vertices: list[Real] = parameter(..., "mm", "edges of the cells in the vertex' z, ascending", _CHOICE)

    @model_validator(mode="after")
    def _a_nucleus(self) -> Self:
        protons, nucleons = self.nucleus
        if not 1 <= protons <= nucleons:
            raise ValueError(f"nucleus must be a nucleus (Z, A) with 1 ≤ Z ≤ A, not {[protons, nucleons]}")
        return self

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for name, least, most in (("energies", 0.0, 1e5), ("angles", 0.0, 180.0), ("vertices", 0.0, 1e4)):
            edges = getattr(self, name)
            if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
                raise ValueError(f"{name} must be two or more ascending edges of cells, not {edges}")
            if edges[0] < least or edges[-1] > most:
                raise ValueError(f"{name} must lie between {least:g} and {most:g}, not {edges[0]:g} … {edges[-1]:g}")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of cells in energy, angle and vertex."""
        return len(self.energies) - 1, len(self.angles) - 1, len(self.vertices) - 1


class Simulation(Section):
    """The embedded experiment: traces with their truth beside them."""

    seed: int = parameter(1, "", "seed of all randomness, with the run and event number", _CHOICE, ge=0, le=2**63 - 1)
    runs: int = parameter(2, "runs", "number of runs, 1 …", _CHOICE, ge=1, le=9999)
    events: int = parameter(200, "events", "events a run", _CHOICE, ge=0, le=10_000_000)
    gas: str = parameter("config/gas/deuterium_300torr.json", "", "gas target (path of a JSON file)", _CHOICE)
    reaction: SimulatedReaction = parameter(SimulatedReaction, "", "beam and reaction")
    detector: SimulatedDetector = parameter(SimulatedDetector, "", "the true detector")
    electronics: SimulatedElectronics = parameter(SimulatedElectronics, "", "GET and FRIBDAQ electronics")
    beam: SimulatedBeam = parameter(SimulatedBeam, "", "pile-up, contaminant, downscaled triggers, scalers")
    particles: SimulatedParticles | None = parameter(
        None, "", "single particles on a grid instead of the reaction, for `acceptance`; null: the reaction", _CHOICE
    )

    @model_validator(mode="after")
    def _particles_inside(self) -> Self:
        if self.particles is not None and self.particles.vertices[-1] > self.detector.detector_length:
            raise ValueError(
                f"particles.vertices ({self.particles.vertices[-1]}) must not be above detector.detector_length "
                f"({self.detector.detector_length})"
            )
        return self

    @model_validator(mode="after")
    def _vertex_inside(self) -> Self:
        if self.reaction.vertex_max > self.detector.detector_length:
            raise ValueError(
                f"reaction.vertex_max ({self.reaction.vertex_max}) must not be above detector.detector_length "
                f"({self.detector.detector_length})"
            )
        return self
