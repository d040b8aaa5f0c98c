"""The comparison with the truth: which tracks count, which solution is whose, what the numbers mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from spyral_core.report.truth import clean, match, median_and_width, opening_angle, summary

DEUTERON = {
    "event": 1,
    "Z": 1,
    "A": 2,
    "ke": 5.0,
    "polar": 1.0,
    "azimuthal": 0.5,
    "vertex_x": 0.0,
    "vertex_y": 0.0,
    "vertex_z": 400.0,
    "brho": 0.45,
    "n_pads": 100,
    "stops": True,
    "turn": 6.0,
    "trigger": 1,
    "pile_up": False,
    "contaminant": False,
}
SOLUTION = {
    "event": 1,
    "cluster_index": 0,
    "ke": 5.0,
    "polar": 1.0,
    "azimuthal": 0.5,
    "vertex_x": 0.0,
    "vertex_y": 0.0,
    "vertex_z": 0.4,
    "redchisq": 1.0,
}


def truths(*changes: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([DEUTERON | change for change in changes])


def solutions(*changes: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([SOLUTION | change for change in changes], schema_overrides={"ke": pl.Float64})


@pytest.mark.parametrize(
    "change",
    [
        {"Z": 6, "A": 16},
        {"trigger": 2},
        {"trigger": 3},
        {"pile_up": True},
        {"contaminant": True},
        {"n_pads": 79},
        {"stops": False, "turn": math.radians(29)},
    ],
)
def test_unclean_particles_are_left_out(change: dict[str, Any]) -> None:
    assert clean(truths({}, change), (1, 2)).height == 1


def test_a_particle_that_leaves_but_turns_enough_either_way_counts() -> None:
    assert clean(truths({"stops": False, "turn": -0.6}, {"stops": False, "turn": 0.6}), (1, 2)).height == 2


def test_residuals_are_fitted_minus_true() -> None:
    fitted = {"ke": 5.5, "polar": 1.0 - math.radians(2), "vertex_z": 0.403}
    row = match(truths({}), solutions(fitted)).row(0, named=True)
    assert row["ke_residual"] == pytest.approx(0.1)
    assert row["polar_residual"] == pytest.approx(-2.0)
    assert row["vertex_z_residual"] == pytest.approx(3.0)
    assert row["opening"] == pytest.approx(2.0)


def test_each_particle_takes_the_solution_nearest_in_direction() -> None:
    found = match(
        truths({"azimuthal": 0.5}, {"azimuthal": 3.5}),
        solutions({"cluster_index": 0, "azimuthal": 3.4}, {"cluster_index": 1, "azimuthal": 0.6}),
    )
    assert found["cluster_index"].to_list() == [1, 0]


def test_azimuths_meet_at_a_full_turn() -> None:
    found = match(truths({"azimuthal": 0.02}), solutions({"azimuthal": 1.5}, {"cluster_index": 1, "azimuthal": 6.27}))
    assert found["cluster_index"].to_list() == [1]


def test_a_solution_belongs_to_one_particle_alone() -> None:
    found = match(truths({"polar": 1.2}, {"polar": 1.05}), solutions({}))
    assert found["cluster_index"].to_list() == [None, 0]


def test_events_and_runs_are_not_mixed() -> None:
    two_runs = truths({}, {}).with_columns(run=pl.Series([1, 2]))
    found = match(two_runs, solutions({"event": 1}, {"event": 2}).with_columns(run=pl.Series([2, 1])))
    assert found["fitted_ke"].to_list() == [None, 5.0]


def test_no_solutions_leave_every_particle_unsolved() -> None:
    found = match(truths({}, {"event": 2}), solutions({}).clear())
    assert found.height == 2
    assert summary(found).row(-1, named=True)["solved"] == 0.0


def test_matching_agrees_with_trying_all_pairs() -> None:
    rng = np.random.default_rng(7)
    true = truths(
        *(
            {"event": int(e), "polar": rng.uniform(0.1, 3), "azimuthal": rng.uniform(0, 6.28)}
            for e in rng.integers(9, size=40)
        )
    )
    fitted = solutions(
        *(
            {"event": int(e), "cluster_index": k, "polar": rng.uniform(0.1, 3), "azimuthal": rng.uniform(0, 6.28)}
            for k, e in enumerate(rng.integers(9, size=30))
        )
    )
    assert match(true, fitted)["cluster_index"].to_list() == naive_match(true, fitted)


def naive_match(true: pl.DataFrame, fitted: pl.DataFrame) -> list[int | None]:
    """The closest pair of an event that is still free, again and again; angles from the directions' dot product."""

    def direction(row: dict[str, Any]) -> np.ndarray:
        sine = math.sin(row["polar"])
        return np.array([sine * math.cos(row["azimuthal"]), sine * math.sin(row["azimuthal"]), math.cos(row["polar"])])

    ones, others = list(true.iter_rows(named=True)), list(fitted.iter_rows(named=True))
    chosen: list[int | None] = [None] * len(ones)
    free = set(range(len(others)))
    while True:
        pairs = [
            (-float(direction(ones[i]) @ direction(others[k])), i, k)
            for i in range(len(ones))
            for k in free
            if chosen[i] is None and ones[i]["event"] == others[k]["event"]
        ]
        if not pairs:
            return chosen
        _, i, k = min(pairs)
        chosen[i] = others[k]["cluster_index"]
        free.remove(k)


def test_small_opening_angles_keep_their_digits() -> None:
    one = np.array([1.0])
    assert opening_angle(one, one, one + 1e-9, one)[0] == pytest.approx(math.degrees(1e-9), rel=1e-6)


def test_the_half_width_of_a_normal_distribution_is_its_sigma() -> None:
    median, width = median_and_width(np.random.default_rng(3).normal(2.0, 0.5, 100_000))
    assert median == pytest.approx(2.0, abs=0.01)
    assert width == pytest.approx(0.5, rel=0.02)


def test_the_summary_counts_solved_and_close_by_band_of_true_energy() -> None:
    found = match(
        truths({"event": 1, "ke": 3.0}, {"event": 2, "ke": 3.0}, {"event": 3, "ke": 8.0}, {"event": 4, "ke": 8.0}),
        solutions(
            {"event": 1, "ke": 3.3}, {"event": 3, "ke": 11.0}, {"event": 4, "ke": 8.0, "polar": 1.0 + math.radians(6)}
        ),
    )
    table = summary(found)
    assert table.select("ke_low", "ke_high", "n_true", "solved", "close").rows() == [
        (2.0, 4.0, 2, 0.5, 0.5),
        (6.0, 10.0, 2, 1.0, 0.0),
        (0.0, 1000.0, 4, 0.75, 0.25),
    ]
    assert table["ke_median"].to_list()[0] == pytest.approx(0.1)


def test_one_value_has_no_width() -> None:
    assert median_and_width(np.array([3.0])) == (3.0, None)
    assert median_and_width(np.array([])) == (None, None)


def test_a_summary_of_nothing_has_one_row_of_nothing() -> None:
    table = summary(match(truths({}), solutions({})).clear())
    assert table.height == 1
    assert table.row(0, named=True)["n_true"] == 0
    assert table.row(0, named=True)["solved"] is None
