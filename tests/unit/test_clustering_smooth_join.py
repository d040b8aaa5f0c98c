"""Pieces of one smooth curve are one particle; two particles of one vertex are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from spyral_core.clustering.smooth_join import _helix_misfit, _nearest_pair, leads_to, smooth_join


def helix(radius: float, start: float, turn: float, polar: float, n: int, seed: int = 0) -> np.ndarray:
    """Points (n, 3) [mm] of a helix that begins on the beam axis at z = 500 mm, scattered by 1.5 mm."""
    generator = np.random.default_rng(seed)
    phi = np.linspace(0, turn, n)
    x, y = radius * np.sin(phi), radius * (1 - np.cos(phi))
    z = 500 + radius * phi / math.tan(polar)
    across = np.column_stack([np.cos(start) * x - np.sin(start) * y, np.sin(start) * x + np.cos(start) * y])
    return np.column_stack([across, z]) + generator.normal(scale=1.5, size=(n, 3))


def joined(pieces: list[np.ndarray], charges: list[float]) -> list[int]:
    """The label that each piece has after joining."""
    points = np.vstack(pieces)
    labels = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    charge = np.repeat(charges, [len(piece) for piece in pieces])
    order = np.argsort(points[:, 2], kind="stable")
    found = np.empty(len(points), dtype=int)
    found[order] = smooth_join(points[order], charge[order], labels[order], 80.0, 4.0)
    return [int(np.unique(found[labels == k]).item()) for k in range(len(pieces))]


@pytest.mark.parametrize("polar", [0.15, 0.9, 1.5, 1.7, 2.6])
def test_a_broken_track_becomes_whole(polar: float) -> None:
    track = helix(300.0 * math.sin(polar), 0.3, 0.9, polar, 90) + np.array([40.0, 0.0, 0.0])
    pieces = [track[8:25], track[33:52], track[60:75], track[80:90]]
    assert len(set(joined(pieces, [200.0, 180, 220, 260]))) == 1


def test_a_gap_that_is_too_wide_stays() -> None:
    track = helix(400.0, 0.3, 0.9, 1.3, 90)
    assert len(set(joined([track[:20], track[60:]], [1.0, 1.0]))) == 2


@pytest.mark.parametrize("shift", [-40.0, 0.0])
def test_a_track_that_leaves_the_pads_and_comes_back_is_whole(shift: float) -> None:
    """Seen up to 270 mm, it turns at 288 mm; the same gap in the middle of the pads separates two clusters."""
    track = helix(144.0, 0.3, 5.0, 1.15, 400)
    seen = np.hypot(track[:, 0], track[:, 1]) < 270.0
    leaves, returns = np.flatnonzero(~seen)[[0, -1]]
    pieces = [track[20:leaves], track[returns + 1 :]]
    assert np.linalg.norm(pieces[0][-1] - pieces[1][0]) > 120.0
    for piece in pieces:
        piece[:, :2] *= 1.0 + shift / 270.0
    assert len(set(joined(pieces, [1.0, 1.0]))) == (1 if shift == 0.0 else 2)


def test_another_track_at_the_rim_is_not_its_continuation() -> None:
    track = helix(144.0, 0.3, 5.0, 1.15, 400)
    seen = np.hypot(track[:, 0], track[:, 1]) < 270.0
    leaves, returns = np.flatnonzero(~seen)[[0, -1]]
    turned = track[returns + 1 :].copy()
    turned[:, :2] = turned[:, :2] @ np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    assert len(set(joined([track[20:leaves], turned], [1.0, 1.0]))) == 2


def test_ejectile_and_residue_stay_apart() -> None:
    """Back to back across the beam, the one at 60°, the other at 6°."""
    ejectile = helix(300.0, 0.3, 0.8, 1.05, 80, seed=1)[6:]
    residue = helix(60.0, 0.3 + math.pi, 1.0, 0.1, 60, seed=2)[6:]
    assert len(set(joined([ejectile, residue], [1.0, 1.0]))) == 2


def test_forward_and_backward_track_of_one_vertex_stay_apart() -> None:
    pieces = [helix(200.0, 0.3, 0.8, polar, 80, seed=3)[6:] for polar in (1.0, 2.0)]
    pieces[1][:, :2] *= -1
    assert len(set(joined(pieces, [1.0, 1.0]))) == 2


def test_pieces_of_very_different_charge_stay_apart() -> None:
    track = helix(300.0, 0.3, 0.9, 1.2, 90)
    assert len(set(joined([track[:40], track[45:]], [1.0, 9.0]))) == 2


def test_parallel_tracks_stay_apart() -> None:
    track = helix(300.0, 0.3, 0.9, 1.2, 60)
    assert len(set(joined([track, track + np.array([0, 0, 30.0])], [1.0, 1.0]))) == 2


def test_the_order_of_clusters_does_not_matter() -> None:
    track = helix(300.0, 0.3, 0.9, 1.2, 90)
    other = helix(60.0, 3.0, 1.0, 0.2, 50)
    pieces = [track[8:25], other, track[33:52], track[60:75]]
    one = joined(pieces, [1.0, 1, 1, 1])
    turned = joined(pieces[::-1], [1.0, 1, 1, 1])[::-1]
    assert [[a == b for a in one] for b in one] == [[a == b for a in turned] for b in turned]


def test_the_nearest_pair_is_the_nearest_of_all() -> None:
    points = np.random.default_rng(4).uniform(size=(60, 3)) * 100
    first, second = np.arange(0, 60, 2), np.arange(1, 60, 2)
    at, opposite, gap = _nearest_pair(points, first, second)
    twin = cdist(points[first], points[second])
    assert gap == pytest.approx(twin.min())
    assert np.linalg.norm(points[at] - points[opposite]) == pytest.approx(gap)


def test_the_misfit_is_the_scatter_about_the_helix() -> None:
    track = helix(300.0, 0.3, 0.9, 1.0, 400, seed=6)
    misfit = _helix_misfit(track, np.ones(400), np.arange(200), np.arange(200, 400))
    assert misfit == pytest.approx(1.5, rel=0.1)


def test_a_pad_with_little_charge_may_be_off_the_track() -> None:
    track = helix(300.0, 0.3, 0.9, 1.0, 80, seed=6)
    charge = np.ones(80)
    track[::8, 2] += 15.0
    plain = _helix_misfit(track, charge, np.arange(40), np.arange(40, 80))
    charge[::8] = 0.02
    assert _helix_misfit(track, charge, np.arange(40), np.arange(40, 80)) < 0.6 * plain


def test_the_nearest_piece_is_joined_first_so_that_none_is_passed_over() -> None:
    track = helix(600.0, 0.3, 0.3, 1.0, 120, seed=8)
    pieces = [track[:36], track[42:56], track[62:]]
    for scatter in (0.1, 3.0):  # however well the one in between fits
        middle = pieces[1] + np.random.default_rng(5).normal(scale=scatter, size=pieces[1].shape)
        assert len(set(joined([pieces[0], middle, pieces[2]], [1.0, 1, 1]))) == 1


def test_pieces_on_both_sides_of_the_beam_pads_stay_apart() -> None:
    track = helix(300.0, 0.3, 0.9, 1.2, 90) + np.array([-60.0, -20.0, 0.0])
    rho = np.hypot(track[:, 0], track[:, 1])
    nearest = int(rho.argmin())
    assert rho[nearest] < 15
    assert len(set(joined([track[: nearest - 6], track[nearest + 6 :]], [1.0, 1.0]))) == 2


@pytest.mark.parametrize("polar", [1.2, 1.45])
@pytest.mark.parametrize("missing", [0.1, 0.3])
def test_a_turn_leads_to_its_continuation_and_to_nothing_else(polar: float, missing: float) -> None:
    """Half a turn, a gap of some tenths of a turn (outside the pad plane), half a turn; and the same out of phase."""
    azimuth = np.concatenate([np.linspace(0.0, 3.0, 60), 3.0 + 2 * np.pi * missing + np.linspace(0.0, 3.0, 60)])
    points = np.column_stack(
        [-80 + 120 * np.cos(azimuth), 60 + 120 * np.sin(azimuth), 400 + 120 * azimuth / np.tan(polar)]
    )
    points += np.random.default_rng(3).normal(scale=1.5, size=points.shape) * [1.0, 1.0, 0.2]
    lower, upper = np.arange(60), np.arange(60, 120)
    assert leads_to(points, np.ones(120), lower, upper, 4.0)
    turned = points.copy()
    way = points[60:, :2] - [-80.0, 60.0]
    turned[60:, :2] = [-80.0, 60.0] + way @ np.array([[np.cos(1.2), np.sin(1.2)], [-np.sin(1.2), np.cos(1.2)]])
    assert not leads_to(turned, np.ones(120), lower, upper, 4.0)
    against = points.copy()
    against[60:, 2] = points[60, 2] + (points[119, 2] - points[60:, 2])
    assert not leads_to(against, np.ones(120), lower, upper, 4.0)
