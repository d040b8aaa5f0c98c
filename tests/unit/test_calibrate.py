"""What `calibrate` measures: means of pads, what pads see of a track, a pulser's times and gains, and its files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from spyral_core import paths, store, tables
from spyral_core.calibrate import output
from spyral_core.calibrate.found import Found, Quantity
from spyral_core.calibrate.relative import relative
from spyral_core.calibrate.robust import pad_means, spread_by_kind
from spyral_core.calibrate.windows import _line, against_neighbours, places_on_track, seen_by_pads
from spyral_core.cli import main
from spyral_core.config.simulation import SimulatedElectronics
from spyral_core.detector import corrections
from spyral_core.detector.pads import N_PADS, builtin
from spyral_core.simulate.electronics import PadElectronics, pad_electronics, read_out
from spyral_core.simulate.response import N_SAMPLES, shape
from spyral_core.traces.writer import TraceWriter

PLANE = builtin()
SHAPING = 6.25  # TB
MM_PER_BUCKET = 1000.0 / 550.0


# Means of pads


def test_means_and_errors_of_pads_hold() -> None:
    rng = np.random.default_rng(0)
    pad, sigma = rng.integers(0, 2000, 60_000), rng.choice([0.1, 0.5], 60_000)
    true = rng.normal(0.0, 1.0, 2001)
    values = true[pad] + rng.normal(0.0, sigma)
    found = pad_means(pad, values, sigma, 2001)
    assert np.array_equal(found.hits, np.bincount(pad, minlength=2001))
    assert found.hits[2000] == 0
    assert found.mean[2000] == 0.0
    assert found.error[2000] == np.inf
    pulls = (found.mean - true)[:2000] / found.error[:2000]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1)


def test_wrong_hits_hardly_move_a_mean() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0.0, 0.1, 900), rng.uniform(5.0, 50.0, 100)])
    found = pad_means(np.zeros(1000, np.int64), values, np.full(1000, 0.1), 1)
    assert abs(found.mean[0]) < 0.03
    assert abs(values.mean()) > 1.0


def test_the_spread_is_that_of_the_kind() -> None:
    rng = np.random.default_rng(2)
    kind = rng.random(20_000)
    values = rng.normal(0.0, np.where(kind > 0.6, 1.0, 0.2))
    sigma = spread_by_kind(values, kind, rng.random(20_000))
    assert sigma[kind < 0.58] == pytest.approx(0.2, rel=0.2)
    assert sigma[kind > 0.62] == pytest.approx(1.0, rel=0.2)


def test_pads_are_compared_with_those_of_their_size() -> None:
    scale, known = np.array([0.5, 0.5, 0.5, 1.0, 1.0, 1.0]), np.array([True, True, True, True, True, False])
    found = relative(np.array([1.0, 2.0, 4.0, 10.0, 20.0, 99.0]), known, scale)
    assert found.tolist() == [-1.0, 0.0, 2.0, -5.0, 5.0, 0.0]


# Tracks


@pytest.mark.parametrize("seed", range(5))
def test_a_pad_sees_what_integration_over_it_gives(seed: int) -> None:
    """The kernel's sum over parts of a triangle against a fine grid of points inside it."""
    rng = np.random.default_rng(seed)
    pads = rng.integers(0, N_PADS, 10)
    centroids = np.stack([PLANE.x, PLANE.y], axis=1)[pads]
    corners = np.ascontiguousarray(PLANE.vertices[pads] - centroids[:, None, :])
    angle = rng.uniform(0.0, 2.0 * math.pi, 10)
    places = np.stack([rng.normal(0.0, 2.0, 10), np.cos(angle), np.sin(angle)], axis=1)
    variance = rng.uniform(1.0, 12.0, 10)
    found = seen_by_pads(places, corners, variance)
    share = (np.arange(300) + 0.5) / 300
    u, v = (grid.ravel() for grid in np.meshgrid(share, share))
    u, v = np.where(u + v > 1.0, 1.0 - u, u), np.where(u + v > 1.0, 1.0 - v, v)
    for k in range(10):
        a, b, c = corners[k]
        inside = a + u[:, None] * (b - a) + v[:, None] * (c - a)
        along, across = inside @ places[k, 1:], inside @ np.array([-places[k, 2], places[k, 1]])
        area = 0.5 * abs(np.linalg.det(np.stack([b - a, c - a])))
        sigma = math.sqrt(variance[k] + 0.01)
        density = np.exp(-0.5 * ((across - places[k, 0]) / sigma) ** 2) / math.sqrt(2.0 * math.pi) / sigma
        assert found[k, 0] == pytest.approx(area * density.mean(), rel=0.02, abs=2e-3)
        if density.max() > 0.01:
            assert found[k, 1] == pytest.approx((along * density).sum() / density.sum(), abs=0.06)


