"""Events of another group's simulator by the whole chain, against truth: `python benchmarks/other_simulator.py`.

The simulator is `attpc_engine`, installed from PyPI into an environment of its own (Python 3.10 to 3.12). It has
neither multiple scattering nor energy-loss straggling. Its hits become GET traces by `engine/traces.py`, which shares
no code with this program's own simulation. Samples, tracks that count and tables are those of resolution.py. The fit is
done in three ways (`WAYS`): without scattering, as these tracks are, in gas of the density that the pressure tells, and
of the density that the simulator takes, which is lower (integer mass numbers); and with scattering, the default.

`--keep DIR` keeps the files; a second call with the same folder, events and seed makes only what follows `--from`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from accuracy import document, tables
from accuracy.chain import CHAIN, Found, reconstruct
from accuracy.samples import TABLE
from engine import run
from engine.samples import analysis, as_dense, simulator_settings
from engine.traces import PLACES
from speed import environment

from spyral_core import paths
from spyral_core.config import Configuration
from spyral_core.physics.gas import load_gas

HERE = Path(__file__).parent
PACKAGE, VERSION, NEEDS = "attpc_engine", "0.9.0", "Python 3.10 to 3.12 and a C++ compiler"
FIRST = ("hits", "traces", *CHAIN[CHAIN.index("survey") : CHAIN.index("solve") + 1])
# Title, the simulator's own density of the gas, scattering.
WAYS = (
    ("Fitted without scattering", False, False),
    ("Fitted without scattering, in gas of the density that the simulator takes", True, False),
    ("Fitted with scattering (default)", False, True),
)


def make(settings: Configuration, name: str, folder: Path, python: Path, options: argparse.Namespace) -> None:
    """The hits, unless they are kept, and the traces and the truth from them."""
    simulation, hits, results = settings.simulate, folder / "hits.h5", folder / "results"
    assert simulation is not None
    if options.first == "hits":
        parameters = folder / "simulator.json"
        parameters.write_text(json.dumps(simulator_settings(simulation, TABLE[name].gas)))
        subprocess.run([python, HERE / "engine" / "simulator.py", parameters, hits], check=True)
    (folder / "bound.parquet").unlink(missing_ok=True)
    traces, truth = paths.trace_file(results / "traces", 1), paths.product(results, "truth", 1)
    run.write_run(run.load_hits(hits), simulation, options.place, traces, truth)


def fitted(name: str, folder: Path, python: Path, options: argparse.Namespace) -> list[Found]:
    """One sample, fitted in all ways."""
    stated = TABLE[name]
    settings = analysis(stated, folder, options.events, options.seed, False, False)
    first = options.first
    if first not in CHAIN:
        print(f"{name}: hits and traces", file=sys.stderr, flush=True)
        make(settings, name, folder, python, options)
        first = "survey"
    hits = run.load_hits(folder / "hits.h5")
    paths_of = {event: hits.path(event) for event in range(len(hits.vertices))}
    assert settings.simulate is not None
    own_density = hits.density / load_gas(settings.simulate.gas).density
    found = []
    for _, simulated_density, scattering in WAYS:
        sample = as_dense(stated, own_density) if simulated_density else stated
        settings = analysis(sample, folder, options.events, options.seed, scattering, scattering)
        found.append(reconstruct(name, settings, sample, folder, first, scattering, paths_of))
        first = "solve"
    return found


def report(samples: list[Found]) -> str:
    """All tables of some samples, fitted in one way."""
    parts = [tables.without_scattering(samples), tables.bias(samples), tables.pull_widths(samples)]
    return "\n\n".join(part.rstrip() for part in [*parts, tables.efficiency(samples)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=500, help="events a sample")
    parser.add_argument("--seed", type=int, default=702)
    parser.add_argument("--reactions", nargs="+", choices=list(TABLE), default=list(TABLE), metavar="REACTION",
                        help=f"of {', '.join(TABLE)}")  # fmt: skip
    parser.add_argument("--place", choices=list(PLACES), default="middle",
                        help="where in its time bucket a hit's pulse has its maximum (default: middle)")  # fmt: skip
    parser.add_argument("--from", dest="first", choices=FIRST, default="hits")
    parser.add_argument("--environment", type=Path, default=environment.cache_folder() / "attpc_engine_venv",
                        help="folder of the simulator's environment")  # fmt: skip
    parser.add_argument("--keep", type=Path, help="folder for the files")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page whose tables are renewed (docs/resolution.md)")
    options = parser.parse_args()
    python = environment.ensure(options.environment, PACKAGE, VERSION, NEEDS)
    with tempfile.TemporaryDirectory(prefix="other_simulator_") as temporary:
        folder = options.keep or Path(temporary)
        found = [fitted(name, folder / name, python, options) for name in options.reactions]
    parts = []
    for number, (title, _, _) in enumerate(WAYS):
        parts += [f"### {title}", report([ways[number] for ways in found])]
    command = f"python benchmarks/other_simulator.py --events {options.events} --seed {options.seed}"
    document.publish(options.write, "other simulator", command, "\n\n".join(parts))


if __name__ == "__main__":
    main()
