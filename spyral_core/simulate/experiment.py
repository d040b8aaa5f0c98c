"""The stage `simulate`: a run of the embedded experiment, as a merger file with its truth beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from spyral_core import lineage, runner, store, tables
from spyral_core.catalog import Stage
from spyral_core.config.simulation import Simulation
from spyral_core.errors import ConfigurationError
from spyral_core.physics.gas import GasTarget, load_gas
from spyral_core.simulate import ion_chamber
from spyral_core.simulate.event import (
    SCALER_STREAM,
    Experiment,
    SimulatedEvent,
    prepare,
    random_stream,
    simulate_event,
)
from spyral_core.traces.writer import TraceWriter

_TICKS = 1e8  # Hz, the clock of the events' time stamps

_experiment: Experiment | None = None


def run(
    stage: Stage,
    run: int,
    parameters: dict[str, Any],
    inputs: dict[str, Path],
    outputs: dict[str, Path],
    workers: int = 1,
    chunk_events: int = 32,
) -> None:
    """Simulate a run: traces to `outputs["output"]`, the truth to `outputs["truth"]`.

    `parameters["simulate"]` holds the section of the configuration; of it, the number of runs plays no part. The result
    does not depend on `workers` and `chunk_events`. Raises ConfigurationError if the gas or a nucleus is not known.
    """
    settings = {**parameters["simulate"], "runs": 1}
    simulation = Simulation.model_validate_json(json.dumps(settings))
    gas_file = inputs.get("gas", Path(simulation.gas))
    gas = load_gas(gas_file)
    _start(simulation, gas, run)  # faults in the configuration come to light here, not in a worker
    kept = {key: value for key, value in settings.items() if key != "runs"}
    made_by = lineage.build(stage, run, {**parameters, "simulate": kept}, {**inputs, "gas": gas_file})
    spans = runner.spans(simulation.events, chunk_events)
    progress = runner.Progress(f"{stage.name} run {run}", simulation.events)
    truth: list[dict[str, Any]] = []
    registers: list[int] = []
    with TraceWriter(outputs["output"], run, made_by) as writer:
        for events in runner.ordered_map(_work, spans, workers, _start, (simulation, gas, run)):
            for event in events:
                clock = round(event.number / simulation.beam.trigger_rate * _TICKS)
                writer.write_event(
                    event.number,
                    event.pads,
                    event.physics,
                    event.register,
                    timestamp=clock,
                    timestamp_other=clock,
                    frib_timestamp=clock % 2**32,
                )
                truth.extend(event.truth)
                registers.append(event.register)
            progress.advance(len(events))
        writer.write_scalers(_scalers(simulation, run, registers))
        columns = {name: [row[name] for row in truth] for name in tables.TRUTH.names}
        store.write_parquet(outputs["truth"], tables.TRUTH, columns, made_by, {"events": simulation.events})


def _start(simulation: Simulation, gas: GasTarget, run: int) -> None:
    global _experiment  # noqa: PLW0603  (a worker process serves one run)
    try:
        _experiment = prepare(simulation, gas, run)
    except ValueError as error:
        raise ConfigurationError(f"simulate: {error}") from None


def _work(span: tuple[int, int]) -> list[SimulatedEvent]:
    assert _experiment is not None
    return [simulate_event(number, _experiment) for number in range(*span)]


def _scalers(simulation: Simulation, run: int, registers: list[int]) -> list[Any]:
    """Readouts whose beam rate is the one that makes the configured share of pile-up (taken as 99 % at most)."""
    beam, detector = simulation.beam, simulation.detector
    drift_time = (detector.window_time_bucket - detector.micromegas_time_bucket) / detector.get_frequency * 1e-6
    return ion_chamber.scalers(
        registers,
        beam.scaler_events,
        beam.trigger_rate,
        beam.live_share,
        -np.log1p(-min(beam.pile_up, 0.99)) / drift_time,
        random_stream(simulation.seed, SCALER_STREAM, run),
    )
