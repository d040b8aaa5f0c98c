"""The words and tables of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from textwrap import shorten

import polars as pl

from spyral_core import lineage
from spyral_core.report import calibration, flow, names, truth
from spyral_core.report.captions import CAPTIONS
from spyral_core.report.page import Grid, Page, Picture, Section, listing, picture
from spyral_core.report.read import Failure, Run
from spyral_core.report.scope import Scope
from spyral_core.report.style import share
from spyral_core.runs import ranges

EMBEDDED_RUNS = 20  # with more runs their figures stay beside the page, or it would be too large to open
MANY_REJECTED = 0.1  # share of events from which the verdict is a warning


def compose(
    results: Path,
    scopes: Sequence[Scope],
    flow_table: pl.DataFrame,
    rejected: pl.DataFrame,
    gates: Sequence[str],
    subject: str,
    bounds: Sequence[Grid] = (),
    calibrated: Sequence[Grid | str] = (),
    accepted: Sequence[Grid | Picture | str] = (),
) -> Page:
    """The whole page; `subject` says what the data are; `bounds`: tables of resolutions beside their bounds.

    `calibrated`: edges of the drift and tables of pads (`calibration.parts`); `accepted`: the map of the efficiency
    (`acceptance.parts`).
    """
    runs = scopes[0].runs
    failures = [failure for run in runs for failure in run.failures]
    verdict, state = _verdict(runs, flow_table, gates)
    return Page(
        title="AT-TPC analysis report",
        verdict=verdict,
        details=f"{subject} · runs {ranges([run.number for run in runs])}",
        state=state,
        notices=[*_failed(failures), *_unaccounted(flow_table), *calibration.differing(runs)],
        sections=[
            Section("Overview", "overview", _overview(results, flow_table, rejected, gates)),
            Section(
                "All runs",
                "all-runs",
                [*_truth_tables(scopes[0], gates), *bounds, *_pictures(results, scopes[0], gates, True)],
            ),
            *([Section("Calibration", "calibration", calibrated)] if calibrated else []),
            *([Section("Acceptance", "acceptance", accepted)] if accepted else []),
            Section("Each run", "each-run", _jumps(runs)),
            *(_run_section(results, scope, gates, len(runs)) for scope in scopes[1:]),
            Section("How it was made", "made", _made_by(runs)),
        ],
    )


def _verdict(runs: Sequence[Run], flow_table: pl.DataFrame, gates: Sequence[str]) -> tuple[str, str]:
    done = sum(run.complete for run in runs)
    totals = {name: number or 0 for name, number in flow.totals(flow_table).items()}
    events, refused = totals["events"], totals["rejected"]
    parts = [f"{done} of {len(runs)} runs complete"]
    if done < len(runs):
        parts.append(f"{len(runs) - done} failed or unfinished ({ranges([r.number for r in runs if not r.complete])})")
    parts.append(f"{events:,} events")
    if gates:
        parts.append(f"{sum(totals[f'solved/{gate}'] for gate in gates):,} tracks fitted")
    else:
        parts.append(f"{totals['estimates']:,} tracks estimated")
    parts.append(f"{share(refused, events)} of events rejected")
    if done < len(runs):
        return " · ".join(parts), "bad"
    suspicious = refused > MANY_REJECTED * events or not events or any(_missing(flow_table))
    return " · ".join(parts), "warning" if suspicious else "good"


def _failed(failures: Sequence[Failure]) -> list[tuple[str, str, str]]:
    if not failures:
        return []
    lines = [
        f"<strong>run {failure.run}, {escape(failure.place)}:</strong> {escape(failure.reason)}"
        + (f'<br><a href="{escape(failure.log)}"><code>{escape(failure.log)}</code></a>' if failure.log else "")
        for failure in failures
    ]
    n_runs = len({failure.run for failure in failures})
    title = f"{n_runs} run{'s' * (n_runs > 1)} failed or unfinished; everything below is from what was finished"
    return [("bad", title, listing(lines))]


def _missing(flow_table: pl.DataFrame) -> list[int]:
    return [flow.unaccounted(row) for row in flow_table.iter_rows(named=True)]


def _unaccounted(flow_table: pl.DataFrame) -> list[tuple[str, str, str]]:
    lines = [
        f"run {run}: {number:+,} events"
        for run, number in zip(flow_table["run"], _missing(flow_table), strict=True)
        if number
    ]
    title = "Events that are neither in the point clouds, nor downscaled, nor rejected"
    return [("warning", title, listing(lines))] if lines else []


def _overview(
    results: Path, flow_table: pl.DataFrame, rejected: pl.DataFrame, gates: Sequence[str]
) -> list[Grid | Picture | str]:
    heads = [("run", "run number"), *((name.replace("_", " "), flow.MEANINGS[name]) for name in flow.FIXED)]
    for gate in gates:
        heads.append((f"selected: {gate}", f"estimates in the gate {gate} and the ion chamber's bounds"))
        heads.append((f"solved: {gate}", f"tracks fitted in the gate {gate}"))
    rows = [[_count(value) for value in row] for row in flow_table.iter_rows()]
    if flow_table.height > 1:
        rows.append(["all", *map(_count, flow.totals(flow_table).values())])
    reasons = [
        [
            stage + (f" ({gate})" if gate else ""),
            kind,
            reason,
            first,
            shorten(by_run, 80, placeholder=" …"),
            f"{number:,}",
        ]
        for stage, gate, kind, reason, number, first, by_run in rejected.iter_rows()
    ]
    shown = reasons[:25]
    more = (
        f"; the {len(shown)} most frequent of {len(reasons)}, all of them in {names.FOLDER}/{names.NUMBERS[1]}"
        if len(reasons) > len(shown)
        else ""
    )
    return [
        Grid(heads, rows, caption="Events, then tracks, by run. A dash: not made. Point at a head for its meaning."),
        _picture(results, names.ALL_RUNS, names.FLOW, None, True),
        Grid(
            [
                ("stage", ""),
                ("what", ""),
                ("reason", ""),
                ("first", "the first one"),
                ("run: number", "runs with most"),
                ("number", ""),
            ],
            shown,
            n_text=5,
            caption=f"Rejected by reason and run (a…b: numbers from a to b{more})",
        ),
    ]


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _truth_tables(scope: Scope, gates: Sequence[str]) -> list[Grid]:
    return [
        truth_grid(truth.summary(scope.matched[gate]), f"Against the truth, gate {gate}, all runs: clean particles")
        for gate in gates
        if scope.matched and scope.matched[gate].height
    ]


def truth_grid(summary: pl.DataFrame, caption: str) -> Grid:
    """The result of `truth.summary` as a table for people."""
    heads = [
        ("energy [MeV]", "true kinetic energy"),
        ("particles", "clean true particles"),
        ("solved", "share with a fitted track"),
        ("within 20 %, 5°", "share fitted within 20 % in energy and 5° in polar angle"),
        ("Δke/ke [%]", "median of (fitted − true)/true energy"),
        ("± [%]", "half of the central 68 %"),
        ("Δpolar [°]", "median of fitted − true polar angle"),
        ("± [°]", "half of the central 68 %"),
        ("Δz [mm]", "median of fitted − true vertex z"),
        ("± [mm]", "half of the central 68 %"),
    ]
    rows = []
    for place, row in enumerate(summary.iter_rows(named=True)):
        band = "all" if place == summary.height - 1 else f"{row['ke_low']:g} – {row['ke_high']:g}"
        numbers = [
            _number(100 * row[name] if row[name] is not None else None, "{:.1f} %") for name in ("solved", "close")
        ]
        for name, factor in (("ke", 100.0), ("polar", 1.0), ("vertex_z", 1.0)):
            for kind, pattern in (("median", "{:+.2f}"), ("width", "{:.2f}")):
                value = row[f"{name}_{kind}"]
                numbers.append(_number(None if value is None else factor * value, pattern))
        rows.append([band, f"{row['n_true']:,}", *numbers])
    return Grid(heads, rows, caption=caption)


def _number(value: float | None, pattern: str) -> str:
    return "–" if value is None else pattern.format(value)


def _pictures(results: Path, scope: Scope, gates: Sequence[str], embed: bool) -> list[Picture]:
    order: list[tuple[str, str | None]] = [("event_display", None), ("particle_identification", None)]
    order += [(figure, gate) for gate in gates for figure in names.GATE_FIGURES]
    order += [(names.TRUTH, gate) for gate in gates if scope.matched]
    order += [("ion_chamber", None), ("masked_pads", None)]
    return [_picture(results, scope.name, figure, gate, embed) for figure, gate in order]


def _picture(results: Path, scope: str, figure: str, gate: str | None, embed: bool) -> Picture:
    file = results / names.figure_file(scope, figure, gate)
    label = " ".join(part for part in (figure.replace("_", " "), gate, scope.replace("_", " ")) if part)
    return picture(label, CAPTIONS[figure], file, results, embed)


def _jumps(runs: Sequence[Run]) -> list[str]:
    return ["<p>" + " ".join(f'<a href="#{names.scope_of(run.number)}">{run.number}</a>' for run in runs) + "</p>"]


def _run_section(results: Path, scope: Scope, gates: Sequence[str], n_runs: int) -> Section:
    (run,) = scope.runs
    state = "" if run.complete else f": not complete ({', '.join(failure.place for failure in run.failures)})"
    parts: list[Picture | Grid | str] = [*_truth_tables_of(scope, gates)]
    parts += _pictures(results, scope, gates, embed=n_runs <= EMBEDDED_RUNS)
    if run.masked is not None:
        parts.append(_masked(run.masked))
    return Section(f"Run {run.number}{state}", scope.name, parts, folded=True, open=n_runs == 1, level=3)


def _masked(masked: pl.DataFrame) -> Grid:
    """The masked pads by reason."""
    rows = []
    for reason in sorted(masked["reason"].unique().to_list()):
        pads = masked.filter(pl.col("reason") == reason)
        fired = pads["hit_share"].to_numpy()
        rows.append([reason, ranges(pads["pad"].to_list()), str(pads.height), f"{fired.min():.2f}–{fired.max():.2f}"])
    heads = [("reason", ""), ("pads", ""), ("number", "")]
    heads += [("share of events", "smallest and largest share of the sample's events in which one of them fired")]
    return Grid(heads, rows, n_text=2, caption=f"Masked pads ({masked.height})")


def _truth_tables_of(scope: Scope, gates: Sequence[str]) -> list[Grid]:
    return [
        truth_grid(truth.summary(scope.matched[gate]), f"Against the truth, gate {gate}, {scope.title}")
        for gate in gates
        if scope.matched and scope.matched[gate].height
    ]


def _made_by(runs: Sequence[Run]) -> list[Grid | str]:
    """Versions, code and parameters by product, and the digest of each product's lineage."""
    products = list(dict.fromkeys(name for run in runs for name in run.lineages))
    digests = [
        [str(run.number), *(lineage.digest(run.lineages[name]) if name in run.lineages else "–" for name in products)]
        for run in runs
    ]
    parts: list[Grid | str] = [
        Grid(
            [("run", ""), *((name, "") for name in products)],
            digests,
            n_text=1,
            caption="Digest of each product's lineage: the same digest, the same numbers",
        )
    ]
    for name in products:
        variants = _variants([(run.number, run.lineages[name]) for run in runs if run.lineages.get(name)])
        for text, numbers in variants.items():
            parts.append(f"<h3>{escape(name)}, runs {escape(ranges(numbers))}</h3><pre>{escape(text)}</pre>")
    return parts


def _variants(lineages: Sequence[tuple[int, Mapping[str, object]]]) -> dict[str, list[int]]:
    """Texts of code, versions and parameters, with the runs that have each: more than one if runs differ in them."""
    found: dict[str, list[int]] = {}
    for run, made_by in lineages:
        versions = made_by.get("versions")
        lines = [f"code {made_by.get('code', '–')}"]
        if isinstance(versions, Mapping):
            lines.append(", ".join(f"{name} {version}" for name, version in versions.items()))
        lines.append(json.dumps(made_by.get("parameters", {}), sort_keys=True))
        found.setdefault("\n".join(lines), []).append(run)
    return found
