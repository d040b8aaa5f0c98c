"""The report: what it shows of complete, failed and empty runs."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from spyral_core import store, tables
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.detector.pads import builtin, pads_at
from spyral_core.paths import product
from spyral_core.physics.gas import load_gas
from spyral_core.physics.kinematics import two_body
from spyral_core.physics.motion import dense, motion_of, trajectory
from spyral_core.physics.nuclei import brho_from_ke, nuclear_mass
from spyral_core.report import names
from spyral_core.report.build import build_report
from spyral_core.report.captions import CAPTIONS
from spyral_core.report.logs import NO_LOG

ROOT = Path(__file__).parents[2]
GATE = {
    "name": "deuterons",
    "vertices": [[0.5, 0.02], [1e9, 0.02], [1e9, 2.0], [0.5, 2.0], [0.5, 0.02]],
    "Z": 1,
    "A": 2,
}
N_EVENTS = 24


def parameters_of(folder: Path, **changes: Any) -> dict[str, Any]:
    """The report's parameters of an embedded experiment with one gate, as the workflow gives them."""
    gate = folder / "deuteron.json"
    gate.write_text(json.dumps(GATE))
    gas = str(ROOT / "config/gas/deuterium_300torr.json")
    values = {
        "simulate": {"gas": gas},
        "solver": {"gas": gas, "gates": [str(gate)], "ic_min_val": 900.0, "ic_max_val": 1350.0},
        **changes,
    }
    stage = STAGES["report"]
    chosen: dict[str, Any] = json.loads(canonical(validate(values), stage.parameters, stage.ignored))
    return chosen


