"""Traces to a point cloud: one point a pulse, at its pad's centroid and at the z of its drift time."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core import runs
from spyral_core.detector import corrections, drift, electronics, pads
from spyral_core.detector.masked import masked_pads
from spyral_core.detector.pads import PadPlane
from spyral_core.runner import Audit, Product
from spyral_core.signal.ion_chamber import (
    DOWNSCALED_TRIGGER,
    LEGACY_AGET,
    LEGACY_CHANNEL,
    LEGACY_COBO,
    IonChamber,
    beam_pulses,
    good_pulse,
    legacy_pulse,
    within_multiplicity,
)
from spyral_core.signal.pad_pulses import Readout, find_pad_pulses
from spyral_core.signal.pulses import pad_settings
from spyral_core.traces.claims import CLAIM_COLUMNS, displaced, far_off, lacking, overlapping
from spyral_core.traces.event import AGET, CHANNEL, COBO, HEADER_COLUMNS, TraceEvent
from spyral_core.traces.file import TraceFile, open_traces


@dataclass(frozen=True)
class Constants:
    """What is the same for all events."""

    parameters: SimpleNamespace
    plane: PadPlane
    readout: Readout
    time_correction: NDArray[np.float64]
    gain_correction: NDArray[np.float64]
    field: drift.FieldCorrection | None


def open_source(files: Mapping[str, Path], parameters: SimpleNamespace) -> TraceFile:
    """The events of the trace file."""
    return open_traces(files["traces"])


def prepare(files: Mapping[str, Path], parameters: SimpleNamespace) -> Constants:
    """Pad plane, corrections, and the pads that are used: neither beam pads nor masked by the survey."""
    tables = parameters.pads
    plane = pads.load(tables.geometry, tables.geometry_holds, tables.scale)
    return Constants(
        parameters=parameters,
        plane=plane,
        readout=Readout(
            settings=pad_settings(parameters.get),
            used=~plane.beam & ~masked_pads(files["survey"]),
            electronics=None if tables.electronics is None else electronics.load_electronics(tables.electronics),
            skip_cobo=-1 if parameters.legacy_ic is None else LEGACY_COBO,
        ),
        time_correction=corrections.load_time_correction(tables.time_correction),
        gain_correction=corrections.load_gain_correction(tables.gain_correction),
        field=_field_correction(parameters.detector),
    )


def process(event: TraceEvent, constants: Constants) -> Product:
    """The event's row and its points, ordered by z, then pad. An event of the downscaled trigger is only counted."""
    if event.trigger == DOWNSCALED_TRIGGER:
        within = within_multiplicity(_beam_multiplicity(event, constants.parameters), constants.parameters.frib)
        return Product(counts={"downscaled_ic": 1, "downscaled_ic_within_multiplicity": int(within)})
    ion_chamber = _ion_chamber(event, constants.parameters)
    points, counts = cloud(event.pads, ion_chamber.shift, constants)
    row = {
        "event": event.number,
        "orig_run": event.orig_run,
        "orig_event": event.orig_event,
        **ion_chamber.columns(),
        "n_points": len(points["z"]),
        "trigger": event.trigger,
    }
    if not len(event.pads) and event.trigger < 0 and event.ion_chamber is None:
        counts["events_without_data"] = 1
    counts |= {"downscaled_ic": 0, "downscaled_ic_within_multiplicity": 0}
    return Product(tables={"events": row, "points": points}, counts=counts)


