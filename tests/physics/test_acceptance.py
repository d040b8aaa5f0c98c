"""Efficiencies that are known beforehand, and a map that foretells what becomes of a reaction."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from spyral_core import paths, store, warmup
from spyral_core.acceptance import chain, cross_section, files, interpolation
from spyral_core.acceptance.binomial import mean
from spyral_core.acceptance.cells import Cuts
from spyral_core.acceptance.command import acceptance
from spyral_core.acceptance.plan import Request, plan
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical, validate
from spyral_core.job import run_job
from spyral_core.report.reaction import reaction_of
from spyral_core.report.truth import CLOSE_ENERGY, CLOSE_POLAR, match

SMALL_RUNS = """
import sys
from spyral_core.acceptance import plan
from spyral_core.cli import main
plan.EVENTS_OF_A_RUN = 8
sys.exit(main(sys.argv[1:]))
"""
ALL = [[0, 0], [1e9, 0], [1e9, 10], [0, 10]]


def configuration(tmp_path: Path, **simulate: Any) -> Configuration:
    """10Be(d,d) at 96 MeV in 600 torr of D2, 3 T, every cluster fitted as a deuteron."""
    gas, gate = tmp_path / "gas.json", tmp_path / "all.json"
    gas.write_text(json.dumps({"compound": [[1, 2, 2]], "pressure(Torr)": 600.0}))
    gate.write_text(json.dumps({"vertices": ALL, "Z": 1, "A": 2}))
    reaction = {"projectile": [4, 10], "beam_energy": 96.0, **simulate.pop("reaction", {})}
    return validate(
        {
            "results": str(tmp_path / "results"),
            "simulate": {"gas": str(gas), "reaction": reaction, "detector": {"magnetic_field": 3.0}, **simulate},
            "detector": {"magnetic_field": 3.0},
            "solver": {"gas": str(gas), "gates": [str(gate)]},
        }
    )


def counts(folder: Path) -> pl.DataFrame:
    return store.read_parquet(folder / files.MAP)


@pytest.mark.slow
def test_particles_along_the_beam_are_never_seen_and_long_tracks_across_always(tmp_path: Path) -> None:
    """1 MeV deuterons at 2.5° end 70 mm from the vertex, 3 mm from the axis: pads around the beam are not read."""
    given = configuration(tmp_path, reaction={"beam_spot": 1.0, "beam_divergence": 0.0})
    request = Request(energies=[0.5, 1.0, 6.0, 8.0], angles=[0.0, 2.5, 80.0, 84.0], vertices=[300.0, 700.0], tracks=12)
    acceptance(given, request, Cuts(), tmp_path / "map")
    found = counts(tmp_path / "map")
    along = found.filter((pl.col("energy_high") == 1.0) & (pl.col("angle_high") == 2.5)).row(0, named=True)
    assert (along["generated"], along["detected"], along["accepted"]) == (12, 0, 0)
    assert (along["efficiency"], along["efficiency_low"]) == (0.0, 0.0)
    across = found.filter((pl.col("energy_low") == 6.0) & (pl.col("angle_low") == 80.0)).row(0, named=True)
    assert (across["generated"], across["detected"], across["accepted"]) == (12, 12, 12)
    assert abs(across["ke_median"]) < 0.02


@pytest.mark.slow
def test_a_map_depends_neither_on_workers_nor_on_interruptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spyral_core.acceptance.plan.EVENTS_OF_A_RUN", 8)
    given = configuration(tmp_path)
    few = Request(energies=[3, 4], angles=[60, 65, 70], vertices=[400, 500], tracks=8)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(given.model_dump(mode="json")))
    warmup.ensure()
    for folder, workers in (("one", 1), ("two", 2)):
        grid = f"--energies 3 4 --angles 60 65 70 --vertices 400 500 --tracks 8 --threads {workers}".split()
        call = ["acceptance", "--config", str(file), *grid, "-o", str(tmp_path / folder)]
        subprocess.run([sys.executable, "-c", SMALL_RUNS, *call], check=True)
    one, two = tmp_path / "one", tmp_path / "two"
    for name in (files.MAP, files.INTEGRATED, files.CROSS_SECTION, files.track_file(2)):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name

    planned = plan(given, few, two)
    both = [two / files.track_file(run) for run in (1, 2)]
    results = Path(planned.configuration.results)
    traces, solved = paths.product(results, "traces", 1), paths.product(results, "solver", 1, "all")
    before = (two / files.track_file(1)).read_bytes()
    stamp = traces.stat().st_mtime_ns
    (two / files.track_file(1)).unlink()
    solved.unlink()
    assert sorted(chain.make(planned, two, 1)) == both
    assert (two / files.track_file(1)).read_bytes() == before
    assert traces.stat().st_mtime_ns == stamp, "what was made is left as it is"

    traces.unlink()
    solved.unlink()
    assert sorted(chain.make(planned, two, 1)) == both
    assert not traces.exists(), "a table of tracks that stands needs nothing else"


def reaction_sample(given: Configuration, results: Path) -> pl.DataFrame:
    """True deuterons of a reaction with what became of them."""
    assert given.solver is not None
    gate = Path(given.solver.gates[0])
    for name in (*chain.TO_ESTIMATES, "solve"):
        parameters = json.loads(canonical(given, STAGES[name].parameters, STAGES[name].ignored))
        run_job(STAGES[name], 1, parameters, results, results / "traces", gate if name == "solve" else None)
    truth = store.read_parquet(paths.product(results, "truth", 1))
    deuterons = truth.filter((pl.col("Z") == 1) & (pl.col("A") == 2))
    return match(deuterons, store.read_parquet(paths.product(results, "solver", 1, gate.stem)))


CLEAN = {"pile_up": 0.0, "contaminant": 0.0, "downscaled": 0.0, "both_triggers": 0.0, "contaminant_nucleus": [4, 10]}


@pytest.mark.slow
def test_a_map_foretells_how_many_of_a_reaction_are_accepted(tmp_path: Path) -> None:
    """Slow deuterons near 90°, of which many are lost; the sample has another seed, and the heavy residue in it."""
    limits = {"angle_min": 158.0, "angle_max": 175.0, "vertex_min": 100.0, "vertex_max": 900.0}
    given = configuration(tmp_path)
    request = Request(
        energies=[0.1, 0.2, 0.3, 0.45, 0.7, 1.1, 1.7, 2.4],
        angles=[77, 81, 84, 86, 89],
        vertices=[100, 500, 900],
        tracks=9,
    )
    acceptance(given, request, Cuts(), tmp_path / "map")
    planned = plan(given, request, tmp_path / "map")
    grid = planned.particles
    axes = (grid.energies, grid.angles, grid.vertices)
    table = {name: values.to_numpy() for name, values in counts(tmp_path / "map").to_dict().items()}

    sample = configuration(tmp_path, seed=77, runs=1, events=350, reaction=limits, beam=CLEAN)
    found = reaction_sample(sample, tmp_path / "sample")
    points = np.column_stack([found["ke"], np.degrees(found["polar"]), found["vertex_z"]])
    inside = interpolation.inside(axes, points)
    accepted = found.select(
        (pl.col("ke_residual").abs() <= CLOSE_ENERGY) & (pl.col("polar_residual").abs() <= CLOSE_POLAR)
    ).to_series().fill_null(False).to_numpy()  # fmt: skip
    weights = interpolation.weights(axes, points[inside])
    share, low, high = mean(weights / inside.sum(), table["accepted"], table["generated"])
    expected = share * inside.sum()
    error = np.hypot(np.sqrt(expected * (1 - share)), 0.5 * (high - low) * inside.sum())
    number = np.count_nonzero(accepted & inside)
    print(f"{inside.sum()} deuterons, {number} accepted, foretold {expected:.1f} ± {error:.1f}")
    assert inside.sum() > 250
    assert 0.25 < number / inside.sum() < 0.9, "a sample of which none or all are lost tests nothing"
    assert abs(number - expected) < 3 * error

    reaction = reaction_of(sample.model_dump())
    assert reaction is not None
    edges = np.array([160.0, 165.0, 170.0])
    angles = cross_section.against_cm_angle(table, grid, reaction, edges)
    cm = cm_angles(found, reaction)
    spreads = 0.5 * (angles["efficiency_high"] - angles["efficiency_low"])
    for low, high, share, spread in zip(edges, edges[1:], angles["efficiency"], spreads, strict=False):
        own = (cm >= low) & (cm < high)
        seen = accepted[own].mean()
        print(f"{low:g} – {high:g}°: {own.sum()}, accepted {seen:.3f}, foretold {share:.3f} ± {spread:.3f}")
        assert abs(seen - share) < 3 * np.hypot(spread, np.sqrt(share * (1 - share) / own.sum()))


def cm_angles(found: pl.DataFrame, reaction: Any) -> Any:
    """The centre-of-mass angle [deg] whose energy is the deuteron's."""
    angle = np.radians(np.linspace(150.0, 180.0, 601))
    result = []
    for ke, z in zip(found["ke"], found["vertex_z"], strict=True):
        energies = cross_section.on_line(reaction, angle, np.array([z]))[:, 0]
        result.append(np.degrees(np.interp(-ke, -energies, angle)))
    return np.array(result)


@pytest.mark.slow
def test_without_a_gate_only_what_is_told_as_the_particle_counts(tmp_path: Path) -> None:
    given = configuration(tmp_path).model_dump(mode="json")
    given["solver"] |= {"gates": [], "species": [[1, 1], [1, 2], [2, 4]]}
    request = Request(species=(1, 2), energies=[2.0, 6.0], angles=[60.0, 80.0], vertices=[300.0, 700.0], tracks=20)
    acceptance(validate(given), request, Cuts(), tmp_path / "map")
    (row,) = counts(tmp_path / "map").iter_rows(named=True)
    assert row["selected"] == row["generated"] == 20
    assert 17 <= row["accepted"] <= row["solved"]
