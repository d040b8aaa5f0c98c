"""What the rules share: the checked configuration, the runs, and how stages become rules."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from spyral_core import inputs, job, lineage, paths, runs
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.errors import ConfigurationError
from spyral_core.report import names as report_names


def checked(function, *arguments):
    """The function's value; a fault in the configuration stops Snakemake with its text and nothing else."""
    try:
        return function(*arguments)
    except ConfigurationError as error:
        sys.exit(f"configuration: {error}")


def parameters(name):
    """The configuration keys that can change a stage's numbers, as one canonical text."""
    return canonical(CONFIGURATION, STAGES[name].parameters, STAGES[name].ignored)


def fingerprint(name):
    """A hash of the code that a stage really uses."""
    return checked(lineage.fingerprint, STAGES[name], CONFIGURATION.phases.get(name))


def product(name):
    """The pattern of a product's path, with wildcards `run` and `gate`."""
    return f"{RESULTS}/{paths.PATTERNS[name]}"


def products(name):
    """The patterns of all that a stage writes, by role."""
    return {role: product(item) for role, item in job.products(STAGES[name]).items()}


def sources(name):
    """What a stage reads: products of other stages, and files that its part of the configuration names."""
    found = {
        item: TRACES if item == "traces" else product(item)
        for item in STAGES[name].inputs
    }
    return found | {item: str(path) for item, path in FILES[name].items()}


def configured():
    """The files that the configuration names, by stage."""
    values = CONFIGURATION.model_dump()
    return {name: inputs.configured(stage, values) for name, stage in STAGES.items()}


def per_run(name, suffix, gate=""):
    """The pattern of a job's log or benchmark."""
    folder = {"log": "logs", "tsv": "benchmarks"}[suffix]
    return f"{RESULTS}/{folder}/{name}/{gate}run_{{run}}.{suffix}"


def results_folder(wildcards, output):
    """The folder of all products, from a product."""
    return str(Path(*Path(output[0]).parts[: len(Path(RESULTS).parts)]))


def traces_of_run(wildcards, input):
    """The folder of the trace files, from one of them."""
    return str(Path(input.traces).parent)


def all_products(wildcards):
    """Every product of every run that is analysed, for the report."""
    names = ["survey"]
    names += [
        item
        for name in ("pointcloud", "cluster", "estimate")
        for item in job.products(STAGES[name]).values()
    ]
    if SIMULATED:
        names.append("truth")
    tokens = [paths.run_token(run) for run in RUNS]
    found = [product(name).format(run=token) for name in names for token in tokens]
    if GATES:
        solved = [product(item) for item in job.products(STAGES["solve"]).values()]
        found += [
            pattern.format(run=token, gate=gate)
            for pattern in solved
            for gate in GATES
            for token in tokens
        ]
    return found


def simulated_over_measured():
    """Refuse to simulate over trace files that this project did not make."""
    for run in range(1, CONFIGURATION.simulate.runs + 1):
        traces = paths.product(Path(RESULTS), "traces", run)
        if traces.exists() and not paths.product(Path(RESULTS), "truth", run).exists():
            from spyral_core import store

            if store.read_lineage(traces) is None:
                raise ConfigurationError(
                    f"results: {traces} was not made by a simulation, and simulating would replace it: "
                    "give another folder of results, or analyse it with `traces` instead of `simulate`"
                )


def traces_folder():
    """The folder of trace files.

    A folder of the user's inside the results is refused: results may be deleted, traces may not.
    """
    own = Path(RESULTS) / "traces"
    if CONFIGURATION.traces is None:
        simulated_over_measured()
        return own
    folder = Path(CONFIGURATION.traces)
    inside, outside = folder.resolve(), Path(RESULTS).resolve()
    if inside.is_relative_to(outside) and inside != own.resolve():
        raise ConfigurationError(
            f"traces: {folder} lies inside the results ({RESULTS}): put results elsewhere, or the traces into {own}"
        )
    return folder