class Experiment:
    """Writes the products of runs whose tracks follow the equation of motion, with the store's own writers."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        self.parameters = parameters_of(folder)
        gas = load_gas(ROOT / "config/gas/deuterium_300torr.json")
        self._motion = motion_of(gas, 1, 2, 2.85, 45000.0)
        self._plane = builtin()

    def write_run(self, run: int, n_events: int = N_EVENTS) -> None:
        rng = np.random.default_rng(run)
        events = [self._event(number, rng) for number in range(n_events)]
        self._write_clouds(run, events, rng)
        self._write_clusters(run, events)
        self._write_tracks(run, events, rng)
        pads = {"pad": [17, 4000], "hits": [90, 80], "hit_share": [0.9, 0.8], "repeated_share": [0.0, 1.0]}
        masked = {"masked": [True, True], "reason": ["noisy", "repeats one charge"]}
        store.write_parquet(product(self.results, "survey", run), tables.SURVEY, pads | masked, made_by(run))

    def _event(self, number: int, rng: np.random.Generator) -> dict[str, Any]:
        masses = (nuclear_mass(6, 16), nuclear_mass(1, 2), nuclear_mass(1, 2), nuclear_mass(6, 16))
        ke, polar, _, _ = two_body(*masses, 180.0, math.radians(rng.uniform(100, 160)))
        azimuthal, z = rng.uniform(0, 2 * math.pi), rng.uniform(50, 900)
        start = np.array([*rng.normal(0, 4, 2), z, float(ke), float(polar), azimuthal])
        path, states, stopped = trajectory(self._motion, start)
        track = dense(path, states, 3.0)
        track = track + rng.normal(0, 1.0, track.shape)
        pad = pads_at(track[:, 0].copy(), track[:, 1].copy())
        return {"event": number, "start": start, "track": track[pad >= 0], "pad": pad[pad >= 0], "stops": stopped}

    def _write_clouds(self, run: int, events: list[dict[str, Any]], rng: np.random.Generator) -> None:
        rejected = {
            "event": [900, 901, 902],
            "cluster_index": [-1] * 3,
            "reason": [f"trace of {n} rows" for n in (3, 5, 9)],
        }
        counts = {"events": len(events) + 3 + 2, "downscaled_ic": 2, "downscaled_ic_within_multiplicity": 1}
        file = product(self.results, "pointcloud", run)
        with store.TableWriter(file, STAGES["pointcloud"].tables, made_by(run)) as writer:
            for event in events:
                n_points = len(event["track"])
                row = {"event": event["event"], "orig_run": run, "orig_event": event["event"], "trigger": 1}
                row |= {"ic_amplitude": rng.normal(1100, 40), "ic_integral": 5e4, "ic_centroid": rng.normal(1200, 2)}
                writer.append("events", row | {"ic_multiplicity": 1.0, "n_points": n_points})
                columns = dict(zip("xyz", event["track"].T, strict=True))
                charge = rng.lognormal(6, 0.5, n_points)
                columns |= {"amplitude": charge, "integral": 5 * charge, "pad": event["pad"]}
                columns |= {"time": 560 - 0.55 * event["track"][:, 2], "scale": self._plane.scale[event["pad"]]}
                writer.append("points", columns | {"saturated": np.zeros(n_points)})
            writer.counts = counts
        store.write_parquet(
            product(self.results, "pointcloud_rejected", run), tables.REJECTED, rejected, made_by(run), counts
        )

    def _write_clusters(self, run: int, events: list[dict[str, Any]]) -> None:
        with store.TableWriter(product(self.results, "cluster", run), STAGES["cluster"].tables, made_by(run)) as writer:
            for event in events:
                n_points = len(event["track"])
                row = {"event": event["event"], "orig_run": run, "orig_event": event["event"], "ic_amplitude": 1100.0}
                row |= {"ic_integral": 5e4, "ic_centroid": 1200.0, "ic_multiplicity": 1.0, "n_clusters": 1}
                writer.append("events", row)
                cluster = {"event": event["event"], "cluster_index": 0, "label": 0, "direction": 0}
                writer.append("clusters", cluster | {"n_points": n_points})
                columns = dict(zip("xyz", event["track"].T, strict=True))
                columns |= {"charge": np.full(n_points, 500.0), "scale": self._plane.scale[event["pad"]]}
                writer.append("points", columns | {"cloud_point": np.arange(n_points)})
        nothing = {"event": [], "cluster_index": [], "reason": []}
        store.write_parquet(product(self.results, "cluster_rejected", run), tables.REJECTED, nothing, made_by(run))

    def _write_tracks(self, run: int, events: list[dict[str, Any]], rng: np.random.Generator) -> None:
        number = np.array([event["event"] for event in events], dtype=int)
        x, y, z, ke, polar, azimuthal = np.reshape([event["start"] for event in events], (-1, 6)).T
        n_tracks, zero = len(number), np.zeros(len(number))
        origin = {"event": number, "cluster_index": zero, "cluster_label": zero}
        origin |= {"orig_run": np.full(n_tracks, run), "orig_event": number}
        angles = {"polar": polar + rng.normal(0, 0.01, n_tracks), "azimuthal": azimuthal}
        fitted_ke = ke * rng.normal(1, 0.02, n_tracks)
        brho = brho_from_ke(fitted_ke, 1, 2)
        estimate = {column.name: zero for column in tables.ESTIMATES.columns} | origin | angles
        estimate |= {"brho": brho, "dEdx": 100 / fitted_ke * rng.lognormal(0, 0.1, n_tracks)}
        store.write_parquet(product(self.results, "estimate", run), tables.ESTIMATES, estimate, made_by(run))
        solution = {column.name: zero + 0.01 for column in tables.SOLUTIONS.columns} | origin | angles
        solution |= {"vertex_x": x / 1000, "vertex_y": y / 1000, "vertex_z": z / 1000, "brho": brho, "ke": fitted_ke}
        solution |= {"redchisq": rng.chisquare(20, n_tracks) / 20, "sigma_ke": 0.02 * ke}
        solution |= {"n_points": [len(event["track"]) for event in events], "stops": [e["stops"] for e in events]}
        store.write_parquet(
            product(self.results, "solver", run, "deuteron"), tables.SOLUTIONS, solution, made_by(run, gate="deuteron")
        )
        truth = {"event": number, "Z": zero + 1, "A": zero + 2, "ke": ke, "polar": polar, "azimuthal": azimuthal}
        truth |= {"vertex_x": x, "vertex_y": y, "vertex_z": z, "brho": brho_from_ke(ke, 1, 2), "turn": zero + 3}
        truth |= {"n_pads": zero + 120, "stops": zero == 0, "trigger": zero + 1}
        truth |= {"pile_up": zero > 0, "contaminant": zero > 0}
        store.write_parquet(product(self.results, "truth", run), tables.TRUTH, truth, made_by(run))


def made_by(run: int, **more: Any) -> dict[str, Any]:
    return {"stage": "test", "run": run, "code": "0123456789abcdef", "versions": {"numpy": "2"}, **more}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Two complete runs, and their report."""
    made = Experiment(tmp_path_factory.mktemp("report"))
    made.write_run(1)
    made.write_run(2)
    build_report(made.parameters, made.results, [1, 2])
    return made


def page_of(experiment: Experiment) -> str:
    return product(experiment.results, "report").read_text(encoding="utf-8")


def numbers_of(experiment: Experiment) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads((experiment.results / "report/numbers.json").read_text())
    return numbers


def verdict_of(page: str) -> str:
    found = re.search(r'<p class="verdict (\w+)">([^<]*)', page)
    assert found is not None
    return f"{found[1]}: {found[2]}"


