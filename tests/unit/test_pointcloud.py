"""Each pulse of a pad becomes a point where its electrons came from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from spyral_core import lineage, runner, store, tables
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.detector import pads
from spyral_core.errors import DataError
from spyral_core.phases import pointcloud
from spyral_core.simulate.response import PEAK_TIME, shape
from spyral_core.traces.event import PAD_COLUMNS, TraceEvent
from spyral_core.traces.writer import TraceWriter

BIG, SMALL = 5, 2000
"""A big pad and a small one, neither of them near the beam."""


def parameters(**sections: Any) -> dict[str, Any]:
    configuration = validate({"traces": "traces", **sections})
    values: dict[str, Any] = json.loads(canonical(configuration, STAGES["pointcloud"].parameters))
    return values


def write_survey(path: Path, masked: list[int]) -> Path:
    columns = {column.name: np.zeros(pads.N_PADS, column.dtype) for column in tables.SURVEY.columns[:-2]}
    is_masked = np.isin(np.arange(pads.N_PADS), masked)
    columns |= {
        "pad": np.arange(pads.N_PADS),
        "masked": is_masked,
        "reason": np.where(is_masked, "noisy", ""),
    }
    store.write_parquet(path, tables.SURVEY, columns, {})
    return path


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    return write_survey(tmp_path / "survey.parquet", [])


def constants(survey: Path, **sections: Any) -> pointcloud.Constants:
    return pointcloud.prepare({"survey": survey}, runner.namespace(parameters(**sections)))


def row(pad: int, *pulses: tuple[float, float], place: tuple[int, int, int, int] = (0, 0, 0, 0)) -> NDArray[np.int16]:
    """A pad row with pulses (time, amplitude)."""
    t = np.arange(512)
    samples = 340 + sum((height * shape((t - time) / 6.25 + PEAK_TIME) for time, height in pulses), np.zeros(512))
    return np.concatenate([place, [pad], np.clip(np.round(samples), 0, 4095)]).astype(np.int16)


def beam(*pulses: tuple[float, float]) -> NDArray[np.int32]:
    """An ion-chamber trace with pulses (time, amplitude)."""
    t = np.arange(2048)
    signal = sum((height * np.exp(-0.5 * ((t - time) / 3) ** 2) for time, height in pulses), np.zeros(2048))
    return np.round(300 + signal).astype(np.int32)


def event(*rows: NDArray[np.int16], **changes: Any) -> TraceEvent:
    block = np.stack(rows) if rows else np.empty((0, PAD_COLUMNS), np.int16)
    filled = TraceEvent(number=7, orig_run=1, orig_event=7, pads=block, ion_chamber=beam((1200, 1100)), trigger=1)
    return replace(filled, **changes)


def points(product: runner.Product) -> dict[str, NDArray[Any]]:
    return store.as_columns(tables.POINTS, product.tables["points"])


def test_point_lies_at_the_centroid_and_at_the_z_of_its_time(survey: Path) -> None:
    product = pointcloud.process(event(row(BIG, (230.4, 800)), row(SMALL, (120.0, 600))), constants(survey))
    found, plane = points(product), pads.builtin()
    assert found["pad"].tolist() == [BIG, SMALL]
    assert found["time"] == pytest.approx([230.4, 120.0], abs=0.06)
    assert found["z"] == pytest.approx((560.0 - found["time"]) / 550.0 * 1000.0)
    assert np.array_equal(found["x"], plane.x[[BIG, SMALL]])
    assert np.array_equal(found["y"], plane.y[[BIG, SMALL]])
    assert found["scale"].tolist() == [1.0, 0.5]
    assert found["amplitude"] == pytest.approx([800, 600], rel=0.05)
    assert found["saturated"].tolist() == [0, 0]


def test_event_row(survey: Path) -> None:
    product = pointcloud.process(event(row(BIG, (230, 800)), orig_run=3, orig_event=9, trigger=3), constants(survey))
    (found,) = pl.DataFrame(store.as_columns(tables.POINTCLOUD_EVENTS, product.tables["events"])).to_dicts()
    assert {key: found[key] for key in ("event", "orig_run", "orig_event", "n_points", "trigger")} == {
        "event": 7,
        "orig_run": 3,
        "orig_event": 9,
        "n_points": 1,
        "trigger": 3,
    }
    assert found["ic_amplitude"] == pytest.approx(1100, rel=0.05)
    assert found["ic_centroid"] == pytest.approx(1200, abs=0.1)
    assert found["ic_multiplicity"] == 1


def test_points_are_ordered_by_z_then_pad_whatever_the_order_of_traces(survey: Path) -> None:
    rng = np.random.default_rng(8)
    rows = [row(int(pad), (float(rng.integers(50, 450)), 500)) for pad in rng.choice(1000, 40, replace=False)]
    rows += [row(3000, (200, 500)), row(2500, (200, 500))]
    first = points(pointcloud.process(event(*rows), constants(survey)))
    second = points(pointcloud.process(event(*rows[::-1]), constants(survey)))
    assert (np.diff(first["z"]) >= 0).all()
    ties = np.diff(first["z"]) == 0
    assert ties.any()
    assert (np.diff(first["pad"])[ties] > 0).all()
    for name in first:
        assert np.array_equal(first[name], second[name])


def test_pads_that_are_left_out(tmp_path: Path) -> None:
    """Beam pads, masked pads, and numbers that are no pad's, which are counted."""
    beam_pad = int(np.flatnonzero(pads.builtin().beam)[0])
    rows = [row(pad, (200, 800)) for pad in (BIG, beam_pad, 4711, -1, 10240, -32768, 32767)]
    product = pointcloud.process(event(*rows), constants(write_survey(tmp_path / "survey.parquet", [4711])))
    assert points(product)["pad"].tolist() == [BIG]
    assert product.counts["traces_without_pad"] == 4
    assert product.counts["traces"] == 3


