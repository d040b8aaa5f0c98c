"""What trades time for accuracy in the fit of a track, as changes of the library's constants for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

from spyral_core.fitting import fit, refine, robust, starts
from spyral_core.fitting.deviance import losses_of
from spyral_core.fitting.minimise import Array
from spyral_core.fitting.settings import FitSettings, Track
from spyral_core.fitting.track_end import NOT_MEASURED

CHOSEN = "as it is"


@dataclass(frozen=True)
class Variant:
    """A way to fit: values of modules' names, and of the configuration's section `solver`."""

    name: str
    changes: tuple[tuple[ModuleType | type, str, Any], ...] = ()
    solver: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The changes, taken back at the end."""
        with ExitStack() as stack:
            for module, name, value in self.changes:
                stack.enter_context(patch.object(module, name, value))
            yield


def _no_end(*_: Any) -> tuple[float, float]:
    """In place of `track_end.end_of`."""
    return 0.0, NOT_MEASURED


def _points_alone(track: Track, weights: Array, start: refine.KickedMotion, settings: FitSettings) -> refine.Refined:
    """In place of `refine.refine`: the robust minimum of the points as it is; its covariance is not asked for."""
    frame, _ = robust.parametrisation(settings)
    losses = losses_of(track.points, weights, start.parameters, np.zeros(0), np.zeros((0, 3)), frame, settings)
    return refine.Refined(
        start,
        np.eye(len(start.parameters)),
        float(np.sum(losses)),
        float(len(losses)),
        1.0,
        0.0,
        float(np.mean(losses)),
    )


def _none_silent(*_: Any) -> tuple[Array, ...]:
    """In place of `silent_pads.silent_pads`."""
    return np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)


def _no_starts(_: starts.FirstEstimate) -> tuple[starts.FirstEstimate, ...]:
    """In place of `starts.distant`."""
    return ()


def _not_followed(*_: Any) -> None:
    """In place of `follow.follow`."""


VARIANTS = (
    Variant(CHOSEN),
    Variant(
        "points alone, 60 of them",
        (
            (fit, "refine", _points_alone),
            (fit, "follow", _not_followed),
        ),
    ),
    Variant(
        "points alone, all",
        ((fit, "refine", _points_alone), (fit, "follow", _not_followed), (robust, "POINTS", 100_000)),
    ),
    Variant("without scattering in the fit", solver={"scattering": False}),
    Variant("without silent pads", ((refine, "silent_pads", _none_silent),)),
    Variant("energy loss of pads independent", ((FitSettings, "straggling", 0.0),)),
    Variant("without the end", ((refine, "end_of", _no_end),)),
    Variant("one round", ((refine, "ROUNDS", 1),)),
    Variant("three rounds", ((refine, "ROUNDS", 3),)),
    Variant("five rounds", ((refine, "ROUNDS", 5),)),
    Variant("two steps a round", ((refine, "ITERATIONS", 2),)),
    Variant("steps to 0.02 σ", ((refine, "SMALL_STEP", 0.02), (refine, "ITERATIONS", 20))),
    Variant("nodes every 6 mm", ((refine, "NODE_LENGTH", 6.0),)),
    Variant("nodes every 9 mm", ((refine, "NODE_LENGTH", 9.0),)),
    Variant("nodes every 18 mm", ((refine, "NODE_LENGTH", 18.0),)),
    Variant("nodes every 30 mm", ((refine, "NODE_LENGTH", 30.0),)),
    Variant("starts on 20 points", ((robust, "POINTS", 20),)),
    Variant("starts on all points", ((robust, "POINTS", 100_000),)),
    Variant("the estimate as only start", ((starts, "distant", _no_starts), (fit, "follow", _not_followed))),
    Variant("L-BFGS-B", solver={"fit_method": "lbfgsb"}),
)
