"""The acceptance map: intervals, cells, interpolation, the reaction's efficiency, what is simulated."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import binom, binomtest

from spyral_core.acceptance import binomial, cross_section, figures, interpolation
from spyral_core.acceptance.cells import Cuts, steps, tally
from spyral_core.acceptance.files import CROSS_SECTION_TABLE, INTEGRATED_TABLE, MAP_TABLE, STEPS, TRACKS
from spyral_core.acceptance.plan import EVENTS_OF_A_RUN, Request, plan
from spyral_core.config import Configuration, validate
from spyral_core.config.simulation import SimulatedParticles
from spyral_core.physics.gas import parse_gas
from spyral_core.report.reaction import Reaction
from spyral_core.report.truth import median_and_width
from spyral_core.simulate.generator import cells_of, single_particle

ROOT = Path(__file__).parents[2]
GAS = str(ROOT / "config/gas/deuterium_600torr.json")
ONE_SIGMA = 0.6826894921370859
GRID = SimulatedParticles(
    nucleus=(1, 2), energies=[1.0, 2.0, 4.0, 8.0], angles=[20.0, 40.0, 90.0], vertices=[0.0, 300.0, 500.0]
)
AXES = (GRID.energies, GRID.angles, GRID.vertices)


@pytest.mark.parametrize(("passed", "generated"), [(0, 5), (1, 20), (7, 20), (20, 20), (311, 1000)])
def test_the_interval_of_a_share_is_wilsons(passed: int, generated: int) -> None:
    low, high = binomial.wilson(passed, generated)
    expected = binomtest(passed, generated).proportion_ci(ONE_SIGMA, method="wilson")
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_holds_the_true_share_in_two_thirds_of_all_maps() -> None:
    n, true = 20, np.linspace(0.05, 0.95, 200)
    passed = np.arange(n + 1)
    low, high = binomial.wilson(passed, n)
    holds = (low[None, :] <= true[:, None]) & (true[:, None] <= high[None, :])
    coverage = (binom.pmf(passed[None, :], n, true[:, None]) * holds).sum(axis=1)
    assert coverage.mean() == pytest.approx(ONE_SIGMA, abs=0.02)


def test_nothing_generated_says_nothing() -> None:
    assert np.isnan(binomial.efficiency(0, 0))
    assert [float(end) for end in binomial.wilson(0, 0)] == [0.0, 1.0]
    assert np.isnan(binomial.mean([0.5, 0.5], [3, 0], [5, 0])).all()


def test_a_mean_of_one_cell_is_that_cells_share() -> None:
    value, low, high = binomial.mean([0.0, 1.0], [9, 300], [9, 1000])
    assert value == 0.3
    assert (low, high) == pytest.approx([float(end) for end in binomial.wilson(300, 1000)], rel=1e-4)
    for none_or_all in (0, 20):
        found = binomial.mean([1.0], [none_or_all], [20])
        assert found[1:] == pytest.approx([float(end) for end in binomial.wilson(none_or_all, 20)])


@pytest.mark.parametrize("tracks_of_cell", [1, 2, 20])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_of_a_mean_holds_the_true_mean(tracks_of_cell: int, level: float) -> None:
    """In two thirds of all maps, also if the cells differ; with a track a cell it is rather too wide."""
    rng = np.random.default_rng(4)
    weight = rng.random(40)
    weight /= weight.sum()
    true = np.clip(level + 0.3 * (rng.random(40) - 0.5), 0, 1)
    holds = 0
    for _ in range(2000):
        value, low, high = binomial.mean(weight, rng.binomial(tracks_of_cell, true), np.full(40, tracks_of_cell))
        assert low <= value <= high
        holds += low <= weight @ true <= high
    assert 0.64 < holds / 2000 < 0.76


def test_events_go_through_all_cells_in_turn_and_stay_in_their_own() -> None:
    number = int(np.prod(GRID.shape))
    places = np.array(cells_of(GRID, np.arange(3 * number)))
    assert (np.unique(places, axis=1, return_counts=True)[1] == 3).all()
    for event in range(2 * number):
        start = single_particle(GRID, event, np.random.default_rng(event))
        values = (start.ke, np.degrees(start.polar), start.vertex_z)
        for value, edges, place in zip(values, AXES, places[:, event], strict=True):
            assert edges[place] <= value <= edges[place + 1]
        momentum = start.momentum(1875.6)
        assert np.arctan2(np.hypot(*momentum[:2]), momentum[2]) == pytest.approx(start.polar)


def tracks(n: int, seed: int = 1) -> pl.DataFrame:
    """Tracks with random fates, the same columns as those of a run."""
    rng = np.random.default_rng(seed)
    energy, angle, vertex = cells_of(GRID, np.arange(n))
    values: dict[str, Any] = {name: np.zeros(n) for name in TRACKS.names}
    values |= {"energy_cell": energy, "angle_cell": angle, "vertex_cell": vertex}
    values |= {"n_pads": rng.integers(0, 4, n), "cluster_index": rng.integers(-1, 2, n)}
    values |= {name: rng.random(n) < 0.8 for name in ("clustered", "estimated", "selected")}
    values |= {"ke_error": 0.2 * rng.standard_normal(n), "polar_error": 5.0 * rng.standard_normal(n)}
    return pl.DataFrame(values)


def test_each_step_is_within_the_one_before() -> None:
    came = steps(tracks(500), Cuts())
    for before, after in zip(STEPS, list(STEPS)[1:], strict=False):
        assert not (came[after] & ~came[before]).any()
    assert came["generated"].all()
    assert 0 < came["accepted"].sum() < came["solved"].sum()


@pytest.mark.parametrize("axes", [("energy", "angle", "vertex"), ("energy", "angle"), ("vertex",)])
def test_counts_and_errors_of_cells_are_those_of_a_loop(axes: tuple[str, ...]) -> None:
    found, cuts = tracks(700), Cuts(trigger_pads=2, energy=0.1, polar=3.0)
    columns = tally(found, GRID, cuts, axes)
    came = steps(found, cuts)
    sizes = dict(zip(("energy", "angle", "vertex"), GRID.shape, strict=True))
    for row, place in enumerate(product(*(range(sizes[axis]) for axis in axes))):
        own = np.ones(len(found), dtype=bool)
        for axis, cell in zip(axes, place, strict=True):
            own &= found[f"{axis}_cell"].to_numpy() == cell
            edges = dict(zip(("energy", "angle", "vertex"), AXES, strict=True))[axis]
            assert (columns[f"{axis}_low"][row], columns[f"{axis}_high"][row]) == (edges[cell], edges[cell + 1])
        for name in STEPS:
            assert columns[name][row] == np.count_nonzero(came[name].to_numpy() & own)
        errors = found["ke_error"].to_numpy()[own & came["solved"].to_numpy()]
        assert (columns["ke_median"][row], columns["ke_width"][row]) == pytest.approx(median_and_width(errors))


def test_maps_have_all_columns_and_cells_without_tracks_are_not_known() -> None:
    few = tracks(5)
    columns = tally(few, GRID, Cuts())
    assert set(columns) == set(MAP_TABLE.names)
    assert set(tally(few, GRID, Cuts(), ("energy", "angle"))) == set(INTEGRATED_TABLE.names)
    assert np.isnan(columns["efficiency"]).sum() == len(columns["efficiency"]) - 5
    assert np.isnan(columns["polar_width"]).all()


def test_between_the_middles_the_map_is_linear() -> None:
    rng = np.random.default_rng(3)
    values = rng.random(GRID.shape)
    middle = [0.5 * (np.array(edges[:-1]) + np.array(edges[1:])) for edges in AXES]
    points = np.column_stack([rng.uniform(edges[0], edges[-1], 200) for edges in AXES])
    clipped = np.column_stack([np.clip(c, m[0], m[-1]) for c, m in zip(points.T, middle, strict=True)])
    expected = RegularGridInterpolator(middle, values)(clipped)
    found = [interpolation.weights(AXES, point[None, :]) @ values.ravel() for point in points]
    assert np.array(found) == pytest.approx(expected)
    each = rng.random(200)
    assert interpolation.weights(AXES, points, each) @ values.ravel() == pytest.approx(each @ expected)
    assert interpolation.weights(AXES, points, each).sum() == pytest.approx(each.sum())


def test_an_axis_of_one_cell_is_constant_and_points_outside_are_told() -> None:
    one = ([1.0, 2.0], [0.0, 90.0, 180.0], [0.0, 1000.0])
    points = np.array([[1.1, 45.0, 10.0], [1.9, 45.0, 990.0]])
    assert interpolation.weights(one, points) == pytest.approx([2.0, 0.0])
    assert interpolation.inside(one, np.array([[1.5, 90, 500], [2.5, 90, 500], [np.nan, 90, 500]])).tolist() == [
        True,
        False,
        False,
    ]


def reaction(energy: float = 96.0) -> Reaction:
    gas = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 600.0})
    return Reaction((4, 10), (1, 2), (1, 2), energy, 0.0, gas.stopping(4, 10), 1000.0)


WIDE = SimulatedParticles(
    nucleus=(1, 2), energies=[0.0, 5.0, 10.0, 80.0], angles=[0.0, 60.0, 90.0], vertices=[0.0, 400.0, 1000.0]
)


def counts_of(grid: SimulatedParticles, efficiency: Any, generated: int = 10_000) -> dict[str, Any]:
    share = np.broadcast_to(np.asarray(efficiency, dtype=float), grid.shape).ravel()
    accepted = np.rint(share * generated).astype(int)
    return {"generated": np.full(len(share), generated), "accepted": accepted, "efficiency": accepted / generated}


def test_an_efficiency_that_is_everywhere_the_same_is_that_of_the_reaction() -> None:
    found = cross_section.against_cm_angle(counts_of(WIDE, 0.4), WIDE, reaction(), cross_section.bins(10.0))
    assert set(found) == set(CROSS_SECTION_TABLE.names)
    assert found["covered"] == pytest.approx(1.0)
    assert found["efficiency"] == pytest.approx(0.4)
    assert (found["efficiency_high"] - found["efficiency_low"] < 0.01).all()
    whole = (found["vertex_low"] == 0.0) & (found["vertex_high"] == 1000.0)
    assert found["solid_angle"][whole].sum() == pytest.approx(4 * np.pi)
    assert found["effective_solid_angle"][whole].sum() == pytest.approx(0.4 * 4 * np.pi)


def test_slices_of_the_vertex_make_up_the_whole_by_their_length() -> None:
    by_vertex = np.array([0.2, 0.7])[None, None, :]
    found = cross_section.against_cm_angle(counts_of(WIDE, by_vertex), WIDE, reaction(), cross_section.bins(30.0))
    own = [
        found["efficiency"][(found["vertex_low"] == low) & (found["vertex_high"] == high)]
        for low, high in ((0.0, 1000.0), (0.0, 400.0), (400.0, 1000.0))
    ]
    assert own[0] == pytest.approx(0.4 * own[1] + 0.6 * own[2])
    assert (own[1] < own[2]).all()


def test_bins_follow_the_kinematics() -> None:
    """An efficiency that is linear in the energy is, in a bin, that of the mean energy in it."""
    grid = SimulatedParticles(nucleus=(1, 2), energies=np.linspace(0, 80, 401).tolist(), angles=[0.0, 90.0],
                              vertices=[0.0, 1000.0])  # fmt: skip
    middle = 0.5 * (np.array(grid.energies[:-1]) + np.array(grid.energies[1:]))
    found = cross_section.against_cm_angle(
        counts_of(grid, (middle / 80)[:, None, None], 10**8), grid, reaction(), np.array([100.0, 120.0])
    )
    cosine = np.linspace(np.cos(np.radians(120)), np.cos(np.radians(100)), 2001)
    z = np.linspace(0, 1000, 201)
    energy = cross_section.on_line(reaction(), np.arccos(cosine), z)[:, 0]
    assert found["efficiency"][0] == pytest.approx(energy.mean() / 80, rel=2e-3)
    assert found["energy_low"][0] > energy.min()
    assert found["energy_high"][0] < energy.max()


def test_bins_that_the_grid_does_not_cover_have_no_efficiency() -> None:
    found = cross_section.against_cm_angle(counts_of(GRID, 1.0), GRID, reaction(), cross_section.bins(5.0))
    partly = found["covered"] < 1.0 - 1e-9
    assert partly.any()
    assert np.isnan(found["efficiency"][partly]).all()
    assert (found["efficiency"][~partly] == pytest.approx(1.0)) and (~partly).any()


def test_figures_show_every_panel() -> None:
    columns = tally(tracks(2000), GRID, Cuts())
    flat = tally(tracks(2000), GRID, Cuts(), ("energy", "angle"))
    drawn = figures.map_figure(columns, flat, GRID, reaction(), "map")
    assert len(drawn.axes) == 1 + GRID.shape[2] + 1  # all vertices, each slice, colours
    assert len(figures.stages_figure(flat, GRID, "stages").axes) == len(STEPS)
    assert len(figures.errors_figure(flat, GRID, "errors").axes) == 8
    against_angle = cross_section.against_cm_angle(columns, GRID, reaction(), cross_section.bins(5.0))
    assert len(figures.cross_section_figure(against_angle, "reaction").axes) == 2


def configuration(tmp_path: Path, **changes: Any) -> Configuration:
    gate = tmp_path / "all.json"
    gate.write_text('{"vertices": [[0, 0], [1e9, 0], [1e9, 10], [0, 10]], "Z": 1, "A": 2}')
    values: dict[str, Any] = {
        "simulate": {"gas": GAS, "reaction": {"projectile": [4, 10], "beam_energy": 96.0}},
        "solver": {"gas": GAS, "gates": [str(gate)]},
    }
    return validate({**values, **changes})


def test_the_simulation_has_the_tracks_that_are_asked_for(tmp_path: Path) -> None:
    for tracks_of_cell, angles in ((1, [60, 90]), (20, [60, 90]), (20, list(range(40, 91, 1))), (700, [60, 90])):
        request = Request(energies=[1, 2], angles=angles, vertices=[100, 200, 300], tracks=tracks_of_cell)
        simulation = plan(configuration(tmp_path), request, tmp_path).simulation
        cells = 2 * (len(angles) - 1)
        assert simulation.events % cells == 0
        assert tracks_of_cell <= simulation.runs * simulation.events / cells < tracks_of_cell * 1.6 + 1
        assert simulation.events <= max(EVENTS_OF_A_RUN, cells) * 1.01


def test_only_what_is_simulated_differs_from_the_analysis(tmp_path: Path) -> None:
    given = configuration(tmp_path)
    found = plan(given, Request(energies=[1, 2], angles=[60, 90], vertices=[100, 200]), tmp_path / "map")
    now, before = found.configuration.model_dump(), given.model_dump()
    same = [name for name in now if name not in ("results", "simulate", "runs", "max_rejected_share")]
    assert {name: now[name] for name in same} == {name: before[name] for name in same}
    assert found.configuration.results == str(tmp_path / "map" / "simulated")
    for name in ("seed", "gas", "reaction", "detector", "electronics"):
        assert now["simulate"][name] == before["simulate"][name]
    assert found.simulation.beam.pile_up == found.simulation.beam.contaminant == found.simulation.beam.downscaled == 0
    assert found.nucleus == (1, 2)


def test_measured_data_are_simulated_with_the_numbers_of_their_analysis(tmp_path: Path) -> None:
    given = configuration(
        tmp_path,
        simulate=None,
        traces=str(tmp_path),
        detector={"magnetic_field": 3.0, "get_frequency": 3.125, "window_time_bucket": 400.0},
        frib={"ic_delay_time_bucket": 500},
        get={"shaping_time": 2.0},
        legacy_ic={},
        reaction={"projectile": [4, 10], "target": [1, 2], "ejectile": [1, 2], "beam_energy": 96.0},
        solver={"gas": GAS, "gates": [str(tmp_path / "all.json")], "ic_min_val": 300.0, "ic_max_val": 500.0},
    )
    found = plan(given, Request(vertices=[0, 500], angles=[60, 90], energies=[1, 2]), tmp_path)
    simulation = found.simulation
    assert (simulation.detector.magnetic_field, simulation.detector.window_time_bucket) == (3.0, 400.0)
    assert simulation.electronics.ion_chamber_amplitude == 400.0
    assert simulation.electronics.ion_chamber_spread * 400.0 * 4 <= 100.0
    assert simulation.electronics.trigger_time_bucket > 500
    assert simulation.electronics.shaping_time == pytest.approx(640.0)
    assert simulation.reaction.projectile == (4, 10)
    assert found.configuration.legacy_ic is None
    assert found.configuration.traces is None


def test_a_written_plan_is_the_same_configuration(tmp_path: Path) -> None:
    from spyral_core.acceptance.command import acceptance
    from spyral_core.config import load

    given, request = configuration(tmp_path), Request(energies=[1, 2], angles=[60, 90], vertices=[100, 200], tracks=3)
    text = acceptance(given, request, Cuts(), tmp_path / "map", only_plan=True)
    assert "snakemake --configfile" in text
    assert sorted(path.name for path in (tmp_path / "map").iterdir()) == ["config.yaml"]
    written = load(tmp_path / "map" / "config.yaml")
    assert written == plan(given, request, tmp_path / "map").configuration
    assert plan(written, Request(tracks=3), tmp_path / "map").configuration == written
