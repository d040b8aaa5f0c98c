"""What the figures draw: the reaction's lines, excitation energies, gates, fitted trajectories, ranges."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.patches import Polygon

from spyral_core.errors import ConfigurationError
from spyral_core.fitting.gate import parse_gate
from spyral_core.physics.gas import GasTarget, load_gas
from spyral_core.physics.kinematics import two_body
from spyral_core.physics.nuclei import brho_from_ke, nuclear_mass
from spyral_core.report import ion_chamber, kinematics, particle_identification, style
from spyral_core.report.build import build_report
from spyral_core.report.fitted import fitted_path
from spyral_core.report.reaction import Reaction, reaction_of

GAS_FILE = str(Path(__file__).parents[2] / "config/gas/deuterium_300torr.json")
DETECTOR = {"magnetic_field": 2.85, "electric_field": 0.0, "detector_length": 1000.0}
NUCLEI = {"projectile": [6, 16], "target": [1, 2], "ejectile": [1, 1]}
SIMULATED = {"reaction": {**NUCLEI, "beam_energy": 184.0, "residual_excitation": 0.74}, "gas": GAS_FILE}


def simulated() -> Reaction:
    reaction = reaction_of({"reaction": None, "simulate": SIMULATED, "detector": DETECTOR})
    assert reaction is not None
    return reaction


@pytest.fixture(scope="module")
def gas() -> GasTarget:
    return load_gas(GAS_FILE)


def test_the_excitation_energy_of_exact_two_body_tracks_is_the_residuals() -> None:
    reaction = simulated()
    z = np.linspace(0, 1000, 50)
    m1, m2, m3, m4 = reaction.masses
    angle = np.linspace(0.1, 3.0, 50)
    ke, polar, _, _ = two_body(m1, m2, m3, m4 + 0.74, reaction.beam_energy_at(z), angle)
    assert reaction.excitation_energy(ke, polar, z) == pytest.approx(np.full(50, 0.74), abs=1e-6)


def test_the_beam_slows_down_in_the_gas_by_what_the_gas_takes(gas: GasTarget) -> None:
    reaction = simulated()
    z = np.linspace(0, 1000, 2001)
    loss = gas.stopping(6, 16).dedx(reaction.beam_energy_at(z))
    stepwise = 184.0 - np.concatenate([[0], np.cumsum(0.5 * (loss[1:] + loss[:-1]) * np.diff(z))])
    assert reaction.beam_energy_at(z) == pytest.approx(stepwise, abs=1e-3)


def test_a_configured_reaction_has_its_energy_everywhere() -> None:
    values = {**NUCLEI, "beam_energy": 150.0, "residual_excitation": 0.0}
    reaction = reaction_of({"reaction": values, "simulate": SIMULATED, "detector": DETECTOR})
    assert reaction is not None
    assert reaction.beam_energy_at([0.0, 900.0]).tolist() == [150.0, 150.0]
    assert len(reaction.lines((1, 1))) == 1


def test_lines_are_drawn_for_what_the_reaction_makes() -> None:
    reaction = simulated()
    assert reaction.name == "16C(2H, 1H)17C"
    (_, polar, ke), _ = reaction.lines((1, 1))
    m1, m2, m3, m4 = reaction.masses
    wanted, angle, _, _ = two_body(m1, m2, m3, m4 + 0.74, 184.0, math.pi / 2)
    nearest = np.nanargmin(np.hypot(np.degrees(angle) - polar, wanted - ke))
    assert polar[nearest] == pytest.approx(np.degrees(angle), abs=0.5)
    assert ke[nearest] == pytest.approx(wanted, rel=0.02)
    assert len(reaction.lines((6, 17))) == 2
    assert reaction.lines((2, 4)) == []


def test_a_reaction_whose_fourth_nucleus_cannot_be_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    values = {**NUCLEI, "ejectile": [20, 40], "beam_energy": 150.0}
    parameters = {"reaction": values, "simulate": None, "detector": DETECTOR, "solver": None}
    with pytest.raises(ConfigurationError, match=r"reaction: the fourth nucleus would have Z, A = \(-13, -22\)"):
        build_report(parameters, tmp_path, [1])


def test_the_fitted_path_is_a_spiral_of_the_range_of_its_energy(gas: GasTarget) -> None:
    start = {"vertex_x": 1.0, "vertex_y": -2.0, "vertex_z": 300.0, "ke": 3.0, "polar": 1.4, "azimuthal": 2.0}
    path = fitted_path(start, gas, (1, 2), DETECTOR)
    assert path[0] == pytest.approx([1.0, -2.0, 300.0])
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    assert length == pytest.approx(gas.stopping(1, 2).range(3.0), rel=0.01)
    first_step = path[1] - path[0]
    assert first_step / np.linalg.norm(first_step) == pytest.approx(
        [math.sin(1.4) * math.cos(2.0), math.sin(1.4) * math.sin(2.0), math.cos(1.4)], abs=0.01
    )
    radius = 1000 * brho_from_ke(3.0, 1, 2) / 2.85 * math.sin(1.4)
    assert np.hypot(*(path[:, :2] - path[0, :2]).T).max() == pytest.approx(2 * radius, rel=0.15)


def test_a_vertex_before_the_window_is_followed_too(gas: GasTarget) -> None:
    start = {"vertex_x": 0.0, "vertex_y": 0.0, "vertex_z": -20.0, "ke": 3.0, "polar": 1.4, "azimuthal": 2.0}
    assert len(fitted_path(start, gas, (1, 2), DETECTOR)) > 50


def estimates(number: int) -> pl.DataFrame:
    rng = np.random.default_rng(5)
    ke = rng.uniform(2, 30, number)
    return pl.DataFrame({"dEdx": 100 / ke, "brho": brho_from_ke(ke, 1, 2), "polar": rng.uniform(0.8, 1.5, number)})


def test_a_huge_gate_leaves_the_view_on_the_tracks_and_is_drawn() -> None:
    vertices = [[4.0, 0.05], [1e9, 0.05], [1e9, 1e6], [4.0, 1e6], [4.0, 0.05]]
    gate = parse_gate({"name": "cost $5$", "vertices": vertices, "Z": 1, "A": 2}, "d")
    data = estimates(500)
    with style.styled():
        figure = particle_identification.figure(data, [gate], [], "", "run 1")
        style_axes = figure.axes[0]
        assert style_axes.get_xlim()[1] < 2 * data["dEdx"].max()  # type: ignore[operator]
        (patch,) = [patch for patch in style_axes.patches if isinstance(patch, Polygon)]
        corners = patch.get_xy()
        assert corners[:, 0].min() == 4.0
        assert corners[:, 0].max() > style_axes.get_xlim()[1]
        figure.canvas.draw()
    inside = int((data["dEdx"] > 4.0).sum())
    assert f"{inside} ({100 * inside / 500:.1f} %)" in style_axes.get_legend().get_texts()[0].get_text()


def test_a_gate_larger_than_the_view_says_so() -> None:
    vertices = [[-1, -1], [1e9, -1], [1e9, 10], [-1, 10]]
    gate = parse_gate({"name": "d", "vertices": vertices, "Z": 1, "A": 2}, "d")
    with style.styled():
        figure = particle_identification.figure(estimates(200), [gate], [], "", "run 1")
    assert figure.axes[0].get_legend().get_texts()[0].get_text().endswith("200 (100.0 %), larger than the view")


def test_gates_of_other_axes_have_panels_of_their_own() -> None:
    vertices = [[0, 0], [1, 0], [1, 1], [0, 0]]
    gates = [
        parse_gate({"vertices": vertices, "Z": 1, "A": 2}, "a"),
        parse_gate({"vertices": vertices, "Z": 1, "A": 1, "xaxis": "polar", "yaxis": "brho"}, "b"),
        parse_gate({"vertices": vertices, "Z": 2, "A": 4}, "c"),
    ]
    assert particle_identification.axes_of(gates) == [("dEdx", "brho"), ("polar", "brho")]
    with style.styled():
        figure = particle_identification.figure(estimates(50), gates, [], "", "run 1")
    assert [len(axes.patches) for axes in figure.axes[:3]] == [2, 1, 0]


@pytest.mark.parametrize("number", [1, 300, 20_000])
def test_kinematics_draw_few_and_many_tracks(number: int) -> None:
    rng = np.random.default_rng(2)
    columns = {"ke": rng.uniform(1, 20, number), "polar": rng.uniform(0.5, 1.5, number)}
    tracks = pl.DataFrame(columns | {"vertex_z": rng.uniform(0, 1000, number)})
    for species in ((1, 1), (6, 17), (2, 4)):
        with style.styled():
            figure = kinematics.figure(tracks, species, simulated(), "run 1")
            figure.canvas.draw()
        assert (figure.axes[1].get_title(loc="left") == "Excitation energy (missing mass)") == (species == (1, 1))


@pytest.mark.parametrize("bounds", [None, (-1e9, 1e9), (900.0, 1350.0), (5000.0, 6000.0)])
def test_the_ion_chamber_view_stays_on_the_spectrum(bounds: tuple[float, float] | None) -> None:
    rng = np.random.default_rng(1)
    values: dict[str, Any] = {"ic_amplitude": np.append(rng.normal(1100, 40, 400), [-1.0])}
    events = pl.DataFrame(values | {"ic_multiplicity": [1.0] * 401, "ic_centroid": [1200.0] * 401})
    with style.styled():
        figure = ion_chamber.figure(events, bounds, "run 1")
        figure.canvas.draw()
    low, high = figure.axes[0].get_xlim()
    assert 0 <= low < 1000
    assert 1200 < high < 1500


def test_ranges_ignore_the_extreme_and_the_infinite() -> None:
    values = np.concatenate([np.linspace(1, 2, 10_000), [np.nan, np.inf, 1e12]])
    low, high = style.span(values)
    assert 0.8 < low < 1.01
    assert 1.99 < high < 2.2
    assert style.span([]) == (0.0, 1.0)
    assert style.span([*np.linspace(1, 2, 50), 1e6])[1] < 10
    assert style.log_span([-1.0, 0.0]) == (0.1, 10.0)


def test_masses_of_the_reaction_are_nuclear() -> None:
    assert simulated().masses[0] == nuclear_mass(6, 16)
