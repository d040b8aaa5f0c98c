"""The report as a whole: what the page says of complete, failed and empty runs."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from spyral_core import store, tables
from spyral_core.paths import product
from spyral_core.report import names
from spyral_core.report.build import build_report
from spyral_core.report.captions import CAPTIONS

ROOT = Path(__file__).parents[2]
GATES = ["deuteron"]


@pytest.fixture(scope="module")
def experiment(report_products: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two complete runs, and their report."""
    made = report_products.Experiment(tmp_path_factory.mktemp("report"))
    made.write_run(1)
    made.write_run(2)
    build_report(made.parameters, made.results, [1, 2])
    return made


@pytest.fixture
def new(report_products: ModuleType, tmp_path: Path) -> Any:
    """An experiment without any run yet."""
    return report_products.Experiment(tmp_path)


def page_of(experiment: Any) -> str:
    return product(experiment.results, "report").read_text(encoding="utf-8")


def numbers_of(experiment: Any) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads((experiment.results / "report/numbers.json").read_text())
    return numbers


def verdict_of(experiment: Any) -> str:
    found = re.search(r'<p class="verdict (\w+)">([^<]*)', page_of(experiment))
    assert found is not None
    return f"{found[1]}: {found[2]}"


def written(experiment: Any, ending: str) -> set[str]:
    folder = experiment.results / "report"
    return {path.relative_to(experiment.results).as_posix() for path in folder.rglob(f"*{ending}") if path.is_file()}


def test_every_promised_figure_and_table_is_written_and_nothing_else(experiment: Any) -> None:
    assert written(experiment, "") == {
        *names.figure_files([1, 2], GATES, True),
        *names.number_files(GATES, True),
    }


def test_figures_are_of_one_width_and_not_blank(experiment: Any) -> None:
    for name in names.figure_files([1, 2], GATES, True):
        image = Image.open(experiment.results / name).convert("L")
        assert image.width == 1200, name
        assert 0.005 < (np.asarray(image) < 200).mean() < 0.5, name
        assert np.asarray(image)[0, 0] == 255, name


def test_the_page_needs_no_other_file(experiment: Any) -> None:
    page = page_of(experiment)
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == len(names.figure_files([1, 2], GATES, True))
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://", page)
    assert {Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).width for source in sources} == {1200}


def test_the_verdict_counts_runs_events_and_tracks(experiment: Any, report_products: ModuleType) -> None:
    tracks = 2 * report_products.N_EVENTS
    events = tracks + 2 * 5
    assert verdict_of(experiment) == (
        f"warning: 2 of 2 runs complete · {events} events · {tracks} tracks fitted · "
        f"{100 * 6 / events:.1f} % of events rejected"
    )


def test_every_event_of_the_file_is_accounted_for(experiment: Any, report_products: ModuleType) -> None:
    flow = pl.read_csv(experiment.results / "report/flow.csv")
    parts = flow["downscaled"] + flow["rejected"] + flow["empty"] + flow["clouds"]
    assert flow["events"].to_list() == parts.to_list() == [report_products.N_EVENTS + 5] * 2
    assert flow["downscaled_good"].to_list() == [1, 1]
    assert "neither in the point clouds" not in page_of(experiment)


def test_the_numbers_hold_what_the_page_shows(experiment: Any, report_products: ModuleType) -> None:
    numbers, n_tracks = numbers_of(experiment), 2 * report_products.N_EVENTS
    assert numbers["complete"] == numbers["runs"] == [1, 2]
    assert numbers["failures"] == []
    assert numbers["totals"]["solved/deuteron"] == n_tracks
    assert numbers["truth"]["deuteron"]["n_true"] == n_tracks
    assert abs(numbers["truth"]["deuteron"]["ke_median"]) < 0.02
    assert pl.read_csv(experiment.results / "report/truth_deuteron.csv")["n_true"].to_list()[-1] == n_tracks
    rejected = pl.read_csv(experiment.results / "report/rejected.csv")
    assert rejected.select("stage", "reason", "number").rows() == [("pointcloud", "trace of 3…9 rows", 6)]


