"""The command `bound`, and the measured resolution beside the bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from spyral_core.bound.scan import START, starts
from spyral_core.cli import main
from spyral_core.report.bound import QUANTITIES, against_bound, central_width, figure, grid, report_grid

ROOT = Path(__file__).parents[2]


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    gas = ROOT / "config/gas/deuterium_300torr.json"
    file = tmp_path / "config.yaml"
    file.write_text(f"simulate: {{gas: {gas}}}\nsolver: {{gas: {gas}}}\n")
    return file


def at_the_bound(n: int, excess: float = 1.0) -> pl.DataFrame:
    """Tracks whose errors are normal, `excess` times their bounds."""
    rng = np.random.default_rng(5)
    columns = {"ke": rng.uniform(1, 20, n)}
    for name, _, _ in QUANTITIES:
        columns[f"bound_{name}"] = 0.01 * columns["ke"] ** 0.5
        columns[f"{name}_residual"] = excess * columns[f"bound_{name}"] * rng.standard_normal(n)
    return pl.DataFrame(columns)


@pytest.mark.parametrize("excess", [1.0, 1.5])
def test_the_ratio_is_how_far_errors_exceed_the_bound(excess: float) -> None:
    table = against_bound(at_the_bound(4000, excess))
    for name, _, _ in QUANTITIES:
        off = (table[f"{name}_ratio"] - excess) / table[f"{name}_ratio_error"]
        assert np.abs(off.to_numpy()).max() < 3.5
        assert (table[f"{name}_measured"] / table[f"{name}_bound"])[-1] == pytest.approx(excess, rel=0.06)


def test_bands_of_few_tracks_are_left_out() -> None:
    assert against_bound(at_the_bound(3)).is_empty()


def test_the_width_of_equal_errors_is_their_standard_deviation() -> None:
    assert central_width(np.full(7, 0.3)) == pytest.approx(0.3, rel=1e-3)
    mixed = np.array([0.1, 0.4])
    drawn = np.random.default_rng(1).standard_normal((2, 200_000)) * mixed[:, None]
    low, high = np.quantile(drawn, [0.158655, 0.841345])
    assert central_width(mixed) == pytest.approx((high - low) / 2, rel=0.02)


def test_the_table_has_a_cell_under_each_head() -> None:
    shown = grid(against_bound(at_the_bound(100)), "")
    assert {len(row) for row in shown.rows} == {len(shown.heads)}
    assert shown.rows[-1][0] == "all"


def test_the_report_shows_fits_beside_their_bounds_and_nothing_without_fits() -> None:
    gas = str(ROOT / "config/gas/deuterium_300torr.json")
    tracks = pl.DataFrame(starts(9.0, 1.2, 500.0, 5.0), schema=list(START))
    tracks = tracks.with_columns(fitted_ke=pl.col("ke") * 1.01, ke_residual=0.01, polar_residual=0.1)
    tracks = tracks.with_columns(vertex_z_residual=pl.col("vertex_x"))
    parameters = {"simulate": {"gas": gas}, "solver": {"gas": gas}}
    shown = report_grid(tracks, (1, 2), parameters, "deuteron")
    assert shown is not None
    assert [row[:2] for row in shown.rows] == [["6 – 10", "8"], ["all", "8"]]
    unsolved = tracks.with_columns(fitted_ke=pl.lit(None, pl.Float64))
    assert report_grid(unsolved, (1, 2), parameters, "deuteron") is None
    assert report_grid(pl.DataFrame(), (1, 2), parameters, "deuteron") is None


def test_the_figure_has_two_more_panels_with_a_measurement() -> None:
    table = pl.DataFrame({"energy": [1.0, 5.0], "angle": [90.0, 90.0], "ke": [0.02, 0.01], "polar": [1.0, 0.3]})
    assert len(figure(table, None, "bound").axes) == 2
    assert len(figure(table, against_bound(at_the_bound(100)), "bound").axes) == 4


def test_the_command_writes_table_and_figure(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert (
        main(["bound", "--config", str(configuration), "--energies", "2", "8", "--angles", "80", "-o", str(out)]) == 0
    )
    table = pl.read_csv(out / "bound.csv")
    assert table["energy"].to_list() == [2.0, 8.0]
    assert ((table["ke"] > 1e-4) & (table["ke"] < 0.2)).all()
    assert "2H" in capsys.readouterr().out
    with Image.open(out / "bound.png") as image:
        assert image.width == 1200
    assert sorted(path.name for path in out.iterdir()) == ["bound.csv", "bound.png"]


def test_particles_and_places_that_cannot_be_are_refused(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["bound", "--config", str(configuration), "-o", str(tmp_path / "out")]
    assert main([*call, "--species", "1", "90"]) == 2
    assert main([*call, "--vertex", "5000"]) == 2
    assert main([*call, "--energies", "5", "--angles", "90", "--measured", str(tmp_path)]) == 1
    assert "without a truth" in capsys.readouterr().err
