"""`python -m spyral_core <command>`: arguments to stages, errors to exit codes.

0 done; 1 data unusable (one line: file, event, reason); 2 configuration or arguments wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from spyral_core import inputs, paths, runs
from spyral_core.catalog import STAGES, Stage
from spyral_core.config import Configuration, canonical, load
from spyral_core.config.analysis import Running
from spyral_core.errors import ConfigurationError, DataError

DONE, DATA_UNUSABLE, CONFIGURATION_WRONG = 0, 1, 2
_EMBEDDED = Path("config/config.yaml")  # what Snakemake takes without --configfile
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    # Before numpy and polars are loaded: sums over threads may differ from machine to machine.
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    signal.signal(signal.SIGTERM, _stop)
    options = _parser().parse_args(arguments)
    try:
        command = _COMMANDS.get(options.command, _stage)
        return command(options)
    except ConfigurationError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return CONFIGURATION_WRONG
    except DataError as error:
        print(f"data: {error}", file=sys.stderr)
    except MemoryError as error:
        print(f"out of memory: give the job more memory or fewer threads: {error}", file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return DATA_UNUSABLE


def _stop(number: int, _: FrameType | None) -> None:
    """Leave through every `finally`, so that temporary files vanish."""
    print("terminated", file=sys.stderr)
    raise SystemExit(128 + number)


@dataclass(frozen=True)
class Request:
    """What a stage is asked to do, whichever way it was said."""

    parameters: dict[str, Any]
    results: Path
    traces: Path
    configuration: Configuration | None


def _request(stage: Stage, options: argparse.Namespace) -> Request:
    """From `--config`, or from `--parameters`, `--results` and `--traces`."""
    if options.config is not None:
        if options.results is not None or options.traces is not None:
            raise ConfigurationError(
                "--results and --traces go with --parameters; with --config they stand in the file"
            )
        configuration = load(options.config)
        results = Path(configuration.results)
        return Request(
            parameters=json.loads(canonical(configuration, stage.parameters, stage.ignored)),
            results=results,
            traces=Path(configuration.traces) if configuration.traces else results / "traces",
            configuration=configuration,
        )
    if options.results is None:
        raise ConfigurationError("--parameters needs --results")
    return Request(
        parameters=_parameters(stage, options.parameters),
        results=options.results,
        traces=options.traces or options.results / "traces",
        configuration=None,
    )


def _parameters(stage: Stage, text: str) -> dict[str, Any]:
    """The stage's parameters from their JSON text, with every key that the stage needs."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"--parameters: is not JSON: {error}") from None
    for key in stage.parameters:
        try:
            inputs.value_of(values, key)
        except (KeyError, TypeError):
            raise ConfigurationError(f"--parameters: stage {stage.name} needs the key {key}") from None
    return dict(values)


def _stage(options: argparse.Namespace) -> int:
    """One stage over one run."""
    stage = STAGES[options.command]
    request = _request(stage, options)
    _check_section(stage, request.parameters)
    gate = getattr(options, "gate", None)
    inputs.configured(stage, request.parameters, gate)  # a missing file is said before anything is compiled

    from spyral_core import job, warmup

    running = request.configuration.running if request.configuration else Running()
    warmup.ensure()
    job.run_job(
        stage,
        options.run,
        request.parameters,
        request.results,
        request.traces,
        gate,
        options.threads,
        options.chunk_events or running.chunk_events,
    )
    return DONE


def _check_section(stage: Stage, parameters: dict[str, Any]) -> None:
    """A section that may be null must be there for the stage that lives on it."""
    section = {"simulate": "simulate", "solve": "solver"}.get(stage.name)
    if section and parameters[section] is None:
        raise ConfigurationError(f"{section}: is null, so there is nothing to {stage.name}")


def _report(options: argparse.Namespace) -> int:
    """The report page of some runs."""
    stage = STAGES["report"]
    request = _request(stage, options)
    if options.runs is not None:
        wanted = runs.parse(options.runs)
    elif request.configuration is not None:
        configuration = request.configuration
        simulated = configuration.simulate.runs if configuration.simulate else None
        wanted, _ = runs.select(configuration.runs, configuration.skip_runs, simulated, request.traces)
    else:
        raise ConfigurationError("report: --parameters needs --runs")
    import_module(stage.module).build_report(request.parameters, request.results, wanted)
    if options.partial:  # older than every product, so that the workflow makes it again (to Snakemake 0 is no time)
        os.utime(paths.product(request.results, "report"), (1, 1))
    return DONE


