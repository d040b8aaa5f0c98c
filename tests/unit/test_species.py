"""The species of tracks from what fits of all species say, on made-up numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from spyral_core import inputs
from spyral_core.config import validate
from spyral_core.errors import ConfigurationError
from spyral_core.fitting.species import ANYTHING, MOST_DEVIANCE, costs, find_gain, identify
from spyral_core.phases.hypotheses import prepare
from spyral_core.phases.species import weigh
from spyral_core.runner import namespace

GAIN, WIDTH = 1.2e6, 0.05
LOSSES = np.array([1.0, 3.2, 6.0, 8.0, 12.5])  # of five species at one Bρ


def fits(true: np.ndarray, seed: int, apart: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Levels and deviances (n, 5) of tracks of some species, wrong fits being worse by `apart` on average."""
    chance = np.random.default_rng(seed)
    level = GAIN * np.exp(WIDTH * chance.standard_normal((len(true), 1))) * LOSSES[true][:, None] / LOSSES
    deviance = 300.0 + chance.standard_normal((len(true), 1)) * 50.0 + chance.exponential(apart, level.shape)
    deviance[np.arange(len(true)), true] -= chance.exponential(apart, len(true))
    return level, deviance


def test_species_of_a_mixed_run_come_from_the_charge_alone() -> None:
    true = np.random.default_rng(1).integers(0, 5, 300)
    found = identify(*fits(true, 2))
    assert found.gain is not None
    assert np.exp(found.gain.best) == pytest.approx(GAIN, rel=0.03)
    assert found.gain.width == pytest.approx(WIDTH, rel=0.2)
    assert (found.probability.argmax(axis=1) == true).mean() > 0.98


def test_a_run_of_one_species_needs_the_quality_of_the_fits() -> None:
    true = np.full(100, 1)
    found = identify(*fits(true, 3, apart=2.0))
    assert (found.probability.argmax(axis=1) == true).mean() > 0.98
    undecided = identify(*fits(true, 3))
    assert undecided.gain is not None
    assert undecided.gain.certainty < 0.7
    assert np.median(undecided.probability.max(axis=1)) < 0.7


def test_probabilities_are_as_good_as_they_say() -> None:
    true = np.random.default_rng(4).integers(2, 4, 2000)
    level, deviance = fits(true, 5, apart=0.0)
    level = level[:, 2:4] * np.exp(0.15 * np.random.default_rng(6).standard_normal((2000, 1)))
    found = identify(level, deviance[:, 2:4])
    said = found.probability.max(axis=1)
    right = found.probability.argmax(axis=1) + 2 == true
    for low, high in ((0.5, 0.7), (0.7, 0.85), (0.85, 1.0)):
        band = (said >= low) & (said <= high)
        assert band.sum() > 30
        assert right[band].mean() == pytest.approx(said[band].mean(), abs=0.1)


def test_particles_that_are_not_listed_do_not_move_the_gain() -> None:
    true = np.random.default_rng(7).integers(0, 5, 200)
    level, deviance = fits(true, 8, apart=3.0)
    level[:60] = level[:60] * 40.0
    found = identify(level, deviance)
    assert found.gain is not None
    assert np.exp(found.gain.best) == pytest.approx(GAIN, rel=0.03)
    assert (np.nanmin(np.abs(found.pull[:60]), axis=1) > 10).mean() > 0.9


def test_probabilities_add_up_and_missing_fits_have_none() -> None:
    level, deviance = fits(np.array([0, 1, 2, 3, 4, 4, 3, 2]), 9, apart=2.0)
    level[0, 3] = deviance[1, 2] = np.nan
    level[2, 1] = 0.0
    level[7] = np.nan
    found = identify(level, deviance)
    assert found.probability[0, 3] == found.probability[1, 2] == found.probability[2, 1] == 0.0
    assert found.probability[:7].sum(axis=1) == pytest.approx(np.ones(7))
    assert (found.probability[7] == 0.0).all()
    assert np.isnan(found.pull[0, 3])


def test_order_of_tracks_changes_nothing() -> None:
    true = np.random.default_rng(10).integers(0, 5, 50)
    level, deviance = fits(true, 11, apart=1.0)
    turned = identify(level[::-1], deviance[::-1]).probability[::-1]
    assert turned == pytest.approx(identify(level, deviance).probability, abs=1e-9)


