"""Solve: a trajectory fitted to each gated cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spyral_core import store
from spyral_core.fitting.fit import FitSettings, TrackFit, fit_track, kinetic_energy
from spyral_core.fitting.gate import Gate, load_gate
from spyral_core.fitting.scattering import fluctuations
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.physics.gas import load_gas
from spyral_core.physics.motion import motion_of
from spyral_core.physics.nuclei import brho_from_ke
from spyral_core.runner import Product
from spyral_core.tables import SOLUTIONS

N_SAMPLES = 512  # time buckets that the electronics record
PADS_RADIUS = 270.0  # mm: the pad plane's edge
FOLLOW_RADIUS = 320.0  # mm: trajectories are followed a little beyond it
FEWEST_POINTS = 10
MM = 1e-3  # m


@dataclass(frozen=True)
class Track:
    """A gated cluster: its estimate and its points."""

    estimate: Mapping[str, Any]
    points: NDArray[np.float64]
    charge: NDArray[np.float64]
    scale: NDArray[np.float64]


class Source:
    """The gated clusters of each event."""

    def __init__(self, files: Mapping[str, Path], parameters: SimpleNamespace) -> None:
        self._reader = store.TableReader(files["cluster"])
        self._estimates = store.read_parquet(files["estimate"])
        self._gate = load_gate(files["gate"])
        self._solver = parameters.solver

    def __enter__(self) -> Self:
        self._reader.__enter__()
        self.numbers = self._reader.read("events")["event"]
        clusters = self._reader.read("clusters")
        self._spans = {
            (event, index): (first, number)
            for event, index, first, number in zip(
                clusters["event"].tolist(),
                clusters["cluster_index"].tolist(),
                clusters["first_point"].tolist(),
                clusters["n_points"].tolist(),
                strict=True,
            )
        }
        self._selected: dict[int, list[dict[str, Any]]] = {}
        for row in select(self._estimates, self._gate, self._solver).iter_rows(named=True):
            self._selected.setdefault(row["event"], []).append(row)
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.__exit__(*error)

    def read(self, index: int) -> list[Track]:
        return [self._track(row) for row in self._selected.get(int(self.numbers[index]), ())]

    def _track(self, row: dict[str, Any]) -> Track:
        points = self._reader.read("points", *self._spans[row["event"], row["cluster_index"]])
        return Track(row, np.column_stack([points["x"], points["y"], points["z"]]), points["charge"], points["scale"])


def select(estimates: pl.DataFrame, gate: Gate, solver: SimpleNamespace) -> pl.DataFrame:
    """The estimates inside the gate's polygon and the bounds on the ion chamber."""
    in_gate = gate.contains(estimates[gate.xaxis].to_numpy(), estimates[gate.yaxis].to_numpy())
    amplitude = estimates["ic_amplitude"].to_numpy()
    return estimates.filter(in_gate & (amplitude > solver.ic_min_val) & (amplitude < solver.ic_max_val))


def open_source(files: Mapping[str, Path], parameters: SimpleNamespace) -> Source:
    """The gated clusters of a run's `cluster` and `estimate` files."""
    return Source(files, parameters)


def prepare(files: Mapping[str, Path], parameters: SimpleNamespace) -> FitSettings:
    """Gas, gate and bounds as the fit wants them."""
    gate, solver, detector = load_gate(files["gate"]), parameters.solver, parameters.detector
    gas = load_gas(files["gas"])
    motion = motion_of(gas, gate.Z, gate.A, detector.magnetic_field, detector.electric_field)
    per_bucket = detector.detector_length / (detector.window_time_bucket - detector.micromegas_time_bucket)
    first_recorded = (detector.window_time_bucket - (N_SAMPLES - 1)) * per_bucket
    ke = (solver.interp_ke_min, solver.interp_ke_max)
    brho = [math.log(float(brho_from_ke(value, gate.Z, gate.A))) for value in ke]
    polar = [math.radians(value) for value in (solver.interp_polar_min, solver.interp_polar_max)]
    reach, length = 4 * detector.beam_region_radius, detector.detector_length
    return FitSettings(
        Z=gate.Z,
        A=gate.A,
        motion=motion,
        fluctuations=fluctuations(gas),
        beam_spot=solver.beam_spot,
        volume=np.array([FOLLOW_RADIUS, -0.05 * length, 1.05 * length]),
        visible=np.array([detector.beam_region_radius, PADS_RADIUS, max(0.0, first_recorded), length]),
        lower=np.array([-reach, -reach, -0.05 * length, brho[0], polar[0], -4 * math.pi]),
        upper=np.array([reach, reach, 1.05 * length, brho[1], polar[1], 4 * math.pi]),
        free=(solver.fit_vertex_rho, solver.fit_vertex_phi, solver.fit_azimuthal),
        method=solver.fit_method,
    )


def process(tracks: list[Track], settings: FitSettings) -> Product:
    """Fit the gated clusters of one event."""
    product, rows = Product(counts={"selected": len(tracks)}), []
    for track in tracks:
        index = track.estimate["cluster_index"]
        if len(track.points) < FEWEST_POINTS:
            product.rejected.append((index, f"{len(track.points)} points are too few to fit"))
            continue
        fit = fit_track(track.points, track.charge, track.scale, first_estimate(track.estimate), settings)
        if fit is None:
            product.rejected.append((index, "no start leads to a minimum"))
            continue
        rows.append(solution(track.estimate, fit, settings))
    product.tables["solutions"] = {name: [row[name] for row in rows] for name in SOLUTIONS.names}
    return product


def first_estimate(row: Mapping[str, Any]) -> FirstEstimate:
    """Where the fit starts, from a row of the estimates."""
    vertex = (row["vertex_x"], row["vertex_y"], row["vertex_z"])
    return FirstEstimate(vertex, row["brho"], row["polar"], row["azimuthal"])


def solution(row: Mapping[str, Any], fit: TrackFit, settings: FitSettings) -> dict[str, Any]:
    """A row of the solutions; lengths in m."""
    sigma = np.sqrt(np.diag(fit.covariance))
    brho = math.exp(fit.values[3])
    ke, sigma_ke = kinetic_energy(fit, settings)
    copied = ("event", "cluster_index", "cluster_label", "orig_run", "orig_event")
    return {
        **{name: row[name] for name in copied},
        **{f"vertex_{axis}": fit.values[k] * MM for k, axis in enumerate("xyz")},
        **{f"sigma_v{axis}": sigma[k] * MM for k, axis in enumerate("xyz")},
        "brho": brho,
        "sigma_brho": brho * sigma[3],
        "ke": ke,
        "sigma_ke": sigma_ke,
        "polar": fit.values[4],
        "sigma_polar": sigma[4],
        "azimuthal": fit.values[5] % (2 * math.pi),
        "sigma_azimuthal": sigma[5],
        "redchisq": fit.redchisq,
        "n_points": fit.n_points,
        "stops": fit.stops,
    }
