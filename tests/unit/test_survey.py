"""The survey masks pads that lie, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from spyral_core import store
from spyral_core.catalog import STAGES
from spyral_core.config import canonical, validate
from spyral_core.detector import pads
from spyral_core.errors import DataError
from spyral_core.phases import survey
from spyral_core.signal.faulty_pads import N_NEIGHBOURS, Hits, Places, _largest_groups, at_least
from spyral_core.traces.writer import TraceWriter

CHOICE = SimpleNamespace(noisy_pad_share=0.5, repeated_charge_share=0.5, min_hits=8, dead_pad_share=0.2)
THRESHOLD = 40.0  # ADC
PLANE = pads.builtin()
USED = np.flatnonzero(~PLANE.beam)
RADIUS = np.hypot(PLANE.x, PLANE.y)


def joined(*pieces: Hits) -> Hits:
    return Hits(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in vars(pieces[0])))


def physics(rng: np.random.Generator, n_events: int, rate: NDArray[np.float64]) -> Hits:
    """Pulses of a sound detector: each pad fires at its `rate`, with exponential amplitudes at any time."""
    event, pad = np.nonzero(rng.random((n_events, pads.N_PADS)) < rate)
    return Hits(event, pad, 40 + rng.exponential(200, len(pad)), rng.uniform(10, 500, len(pad)))


def fires(rng: np.random.Generator, pad: int, n_events: int, share: float = 0.95) -> Hits:
    """A noisy pad: pulses of its own at any time."""
    event = np.flatnonzero(rng.random(n_events) < share)
    n = len(event)
    return Hits(event, np.full(n, pad), 40 + rng.exponential(100, n), rng.uniform(10, 500, n))


def repeats(rng: np.random.Generator, pad: int, n_events: int, share: float = 0.95) -> Hits:
    """A bit-flipped pad: one pulse, in noise of a few ADC."""
    event = np.flatnonzero(rng.random(n_events) < share)
    n = len(event)
    return Hits(event, np.full(n, pad), 512 + rng.normal(0, 4, n), 300 + rng.normal(0, 0.3, n))


def tracks() -> NDArray[np.float64]:
    """Rates as tracks from the beam give them: they fall with the distance from the axis."""
    return np.where(PLANE.beam, 0.0, np.clip(1.5 / np.maximum(RADIUS, 15.0), 0.0, 1.0))


def masked(hits: Hits, n_events: int) -> dict[int, str]:
    columns = survey.examine(hits, n_events, CHOICE, THRESHOLD)
    assert np.array_equal(columns["masked"], columns["reason"] != "")
    return {int(pad): str(columns["reason"][pad]) for pad in np.flatnonzero(columns["masked"])}


@pytest.mark.parametrize("n_events", [1, 2, 8, 20, 100, 300])
@pytest.mark.parametrize("seed", range(4))
def test_clean_run_loses_no_pad(n_events: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert masked(physics(rng, n_events, tracks()), n_events) == {}


@pytest.mark.parametrize("rate", [0.02, 0.15, 0.6, 0.95])
@pytest.mark.parametrize("n_events", [20, 100])
def test_busy_detector_loses_no_pad(rate: float, n_events: int) -> None:
    rng = np.random.default_rng(3)
    assert masked(physics(rng, n_events, np.where(PLANE.beam, 0.0, rate)), n_events) == {}


@pytest.mark.parametrize("n_events", [20, 200])
def test_region_that_every_event_hits_is_not_noise(n_events: int) -> None:
    """A halo around the beam, and a beam that stands off the axis."""
    rng = np.random.default_rng(5)
    halo = np.exp(-((RADIUS - 20.0) / 8.0))
    off_axis = np.exp(-0.5 * (np.hypot(PLANE.x - 25, PLANE.y - 10) / 6.0) ** 2)
    for rate in (halo, off_axis, np.where(PLANE.x > 60, 0.0, np.clip(halo + off_axis, 0, 1))):
        hits = physics(rng, n_events, np.where(PLANE.beam, 0.0, np.clip(rate + 0.01, 0, 1)))
        assert masked(hits, n_events) == {}


@pytest.mark.parametrize("n_events", [20, 100, 300])
def test_faulty_pads_are_found(n_events: int) -> None:
    rng = np.random.default_rng(7)
    noisy, flipped = USED[[100, 101, 3000, 7000]], USED[[500, 4000, 9000]]
    hits = joined(
        physics(rng, n_events, tracks()),
        *(fires(rng, int(pad), n_events) for pad in noisy),
        *(repeats(rng, int(pad), n_events) for pad in flipped),
    )
    assert masked(hits, n_events) == {
        **{int(pad): survey.NOISY for pad in noisy},
        **{int(pad): survey.REPEATS for pad in flipped},
    }


def test_flipped_pad_that_seldom_fires_is_found_by_its_repetition() -> None:
    rng = np.random.default_rng(9)
    hits = joined(physics(rng, 300, tracks()), repeats(rng, 8000, 300, share=0.2))
    assert masked(hits, 300) == {8000: survey.REPEATS}


def test_few_hits_are_left_alone() -> None:
    rng = np.random.default_rng(9)
    assert masked(joined(physics(rng, 7, tracks()), repeats(rng, 8000, 7, 1.0), fires(rng, 8100, 7, 1.0)), 7) == {}


@pytest.mark.parametrize("n_events", [10, 30])
def test_pulser_run_loses_no_pad(n_events: int) -> None:
    """All pads at one time and one charge, in every event: that is no fault of theirs."""
    rng = np.random.default_rng(2)
    event, pad = np.nonzero(np.broadcast_to(~PLANE.beam, (n_events, pads.N_PADS)))
    n = len(pad)
    assert masked(Hits(event, pad, 900 + rng.normal(0, 4, n), 250 + rng.normal(0, 0.2, n)), n_events) == {}


def test_pads_that_always_saturate_at_any_time_are_not_flipped() -> None:
    rng = np.random.default_rng(4)
    hits = physics(rng, 200, tracks())
    assert masked(Hits(hits.event, hits.pad, np.full(len(hits.pad), 3755.0), hits.time), 200) == {}


@pytest.mark.slow
@pytest.mark.parametrize("n_events", [8, 12, 20, 50])
def test_false_masks_are_rarer_than_promised(n_events: int) -> None:
    """Over 60 runs of a sound detector at most 2 pads, where 0.02 a run are expected at most."""
    count = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, n_events])
        rate = tracks() * rng.uniform(0.2, 6.0)
        count += len(masked(physics(rng, n_events, np.clip(rate, 0, 0.95)), n_events))
    assert count <= 2


def test_neighbours_are_the_nearest_pads_outside_the_beam() -> None:
    places = Places(PLANE.x, PLANE.y, ~PLANE.beam, PLANE.scale < 1)
    for pad in (0, 700, 5000, 9000, int(np.flatnonzero(PLANE.beam)[0])):
        distance = np.hypot(PLANE.x[USED] - PLANE.x[pad], PLANE.y[USED] - PLANE.y[pad])
        expected = [other for other in USED[np.lexsort((USED, distance.round(6)))] if other != pad]
        assert places.nearest(pad).tolist() == expected[:N_NEIGHBOURS]


def test_the_chance_of_a_binomial_agrees_with_that_of_scipy() -> None:
    rng = np.random.default_rng(6)
    for _ in range(300):
        trials, probability = int(rng.integers(0, 1200)), float(rng.random() ** 3)
        number = int(rng.integers(0, trials + 2))
        expected = binom.sf(number - 1, trials, probability)
        assert at_least(number, trials, probability) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert at_least(0, 0, 0.5) == at_least(9, 9, 1.0) == 1.0
    assert at_least(1, 0, 0.5) == 0.0


def test_largest_group_agrees_with_its_twin() -> None:
    rng = np.random.default_rng(1)
    pad = np.sort(rng.integers(0, 12, 300))
    time, amplitude = np.round(rng.uniform(0, 12, 300), 1), np.round(rng.uniform(0, 60, 300))
    order = np.lexsort((time, pad))
    time, amplitude = time[order], amplitude[order]
    most, at = _largest_groups(np.searchsorted(pad, np.arange(14)), time, amplitude, 2.0, 12.0)
    for number in range(13):
        t, a = time[pad == number], amplitude[pad == number]
        together = (np.abs(t[:, None] - t) <= 2.0) & (np.abs(a[:, None] - a) <= 12.0)
        assert most[number] == (together.sum(axis=1).max() if len(t) else 0)
        if len(t):
            assert at[number] in t[together.sum(axis=1) == most[number]]


@pytest.mark.parametrize(("n", "most"), [(0, 10), (1, 10), (10, 10), (11, 10), (1000, 7), (50000, 1000)])
def test_sample_is_spread_over_the_run(n: int, most: int) -> None:
    chosen = survey.evenly_spread(n, most)
    assert len(chosen) == min(n, most)
    if n:
        assert 0 <= chosen.min() <= chosen.max() < n
    if len(chosen) > 1:
        assert np.diff(chosen).min() >= n // most
        assert np.diff(chosen).max() <= -(-n // most)


def parameters(**choice: Any) -> dict[str, Any]:
    configuration = validate({"traces": "traces", "survey": choice})
    values: dict[str, Any] = json.loads(canonical(configuration, STAGES["survey"].parameters))
    return values


def write_run(path: Path, n_events: int) -> None:
    """Random pulses; pad 700 repeats one, and pad 900 fires in every event."""
    rng = np.random.default_rng(3)
    t = np.arange(512)
    beam_pad = int(np.flatnonzero(PLANE.beam)[3])
    with TraceWriter(path) as writer:
        for number in range(n_events):
            rows = []
            hit = [(int(pad), rng.uniform(30, 480), rng.uniform(60, 900)) for pad in rng.choice(USED, 30)]
            hit += [(700, 333.0, 512.0), (900, rng.uniform(30, 480), rng.uniform(60, 200)), (beam_pad, 200.0, 900.0)]
            for pad, time, height in hit:
                samples = 340 + rng.normal(0, 4, 512) + height * np.exp(-0.5 * ((t - time) / 4) ** 2)
                rows.append(np.concatenate([[0, 0, 0, 0, pad], np.round(samples)]))
            writer.write_event(number, np.stack(rows).astype(np.int16), register=2 if number % 10 == 9 else 1)


def run_survey(traces: Path, output: Path, **choice: Any) -> dict[str, Any]:
    survey.run(STAGES["survey"], 1, parameters(**choice), {"traces": traces}, {"output": output})
    return store.read_parquet(output).to_dict(as_series=False)


def test_survey_of_a_file(tmp_path: Path) -> None:
    write_run(tmp_path / "run_0001.h5", 30)
    found = run_survey(tmp_path / "run_0001.h5", tmp_path / "survey.parquet")
    assert found["pad"] == list(range(pads.N_PADS))
    assert [(pad, found["reason"][pad]) for pad in np.flatnonzero(found["masked"])] == [
        (700, survey.REPEATS),
        (900, survey.NOISY),
    ]
    assert found["hit_share"][900] > 0.8  # its low pulses may stay under the threshold
    assert found["repeated_share"][700] > 0.9
    assert sum(found["hits"][pad] for pad in np.flatnonzero(PLANE.beam)) == 0
    metadata = store.read_metadata(tmp_path / "survey.parquet")
    assert metadata["counts"]["events"] == 27  # without those of the downscaled trigger
    assert metadata["lineage"]["stage"] == "survey"


def test_survey_of_a_sample_is_reproducible(tmp_path: Path) -> None:
    write_run(tmp_path / "run_0001.h5", 30)
    for name in ("first", "second"):
        run_survey(tmp_path / "run_0001.h5", tmp_path / f"{name}.parquet", max_events=12)
    assert (tmp_path / "first.parquet").read_bytes() == (tmp_path / "second.parquet").read_bytes()
    assert store.read_metadata(tmp_path / "first.parquet")["counts"]["events"] <= 12


def test_survey_of_an_empty_run(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "run_0001.h5"):
        pass
    found = run_survey(tmp_path / "run_0001.h5", tmp_path / "survey.parquet")
    assert len(found["pad"]) == pads.N_PADS
    assert not any(found["masked"])
    assert set(found["hit_share"]) == {0.0}


def test_file_that_is_no_trace_file(tmp_path: Path) -> None:
    (tmp_path / "run_0001.h5").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"run_0001\.h5"):
        run_survey(tmp_path / "run_0001.h5", tmp_path / "survey.parquet")
