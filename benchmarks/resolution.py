"""Resolution, bias, efficiency and pulls against simulated truth: `python benchmarks/resolution.py`.

Each sample is simulated and reconstructed twice, without and with multiple scattering and energy-loss straggling, by
the whole chain and without a drawn gate: every cluster is fitted as the particle that is looked for. Printed as
Markdown. `--keep DIR` keeps the files, and a second call with the same folder only makes what has changed: `--from
solve` repeats the chain from a stage on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spyral_core import paths, store
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical, validate
from spyral_core.job import run_job
from spyral_core.report.truth import match, median_and_width

CHAIN = ("simulate", "survey", "pointcloud", "cluster", "estimate", "solve")
BANDS = (2.0, 4.0, 6.0, 10.0, 15.0, 100.0)  # MeV
MIN_PADS = 80
MAX_VERTEX_Z = 930.0  # mm
EVERYTHING = [[0, 0], [1e9, 0], [1e9, 10], [0, 10]]


@dataclass(frozen=True)
class Sample:
    """A reaction in a gas and a field; `seen` is the best resolution of energy (relative) and polar angle [deg] by
    band that was reached elsewhere without scattering, where it is known."""

    species: tuple[int, int]
    gas: dict[str, Any]
    field: float
    reaction: dict[str, Any]
    detector: dict[str, Any]
    seen: dict[float, tuple[float, float]]


D2 = {"compound": [[1, 2, 2]], "pressure(Torr)": 600.0}
HELIUM = {"compound": [[2, 4, 1]], "pressure(Torr)": 600.0}
BE10 = {"projectile": [4, 10], "beam_energy": 96.0, "beam_energy_spread": 0.0}
SAMPLES = {
    "10Be(d,d)": Sample(
        (1, 2), D2, 3.0, {**BE10, "angle_min": 100.0, "angle_max": 172.0, "residual": False}, {},
        {2.0: (0.0018, 0.19), 4.0: (0.0021, 0.07), 6.0: (0.019, 0.35), 10.0: (0.035, 0.29), 15.0: (0.054, 0.33)},
    ),
    "14C(α,α)": Sample(
        (2, 4), HELIUM, 2.85,
        {"projectile": [6, 14], "target": [2, 4], "ejectile": [2, 4], "beam_energy": 112.0, "beam_energy_spread": 0.0,
         "angle_min": 80.0, "angle_max": 165.0, "residual": False},
        {"w_value": 41.0},
        {6.0: (0.0068, 0.32), 10.0: (0.0094, 0.28), 15.0: (0.031, 0.31)},
    ),
    "10Be(d,p) with residue": Sample(
        (1, 1), D2, 3.0, {**BE10, "ejectile": [1, 1], "angle_min": 100.0, "angle_max": 175.0}, {},
        {4.0: (0.0013, 0.03), 6.0: (0.0015, 0.03), 10.0: (0.015, 0.43)},
    ),
}  # fmt: skip


def configuration(sample: Sample, folder: Path, events: int, seed: int, scattering: bool) -> Configuration:
    """The configuration of a sample, its gas and its gate beside it in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    gas, gate = folder / "gas.json", folder / "all.json"
    gas.write_text(json.dumps(sample.gas))
    gate.write_text(json.dumps({"vertices": EVERYTHING, "Z": sample.species[0], "A": sample.species[1]}))
    detector = {
        "magnetic_field": sample.field, "scattering": scattering, "straggling": scattering, **sample.detector
    }  # fmt: skip
    return validate(
        {
            "simulate": {
                "seed": seed, "runs": 1, "events": events, "gas": str(gas), "reaction": sample.reaction,
                "detector": detector, "beam": {"contaminant_nucleus": sample.reaction["projectile"]},
            },
            "detector": {"magnetic_field": sample.field},
            "solver": {"gas": str(gas), "gates": [str(gate)], "scattering": scattering},
        }
    )  # fmt: skip


def reconstruct(settings: Configuration, folder: Path, first: str) -> tuple[pl.DataFrame, float]:
    """True particles with their results and the number of results a particle; the chain is made from stage `first`."""
    assert settings.solver is not None
    gate = Path(settings.solver.gates[0])
    results = folder / "results"
    for name in CHAIN[CHAIN.index(first) :]:
        started = time.monotonic()
        parameters = json.loads(canonical(settings, STAGES[name].parameters))
        run_job(STAGES[name], 1, parameters, results, results / "traces", gate if name == "solve" else None, workers=1)
        print(f"{folder.name} {name}: {time.monotonic() - started:.1f} s", file=sys.stderr)
    species = json.loads(gate.read_text())
    truth = counted(store.read_parquet(paths.product(results, "truth", 1)), (species["Z"], species["A"]))
    solutions = store.read_parquet(paths.product(results, "solver", 1, gate.stem))
    number = solutions.filter(pl.col("event").is_in(truth["event"].implode())).height
    matched = match(truth, solutions)
    errors = solutions.select("event", "cluster_index", "sigma_ke", "sigma_polar", "sigma_vz", "stops").rename(
        {"stops": "fitted_stops"}
    )
    return matched.join(errors, on=["event", "cluster_index"], how="left"), number / truth.height


