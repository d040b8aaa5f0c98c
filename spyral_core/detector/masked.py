"""Which pads a run's survey masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spyral_core import store
from spyral_core.detector.lattice import N_PADS
from spyral_core.errors import DataError


def masked_pads(survey: Path) -> NDArray[np.bool_]:
    """Which pads the survey masks: (10240,). Raises DataError if the file is none."""
    table = store.read_parquet(survey)
    if table.height != N_PADS or "masked" not in table.columns:
        raise DataError(f"{survey}: is not a survey of {N_PADS} pads: make it again")
    masked = np.zeros(N_PADS, np.bool_)
    masked[table["pad"].to_numpy()] = table["masked"].to_numpy()
    return masked
