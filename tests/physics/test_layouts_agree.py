"""The same events give the same point clouds, whatever layout their file has."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spyral_core import paths, store
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical, validate
from spyral_core.job import run_job
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.file import open_traces

ROOT = Path(__file__).parents[2]
GAS = str(ROOT / "config" / "gas" / "deuterium_300torr.json")
N_EVENTS = 8


def run(name: str, configuration: Configuration, results: Path, traces: Path) -> None:
    stage = STAGES[name]
    run_job(stage, 1, json.loads(canonical(configuration, stage.parameters)), results, traces)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[TraceEvent]:
    """Simulated events, as they are read."""
    folder = tmp_path_factory.mktemp("simulated")
    # a downscaled trigger among them, and every event with an ion chamber
    simulate = {"seed": 5, "runs": 1, "events": N_EVENTS, "gas": GAS, "beam": {"downscaled": 0.2}}
    run("simulate", validate({"simulate": simulate}), folder, folder / "traces")
    with open_traces(paths.product(folder, "traces", 1)) as file:
        return [file.read(index) for index in range(len(file.numbers))]


def clouds(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Events and points of a trace file in a folder."""
    configuration = validate({"traces": str(folder), "runs": "1"})
    for name in ("survey", "pointcloud"):
        run(name, configuration, folder / "results", folder)
    with store.TableReader(paths.product(folder / "results", "pointcloud", 1)) as reader:
        return reader.read("events"), reader.read("points")


def written(
    layouts: ModuleType, layout: str, events: list[TraceEvent], folder: Path, without: tuple[str, ...] = ()
) -> Path:
    folder.mkdir()
    layouts.write_layout(paths.trace_file(folder, 1), layout, events, without=without)
    return folder


def test_every_layout_gives_the_same_point_clouds(
    events: list[TraceEvent], layouts: ModuleType, tmp_path: Path
) -> None:
    found = {
        layout: clouds(written(layouts, layout, events, tmp_path / str(number)))
        for number, layout in enumerate(layouts.LAYOUTS)
    }
    first_events, first_points = found[layouts.LAYOUTS[0]]
    assert first_events["n_points"].sum() > 100 * len(first_events["event"])
    for layout, (some_events, some_points) in found.items():
        for name in ("event", "ic_amplitude", "ic_centroid", "ic_multiplicity", "n_points", "trigger"):
            np.testing.assert_array_equal(some_events[name], first_events[name], err_msg=f"{layout}: {name}")
        for name, values in some_points.items():
            np.testing.assert_array_equal(values, first_points[name], err_msg=f"{layout}: {name}")


@pytest.mark.parametrize("piece", ["1903", "977", "range", "clocks", "scalers", "silicon"])
def test_a_missing_piece_leaves_the_points_as_they_are(
    events: list[TraceEvent], layouts: ModuleType, tmp_path: Path, piece: str
) -> None:
    mesh = [event for event in events if event.trigger == 1]
    for number, layout in enumerate(layouts.LAYOUTS):
        whole, less = (
            clouds(written(layouts, layout, mesh, tmp_path / f"{number}{name}", without))
            for name, without in (("a", ()), ("b", (piece,)))
        )
        np.testing.assert_array_equal(less[0]["n_points"], whole[0]["n_points"], err_msg=layout)
        np.testing.assert_array_equal(less[1]["pad"], whole[1]["pad"], err_msg=layout)
        expected = -1.0 if piece == "1903" else whole[0]["ic_amplitude"]
        np.testing.assert_array_equal(less[0]["ic_amplitude"], np.broadcast_to(expected, len(mesh)), err_msg=layout)
