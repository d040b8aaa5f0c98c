"""Events and tracks through the phases, and what was rejected for which reason."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spyral_core.report import style
from spyral_core.report.read import Run

FIXED = ("events", "downscaled", "downscaled_good", "rejected", "empty", "clouds", "clusters", "estimates")
MEANINGS = {
    "events": "events in the trace file",
    "downscaled": "events of the downscaled ion-chamber trigger: counted, not analysed",
    "downscaled_good": "of these, events within ic_multiplicity: for the normalisation to the beam",
    "rejected": "whole events that the point cloud phase rejected",
    "empty": "events without a single point",
    "clouds": "events with a point cloud",
    "clusters": "clusters found, one a particle",
    "estimates": "clusters with a first estimate",
}
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def columns_of(gates: Sequence[str]) -> list[str]:
    """Names of the counts: `FIXED`, then `selected/<gate>` and `solved/<gate>`."""
    return [*FIXED, *(f"{kind}/{gate}" for gate in gates for kind in ("selected", "solved"))]


def count_run(run: Run, gates: Sequence[str]) -> dict[str, int | None]:
    """Counts of one run by `columns_of`; None where the product, or its count, is missing."""
    counts: dict[str, int | None] = dict.fromkeys(columns_of(gates))
    if run.events is not None:
        made = run.counts["pointcloud"]
        refused = run.rejected.filter((pl.col("stage") == "pointcloud") & (pl.col("cluster_index") < 0)).height
        downscaled = made.get("downscaled_ic", 0)
        counts["downscaled_good"] = made.get("downscaled_ic_within_multiplicity")
        counts["events"] = made.get("events", run.events.height + refused + downscaled)
        counts["downscaled"], counts["rejected"] = downscaled, refused
        empty = int((run.events["n_points"] == 0).sum())
        counts["empty"], counts["clouds"] = empty, run.events.height - empty
    if run.clusters is not None:
        counts["clusters"] = run.clusters.height
    if run.estimates is not None:
        counts["estimates"] = run.estimates.height
    for gate in gates:
        if gate in run.solutions:
            counts[f"selected/{gate}"] = run.counts[f"solver/{gate}"].get("selected")
            counts[f"solved/{gate}"] = run.solutions[gate].height
    return counts


def unaccounted(counts: dict[str, int | None]) -> int:
    """Events of the file that are neither rejected nor downscaled nor in the table of events; should be 0."""
    known = (counts[name] or 0 for name in ("downscaled", "rejected", "empty", "clouds"))
    return (counts["events"] or 0) - sum(known)


def flow_table(runs: Sequence[Run], gates: Sequence[str]) -> pl.DataFrame:
    """One row a run: `run`, then the counts of `count_run`."""
    schema = dict.fromkeys(("run", *columns_of(gates)), pl.Int64)
    return pl.DataFrame([{"run": run.number, **count_run(run, gates)} for run in runs], schema=schema)


def totals(flow: pl.DataFrame) -> dict[str, int | None]:
    """Sums over the runs of `flow_table`; None for what no run has."""
    return {
        name: None if flow[name].null_count() == flow.height else int(flow[name].sum())
        for name in flow.columns
        if name != "run"
    }


def rejected_table(runs: Sequence[Run]) -> pl.DataFrame:
    """What was rejected by stage, gate, kind (event or cluster) and reason, most frequent first.

    Reasons that differ in nothing but numbers are one: a number that is the same in all of them stays, another becomes
    the range of its values. `runs`: in how many of each run, the runs with most of them first.
    """
    schema = {
        "stage": pl.String,
        "gate": pl.String,
        "kind": pl.String,
        "reason": pl.String,
        "number": pl.Int64,
        "first": pl.String,
        "runs": pl.String,
    }
    groups: dict[tuple[str, str, str, str], _Reason] = {}
    for run in runs:
        counted = run.rejected.group_by(
            "stage", "gate", (pl.col("cluster_index") < 0).alias("whole"), "reason", maintain_order=True
        ).agg(pl.len().alias("number"), pl.col("event").min().alias("event"))
        for stage, gate, whole, reason, number, event in counted.iter_rows():
            key = (stage, gate or "", "event" if whole else "cluster", _NUMBER.sub("#", reason))
            group = groups.setdefault(key, _Reason(reason, f"run {run.number}, event {event}"))
            group.add(reason, number, run.number)
    rows = [
        {"stage": key[0], "gate": key[1], "kind": key[2], "reason": group.text, "number": group.number}
        | {"first": group.first, "runs": group.by_run}
        for key, group in groups.items()
    ]
    return pl.DataFrame(rows, schema=schema).sort(
        "number", "stage", "gate", "reason", descending=[True, False, False, False]
    )


class _Reason:
    """A reason whose numbers vary."""

    def __init__(self, text: str, first: str) -> None:
        self.number = 0
        self.first = first
        self._runs: Counter[int] = Counter()
        self._pieces = _NUMBER.split(text)
        self._values: list[list[str]] = [[value, value] for value in _NUMBER.findall(text)]

    def add(self, text: str, number: int, run: int) -> None:
        self.number += number
        self._runs[run] += number
        for place, value in enumerate(_NUMBER.findall(text)):
            low, high = self._values[place]
            self._values[place] = [min(low, value, key=float), max(high, value, key=float)]

    @property
    def by_run(self) -> str:
        return ", ".join(f"{run}: {number}" for run, number in self._runs.most_common())

    @property
    def text(self) -> str:
        shown = [low if low == high else f"{low}…{high}" for low, high in self._values]
        return "".join(piece + value for piece, value in zip(self._pieces, [*shown, ""], strict=True))


def figure(flow: pl.DataFrame, rejected: pl.DataFrame) -> Figure:
    """Bars of events and tracks over all runs, and of what was rejected."""
    number = {name: total for name, total in totals(flow).items() if total is not None and name != "downscaled_good"}
    if not number.get("events"):
        return style.empty_figure("Events through the phases", "no events")
    shown = rejected.head(8)
    slots = max(len(number), shown.height)
    plot, (left, right) = style.panels(
        "Events through the phases · all runs", 0.34 * slots + 1.4, 1, 2, left=0.135, wspace=0.95, width_ratios=[1, 0.8]
    )
    left.barh(range(len(number)), list(number.values()), color=[_color(name) for name in number], height=0.72)
    left.set_yticks(range(len(number)), [_short(name.replace("/", ": "), 16) for name in number])
    _bar_numbers(left, list(number.values()), slots)
    left.set_title("Events, then tracks")
    left.set_xlabel("number")
    right.set_title("Rejected, by reason")
    if shown.height == 0:
        style.nothing(right, "nothing was rejected")
        return plot
    labels = [_short(f"{stage}: {reason}") for stage, reason in shown.select("stage", "reason").iter_rows()]
    right.barh(range(shown.height), shown["number"].to_list(), color=style.RED, height=0.72)
    right.set_yticks(range(shown.height), labels)
    _bar_numbers(right, shown["number"].to_list(), slots)
    right.set_xlabel("number")
    return plot


def _bar_numbers(axes: Axes, numbers: Sequence[int], slots: int) -> None:
    axes.set_ylim(slots - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.set_xlim(0, 1.16 * max(*numbers, 1))
    for place, number in enumerate(numbers):
        axes.text(number, place, f" {number:,}", va="center", fontsize=9.5)


def _color(name: str) -> str:
    if name in {"downscaled", "empty"}:
        return style.MUTED
    if name == "rejected":
        return style.RED
    return style.GREEN if name.startswith("solved") else style.BLUE


def _short(text: str, length: int = 44) -> str:
    """Text for a label, in two lines and cut where it is too long."""
    lines = textwrap.wrap(text, length, max_lines=2, placeholder="…")
    return style.plain("\n".join(lines))
