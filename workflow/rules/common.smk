"""What the rules share: the checked configuration, the runs, and how stages become rules."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from spyral_core import inputs, job, lineage, paths, runs
from spyral_core.acceptance import files as acceptance_files
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
    """Every product of every run that is analysed, and the acceptance map if one was made, for the report."""
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
    if SPECIES:
        fitted = [*job.products(STAGES["hypotheses"]).values(), "species"]
        found += [
            product(name).format(run=token) for name in fitted for token in tokens
        ]
    shown = Path(RESULTS) / acceptance_files.FOLDER / acceptance_files.SUMMARY
    return [*found, *([str(shown)] if shown.is_file() else [])]


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


def own_folder():
    """The folder of all results, which may be deleted."""
    folder = os.path.normpath(inputs.literal(CONFIGURATION.results, "results"))
    if folder == os.curdir:
        raise ConfigurationError(
            "results: must be a folder of its own, not the working directory"
        )
    return folder


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


def limit(name):
    """What the profile of a cluster allows a job at most (`default-resources`), None if it says nothing."""
    given = (workflow.resource_settings.default_resources or {}).get(name)
    return getattr(given, "value", given)


def at_most(name, wanted):
    """A resource that is wanted, within what the cluster's profile allows."""
    return max(1, int(min(wanted, limit(name) or wanted)))


def workers():
    """Worker processes of a job: on this machine as many as leave no core idle, on a cluster a node's cores."""
    if limit("node_cores"):
        return limit("node_cores")
    allowed = CONFIGURATION.running.max_threads
    # Not workflow.cores, which is an error on a cluster: which executor it will be is not known yet.
    cores = workflow.resource_settings.cores
    if workflow.is_main_process and cores:
        return min(allowed, max(1, cores // len(RUNS)))
    return allowed


def gigabytes(wildcards):
    """Size of a run's traces, by which time and memory of all its stages go.

    Unlike the stages' own inputs the traces are there when the jobs of a group are submitted as one.
    """
    path = Path(TRACES.format(run=wildcards.run))
    return path.stat().st_size / 1e9 if path.is_file() else 0.0


def memory(stage):
    """`mem_mb` of a run's job: grows with its workers, the run's size and each attempt, up to the node's memory."""
    base, per_worker, per_gigabyte = MEGABYTES[stage]

    def needed(wildcards, threads, attempt):
        wanted = base + per_worker * threads + per_gigabyte * gigabytes(wildcards)
        return at_most("node_mem_mb", attempt * wanted)

    return needed


def minutes(stage):
    """`runtime` of a run's job: grows with the run's size and each attempt, shrinks with the workers.

    At most the cluster's walltime, which the stages of one submitted job share.
    """
    together = RUN_GROUP if stage in RUN_GROUP else (stage,)

    def needed(wildcards, threads, attempt):
        size = gigabytes(wildcards)
        wanted = {
            name: attempt * (MINUTES[name][0] + MINUTES[name][1] * size / threads)
            for name in together
        }
        total = sum(wanted.values())
        share = min(1.0, (limit("walltime") or total) / total)
        return max(1, int(share * wanted[stage]))

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
        f"--results={RESULTS}",
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
RESULTS = checked(own_folder)
TRACES_FOLDER = checked(traces_folder)
checked(inputs.literal, str(TRACES_FOLDER), "traces")
TRACES = str(TRACES_FOLDER / Path(paths.PATTERNS["traces"]).name)
RUNS = checked(selected_runs)
FILES = checked(configured)
GATES = checked(
    inputs.gates, CONFIGURATION.solver.gates if CONFIGURATION.solver else []
)
SPECIES = CONFIGURATION.solver.species if CONFIGURATION.solver else []
SIMULATED = CONFIGURATION.simulate is not None
# Those of all runs together: the figures of each run would be thousands of outputs of one job.
FIGURES = report_names.figure_files([], list(GATES), SIMULATED)
NUMBERS = report_names.number_files(list(GATES), SIMULATED)
WORKERS = workers()
# The short stages of a run, submitted to a cluster as one job.
RUN_GROUP = ("survey", "pointcloud", "cluster", "estimate")
# Megabytes a job, a worker process, a gigabyte of the run's traces; measured figures are in docs/scaling.md.
MEGABYTES = {
    "simulate": (1500, 700, 0),
    "survey": (1500, 500, 0),
    "pointcloud": (1500, 500, 50),
    "cluster": (1500, 500, 200),
    "estimate": (1500, 500, 200),
    "solve": (1500, 600, 200),
    "hypotheses": (1500, 600, 200),
    "species": (1000, 0, 50),
}
# Minutes a job, a gigabyte of the run's traces with one worker: ten times and more what was measured.
MINUTES = {
    "simulate": (60, 0),
    "survey": (10, 0.5),
    "pointcloud": (10, 2),
    "cluster": (10, 10),
    "estimate": (10, 4),
    "solve": (30, 20),
    "hypotheses": (60, 100),
    "species": (10, 1),
}
CHUNK_EVENTS = CONFIGURATION.running.chunk_events
# Not in the commands themselves: where Python lies must not make a result stale.
shell.prefix(f"set -euo pipefail; {command_definition()} ")
