"""The cluster stage: every event has its row, points keep their origin, and nothing hangs on order or chunks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core import store, tables
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.errors import DataError, RejectedEventError
from spyral_core.phases import cluster
from spyral_core.runner import namespace, run_stage

STAGE = STAGES["cluster"]
EVENT_COLUMNS = [column.name for column in tables.CLUSTER_EVENTS.columns[:-2]]


def parameters(**section: Any) -> dict[str, Any]:
    configuration = validate({"traces": "traces", "cluster": section})
    values: dict[str, Any] = json.loads(canonical(configuration, STAGE.parameters))
    return values


def two_arcs(seed: int) -> dict[str, NDArray[Any]]:
    """Points of two tracks far from one another and of noise, in no order."""
    random = np.random.default_rng(seed)
    turn = np.linspace(0, 2, 70)
    one = np.column_stack([60 * np.cos(turn), 60 * np.sin(turn), 200 + 60 * turn])
    two = np.column_stack([-90 - 80 * np.cos(turn), -80 * np.sin(turn), 700 - 70 * turn])
    points = np.concatenate([one + random.normal(0, 1, one.shape), two + random.normal(0, 1, two.shape)])
    points = np.concatenate([points, random.uniform([-250, -250, 0], [250, 250, 1000], (12, 3))])
    points = random.permutation(points)
    return as_columns(points, random)


def as_columns(points: NDArray[np.float64], random: np.random.Generator) -> dict[str, NDArray[Any]]:
    n_points = len(points)
    return {
        "x": points[:, 0],
        "y": points[:, 1],
        "z": points[:, 2],
        "amplitude": random.uniform(40, 4000, n_points),
        "integral": random.uniform(200, 40000, n_points),
        "pad": random.permutation(10240)[:n_points],
        "time": random.uniform(0, 511, n_points),
        "scale": random.choice([0.5, 1.0], n_points),
        "saturated": np.zeros(n_points),
        "pulse": np.arange(n_points),
    }


def write_clouds(path: Path, clouds: list[dict[str, NDArray[Any]]]) -> Path:
    with store.TableWriter(path, (tables.POINTCLOUD_EVENTS, tables.POINTS), {}) as writer:
        for index, points in enumerate(clouds):
            event = {column.name: index for column in tables.POINTCLOUD_EVENTS.columns if column.name != "first_point"}
            event |= {"event": 10 + 3 * index, "ic_amplitude": 1000.0 + index, "n_points": len(points["x"])}
            writer.append("events", event)
            writer.append("points", points)
    return path


def a_run() -> list[dict[str, NDArray[Any]]]:
    """70 events: a few empty or too small, the rest of two tracks."""
    random = np.random.default_rng(0)
    clouds = [two_arcs(seed) for seed in range(70)]
    for index, n_points in ((0, 0), (31, 0), (32, 1), (40, 49), (69, 0)):
        clouds[index] = as_columns(random.uniform(0, 300, (n_points, 3)), random)
    return clouds


def run(folder: Path, clouds: list[dict[str, NDArray[Any]]], name: str = "cluster", **how: Any) -> Path:
    pointcloud = write_clouds(folder / "pointcloud.h5", clouds)
    outputs = {"output": folder / f"{name}.h5", "rejected": folder / f"{name}_rejected.parquet"}
    run_stage(STAGE, 1, parameters(), {"pointcloud": pointcloud}, outputs, **how)
    return outputs["output"]


def test_every_event_has_a_row_and_points_keep_their_origin(tmp_path: Path) -> None:
    clouds = a_run()
    with store.TableReader(run(tmp_path, clouds)) as reader:
        events, clusters, points = reader.read("events"), reader.read("clusters"), reader.read("points")
    assert events["event"].tolist() == [10 + 3 * index for index in range(70)]
    assert events["ic_amplitude"].tolist() == [1000.0 + index for index in range(70)]
    assert np.flatnonzero(events["n_clusters"] == 0).tolist() == [0, 31, 32, 40, 69]
    assert np.median(events["n_clusters"]) == 2
    for row, cloud in enumerate(clouds):
        of_event = slice(events["first_cluster"][row], events["first_cluster"][row] + events["n_clusters"][row])
        assert (clusters["event"][of_event] == events["event"][row]).all()
        assert clusters["cluster_index"][of_event].tolist() == list(range(events["n_clusters"][row]))
        seen: list[int] = []
        for first, number in zip(clusters["first_point"][of_event], clusters["n_points"][of_event], strict=True):
            mine = slice(first, first + number)
            origin = points["cloud_point"][mine]
            for column, of_cloud in (("x", "x"), ("y", "y"), ("z", "z"), ("charge", "integral"), ("scale", "scale")):
                assert (points[column][mine] == cloud[of_cloud][origin]).all()
            assert (np.diff(points["z"][mine]) >= 0).all()
            seen.extend(origin.tolist())
        assert len(seen) == len(set(seen)), "a point is in two clusters"


def test_the_file_does_not_depend_on_chunks_or_workers(tmp_path: Path) -> None:
    clouds = a_run()
    reference = run(tmp_path, clouds).read_bytes()
    assert run(tmp_path, clouds, "other", chunk_events=7).read_bytes() == reference
    assert run(tmp_path, clouds, "third", chunk_events=20, workers=2).read_bytes() == reference


def event_of(points: dict[str, NDArray[Any]]) -> cluster.Cloud:
    return cluster.Cloud(dict.fromkeys(EVENT_COLUMNS, 1), points)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_points_in_the_cloud_has_no_influence(seed: int) -> None:
    cloud = two_arcs(seed)
    for axis in ("x", "y", "z"):
        cloud[axis] = np.rint(cloud[axis] / 4) * 4  # many equal distances and equal z
    order = np.random.default_rng(seed).permutation(len(cloud["x"]))
    settings = namespace(parameters()).cluster
    one = cluster.process(event_of(cloud), settings).tables
    other = cluster.process(event_of({name: values[order] for name, values in cloud.items()}), settings).tables
    for column in ("label", "direction", "n_points"):
        assert (one["clusters"][column] == other["clusters"][column]).all()
    for column in ("x", "y", "z", "charge"):
        assert (one["points"][column] == other["points"][column]).all()
    assert (one["points"]["cloud_point"] == order[other["points"]["cloud_point"]]).all()


@pytest.mark.parametrize("step", [1e-6, 5.0])
def test_points_come_in_the_order_of_z_x_y_and_charge(step: float) -> None:
    x, y, z, charge = np.rint(np.random.default_rng(0).uniform(0, 20, (4, 200)) / step) * step
    assert (cluster.in_order(x, y, z, charge) == np.lexsort((charge, y, x, z))).all()


def test_directions_and_noise_of_two_known_tracks() -> None:
    cloud = two_arcs(1)
    made = cluster.process(event_of(cloud), namespace(parameters()).cluster).tables
    assert made["clusters"]["n_points"].tolist() == pytest.approx([70, 70], abs=4)
    # the lower turns with rising z as a positive particle does with time, so does the upper with falling z
    assert made["clusters"]["direction"].tolist() == [0, 1]


def test_a_cloud_below_the_smallest_size_gives_no_cluster() -> None:
    cloud = two_arcs(1)
    size = len(cloud["x"])
    settings = namespace(parameters(min_cloud_size=size)).cluster
    assert cluster.process(event_of(cloud), settings).tables["events"]["n_clusters"] == 2
    settings = namespace(parameters(min_cloud_size=size + 1)).cluster
    assert cluster.process(event_of(cloud), settings).tables["events"]["n_clusters"] == 0


def broken() -> dict[str, NDArray[Any]]:
    """One turn with two gaps of 40 mm."""
    random = np.random.default_rng(2)
    turn = np.concatenate([np.linspace(0, 1.5, 50), np.linspace(2, 3.5, 50), np.linspace(4, 5.5, 50)])
    points = np.column_stack([80 * np.cos(turn), 80 * np.sin(turn), 300 + 50 * turn])
    return as_columns(points + random.normal(0, 1, points.shape), random)


@pytest.mark.parametrize(
    ("section", "n_clusters"),
    [
        ({}, 1),
        ({"continuity_join": None}, 3),
        ({"overlap_join": {}}, 1),
        ({"overlap_join": {"min_cluster_size_join": 60}}, 3),
        ({"continuity_join": {"join_z_fraction": 0.01}}, 3),
    ],
)
def test_the_configured_join_is_used(section: dict[str, Any], n_clusters: int) -> None:
    section = {"smooth_join": None, **section}
    made = cluster.process(event_of(broken()), namespace(parameters(**section)).cluster).tables
    assert made["events"]["n_clusters"] == n_clusters


def test_positions_that_are_no_numbers_reject_the_event() -> None:
    cloud = two_arcs(0)
    cloud["z"][5] = np.nan
    with pytest.raises(RejectedEventError, match="not numbers"):
        cluster.process(event_of(cloud), namespace(parameters()).cluster)


def test_an_empty_run_gives_empty_tables(tmp_path: Path) -> None:
    with store.TableReader(run(tmp_path, [])) as reader:
        assert [reader.n_rows(name) for name in ("events", "clusters", "points")] == [0, 0, 0]
        assert set(reader.read("points")) == set(tables.CLUSTER_POINTS.names)


def test_a_truncated_point_table_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "pointcloud.h5"
    with store.TableWriter(path, (tables.POINTCLOUD_EVENTS, tables.POINTS), {}) as writer:
        event = dict.fromkeys((column.name for column in tables.POINTCLOUD_EVENTS.columns), 0)
        writer.append("events", {**event, "n_points": 5})
    with pytest.raises(DataError, match="more points than there are"):
        run_stage(
            STAGE,
            1,
            parameters(),
            {"pointcloud": path},
            {"output": tmp_path / "c.h5", "rejected": tmp_path / "r.parquet"},
        )
