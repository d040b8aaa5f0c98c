"""Hits of `attpc_engine`: run by the Python of the virtual environment that it is installed in.

    python simulator.py SETTINGS.json HITS.h5

Nothing of this project is imported here. Each nucleus is taken through the detector by itself, so that it is known
which electrons are whose. Written are for each event the vertex [m] and the four-momenta [MeV] of all nuclei; the hits:
event, nucleus, pad, time (its integer part is the simulator's time bucket, the rest a random number that it adds),
electrons after the gas gain; and where the ejectile went: event, position [m], velocity over that of light times γ.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from attpc_engine import nuclear_map
from attpc_engine.detector import Config, DetectorParams, ElectronicsParams, PadParams, solver
from attpc_engine.detector.simulator import simulate
from attpc_engine.kinematics import (
    ExcitationGaussian,
    KinematicsPipeline,
    KinematicsTargetMaterial,
    PolarUniform,
    Reaction,
)
from spyral_utils.nuclear.target import GasTarget

EJECTILE, RESIDUE = 2, 3  # places among the four nuclei: target, projectile, ejectile, residue


def detector_of(settings: dict[str, Any], gas: GasTarget) -> Config:
    """The simulator's own parameters."""
    return Config(
        DetectorParams(
            length=1.0,
            efield=settings["electric_field"],
            bfield=settings["magnetic_field"],
            mpgd_gain=settings["gas_gain"],
            gas_target=gas,
            diffusion=settings["diffusion_voltage"],
            fano_factor=settings["fano_factor"],
            w_value=settings["w_value"],
        ),
        ElectronicsParams(
            clock_freq=settings["get_frequency"],
            amp_gain=settings["amplifier_range"],
            shaping_time=settings["shaping_time"],
            micromegas_edge=settings["micromegas_time_bucket"],
            windows_edge=settings["window_time_bucket"],
            adc_threshold=0,
        ),
        PadParams(),
    )


def kinematics_of(settings: dict[str, Any], gas: GasTarget, rng: np.random.Generator) -> KinematicsPipeline:
    """The reaction, drawn from a seeded generator instead of the simulator's own."""
    target, projectile, ejectile = (
        nuclear_map.get_data(*settings[name]) for name in ("target", "projectile", "ejectile")
    )
    pipeline = KinematicsPipeline(
        [Reaction(target=target, projectile=projectile, ejectile=ejectile)],
        [ExcitationGaussian(0.0, 0.0)],
        [PolarUniform(*np.radians(settings["angles"]))],
        beam_energy=settings["beam_energy"],
        target_material=KinematicsTargetMaterial(
            material=gas, z_range=tuple(settings["vertices"]), rho_sigma=settings["beam_spot"]
        ),
    )
    pipeline.rng = rng
    return pipeline


def recorded(follow: Callable[..., np.ndarray], kept: list[np.ndarray]) -> Callable[..., np.ndarray]:
    """The simulator's integration of a path, which keeps a copy of what it finds."""

    def followed(*arguments: object) -> np.ndarray:
        found = follow(*arguments)
        kept.append(found.copy())
        return found

    return followed


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    gas = GasTarget([tuple(element) for element in settings["compound"]], settings["pressure"], nuclear_map)
    rng = np.random.default_rng(settings["seed"])
    detector, kinematics = detector_of(settings, gas), kinematics_of(settings, gas, rng)
    protons, masses = kinematics.get_proton_numbers(), kinematics.get_mass_numbers()
    vertices, momenta, hits, paths = [], [], [], []
    followed: list[np.ndarray] = []
    solver.generate_trajectory = recorded(solver.generate_trajectory, followed)
    for event in range(settings["events"]):
        vertex, momentum = kinematics.run()
        vertices.append(vertex.copy())
        momenta.append(momentum.copy())
        for nucleus in (EJECTILE, RESIDUE) if settings["residue"] else (EJECTILE,):
            cloud, _ = simulate(momentum.copy(), vertex, protons, masses, detector, rng, [nucleus])
            hits.append(np.column_stack([np.full((len(cloud), 2), (event, nucleus)), cloud]))
        path = followed[0]
        paths.append(np.column_stack([np.full(len(path), event), path]))
        followed.clear()
    with h5py.File(sys.argv[2], "w") as file:
        file.attrs["density"] = gas.density
        file["protons"], file["masses"] = protons, masses
        file["vertices"], file["momenta"] = np.array(vertices), np.array(momenta)
        file["rest_energies"] = [nuclear_map.get_data(*nucleus).mass for nucleus in zip(protons, masses, strict=True)]
        file["hits"], file["paths"] = np.concatenate(hits), np.concatenate(paths)


if __name__ == "__main__":
    main()
