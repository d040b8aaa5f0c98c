"""The traces that `benchmarks/engine` makes around another simulator's hits are what GET would write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest

from spyral_core.config import validate
from spyral_core.simulate import response
from spyral_core.tables import TRUTH
from spyral_core.traces.file import open_traces

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GAIN = 175_000


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    """The modules of `benchmarks/engine`, which the command there finds beside itself."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(BENCHMARKS))
    from engine import run, samples, traces  # type: ignore[import-not-found,unused-ignore]

    yield SimpleNamespace(run=run, samples=samples, traces=traces)
    patch.undo()


@pytest.fixture
def chips(engine: Any) -> Any:
    return engine.traces.amplifier(900.0, 1000.0, 6.25)


def test_a_pulse_peaks_where_its_charge_arrives(chips: Any) -> None:
    pulse = chips.pulses(np.array([0]), np.array([200.0]), np.array([20.0 * GAIN]), 1)[0]
    assert np.argmax(pulse) == 200
    assert pulse[200] == pytest.approx(20 * GAIN * chips.adc * 0.0440, rel=0.01)


def test_the_response_is_that_of_the_own_simulation(engine: Any) -> None:
    times = np.linspace(0.0, 3.1, 50)
    scaled = engine.traces.response(times) / engine.traces.response(np.array([engine.traces.PEAK]))
    np.testing.assert_allclose(scaled, response.shape(times), atol=1e-6)


def test_pulses_of_one_pad_add_up(chips: Any) -> None:
    rng = np.random.default_rng(3)
    rows, times, electrons = rng.integers(0, 3, 40), rng.uniform(-30.0, 540.0, 40), rng.uniform(0.0, 1e7, 40)
    together = chips.pulses(rows, times, electrons, 3)
    one_by_one = np.zeros((3, 512))
    for row, time, charge in zip(rows, times, electrons, strict=True):
        one_by_one[row] += chips.pulses(np.array([0]), np.array([time]), np.array([charge]), 1)[0]
    np.testing.assert_allclose(together, one_by_one, atol=1e-9)


def test_pads_are_read_out_when_their_pulse_is_high_enough(engine: Any, chips: Any) -> None:
    pulses = np.zeros((3, 512))
    pulses[0, 100], pulses[1, 100], pulses[2, 100] = 29.0, 31.0, 9000.0
    rows = engine.traces.pad_rows(np.array([4000, 4001, 4002]), pulses, chips, np.random.default_rng(1))
    assert 4000 not in rows[:, 4]
    assert {4001, 4002} <= set(rows[:, 4].tolist())
    assert rows[rows[:, 4] == 4002, 5 + 100] == 4095
    assert len(np.unique(rows[:, 4])) == len(rows) <= 2 + engine.traces.NOISE_PADS


def test_a_written_run_holds_the_hits_and_their_truth(engine: Any, tmp_path: Path) -> None:
    charge = 30.0 * GAIN
    hits = np.array([[0, 2, 5000, 300.7, charge], [0, 3, 5001, 310.2, charge], [1, 2, 5002, 400.0, charge]])
    path = np.array([[0, 0.0, 0.0, 0.5, 0.1, 0.0, 0.1], [0, 0.0, 0.1, 0.6, 0.0, 0.001, 0.001],
                     [1, 0.0, 0.0, 0.5, 0.1, 0.0, 0.1], [1, 0.1, 0.0, 0.6, 0.1, 0.0, 0.1]])  # fmt: skip
    momenta = np.zeros((2, 4, 4))
    momenta[:, 2] = 100.0, 0.0, 100.0, np.sqrt(2e4 + 938.0**2)
    with h5py.File(tmp_path / "hits.h5", "w") as file:
        file.attrs["density"] = 1e-4
        file["protons"], file["masses"], file["rest_energies"] = [1, 4, 1, 4], [2, 10, 1, 11], [1.9e3, 9e3, 938.0, 1e4]
        file["vertices"], file["momenta"], file["hits"], file["paths"] = np.full((2, 3), 0.5), momenta, hits, path
    simulation = validate({"simulate": {"seed": 5, "events": 2}}).simulate
    assert simulation is not None
    run, trace_file, truth_file = engine.run, tmp_path / "run_0001.h5", tmp_path / "truth.parquet"
    run.write_run(run.load_hits(tmp_path / "hits.h5"), simulation, "middle", trace_file, truth_file)
    with open_traces(trace_file) as traces:
        rows = traces.read(0).pads
    for pad, time in ((5000, 300.5), (5001, 310.5)):
        samples = rows[rows[:, 4] == pad, 5:][0].astype(float)
        assert abs(np.argmax(samples) - time) <= 1.5
    truth = pl.read_parquet(truth_file)
    assert set(truth.columns) == TRUTH.known
    assert truth["stops"].to_list() == [True, False]
    assert truth["n_pads"].to_list() == [1, 1]
    assert truth["polar"].to_list() == pytest.approx([np.pi / 4] * 2)
    assert truth["turn"][0] == pytest.approx(np.pi / 2)
