"""What the closing tables of docs/resolution.md promise, on small samples of reactions that nothing was tuned on.

Their limits are wider than those of the tables, so that a sample of this size meets them by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

EVENTS, SEED = 80, 9107
SURE = 3.0  # standard errors


@pytest.fixture(scope="module")
def accuracy() -> Iterator[Any]:
    """The modules of `benchmarks/accuracy`, which the commands there find beside themselves."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from accuracy import bands, chain, conditions, samples, tables  # type: ignore[import-not-found,unused-ignore]

    yield SimpleNamespace(bands=bands, chain=chain, conditions=conditions, samples=samples, tables=tables)
    patch.undo()


def reconstruct(accuracy: Any, name: str, folder: Path, scattering: bool, identify: bool = False) -> Any:
    """What came of a sample: `accuracy.chain.Found`; the tables that a failure is understood with are printed."""
    sample = {**accuracy.samples.SAMPLES, **accuracy.conditions.CONDITIONS}[name]
    settings = accuracy.samples.configuration(sample, folder, EVENTS, SEED, scattering, identify)
    found = accuracy.chain.reconstruct(name, settings, sample, folder, identify=identify)
    print(accuracy.tables.efficiency([found]), accuracy.tables.bias([found]), accuracy.tables.pull_widths([found]))
    print(accuracy.tables.against_bound([found], scattering)[0])
    return found


def hold_what_is_found(found: Any, least: float = 0.95) -> None:
    tracks, told = found.tracks, found.tracks.filter("told")
    assert tracks.height > EVENTS / 2
    assert tracks["fitted_ke"].count() / tracks.height >= least
    assert told["close"].to_numpy().mean() >= least


def hold_bias(accuracy: Any, found: Any) -> None:
    for quantity in (accuracy.tables.ENERGY, accuracy.tables.POLAR):
        value, error = accuracy.bands.centre(accuracy.tables.residuals(found.fitted, quantity))
        assert abs(value) <= accuracy.tables.BIAS[quantity.name] + SURE * error, quantity.name


def hold_uncertainties(accuracy: Any, found: Any, farthest: float) -> None:
    """Pulls have width 1 within 10 %, and no error is far above what the bound allows."""
    for quantity in accuracy.tables.QUANTITIES:
        width, error = accuracy.bands.width(accuracy.tables.pulls(found.fitted, quantity))
        assert abs(width - 1.0) <= accuracy.tables.PULL_OFF + SURE * error, quantity.name
        ratio, error = accuracy.tables.ratio_to_bound(found.fitted, quantity)
        assert ratio <= farthest + SURE * error, quantity.name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["22Mg(α,p) with residue", "12Be(d,d) with residue", "18O(α,α)"])
def test_tracks_come_back_as_well_as_the_gas_allows(accuracy: Any, name: str, tmp_path: Path) -> None:
    """Protons forward and backward, known as such beside the residue; deuterons; alpha particles; with scattering."""
    identify = name.startswith("22Mg")
    found = reconstruct(accuracy, name, tmp_path, scattering=True, identify=identify)
    hold_what_is_found(found)
    hold_bias(accuracy, found)
    hold_uncertainties(accuracy, found, farthest=1.4)
    assert found.own_results / found.tracks.height <= 1.05
    if identify:
        assert found.tracks.filter("told")["species_right"].to_numpy().mean() >= 0.95


@pytest.mark.slow
def test_without_scattering_the_angle_is_a_fifth_better_than_was_seen(accuracy: Any, tmp_path: Path) -> None:
    """10Be(d,d), tracks above 6 MeV; the energy is better, too."""
    found = reconstruct(accuracy, "10Be(d,d)", tmp_path, scattering=False)
    hold_what_is_found(found)
    hold_bias(accuracy, found)
    seen = accuracy.samples.TABLE["10Be(d,d)"].seen
    for low, high in ((6.0, 10.0), (10.0, 15.0), (15.0, 100.0)):
        tracks = accuracy.tables.within(found, (low, high))
        for number, factor in ((0, 1.0), (1, 0.8)):
            quantity = accuracy.tables.QUANTITIES[number]
            assert accuracy.bands.width(accuracy.tables.residuals(tracks, quantity))[0] <= factor * seen[low][number]


@pytest.mark.slow
def test_dead_pads_that_nobody_knows_of_cost_little_and_bias_nothing(accuracy: Any, tmp_path: Path) -> None:
    found = reconstruct(accuracy, "10 % dead pads", tmp_path, scattering=True)
    hold_what_is_found(found)
    hold_bias(accuracy, found)
    hold_uncertainties(accuracy, found, farthest=1.6)