def _bound(options: argparse.Namespace) -> int:
    """The Cramér–Rao bound of a configuration, beside what was measured."""
    from spyral_core.report import bound

    species = None if options.species is None else tuple(options.species)
    grid = bound.Request(species, tuple(options.energies), tuple(options.angles), options.vertex)
    print(bound.write(load(options.config), options.output, grid, options.measured))
    return DONE


def _calibrate(options: argparse.Namespace) -> int:
    """Tables of times and gains of pads, made from runs."""
    from spyral_core.calibrate import command

    configuration = load(options.config)
    traces = Path(configuration.traces) if configuration.traces else Path(configuration.results) / "traces"
    wanted = runs.parse(options.runs)
    for line in command.calibrate(configuration, wanted, traces, options.output, options.source, options.min_hits):
        print(line)
    return DONE


def _acceptance(options: argparse.Namespace) -> int:
    """The map of the efficiency, from simulated particles through the whole chain."""
    from spyral_core.acceptance import command
    from spyral_core.acceptance.cells import Cuts
    from spyral_core.acceptance.plan import Request

    species = None if options.species is None else tuple(options.species)
    grid = (options.energies, options.angles, options.vertices)
    request = Request(options.gate, species, *grid, tracks=options.tracks)
    cuts = Cuts(options.trigger_pads, options.energy_tolerance, options.polar_tolerance)
    places = (options.output, options.cm_step, options.threads, options.plan)
    print(command.acceptance(load(options.config), request, cuts, *places))
    return DONE


def _document(options: argparse.Namespace) -> int:
    """The files that are generated from the configuration models."""
    from spyral_core.config import document

    act = document.check if options.check else document.write
    return act(Path.cwd())


def _lineage(options: argparse.Namespace) -> int:
    """What made a file, or whether it would be made again."""
    if options.config is not None and not options.check:
        raise ConfigurationError("--config goes with --check")
    from spyral_core import provenance, recheck

    if options.check:
        found = recheck.differences(options.file, load(options.config or _EMBEDDED))
        for line in found:
            print(line)
        print(f"{options.file}: would {'not ' if found else ''}be made again as it is")
        return DATA_UNUSABLE if found else DONE
    origin = provenance.follow(options.file)
    print(json.dumps(origin.lineage, indent=2, sort_keys=True) if options.json else provenance.text(origin))
    return DONE


def _compile(_: argparse.Namespace) -> int:
    """Compile every kernel into the cache."""
    from spyral_core import warmup

    warmup.ensure()
    return DONE


