"""Resolution, bias, efficiency and pulls against simulated truth: `python benchmarks/resolution.py`.

Each sample is simulated and reconstructed without and with multiple scattering and energy-loss straggling, by the whole
chain and without a drawn gate: every cluster is fitted as the particle that is looked for, and with scattering as each
of p, d, t, ³He and ⁴He, too. Printed are the tables of docs/resolution.md: resolution against what was seen elsewhere
and against the Cramér–Rao bound of the same tracks, bias, pulls, and what was found. Energy bands are merged until a
band's standard error is half of what is asked for.

`--keep DIR` keeps the files; a second call with the same folder, events and seed and `--from solve` repeats the chain
from a stage on.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from pathlib import Path

import numpy as np
from accuracy import beam_hole, document, tables
from accuracy.chain import CHAIN, Found, reconstruct
from accuracy.samples import OTHERS, SAMPLES, TABLE, configuration

SETS = {"table": list(TABLE), "others": list(OTHERS)}


def report(samples: list[Found]) -> str:
    """All tables of some samples."""
    parts = []
    if any(not found.scattering and SAMPLES[found.name].seen for found in samples):
        parts += ["### Without scattering and straggling, against what was seen", tables.without_scattering(samples)]
        if lower := beam_hole.table(samples):
            parts += ["What was seen lies below the bound here, and what the bound would be without its reason:", lower]
    for scattering, name in ((True, "With"), (False, "Without")):
        table, ratios = tables.against_bound(samples, scattering)
        if ratios:
            middle = f"Median of the {len(ratios)} ratios: {np.median(ratios):.2f}"
            target = f"; the target is {tables.RATIO:g}." if scattering else "."
            parts += [f"### {name} scattering and straggling, against the bound", table + "\n" + middle + target + "\n"]
    parts += ["### Bias", tables.bias(samples), "### Pulls", tables.pull_widths(samples)]
    parts += ["### What is found", tables.efficiency(samples)]
    return "\n\n".join(part.rstrip() for part in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1500, help="events a sample")
    parser.add_argument("--seed", type=int, default=301)
    parser.add_argument("--reactions", nargs="+", choices=[*SETS, *SAMPLES], default=list(SETS), metavar="REACTION",
                        help=f"sets ({', '.join(SETS)}) or reactions: {', '.join(SAMPLES)}")  # fmt: skip
    parser.add_argument("--scattering", choices=["off", "on", "both"], default="both")
    parser.add_argument("--from", dest="first", choices=CHAIN, default="simulate")
    parser.add_argument("--no-species", dest="species", action="store_false", help="do not fit all candidates")
    parser.add_argument("--keep", type=Path, help="folder for the files")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page whose tables are renewed (docs/resolution.md)")
    options = parser.parse_args()
    names = [name for chosen in options.reactions for name in SETS.get(chosen, [chosen])]
    found = []
    with tempfile.TemporaryDirectory(prefix="resolution_") as temporary:
        folder = options.keep or Path(temporary)
        for scattering in {"off": (False,), "on": (True,), "both": (False, True)}[options.scattering]:
            identify = options.species and scattering
            for name in dict.fromkeys(names):
                own = folder / f"{name} {'with' if scattering else 'without'} scattering"
                settings = configuration(SAMPLES[name], own, options.events, options.seed, scattering, identify)
                found.append(reconstruct(name, settings, SAMPLES[name], own, options.first, identify))
    command = f"python benchmarks/resolution.py --events {options.events} --seed {options.seed}"
    if options.reactions != list(SETS):
        command += " --reactions " + " ".join(shlex.quote(name) for name in options.reactions)
    if options.scattering != "both":
        command += f" --scattering {options.scattering}"
    document.publish(options.write, "resolution", command, report(found))


if __name__ == "__main__":
    main()