def counted(truth: pl.DataFrame, species: tuple[int, int]) -> pl.DataFrame:
    """Clean particles of 80 pads or more: mesh trigger alone, no pile-up, no contaminant."""
    return truth.filter(
        (pl.col("Z") == species[0]) & (pl.col("A") == species[1]) & (pl.col("trigger") == 1) & ~pl.col("pile_up")
        & ~pl.col("contaminant") & (pl.col("n_pads") >= MIN_PADS) & (pl.col("vertex_z") < MAX_VERTEX_Z)
    )  # fmt: skip


def width_error(values: NDArray[np.float64]) -> float:
    """Standard error of half the central 68 % interval, by 400 resamplings."""
    chance = np.random.default_rng(1)
    samples = chance.choice(values, (400, len(values)))
    low, high = np.quantile(samples, [0.158655, 0.841345], axis=1)
    return float(np.std((high - low) / 2))


def cell(values: NDArray[np.float64], scale: float = 1.0) -> str:
    """Half the central 68 % interval with its standard error."""
    if len(values) < 3:
        return "–"
    _, width = median_and_width(values)
    assert width is not None
    return f"{scale * width:.3f} ± {scale * width_error(values):.3f}"


def centre(values: NDArray[np.float64], scale: float = 1.0) -> str:
    """Median with its standard error."""
    if len(values) < 3:
        return "–"
    median, width = median_and_width(values)
    assert median is not None and width is not None
    return f"{scale * median:+.3f} ± {scale * 1.253 * width / np.sqrt(len(values)):.3f}"


HEAD = (
    "| energy (MeV) | n | solved | close | energy (%) | seen | bias (%) | polar (deg) | seen | bias (deg) | vz (mm) "
    "| pulls: energy | polar | vz | redchisq |\n" + "| --- " * 15 + "|"
)


def lines(matched: pl.DataFrame, seen: dict[float, tuple[float, float]]) -> Iterator[str]:
    """The table's lines, a band each and one for all."""
    for low, high in (*pairwise(BANDS), (0.0, 1000.0)):
        band = matched.filter((pl.col("ke") >= low) & (pl.col("ke") < high))
        if not band.height:
            continue
        solved = band.filter(pl.col("fitted_ke").is_not_null())
        close = solved.filter((pl.col("ke_residual").abs() <= 0.2) & (pl.col("polar_residual").abs() <= 5))
        columns = {name: solved[f"{name}_residual"].to_numpy() for name in ("ke", "polar", "vertex_z")}
        pulls = {
            "ke": columns["ke"] * solved["ke"].to_numpy() / solved["sigma_ke"].to_numpy(),
            "polar": np.radians(columns["polar"]) / solved["sigma_polar"].to_numpy(),
            "vz": columns["vertex_z"] / 1000 / solved["sigma_vz"].to_numpy(),
        }
        known = seen.get(low)
        yield (
            f"| {low:g}–{high:g} | {band.height} "
            f"| {solved.height / band.height:.3f} | {close.height / band.height:.3f} | "
            f"{cell(columns['ke'], 100)} | {f'{100 * known[0]:.2f}' if known else ''} | {centre(columns['ke'], 100)} | "
            f"{cell(columns['polar'])} | {f'{known[1]:.2f}' if known else ''} | {centre(columns['polar'])} | "
            f"{cell(columns['vertex_z'])} | {cell(pulls['ke'])} | {cell(pulls['polar'])} | {cell(pulls['vz'])} | "
            f"{solved['fitted_redchisq'].median():.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400, help="events a sample")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--samples", nargs="+", choices=SAMPLES, default=list(SAMPLES))
    parser.add_argument("--scattering", choices=["off", "on", "both"], default="both")
    parser.add_argument("--from", dest="first", choices=CHAIN, default="simulate")
    parser.add_argument("--keep", type=Path, help="folder for the files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="resolution_") as name:
        folder = options.keep or Path(name)
        for scattering in {"off": (False,), "on": (True,), "both": (False, True)}[options.scattering]:
            for sample in options.samples:
                own = folder / f"{sample} {'with' if scattering else 'without'} scattering"
                settings = configuration(SAMPLES[sample], own, options.events, options.seed, scattering)
                matched, results = reconstruct(settings, own, options.first)
                print(f"\n{own.name}, {results:.3f} results a particle\n\n{HEAD}")
                print("\n".join(lines(matched, SAMPLES[sample].seen)), flush=True)


if __name__ == "__main__":
    main()
