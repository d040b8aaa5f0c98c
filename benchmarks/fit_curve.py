"""How near to the bound the fit comes in how much time: `python benchmarks/fit_curve.py -o docs/images/fit_curve.png`.

The clusters of the table's samples, simulated with scattering and straggling, are fitted in variants that trade time
for accuracy, each the same clusters; printed are processor time a track and the ratio of errors to the Cramér–Rao bound
of the same tracks (half of the central 68 %, all samples together). The figure marks the program as it is. With
`--keep` the folder of a former call, or of resolution.py with the same events and seed, is used again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from accuracy import document
from accuracy.bands import width
from accuracy.chain import CHAIN, reconstruct
from accuracy.samples import SAMPLES, TABLE, configuration
from accuracy.variants import CHOSEN, VARIANTS, Variant
from matplotlib.figure import Figure
from numpy.typing import NDArray
from speed.table import markdown

from spyral_core import paths
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical
from spyral_core.fitting.fit import TrackFit, fit_track, kinetic_energy
from spyral_core.fitting.settings import FitSettings
from spyral_core.phases.solve import MM, Selected, first_estimate, open_source, settings_of
from spyral_core.report import style
from spyral_core.runner import namespace

LABELS = ("energy", "polar", "vertex z")


@dataclass(frozen=True)
class Material:
    """A sample's `survey` and the clusters of its true tracks, what is true (n, 3) of energy [MeV], polar angle [rad]
    and vertex z [m], and what is the bound (n, 3) in these units."""

    settings: Configuration
    survey: Path
    species: tuple[int, int]
    clusters: list[Selected]
    true: NDArray[np.float64]
    bound: NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """A variant's time a track [ms], its error over the bound (3,), the errors of these, and the share of tracks that
    it fitted."""

    name: str
    time: float
    ratio: NDArray[np.float64]
    error: NDArray[np.float64]
    fitted: float


def material_of(name: str, folder: Path, events: int, seed: int, most: int) -> Material:
    """The first clusters of a sample with a solution, at most so many."""
    sample, own = SAMPLES[name], folder / f"{name} with scattering"
    made = paths.product(own / "results", "solver", 1, "all").is_file()
    settings = configuration(sample, own, events, seed, scattering=True)
    tracks = reconstruct(name, settings, sample, own, CHAIN[-1] if made else CHAIN[0]).fitted.head(most)
    wanted = {(row["event"], row["cluster_index"]): row for row in tracks.iter_rows(named=True)}
    files = {"gate": own / "all.json"} | {
        part: paths.product(own / "results", part, 1) for part in STAGES["solve"].inputs
    }
    clusters, true, bound = [], [], []
    with open_source(files, _parameters(settings)) as source:
        for index in range(len(source.numbers)):
            for cluster in source.read(index):
                row = wanted.get((cluster.estimate["event"], cluster.estimate["cluster_index"]))
                if row is not None:
                    clusters.append(cluster)
                    true.append((row["ke"], row["polar"], MM * row["vertex_z"]))
                    bound.append(
                        (row["bound_ke"] * row["ke"], np.radians(row["bound_polar"]), MM * row["bound_vertex_z"])
                    )
    return Material(settings, files["survey"], sample.species, clusters, np.array(true), np.array(bound))


def _parameters(settings: Configuration):  # type: ignore[no-untyped-def]
    return namespace(json.loads(canonical(settings, STAGES["solve"].parameters)))


def measure(materials: list[Material], repeats: int) -> list[Point]:
    """Fit all clusters in all variants, each cluster in turn, so that a machine that slows down slows down them all.

    The time of a fit is the smallest of some repetitions.
    """
    times: list[list[float]] = [[] for _ in VARIANTS]
    ratios: list[list[NDArray[np.float64]]] = [[] for _ in VARIANTS]
    for material in materials:
        every = [_settings(variant, material) for variant in VARIANTS]
        for cluster, true, bound in zip(material.clusters, material.true, material.bound, strict=True):
            print(f"{len(times[0])} tracks fitted", file=sys.stderr)
            for place, (variant, settings) in enumerate(zip(VARIANTS, every, strict=True)):
                found, taken = _timed(variant, cluster, settings, repeats)
                times[place].append(taken)
                if found is not None:
                    ke, _ = kinetic_energy(found, settings)
                    ratios[place].append((np.array([ke, found.values[4], MM * found.values[2]]) - true) / bound)
    points = []
    for variant, taken_each, errors in zip(VARIANTS, times, ratios, strict=True):
        known = np.array([error for error in errors if np.isfinite(error).all()])
        widths = np.array([width(column) for column in known.T])
        fitted = len(errors) / len(taken_each)
        points.append(Point(variant.name, 1e3 * float(np.mean(taken_each)), widths[:, 0], widths[:, 1], fitted))
    return points


def _settings(variant: Variant, material: Material) -> FitSettings:
    solver = material.settings.solver
    assert solver is not None
    changed = material.settings.model_copy(update={"solver": solver.model_copy(update=dict(variant.solver))})
    files = {"gas": Path(solver.gas), "survey": material.survey}
    return settings_of(*material.species, files, _parameters(changed))


def _timed(variant: Variant, cluster: Selected, settings: FitSettings, repeats: int) -> tuple[TrackFit | None, float]:
    """A cluster's fit in a variant, and its processor time [s]."""
    taken = np.inf
    with variant.applied():
        for _ in range(repeats):
            started = time.process_time()
            found = fit_track(cluster.track, first_estimate(cluster.estimate), settings)
            taken = min(taken, time.process_time() - started)
    return found, taken


