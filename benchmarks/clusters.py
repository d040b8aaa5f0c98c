"""Clusters against the particles that made their points: `python benchmarks/clusters.py`.

The samples are those of `resolution.py`, each with and without the heavy residue, and the embedded experiment, with
scattering and straggling. A point belongs to the particle whose own pulse on the pad is the highest at its time
(`spyral_core/simulate/labels.py`). Every cluster is fitted as the particle that is looked for, without a drawn gate;
with `--species` also as each of p, d, t, ³He and ⁴He. Printed as Markdown, a line a sample, of the true particles of 80
pads or more in clean events:

- eff., purity: share of a particle's points that its best cluster holds; share of that cluster's points that are its;
- > 0.8, > 0.9: particles whose best cluster holds 80 % of their points and is 90 % pure;
- pieces: clusters that hold more than a tenth of its points; noise: its points in no cluster;
- start lost: less than half of its first 20 pads' points are in the best cluster;
- merged: its best cluster holds a fifth of another particle's points, too, and ten at least;
- solved: there is a result of its best cluster; close: that is within 20 % and 5° (of those that stop or turn by 30°);
- results: those of clusters most of whose points are this particle's; all: all results of these events;
- own, taken: the same of results that are most probably of this species; probable: of those, those above 0.5 with
  a `charge_pull` below 4.

`--keep DIR` keeps the files, and a second call with the same folder only makes what has changed: `--from cluster`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from accuracy.samples import CANDIDATES, EVERYTHING, OTHERS, TABLE, configuration
from numpy.typing import NDArray

from spyral_core import paths, store
from spyral_core.catalog import STAGES
from spyral_core.config import Configuration, canonical, load, validate
from spyral_core.job import run_job
from spyral_core.physics.gas import load_gas
from spyral_core.report.truth import clean
from spyral_core.simulate import labels
from spyral_core.simulate.event import prepare

ROOT = Path(__file__).parents[1]
CHAIN = ("simulate", "survey", "pointcloud", "cluster", "estimate", "solve")
FIRST_PADS = 20
EMBEDDED = "embedded"
REACTIONS = {name.removesuffix(" with residue"): sample for name, sample in {**TABLE, **OTHERS}.items()}
NAMES = [EMBEDDED, *(f"{name} {kind} residue" for name in REACTIONS for kind in ("without", "with"))]
USUAL = NAMES[: 1 + 2 * len(TABLE)]
Integers = NDArray[np.int64]


def settings_of(name: str, folder: Path, events: int, seed: int, overrides: dict[str, Any]) -> Configuration:
    """The configuration of a sample, its files in `folder`."""
    if name == EMBEDDED:
        folder.mkdir(parents=True, exist_ok=True)
        gate = folder / "all.json"
        gate.write_text(json.dumps({"vertices": EVERYTHING, "Z": 1, "A": 2}))
        made = load(ROOT / "config" / "config.yaml").model_dump(mode="json")
        made["simulate"] |= {"seed": seed, "runs": 1, "events": events, "gas": str(ROOT / made["simulate"]["gas"])}
        made["solver"] |= {"gates": [str(gate)], "gas": made["simulate"]["gas"]}
        made["runs"] = "1"
    else:
        sample, kind, _ = name.rsplit(" ", 2)
        made = configuration(REACTIONS[sample], folder, events, seed, scattering=True).model_dump(mode="json")
        made["simulate"]["reaction"]["residual"] = kind == "with"
    made["solver"]["species"] = CANDIDATES
    for section, values in overrides.items():
        made[section] |= values
    return validate(made)


def make(settings: Configuration, folder: Path, first: str, species: bool) -> None:
    """The files of a sample, from stage `first` on."""
    assert settings.solver is not None
    results = folder / "results"
    chain = CHAIN[CHAIN.index(first) :] + (("hypotheses", "species") if species else ())
    for name in chain:
        started = time.monotonic()
        parameters = json.loads(canonical(settings, STAGES[name].parameters, STAGES[name].ignored))
        gate = Path(settings.solver.gates[0]) if name == "solve" else None
        run_job(STAGES[name], 1, parameters, results, results / "traces", gate, workers=1)
        print(f"{folder.name} {name}: {time.monotonic() - started:.1f} s", file=sys.stderr)
    if CHAIN.index(first) <= CHAIN.index("pointcloud") or not (folder / "owners.npz").exists():
        np.savez(folder / "owners.npz", **label(settings, results))


def label(settings: Configuration, results: Path) -> dict[str, Integers]:
    """The source of each point of the run's clouds, and whether it is on one of the source's first pads."""
    assert settings.simulate is not None
    experiment = prepare(settings.simulate, load_gas(Path(settings.simulate.gas)), 1)
    with store.TableReader(paths.product(results, "pointcloud", 1)) as reader:
        events, points = reader.read("events"), reader.read("points", names=("pad", "time"))
    owners = np.full(len(points["pad"]), labels.NOISE)
    is_first = np.zeros(len(owners), np.bool_)
    for number, start, n in zip(events["event"], events["first_point"], events["n_points"], strict=True):
        rows = slice(start, start + n)
        sources = labels.sources(int(number), experiment)
        owners[rows] = labels.owners(points["pad"][rows], points["time"][rows], sources)
        for name, (pads, pulses) in zip(sources.names, sources.pulses, strict=True):
            lit = pads[(pulses[:, 1:].max(axis=1, initial=0.0) > 30.0) & ~experiment.pads.beam[pads]][:FIRST_PADS]
            is_first[rows] |= (owners[rows] == name) & np.isin(points["pad"][rows], lit)
    return {"owner": owners, "first": is_first}


def tracks(settings: Configuration, folder: Path, species: tuple[int, int], with_species: bool) -> pl.DataFrame:
    """One row a counted true particle: what became of its points."""
    results = folder / "results"
    truth = store.read_parquet(paths.product(results, "truth", 1))
    truth = truth.with_columns(row=pl.int_range(pl.len()).over("event"))
    chosen = clean(truth, species, min_turn=-1.0)
    saved = np.load(folder / "owners.npz")
    with store.TableReader(paths.product(results, "pointcloud", 1)) as reader:
        clouds = reader.read("events")
        charge = reader.read("points", names=("integral",))["integral"]
    with store.TableReader(paths.product(results, "cluster", 1)) as reader:
        events, clusters, points = reader.read("events"), reader.read("clusters"), reader.read("points")
    place = {int(number): row for row, number in enumerate(clouds["event"])}
    at = {int(number): row for row, number in enumerate(events["event"])}
    solver = store.read_parquet(paths.product(results, "solver", 1, "all"))
    named = store.read_parquet(paths.product(results, "species", 1)).filter("best") if with_species else None
    rows = []
    for true in chosen.iter_rows(named=True):
        cloud = place[true["event"]]
        span = slice(clouds["first_point"][cloud], clouds["first_point"][cloud] + clouds["n_points"][cloud])
        owner, is_first = saved["owner"][span], saved["first"][span]
        of_point = np.full(len(owner), -1)
        event = at.get(true["event"])
        n_clusters = 0 if event is None else int(events["n_clusters"][event])
        for k in range(n_clusters):
            cluster = int(events["first_cluster"][event]) + k
            begin = int(clusters["first_point"][cluster])
            members = points["cloud_point"][begin : begin + int(clusters["n_points"][cluster])]
            of_point[members] = clusters["cluster_index"][cluster]
        rows.append(
            one_track(true, owner, is_first, of_point, charge[span], n_clusters)
            | results_of(true, owner, of_point, solver, named, species)
        )
    return chosen.join(pl.DataFrame(rows), on=["event", "row"])


def one_track(
    true: dict[str, Any],
    owner: Integers,
    is_first: NDArray[np.bool_],
    of_point: Integers,
    charge: NDArray[np.float64],
    n_clusters: int,
) -> dict[str, Any]:
    """How a particle's points are clustered; `of_point` (n,) is the cluster of each, −1 is noise."""
    mine = owner == true["row"]
    held = np.bincount(of_point[mine & (of_point >= 0)], minlength=max(n_clusters, 1))
    best = int(held.argmax())
    inside = of_point == best
    merged = any(
        np.count_nonzero(inside & (owner == other)) >= max(10, 0.2 * np.count_nonzero(owner == other))
        for other in np.unique(owner[owner >= labels.BEAM])
        if other != true["row"]
    )
    n_mine = max(np.count_nonzero(mine), 1)
    return {
        "event": true["event"],
        "row": true["row"],
        "best": best if held[best] else -1,
        "efficiency": held[best] / n_mine,
        "purity": float(np.mean(mine[inside])) if held[best] else 0.0,
        "charge_purity": float(charge[inside & mine].sum() / max(charge[inside].sum(), 1e-9)),
        "pieces": int(np.count_nonzero(held > 0.1 * n_mine)),
        "noise": float(np.mean(of_point[mine] < 0)) if mine.any() else 1.0,
        "start_lost": bool(np.count_nonzero(mine & is_first & inside) < 0.5 * np.count_nonzero(mine & is_first)),
        "merged": merged,
    }


