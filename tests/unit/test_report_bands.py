"""Lines of particles in the plot of dE/dx against Bρ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from spyral_core.fitting.gate import parse_gate
from spyral_core.physics.gas import GasTarget, energy_loss, load_gas
from spyral_core.physics.nuclei import ke_from_brho
from spyral_core.report import particle_identification, style
from spyral_core.report.bands import Bands, bands_of

SCALE = 8e5
EVERYTHING = {"vertices": [[0, 0], [1e9, 0], [1e9, 9], [0, 9]], "Z": 1, "A": 2}


@pytest.fixture(scope="module")
def gas() -> GasTarget:
    return load_gas(Path(__file__).parents[2] / "config/gas/deuterium_300torr.json")


def tracks(gas: GasTarget, Z: int, A: int, n: int = 40) -> pl.DataFrame:
    """Estimates of one nucleus, with charges that spread by 5 %."""
    chance = np.random.default_rng(Z + A)
    brho = chance.uniform(0.3, 0.9, n)
    loss = gas.stopping(Z, A).dedx(ke_from_brho(brho, Z, A)) * SCALE * np.exp(0.05 * chance.standard_normal(n))
    return pl.DataFrame(
        {"event": np.arange(n), "cluster_index": np.zeros(n, int), "dEdx": loss, "brho": brho, "polar": np.full(n, 1.0)}
    )


def known(estimates: pl.DataFrame, Z: int, A: int, probability: float = 0.99) -> pl.DataFrame:
    return estimates.select("event", "cluster_index").with_columns(
        Z=Z, A=A, best=True, probability=pl.lit(probability)
    )  # fmt: skip


def test_a_line_is_the_stopping_power_times_the_scale(gas: GasTarget) -> None:
    ((name, loss, brho),) = Bands(gas, [(1, 3)], SCALE).lines(0.01, 1.0)
    assert name == "3H"
    for at in (0, len(brho) // 2, -1):
        assert loss[at] == pytest.approx(SCALE * energy_loss(gas, 1, 3, float(ke_from_brho(brho[at], 1, 3))), rel=1e-3)
    assert (np.diff(loss) < 0).all()


def test_the_scale_is_that_of_tracks_whose_species_is_known(gas: GasTarget) -> None:
    estimates = tracks(gas, 2, 4)
    gates = [parse_gate(EVERYTHING, "d")]
    found = bands_of(gas, [], estimates, known(estimates, 2, 4), gates)
    assert found is not None
    assert found.scale == pytest.approx(SCALE, rel=0.03)
    assert len(found.nuclei) == 5


def test_without_species_the_gates_tell_the_scale(gas: GasTarget) -> None:
    estimates = tracks(gas, 1, 2)
    for species in (pl.DataFrame(), known(estimates, 2, 4, probability=0.5)):
        found = bands_of(gas, [(1, 1)], estimates, species, [parse_gate(EVERYTHING, "d")])
        assert found is not None
        assert found.scale == pytest.approx(SCALE, rel=0.03)
        assert list(found.nuclei) == [(1, 1)]


def test_nothing_is_drawn_where_nothing_tells_the_scale(gas: GasTarget) -> None:
    assert bands_of(gas, [], tracks(gas, 1, 2), pl.DataFrame(), []) is None
    assert bands_of(None, [], tracks(gas, 1, 2), pl.DataFrame(), [parse_gate(EVERYTHING, "d")]) is None
    assert bands_of(gas, [], tracks(gas, 1, 2, n=3), pl.DataFrame(), [parse_gate(EVERYTHING, "d")]) is None


@pytest.mark.parametrize("root", [False, True])
def test_the_figure_names_the_lines_on_which_the_tracks_lie(gas: GasTarget, root: bool) -> None:
    estimates = tracks(gas, 1, 2).with_columns(sqrt_dEdx=pl.col("dEdx").sqrt())
    axis = {"xaxis": "sqrt_dEdx", "yaxis": "brho"} if root else {}
    gate = parse_gate({**EVERYTHING, **axis}, "d")
    with style.styled():
        drawn = particle_identification.figure(estimates, [gate], [], "", "run 1", Bands(gas, [(1, 2)], SCALE))
    axes = drawn.axes[0]
    assert [text.get_text() for text in axes.texts if text.get_text() == "2H"] == ["2H"]
    (line,) = axes.lines
    x, y = (np.asarray(values, float) for values in line.get_data())
    place = estimates["sqrt_dEdx" if root else "dEdx"].to_numpy()
    assert np.interp(estimates["brho"].to_numpy(), y, x) == pytest.approx(place, rel=0.2)