def cloud(
    traces: NDArray[np.int16], shift: float, constants: Constants
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Points (columns of `tables.POINTS`) of an event's traces (n, 517), and how many traces there were.

    `shift` [TB] is taken off the times of all pulses.
    """
    found = find_pad_pulses(traces, constants.readout)
    pad, pulses = found.pad, found.pulses
    detector, plane = constants.parameters.detector, constants.plane
    time = pulses.time + constants.time_correction[pad] - shift
    z = drift.z_from_time(time, detector.micromegas_time_bucket, detector.window_time_bucket, detector.detector_length)
    x, y = plane.x[pad], plane.y[pad]
    if constants.field is not None:
        x, y, z = constants.field.correct(x, y, z)
    gain = constants.gain_correction[pad]
    columns: dict[str, NDArray[Any]] = {
        "x": x,
        "y": y,
        "z": z,
        "amplitude": pulses.amplitude * gain,
        "integral": pulses.integral * gain,
        "pad": pad.astype(np.int32),
        "time": time,
        "scale": plane.scale[pad],
        "saturated": pulses.saturated,
        "pulse": pulses.pulse,
    }
    order = np.lexsort((pad, z))
    counts = {
        "traces": found.n_traces,
        "traces_without_pad": found.n_without_pad,
        "traces_beyond_adc": found.n_beyond_adc,
        "events_without_data": 0,
        "saturated_pulses": len(np.unique(pulses.pulse[pulses.saturated == 1])),
        "sliced_pulses": int(np.count_nonzero(np.bincount(pulses.pulse) > 1)),
    }
    columns = {name: values[order] for name, values in columns.items()}
    columns["pulse"] = _in_order_of_appearance(columns["pulse"])
    return columns, counts


def _in_order_of_appearance(names: NDArray[np.int64]) -> NDArray[np.int32]:
    """Numbers (n,) from 0 for names, so that they do not depend on what the names are."""
    _, first, number = np.unique(names, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[number]


def audit(evidence: Sequence[tuple[int, ...]], numbers: Sequence[int]) -> Audit:
    """Events whose data lie where those of others do, and a word on those that lack what others have."""
    claims = np.array(evidence, np.int64).reshape(len(evidence), len(CLAIM_COLUMNS))
    absent, far = lacking(claims, numbers), far_off(claims)
    told = [(f"have no {kind}", events) for kind, events in absent.items()]
    told += [(f"have their {kind} out of order (rewritten, or damaged)", events) for kind, events in far.items()]
    counts = {f"events_without_{kind}": len(events) for kind, events in absent.items()}
    return Audit(
        doubtful=displaced(claims) | overlapping(claims),
        counts=counts | {f"events_with_{kind}_out_of_order": len(events) for kind, events in far.items()},
        notes=[
            f"{len(events)} of {len(numbers)} events {what}: {shorten(runs.ranges(events), 400, placeholder=' …')}"
            for what, events in told
        ],
    )


def extra(files: Mapping[str, Path], parameters: SimpleNamespace) -> dict[str, NDArray[np.int64]]:
    """The scaler readouts; what is unusual about the trace file goes to the log."""
    with open_traces(files["traces"]) as file:
        scalers = file.scalers()
        for note in file.notes:
            print(note, file=sys.stderr)
    return scalers


def _ion_chamber(event: TraceEvent, parameters: SimpleNamespace) -> IonChamber:
    if parameters.legacy_ic is not None:
        return legacy_pulse(_legacy_trace(event.pads), parameters.legacy_ic)
    return good_pulse(event.ion_chamber, event.silicon, parameters.frib, parameters.detector.get_frequency)


def _beam_multiplicity(event: TraceEvent, parameters: SimpleNamespace) -> int:
    """Number of beam particles from the trigger on."""
    if parameters.legacy_ic is not None:
        return int(legacy_pulse(_legacy_trace(event.pads), parameters.legacy_ic).multiplicity)
    return len(beam_pulses(event.ion_chamber, parameters.frib).time)


def _legacy_trace(traces: NDArray[np.int16]) -> NDArray[np.int16] | None:
    """The samples of the GET channel of the ion chamber, None if it was not read out."""
    here = (traces[:, COBO] == LEGACY_COBO) & (traces[:, AGET] == LEGACY_AGET) & (traces[:, CHANNEL] == LEGACY_CHANNEL)
    rows = np.flatnonzero(here)
    return traces[rows[0], HEADER_COLUMNS:] if len(rows) else None


def _field_correction(detector: SimpleNamespace) -> drift.FieldCorrection | None:
    if detector.garfield_file is None:
        return None
    return drift.FieldCorrection.from_garfield(detector.garfield_file, detector.detector_length)