def test_every_promised_figure_and_table_is_written_and_nothing_else(experiment: Experiment) -> None:
    promised = {*names.figure_files([1, 2], ["deuteron"], True), *names.number_files(["deuteron"], True)}
    written = {
        path.relative_to(experiment.results).as_posix()
        for path in (experiment.results / "report").rglob("*")
        if path.is_file()
    }
    assert written == promised


def test_figures_are_of_one_width_and_not_blank(experiment: Experiment) -> None:
    for name in names.figure_files([1, 2], ["deuteron"], True):
        image = Image.open(experiment.results / name).convert("L")
        assert image.width == 1200, name
        assert 0.005 < (np.asarray(image) < 200).mean() < 0.5, name


def test_the_page_needs_no_other_file(experiment: Experiment) -> None:
    sources = re.findall(r'src="([^"]*)"', page_of(experiment))
    assert len(sources) == len(names.figure_files([1, 2], ["deuteron"], True))
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://", page_of(experiment))
    embedded = {Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).size for source in sources}
    assert {width for width, _ in embedded} == {1200}


def test_the_verdict_counts_runs_events_and_tracks(experiment: Experiment) -> None:
    events = 2 * (N_EVENTS + 5)
    expected = f"2 of 2 runs complete · {events} events · {2 * N_EVENTS} tracks fitted · {100 * 6 / events:.1f} % of"
    assert verdict_of(page_of(experiment)).startswith(f"warning: {expected} events rejected")


def test_every_event_of_the_file_is_accounted_for(experiment: Experiment) -> None:
    flow = pl.read_csv(experiment.results / "report/flow.csv")
    parts = flow["downscaled"] + flow["rejected"] + flow["empty"] + flow["clouds"]
    assert flow["events"].to_list() == parts.to_list() == [N_EVENTS + 5] * 2
    assert flow["downscaled_good"].to_list() == [1, 1]
    assert "neither in the point clouds" not in page_of(experiment)


def test_the_tables_of_numbers_hold_what_the_page_shows(experiment: Experiment) -> None:
    numbers = numbers_of(experiment)
    assert numbers["complete"] == numbers["runs"] == [1, 2]
    assert numbers["totals"]["solved/deuteron"] == 2 * N_EVENTS
    assert numbers["truth"]["deuteron"]["n_true"] == 2 * N_EVENTS
    assert numbers["truth"]["deuteron"]["solved"] == 1.0
    assert abs(numbers["truth"]["deuteron"]["ke_median"]) < 0.02
    assert pl.read_csv(experiment.results / "report/truth_deuteron.csv")["n_true"].to_list()[-1] == 2 * N_EVENTS


def test_the_same_products_give_the_same_bytes(experiment: Experiment) -> None:
    files = ["report.html", *names.figure_files([1, 2], ["deuteron"], True), *names.number_files(["deuteron"], True)]
    before = [(experiment.results / name).read_bytes() for name in files]
    build_report(experiment.parameters, experiment.results, [1, 2])
    assert before == [(experiment.results / name).read_bytes() for name in files]


def test_a_failed_run_is_named_with_the_reason_from_its_log(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1)
    experiment.write_run(2)
    for name in ("estimate", "solver"):
        product(experiment.results, name, 2, "deuteron").unlink()
    log = experiment.results / "logs/estimate/run_0002.log"
    log.parent.mkdir(parents=True)
    reason = "data: run 2: 20 of 24 events were rejected; the first is event 3: <no circle> & no line"
    log.write_text(
        f"estimate run 2: 10 of 24 events (42%), 3/s\n{reason}\nestimate run 2: 24 of 24 events (100%), 3/s\n"
    )
    build_report(experiment.parameters, experiment.results, [1, 2])
    page = page_of(experiment)
    assert verdict_of(page).startswith("bad: 1 of 2 runs complete · 1 failed or unfinished (2)")
    assert "<strong>run 2, estimate:</strong> data: run 2: 20 of 24 events were rejected" in page
    assert "&lt;no circle&gt; &amp; no line" in page
    (failure,) = numbers_of(experiment)["failures"]
    assert failure == {
        "run": 2,
        "stage": "estimate",
        "gate": None,
        "reason": reason,
        "log": "logs/estimate/run_0002.log",
    }
    assert numbers_of(experiment)["totals"]["solved/deuteron"] == N_EVENTS
    assert numbers_of(experiment)["totals"]["clouds"] == 2 * N_EVENTS


def test_a_damaged_product_fails_its_run_alone(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1)
    experiment.write_run(2)
    cluster = product(experiment.results, "cluster", 1)
    cluster.write_bytes(cluster.read_bytes()[:3000])
    build_report(experiment.parameters, experiment.results, [1, 2])
    (failure,) = numbers_of(experiment)["failures"]
    assert (failure["run"], failure["stage"]) == (1, "cluster")
    assert failure["reason"].startswith("cluster/run_0001.h5 cannot be used: cannot be opened as HDF5")
    assert numbers_of(experiment)["totals"]["solved/deuteron"] == N_EVENTS


