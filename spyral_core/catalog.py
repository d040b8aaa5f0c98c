"""The stages of the analysis as data: what each reads, writes and depends on.

Light to import: the workflow reads it each time the Snakefile is parsed. The code is in `module`, loaded when it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from spyral_core import tables
from spyral_core.tables import Table


@dataclass(frozen=True)
class Stage:
    """One stage.

    `parameters` are the configuration keys that can change its numbers, and all that its code gets to see. `inputs`
    and `output` are names of `paths.PATTERNS`; `tables` are those of the output file. `extra` are further outputs of
    one table each. An event-wise stage also writes its rejected events. `files` are further inputs that the
    configuration names: the input's name → the key that holds its path. `ignored` are keys inside `parameters` that
    change nothing in what the stage makes of one run (and one gate).
    """

    name: str
    module: str
    parameters: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    tables: tuple[Table, ...]
    extra: dict[str, Table] = field(default_factory=dict)
    eventwise: bool = True
    files: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


_DRIFT = tuple(
    f"detector.{key}"
    for key in (
        "detector_length",
        "micromegas_time_bucket",
        "window_time_bucket",
        "get_frequency",
        "garfield_file",
    )
)

_FIT = (
    "max_rejected_share",
    "detector.magnetic_field",
    "detector.electric_field",
    "detector.detector_length",
    "detector.beam_region_radius",
    "detector.micromegas_time_bucket",
    "detector.window_time_bucket",
    "pads.geometry",
    "pads.geometry_holds",
    "pads.scale",
)

_PAD_TABLES = ("time_correction", "gain_correction", "electronics")

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "simulate",
            "spyral_core.simulate.experiment",
            ("simulate",),
            (),
            "traces",
            (),
            extra={"truth": tables.TRUTH},
            eventwise=False,
            files={"gas": "simulate.gas"},
            ignored=("simulate.runs",),
        ),
        Stage(
            "survey",
            "spyral_core.phases.survey",
            (
                "survey",
                "get",
                "pads.electronics",
                "legacy_ic",
                "truncated_traces",
                *(key for key in _DRIFT if key != "detector.garfield_file"),
            ),
            ("traces",),
            "survey",
            (tables.SURVEY,),
            eventwise=False,
            files={"electronics": "pads.electronics"},
        ),
        Stage(
            "pointcloud",
            "spyral_core.phases.pointcloud",
            (
                "get",
                "frib",
                "legacy_ic",
                "pads",
                "phases.pointcloud",
                "truncated_traces",
                "max_rejected_share",
                *_DRIFT,
            ),
            ("traces", "survey"),
            "pointcloud",
            (tables.POINTCLOUD_EVENTS, tables.POINTS),
            extra={"scalers": tables.SCALERS},
            files={
                "garfield": "detector.garfield_file",
                **{name: f"pads.{name}" for name in ("geometry", "scale", *_PAD_TABLES)},
            },
        ),
        Stage(
            "cluster",
            "spyral_core.phases.cluster",
            ("cluster", "phases.cluster", "max_rejected_share"),
            ("pointcloud",),
            "cluster",
            (tables.CLUSTER_EVENTS, tables.CLUSTERS, tables.CLUSTER_POINTS),
        ),
        Stage(
            "estimate",
            "spyral_core.phases.estimate",
            (
                "estimate",
                "phases.estimate",
                "max_rejected_share",
                "detector.magnetic_field",
                "detector.beam_region_radius",
                "detector.detector_length",
                "detector.micromegas_time_bucket",
                "detector.window_time_bucket",
            ),
            ("cluster",),
            "estimate",
            (tables.ESTIMATES,),
        ),
        Stage(
            "solve",
            "spyral_core.phases.solve",
            ("solver", "phases.solve", *_FIT),
            ("survey", "cluster", "estimate"),
            "solver",
            (tables.SOLUTIONS,),
            files={"gas": "solver.gas", "geometry": "pads.geometry", "scale": "pads.scale"},
            ignored=("solver.gates", "solver.species"),
        ),
        Stage(
            "hypotheses",
            "spyral_core.phases.hypotheses",
            ("solver", *_FIT),
            ("survey", "cluster", "estimate"),
            "hypotheses",
            (tables.HYPOTHESES,),
            files={"gas": "solver.gas", "geometry": "pads.geometry", "scale": "pads.scale"},
            ignored=("solver.gates",),
        ),
        Stage(
            "species",
            "spyral_core.phases.species",
            (),
            ("hypotheses",),
            "species",
            (tables.SPECIES_SOLUTIONS,),
            eventwise=False,
        ),
        Stage(
            "report",
            "spyral_core.report.build",
            (
                "reaction",
                "detector",
                "solver",
                "simulate",
                "pads.geometry",
                "pads.geometry_holds",
                "pads.time_correction",
                "pads.gain_correction",
                "max_rejected_share",
            ),
            (),
            "report",
            (),
            eventwise=False,
            ignored=("simulate.runs",),
        ),
    )
}