def results_of(
    true: dict[str, Any],
    owner: Integers,
    of_point: Integers,
    solver: pl.DataFrame,
    named: pl.DataFrame | None,
    species: tuple[int, int],
) -> dict[str, Any]:
    """Results of a particle and of its event, and how near that of the best cluster is."""
    found = solver.filter(pl.col("event") == true["event"])
    mine = [k for k in found["cluster_index"] if _main_owner(owner, of_point, k) == true["row"]]
    best = np.bincount(of_point[(owner == true["row"]) & (of_point >= 0)], minlength=1).argmax()
    own = found.filter(pl.col("cluster_index") == int(best))
    close = bool(own.height) and bool(
        abs(own["ke"][0] / true["ke"] - 1) <= 0.2 and abs(own["polar"][0] - true["polar"]) <= math.radians(5)
    )
    counts = {"results": len(mine), "all": found.height, "solved": bool(own.height), "close": close}
    if named is not None:
        claim = named.filter(pl.col("event") == true["event"])
        right = claim.filter((pl.col("Z") == species[0]) & (pl.col("A") == species[1]))
        counts |= {
            "own": right.filter(pl.col("cluster_index").is_in(mine)).height,
            "taken": right.height,
            "probable": right.filter((pl.col("probability") > 0.5) & (pl.col("charge_pull").abs() < 4)).height,
        }
    return counts


