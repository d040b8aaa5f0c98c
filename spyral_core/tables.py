"""The columns of every table: name, type, unit, meaning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Column:
    """One column of a table; `dtype` is a numpy name, or `str`."""

    name: str
    dtype: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: its name in a file, its columns, and which other tables its rows own ranges of.

    `owns` gives for a child table the pair of columns (first row, number of rows); the first row is filled in on
    writing.
    """

    name: str
    columns: tuple[Column, ...]
    owns: tuple[tuple[str, str, str], ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def known(self) -> frozenset[str]:
        """The names as a set."""
        return frozenset(self.names)

    @cached_property
    def given(self) -> dict[str, str]:
        """The types of the columns that are not filled in on writing, by name."""
        filled = {first for _, first, _ in self.owns}
        return {column.name: column.dtype for column in self.columns if column.name not in filled}


_EVENT = Column("event", "int64", "", "event number in the trace file")
_CLUSTER_INDEX = Column("cluster_index", "int64", "", "number of the cluster in its event, from 0")
_ORIGIN = (
    Column("orig_run", "int64", "", "run the event was taken in (before harmonizing)"),
    Column("orig_event", "int64", "", "event number in that run"),
)
_ION_CHAMBER = (
    Column("ic_amplitude", "float64", "ADC", "amplitude of the good ion-chamber pulse, -1 if there is none"),
    Column("ic_integral", "float64", "ADC", "integral of that pulse, -1 if there is none"),
    Column("ic_centroid", "float64", "FRIB TB", "time of that pulse, -1 if there is none"),
    Column(
        "ic_multiplicity",
        "float64",
        "",
        "number of ion-chamber pulses from the trigger on, -1 if there is none",
    ),
)
_POSITION = (
    Column("x", "float64", "mm", "across the beam"),
    Column("y", "float64", "mm", "across the beam"),
    Column("z", "float64", "mm", "along the beam, 0 at the window"),
)

POINTCLOUD_EVENTS = Table(
    "events",
    (
        _EVENT,
        *_ORIGIN,
        *_ION_CHAMBER,
        Column("first_point", "int64", "", "row of the event's first point"),
        Column("n_points", "int64", "", "number of the event's points"),
        Column(
            "trigger",
            "int64",
            "",
            "coincidence register: 1 mesh, 2 downscaled ion chamber, 3 both, -1 not recorded",
        ),
    ),
    owns=(("points", "first_point", "n_points"),),
)
POINTS = Table(
    "points",
    (
        *_POSITION,
        Column("amplitude", "float64", "ADC", "height of the pulse"),
        Column("integral", "float64", "ADC", "sum of the pulse's samples between its edges"),
        Column("pad", "int32", "", "pad number"),
        Column("time", "float64", "TB", "time of the pulse's peak, corrected"),
        Column("scale", "float64", "", "linear size of the pad: 1 big, 0.5 small"),
        Column(
            "saturated",
            "int8",
            "",
            "1 if the pulse reached the end of the ADC's range: amplitude, integral and time are restored",
        ),
        Column("pulse", "int32", "", "number of the pulse in its event: slices of a long one share it"),
    ),
)
SCALERS = Table(
    "scalers",
    tuple(
        Column(name, "int64", "counts", f"scaler word {index}")
        for index, name in enumerate(
            (
                "clock_free",
                "clock_live",
                "trigger_free",
                "trigger_live",
                "ic_sca",
                "mesh_sca",
                "si1_cfd",
                "si2_cfd",
                "sipm",
                "ic_ds",
                "ic_cfd",
            )
        )
    ),
)
SURVEY = Table(
    "pads",
    (
        Column("pad", "int32", "", "pad number"),
        Column("hits", "int64", "", "pulses in the sample"),
        Column("hit_share", "float64", "", "share of the sample's events in which the pad fired"),
        Column("repeated_share", "float64", "", "share of its pulses with one and the same amplitude and time"),
        Column("masked", "bool", "", "left out of the point clouds, and not taken for silent in the fit"),
        Column("reason", "str", "", "why: noisy, repeats one charge, dead; empty if not masked"),
    ),
)
CALIBRATION = Table(
    "pads",
    (
        Column("pad", "int32", "", "pad number"),
        Column("time", "float64", "TB", "how late its pulses come, against the median pad of its size; 0 if not known"),
        Column("time_error", "float64", "TB", "its standard error; infinite without hits"),
        Column("time_hits", "int64", "", "hits it is from"),
        Column("time_known", "bool", "", "there are enough hits"),
        Column("time_correction", "float64", "TB", "what is to be added to its times"),
        Column("gain", "float64", "", "how large its pulses are, over the median pad of its size; 1 if not known"),
        Column("gain_error", "float64", "", "its standard error; infinite without hits"),
        Column("gain_hits", "int64", "", "hits it is from"),
        Column("gain_known", "bool", "", "there are enough hits"),
        Column("gain_correction", "float64", "", "factor on its amplitudes and integrals"),
    ),
)
CLUSTER_EVENTS = Table(
    "events",
    (
        _EVENT,
        *_ORIGIN,
        *_ION_CHAMBER,
        Column("first_cluster", "int64", "", "row of the event's first cluster"),
        Column("n_clusters", "int64", "", "number of the event's clusters"),
    ),
    owns=(("clusters", "first_cluster", "n_clusters"),),
)
CLUSTERS = Table(
    "clusters",
    (
        _EVENT,
        _CLUSTER_INDEX,
        Column("label", "int64", "", "label given by the clustering"),
        Column("direction", "int64", "", "sense of motion along the beam: 0 forward, 1 backward, -1 not known"),
        Column("first_point", "int64", "", "row of the cluster's first point"),
        Column("n_points", "int64", "", "number of the cluster's points"),
    ),
    owns=(("points", "first_point", "n_points"),),
)
CLUSTER_POINTS = Table(
    "points",
    (
        *_POSITION,
        Column("charge", "float64", "ADC", "integral of the pulse"),
        Column("scale", "float64", "", "linear size of the pad: 1 big, 0.5 small"),
        Column("pad", "int32", "", "pad number"),
        Column("cloud_point", "int64", "", "number of the point in its event's point cloud"),
        Column("pulse", "int32", "", "number of the pulse in its event: slices of a long one share it"),
    ),
)
ESTIMATES = Table(
    "estimates",
    (
        _EVENT,
        _CLUSTER_INDEX,
        Column("cluster_label", "int64", "", "label given by the clustering"),
        *_ORIGIN,
        Column("ic_amplitude", "float64", "ADC", "amplitude of the good ion-chamber pulse, -1 if there is none"),
        Column("ic_centroid", "float64", "FRIB TB", "time of that pulse, -1 if there is none"),
        Column("ic_integral", "float64", "ADC", "integral of that pulse, -1 if there is none"),
        Column(
            "ic_multiplicity",
            "float64",
            "",
            "number of ion-chamber pulses from the trigger on, -1 if there is none",
        ),
        Column("vertex_x", "float64", "mm", "vertex: the circle's point closest to the beam axis"),
        Column("vertex_y", "float64", "mm", "vertex: the circle's point closest to the beam axis"),
        Column("vertex_z", "float64", "mm", "vertex along the beam"),
        Column("center_x", "float64", "mm", "centre of the circle of the first arc"),
        Column("center_y", "float64", "mm", "centre of the circle of the first arc"),
        Column("center_z", "float64", "mm", "z of the vertex, where the circle is taken"),
        Column("polar", "float64", "rad", "polar angle against the beam axis"),
        Column("azimuthal", "float64", "rad", "azimuthal angle of the momentum at the vertex"),
        Column("brho", "float64", "T m", "magnetic rigidity"),
        Column("dEdx", "float64", "arb. / mm", "charge over path length"),
        Column("sqrt_dEdx", "float64", "", "its square root"),
        Column("dE", "float64", "arb.", "charge of the first arc"),
        Column("arclength", "float64", "mm", "path length of the first arc"),
        Column("direction", "int64", "", "0 forward, 1 backward"),
    ),
)
SOLUTIONS = Table(
    "solutions",
    (
        _EVENT,
        _CLUSTER_INDEX,
        Column("cluster_label", "int64", "", "label given by the clustering"),
        *_ORIGIN,
        Column("vertex_x", "float64", "m", "vertex"),
        Column("sigma_vx", "float64", "m", "its standard deviation"),
        Column("vertex_y", "float64", "m", "vertex"),
        Column("sigma_vy", "float64", "m", "its standard deviation"),
        Column("vertex_z", "float64", "m", "vertex"),
        Column("sigma_vz", "float64", "m", "its standard deviation"),
        Column("brho", "float64", "T m", "magnetic rigidity at the vertex"),
        Column("sigma_brho", "float64", "T m", "its standard deviation"),
        Column("ke", "float64", "MeV", "kinetic energy at the vertex"),
        Column("sigma_ke", "float64", "MeV", "its standard deviation"),
        Column("polar", "float64", "rad", "polar angle at the vertex"),
        Column("sigma_polar", "float64", "rad", "its standard deviation"),
        Column("azimuthal", "float64", "rad", "azimuthal angle at the vertex"),
        Column("sigma_azimuthal", "float64", "rad", "its standard deviation"),
        Column("redchisq", "float64", "", "χ² per degree of freedom"),
        Column("n_points", "int64", "", "points the fit used"),
        Column("stops", "bool", "", "the fitted track ends in the gas"),
    ),
)
HYPOTHESES = Table(
    "hypotheses",
    (
        *SOLUTIONS.columns,
        Column("Z", "int64", "", "protons of the species that was fitted"),
        Column("A", "int64", "", "nucleons of the species that was fitted"),
        Column("level", "float64", "ADC / MeV", "charge over the energy loss that the fit expects"),
        Column("deviance", "float64", "", "−2 ln likelihood of the track's points, but for a constant of the track"),
    ),
)
SPECIES_SOLUTIONS = Table(
    "solutions",
    (
        *HYPOTHESES.columns,
        Column("charge_pull", "float64", "", "level against the run's gain, in widths of the level's distribution"),
        Column("probability", "float64", "", "of this species, among those that are listed"),
        Column("best", "bool", "", "the track's most probable species; one row a track has it"),
    ),
)
REJECTED = Table(
    "rejected",
    (
        _EVENT,
        Column("cluster_index", "int64", "", "number of the cluster in its event, -1 for the whole event"),
        Column("reason", "str", "", "why it was rejected"),
    ),
)
TRUTH = Table(
    "truth",
    (
        _EVENT,
        Column("Z", "int64", "", "protons of the particle"),
        Column("A", "int64", "", "nucleons of the particle"),
        Column("ke", "float64", "MeV", "kinetic energy at the vertex"),
        Column("polar", "float64", "rad", "polar angle against the beam axis at the vertex"),
        Column("azimuthal", "float64", "rad", "azimuthal angle at the vertex"),
        Column("vertex_x", "float64", "mm", "vertex"),
        Column("vertex_y", "float64", "mm", "vertex"),
        Column("vertex_z", "float64", "mm", "vertex"),
        Column("brho", "float64", "T m", "magnetic rigidity at the vertex"),
        Column(
            "n_pads",
            "int64",
            "",
            "pads outside the beam region whose own pulse from this particle exceeds the threshold",
        ),
        Column("stops", "bool", "", "ends in the gas"),
        Column("turn", "float64", "rad", "turn of the momentum's azimuth inside the gas"),
        Column("trigger", "int64", "", "coincidence register: 1 mesh, 2 downscaled ion chamber, 3 both"),
        Column("pile_up", "bool", "", "a second beam particle came in the drift time"),
        Column("contaminant", "bool", "", "the beam particle was of the other beam"),
    ),
)
