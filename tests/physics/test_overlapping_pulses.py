"""Points of simulated spirals against the electrons that made them: passages of one pad are told apart."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from spyral_core.config import validate
from spyral_core.physics.gas import parse_gas
from spyral_core.signal.pulses import find_pulses, pad_settings
from spyral_core.simulate import event as simulated
from spyral_core.simulate import response
from spyral_core.traces.event import HEADER_COLUMNS, PAD

Array = NDArray[np.float64]
GAP = 60 * 40  # packets between two passages: 60 mm of path
AREA = 1.30643 * 6.25 * 0.955  # of a pulse of height 1 between its edges
SPIRAL = {
    "seed": 8,
    "runs": 1,
    "events": 3,
    "gas": "unused",
    "reaction": {
        "projectile": [4, 10], "beam_energy": 96.0, "ejectile": [1, 1], "angle_min": 120.0, "angle_max": 150.0,
        "residual": False,
    },
    "detector": {"magnetic_field": 3.0},
    "beam": {"contaminant_nucleus": [4, 10], "contaminant": 0.0, "pile_up": 0.0, "downscaled": 0.0},
}  # fmt: skip


def passages(
    monkeypatch: pytest.MonkeyPatch, number: int, experiment: simulated.Experiment
) -> tuple[NDArray[np.int16], Array]:
    """Pad rows of an event, and rows (pad, time of the pulse, its height at once) of each passage over a pad."""
    rows: list[tuple[float, float, float]] = []
    collect = response.collect

    def recorded(
        pads: NDArray[np.int64], times: Array, charges: Array, offsets: Array, gains: Array, *rest: object
    ) -> object:
        order = np.lexsort((np.arange(len(pads)), pads))
        own, at = pads[order], order
        breaks = np.flatnonzero((np.diff(own) != 0) | (np.diff(at) > GAP)) + 1
        for part in np.split(order, breaks):
            pad = int(pads[part[0]])
            if pad >= 0:
                charge = charges[part] * gains[pad]
                mean = np.average(times[part], weights=charge) + offsets[pad] + experiment.response.peak
                rows.append((pad, mean, charge.sum() * float(experiment.response.samples.max())))
        return collect(pads, times, charges, offsets, gains, *rest)

    monkeypatch.setattr(simulated, "collect", recorded)
    event = simulated.simulate_event(number, experiment)
    monkeypatch.setattr(simulated, "collect", collect)
    return event.pads, np.array(rows)


def test_passages_of_one_pad_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = validate({"simulate": SPIRAL})
    assert configuration.simulate is not None
    gas = parse_gas({"compound": [[1, 2, 2]], "pressure(Torr)": 600.0})
    experiment = simulated.prepare(configuration.simulate, gas, 1)
    settings = pad_settings(SimpleNamespace(**configuration.get.model_dump()))
    found, plain, errors = [], [], []
    for number in range(3):
        traces, true = passages(monkeypatch, number, experiment)
        ours = find_pulses(traces, settings, None, HEADER_COLUMNS)
        theirs = find_pulses(traces, settings._replace(shaping=0.0), None, HEADER_COLUMNS)
        for row, pad in enumerate(traces[:, PAD]):
            own = true[(true[:, 0] == pad) & (true[:, 2] > 15) & (true[:, 1] < 505)]
            if experiment.pads.beam[pad] or len(own) < 2:
                continue
            times = np.sort(own[:, 1])
            distance = np.array([np.sort(np.abs(times - time))[1] for time in own[:, 1]])
            for _, time, height in own[(own[:, 2] > 70) & (distance > 12) & (distance < 50)]:
                mine, other = ours.trace == row, theirs.trace == row
                near = np.abs(ours.time[mine] - time)
                found.append(near.min(initial=99.0) < 3)
                plain.append(np.abs(theirs.time[other] - time).min(initial=99.0) < 3)
                if found[-1] and height > 150:
                    errors.append(ours.integral[mine][near.argmin()] / (height * AREA) - 1)
    print(f"{len(found)} passages: found {np.mean(found):.3f}, by maxima alone {np.mean(plain):.3f}")
    assert len(found) > 100
    assert np.mean(found) > 0.97
    assert np.mean(plain) < 0.85
    assert abs(np.median(errors)) < 0.08
    assert np.diff(np.percentile(errors, [15.87, 84.13]))[0] / 2 < 0.08
