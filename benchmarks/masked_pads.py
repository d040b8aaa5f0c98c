"""What the survey finds of dead pads, and what the fit gains by it: `python benchmarks/masked_pads.py`.

Pads are taken out of a simulated run: a tenth of all at random, or whole chips. First table: how many of them the
survey finds in so many events, and how many sound ones it takes for dead. Second table: the fitted energies of
particles that stop, with a survey that looks for dead pads and with one that does not (`survey.dead_pad_share: 0`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from accuracy.bands import centre, width
from accuracy.chain import run_chain
from accuracy.conditions import REFERENCE
from accuracy.dead_pads import dead_chips, dead_pads, remove_pads
from accuracy.samples import Sample, configuration
from numpy.typing import NDArray
from speed.table import markdown

from spyral_core import paths, store
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical
from spyral_core.detector.pads import N_PADS, builtin
from spyral_core.job import run_job
from spyral_core.phases import survey
from spyral_core.report.truth import clean, match
from spyral_core.runner import namespace
from spyral_core.signal.faulty_pads import Hits
from spyral_core.signal.pad_pulses import Readout
from spyral_core.signal.pulses import pad_settings
from spyral_core.traces.file import open_traces

EVENTS = (75, 150, 300, 500, 1000, 2000)
DAMAGES: dict[str, NDArray[np.int64]] = {
    "none": np.empty(0, np.int64),
    "10 % of the pads": dead_pads(0.1),
    "16 chips of 64 pads": dead_chips(16, 64),
    "4 boards of 256 pads": dead_chips(4, 256),
}
CHANGED = 0.001  # a particle is concerned if its energy differs by so much between the two surveys
SILENT = 0.0


@dataclass(frozen=True)
class Energies:
    """Relative errors of the energies of particles that stop, in their order, and over the stated errors; (n,) each."""

    error: NDArray[np.float64]
    pull: NDArray[np.float64]


def found_by_events(settings: Configuration, traces: Path) -> list[list[str]]:
    """Dead pads found, and sound ones taken for dead, by damage and number of events."""
    chosen = namespace(settings.model_dump())
    readout = Readout(settings=pad_settings(chosen.get), used=~builtin().beam)
    with open_traces(traces) as file:
        hits, counts = survey.collect_hits(survey.sample_events(file, len(file.numbers)), readout)
    rows = []
    for name, pads in DAMAGES.items():
        dead = np.isin(np.arange(N_PADS), pads) & ~builtin().beam
        left = hits.without(dead)
        cells = [name, str(dead.sum())]
        for number in EVENTS:
            if number > counts["events"]:
                cells.append("–")
                continue
            first = left.event < number
            some = Hits(left.event[first], left.pad[first], left.amplitude[first], left.time[first])
            found = survey.examine(some, number, chosen.survey, chosen.get.peak_threshold)["reason"] == survey.DEAD
            cells.append(f"{np.count_nonzero(found & dead)}, {np.count_nonzero(found & ~dead)}")
        rows.append(cells)
    return rows


def energies(settings: Configuration, sample: Sample, folder: Path, share: float) -> Energies:
    """What the chain makes of a folder's traces when the survey looks for dead pads, or not (`share` 0)."""
    chosen = settings.model_copy(update={"survey": settings.survey.model_copy(update={"dead_pad_share": share})})
    run_chain(chosen, sample, folder, "survey", identify=False)
    results = folder / "results"
    truth = clean(store.read_parquet(paths.product(results, "truth", 1)), sample.species, min_turn=-1.0)
    truth = truth.filter("stops")
    solutions = store.read_parquet(paths.product(results, "solver", 1, "all"))
    solutions = solutions.filter(pl.col("event").is_in(truth["event"].implode()))
    key = ["event", "cluster_index"]
    found = match(truth, solutions).join(solutions.select(*key, "sigma_ke"), on=key, how="left", maintain_order="left")
    pull = (found["fitted_ke"] - found["ke"]) / found["sigma_ke"]
    return Energies(found["ke_residual"].to_numpy(), pull.to_numpy())


def fitted_rows(settings: Configuration, sample: Sample, folder: Path, traces: Path) -> list[list[str]]:
    """Energies of particles that stop, by damage and by what the survey looks for."""
    rows = []
    for name, pads in DAMAGES.items():
        if not len(pads):
            continue
        shutil.copy2(traces, paths.trace_file(folder / "results/traces", 1))
        remove_pads(paths.trace_file(folder / "results/traces", 1), pads)
        known, unknown = (
            energies(settings, sample, folder, share) for share in (settings.survey.dead_pad_share, SILENT)
        )
        both = np.isfinite(known.error) & np.isfinite(unknown.error)
        concerned = both & (np.abs(known.error - unknown.error) > CHANGED)
        for kind, these in (("all that stop", both), ("concerned", concerned)):
            for told, found in (("not known", unknown), ("found", known)):
                rows.append([name, kind, told, *_cells(found, these)])
    return rows


def _cells(found: Energies, these: NDArray[np.bool_]) -> list[str]:
    error, pull = 100 * found.error[these], found.pull[these]
    if not len(error):
        return ["0"] + 4 * ["–"]
    (middle, middle_error), (wide, wide_error) = centre(error), width(error)
    return [
        str(len(error)),
        f"{middle:+.2f} ± {middle_error:.2f}",
        f"{wide:.2f} ± {wide_error:.2f}",
        f"{width(pull)[0]:.2f}",
        str(np.count_nonzero(np.abs(pull) > 3)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2100, help="events simulated")
    parser.add_argument("--seed", type=int, default=415)
    parser.add_argument("--found-only", action="store_true", help="the first table alone")
    options = parser.parse_args()
    sample = replace(REFERENCE, dead_share=0.0)
    with tempfile.TemporaryDirectory(prefix="masked_pads_") as temporary:
        folder = Path(temporary)
        settings = configuration(sample, folder, options.events, options.seed, scattering=True)
        simulate(settings, folder)
        traces = paths.trace_file(folder / "results/traces", 1)
        head = ["dead", "pads", *(f"{number} events" for number in EVENTS)]
        print(markdown(head, found_by_events(settings, traces)), flush=True)
        if not options.found_only:
            whole = folder / "whole.h5"
            shutil.move(traces, whole)
            head = ["dead", "particles", "dead pads", "n", "bias (%)", "width (%)", "pulls", "beyond 3 σ"]
            print(markdown(head, fitted_rows(settings, sample, folder, whole)))


def simulate(settings: Configuration, folder: Path) -> None:
    """Make the traces."""
    stage, results = STAGES["simulate"], folder / "results"
    run_job(stage, 1, json.loads(canonical(settings, stage.parameters)), results, results / "traces")
    print(f"simulated {settings.simulate.events} events", file=sys.stderr)


if __name__ == "__main__":
    main()
