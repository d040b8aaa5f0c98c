"""The survey sees where the drift begins and ends, says how well, and says so where there is nothing to see."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.phases import drift_edges
from spyral_core.signal.drift_edges import (
    Edge,
    _events_by_bucket,
    edge,
    micromegas_edge,
    residuals,
    slopes,
    window_edge,
)
from spyral_core.signal.faulty_pads import Hits

N_SAMPLES = 512
Pulses = tuple[NDArray[np.int64], NDArray[np.float64]]


def drifting(seed: int, n_events: int, first: float, last: float, spread: float = 0.7, noise: float = 0.1) -> Pulses:
    """Pulses anywhere between two edges, and noise all over the record; what lies beyond the record is lost."""
    rng = np.random.default_rng(seed)
    n = 100 * n_events
    event, times = rng.integers(0, n_events, n), rng.uniform(first, last, n) + rng.normal(0.0, spread, n)
    times = np.where(rng.random(n) < noise, rng.uniform(0.0, N_SAMPLES, n), times)
    recorded = (times > 0.0) & (times < N_SAMPLES)
    return event[recorded], times[recorded]


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
@pytest.mark.parametrize(("first", "last"), [(10.0, 430.0), (57.3, 300.8)])
def test_both_edges_are_found_within_their_errors(first: float, last: float, spread: float) -> None:
    pulls = []
    for seed in range(8):
        event, time = drifting(seed, 300, first, last, spread)
        for found, true in ((micromegas_edge(event, time, 512), first), (window_edge(event, time, 512), last)):
            assert found is not None
            assert found.error < 0.3 + spread
            assert found.width == pytest.approx(spread, abs=0.4 + 0.7 * spread)
            pulls.append((found.time - true) / found.error)
    assert np.abs(pulls).max() < 5.0
    assert 0.3 < np.std(pulls) < 1.8


def test_an_edge_beyond_the_record_is_not_seen() -> None:
    """A window at 560 TB, and a pad plane before the record begins."""
    event, time = drifting(1, 500, 10.0, 560.0)
    assert window_edge(event, time, N_SAMPLES) is None
    assert micromegas_edge(event, time, N_SAMPLES) is not None
    event, time = drifting(1, 500, -30.0, 400.0)
    assert micromegas_edge(event, time, N_SAMPLES) is None


def test_noise_alone_has_no_edge() -> None:
    for seed in range(10):
        event, time = drifting(seed, 200, 100.0, 101.0, noise=1.0)
        assert micromegas_edge(event, time, N_SAMPLES) is None
        assert window_edge(event, time, N_SAMPLES) is None


def test_a_gentle_rise_is_no_edge() -> None:
    rng = np.random.default_rng(3)
    time = 20.0 + 400.0 * np.sqrt(rng.random(50_000))
    assert micromegas_edge(rng.integers(0, 500, len(time)), time, N_SAMPLES) is None


def test_a_step_inside_the_drift_is_not_its_edge() -> None:
    """Many tracks come from one region: the level rises fivefold there, but it was not zero before."""
    first, more = drifting(1, 300, 60.0, 400.0, noise=0.02), drifting(2, 300, 250.0, 350.0, noise=0.0)
    event, time = (np.concatenate(both) for both in zip(first, more, strict=True))
    found = micromegas_edge(event, time, N_SAMPLES)
    assert found is not None
    assert found.time == pytest.approx(60.0, abs=1.0)


def test_few_events_tell_nothing() -> None:
    assert micromegas_edge(*drifting(1, 30, 10.0, 400.0), N_SAMPLES) is None
    assert micromegas_edge(np.empty(0, np.int64), np.empty(0), N_SAMPLES) is None


def test_events_are_counted_once_in_a_bucket() -> None:
    rng = np.random.default_rng(0)
    event, time = rng.integers(5, 25, 400), rng.uniform(-5.0, 40.0, 400)
    counted = _events_by_bucket(event, time, 3, 33)
    for row, number in enumerate(np.unique(event)):
        for bucket in range(3, 33):
            there = np.any((event == number) & (time >= bucket) & (time < bucket + 1))
            assert counted[row, bucket - 3] == there


DETECTOR = SimpleNamespace(
    micromegas_time_bucket=10.0, window_time_bucket=430.0, detector_length=1000.0, get_frequency=6.25
)


def surveyed(pulses: Pulses, **detector: float) -> dict[str, Any]:
    event, time = pulses
    hits = Hits(event, np.full(len(event), 7), np.full(len(event), 100.0), time)
    return drift_edges.examine(hits, np.ones(10240, np.bool_), SimpleNamespace(**{**vars(DETECTOR), **detector}))


def test_the_drift_velocity_follows_from_both_edges() -> None:
    found = surveyed(drifting(1, 500, 10.0, 430.0))
    true = 1000.0 / (420.0 / 6.25)
    assert found["velocity"]["configured"] == pytest.approx(true, rel=1e-5)
    assert abs(found["velocity"]["value"] - true) < 4 * found["velocity"]["error"] < 0.01 * true
    assert not found["micromegas"]["differs"]
    assert not found["window"]["differs"]
    assert any("drift velocity" in note for note in drift_edges.notes(found))


def test_an_edge_elsewhere_than_configured_is_told() -> None:
    found = surveyed(drifting(1, 500, 10.0, 560.0), micromegas_time_bucket=13.0, window_time_bucket=560.0)
    assert found["micromegas"]["differs"]
    assert found["window"]["time"] is None
    assert found["velocity"]["value"] is None
    first, last = drift_edges.notes(found)
    assert "detector.micromegas_time_bucket is 13: check it" in first
    assert last == "window edge: not seen"


def test_small_differences_are_not_told() -> None:
    assert not drift_edges.differs(Edge(10.9, 0.1, 1.0), 10.0)
    assert not drift_edges.differs(Edge(12.0, 0.9, 1.0), 10.0)
    assert drift_edges.differs(Edge(12.0, 0.5, 1.0), 10.0)


def test_masked_pads_play_no_part() -> None:
    event, time = drifting(1, 500, 10.0, 430.0)
    rng = np.random.default_rng(2)
    noisy = rng.uniform(0.0, 512.0, 50_000)
    hits = Hits(
        np.concatenate([event, rng.integers(0, 500, 50_000)]),
        np.concatenate([np.full(len(event), 7), np.full(50_000, 8)]),
        np.full(len(event) + 50_000, 100.0),
        np.concatenate([time, noisy]),
    )
    sound = np.ones(10240, np.bool_)
    sound[8] = False
    assert drift_edges.examine(hits, sound, DETECTOR) == surveyed((event, time))


def test_slopes_are_those_of_the_residuals() -> None:
    rng = np.random.default_rng(4)
    at = np.arange(-15.0, 15.0) + 0.5
    for _ in range(50):
        p = np.array([0.2, 0.9, 0.3, 0.5, 1.5]) * rng.uniform(0.5, 2.0, 5)
        seen = rng.poisson(40.0 * np.maximum(edge(p * rng.uniform(0.8, 1.2, 5), at)[0], 0.01)) / 40.0
        steps = 1e-6 * np.eye(5)
        naive = [(residuals(p + d, at, seen, 40.0) - residuals(p - d, at, seen, 40.0)) / 2e-6 for d in steps]
        np.testing.assert_allclose(slopes(p, at, seen, 40.0), np.transpose(naive), rtol=1e-4, atol=1e-4)


def test_where_counts_are_as_expected_slopes_are_finite() -> None:
    at, p = np.arange(-15.0, 15.0) + 0.5, np.array([0.2, 0.9, 0.3, 0.5, 1.5])
    seen = edge(p, at)[0]
    np.testing.assert_allclose(slopes(p, at, seen, 9.0), slopes(p, at, seen * 1.0001, 9.0), rtol=1e-3, atol=1e-3)
