"""Samples under other conditions than those of development: gas, pressure, field, electronics, noise, dead pads.

The analysis is told what an experimenter knows (gas, field, frequency, edges of the drift, shaping time), not how noisy
the pads are or which are dead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from accuracy.samples import BE10, D2, Sample, compound

REFERENCE = Sample((1, 2), D2, 3.0, {**BE10, "angle_min": 100.0, "angle_max": 172.0, "residual": False})
PROTONS = {
    "projectile": [8, 14], "target": [1, 1], "ejectile": [1, 1], "beam_energy": 112.0, "angle_min": 80.0,
    "angle_max": 172.0,
}  # fmt: skip
ALPHAS = {
    "projectile": [6, 14], "target": [2, 4], "ejectile": [2, 4], "beam_energy": 112.0, "angle_min": 80.0,
    "angle_max": 165.0,
}  # fmt: skip
HELIUM_CO2 = {
    "components": [[[2, 4, 1]], [[6, 12, 1], [8, 16, 2]]], "volume_fractions": [0.9, 0.1], "pressure(Torr)": 500.0,
}  # fmt: skip
ISOBUTANE = {"compound": [[6, 12, 4], [1, 1, 10]], "pressure(Torr)": 60.0}


def electronics(frequency: float, shaping: float, window: float, micromegas: float) -> Sample:
    """The reference at another sampling frequency [MHz], shaping time [ns] and edges of the drift [TB]."""
    drift = {"get_frequency": frequency, "window_time_bucket": window, "micromegas_time_bucket": micromegas}
    return replace(
        REFERENCE,
        detector=drift,
        electronics={"shaping_time": shaping},
        analysis={"detector": drift, "get": {"shaping_time": 1e-3 * shaping * frequency}},
    )


def _with(**changes: Any) -> Sample:
    return replace(REFERENCE, **changes)


CONDITIONS: dict[str, Sample] = {
    "reference: 10Be(d,d), 600 torr D2, 3 T, 6.25 MHz, 1 µs": REFERENCE,
    "He + 10 % CO2, 500 torr, 14C(α,α)": Sample((2, 4), HELIUM_CO2, 2.85, ALPHAS, {"w_value": 38.0}),
    "H2, 300 torr, 14O(p,p)": Sample((1, 1), compound(1, 1, 2, 300.0), 2.85, PROTONS),
    "isobutane, 60 torr, 14O(p,p)": Sample((1, 1), ISOBUTANE, 2.85, PROTONS, {"w_value": 23.0}),
    "pressure 300 torr": _with(gas=compound(1, 2, 2, 300.0)),
    "pressure 900 torr": _with(gas=compound(1, 2, 2, 900.0)),
    "field 1.5 T": _with(magnetic_field=1.5),
    "field 2 T": _with(magnetic_field=2.0),
    "3.125 MHz": electronics(3.125, 1000.0, 280.0, 5.0),
    "12.5 MHz, drift twice as fast": electronics(12.5, 1000.0, 560.0, 10.0),
    "12.5 MHz, half of the volume recorded": electronics(12.5, 1000.0, 1120.0, 20.0),
    "shaping 0.5 µs": electronics(6.25, 500.0, 560.0, 10.0),
    "shaping 1.5 µs": electronics(6.25, 1500.0, 560.0, 10.0),
    "noise twice as high": _with(electronics={"white_noise": 8.0, "slow_noise": 20.0, "noise_pads": 30.0}),
    "10 % dead pads": _with(dead_share=0.1),
}
