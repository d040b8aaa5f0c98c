"""A cluster of two densities along the beam, the sparse one along it, is two particles; no other is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spyral_core.clustering.tails import _FEWEST, _GAIN, _PLACES, _gain, cut_tails


def helix(radius: float, turns: float, polar: float, n: int, start: float = 500.0, seed: int = 0) -> np.ndarray:
    """Points (n, 3) [mm] of a helix from the beam axis, scattered by 1.5 mm."""
    phi = np.linspace(0, 2 * math.pi * turns, n)
    path = [radius * np.sin(phi), radius * (1 - np.cos(phi)), start + radius * phi / math.tan(polar)]
    return np.column_stack(path) + np.random.default_rng(seed).normal(scale=1.5, size=(n, 3))


def along_beam(first: float, last: float, n: int, rho: float = 30.0) -> np.ndarray:
    z = np.linspace(first, last, n)
    return np.column_stack([-rho - 0.05 * (z - first), np.zeros(n), z])


def cut(*parts: np.ndarray) -> list[list[int]]:
    """How many points of each part have which label, all of them one cluster before."""
    points = np.vstack(parts)
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    order = np.argsort(points[:, 2], kind="stable")
    labels = cut_tails(points[order], np.zeros(len(points), np.int64))
    return [np.bincount(labels[owner[order] == k], minlength=labels.max() + 1).tolist() for k in range(len(parts))]


@pytest.mark.parametrize("n", [15, 30, 60])
def test_a_residue_that_runs_on_behind_the_ejectile_is_cut_off(n: int) -> None:
    ejectile, residue = helix(130.0, 1.0, 1.4, 200), along_beam(640.0, 1000.0, n)
    of_ejectile, of_residue = cut(ejectile, residue)
    assert of_ejectile[0] >= 198
    assert of_residue[1] >= n - 2


def test_the_beam_before_the_vertex_is_cut_off() -> None:
    of_ejectile, of_beam = cut(helix(130.0, 1.0, 1.4, 200), along_beam(100.0, 490.0, 15, 20.0))
    assert of_ejectile[0] >= 198
    assert of_beam[0] <= 1


@pytest.mark.parametrize("polar", [0.2, 0.5, 0.9, 1.3, 1.5])
@pytest.mark.parametrize("turns", [0.2, 1.0, 4.0])
def test_a_single_track_is_never_cut(polar: float, turns: float) -> None:
    for seed in range(10):
        assert cut(helix(100.0, turns, polar, 150, seed=seed)) == [[150]]


def test_a_track_that_gets_denser_across_the_beam_is_not_cut() -> None:
    """Small pads near the axis and the end of a stopping particle have many points a millimetre."""
    track = helix(250.0, 0.4, 1.1, 400)
    thinned = np.concatenate([track[:150], track[150::6]])
    assert cut(thinned) == [[len(thinned)]]


def test_noise_at_an_end_is_no_tail() -> None:
    noise = np.random.default_rng(3).uniform([-250, -250, 700], [250, 250, 1000], (12, 3))
    assert cut(helix(130.0, 1.0, 1.4, 200), noise) == [[200], [12]]


def naive_gain(z: np.ndarray, place: int, upper: bool) -> float:
    """ln of the likelihood ratio of two uniform densities, by counting."""
    edge = z[place - 1] if upper else z[place]
    lengths = (edge - z[0], z[-1] - edge)
    numbers = (place, len(z) - place)
    dense, sparse = (0, 1) if upper else (1, 0)
    size = max(lengths[dense], 1.0)
    if numbers[dense] / size <= 3.0 * numbers[sparse] / lengths[sparse]:
        return -math.inf
    return numbers[dense] * math.log(numbers[dense] / size) + numbers[sparse] * math.log(
        numbers[sparse] / lengths[sparse]
    )


def test_the_gain_is_that_of_two_densities() -> None:
    generator = np.random.default_rng(4)
    z = np.sort(np.concatenate([generator.uniform(0, 100, 80), generator.uniform(100, 500, 12)]))
    for place in range(5, len(z) - 5):
        for upper in (True, False):
            assert _gain(z, place, upper) == pytest.approx(naive_gain(z, place, upper))
    assert max(_gain(z, place, True) for place in range(70, 90)) - len(z) * math.log(len(z) / np.ptp(z)) > _GAIN
    assert _FEWEST < len(z) // 2 < _PLACES * 2


def test_a_residue_that_gets_denser_is_one_particle() -> None:
    """δ-electrons surround its slow end; both parts run along the beam."""
    bush = along_beam(600.0, 1000.0, 160) + np.random.default_rng(2).normal(scale=[25.0, 25.0, 3.0], size=(160, 3))
    assert cut(along_beam(200.0, 590.0, 20), bush) == [[20], [160]]