def test_leftovers_behind_a_failed_phase_are_not_shown(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1)
    product(experiment.results, "pointcloud", 1).unlink()
    build_report(experiment.parameters, experiment.results, [1])
    numbers = numbers_of(experiment)
    assert [failure["stage"] for failure in numbers["failures"]] == ["pointcloud"]
    assert numbers["failures"][0]["reason"] == NO_LOG
    assert set(numbers["totals"].values()) == {None}


def test_a_product_made_from_another_version_of_its_input_is_unfinished(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1)
    estimates = store.read_parquet(product(experiment.results, "estimate", 1))
    outdated = made_by(1, inputs={"cluster": {"file": "run_0001.h5", "lineage": "0" * 16}})
    store.write_parquet(product(experiment.results, "estimate", 1), tables.ESTIMATES, estimates.to_dict(), outdated)
    build_report(experiment.parameters, experiment.results, [1])
    (failure,) = numbers_of(experiment)["failures"]
    assert (failure["stage"], failure["reason"]) == ("estimate", "not made again yet since its input cluster changed")


def test_each_gate_fails_for_itself(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1)
    proton = tmp_path / "proton.json"
    proton.write_text(json.dumps(GATE | {"name": "protons", "A": 1, "xaxis": "sqrt_dEdx", "yaxis": "polar"}))
    experiment.parameters["solver"]["gates"].insert(0, str(proton))
    build_report(experiment.parameters, experiment.results, [1])
    (failure,) = numbers_of(experiment)["failures"]
    assert (failure["stage"], failure["gate"]) == ("solve", "proton")
    assert numbers_of(experiment)["totals"]["solved/deuteron"] == N_EVENTS
    for name in names.figure_files([1], ["proton", "deuteron"], True):
        assert (experiment.results / name).is_file()


@pytest.mark.parametrize("runs", [[1], [1, 7]])
def test_runs_without_a_single_track_still_make_every_figure(tmp_path: Path, runs: list[int]) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1, n_events=0)
    build_report(experiment.parameters, experiment.results, runs)
    for name in [*names.figure_files(runs, ["deuteron"], True), *names.number_files(["deuteron"], True)]:
        assert (experiment.results / name).is_file()
    assert "0 tracks fitted" in verdict_of(page_of(experiment))


def test_one_track_with_numbers_that_are_none_is_drawn(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1, n_events=1)
    path = product(experiment.results, "solver", 1, "deuteron")
    broken = {name: [math.nan] for name in ("redchisq", "sigma_ke", "sigma_polar", "sigma_vz")}
    values = store.read_parquet(path).to_dict(as_series=False) | broken
    store.write_parquet(path, tables.SOLUTIONS, values, made_by(1))
    build_report(experiment.parameters, experiment.results, [1])
    assert numbers_of(experiment)["totals"]["solved/deuteron"] == 1


def test_measured_data_without_solver_or_reaction_end_with_the_estimates(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1)
    product(experiment.results, "truth", 1).unlink()
    experiment.parameters = parameters_of(tmp_path, simulate=None, traces="elsewhere", solver=None)
    build_report(experiment.parameters, experiment.results, [1])
    written = {p.relative_to(experiment.results).as_posix() for p in (experiment.results / "report").rglob("*.png")}
    assert written == set(names.figure_files([1], [], False))
    assert f"{N_EVENTS} tracks estimated" in verdict_of(page_of(experiment))
    assert "Measured data" in page_of(experiment)


def test_figures_of_many_runs_stand_beside_the_page(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path)
    experiment.write_run(1, n_events=3)
    runs = list(range(1, 22))
    build_report(experiment.parameters, experiment.results, runs)
    sources = re.findall(r'src="([^"]*)"', page_of(experiment))
    beside = [source for source in sources if not source.startswith("data:")]
    assert set(beside) == {name for name in names.figure_files(runs, ["deuteron"], True) if "/all/" not in name}
    assert all((experiment.results / source).is_file() for source in beside)


def test_names_are_light_to_import() -> None:
    code = "import sys, spyral_core.report.names; print([m for m in ('numpy', 'matplotlib', 'polars') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_every_figure_has_one_caption_on_the_page_and_in_the_workflow() -> None:
    figures = {Path(name).stem for name in names.figure_files([1], ["deuteron"], True)}
    assert set(CAPTIONS) == figures
    for name, text in CAPTIONS.items():
        assert " ".join((ROOT / f"workflow/report/{name}.rst").read_text().split()) == text