def selected_runs():
    """The runs to analyse; those without a trace file are named once and left out."""
    simulated = None if CONFIGURATION.simulate is None else CONFIGURATION.simulate.runs
    found, missing = runs.select(
        CONFIGURATION.runs, CONFIGURATION.skip_runs, simulated, TRACES_FOLDER
    )
    if missing and workflow.is_main_process:
        where = (
            "beyond simulate.runs"
            if simulated is not None
            else f"no file in {TRACES_FOLDER}"
        )
        print(f"Left out, {where}: runs {runs.ranges(missing)}", file=sys.stderr)
    return found


def workers():
    """Worker processes of a job: on this machine as many as leave no core idle, on a cluster all that are allowed."""
    allowed = CONFIGURATION.running.max_threads
    if workflow.is_main_process and workflow.local_exec and workflow.cores:
        return min(allowed, max(1, workflow.cores // len(RUNS)))
    return allowed


def memory(megabytes, per_worker=0, per_input=0.0):
    """`mem_mb` of a job: growing with its workers, with its input and with each attempt."""

    def needed(wildcards, input, threads, attempt):
        return int(
            attempt * (megabytes + per_worker * threads + per_input * input.size_mb)
        )

    return needed


def minutes(at_least, per_gigabyte=0.0):
    """`runtime` of a job: growing with its input, shrinking with its workers, growing with each attempt."""

    def needed(wildcards, input, threads, attempt):
        return int(attempt * (at_least + per_gigabyte * input.size_mb / 1000 / threads))

    return needed


def command_definition():
    """The shell function `spyral_core`.

    It runs the Python that Snakemake runs in, so that no environment needs to be activated; inside a deployed
    environment it runs the Python of that, with the library of this checkout.
    """
    python = shlex.quote(sys.executable)
    if workflow.deployment_settings.deployment_method:
        base = Path(workflow.basedir)
        checkout = base if (base / "spyral_core").is_dir() else base.parent
        python = f"PYTHONPATH={shlex.quote(str(checkout))} python"
    return f'spyral_core() {{{{ {python} -m spyral_core "$@"; }}}};'


def report_command(*options):
    """The command that makes the report page."""
    python = [
        sys.executable,
        "-m",
        "spyral_core",
        "report",
        "--results",
        RESULTS,
        "--runs",
        runs.ranges(RUNS),
    ]
    return [*python, "--parameters", parameters("report"), *options]


def partial_report():
    """After a failure: the page of what is there; it names the runs that failed."""
    log = Path(RESULTS) / "logs" / "report" / "partial.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        made = (
            subprocess.run(
                report_command("--partial"), stdout=file, stderr=file, check=False
            ).returncode
            == 0
        )
    page = product("report")
    print(
        (
            f"Report of what is there: {page}"
            if made
            else f"No report could be made, see {log}"
        ),
        file=sys.stderr,
    )


CONFIGURATION = checked(
    validate,
    config,
    ", ".join(map(str, workflow.overwrite_configfiles)) or "config/config.yaml",
)
RESULTS = os.path.normpath(CONFIGURATION.results)
TRACES_FOLDER = checked(traces_folder)
TRACES = str(TRACES_FOLDER / Path(paths.PATTERNS["traces"]).name)
RUNS = checked(selected_runs)
FILES = checked(configured)
GATES = checked(
    inputs.gates, CONFIGURATION.solver.gates if CONFIGURATION.solver else []
)
SIMULATED = CONFIGURATION.simulate is not None
# Those of all runs together: the figures of each run would be thousands of outputs of one job.
FIGURES = report_names.figure_files([], list(GATES), SIMULATED)
NUMBERS = report_names.number_files(list(GATES), SIMULATED)
WORKERS = workers()
CHUNK_EVENTS = CONFIGURATION.running.chunk_events
# Not in the commands themselves: where Python lies must not make a result stale.
shell.prefix(f"set -euo pipefail; {command_definition()} ")
