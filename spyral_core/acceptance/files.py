"""Files and columns of an acceptance map. Light to import: the report reads a map by these names."""

from __future__ import annotations

from spyral_core.tables import SOLUTIONS, TRUTH, Column, Table

FOLDER = "acceptance"  # of the map that belongs to some results, below them
CONFIGURATION = "config.yaml"  # of the simulation, complete: Snakemake takes it as it is
SIMULATED = "simulated"  # results of that configuration
MAP, INTEGRATED, CROSS_SECTION = "acceptance.parquet", "acceptance_integrated.parquet", "acceptance_cm.parquet"
SUMMARY, TEXT = "summary.json", "summary.md"
MAP_FIGURE, STAGES_FIGURE, ERRORS_FIGURE = "acceptance.png", "acceptance_stages.png", "acceptance_errors.png"
CROSS_SECTION_FIGURE = "acceptance_cm.png"

# How far a particle came; each step counts only those that came through all before.
STEPS: dict[str, str] = {
    "generated": "particles",
    "detected": "seen by as many pads outside the beam region as the trigger needs",
    "clustered": "a cluster was found in the event",
    "estimated": "a cluster was long enough for an estimate",
    "selected": "an estimate lies in the gate and the ion chamber's bounds",
    "solved": "a track was fitted",
    "accepted": "it has the true energy and polar angle within the tolerances",
}
AXES = ("energy", "angle", "vertex")
_UNITS = {"energy": "MeV", "angle": "deg", "vertex": "mm"}
_MEANING = {"energy": "kinetic energy", "angle": "polar angle", "vertex": "z of the vertex"}


def track_file(run: int) -> str:
    """What became of the particles of a run, below the map's folder."""
    return f"tracks/run_{run:04d}.parquet"


_FITTED = ("ke", "polar", "azimuthal", "vertex_x", "vertex_y", "vertex_z", "redchisq")
_TRUTH = ("ke", "polar", "azimuthal", "vertex_x", "vertex_y", "vertex_z", "n_pads", "stops", "turn")
_meaning = {column.name: column for column in (*SOLUTIONS.columns, *TRUTH.columns)}
TRACKS = Table(
    "tracks",
    (
        Column("run", "int64", "", "simulated run"),
        Column("event", "int64", "", "event number in it"),
        *(Column(f"{axis}_cell", "int64", "", f"number of its cell in {_MEANING[axis]}, from 0") for axis in AXES),
        *(Column(name, _meaning[name].dtype, _meaning[name].unit, _meaning[name].meaning) for name in _TRUTH),
        *(Column(name, "bool", "", STEPS[name]) for name in ("clustered", "estimated", "selected")),
        Column("cluster_index", "int64", "", "cluster of the fitted track, -1 without one"),
        *(
            Column(
                f"fitted_{name}",
                "float64",
                "mm" if name.startswith("vertex") else _meaning[name].unit,
                f"fitted: {_meaning[name].meaning}; nan without a track",
            )
            for name in _FITTED
        ),
        Column("ke_error", "float64", "", "fitted over true kinetic energy, less 1"),
        Column("polar_error", "float64", "deg", "fitted less true polar angle"),
    ),
)


def _cells(axes: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(
        Column(f"{axis}_{end}", "float64", _UNITS[axis], f"{end} end of the cell in {_MEANING[axis]}")
        for axis in axes
        for end in ("low", "high")
    )


_FOUND = (
    *(Column(name, "int64", "", meaning) for name, meaning in STEPS.items()),
    Column("efficiency", "float64", "", "accepted over generated; nan where none was generated"),
    Column("efficiency_low", "float64", "", "lower end of its 68 % interval (Wilson)"),
    Column("efficiency_high", "float64", "", "upper end of its 68 % interval (Wilson)"),
    Column("ke_median", "float64", "", "median of fitted over true energy less 1, of the solved"),
    Column("ke_width", "float64", "", "half of the central 68 % of that; nan of fewer than two"),
    Column("polar_median", "float64", "deg", "median of fitted less true polar angle, of the solved"),
    Column("polar_width", "float64", "deg", "half of the central 68 % of that; nan of fewer than two"),
)
MAP_TABLE = Table("acceptance", (*_cells(AXES), *_FOUND))
INTEGRATED_TABLE = Table("acceptance", (*_cells(AXES[:2]), *_FOUND))
CROSS_SECTION_TABLE = Table(
    "acceptance_cm",
    (
        *_cells(("vertex",)),
        Column("cm_low", "float64", "deg", "lower end of the bin in the ejectile's centre-of-mass angle"),
        Column("cm_high", "float64", "deg", "upper end of the bin"),
        Column("energy_low", "float64", "MeV", "smallest kinetic energy in the bin"),
        Column("energy_high", "float64", "MeV", "largest kinetic energy in the bin"),
        Column("angle_low", "float64", "deg", "smallest polar angle in the bin"),
        Column("angle_high", "float64", "deg", "largest polar angle in the bin"),
        Column("covered", "float64", "", "share of the bin that the grid covers"),
        Column("efficiency", "float64", "", "mean over the bin; nan unless it is covered as a whole"),
        Column("efficiency_low", "float64", "", "lower end of its 68 % interval, from the numbers of particles"),
        Column("efficiency_high", "float64", "", "upper end of its 68 % interval"),
        Column("solid_angle", "float64", "sr", "2π (cos of the lower end − cos of the upper end)"),
        Column("effective_solid_angle", "float64", "sr", "efficiency times solid angle"),
    ),
)
