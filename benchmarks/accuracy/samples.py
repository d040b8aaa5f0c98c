"""The simulated reactions: those of the table with what was reached elsewhere, and others that nothing was tuned on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spyral_core.config import Configuration, validate

EVERYTHING = [[0, 0], [1e9, 0], [1e9, 10], [0, 10]]
CANDIDATES = [[1, 1], [1, 2], [1, 3], [2, 3], [2, 4]]  # p, d, t, ³He, ⁴He


@dataclass(frozen=True)
class Sample:
    """A reaction in a gas and a magnetic field [T].

    `species` (Z, A) of the tracks that count. `reaction`, `detector`, `electronics`: what differs from the simulation's
    defaults; `analysis`: sections of the configuration, what differs from the analysis' defaults. `seen`: the best
    resolution of energy (relative) and polar angle [deg] that was reached elsewhere without scattering, by the band's
    lowest energy. `dead_share` of the pads are never read out.
    """

    species: tuple[int, int]
    gas: dict[str, Any]
    magnetic_field: float
    reaction: dict[str, Any]
    detector: dict[str, Any] = field(default_factory=dict)
    electronics: dict[str, Any] = field(default_factory=dict)
    analysis: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: dict[float, tuple[float, float]] = field(default_factory=dict)
    dead_share: float = 0.0


def compound(Z: int, A: int, atoms: int, torr: float) -> dict[str, Any]:
    """A gas target of one element."""
    return {"compound": [[Z, A, atoms]], "pressure(Torr)": torr}


D2 = compound(1, 2, 2, 600.0)
HELIUM = compound(2, 4, 1, 600.0)
BE10 = {"projectile": [4, 10], "beam_energy": 96.0, "beam_energy_spread": 0.0}
TABLE = {
    "10Be(d,d)": Sample(
        (1, 2), D2, 3.0, {**BE10, "angle_min": 100.0, "angle_max": 172.0, "residual": False},
        seen={
            2.0: (0.0018, 0.19), 4.0: (0.0021, 0.07), 6.0: (0.019, 0.35), 10.0: (0.035, 0.29), 15.0: (0.054, 0.33)
        },
    ),
    "14C(α,α)": Sample(
        (2, 4), HELIUM, 2.85,
        {"projectile": [6, 14], "target": [2, 4], "ejectile": [2, 4], "beam_energy": 112.0, "beam_energy_spread": 0.0,
         "angle_min": 80.0, "angle_max": 165.0, "residual": False},
        {"w_value": 41.0},
        seen={6.0: (0.0068, 0.32), 10.0: (0.0094, 0.28), 15.0: (0.031, 0.31)},
    ),
    "10Be(d,p) with residue": Sample(
        (1, 1), D2, 3.0, {**BE10, "ejectile": [1, 1], "angle_min": 100.0, "angle_max": 175.0},
        seen={4.0: (0.0013, 0.03), 6.0: (0.0015, 0.03), 10.0: (0.015, 0.43)},
    ),
}  # fmt: skip
OTHERS = {
    "12Be(d,d) with residue": Sample(
        (1, 2), compound(1, 2, 2, 450.0), 2.5,
        {"projectile": [4, 12], "beam_energy": 144.0, "angle_min": 95.0, "angle_max": 172.0},
    ),
    "22Mg(α,p) with residue": Sample(
        (1, 1), HELIUM, 2.85,
        {"projectile": [12, 22], "target": [2, 4], "ejectile": [1, 1], "beam_energy": 110.0, "angle_min": 50.0,
         "angle_max": 175.0},
        {"w_value": 41.0, "gas_gain": 15400.0},
    ),
    "18O(α,α)": Sample(
        (2, 4), compound(2, 4, 1, 400.0), 2.0,
        {"projectile": [8, 18], "target": [2, 4], "ejectile": [2, 4], "beam_energy": 126.0, "angle_min": 80.0,
         "angle_max": 165.0, "residual": False},
        {"w_value": 41.0},
    ),
    "15C(d,p)": Sample(
        (1, 1), D2, 2.85,
        {"projectile": [6, 15], "beam_energy": 150.0, "ejectile": [1, 1], "angle_min": 90.0, "angle_max": 175.0,
         "residual": False},
    ),
    "14O(p,p) with residue": Sample(
        (1, 1), compound(1, 1, 2, 600.0), 3.0,
        {"projectile": [8, 14], "target": [1, 1], "ejectile": [1, 1], "beam_energy": 112.0, "angle_min": 80.0,
         "angle_max": 172.0},
        {"w_value": 36.4},
    ),
}  # fmt: skip
SAMPLES = {**TABLE, **OTHERS}


def configuration(
    sample: Sample, folder: Path, events: int, seed: int, scattering: bool, identify: bool = False
) -> Configuration:
    """The configuration of a sample, its gas and its gate beside it in `folder`; `identify`: by all candidates."""
    folder.mkdir(parents=True, exist_ok=True)
    gas, gate = folder / "gas.json", folder / "all.json"
    gas.write_text(json.dumps(sample.gas))
    gate.write_text(json.dumps({"vertices": EVERYTHING, "Z": sample.species[0], "A": sample.species[1]}))
    detector = {
        "magnetic_field": sample.magnetic_field, "scattering": scattering, "straggling": scattering, **sample.detector
    }  # fmt: skip
    analysis = {name: dict(values) for name, values in sample.analysis.items()}
    return validate(
        {
            **analysis,
            "simulate": {
                "seed": seed, "runs": 1, "events": events, "gas": str(gas), "reaction": sample.reaction,
                "detector": detector, "electronics": sample.electronics,
                "beam": {"contaminant_nucleus": sample.reaction["projectile"]},
            },
            "detector": {"magnetic_field": sample.magnetic_field, **analysis.get("detector", {})},
            "solver": {
                "gas": str(gas), "gates": [str(gate)], "scattering": scattering,
                "species": CANDIDATES if identify else [], **analysis.get("solver", {}),
            },
        }
    )  # fmt: skip
