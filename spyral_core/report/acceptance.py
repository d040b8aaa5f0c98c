"""The acceptance map on the page, if one was made for these results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from spyral_core.acceptance import files
from spyral_core.report.page import Grid, Picture, listing, picture

CAPTIONS: dict[str, str] = {
    files.MAP_FIGURE: "Share of simulated particles that are found, identified and fitted within the tolerances, "
    "against true kinetic energy and polar angle: over all vertices, then by slices of the vertex. Grey: not "
    "simulated. White lines: the reaction.",
    files.STAGES_FIGURE: "How far the simulated particles come: each panel holds those of the one before that came "
    "through one more step, over all vertices.",
    files.ERRORS_FIGURE: "Median and half of the central 68 % of fitted − true of all fitted simulated particles, "
    "over all vertices. Grey: fewer than five.",
    files.CROSS_SECTION_FIGURE: "Left: efficiency for the reaction in bins of the ejectile's centre-of-mass angle, "
    "with its 68 % interval, and by slices of the vertex. Right: the solid angle of the bins, and what the efficiency "
    "leaves of it. Grey: bins that the grid does not cover as a whole.",
}


def parts(results: Path, parameters: Mapping[str, Any]) -> list[Grid | Picture | str]:
    """What the page shows of the map in the results' folder `acceptance`; nothing if there is none.

    `parameters`: those of the report; where the map was made with others, the page says so.
    """
    folder = results / files.FOLDER
    try:
        summary = json.loads((folder / files.SUMMARY).read_text(encoding="utf-8"))
        totals, share, cuts = summary["totals"], summary["efficiency"], summary["cuts"]
        title, differing = summary["title"], list(_differing(summary, parameters))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"<p>The acceptance map in {escape(str(folder))} cannot be read: {escape(str(error))}.</p>"]
    low, high = (100 * end for end in share[1:])
    shown: list[Grid | Picture | str] = [
        f"<p>{escape(title)}. Accepted: fitted within {100 * cuts['energy']:g} % in energy and {cuts['polar']:g}° in "
        f"polar angle; of {totals['generated']:,} simulated particles {100 * share[0]:.1f} % (68 %: {low:.1f} – "
        f"{high:.1f} %). Numbers: <code>{files.FOLDER}/{files.TEXT}</code>, <code>{files.FOLDER}/*.parquet</code>.</p>"
    ]
    if differing:
        shown.append(f"<p><strong>The map was made with other values:</strong></p>{listing(differing)}")
    return [*shown, *_pictures(folder, results)]


def _pictures(folder: Path, results: Path) -> Sequence[Picture]:
    return [
        picture(Path(name).stem.replace("_", " "), caption, folder / name, results, embed=True)
        for name, caption in CAPTIONS.items()
        if (folder / name).is_file()
    ]


def _differing(summary: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """Keys of the detector and the solver whose values are not those of the analysis."""
    lines = []
    for section in ("detector", "solver"):
        now = parameters.get(section) or {}
        for key, then in sorted(summary[section].items()):
            if key in now and now[key] != then:
                lines.append(f"<code>{section}.{escape(key)}</code>: {escape(str(then))}, now {escape(str(now[key]))}")
    return lines
