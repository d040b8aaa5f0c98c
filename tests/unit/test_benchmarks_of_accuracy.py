"""The benchmarks of accuracy merge, weigh and judge rightly; what they measure is not tested here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spyral_core.traces.file import open_traces
from spyral_core.traces.writer import TraceWriter

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FOUR = [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 10.0)]


@pytest.fixture(scope="module")
def accuracy() -> Iterator[Any]:
    """The modules of `benchmarks/accuracy`, which the commands there find beside themselves."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(BENCHMARKS))
    from accuracy import bands, conditions, dead_pads, document, samples, tables  # type: ignore[import-not-found,unused-ignore]

    modules = (bands, conditions, dead_pads, document, samples, tables)
    yield SimpleNamespace(**{module.__name__.removeprefix("accuracy."): module for module in modules})
    patch.undo()


def by_number(numbers: dict[float, int], needed: int) -> Callable[[float, float], float]:
    """Excess of bands that need so many tracks; `numbers` of tracks by a band's lowest energy."""

    def excess(low: float, high: float) -> float:
        return needed / max(sum(n for edge, n in numbers.items() if low <= edge < high), 1e-9)

    return excess


def test_bands_that_are_known_well_enough_stay(accuracy: Any) -> None:
    assert accuracy.bands.merged(FOUR, by_number({0.0: 9, 2.0: 9, 4.0: 9, 6.0: 9}, 9)) == FOUR


def test_a_band_of_few_tracks_joins_its_poorer_neighbour(accuracy: Any) -> None:
    numbers = {0.0: 30, 2.0: 5, 4.0: 12, 6.0: 40}
    assert accuracy.bands.merged(FOUR, by_number(numbers, 10)) == [(0.0, 2.0), (2.0, 6.0), (6.0, 10.0)]


def test_bands_are_merged_until_each_is_known_well_enough(accuracy: Any) -> None:
    numbers = {0.0: 4, 2.0: 4, 4.0: 4, 6.0: 4}
    merged = accuracy.bands.merged(FOUR, by_number(numbers, 8))
    assert all(by_number(numbers, 8)(*band) <= 1.0 for band in merged)
    assert [merged[0][0], merged[-1][1]] == [0.0, 10.0]
    assert all(one[1] == other[0] for one, other in pairwise(merged))


def test_too_few_tracks_make_one_band(accuracy: Any) -> None:
    assert accuracy.bands.merged(FOUR, lambda low, high: 2.0) == [(0.0, 10.0)]
    assert accuracy.bands.merged(FOUR, lambda low, high: np.inf) == [(0.0, 10.0)]


def test_widths_and_medians_of_normal_values_have_the_errors_of_theory(accuracy: Any) -> None:
    """1/√(1.08 n) of the width, 1.253 σ/√n; half of the central 68 % is σ."""
    values = np.random.default_rng(4).normal(1.0, 2.0, 4000)
    width, width_error = accuracy.bands.width(values)
    middle, middle_error = accuracy.bands.centre(values)
    assert abs(width - 2.0) < 4 * width_error
    assert abs(middle - 1.0) < 4 * middle_error
    assert width_error == pytest.approx(2.0 / np.sqrt(1.08 * 4000), rel=0.15)
    assert middle_error == pytest.approx(1.253 * 2.0 / np.sqrt(4000), rel=0.05)
    assert accuracy.bands.width(values[:3]) == (np.inf, np.inf)


def test_what_was_seen_in_merged_bands_is_the_width_of_their_mixture(accuracy: Any) -> None:
    generator = np.random.default_rng(5)
    mixture = np.concatenate([generator.normal(0.0, 1.0, 60_000), generator.normal(0.0, 3.0, 30_000)])
    energies = np.repeat([3.0, 5.0], [60_000, 30_000])
    low, high = np.quantile(mixture, [0.158655, 0.841345])
    assert accuracy.tables._seen_width(energies[::30], {2.0: 1.0, 4.0: 3.0}) == pytest.approx(
        (high - low) / 2, rel=0.02
    )


@pytest.mark.parametrize(
    ("value", "error", "bound", "verdict"),
    [(0.9, 0.1, 0.5, "met"), (1.05, 0.1, 0.5, "within its error"), (1.3, 0.1, 0.5, "**missed**")],
)
def test_widths_are_judged_with_their_error(
    accuracy: Any, value: float, error: float, bound: float, verdict: str
) -> None:
    assert accuracy.tables._below(value, error, 1.0, bound) == verdict


def test_what_no_fit_can_reach_is_said_to_lie_below_the_bound(accuracy: Any) -> None:
    assert accuracy.tables._below(4.2, 0.1, 1.0, 4.0) == "the bound lies 4.0 times above it"


def test_biases_may_be_two_standard_errors_beyond_their_limit(accuracy: Any) -> None:
    verdicts = [accuracy.tables.bias_verdict(value, 0.1, 0.3) for value in (-0.2, 0.45, -0.6)]
    assert verdicts == ["met", "within its error", "**missed**"]


def test_dead_pads_and_nothing_else_are_gone_from_traces(accuracy: Any, layouts: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run_0001.h5"
    event = layouts.make_event(0, n_pads=400)
    rows = event.pads.copy()
    rows[:, 4] = np.arange(400) * 25
    with TraceWriter(path, 1) as writer:
        writer.write_event(0, rows, None, 1)
        writer.write_event(1, None, None, 1)
    accuracy.dead_pads.remove_pads(path, accuracy.dead_pads.dead_pads(0.1))
    dead = accuracy.dead_pads.dead_pads(0.1)
    assert len(set(dead.tolist())) == 1024
    with open_traces(path) as file:
        left = file.read(0).pads
    assert 0 < len(left) < 400
    assert np.array_equal(left, rows[~np.isin(rows[:, 4], dead)])


def test_every_sample_makes_a_configuration(accuracy: Any, tmp_path: Path) -> None:
    every = {**accuracy.samples.SAMPLES, **accuracy.conditions.CONDITIONS}
    for number, (name, sample) in enumerate(every.items()):
        made = accuracy.samples.configuration(sample, tmp_path / str(number), 10, 1, True)
        assert made.simulate is not None, name
        assert made.solver is not None
        assert made.detector.magnetic_field == made.simulate.detector.magnetic_field == sample.magnetic_field
        for key in ("get_frequency", "window_time_bucket", "micromegas_time_bucket"):
            assert getattr(made.detector, key) == getattr(made.simulate.detector, key)
        buckets = 1e-3 * made.simulate.electronics.shaping_time * made.detector.get_frequency
        assert made.get.shaping_time == pytest.approx(buckets)


def test_tables_take_the_place_of_older_ones_in_a_page(accuracy: Any) -> None:
    page = "# A\n\n<!-- one -->\nold\n<!-- /one -->\n\nkept\n"
    made = accuracy.document.replaced(page, "one", "new")
    assert made == "# A\n\n<!-- one -->\n\nnew\n\n<!-- /one -->\n\nkept\n"
    assert accuracy.document.replaced(made, "one", "new") == made
    with pytest.raises(ValueError, match="no place"):
        accuracy.document.replaced(page, "two", "new")
