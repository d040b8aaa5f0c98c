"""A simulated run: the same bytes from the same seed, truth that agrees with the traces and with kinematics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest

from spyral_core.catalog import STAGES
from spyral_core.config.simulation import Simulation
from spyral_core.detector.pads import builtin
from spyral_core.errors import ConfigurationError
from spyral_core.physics.gas import load_gas
from spyral_core.physics.kinematics import two_body
from spyral_core.physics.nuclei import brho_from_ke, ke_from_brho, nuclear_mass
from spyral_core.simulate import experiment
from spyral_core.simulate.event import Charge, SimulatedEvent, prepare, random_stream, release, simulate_event
from spyral_core.simulate.transport import LEFT, Track
from spyral_core.traces.file import open_traces

GAS = {"compound": [[1, 2, 2]], "pressure(Torr)": 300.0}
PLAIN = {"beam": {"pile_up": 0.0, "contaminant": 0.0, "downscaled": 0.0, "both_triggers": 0.0}}


def gas_file(folder: Path) -> Path:
    path = folder / "gas.json"
    path.write_text(json.dumps(GAS))
    return path


def simulate(folder: Path, run: int = 1, workers: int = 1, chunk_events: int = 32, **values: Any) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    gas = gas_file(folder)
    settings = Simulation.model_validate({"gas": str(gas), "events": 5, **values}).model_dump(mode="json")
    outputs = {"output": folder / "run.h5", "truth": folder / "truth.parquet"}
    experiment.run(STAGES["simulate"], run, {"simulate": settings}, {"gas": gas}, outputs, workers, chunk_events)
    return outputs["output"], outputs["truth"]


def events(folder: Path, numbers: range, **values: Any) -> list[SimulatedEvent]:
    simulation = Simulation.model_validate(values)
    return [simulate_event(n, made) for made in [prepare(simulation, load_gas(gas_file(folder)), 1)] for n in numbers]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return simulate(tmp_path_factory.mktemp("reference"))


def test_workers_and_chunks_and_the_number_of_runs_change_no_byte(reference: tuple[Path, Path], tmp_path: Path) -> None:
    again = simulate(tmp_path / "elsewhere", workers=2, chunk_events=2, runs=7)
    for one, other in zip(reference, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_another_seed_or_run_is_another_experiment(reference: tuple[Path, Path], tmp_path: Path) -> None:
    vertices = [pl.read_parquet(path)["vertex_z"].to_list() for path in (
        reference[1], simulate(tmp_path / "seed", seed=2)[1], simulate(tmp_path / "run", run=2)[1])]  # fmt: skip
    assert vertices[0] != vertices[1] and vertices[0] != vertices[2]


def test_more_events_leave_the_first_ones_as_they_are(reference: tuple[Path, Path], tmp_path: Path) -> None:
    longer = simulate(tmp_path, events=6)
    with h5py.File(reference[0]) as short, h5py.File(longer[0]) as long:
        assert len(long["events"]) == 6
        for name in short["events"]:
            assert np.array_equal(short["events"][name]["get/pads"], long["events"][name]["get/pads"])


def test_the_file_is_a_merger_file_with_its_lineage(reference: tuple[Path, Path]) -> None:
    with h5py.File(reference[0]) as file:
        assert file["events"].attrs["version"] == "libattpc_merger:2.0"
        lineage = json.loads(file.attrs["lineage"])
    assert lineage["stage"] == "simulate" and "runs" not in lineage["parameters"]["simulate"]
    assert "gas" in lineage["inputs"] and str(reference[0].parent) not in json.dumps(lineage)
    with open_traces(reference[0]) as traces:
        assert traces.numbers.tolist() == list(range(5))
        event = traces.read(0)
        assert event.pads.shape[1] == 517 and len(event.pads) > 20
        assert event.ion_chamber is not None and len(event.ion_chamber) == 2048
        assert event.trigger in (1, 2, 3)
        assert len(traces.scalers()["clock_free"]) == 1


def test_a_run_without_events_is_a_file_without_events(tmp_path: Path) -> None:
    traces, truth = simulate(tmp_path, events=0)
    assert pl.read_parquet(truth).height == 0
    with h5py.File(traces) as file:
        assert len(file["events"]) == 0


def test_products_obey_kinematics_at_the_vertex(tmp_path: Path) -> None:
    sharp = {"beam_energy_spread": 0.0, "beam_divergence": 0.0}
    made = events(tmp_path, range(12), **PLAIN, reaction=sharp, detector={"straggling": False, "scattering": False})
    gas = load_gas(gas_file(tmp_path))
    beam, target = nuclear_mass(6, 16), nuclear_mass(1, 2)
    residual_range = gas.stopping(6, 16).range(184.1)
    for event in made:
        light, heavy = event.truth
        assert (light["Z"], light["A"], heavy["Z"], heavy["A"]) == (1, 2, 6, 16)
        energy = float(gas.stopping(6, 16).ke(residual_range - light["vertex_z"]))
        energy -= 6 * 0.045 * light["vertex_z"] * 1e-3  # work against the drift field of 45 kV/m
        angle = np.linspace(0, np.pi, 20001)
        ke3, polar3, ke4, polar4 = two_body(beam, target, target, beam, energy, angle)
        nearest = np.abs(ke3 - light["ke"]).argmin()
        # without divergence and scattering the beam goes straight on
        assert light["polar"] == pytest.approx(polar3[nearest], abs=2e-3)
        assert heavy["ke"] == pytest.approx(ke4[nearest], abs=0.02)
        assert heavy["polar"] == pytest.approx(polar4[nearest], abs=2e-3)
        assert 100 - 1 < np.degrees(angle[nearest]) < 172 + 1
        assert np.cos(light["azimuthal"] - heavy["azimuthal"]) == pytest.approx(-1.0, abs=1e-6)
        assert light["brho"] == pytest.approx(float(brho_from_ke(light["ke"], 1, 2)))
        assert 50 <= light["vertex_z"] <= 950 and light["vertex_z"] == heavy["vertex_z"]


def test_the_number_of_pads_is_what_the_traces_show_without_noise(tmp_path: Path) -> None:
    silent = {
        "white_noise": 0.0, "slow_noise": 0.0, "noise_pads": 0.0, "noisy_pads": 0, "flipped_pads": 0,
        "tail_amplitude": 0.0, "baseline_spread": 0.0,
    }  # fmt: skip
    made = events(tmp_path, range(6), **PLAIN, reaction={"residual": False}, electronics=silent)
    for event in made:
        light, heavy = event.truth
        outside = ~builtin().beam[event.pads[:, 4]]
        far = np.hypot(builtin().x, builtin().y)[event.pads[:, 4]] > 60  # where the beam leaves no charge
        assert heavy["n_pads"] == 0
        # samples are whole numbers: pulses less than one half over the threshold, a few in a hundred, are not read out
        assert np.count_nonzero(far & outside) <= light["n_pads"] <= np.count_nonzero(outside) + 6


def test_a_track_arrives_on_its_pads_at_its_time_with_its_charge(tmp_path: Path) -> None:
    exact = {"diffusion_voltage": 0.0, "longitudinal_diffusion_voltage": 0.0, "gain_drift": 0.0, "fano_factor": 0.0}
    same = {"gain_spread": 0.0, "time_spread_big": 0.0, "time_spread_small": 0.0}
    simulation = Simulation.model_validate({"detector": exact, "electronics": same})
    made = prepare(simulation, load_gas(gas_file(tmp_path)), 1)
    x, z, deposit = np.arange(40.0, 241.0), 400.0, 0.002
    points = np.stack([x, np.full_like(x, 30.0), np.full_like(x, z)], axis=1)
    track = Track(points, np.full(200, deposit), np.zeros(3), 0.0, LEFT)
    charge = Charge(np.full(10240, -1))
    n_pads = release(track, 4.0, made, charge, random_stream(1))
    pulses = np.array(charge.pulses)
    peaks = pulses.argmax(axis=1)
    # (window − micromegas)/length TB a mm, and 4 µs late at 6.25 MHz
    np.testing.assert_allclose(peaks, 10.0 + (1000.0 - z) * 0.55 + 4.0 * 6.25, atol=1)
    assert np.all(np.abs(builtin().y[charge.pads] - 30.0) < 10)
    assert n_pads == np.count_nonzero(pulses.max(axis=1) > 30.0)
    collected = pulses.max(axis=1).sum() / 4095 * 900.0  # fC, all at one time
    expected = 200 * deposit * 1e6 / 37.0 * 7700 * 1.602176634e-4
    # the peak falls between two samples at worst; each of 10 811 electrons has a gain of relative variance 1/2
    assert collected == pytest.approx(expected, rel=0.03)
    assert charge.mesh.sum() == pytest.approx(200 * deposit * 1e6 / 37.0, rel=0.01)


def test_a_reaction_that_meets_the_downscaled_trigger_is_kept(tmp_path: Path) -> None:
    (event,) = events(tmp_path, range(1), beam={**PLAIN["beam"], "both_triggers": 1.0})
    assert event.register == 3 and [row["trigger"] for row in event.truth] == [3, 3]


def test_downscaled_events_show_the_beam_only_and_have_no_truth(tmp_path: Path) -> None:
    made = events(tmp_path, range(3), beam={"downscaled": 1.0, "pile_up": 0.0, "contaminant": 0.0})
    for event in made:
        assert event.register == 2 and event.truth == []
        assert 20 < len(event.pads) < 400
        assert event.physics[:, 0].max() > 1000


def test_pile_up_brings_a_second_ion_chamber_pulse(tmp_path: Path) -> None:
    made = events(tmp_path, range(4), beam={**PLAIN["beam"], "pile_up": 1.0})
    for event in made:
        high = event.physics[:, 0].astype(int) > 300 + 500
        assert np.count_nonzero(np.diff(high.astype(int)) == 1) in (1, 2)  # two, unless they come together
        assert all(row["pile_up"] for row in event.truth)
    assert sum(np.count_nonzero(np.diff((e.physics[:, 0] > 800).astype(int)) == 1) == 2 for e in made) >= 3


def test_the_contaminant_has_the_beam_s_rigidity_and_a_lower_ion_chamber_pulse(tmp_path: Path) -> None:
    made = events(tmp_path, range(4), beam={**PLAIN["beam"], "contaminant": 1.0})
    energy = float(ke_from_brho(brho_from_ke(184.1, 6, 16), 5, 14))
    gas = load_gas(gas_file(tmp_path))
    share = float(gas.stopping(5, 14).dedx(energy) / gas.stopping(6, 16).dedx(184.1))
    for event in made:
        light, heavy = event.truth
        assert (heavy["Z"], heavy["A"]) == (5, 14) and light["contaminant"]
        assert light["ke"] + heavy["ke"] < energy * 1.03
        assert event.physics[:, 0].max() - 300 == pytest.approx(1100 * share, rel=0.15)


def test_the_beam_saturates_its_pads_and_the_ejectile_seldom_does(reference: tuple[Path, Path]) -> None:
    plane = builtin()
    radius = np.hypot(plane.x, plane.y)
    saturated_beam, saturated_far = [], []
    with open_traces(reference[0]) as traces:
        for index in range(len(traces.numbers)):
            pads = traces.read(index).pads
            top = pads[:, 6:].max(axis=1) == 4095
            saturated_beam.append(np.count_nonzero(top & (radius[pads[:, 4]] < 20)))
            saturated_far.append(np.mean(top[radius[pads[:, 4]] > 60]))
    assert min(saturated_beam) >= 1
    assert np.mean(saturated_far) < 0.1


def test_transfer_with_excitation_and_a_lighter_ejectile_works(tmp_path: Path) -> None:
    reaction = {"ejectile": (1, 1), "residual_excitation": 0.2, "angle_min": 100.0, "angle_max": 175.0}
    made = events(tmp_path, range(3), **PLAIN, reaction=reaction)
    for event in made:
        assert [(row["Z"], row["A"]) for row in event.truth] == [(1, 1), (6, 17)]


def test_unknown_nuclei_and_gases_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Z = 6, A = 99"):
        simulate(tmp_path, reaction={"projectile": (6, 99)})
    with pytest.raises(ConfigurationError, match="beam_energy"):
        simulate(tmp_path, reaction={"ejectile": (1, 1), "residual_excitation": 30.0})
    gas = tmp_path / "none.json"
    settings = Simulation(events=1, gas=str(gas)).model_dump(mode="json")
    outputs = {"output": tmp_path / "run.h5", "truth": tmp_path / "truth.parquet"}
    with pytest.raises(ConfigurationError, match=r"none\.json"):
        experiment.run(STAGES["simulate"], 1, {"simulate": settings}, {}, outputs)
    assert not outputs["truth"].exists()
