"""Solve: a trajectory fitted to each gated cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from spyral_core import store
from spyral_core.detector.masked import masked_pads
from spyral_core.detector.pads import PadPlane, load
from spyral_core.fitting.fit import TrackFit, fit_track, kinetic_energy
from spyral_core.fitting.gate import Gate, load_gate
from spyral_core.fitting.scattering import Fluctuations, fluctuations
from spyral_core.fitting.settings import FitSettings, Plane, Track
from spyral_core.fitting.starts import FirstEstimate
from spyral_core.phases.whole_pulses import track_of
from spyral_core.physics.gas import load_gas
from spyral_core.physics.motion import motion_of
from spyral_core.physics.nuclei import brho_from_ke
from spyral_core.runner import Product
from spyral_core.tables import SOLUTIONS, Table

N_SAMPLES = 512  # time buckets that the electronics record
PADS_RADIUS = 270.0  # mm: the pad plane's edge
FOLLOW_RADIUS = 320.0  # mm: trajectories are followed a little beyond it
FEWEST_POINTS = 10
MM = 1e-3  # m
LEAST_FIELD = 1.0  # V/mm


@dataclass(frozen=True)
class Selected:
    """A gated cluster: its estimate and its points."""

    estimate: Mapping[str, Any]
    track: Track


class Source:
    """The gated clusters of each event."""

    def __init__(self, files: Mapping[str, Path], parameters: SimpleNamespace) -> None:
        self._reader = store.TableReader(files["cluster"])
        self._estimates = store.read_parquet(files["estimate"])
        self._gate = load_gate(files["gate"]) if "gate" in files else None
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

    def read(self, index: int) -> list[Selected]:
        return [self._track(row) for row in self._selected.get(int(self.numbers[index]), ())]

    def _track(self, row: dict[str, Any]) -> Selected:
        points = self._reader.read("points", *self._spans[row["event"], row["cluster_index"]])
        return Selected(row, track_of(points))


def select(estimates: pl.DataFrame, gate: Gate | None, solver: SimpleNamespace) -> pl.DataFrame:
    """The estimates inside the gate's polygon, if there is one, and the bounds on the ion chamber."""
    amplitude = estimates["ic_amplitude"].to_numpy()
    chosen = (amplitude > solver.ic_min_val) & (amplitude < solver.ic_max_val)
    if gate is not None:
        chosen &= gate.contains(estimates[gate.xaxis].to_numpy(), estimates[gate.yaxis].to_numpy())
    return estimates.filter(chosen)


def open_source(files: Mapping[str, Path], parameters: SimpleNamespace) -> Source:
    """The gated clusters of a run's `cluster` and `estimate` files; all clusters if no `gate` is among the files."""
    return Source(files, parameters)


def prepare(files: Mapping[str, Path], parameters: SimpleNamespace) -> FitSettings:
    """Gas, gate, pads and bounds as the fit wants them."""
    gate = load_gate(files["gate"])
    return settings_of(gate.Z, gate.A, files, parameters)


def settings_of(Z: int, A: int, files: Mapping[str, Path], parameters: SimpleNamespace) -> FitSettings:
    """Gas, pads and bounds as the fit of a species wants them."""
    solver, detector, pads = parameters.solver, parameters.detector, parameters.pads
    gas = load_gas(files["gas"])
    motion = motion_of(gas, Z, A, detector.magnetic_field, detector.electric_field)
    per_bucket = detector.detector_length / (detector.window_time_bucket - detector.micromegas_time_bucket)
    first_recorded = (detector.window_time_bucket - (N_SAMPLES - 1)) * per_bucket
    ke = (solver.interp_ke_min, solver.interp_ke_max)
    brho = [math.log(float(brho_from_ke(value, Z, A))) for value in ke]
    polar = [math.radians(value) for value in (solver.interp_polar_min, solver.interp_polar_max)]
    reach, length = 4 * detector.beam_region_radius, detector.detector_length
    return FitSettings(
        Z=Z,
        A=A,
        motion=motion,
        fluctuations=fluctuations(gas) if solver.scattering else Fluctuations(0.0, 0.0),
        plane=plane_of(load(pads.geometry, pads.geometry_holds, pads.scale), masked_pads(files["survey"])),
        diffusion=2 * solver.diffusion_voltage / max(abs(detector.electric_field) * MM, LEAST_FIELD),
        beam_spot=solver.beam_spot,
        length=length,
        volume=np.array([FOLLOW_RADIUS, -0.05 * length, 1.05 * length]),
        visible=np.array([detector.beam_region_radius, PADS_RADIUS, max(0.0, first_recorded), length]),
        lower=np.array([-reach, -reach, -0.05 * length, brho[0], polar[0], -4 * math.pi]),
        upper=np.array([reach, reach, 1.05 * length, brho[1], polar[1], 4 * math.pi]),
        free=(solver.fit_vertex_rho, solver.fit_vertex_phi, solver.fit_azimuthal),
        method=solver.fit_method,
    )


def plane_of(pads: PadPlane, masked: NDArray[np.bool_]) -> Plane:
    """The pads as the fit wants them; those around the beam and `masked` ones (10240,) are not read."""
    centroids = np.column_stack([pads.x, pads.y])
    return Plane(centroids, np.ascontiguousarray(pads.vertices - centroids[:, None, :]), ~pads.beam & ~masked)


def process(clusters: list[Selected], settings: FitSettings) -> Product:
    """Fit the gated clusters of one event."""

    def rows_of(cluster: Selected) -> list[dict[str, Any]]:
        fit = fit_track(cluster.track, first_estimate(cluster.estimate), settings)
        return [] if fit is None else [solution(cluster.estimate, fit, settings)]

    return fit_clusters(clusters, SOLUTIONS, rows_of, "no start leads to a minimum")


def fit_clusters(
    clusters: list[Selected], table: Table, rows_of: Callable[[Selected], list[dict[str, Any]]], reason: str
) -> Product:
    """The rows of a table that fits of one event's clusters give; without any a cluster is rejected for a reason."""
    product, rows = Product(counts={"selected": len(clusters)}), []
    for cluster in clusters:
        index, n_points = cluster.estimate["cluster_index"], len(cluster.track.points)
        if n_points < FEWEST_POINTS:
            product.rejected.append((index, f"{n_points} points are too few to fit"))
            continue
        found = rows_of(cluster)
        if not found:
            product.rejected.append((index, reason))
        rows += found
    product.tables[table.name] = {name: [row[name] for row in rows] for name in table.names}
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
