"""Corrections of single pads: when their pulses come and how large they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spyral_core.detector.lattice import N_PADS
from spyral_core.detector.tables_csv import read_column
from spyral_core.errors import ConfigurationError


def load_time_correction(path: str | Path | None) -> NDArray[np.float64]:
    """Time that is added to each pad's pulses [TB], float64 (10240,); zeros without a file.

    The CSV file has one column. Raises ConfigurationError if it cannot be read or has another shape.
    """
    if path is None:
        return np.zeros(N_PADS)
    return read_column(Path(path), N_PADS, "times [TB], one row for each of 10240 pads")


def load_gain_correction(path: str | Path | None) -> NDArray[np.float64]:
    """Factor on each pad's amplitudes and integrals, float64 (10240,); ones without a file.

    The CSV file has one column of positive numbers. Raises ConfigurationError if it has not.
    """
    if path is None:
        return np.ones(N_PADS)
    factors = read_column(Path(path), N_PADS, "positive factors, one row for each of 10240 pads")
    wrong = np.flatnonzero(factors <= 0.0)
    if len(wrong):
        raise ConfigurationError(
            f"{path}: line {wrong[0] + 2}: the factor of pad {wrong[0]} is {factors[wrong[0]]:g}; "
            "allowed: positive numbers"
        )
    return factors
