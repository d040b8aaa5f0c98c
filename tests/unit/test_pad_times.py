"""What pads' times tell of a track, and the scatter that they have, against scipy and simulated scatter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from spyral_core.fitting.pad_times import FALLING, FLOOR, LEAST_FLOOR, node_means, time_deviations, time_errors

Array = NDArray[np.float64]


def scatter(
    seed: int, floor: float, falling: float, n_nodes: int, size: int = 8
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Deviations [mm] about the unknown means of nodes, charges, and the node of each pad; in any order."""
    generator = np.random.default_rng(seed)
    node = generator.permutation(np.repeat(np.arange(n_nodes), size))
    charge = generator.lognormal(sigma=1.0, size=len(node))
    variance = floor + falling * np.median(charge) / charge
    means = generator.normal(scale=2.0, size=n_nodes)
    return means[node] + generator.normal(size=len(node)) * np.sqrt(variance), charge, node


@pytest.mark.parametrize("polar", [20.0, 60.0, 90.0, 130.0])
def test_a_track_is_measured_along_the_beam_where_it_passes_a_pad(polar: float) -> None:
    """Whichever point of a straight track is called the nearest one."""
    generator = np.random.default_rng(int(polar))
    theta, phi = math.radians(polar), 0.7
    unit = np.array([math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)])
    aside = np.array([-math.sin(phi), math.cos(phi), 0.0])
    lifts = generator.normal(size=50)
    points = np.array([50 * unit + generator.normal() * 3 * aside + [0, 0, lift] for lift in lifts])
    foot = np.array([(50 + ahead) * unit for ahead in generator.normal(size=50)])
    found = time_deviations(points - foot, np.tile(unit, (50, 1)))
    np.testing.assert_allclose(found, lifts, atol=1e-9)


def test_along_the_beam_no_place_across_is_made_up() -> None:
    deviation = np.array([[1.0, 0.0, 0.3]])
    assert abs(time_deviations(deviation, np.array([[1e-9, 0.0, 1.0]]))[0] - 0.3) < 1e-3


def test_the_mean_of_a_node_is_the_weighted_one() -> None:
    generator = np.random.default_rng(4)
    values, weights, node = generator.normal(size=60), generator.uniform(size=60), generator.integers(0, 7, 60)
    node[node == 3] = 2
    mean, total = node_means(values, weights, node, 7)
    for k in range(7):
        mine = node == k
        assert total[k] == pytest.approx(weights[mine].sum())
        assert mean[k] == pytest.approx(np.average(values[mine], weights=weights[mine]) if mine.any() else 0.0)


@pytest.mark.parametrize(("floor", "falling"), [(0.1, 0.1), (0.02, 0.4), (0.3, 0.05), (0.2, 0.0)])
def test_floor_and_fall_are_found_from_the_scatter(floor: float, falling: float) -> None:
    deviation, charge, node = scatter(1, floor, falling, 500)
    found = time_errors(deviation, charge, np.ones(len(charge)), node, 500)
    truth = floor + falling * np.median(charge) / charge
    few, much = charge < np.quantile(charge, 0.2), charge > np.quantile(charge, 0.8)
    for part in (few, much):
        assert found[part].mean() == pytest.approx(truth[part].mean(), rel=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_they_are_the_most_likely_ones(seed: int) -> None:
    """Of normal deviations about means that are free (restricted likelihood), with the first guess as a few pads."""
    deviation, charge, node = scatter(seed, 0.1, 0.15, 200)
    share = np.median(charge) / charge

    def cost(logs: Array) -> float:
        variance = np.exp(logs[0]) + np.exp(logs[1]) * share
        mean, total = node_means(deviation, 1 / variance, node, 200)
        left = (deviation - mean[node]) ** 2 / variance
        return float(np.sum(np.log(variance) + left) + np.sum(np.log(total)))

    best = np.exp(minimize(cost, np.log([0.1, 0.1]), method="Nelder-Mead").x)
    found = time_errors(deviation, charge, np.ones(len(charge)), node, 200)
    np.testing.assert_allclose(found, best[0] + best[1] * share, rtol=0.12)


def test_a_track_of_few_pads_has_the_errors_that_were_guessed() -> None:
    charge = np.array([1.0, 2.0, 0.5])
    found = time_errors(np.array([3.0, -1.0, 0.0]), charge, np.ones(3), np.arange(3), 3)
    np.testing.assert_allclose(found, FLOOR + FALLING * np.median(charge) / charge)


def test_pads_without_scatter_keep_a_floor() -> None:
    charge = np.random.default_rng(1).lognormal(size=400)
    found = time_errors(np.zeros(400), charge, np.ones(400), np.repeat(np.arange(40), 10), 40)
    assert (found >= LEAST_FLOOR).all()
    assert np.median(found) < 0.1 * (FLOOR + FALLING)


def test_variances_are_positive_whatever_the_scatter_is() -> None:
    for seed in range(30):
        generator = np.random.default_rng(seed)
        charge = generator.lognormal(sigma=2.0, size=40)
        deviation = generator.normal(size=40) * charge ** generator.uniform(-1, 1)
        factor = generator.choice([0.0, 0.3, 1.0], size=40)
        assert (time_errors(deviation, charge, factor, np.repeat(np.arange(8), 5), 8) >= LEAST_FLOOR).all()


def test_a_stray_pad_does_not_widen_the_errors_of_all() -> None:
    deviation, charge, node = scatter(2, 0.1, 0.1, 30)
    factor = np.ones(len(charge))
    quiet = time_errors(deviation, charge, factor, node, 30)
    deviation[::40] += 30.0
    factor[::40] = 1 / (1 + (30 / 5.0) ** 4)  # as `nodes.gather` has it
    np.testing.assert_allclose(time_errors(deviation, charge, factor, node, 30), quiet, rtol=0.25)