def table(points: list[Point]) -> str:
    """The points as Markdown, fastest first."""
    rows = []
    for number, point in enumerate(sorted(points, key=lambda point: point.time), start=1):
        ratios = [f"{value:.2f} ± {error:.2f}" for value, error in zip(point.ratio, point.error, strict=True)]
        shown = f"**{point.name}**" if point.name == CHOSEN else point.name
        rows.append(
            [str(number), shown, f"{point.time:.1f}", *ratios, f"{np.median(point.ratio):.2f}", f"{point.fitted:.3f}"]
        )
    return markdown(["", "variant", "ms a track", *LABELS, "median", "fitted"], rows)


def figure(points: list[Point]) -> Figure:
    """Ratio against time, a panel for energy and one for the polar angle."""
    drawn, panels = style.panels("Errors over the Cramér–Rao bound against the time of a fit", 5.2, 1, 2)
    for axes, place in zip(panels, (0, 1), strict=True):
        for number, point in enumerate(sorted(points, key=lambda point: point.time), start=1):
            chosen = point.name == CHOSEN
            axes.errorbar(
                point.time, point.ratio[place], point.error[place], fmt="*" if chosen else "o",
                markersize=13 if chosen else 5, color=style.RED if chosen else style.BLUE, zorder=3 if chosen else 2,
            )  # fmt: skip
            axes.annotate(str(number), (point.time, point.ratio[place]), (5, 4), textcoords="offset points", fontsize=8)
        axes.axhline(1.0, color=style.MUTED, linewidth=1.0)
        axes.set_xlabel("processor time a track [ms]")
        axes.set_ylabel(f"error over bound, {LABELS[place]}")
        style.set_log(axes, "x", style.log_span(np.array([point.time for point in points]), 0.0, 1.0))
        style.set_log(axes, "y", style.log_span(np.array([point.ratio[place] for point in points] + [0.95]), 0.0, 1.0))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=150, help="events a sample")
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--tracks", type=int, default=80, help="most tracks of a sample")
    parser.add_argument("--repeats", type=int, default=2, help="fits of a cluster, of which the fastest counts")
    parser.add_argument("--keep", type=Path, help="folder for the files")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page whose table is renewed (docs/resolution.md)")
    parser.add_argument("-o", "--output", type=Path, help="where to write the figure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fit_curve_") as temporary:
        folder = options.keep or Path(temporary)
        materials = [material_of(name, folder, options.events, options.seed, options.tracks) for name in TABLE]
        few = [replace(m, clusters=m.clusters[:1], true=m.true[:1], bound=m.bound[:1]) for m in materials]
        measure(few, 1)  # everything is compiled
        points = measure(materials, options.repeats)
    command = (
        f"python benchmarks/fit_curve.py --events {options.events} --seed {options.seed} --tracks {options.tracks}"
    )
    document.publish(options.write, "fit curve", command, table(points))
    if options.output:
        style.write(options.output, figure, points)


if __name__ == "__main__":
    main()
