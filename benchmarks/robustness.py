"""Does the program stay right when the experiment changes? `python benchmarks/robustness.py`.

Samples with scattering and straggling in other gases, pressures and fields, with other electronics, more noise, dead
pads: a line each, then bias and pulls by energy. The bound is that of the same tracks under the same conditions.
`--keep DIR`, `--from STAGE` as in resolution.py.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from accuracy import document, tables
from accuracy.bands import centre, width
from accuracy.chain import CHAIN, Found, reconstruct
from accuracy.conditions import CONDITIONS
from accuracy.samples import configuration
from speed.table import markdown


def line(found: Found) -> list[str]:
    """What became of one sample, at all energies."""
    tracks, told, fitted = found.tracks, found.tracks.filter("told"), found.fitted
    cells = [found.name, str(tracks.height), tables.share(fitted.height / tracks.height, tables.SOLVED, True)]
    cells += [tables.share(float(told["close"].to_numpy().mean()), tables.CLOSE, True)]
    cells += [tables.share(found.own_results / tracks.height, tables.RESULTS, False)]
    verdicts = []
    for quantity in (tables.ENERGY, tables.POLAR):
        errors = tables.residuals(fitted, quantity)
        middle, error = centre(errors)
        ratio = tables.ratio_to_bound(fitted, quantity)
        cells += [tables.pm(*width(errors), quantity), f"{ratio[0]:.2f} ± {ratio[1]:.2f}"]
        cells += [tables.pm(middle, error, quantity, "+")]
        verdicts.append(tables.bias_verdict(middle, error, tables.BIAS[quantity.name]))
    widths = [width(tables.pulls(fitted, quantity)) for quantity in tables.QUANTITIES]
    cells += [
        ", ".join(f"{value:.2f}" for value, _ in widths),
        f"{np.median(fitted['fitted_redchisq'].to_numpy()):.2f}",
    ]
    return [*cells, ", ".join(verdicts), tables.pull_verdict(widths)]


HEAD = ["conditions", "n", "solved", "close", "results a track", "energy (%)", "to the bound", "bias", "polar (deg)",
        "to the bound", "bias", "pulls: energy, polar, vertex z", "redchisq", "verdict: bias", "pulls"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400, help="events a sample")
    parser.add_argument("--seed", type=int, default=401)
    parser.add_argument("--scattering", choices=["off", "on"], default="on")
    parser.add_argument("--only", nargs="+", default=[""], help="conditions whose names contain one of these")
    parser.add_argument("--from", dest="first", choices=CHAIN, default="simulate")
    parser.add_argument("--keep", type=Path, help="folder for the files")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page whose tables are renewed (docs/resolution.md)")
    options = parser.parse_args()
    chosen = {name: sample for name, sample in CONDITIONS.items() if any(part in name for part in options.only)}
    found = []
    with tempfile.TemporaryDirectory(prefix="robustness_") as temporary:
        for number, (name, sample) in enumerate(chosen.items()):
            own = (options.keep or Path(temporary)) / name.replace("/", " per ")
            settings = configuration(sample, own, options.events, options.seed + number, options.scattering == "on")
            found.append(reconstruct(name, settings, sample, own, options.first))
    command = f"python benchmarks/robustness.py --events {options.events} --seed {options.seed}"
    command += "" if options.scattering == "on" else " --scattering off"
    parts = [markdown(HEAD, [line(one) for one in found]), "### Bias by energy", tables.bias(found)]
    parts += ["### Pulls by energy", tables.pull_widths(found)]
    document.publish(options.write, "robustness", command, "\n\n".join(part.rstrip() for part in parts))


if __name__ == "__main__":
    main()
