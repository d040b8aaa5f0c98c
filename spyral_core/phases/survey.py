"""What only the whole run can tell, found once on a sample of its events: masked pads, edges of the drift."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core import lineage, store, tables
from spyral_core.catalog import Stage
from spyral_core.detector import electronics, pads
from spyral_core.detector.neighbours import images, touching
from spyral_core.detector.pads import N_PADS
from spyral_core.errors import RejectedEventError
from spyral_core.phases import drift_edges
from spyral_core.runner import check_unchanged, namespace, stamps
from spyral_core.signal.dead_pads import dead_pads
from spyral_core.signal.faulty_pads import Hits, Places, events_with_hit, noisy_pads, repeating_pads
from spyral_core.signal.ion_chamber import DOWNSCALED_TRIGGER, LEGACY_COBO
from spyral_core.signal.pad_pulses import Readout, find_pad_pulses
from spyral_core.signal.pulses import pad_settings
from spyral_core.traces.event import TraceEvent
from spyral_core.traces.file import TraceFile, open_traces

NOISY = "noisy"
REPEATS = "repeats one charge"
DEAD = "dead"
BIG = 1.0  # linear size of a pad


def run(
    stage: Stage,
    run: int,
    parameters: dict[str, Any],
    inputs: dict[str, Path],
    outputs: dict[str, Path],
    workers: int = 1,
    chunk_events: int = 32,
) -> None:
    """Survey a run: `inputs` holds `traces`, `outputs` holds `output`. One process does it: the sample is small.

    Raises DataError if the trace file cannot be used.
    """
    chosen = namespace(parameters)
    map_file = chosen.pads.electronics
    readout = Readout(
        settings=pad_settings(chosen.get)._replace(takes_apart=False),  # it counts pulses; that takes long
        used=~pads.builtin().beam,
        electronics=None if map_file is None else electronics.load_electronics(map_file),
        skip_cobo=-1 if chosen.legacy_ic is None else LEGACY_COBO,
    )
    before = stamps(inputs)
    with open_traces(inputs["traces"]) as file:
        hits, counts = collect_hits(sample_events(file, chosen.survey.max_events), readout)
    columns = examine(hits, counts["events"], chosen.survey, chosen.get.peak_threshold)
    counts["masked"] = int(np.count_nonzero(columns["masked"]))
    counts["dead"] = int(np.count_nonzero(columns["reason"] == DEAD))
    told = f"{counts['masked']} pads masked, {counts['dead']} of them dead"
    print(f"survey run {run}: {counts['events']} events, {told}", file=sys.stderr)
    drift = drift_edges.examine(hits, ~columns["masked"], chosen.detector)
    for note in drift_edges.notes(drift):
        print(f"survey run {run}: {note}", file=sys.stderr)
    made_by = lineage.build(stage, run, parameters, inputs)
    check_unchanged(inputs, before)
    store.write_parquet(outputs["output"], tables.SURVEY, columns, made_by, counts, {"drift": drift})


def evenly_spread(n_events: int, max_events: int) -> NDArray[np.int64]:
    """Indices of at most `max_events` of `n_events` events, the middles of equal parts."""
    number = min(n_events, max_events)
    return ((2 * np.arange(number) + 1) * n_events) // (2 * max(number, 1))


def sample_events(file: TraceFile, max_events: int) -> Iterable[TraceEvent]:
    """Events of the sample that become clouds: those that can be read, with traces, not of the downscaled trigger."""
    for index in evenly_spread(len(file.numbers), max_events):
        try:
            event = file.read(int(index))
        except RejectedEventError:
            continue  # the point cloud stage reports it
        if event.trigger != DOWNSCALED_TRIGGER and len(event.pads):
            yield event


def collect_hits(events: Iterable[TraceEvent], readout: Readout) -> tuple[Hits, dict[str, int]]:
    """The pulses of some events, and the number of events and pulses."""
    found = [find_pad_pulses(event.pads, readout) for event in events]
    hits = Hits(
        event=np.repeat(np.arange(len(found)), [len(pulses.pad) for pulses in found]),
        pad=np.concatenate([np.empty(0, np.int64), *(pulses.pad for pulses in found)]),
        amplitude=np.concatenate([np.empty(0), *(pulses.pulses.amplitude for pulses in found)]),
        time=np.concatenate([np.empty(0), *(pulses.pulses.time for pulses in found)]),
    )
    return hits, {"events": len(found), "hits": len(hits.pad)}


def examine(hits: Hits, n_events: int, survey: Any, threshold: float) -> dict[str, Any]:
    """The columns of `tables.SURVEY`; `survey`: that section of the configuration, `threshold` of pulses [ADC]."""
    plane = pads.builtin()
    places = Places(plane.x, plane.y, ~plane.beam, plane.scale < BIG)
    fired = events_with_hit(hits, N_PADS)
    noisy = noisy_pads(fired, n_events, places, survey.noisy_pad_share, survey.min_hits)
    repeated_share, repeats = repeating_pads(hits, places, survey.repeated_charge_share, survey.min_hits)
    lying = noisy | repeats
    honest = replace(places, used=places.used & ~lying)
    dead = dead_pads(hits.without(lying), threshold, honest, touching(), images(), survey.dead_pad_share)
    return {
        "pad": np.arange(N_PADS),
        "hits": np.bincount(hits.pad, minlength=N_PADS),
        "hit_share": fired / max(n_events, 1),
        "repeated_share": repeated_share,
        "masked": lying | dead,
        "reason": np.where(repeats, REPEATS, np.where(noisy, NOISY, np.where(dead, DEAD, ""))),
    }