def straight_track(angle: float, slope: float) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Pads, times [TB] and charges of a track through (0, 160 mm) with σ² = 6 mm² of spread; slope in TB/mm."""
    ux, uy = math.cos(angle), math.sin(angle)
    along, across = PLANE.x * ux + (PLANE.y - 160.0) * uy, -PLANE.x * uy + (PLANE.y - 160.0) * ux
    pads = np.flatnonzero((np.abs(across) < 14.0) & (np.abs(along) < 70.0))
    corners = np.ascontiguousarray(PLANE.vertices[pads] - np.stack([PLANE.x, PLANE.y], axis=1)[pads][:, None, :])
    places = np.stack([-across[pads], np.full(len(pads), ux), np.full(len(pads), uy)], axis=1)
    seen = seen_by_pads(places, corners, np.full(len(pads), 6.0))
    lit = seen[:, 0] > 0.03
    return pads[lit], 200.0 + slope * (along[pads] + seen[:, 1])[lit], 1000.0 * seen[lit, 0]


def compared(pads: NDArray[np.int64], time: NDArray[np.float64], charge: NDArray[np.float64]) -> NDArray[np.float64]:
    """`against_neighbours` of one cluster, its second column the charge over the expected one."""
    x, y = PLANE.x[pads], PLANE.y[pads]
    places = places_on_track(x, y, time, charge, MM_PER_BUCKET)
    corners = np.ascontiguousarray(PLANE.vertices[pads] - np.stack([x, y], axis=1)[:, None, :])
    seen = seen_by_pads(places, corners, np.full(len(pads), 6.0))
    found = against_neighbours(x, y, time, charge, np.ones(len(x), np.bool_), places, seen, MM_PER_BUCKET)
    found[:, 1] = charge / found[:, 1]
    return np.asarray(found)


def slow_place(i: int, x: NDArray[np.float64], y: NDArray[np.float64], time: NDArray[np.float64],
               charge: NDArray[np.float64]) -> tuple[float, float, float]:  # fmt: skip
    """`places_on_track` of one pad: principal axis and parabola of its neighbours by numpy."""
    along = 0.5 * MM_PER_BUCKET * (time - time[i])
    near = (x - x[i]) ** 2 + (y - y[i]) ** 2 + along**2 < 30.0**2
    away, weight = np.stack([x[near] - x[i], y[near] - y[i]]), charge[near]
    if np.count_nonzero(near) < 8:
        return math.nan, math.nan, math.nan
    values, vectors = np.linalg.eigh(np.cov(away, aweights=weight, ddof=0))
    if values[1] < 4.0 * values[0]:
        return math.nan, math.nan, math.nan
    axis = vectors[:, 1]
    _, slope, offset = np.polyfit(axis @ away, np.array([-axis[1], axis[0]]) @ away, 2, w=np.sqrt(weight))
    direction = axis + slope * np.array([-axis[1], axis[0]])
    return offset / math.hypot(1.0, slope), *(direction / np.linalg.norm(direction))


@pytest.mark.parametrize("seed", range(4))
def test_places_are_those_of_the_slow_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pads, time, charge = straight_track(rng.uniform(0.0, 6.0), rng.uniform(-1.0, 1.0))
    charge = charge * rng.uniform(0.5, 1.5, len(charge))
    x, y = PLANE.x[pads], PLANE.y[pads]
    found = places_on_track(x, y, time, charge, MM_PER_BUCKET)
    slow = np.array([slow_place(i, x, y, time, charge) for i in range(len(x))])
    slow *= np.where(np.sum(found[:, 1:] * slow[:, 1:], axis=1) < 0.0, -1.0, 1.0)[:, None]
    assert np.array_equal(np.isnan(found), np.isnan(slow))
    assert found == pytest.approx(slow, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_a_line_is_that_of_least_squares_without_its_strays(factor: float) -> None:
    rng = np.random.default_rng(3)
    s, weight, factors = rng.uniform(-30.0, 30.0, 40), rng.uniform(0.5, 2.0, 40), factor * rng.uniform(0.5, 1.0, 40)
    value = factors * (2.0 + 0.05 * s) + rng.normal(0.0, 1e-3, 40)
    design = factors[:, None] * np.stack([np.ones(40), s], axis=1)
    exact = np.linalg.lstsq(design * np.sqrt(weight)[:, None], value * np.sqrt(weight), rcond=None)[0]
    assert _line(s, value, weight, factors, 2.0) == pytest.approx(exact, abs=1e-6)
    value[7] += 500.0
    assert _line(s, value, weight, factors, 2.0) == pytest.approx(exact, rel=0.25, abs=0.05)


@pytest.mark.parametrize("angle", [0.3, 1.4, 2.6, 4.0])
@pytest.mark.parametrize("slope", [0.0, 0.4, -1.0])
def test_a_pad_that_is_late_and_strong_is_seen_among_its_neighbours(angle: float, slope: float) -> None:
    pads, time, charge = straight_track(angle, slope)
    odd = int(np.argmin(np.abs(PLANE.x[pads]) + np.abs(PLANE.y[pads] - 160.0)))
    before = compared(pads, time, charge)
    time[odd] += 0.5
    charge[odd] *= 1.1
    after = compared(pads, time, charge)
    assert after[odd, 0] - before[odd, 0] == pytest.approx(0.5, abs=0.05 + 0.1 * abs(slope))
    assert after[odd, 1] / before[odd, 1] == pytest.approx(1.1, abs=0.03)
    told = np.isfinite(before[:, 0])
    assert np.count_nonzero(told) > 20
    assert np.median(np.abs(before[told, 0])) < 0.05 + 0.15 * abs(slope)
    assert before[told, 2] * np.sign(math.cos(angle)) == pytest.approx(slope, abs=0.05 + 0.1 * abs(slope))


def test_the_ends_of_a_track_and_pads_alone_tell_nothing() -> None:
    pads, time, charge = straight_track(0.0, 0.0)
    found = compared(pads, time, charge)
    assert np.isnan(found[np.argmin(PLANE.x[pads]), 0])
    assert np.isnan(found[np.argmax(PLANE.x[pads]), 0])
    assert np.isnan(compared(pads[:4], time[:4], charge[:4])).all()


# Tables


def quantity(value: NDArray[np.float64], error: float, known: NDArray[np.bool_] | None = None) -> Quantity:
    there = np.ones(N_PADS, np.bool_) if known is None else known
    return Quantity(value, np.full(N_PADS, error), np.full(N_PADS, 20), there)


def test_tables_are_shortened_so_that_they_never_do_harm() -> None:
    rng = np.random.default_rng(4)
    late, gain = rng.normal(0.0, 0.2, N_PADS), np.exp(rng.normal(0.0, 0.04, N_PADS))
    for error in (0.01, 0.1, 0.3):
        measured = quantity(late + rng.normal(0.0, error, N_PADS), error)
        strong = gain * np.exp(rng.normal(0.0, error, N_PADS))
        strength = Quantity(strong, error * strong, measured.hits, measured.known)
        time, factor = output.corrections(Found(measured, strength), (np.zeros(N_PADS), np.ones(N_PADS)), PLANE)
        assert np.std(late + time) < 1.05 * 0.2 * error / math.hypot(0.2, error)
        assert np.std(np.log(gain * factor)) < 1.2 * 0.04 * error / math.hypot(0.04, error)


def test_tables_come_on_top_of_those_in_use() -> None:
    rng = np.random.default_rng(5)
    late, gain = rng.normal(0.0, 0.2, N_PADS), np.exp(rng.normal(0.0, 0.04, N_PADS))
    known = rng.random(N_PADS) < 0.9
    late[~known], gain[~known] = 0.0, 1.0
    in_use = rng.normal(0.0, 1.0, N_PADS), rng.uniform(0.5, 2.0, N_PADS)
    found = Found(quantity(late, 1e-6, known), quantity(gain, 1e-6, known))
    time, factor = output.corrections(found, in_use, PLANE)
    assert time == pytest.approx(in_use[0] - late, abs=1e-6)
    assert factor == pytest.approx(in_use[1] / gain, rel=1e-6)


# The pulser


@pytest.fixture(scope="module")
def channels() -> PadElectronics:
    rng = np.random.default_rng(6)
    settings = SimulatedElectronics(noisy_pads=0, flipped_pads=0)
    return pad_electronics(settings, PLANE, 6.25, 1.0, rng, rng)


@pytest.fixture(scope="module")
def pulser_run(channels: PadElectronics, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight events in which a pulser fires a quarter of the pads at jittering times and strengths, one of noise."""
    folder, rng = tmp_path_factory.mktemp("pulser"), np.random.default_rng(7)
    pads = np.arange(0, N_PADS, 4, dtype=np.int32)
    settings = SimulatedElectronics()
    with TraceWriter(paths.trace_file(folder, 3), 3) as writer:
        for number in range(8):
            start, strength = 200.0 + rng.uniform(-2.0, 2.0), 1500.0 * rng.uniform(0.9, 1.1)
            since = (np.arange(N_SAMPLES)[None, :] - start - channels.offset[pads][:, None]) / SHAPING
            height = strength * channels.gain[pads] * PLANE.scale[pads]
            pulses = (height[:, None] * shape(np.clip(since, 0.0, 8.0))).astype(np.float32)
            writer.write_event(number, read_out(pads, pulses, channels, settings, rng))
        since = (np.arange(N_SAMPLES)[None, :] - rng.uniform(20.0, 480.0, 400)[:, None]) / SHAPING
        noise = (500.0 * shape(np.clip(since, 0.0, 8.0))).astype(np.float32)
        writer.write_event(8, read_out(pads[:400], noise, channels, settings, rng))
    return folder


