"""Which particle made a point of a cloud: a simulated event, made again, tells whose charge was where."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spyral_core.simulate.event import Charge, Experiment, no_charge, simulate_event

BEAM, NOISE = -1, -2
_REACH = 3  # TB on both sides of a point's time in which its pulse has its maximum
_LEAST = 10.0  # ADC: less is no pulse
Pulses = tuple[NDArray[np.int32], NDArray[np.float32]]


@dataclass
class _Parts(Charge):
    """Charge that also keeps what each source added."""

    parts: list[Pulses] = field(default_factory=list)

    def add(self, pads: NDArray[np.int32], pulses: NDArray[np.float32]) -> None:
        self.parts.append((pads, pulses))
        super().add(pads, pulses)


@dataclass(frozen=True)
class Sources:
    """The pads (n,), in the order along the track, and pulses (n, samples) [ADC] of each source of an event.

    `names` are the numbers of the event's rows in the truth table, BEAM or NOISE.
    """

    names: list[int]
    pulses: list[Pulses]


def sources(number: int, experiment: Experiment) -> Sources:
    """The sources of an event: the simulation depends on nothing but its number."""
    charge = _Parts(no_charge(experiment).slots)
    event = simulate_event(number, experiment, charge)
    visible = 2 if experiment.simulation.reaction.residual else 1
    products = list(range(len(event.truth)))[:visible]
    beams = len(charge.parts) - 1 - len(products)
    return Sources([BEAM, *products, *[BEAM] * (beams - 1), NOISE], charge.parts)


def owners(pads: NDArray[np.int32], times: NDArray[np.float64], event: Sources) -> NDArray[np.int64]:
    """The source (n,) whose own pulse, without noise, is the highest where a point (pad, time [TB]) is."""
    highest, found = np.full(len(pads), _LEAST), np.full(len(pads), NOISE)
    for name, (own, pulses) in zip(event.names, event.pulses, strict=True):
        place = {int(pad): row for row, pad in enumerate(own)}
        for point, (pad, time) in enumerate(zip(pads.tolist(), times.tolist(), strict=True)):
            row = place.get(pad)
            if row is not None:
                at = max(round(time) - _REACH, 0)
                height = pulses[row, at : at + 2 * _REACH + 1].max(initial=0.0)
                if height > highest[point]:
                    highest[point], found[point] = height, name
    return found