def test_a_bad_fit_counts_only_so_much() -> None:
    usable = np.array([[True, True, False]])
    assert costs(np.array([[7.0, 1e6, 3.0]]), usable).tolist() == [[0.0, MOST_DEVIANCE, np.inf]]


def test_the_gain_is_where_the_naive_likelihood_is_largest() -> None:
    level, deviance = fits(np.array([0, 1, 1, 2, 4, 3, 1, 0, 2, 2]), 12, apart=2.0)
    logs, cost = np.log(level), costs(deviance, np.ones(level.shape, bool))
    found = find_gain(logs, cost)

    def naive(trial: float) -> float:
        total = 0.0
        for track in range(len(logs)):
            one = 0.0
            for kind in range(5):
                student = (1 + ((logs[track, kind] - trial) / found.width) ** 2 / 4) ** -2.5 / found.width
                one += np.exp(-0.5 * cost[track, kind]) * student
            total += np.log(one / 5 + np.exp(-0.5 * ANYTHING))
        return total

    values = [naive(trial) for trial in found.logarithm]
    assert found.best == found.logarithm[int(np.argmax(values))]
    weights = np.exp(np.array(values) - max(values))
    assert found.probability == pytest.approx(weights / weights.sum(), abs=1e-9)


def test_no_tracks_give_an_empty_table() -> None:
    columns = weigh(pl.DataFrame(schema={"event": pl.Int64, "cluster_index": pl.Int64, "Z": pl.Int64, "A": pl.Int64,
                                         "level": pl.Float64, "deviance": pl.Float64}))  # fmt: skip
    assert {name: len(values) for name, values in columns.items()} == {"charge_pull": 0, "probability": 0, "best": 0}


def test_rows_keep_their_place_and_each_track_has_one_best() -> None:
    true = np.random.default_rng(13).integers(0, 5, 40)
    level, deviance = fits(true, 14, apart=2.0)
    track, kind = (part.ravel() for part in np.indices(level.shape))
    nuclei = np.array([[1, 1], [1, 2], [1, 3], [2, 3], [2, 4]])
    rows = pl.DataFrame(
        {"event": track // 2, "cluster_index": track % 2, "Z": nuclei[kind, 0], "A": nuclei[kind, 1],
         "level": level.ravel(), "deviance": deviance.ravel(), "true": kind == true[track]}
    )  # fmt: skip
    rows = rows.filter((pl.col("event") != 3) | (pl.col("Z") == 1)).sample(fraction=1.0, shuffle=True, seed=1)
    rows = rows.with_columns(pl.Series(name, values) for name, values in weigh(rows).items())
    by_track = rows.group_by("event", "cluster_index").agg(pl.col("best").sum(), pl.col("probability").sum())
    assert by_track["best"].to_list() == [1] * 40
    assert by_track["probability"].to_numpy() == pytest.approx(np.ones(40))
    assert rows.filter(pl.col("event") != 3, "best")["true"].to_numpy().mean() > 0.95


def test_a_gate_may_not_have_the_name_of_the_results_without_a_gate(tmp_path: Path) -> None:
    (tmp_path / "species.json").touch()
    with pytest.raises(ConfigurationError, match=r"solver\.gates: .*species\.json would write solver/species"):
        inputs.gates([str(tmp_path / "species.json")])


@pytest.mark.parametrize(
    ("species", "fault"),
    [
        ([[2, 1]], "A at least Z"),
        ([[0, 1]], "Z at least 1"),
        ([[1, 2], [1, 2]], "twice"),
        ([[1]], "species"),
        ([3], "species"),
    ],
)
def test_impossible_species_are_refused(species: list[list[int]], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        validate({"traces": "data", "solver": {"gas": "gas.json", "species": species}})


@pytest.mark.parametrize(("species", "fault"), [([], "lists no nuclei"), ([[1, 9]], "no isotope")])
def test_a_job_without_nuclei_that_exist_is_refused(species: list[list[int]], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=f"solver.species: .*{fault}"):
        prepare({}, namespace({"solver": {"species": species}}))


def test_listed_species_are_taken() -> None:
    found = validate({"traces": "data", "solver": {"gas": "gas.json", "species": [[1, 1], [2, 4]]}})
    assert found.solver is not None
    assert found.solver.species == [(1, 1), (2, 4)]