def test_a_run_looks_the_same_whichever_runs_are_beside_it(experiment: Any, new: Any) -> None:
    new.write_run(1)
    build_report(new.parameters, new.results, [1])
    own = [name for name in names.figure_files([1], GATES, True) if "/run_0001/" in name]
    assert len(own) == 8
    for name in own:
        assert (new.results / name).read_bytes() == (experiment.results / name).read_bytes(), name


def test_a_failed_run_is_named_with_the_reason_from_its_log(new: Any, report_products: ModuleType) -> None:
    new.write_run(1)
    new.write_run(2)
    for name in ("estimate", "solver"):
        product(new.results, name, 2, "deuteron").unlink()
    log = new.results / "logs/estimate/run_0002.log"
    log.parent.mkdir(parents=True)
    reason = "data: run 2: 20 of 24 events were rejected; the first is event 3: <no circle> & no line"
    log.write_text(f"estimate run 2: 10 of 24 events (42%), 3/s\n{reason}\n")
    build_report(new.parameters, new.results, [1, 2])
    page, numbers = page_of(new), numbers_of(new)
    assert verdict_of(new).startswith("bad: 1 of 2 runs complete · 1 failed or unfinished (2)")
    assert "<strong>run 2, estimate:</strong> data: run 2: 20 of 24 events were rejected" in page
    assert "&lt;no circle&gt; &amp; no line" in page
    assert [failure["reason"] for failure in numbers["failures"]] == [reason]
    assert numbers["totals"]["solved/deuteron"] == report_products.N_EVENTS
    assert numbers["totals"]["clouds"] == 2 * report_products.N_EVENTS


@pytest.mark.parametrize("runs", [[1], [1, 7]])
def test_runs_without_a_single_track_still_make_every_figure(new: Any, runs: list[int]) -> None:
    new.write_run(1, n_events=0)
    build_report(new.parameters, new.results, runs)
    assert written(new, ".png") == set(names.figure_files(runs, GATES, True))
    assert "0 tracks fitted" in verdict_of(new)


def test_one_track_whose_numbers_are_none_is_drawn(new: Any, report_products: ModuleType) -> None:
    new.write_run(1, n_events=1)
    path = product(new.results, "solver", 1, "deuteron")
    broken = {name: [math.nan] for name in ("redchisq", "sigma_ke", "sigma_polar", "sigma_vz")}
    values = store.read_parquet(path).to_dict(as_series=False) | broken
    store.write_parquet(path, tables.SOLUTIONS, values, report_products.made_by(1))
    build_report(new.parameters, new.results, [1])
    assert numbers_of(new)["totals"]["solved/deuteron"] == 1


def test_measured_data_without_solver_or_reaction_end_with_the_estimates(
    new: Any, report_products: ModuleType, tmp_path: Path
) -> None:
    new.write_run(1)
    product(new.results, "truth", 1).unlink()
    parameters = report_products.parameters_of(tmp_path, simulate=None, traces="elsewhere", solver=None)
    build_report(parameters, new.results, [1])
    assert written(new, ".png") == set(names.figure_files([1], [], False))
    assert f"{report_products.N_EVENTS} tracks estimated" in verdict_of(new)
    assert "Measured data" in page_of(new)


@pytest.mark.slow
def test_figures_of_many_runs_stand_beside_the_page(new: Any) -> None:
    runs = list(range(1, 22))
    build_report(new.parameters, new.results, runs)
    sources = re.findall(r'src="([^"]*)"', page_of(new))
    beside = {source for source in sources if not source.startswith("data:")}
    assert beside == {name for name in names.figure_files(runs, GATES, True) if "/all/" not in name}
    assert all((new.results / source).is_file() for source in beside)


def test_names_are_light_to_import() -> None:
    heavy = "('numpy', 'matplotlib', 'polars')"
    code = f"import sys, spyral_core.report.names; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_every_figure_has_one_caption_on_the_page_and_in_the_workflow() -> None:
    assert set(CAPTIONS) == {Path(name).stem for name in names.figure_files([1], GATES, True)}
    for name, text in CAPTIONS.items():
        assert " ".join((ROOT / f"workflow/report/{name}.rst").read_text().split()) == text
