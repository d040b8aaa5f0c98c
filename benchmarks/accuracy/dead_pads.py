"""A trace file as a detector with dead pads would have written it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from spyral_core.detector.pads import N_PADS

SEED = 71
PAD_COLUMN = 4


def dead_pads(share: float) -> NDArray[np.int64]:
    """Numbers of the dead pads: a share of all, at random, the same each time."""
    return np.sort(np.random.default_rng(SEED).choice(N_PADS, round(share * N_PADS), replace=False))


def remove_pads(path: Path, share: float) -> None:
    """Take the rows of dead pads out of every event of a simulated trace file."""
    dead = dead_pads(share)
    with h5py.File(path, "r+") as file:
        for event in file["events"].values():
            if "get" not in event or "pads" not in event["get"]:
                continue
            rows = event["get/pads"][()]
            kept = rows[~np.isin(rows[:, PAD_COLUMN], dead)]
            attributes = dict(event["get/pads"].attrs)
            del event["get/pads"]
            event["get"].create_dataset("pads", data=kept).attrs.update(attributes)