def _main_owner(owner: Integers, of_point: Integers, cluster: int) -> int:
    names, numbers = np.unique(owner[of_point == cluster], return_counts=True)
    return int(names[numbers.argmax()]) if len(names) else labels.NOISE


COLUMNS = (
    "eff.", "purity", "charge purity", "> 0.8, > 0.9", "pieces", "noise", "start lost", "merged", "solved", "close",
    "results", "all", "own", "taken", "probable",
)  # fmt: skip


def line(name: str, made: pl.DataFrame) -> str:
    """The table's line of a sample."""
    judged = made.filter(pl.col("stops") | (pl.col("turn") > math.radians(30)))
    values = [
        made["efficiency"].mean(), made["purity"].mean(), made["charge_purity"].mean(),
        ((made["efficiency"] > 0.8) & (made["purity"] > 0.9)).mean(),
        made["pieces"].mean(), made["noise"].mean(), made["start_lost"].mean(), made["merged"].mean(),
        made["solved"].mean(), judged["close"].mean(), made["results"].mean(), made["all"].mean(),
        *(made[column].mean() if column in made.columns else None for column in ("own", "taken", "probable")),
    ]  # fmt: skip
    return f"| {name} | {made.height} | " + " | ".join("–" if v is None else f"{v:.3f}" for v in values) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200, help="events a sample")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--samples", nargs="+", choices=NAMES, default=USUAL, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--species", action="store_true", help="fit every cluster as each light nucleus, too")
    parser.add_argument("--set", type=json.loads, default={}, help="JSON: sections of the configuration, changed")
    parser.add_argument("--from", dest="first", choices=CHAIN, default="simulate")
    parser.add_argument("--keep", type=Path, help="folder for the files")
    options = parser.parse_args()
    print(f"| sample | n | {' | '.join(COLUMNS)} |\n{'| --- ' * (len(COLUMNS) + 2)}|", flush=True)
    with tempfile.TemporaryDirectory(prefix="clusters_") as temporary:
        for name in options.samples:
            folder = (options.keep or Path(temporary)) / name
            settings = settings_of(name, folder, options.events, options.seed, options.set)
            make(settings, folder, options.first, options.species)
            species = REACTIONS[name.rsplit(" ", 2)[0]].species if name != EMBEDDED else (1, 2)
            made = tracks(settings, folder, species, options.species)
            made.write_parquet(folder / "tracks.parquet")
            print(line(name, made), flush=True)


if __name__ == "__main__":
    main()
