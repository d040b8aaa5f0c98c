"""The estimate stage: a row or a reason for every cluster, whatever the order and size of the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from spyral_core import store, tables
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.errors import DataError
from spyral_core.phases import estimate
from spyral_core.runner import namespace, run_stage

STAGE = STAGES["estimate"]


def parameters(**sections: Any) -> dict[str, Any]:
    configuration = validate({"traces": "traces", **sections})
    values: dict[str, Any] = json.loads(canonical(configuration, STAGE.parameters))
    return values


def arc(seed: int, n_points: int = 60) -> dict[str, Any]:
    """Points of a positive particle that leaves the axis along x at z = 500 mm, 60° from the beam, radius 150 mm."""
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0.2, 2.0, n_points)
    x, y = 150 * np.sin(turn), 150 - 150 * np.cos(turn)
    z = 500 + 150 * turn / np.tan(np.radians(60))
    return {
        "x": x + rng.normal(0, 1, n_points),
        "y": y + rng.normal(0, 1, n_points),
        "z": z + rng.normal(0, 0.5, n_points),
        "charge": rng.uniform(500, 1500, n_points),
        "scale": np.where(np.hypot(x, y) < 138, 0.5, 1.0),
        "pad": np.zeros(n_points, np.int32),
        "cloud_point": np.arange(n_points),
        "pulse": np.arange(n_points),
    }


def write_clusters(path: Path, events: list[list[dict[str, Any]]]) -> Path:
    with store.TableWriter(path, (tables.CLUSTER_EVENTS, tables.CLUSTERS, tables.CLUSTER_POINTS), {}) as writer:
        for index, clusters in enumerate(events):
            row = {column.name: 10 + index for column in tables.CLUSTER_EVENTS.columns if column.name[:6] != "first_"}
            writer.append("events", row | {"n_clusters": len(clusters)})
            for number, points in enumerate(clusters):
                row = {"event": 10 + index, "cluster_index": number, "label": 7 - number, "direction": -1}
                writer.append("clusters", row | {"n_points": len(points["x"])})
                writer.append("points", points)
    return path


def run(folder: Path, source: Path, workers: int = 1, chunk: int = 32, **sections: Any) -> tuple[Path, Path]:
    outputs = {"output": folder / "estimate.parquet", "rejected": folder / "rejected.parquet"}
    run_stage(STAGE, 1, parameters(**sections), {"cluster": source}, outputs, workers, chunk)
    return outputs["output"], outputs["rejected"]


def test_each_cluster_is_a_row_or_has_a_reason(tmp_path: Path) -> None:
    events = [[arc(1), arc(2, 12)], [], [arc(3)]]
    output, rejected = run(tmp_path, write_clusters(tmp_path / "cluster.h5", events))
    rows, refused = pl.read_parquet(output), pl.read_parquet(rejected)
    assert rows.columns == list(tables.ESTIMATES.names)
    assert rows.select("event", "cluster_index", "cluster_label").rows() == [(10, 0, 7), (12, 0, 7)]
    assert refused.rows() == [(10, 1, "too few points: 12, wanted 30")]
    assert store.read_metadata(output)["counts"] == {"events": 3, "clusters": 3}


def test_a_row_tells_the_particle_and_its_event(tmp_path: Path) -> None:
    output, _ = run(tmp_path, write_clusters(tmp_path / "cluster.h5", [[arc(4, 100)]]))
    (row,) = pl.read_parquet(output).rows(named=True)
    assert np.degrees(row["polar"]) == pytest.approx(60, abs=1)
    assert np.degrees(row["azimuthal"]) == pytest.approx(0, abs=5)
    assert row["brho"] == pytest.approx(2.85 * 0.150 / np.sin(np.radians(60)), rel=0.1)
    assert row["vertex_z"] == pytest.approx(500, abs=4)
    assert np.hypot(row["vertex_x"], row["vertex_y"]) < 10
    assert row["direction"] == 0
    assert row["orig_run"] == row["orig_event"] == row["ic_amplitude"] == row["event"] == 10


def test_brho_goes_with_the_field(tmp_path: Path) -> None:
    source = write_clusters(tmp_path / "cluster.h5", [[arc(5)]])
    weak, _ = run(tmp_path / "weak", source, detector={"magnetic_field": 1.0})
    strong, _ = run(tmp_path / "strong", source, detector={"magnetic_field": 3.0})
    assert pl.read_parquet(strong)["brho"][0] == pytest.approx(3 * pl.read_parquet(weak)["brho"][0])


def test_fewer_points_can_be_allowed(tmp_path: Path) -> None:
    source = write_clusters(tmp_path / "cluster.h5", [[arc(6, 12)]])
    output, rejected = run(tmp_path, source, estimate={"min_total_trajectory_points": 10})
    assert pl.read_parquet(output).height == 1 and pl.read_parquet(rejected).height == 0


def test_workers_and_chunks_change_no_byte(tmp_path: Path) -> None:
    events = [[arc(seed), arc(100 + seed, 20 + seed)] if seed % 3 else [] for seed in range(40)]
    source = write_clusters(tmp_path / "cluster.h5", events)
    first = run(tmp_path / "first", source)
    second = run(tmp_path / "second", source, workers=2, chunk=7)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_events_can_be_read_in_any_order(tmp_path: Path) -> None:
    events = [[arc(seed)] * (seed % 3) for seed in range(70)]
    path = write_clusters(tmp_path / "cluster.h5", events)
    with estimate.open_source({"cluster": path}, namespace({})) as source:
        for index in (69, 0, 35, 1, 68):
            event = source.read(index)
            assert event.event["event"] == source.numbers[index] == 10 + index
            assert len(event.clusters) == index % 3
            for cluster in event.clusters:
                np.testing.assert_array_equal(cluster.points["x"], events[index][0]["x"])


@pytest.mark.parametrize("events", [[], [[], []]])
def test_no_clusters_give_empty_tables_with_all_columns(tmp_path: Path, events: list[list[dict[str, Any]]]) -> None:
    output, rejected = run(tmp_path, write_clusters(tmp_path / "cluster.h5", events))
    assert pl.read_parquet(output).height == 0
    assert pl.read_parquet(output).columns == list(tables.ESTIMATES.names)
    assert pl.read_parquet(rejected).height == 0


def test_a_file_whose_points_are_gone_is_unusable(tmp_path: Path) -> None:
    import h5py

    path = write_clusters(tmp_path / "cluster.h5", [[arc(7)]])
    with h5py.File(path, "a") as file:
        for dataset in file["points"].values():
            dataset.resize(30, axis=0)
    with pytest.raises(DataError, match=r"cluster\.h5: its tables tell of more rows"):
        run(tmp_path, path)


def test_the_recorded_part_of_the_drift_is_known(tmp_path: Path) -> None:
    detector = {"window_time_bucket": 560.0, "micromegas_time_bucket": 10.0, "detector_length": 1000.0}
    settings = estimate.prepare({}, namespace(parameters(detector=detector)))
    assert settings.volume.first_z == pytest.approx(1000 * (560 - 511) / 550)
    early = estimate.prepare({}, namespace(parameters(detector=detector | {"window_time_bucket": 400.0})))
    assert early.volume.first_z == 0