def test_time_and_gain_corrections(survey: Path, tmp_path: Path) -> None:
    times, gains = np.zeros(pads.N_PADS), np.ones(pads.N_PADS)
    times[BIG], gains[BIG] = -1.25, 1.5
    for name, values in (("time", times), ("gain", gains)):
        (tmp_path / f"{name}.csv").write_text("\n".join([name, *map(str, values)]) + "\n")
    tables_given = {"time_correction": str(tmp_path / "time.csv"), "gain_correction": str(tmp_path / "gain.csv")}
    traces = event(row(BIG, (200, 800)), row(SMALL, (100, 700)))
    plain = points(pointcloud.process(traces, constants(survey)))
    corrected = points(pointcloud.process(traces, constants(survey, pads=tables_given)))
    assert corrected["pad"].tolist() == plain["pad"].tolist() == [BIG, SMALL]
    assert corrected["time"] - plain["time"] == pytest.approx([-1.25, 0])
    assert corrected["z"] - plain["z"] == pytest.approx([1.25 / 550 * 1000, 0])
    assert corrected["amplitude"] / plain["amplitude"] == pytest.approx([1.5, 1])
    assert corrected["integral"] / plain["integral"] == pytest.approx([1.5, 1])


def test_electronics_map_overrides_the_pad_numbers(survey: Path, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("cobo,asad,aget,channel,pad\n3,1,2,10,2000\n")
    rows = [row(BIG, (200, 800), place=(3, 1, 2, 10)), row(BIG, (200, 800), place=(3, 1, 2, 11))]
    product = pointcloud.process(event(*rows), constants(survey, pads={"electronics": str(tmp_path / "map.csv")}))
    assert points(product)["pad"].tolist() == [2000]
    assert product.counts["traces_without_pad"] == 1


def test_good_beam_particle_shifts_the_drift_time(survey: Path) -> None:
    late = event(row(BIG, (300, 800)), ion_chamber=beam((1200, 1100), (1400, 1000)), silicon=beam((1210, 900)))
    found = points(pointcloud.process(late, constants(survey)))
    assert found["time"] == pytest.approx([300 - 200 * 6.25 / 12.5], abs=0.1)
    kept = points(pointcloud.process(late, constants(survey, frib={"correct_ic_time": False})))
    assert kept["time"] == pytest.approx([300], abs=0.1)


@pytest.mark.parametrize(
    ("ion_chamber", "within"), [(beam((1200, 900)), 1), (beam((1200, 900), (1400, 900)), 0), (None, 0)]
)
def test_downscaled_trigger_is_counted_and_makes_no_event(survey: Path, ion_chamber: Any, within: int) -> None:
    product = pointcloud.process(event(row(BIG, (200, 800)), trigger=2, ion_chamber=ion_chamber), constants(survey))
    assert product.tables == {}
    assert product.counts == {"downscaled_ic": 1, "downscaled_ic_within_multiplicity": within}


@pytest.mark.parametrize("trigger", [-1, 0, 1, 3, 17])
def test_every_other_trigger_makes_an_event(survey: Path, trigger: int) -> None:
    product = pointcloud.process(event(row(BIG, (200, 800)), trigger=trigger), constants(survey))
    assert product.tables["events"]["n_points"] == 1
    assert product.counts["downscaled_ic"] == 0


def test_event_without_anything(survey: Path) -> None:
    product = pointcloud.process(event(ion_chamber=None, trigger=-1), constants(survey))
    assert product.tables["events"]["n_points"] == 0
    assert product.tables["events"]["ic_amplitude"] == -1
    assert len(points(product)["x"]) == 0


def test_legacy_ion_chamber_is_a_get_channel(survey: Path) -> None:
    """It gives the ion chamber's values, and nothing of CoBo 10 becomes a point."""
    rows = [
        row(-1, (100, 700), (300, 900), place=(10, 0, 1, 0)),
        row(SMALL, (200, 800), place=(10, 0, 2, 5)),
        row(BIG, (200, 800)),
    ]
    product = pointcloud.process(event(*rows), constants(survey, legacy_ic={}))
    assert points(product)["pad"].tolist() == [BIG]
    assert product.tables["events"]["ic_amplitude"] == pytest.approx(700, rel=0.1)
    assert product.tables["events"]["ic_centroid"] == pytest.approx(100, abs=0.5)
    assert product.counts["traces_without_pad"] == 0
    absent = pointcloud.process(event(row(BIG, (200, 800))), constants(survey, legacy_ic={}))
    assert absent.tables["events"]["ic_amplitude"] == -1


def test_saturated_pulse_is_flagged(survey: Path) -> None:
    found = points(pointcloud.process(event(row(BIG, (200, 9000))), constants(survey)))
    assert found["saturated"].tolist() == [1]
    assert found["amplitude"][0] > 4095
    assert found["time"] == pytest.approx([200], abs=1.5)  # of a symmetric pulse, which GET's are not


def test_wild_samples_give_finite_points(survey: Path) -> None:
    rng = np.random.default_rng(6)
    wild = rng.choice(np.array([-32768, 0, 4095, 32767], np.int16), size=(50, PAD_COLUMNS), p=[0.01, 0.97, 0.01, 0.01])
    wild[:, 4] = np.arange(50) * 11
    product = pointcloud.process(event(*wild), constants(survey))
    found = points(product)
    assert len(found["x"]) > 0
    assert all(np.isfinite(values).all() for values in found.values())


def test_garfield_table_moves_points(survey: Path, shared: Path) -> None:
    table = shared / "garfield" / "electrons_h2_300torr.txt"
    traces = event(row(BIG, (200, 800)), row(SMALL, (120, 600)))
    straight = points(pointcloud.process(traces, constants(survey)))
    bent = points(pointcloud.process(traces, constants(survey, detector={"garfield_file": str(table)})))
    moved = np.hypot(bent["x"] - straight["x"], bent["y"] - straight["y"])
    assert (moved > 0).all()
    assert (moved < 40).all()
    assert np.array_equal(bent["time"], straight["time"])


def test_survey_of_another_shape_is_an_error(tmp_path: Path) -> None:
    store.write_parquet(tmp_path / "survey.parquet", tables.REJECTED, dict.fromkeys(tables.REJECTED.names, ()), {})
    with pytest.raises(DataError, match="is not a survey"):
        constants(tmp_path / "survey.parquet")


def write_run(path: Path, n_events: int = 30) -> dict[str, int]:
    """A run with events of all kinds, and how many of each."""
    rng = np.random.default_rng(12)
    kinds = {"mesh": 0, "downscaled": 0, "empty": 0, "scalers": 3}
    with TraceWriter(path, 1) as writer:
        for number in range(n_events):
            kind = ("mesh", "mesh", "downscaled", "empty")[number % 4]
            kinds[kind] += 1
            rows = [
                row(int(pad), (float(rng.uniform(50, 450)), float(rng.uniform(100, 3000))))
                for pad in rng.choice(5000, 20)
            ]
            physics = np.stack([beam((1200, 1000)), beam(), beam()], axis=1)
            writer.write_event(
                number, None if kind == "empty" else np.stack(rows), physics, 2 if kind == "downscaled" else 1
            )
        writer.write_scalers([np.arange(11) + 100 * k for k in range(3)])
    return kinds


@pytest.mark.parametrize(("workers", "chunk"), [(1, 7), (2, 4)])
def test_run_over_a_file(survey: Path, tmp_path: Path, workers: int, chunk: int) -> None:
    """Every event is in the events table or in the count of the downscaled trigger, whoever did the work."""
    traces = tmp_path / "run_0001.h5"
    kinds = write_run(traces)
    outputs = {
        "output": tmp_path / "out.h5",
        "rejected": tmp_path / "rejected.parquet",
        "scalers": tmp_path / "scalers.parquet",
    }
    inputs = {"traces": traces, "survey": survey}
    runner.run_stage(STAGES["pointcloud"], 1, parameters(), inputs, outputs, workers=workers, chunk_events=chunk)
    with store.TableReader(outputs["output"]) as reader:
        events, cloud = reader.read("events"), reader.read("points")
        assert reader.counts["downscaled_ic"] == kinds["downscaled"]
    assert len(events["event"]) == kinds["mesh"] + kinds["empty"]
    assert np.array_equal(events["first_point"], np.cumsum(events["n_points"]) - events["n_points"])
    assert events["n_points"].sum() == len(cloud["x"]) > 0
    metadata = store.read_metadata(outputs["scalers"])
    assert metadata["counts"]["downscaled_ic_within_multiplicity"] == kinds["downscaled"]
    assert store.read_parquet(outputs["scalers"])["clock_live"].to_list() == [1, 101, 201]
    assert store.read_parquet(outputs["rejected"]).height == 0
    assert lineage.build(STAGES["pointcloud"], 1, parameters(), inputs) == metadata["lineage"]
