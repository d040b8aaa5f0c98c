"""The estimate finds the track that points were made from; each of its kernels does what its slow twin does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from spyral_core.errors import RejectedEventError
from spyral_core.fitting.energy_loss import charge_density, energy_loss, small_pads_end
from spyral_core.fitting.geometry import Settings, estimate_track, find_vertex
from spyral_core.fitting.ordering import coil_order, cut_orders, path_orders, unwrapped_azimuth
from spyral_core.fitting.spiral import ALPHA, beside_node, fill_slopes, nodes_for, trace_curve, turned
from spyral_core.fitting.spiral_fit import _add_rows, _fill_rows, nearest_nodes
from spyral_core.fitting.spiral_search import Volume, charge_growth
from spyral_core.fitting.spiral_start import median_of_few, smooth_path, total_turn, transverse_length, way_along
from spyral_core.fitting.stray import near_others, third_squares

SETTINGS = Settings(2.85, Volume(0.0, 1000.0, 25.0), 20, 100.0)


def naive_spiral(parameters, reference, s):
    """x, y, azimuth at path lengths s of either sign, integrated step by step."""
    offset, azimuth, curvature, w = parameters[:4]
    start = [
        reference[0] - offset * np.sin(reference[2]),
        reference[1] + offset * np.cos(reference[2]),
        azimuth,
    ]

    def slopes(at, state):
        return [np.cos(state[2]), np.sin(state[2]), curvature * (1 - w * at) ** -ALPHA]

    ends = [solve_ivp(slopes, (0, end), start, rtol=1e-9, atol=1e-9, dense_output=True) for end in (s.min(), s.max())]
    return np.stack([ends[int(at > 0)].sol(at) for at in s], axis=1)


def track(rng, polar=70.0, radius=100.0, length=300.0, spent=0.9, scatter=2.0, vertex=(3.0, -4.0, 500.0), n_points=150):
    """Points (3, n) and charges (n,) of a slowing particle that leaves the vertex at azimuth 30°."""
    s = 22.0 + (length - 22.0) * (rng.permutation(n_points) + rng.uniform(0, 1, n_points)) / n_points
    parameters = np.array([0.0, np.radians(30), 1 / radius, spent / length])
    x, y, _ = naive_spiral(parameters, np.array([vertex[0], vertex[1], np.radians(30)]), s)
    z = vertex[2] + s / np.tan(np.radians(polar))
    points = np.stack([x, y, z]) + rng.normal(0, 1, (3, n_points)) * np.array([[scatter], [scatter], [0.3 * scatter]])
    return points, 100.0 * (1 - spent * s / length) ** -0.4


def estimate(points, charge, direction=-1, settings=SETTINGS):
    scale = np.where(np.hypot(points[0], points[1]) < 138, 0.5, 1.0)
    return estimate_track(points, charge, scale, direction, settings)


@pytest.mark.parametrize("w", [0.0, 1e-7, 1e-4, 0.002])
@pytest.mark.parametrize("s", [-80.0, -1.0, 0.5, 100.0, 450.0])
def test_the_turn_is_the_integral_of_the_curvature(s, w):
    whole, slope, by_w = turned(s, w)
    naive = solve_ivp(lambda at, _: [(1 - w * at) ** -ALPHA], (0, s), [0.0], rtol=1e-10, atol=1e-12).y[0, -1]
    assert whole == pytest.approx(naive, rel=1e-7)
    assert slope == pytest.approx((1 - w * s) ** -ALPHA, rel=1e-7)
    step = 1e-7
    assert by_w == pytest.approx((turned(s, w + step)[0] - turned(s, w - step)[0]) / (2 * step), rel=2e-3, abs=1e-3)


def test_beyond_its_range_the_particle_keeps_its_smallest_radius():
    inside, beyond = turned(980.0, 1e-3), turned(1100.0, 1e-3)
    assert beyond[1] == inside[1]
    assert beyond[0] == pytest.approx(inside[0] + 120.0 * inside[1])


@pytest.mark.parametrize("seed", range(6))
def test_the_curve_is_that_of_the_integrated_motion(seed):
    rng = np.random.default_rng(seed)
    length = rng.uniform(60, 800)
    parameters = np.array(
        [
            rng.normal(0, 3),
            rng.uniform(-3, 3),
            10 ** rng.uniform(-2.7, -1.5),
            rng.uniform(0, 0.95) / length,
            400.0,
            0.5,
        ]
    )
    reference = np.array([20.0, 10.0, rng.uniform(-3, 3)])
    nodes = nodes_for(-60.0, length, parameters)
    curve = trace_curve(nodes, parameters, reference)
    assert np.abs(curve[:3] - naive_spiral(parameters, reference, nodes)).max() < 0.01
    for k in range(3):
        step = np.zeros(6)
        step[1 + k] = (1e-5, 1e-8, 1e-8)[k]
        difference = trace_curve(nodes, parameters + step, reference) - trace_curve(nodes, parameters - step, reference)
        slope = difference[:2] / (2 * step[1 + k])
        np.testing.assert_allclose(curve[[3 + k, 6 + k]], slope, rtol=1e-3, atol=1e-3 * np.abs(slope).max())


@pytest.mark.parametrize("shift", [-9.0, 0.0, 4.0, 12.0])
def test_beside_a_node_the_curve_is_known_with_its_slopes(shift):
    parameters, reference = np.array([1.0, 0.4, 0.01, 0.002, 400.0, 0.5]), np.array([20.0, 10.0, 0.3])
    nodes = np.array([-50.0, -25.0, 0.0, 25.0, 50.0, 75.0, 100.0])
    fine = np.append(nodes[:-1], 75.0 + shift) if shift else nodes[:-1]
    curve = trace_curve(nodes, parameters, reference)
    x, y, cosine, sine = beside_node(curve, 5, shift)
    exact = trace_curve(fine, parameters, reference)[:, -1]
    assert (x, y) == pytest.approx(exact[:2], abs=0.1)
    assert (cosine, sine) == pytest.approx((np.cos(exact[2]), np.sin(exact[2])), abs=0.02)
    slopes = np.zeros((2, 6))
    fill_slopes(curve, 5, shift, -np.sin(0.3), np.cos(0.3), slopes)
    for k, step in enumerate((1e-4, 1e-6, 1e-8, 1e-8)):
        by = np.zeros(6)
        by[k] = step
        ends = [trace_curve(fine, parameters + sign * by, reference)[:2, -1] for sign in (1, -1)]
        by_x, by_y = (ends[0] - ends[1]) / (2 * step)
        naive = [by_y * cosine - by_x * sine, by_x * cosine + by_y * sine]
        np.testing.assert_allclose(slopes[:, k], naive, atol=0.07 * np.hypot(by_x, by_y))


@pytest.mark.parametrize("seed", range(5))
def test_orders_around_the_circle_begin_behind_the_largest_gaps(seed):
    azimuth = np.random.default_rng(seed).uniform(-np.pi, np.pi, 40)
    around = np.argsort(azimuth)
    gaps = np.diff(azimuth[around], prepend=azimuth[around[-1]] - 2 * np.pi)
    naive = [np.roll(around, -cut).tolist() for cut in np.argsort(-gaps)[:2]]
    assert cut_orders(azimuth).tolist() == naive


def test_azimuths_are_unwrapped_along_z_as_by_numpy():
    turn = np.linspace(0, 25, 200)
    wrapped = np.angle(np.exp(1j * turn))
    np.testing.assert_allclose(unwrapped_azimuth(wrapped, np.arange(200)), np.unwrap(wrapped))


@pytest.mark.parametrize("polar", [20.0, 60.0, 90.0])
def test_an_order_is_found_that_follows_the_path(polar):
    rng = np.random.default_rng(1)
    points, charge = track(rng, polar=polar, scatter=0.5)
    order = path_orders(*points, 50.0, 87.0)[0]
    path = smooth_path(points[:, order], charge[order], 100.0)
    assert abs(total_turn(path[:3])) == pytest.approx(turned(300.0, 0.003)[0] / 100 - 0.3, abs=0.5)
    assert transverse_length(path[:3])[-1] == pytest.approx(278.0, rel=0.1)


def test_a_flat_coil_is_followed_inwards():
    rng = np.random.default_rng(4)
    s = np.sort(rng.uniform(20, 900, 400))
    x, y, _ = naive_spiral(np.array([0, 0, 1 / 90, 0.97 / 900]), np.zeros(3), s)
    order = coil_order(x + rng.normal(0, 1, 400), y + rng.normal(0, 1, 400), 0.0, 90.0)
    assert np.corrcoef(s[order], np.arange(400))[0, 1] > 0.98


def naive_coil_order(x, y):
    """`coil_order` around the origin, the beam axis being at azimuth 0: sector by sector, group by group."""
    azimuth, radius = np.arctan2(y, x) % (2 * np.pi), np.hypot(x, y)
    sector = np.floor(azimuth / (2 * np.pi) * 18)
    turn = azimuth.copy()
    for k in range(18):
        members = sorted(np.flatnonzero(sector == k), key=lambda point: -radius[point])
        steps = [place for place in range(1, len(members)) if radius[members[place - 1]] - radius[members[place]] > 6]
        lap = 0
        for group in np.split(np.array(members, int), steps):
            turn[group] += 2 * np.pi * lap
            lap += len(group) >= 3
    return np.argsort(turn, kind="stable")


@pytest.mark.parametrize("seed", range(5))
def test_the_order_inwards_goes_sector_by_sector_and_group_by_group(seed):
    rng = np.random.default_rng(seed)
    azimuth, radius = rng.uniform(0, 2 * np.pi, 200), rng.choice([50.0, 60.0, 75.0], 200) + rng.normal(0, 1, 200)
    x, y = radius * np.cos(azimuth), radius * np.sin(azimuth)
    order = coil_order(x - 500.0, y, -500.0, 0.0)
    assert order.tolist() == naive_coil_order(x, y).tolist()


def test_the_vertex_of_a_flat_coil_is_found():
    points, charge = track(np.random.default_rng(4), polar=89.9, radius=90.0, length=900.0, spent=0.97, n_points=400)
    found = estimate(points, charge)
    assert np.degrees(found.polar) == pytest.approx(90, abs=1)
    assert np.degrees(found.azimuthal) == pytest.approx(30, abs=6)
    assert found.brho == pytest.approx(2.85 * 0.090, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_points_that_stand_alone_are_left_out(seed):
    rng = np.random.default_rng(seed)
    points, _ = track(rng, n_points=120)
    points[:, :4] = [[400, -400, 0, 0], [0, 0, 500, -500], [900, 100, 900, 100]]
    scale = rng.choice([0.5, 1.0], 120)
    third = np.sort(np.linalg.norm(points[:, :, None] - points[:, None, :], axis=0), axis=0)[3] / scale
    naive = np.flatnonzero(third <= 4 * np.median(third))
    near = near_others(points, scale)
    assert (near == naive).all()
    assert not set(range(4)) & set(near.tolist())


@pytest.mark.parametrize("n_points", [1, 3, 4, 5, 90])
def test_the_third_neighbour_is_that_of_all_pairs(n_points):
    x, y, z = np.random.default_rng(n_points).uniform(0, 50, (3, n_points))
    z = np.round(np.sort(z))  # equal z, too
    pairs = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2 + (z[:, None] - z) ** 2
    naive = np.sort(pairs, axis=0)[3] if n_points > 3 else np.full(n_points, np.inf)
    np.testing.assert_allclose(third_squares(x, y, z), naive, rtol=1e-12)


@pytest.mark.parametrize("n_points", [1, 2, 7, 8, 31])
def test_the_median_of_few_is_numpys(n_points):
    values = np.round(np.random.default_rng(n_points).normal(0, 3, n_points))
    assert median_of_few(values, np.empty(n_points)) == np.median(values)


@pytest.mark.parametrize("n_points", [4, 5, 12, 130, 700])
def test_the_way_along_joins_the_medians_of_blocks(n_points):
    points = np.cumsum(np.random.default_rng(n_points).normal(1, 3, (3, n_points)), axis=1)
    size = min(max(5, n_points // 20), 15)
    n_blocks = max(n_points // size, 1)
    if n_blocks == 1:
        naive = np.arange(n_points)
    else:
        ends = [block * n_points // n_blocks for block in range(n_blocks + 1)]
        middle = np.stack([np.median(points[:, a:b], axis=1) for a, b in itertools.pairwise(ends)])
        place = np.array([0.5 * (a + b - 1) for a, b in itertools.pairwise(ends)])
        step = np.linalg.norm(np.diff(middle, axis=0), axis=1) / np.diff(place)
        naive = np.append(0, np.cumsum([step[np.searchsorted(place[1:-1], i - 0.5)] for i in range(1, n_points)]))
    np.testing.assert_allclose(way_along(points), naive, rtol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_points_add_to_the_normal_equations_what_moves_them_from_the_curve(seed):
    rng = np.random.default_rng(seed)
    points, _ = track(rng, n_points=60)
    sigma, sigma_z = rng.uniform(2, 5, 60), rng.uniform(1, 2, 60)
    reference = np.array([23.0, 7.0, 0.6])
    parameters = np.array([1.0, 0.6, 0.01, 0.002, 505.0, 0.4])
    nodes = nodes_for(-50.0, 300.0, parameters)
    curve = trace_curve(nodes, parameters, reference)

    nearest = nearest_nodes(points, sigma, sigma_z, parameters, nodes, curve)
    height = parameters[4] + parameters[5] * nodes
    ratio = (sigma / sigma_z)[:, None] ** 2
    distance = (points[0, :, None] - curve[0]) ** 2 + (points[1, :, None] - curve[1]) ** 2
    distance += ratio * (points[2, :, None] - height) ** 2
    distance[:, nodes < -15] = np.inf
    assert (nearest == np.argmin(distance, axis=1)).all()

    def rows_of(changed):
        s, squares, rows = np.empty(60), np.empty(60), np.empty((60, 14))
        curve = trace_curve(nodes, changed, reference)
        cost = _fill_rows(points, sigma, sigma_z, changed, reference, nodes, curve, nearest, 4.0, s, squares, rows)
        return cost, squares, rows

    cost, squares, rows = rows_of(parameters)
    assert cost == pytest.approx(np.sum(squares / (1 + squares / 16)))
    np.testing.assert_allclose(
        rows[:, 4] ** 2 * rows[:, 5] + rows[:, 12] ** 2 * rows[:, 13], squares / (1 + squares / 16) ** 2
    )
    matrix, right = np.zeros((6, 6)), np.zeros(6)
    _add_rows(rows, matrix, right)
    left = np.hstack([rows[:, :4], np.zeros((60, 2))])
    along = rows[:, 6:12]
    naive = left.T @ (rows[:, [5]] * left) + along.T @ (rows[:, [13]] * along)
    np.testing.assert_allclose(matrix, np.tril(naive), rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(
        right, left.T @ (rows[:, 5] * rows[:, 4]) - along.T @ (rows[:, 13] * rows[:, 12]), rtol=1e-9, atol=1e-9
    )
    for k, step in enumerate((1e-3, 1e-5, 1e-7, 1e-8, 1e-3, 1e-5)):  # but for slopes of the σ
        by = np.zeros(6)
        by[k] = step
        slope = (rows_of(parameters + by)[0] - rows_of(parameters - by)[0]) / (2 * step)
        assert slope == pytest.approx(-2 * right[k], rel=0.2, abs=np.sqrt(matrix[k, k]))


def test_the_vertex_is_the_point_of_the_circle_closest_to_the_axis():
    parameters = np.array([1.5, 0.3, 0.01, 0.001, 500.0, 0.4])
    reference = np.array([25.0, 12.0, 0.3])
    s, x, y, azimuth, curvature = find_vertex(parameters, reference)
    fine = np.linspace(-70, 20, 20001)
    curve = naive_spiral(parameters, reference, fine)
    closest = np.argmin(np.hypot(curve[0], curve[1]))
    assert s == pytest.approx(fine[closest], abs=0.05)
    assert (x, y, azimuth) == pytest.approx(curve[:, closest], abs=0.01)
    centre = np.array([x - np.sin(azimuth) / curvature, y + np.cos(azimuth) / curvature])
    assert abs(centre[0] * y - centre[1] * x) < 0.05 * np.hypot(*centre)  # axis, vertex and centre stand in a line


@pytest.mark.parametrize("polar", [15.0, 40.0, 70.0, 89.0, 91.0, 120.0, 160.0])
@pytest.mark.parametrize(
    ("radius", "length", "spent"), [(60.0, 500.0, 0.99), (110.0, 300.0, 0.95), (200.0, 280.0, 0.1)]
)
def test_a_clean_track_is_found(polar, radius, length, spent):
    rng = np.random.default_rng(int(polar))
    z = 500.0 - 0.5 * length / np.tan(np.radians(polar))
    points, charge = track(rng, polar, radius, length, spent, scatter=0.2, vertex=(3.0, -4.0, z))
    volume = Volume(z - 5000, z + 5000, 25.0)
    found = estimate(points, charge, settings=Settings(2.85, volume, 20, 100.0))
    assert np.degrees(found.polar) == pytest.approx(polar, abs=0.3)
    assert found.direction == int(polar > 90)
    assert found.brho == pytest.approx(2.85e-3 * radius / np.sin(np.radians(polar)), rel=0.03)
    assert found.vertex_z == pytest.approx(z + 2.0 / np.tan(np.radians(polar)), abs=1 + 5 / np.tan(np.radians(15)))
    assert np.degrees(found.azimuthal) == pytest.approx(30, abs=4)
    assert np.hypot(found.vertex_x, found.vertex_y) < 7
    distance = np.hypot(found.center_x - found.vertex_x, found.center_y - found.vertex_y)
    assert found.brho == pytest.approx(2.85e-3 * distance / np.sin(found.polar))
    assert found.center_z == found.vertex_z and found.sqrt_dEdx == pytest.approx(np.sqrt(found.dEdx))


@pytest.mark.parametrize("hint", [-1, 0, 1])
def test_a_wrong_hint_does_not_turn_a_curved_track_round(hint):
    points, charge = track(np.random.default_rng(5), polar=50.0)
    assert estimate(points, charge, hint).direction == 0


def test_a_straight_track_starts_at_the_axis():
    points, charge = track(np.random.default_rng(6), polar=60.0, radius=5000.0, length=250.0, spent=0.05)
    assert estimate(points, charge).direction == 0


def test_points_of_one_z_are_a_track_across_the_beam():
    points, charge = track(np.random.default_rng(7), polar=90.0)
    points[2] = 500.0
    found = estimate(points, charge)
    assert np.degrees(found.polar) == pytest.approx(90, abs=0.1)
    assert found.brho == pytest.approx(0.285, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_points_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    points, charge = track(rng, polar=rng.uniform(20, 160))
    shuffled = rng.permutation(points.shape[1])
    first, second = estimate(points, charge), estimate(points[:, shuffled], charge[shuffled])
    assert second.polar == pytest.approx(first.polar, abs=1e-6)
    assert second.brho == pytest.approx(first.brho, rel=1e-4)


def test_stray_points_do_not_matter_much():
    rng = np.random.default_rng(8)
    points, charge = track(rng, polar=60.0)
    clean = estimate(points, charge)
    stray = rng.choice(150, 8)
    points[:, stray] += rng.normal(0, 60, (3, 8))
    found = estimate(points, charge)
    assert np.degrees(found.polar) == pytest.approx(np.degrees(clean.polar), abs=0.5)
    assert found.brho == pytest.approx(clean.brho, rel=0.04)


def test_the_loss_at_the_vertex_does_not_depend_on_angle_and_length_of_the_track():
    for polar, seed in ((30.0, 1), (70.0, 2), (110.0, 3)):
        points, charge = track(np.random.default_rng(seed), polar, n_points=2000, scatter=0.5)
        per_mm = 100.0 * 2000 / 278 * np.sin(np.radians(polar))
        assert estimate(points, charge).dEdx == pytest.approx(per_mm, rel=0.08)


def test_the_charge_grows_from_the_first_to_the_last_third():
    s, squares, charge = np.linspace(0, 90, 91), np.zeros(91), np.ones(91)
    charge[s > 60] = 3.0
    charge[10], squares[10] = 1000.0, 100.0
    assert charge_growth(s, squares, charge) == pytest.approx(np.log(90 / 29))


def test_the_small_pads_end_where_the_big_ones_begin():
    s = np.arange(10.0)
    assert small_pads_end(s, np.array([0.5, 0.5, 1.0, 0.5, 0.5, 1.0, 1.0, 1.0, 0.5, 1.0])) == 4.0
    assert small_pads_end(s, np.ones(10)) == 0.0
    assert small_pads_end(s, np.full(10, 0.5)) == 9.0


def test_the_charge_density_is_the_trimmed_mean_over_bins():
    s = np.arange(0.5, 100.0)
    charge = np.ones(100)
    charge[35] = 500.0
    charge[50:60] = 0.0
    assert charge_density(s, charge, 0.0, 100.0) == pytest.approx(1.0)


@pytest.mark.parametrize("n_points", [0, 1, 19])
def test_too_few_points_are_rejected(n_points):
    with pytest.raises(RejectedEventError, match=f"too few points: {n_points}, wanted 20"):
        estimate(np.ones((3, n_points)), np.ones(n_points))


def test_points_that_are_no_numbers_do_not_count():
    points, charge = track(np.random.default_rng(9))
    good = estimate(points[:, 5:], charge[5:])
    points[0, :3], charge[3:5] = np.nan, (np.nan, -1.0)
    assert estimate(points, charge) == good


def test_points_in_one_place_are_rejected():
    with pytest.raises(RejectedEventError, match="no circle goes through the points"):
        estimate(np.ones((3, 40)), np.ones(40))


def test_a_vertex_far_outside_of_the_detector_is_rejected():
    points, charge = track(np.random.default_rng(10), vertex=(0.0, 0.0, 9000.0))
    with pytest.raises(RejectedEventError, match="far outside of the detector: z = "):
        estimate(points, charge)


@pytest.mark.parametrize("seed", range(40))
def test_any_heap_of_points_is_estimated_or_rejected(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-200, 200, (3, 60)) * rng.choice([0.0, 1e-3, 1.0], (3, 1)) + rng.normal(0, 50, (3, 1))
    if seed % 2:
        points = np.round(points, -1)
    try:
        found = estimate(points, rng.exponential(100, 60))
    except RejectedEventError:
        return
    assert np.isfinite(found).all()
    assert 0 < found.polar < np.pi and found.brho > 0 and found.dEdx >= 0


def test_a_track_whose_first_half_turn_is_missing_has_the_energy_loss_of_the_rest() -> None:
    """A track of constant loss, seen from its second turn on."""
    parameters = np.array([0.0, 0.0, 0.02, 1e-9, 0.0, 0.0])  # a circle of 50 mm
    s = np.arange(400.0, 700.0)
    charge, scale, squares = np.full(300, 7.0), np.ones(300), np.zeros(300)
    density, total, length = energy_loss(s, squares, charge, scale, parameters, 0.0)
    assert np.isfinite([density, total, length]).all()
    assert total == pytest.approx(7.0 * 300)
    assert density == pytest.approx(7.0, rel=0.05)
    assert np.isnan(energy_loss(s, squares + 1e6, charge, scale, parameters, 0.0)).all()
