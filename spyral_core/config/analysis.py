"""Every parameter of the analysis. Parameters that Spyral has keep its names and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from spyral_core.config.fields import Real, RunList, Section, parameter
from spyral_core.config.simulation import Simulation


class Detector(Section):
    """The detector as the analysis takes it to be."""

    magnetic_field: Real = parameter(
        2.85, "T", "magnetic field along the beam axis; positive points to the window (−z)", gt=0, le=20
    )
    electric_field: Real = parameter(
        45000.0, "V/m", "electric field along the beam axis; positive points to the window (−z)", ge=0, le=1e7
    )
    detector_length: Real = parameter(1000.0, "mm", "distance from the window to the pad plane", gt=0, le=10000)
    beam_region_radius: Real = parameter(
        25.0,
        "mm",
        "tracks are followed to this distance from the beam axis to find their vertex",
        gt=0,
        le=300,
    )
    micromegas_time_bucket: Real = parameter(10.0, "TB", "time bucket of a pulse from the pad plane", ge=-512, le=2048)
    window_time_bucket: Real = parameter(560.0, "TB", "time bucket of a pulse from the window", ge=-512, le=4096)
    get_frequency: Real = parameter(6.25, "MHz", "sampling frequency of the GET electronics", gt=0, le=100)
    garfield_file: str | None = parameter(None, "", "Garfield table of electron drift (path); null: straight drift")

    @model_validator(mode="after")
    def _drift_takes_time(self) -> Self:
        if self.window_time_bucket <= self.micromegas_time_bucket:
            raise ValueError(
                f"window_time_bucket ({self.window_time_bucket}) must be larger than micromegas_time_bucket "
                f"({self.micromegas_time_bucket}): electrons from the window drift longest"
            )
        return self


class Pads(Section):
    """The tables of the pad plane; each is `builtin`, null (none) or the path of a CSV file with one header line."""

    geometry: str = parameter("builtin", "", "pad centres x, y [mm]: `builtin` (the AT-TPC lattice) or a CSV file")
    geometry_holds: Literal["mid-height", "centroid"] = parameter(
        "mid-height",
        "",
        "what the geometry file gives: the middle of each triangle's height, as the AT-TPC tables do, or its centroid",
    )
    scale: str = parameter("builtin", "", "linear pad size, 1.0 big and 0.5 small: `builtin` or a CSV file")
    time_correction: str | None = parameter(None, "TB", "CSV file of the time added to each pad's pulses")
    gain_correction: str | None = parameter(None, "", "CSV file of the factor on each pad's amplitude and integral")
    electronics: str | None = parameter(
        None, "", "CSV file cobo, asad, aget, channel → pad, which then overrides the pad numbers in the data"
    )


class Traces(Section):
    """How pulses are found in traces."""

    baseline_window_scale: Real = parameter(
        20.0, "", "the baseline is a moving average over (number of samples) / this", gt=0, le=1000
    )
    peak_separation: Real = parameter(50.0, "TB", "smallest distance between two peaks", ge=1, le=2048)
    peak_prominence: Real = parameter(20.0, "ADC", "smallest prominence of a peak", gt=0, le=65535)
    peak_max_width: Real = parameter(50.0, "TB", "largest width of a peak", gt=1, le=2048)
    peak_threshold: Real = parameter(40.0, "ADC", "smallest amplitude of a peak", gt=0, le=65535)


class Get(Traces):
    """How pulses of the pads are found."""

    shaping_time: Real = parameter(
        6.25,
        "TB",
        "time τ of the GET response exp(−3t/τ)·(t/τ)³·sin(t/τ): takes overlapping pulses apart, gives saturated ones "
        "their time",
        gt=0,
        le=200,
    )


class Frib(Traces):
    """How the ion chamber's and the silicon's pulses are found in FRIBDAQ traces."""

    baseline_window_scale: Real = parameter(
        100.0, "", "the baseline is a moving average over (number of samples) / this", gt=0, le=1000
    )
    peak_separation: Real = parameter(50.0, "TB", "smallest distance between two peaks", ge=1, le=2048)
    peak_prominence: Real = parameter(20.0, "ADC", "smallest prominence of a peak", gt=0, le=65535)
    peak_max_width: Real = parameter(500.0, "TB", "largest width of a peak", gt=1, le=4096)
    peak_threshold: Real = parameter(100.0, "ADC", "smallest amplitude of a peak", gt=0, le=65535)
    ic_delay_time_bucket: int = parameter(
        1100, "FRIB TB", "the ion chamber's trigger is the first peak after this", ge=0, le=4096
    )
    ic_multiplicity: int = parameter(1, "", "largest number of ion-chamber peaks of a good event", ge=1, le=100)
    correct_ic_time: bool = parameter(
        True, "", "take the time between the good ion-chamber peak and the trigger off the pad times"
    )


class LegacyIonChamber(Traces):
    """The ion chamber as a GET channel (CoBo 10, AGET 1, channel 0), as before FRIBDAQ recorded it."""

    baseline_window_scale: Real = parameter(
        100.0, "", "the baseline is a moving average over (number of samples) / this", gt=0, le=1000
    )
    peak_max_width: Real = parameter(100.0, "TB", "largest width of a peak", gt=1, le=2048)


class Survey(Section):
    """What is read off a sample of each run before its point clouds are made."""

    max_events: int = parameter(1000, "events", "size of the sample, spread evenly over the run", ge=1, le=10_000_000)
    noisy_pad_share: Real = parameter(
        0.5,
        "",
        "a pad that fires in more than this share of events, and far more often than its neighbours, is noisy",
        gt=0,
        le=1,
    )
    repeated_charge_share: Real = parameter(
        0.5,
        "",
        "a pad whose pulses repeat one amplitude and time in more than this share of its hits is bit-flipped",
        gt=0,
        le=1,
    )
    min_hits: int = parameter(
        8, "hits", "pads with fewer hits in the sample are taken for neither noisy nor bit-flipped", ge=2
    )
    dead_pad_share: Real = parameter(
        0.2,
        "",
        "a pad that fires in less than this share of the events in which its neighbours say that it should is dead; 0: "
        "none is",
        ge=0,
        lt=1,
    )


class Hdbscan(Section):
    """Density-based clustering (Campello et al., PAKDD 2013)."""

    min_points: int = parameter(3, "points", "neighbours that define a point's density (`min_samples`)", ge=1, le=1000)
    min_size_scale_factor: Real = parameter(0.05, "", "smallest cluster as a share of the cloud", ge=0, le=1)
    min_size_lower_cutoff: int = parameter(10, "points", "smallest cluster whatever the cloud's size", ge=2, le=10000)
    cluster_selection_epsilon: Real = parameter(10.0, "mm", "clusters nearer than this are not split", ge=0, le=1000)


class OverlapJoin(Section):
    """Clusters whose circles overlap are one particle."""

    min_cluster_size_join: int = parameter(15, "points", "smaller clusters join nothing", ge=3, le=10000)
    circle_overlap_ratio: Real = parameter(
        0.5, "", "join when the circles share more than this part of the smaller one's area", gt=0, le=1
    )


class ContinuityJoin(Section):
    """A cluster that begins where another ends is its continuation."""

    join_radius_fraction: Real = parameter(
        0.3, "", "largest gap in the distance from the beam axis, as a share of the clusters' range in it", gt=0, le=1
    )
    join_z_fraction: Real = parameter(0.2, "", "largest gap in z, as a share of the clusters' range in it", gt=0, le=1)


class SmoothJoin(Section):
    """Pieces of one smooth curve are one particle: for thin tracks that density alone breaks up."""

    max_gap: Real = parameter(80.0, "mm", "largest distance between two pieces", gt=0, le=1000)
    tolerance: Real = parameter(
        4.0, "mm", "largest root-mean-square deviation of their ends from one helix", gt=0, le=100
    )


class Cluster(Section):
    """Point clouds to clusters, one a particle."""

    min_cloud_size: int = parameter(50, "points", "smaller clouds are not clustered", ge=3, le=1_000_000)
    z_scale: Real = parameter(0.584, "", "factor on z in the distances of the clustering", gt=0, le=10)
    outlier_scale_factor: Real = parameter(
        0.05, "", "neighbours in the local outlier factor, as a share of the cluster", gt=0, le=1
    )
    direction_threshold: Real = parameter(
        0.5,
        "",
        "share of steps along z that must turn one way before the sense of rotation is believed",
        ge=0,
        lt=1,
    )
    hdbscan: Hdbscan = parameter(Hdbscan, "", "density-based clustering")
    smooth_join: SmoothJoin | None = parameter(
        SmoothJoin, "", "join of the pieces of a smooth curve; comes before the other join"
    )
    overlap_join: OverlapJoin | None = parameter(None, "", "join by overlap of circles; at most one join")
    continuity_join: ContinuityJoin | None = parameter(
        ContinuityJoin, "", "join by continuity, the default unless overlap_join is set; at most one join"
    )

    @model_validator(mode="before")
    @classmethod
    def _overlap_replaces_default(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("overlap_join") is not None and "continuity_join" not in values:
            return {**values, "continuity_join": None}
        return values

    @model_validator(mode="after")
    def _at_most_one_join(self) -> Self:
        if self.overlap_join is not None and self.continuity_join is not None:
            raise ValueError("overlap_join and continuity_join exclude each other: set one of them to null")
        return self


class Estimate(Section):
    """Clusters to first estimates of vertex, angles, Bρ and dE/dx."""

    min_total_trajectory_points: int = parameter(30, "points", "smaller clusters are not estimated", ge=5, le=100_000)
    smoothing_factor: Real = parameter(100.0, "", "roughness penalty of the smoothing splines along z", ge=0, le=1e12)


class Solver(Section):
    """Fit of the equation of motion to each gated cluster."""

    gas: str = parameter(..., "", "gas target (path of a JSON file)")
    gates: list[str] = parameter(
        list,
        "",
        "particle gates (paths of JSON files); each has results of its own, named by the file's stem",
    )
    species: list[tuple[int, int]] = parameter(
        list,
        "Z, A",
        "every cluster is fitted as each of these nuclei, without a gate, and their probabilities are given: results "
        "in `solver/species`, beside those of the gates",
        max_length=20,
    )
    ic_min_val: Real = parameter(
        -1e9, "ADC", "events with a smaller ion-chamber amplitude are left out", ge=-1e9, le=1e9
    )
    ic_max_val: Real = parameter(1e9, "ADC", "events with a larger ion-chamber amplitude are left out", ge=-1e9, le=1e9)
    fit_method: Literal["leastsq", "lbfgsb"] = parameter(
        "leastsq", "", "Levenberg–Marquardt, or L-BFGS-B on the same objective"
    )
    beam_spot: Real = parameter(
        5.0,
        "mm",
        "σ of the beam's distance from the axis in x and in y: fixes where on the track the vertex is",
        gt=0,
        le=100,
    )
    scattering: bool = parameter(
        True,
        "",
        "the fit allows for multiple scattering and energy-loss straggling; false for simulations without them",
    )
    diffusion_voltage: Real = parameter(
        0.277,
        "V",
        "characteristic energy of the drifting electrons: σ² = 2·(this)·(drift length)/E; a first guess, which each "
        "track corrects",
        gt=0,
        le=100,
    )
    n_time_steps: int = parameter(1000, "", "time steps of a mesh; without one it has no effect", ge=10, le=1_000_000)
    interp_ke_min: Real = parameter(0.1, "MeV", "smallest kinetic energy that is fitted", gt=0, le=10000)
    interp_ke_max: Real = parameter(70.0, "MeV", "largest kinetic energy that is fitted", gt=0, le=10000)
    interp_ke_bins: int = parameter(350, "", "energies of a mesh; without one it has no effect", ge=2, le=100_000)
    interp_polar_min: Real = parameter(2.0, "deg", "smallest polar angle that is fitted", gt=0, lt=180)
    interp_polar_max: Real = parameter(178.0, "deg", "largest polar angle that is fitted", gt=0, lt=180)
    interp_polar_bins: int = parameter(350, "", "angles of a mesh; without one it has no effect", ge=2, le=100_000)
    fit_vertex_rho: bool = parameter(
        True, "", "fit the vertex' distance from the beam axis; else it stays at the estimate"
    )
    fit_vertex_phi: bool = parameter(True, "", "fit the vertex' azimuth; else it stays at the estimate")
    fit_azimuthal: bool = parameter(True, "", "fit the track's azimuth; else it stays at the estimate")

    @field_validator("species")
    @classmethod
    def _nuclei(cls, values: list[tuple[int, int]]) -> list[tuple[int, int]]:
        for Z, A in values:
            if not 1 <= Z <= A:
                raise ValueError(f"[{Z}, {A}]: a nucleus is [Z, A], Z at least 1 and A at least Z")
        if len(set(values)) < len(values):
            raise ValueError("a nucleus is listed twice")
        return values

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (
            ("ic_min_val", "ic_max_val"),
            ("interp_ke_min", "interp_ke_max"),
            ("interp_polar_min", "interp_polar_max"),
        ):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)}) must be smaller than {high} ({getattr(self, high)})")
        return self


class Reaction(Section):
    """The reaction under study: its kinematic line is drawn in the report."""

    projectile: tuple[int, int] = parameter(..., "Z, A", "the beam")
    target: tuple[int, int] = parameter(..., "Z, A", "the struck nucleus of the gas")
    ejectile: tuple[int, int] = parameter(..., "Z, A", "the particle that is measured")
    beam_energy: Real = parameter(
        ...,
        "MeV",
        "kinetic energy of the beam at the window; the solver's gas slows it down up to the vertex",
        gt=0,
        le=1e6,
    )
    residual_excitation: Real = parameter(0.0, "MeV", "excitation energy of the fourth nucleus", ge=0, le=1000)


class Running(Section):
    """How a phase runs. No key in here changes a number."""

    chunk_events: int = parameter(32, "events", "events a worker takes at a time", ge=1, le=1_000_000)
    max_threads: int = parameter(
        8, "", "most worker processes of a job on this machine; on a cluster the profile says it", ge=1, le=1024
    )


class Configuration(Section):
    """The whole configuration of one analysis."""

    results: str = parameter("results", "", "folder of everything that is written", min_length=1)
    traces: str | None = parameter(None, "", "folder with run_XXXX.h5; exactly one of traces and simulate is given")
    simulate: Simulation | None = parameter(None, "", "make the traces instead: the embedded experiment")
    runs: RunList = parameter("1-2", "", "runs to analyse: numbers and ranges, `94-97, 99`")
    skip_runs: list[int] = parameter(list, "", "runs of the range to leave out")
    truncated_traces: Literal["refuse", "recover"] = parameter(
        "refuse", "", "a trace file that is cut off is an error, or what is left of it is used and the rest rejected"
    )
    max_rejected_share: Real = parameter(
        0.5, "", "a phase fails when more than this share of its events are rejected", ge=0, le=1
    )
    detector: Detector = parameter(Detector, "", "the detector")
    pads: Pads = parameter(Pads, "", "the pad plane")
    survey: Survey = parameter(Survey, "", "facts of the whole run")
    get: Get = parameter(Get, "", "pulses of the pads")
    frib: Frib = parameter(Frib, "", "pulses of ion chamber and silicon")
    legacy_ic: LegacyIonChamber | None = parameter(None, "", "set for runs whose ion chamber is a GET channel")
    cluster: Cluster = parameter(Cluster, "", "clustering")
    estimate: Estimate = parameter(Estimate, "", "estimation")
    solver: Solver | None = parameter(None, "", "the fit; null: stop after the estimates")
    reaction: Reaction | None = parameter(None, "", "the reaction, for the report")
    phases: dict[str, str] = parameter(
        dict,
        "",
        "own code for a phase: `{cluster: my_package.my_module:process}` replaces the phase's function of one event",
    )
    running: Running = parameter(Running, "", "how phases run")

    @model_validator(mode="after")
    def _one_origin_of_traces(self) -> Self:
        if (self.traces is None) == (self.simulate is None):
            state = "both are" if self.traces is not None else "neither is"
            raise ValueError(f"exactly one of `traces` (a folder of run files) and `simulate` must be given; {state}")
        return self