_COMMANDS = {
    "report": _report,
    "bound": _bound,
    "calibrate": _calibrate,
    "acceptance": _acceptance,
    "document": _document,
    "lineage": _lineage,
    "compile": _compile,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m spyral_core", description="AT-TPC traces to fitted tracks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    source = argparse.ArgumentParser(add_help=False)
    either = source.add_mutually_exclusive_group(required=True)
    either.add_argument("--config", type=Path, metavar="FILE", help="configuration file (YAML)")
    either.add_argument("--parameters", metavar="JSON", help="just the stage's parameters, as the workflow gives them")
    source.add_argument("--results", type=Path, metavar="DIR", help="with --parameters: folder of all products")
    source.add_argument("--traces", type=Path, metavar="DIR", help="with --parameters: folder of run_XXXX.h5")
    for stage in STAGES.values():
        if stage.name == "report":
            continue
        command = commands.add_parser(stage.name, parents=[source], help=f"stage {stage.name} of one run")
        command.add_argument("--run", type=_positive, required=True, metavar="N", help="run number")
        command.add_argument("--threads", type=_positive, default=1, metavar="N", help="worker processes")
        command.add_argument("--chunk-events", type=_positive, metavar="N", help="events a worker takes at a time")
        if stage.name == "solve":
            command.add_argument("--gate", type=Path, required=True, metavar="FILE", help="particle gate (JSON)")
    report = commands.add_parser("report", parents=[source], help="the report page")
    report.add_argument("--runs", metavar="RUNS", help="`94-97, 99`; with --config by default those of the file")
    report.add_argument("--partial", action="store_true", help="runs are missing: the workflow will make it again")
    bound = commands.add_parser("bound", help="the least errors of energy and angle that the charge pattern allows")
    bound.add_argument("--config", type=Path, required=True, metavar="FILE", help="configuration file (YAML)")
    bound.add_argument("--species", type=_positive, nargs=2, metavar=("Z", "A"), help="default: the ejectile")
    bound.add_argument("--energies", type=_above_zero, nargs="+", default=[1, 2, 5, 10, 20], metavar="MEV")
    bound.add_argument("--angles", type=_polar, nargs="+", default=[30, 60, 90, 120, 150], metavar="DEG")
    bound.add_argument("--vertex", type=_above_zero, metavar="MM", help="its z; default: half the detector's length")
    bound.add_argument("--measured", type=Path, metavar="RESULTS", help="simulated and solved runs to compare with")
    bound.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of table and figure")
    calibrate = commands.add_parser("calibrate", help="time and gain tables of the pads, made from runs")
    calibrate.add_argument("--config", type=Path, required=True, metavar="FILE", help="configuration file (YAML)")
    calibrate.add_argument("--runs", required=True, metavar="RUNS", help="`94-97, 99`")
    calibrate.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the tables")
    calibrate.add_argument(
        "--source",
        choices=("tracks", "pulser"),
        default="tracks",
        help="clusters of physics runs (default), or traces of runs with a pulser on the mesh",
    )
    calibrate.add_argument(
        "--min-hits", type=_positive, default=10, metavar="N", help="pads with fewer are left alone (default 10)"
    )
    _acceptance_arguments(commands.add_parser("acceptance", help="efficiency by energy, angle and vertex"))
    document = commands.add_parser("document", help="write config/README.md and the JSON schema from the models")
    document.add_argument("--check", action="store_true", help="only say whether they are in step")
    lineage = commands.add_parser("lineage", help="what made a file")
    lineage.add_argument("file", type=Path, metavar="FILE")
    form = lineage.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the file's own lineage as JSON, without what is upstream")
    form.add_argument(
        "--check", action="store_true", help="whether this checkout and configuration would make it again"
    )
    lineage.add_argument("--config", type=Path, metavar="FILE", help=f"with --check; default {_EMBEDDED}")
    commands.add_parser("compile", help="compile every kernel once, before many jobs start")
    return parser


def _acceptance_arguments(acceptance: argparse.ArgumentParser) -> None:
    acceptance.add_argument("--config", type=Path, required=True, metavar="FILE", help="configuration file (YAML)")
    looked_for = acceptance.add_mutually_exclusive_group()
    looked_for.add_argument("--gate", type=Path, metavar="FILE", help="particle gate (JSON); default: the only one")
    looked_for.add_argument("--species", type=_positive, nargs=2, metavar=("Z", "A"), help="without a gate")
    acceptance.add_argument("--energies", type=_above_zero, nargs="+", metavar="MEV", help="edges of the cells")
    acceptance.add_argument("--angles", type=float, nargs="+", metavar="DEG", help="edges of the cells")
    acceptance.add_argument("--vertices", type=float, nargs="+", metavar="MM", help="edges of the cells in z")
    acceptance.add_argument(
        "--tracks", type=_positive, default=20, metavar="N", help="of a cell, at least (default 20)"
    )
    acceptance.add_argument("--trigger-pads", type=_positive, default=1, metavar="N", help="pads that make a trigger")
    acceptance.add_argument("--energy-tolerance", type=_above_zero, default=0.2, metavar="SHARE", help="default 0.2")
    acceptance.add_argument("--polar-tolerance", type=_above_zero, default=5.0, metavar="DEG", help="default 5")
    acceptance.add_argument(
        "--cm-step", type=_above_zero, default=5.0, metavar="DEG", help="bins of the reaction's angle"
    )
    acceptance.add_argument("--threads", type=_positive, default=1, metavar="N", help="worker processes")
    acceptance.add_argument("--plan", action="store_true", help="only write the configuration, for Snakemake")
    acceptance.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: `acceptance` in the results")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _polar(text: str) -> float:
    value = float(text)
    if not 0 < value < 180:
        raise argparse.ArgumentTypeError(f"{text} is no polar angle between 0 and 180 degrees")
    return value