def configured(folder: Path, traces: Path, **pads: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(json.dumps({"results": str(folder / "results"), "traces": str(traces), "runs": "3", "pads": pads}))
    return path


def test_a_pulser_gives_times_and_gains(
    channels: PadElectronics, pulser_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = configured(tmp_path, pulser_run), tmp_path / "tables"
    command = ["calibrate", "--config", str(config), "--runs", "3", "-o", str(out), "--source", "pulser"]
    assert main([*command, "--min-hits", "6"]) == 0
    table = pl.read_parquet(out / "calibration.parquet")
    fired = np.arange(N_PADS) % 4 == 0
    assert np.array_equal(table["time_known"].to_numpy(), fired)
    assert table["time_hits"].to_numpy()[fired].max() == 8
    time, gain = (
        corrections.load_time_correction(out / "time_correction.csv"),
        corrections.load_gain_correction(out / "gain_correction.csv"),
    )
    for size in (0.5, 1.0):
        own = fired & (PLANE.scale == size)
        late = channels.offset[own] - np.median(channels.offset[own])
        strong = channels.gain[own] / np.median(channels.gain[own])
        # all pads of an event have nearly one phase of the samples, with which the parabola's lateness goes a little
        assert np.polyfit(late, table["time"].to_numpy()[own], 1)[0] == pytest.approx(1.0, abs=0.05)
        assert np.polyfit(strong, table["gain"].to_numpy()[own], 1)[0] == pytest.approx(1.0, abs=0.05)
        assert np.std(late + time[own]) < 0.15 * np.std(late)
        assert np.std(strong * gain[own]) < 0.25 * np.std(strong)
        for name, true in (("time", late), ("gain", strong)):
            pulls = (table[name].to_numpy()[own] - true) / table[f"{name}_error"].to_numpy()[own]
            assert 0.6 < 1.4826 * np.median(np.abs(pulls - np.median(pulls))) < 1.8
    assert not time[~fired].any()
    assert (gain[~fired] == 1.0).all()
    assert (out / "calibration.png").stat().st_size > 10_000
    said = capsys.readouterr().out
    assert "small pads: 1536 known" in said
    assert main(["lineage", str(out / "calibration.parquet")]) == 0
    assert "calibrate" in capsys.readouterr().out


def test_runs_without_a_pulser_are_refused(
    channels: PadElectronics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, pads = np.random.default_rng(8), np.arange(100, dtype=np.int32)
    since = (np.arange(N_SAMPLES)[None, :] - np.linspace(20.0, 480.0, 100)[:, None]) / SHAPING
    pulses = (500.0 * shape(np.clip(since, 0.0, 8.0))).astype(np.float32)
    with TraceWriter(paths.trace_file(tmp_path, 3), 3) as writer:
        writer.write_event(0, read_out(pads, pulses, channels, SimulatedElectronics(), rng))
    config = configured(tmp_path, tmp_path)
    command = ["calibrate", "--config", str(config), "-o", str(tmp_path / "out"), "--source", "pulser", "--runs"]
    assert main([*command, "3"]) == 1
    assert "no pulser runs" in capsys.readouterr().err
    assert main([*command, "4"]) == 1
    assert "run 4 has to be there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_clouds_made_with_other_tables_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is found comes on top of the tables in use, so these must be the ones that the configuration names."""
    table = tmp_path / "gain.csv"
    table.write_text("gain\n" + "1.0\n" * N_PADS)
    config = configured(tmp_path, tmp_path, gain_correction=str(table))
    results = tmp_path / "results"
    kinds = {
        "pointcloud": (tables.POINTCLOUD_EVENTS, tables.POINTS),
        "cluster": (tables.CLUSTER_EVENTS, tables.CLUSTERS, tables.CLUSTER_POINTS),
    }
    for name, parts in kinds.items():
        path = paths.product(results, name, 3)
        path.parent.mkdir(parents=True)
        with store.TableWriter(path, parts, {"stage": name, "run": 3, "inputs": {}}):
            pass
    assert main(["calibrate", "--config", str(config), "--runs", "3", "-o", str(tmp_path / "out")]) == 1
    assert "was not made with pads.gain_correction" in capsys.readouterr().err
    config = configured(tmp_path, tmp_path)
    assert main(["calibrate", "--config", str(config), "--runs", "3", "-o", str(tmp_path / "out")]) == 0
    assert "none has enough hits" in capsys.readouterr().out
    assert (corrections.load_gain_correction(tmp_path / "out" / "gain_correction.csv") == 1.0).all()
