"""A trace file as a detector with dead pads would have written it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from spyral_core.detector.pads import N_PADS, builtin

SEED = 71
PAD_COLUMN = 4


def dead_pads(share: float) -> NDArray[np.int64]:
    """Numbers of the dead pads: a share of all, at random, the same each time."""
    return np.sort(np.random.default_rng(SEED).choice(N_PADS, round(share * N_PADS), replace=False))


def dead_chips(number: int, size: int) -> NDArray[np.int64]:
    """Numbers of the pads of dead chips: the `size` pads nearest to each of some random pads, the same each time."""
    plane = builtin()
    chosen = np.random.default_rng(SEED).choice(N_PADS, number, replace=False)
    distance = np.hypot(plane.x[chosen, None] - plane.x, plane.y[chosen, None] - plane.y)
    return np.unique(np.argsort(distance, axis=1, kind="stable")[:, :size])


def remove_pads(path: Path, dead: NDArray[np.int64]) -> None:
    """Take the rows of dead pads out of every event of a simulated trace file."""
    with h5py.File(path, "r+") as file:
        for event in file["events"].values():
            if "get" not in event or "pads" not in event["get"]:
                continue
            rows = event["get/pads"][()]
            kept = rows[~np.isin(rows[:, PAD_COLUMN], dead)]
            attributes = dict(event["get/pads"].attrs)
            del event["get/pads"]
            event["get"].create_dataset("pads", data=kept).attrs.update(attributes)
