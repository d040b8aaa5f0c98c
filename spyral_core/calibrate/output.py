"""Writes what a calibration found: the two tables that the configuration takes, all numbers, a map, a summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyral_core import store, tables
from spyral_core.calibrate import maps
from spyral_core.calibrate.found import Found, Quantity
from spyral_core.calibrate.robust import spread
from spyral_core.detector.pads import N_PADS, PadPlane
from spyral_core.report import style

Floats = NDArray[np.float64]

TIME_TABLE, GAIN_TABLE, NUMBERS, MAP = (
    "time_correction.csv",
    "gain_correction.csv",
    "calibration.parquet",
    "calibration.png",
)


def write(
    folder: Path, found: Found, in_use: tuple[Floats, Floats], plane: PadPlane, title: str, lineage: Mapping[str, Any]
) -> None:
    """Write all files into `folder`; `in_use`: corrections (10240,) that the data were made with.

    The corrections are total: those in use, and what was found on top of them. They take the place of the former.
    """
    time, gain = corrections(found, in_use, plane)
    _write_table(folder / TIME_TABLE, "time_correction_TB", time)
    _write_table(folder / GAIN_TABLE, "gain_correction", gain)
    columns = {
        "pad": np.arange(N_PADS),
        **_columns("time", found.time, time),
        **_columns("gain", found.gain, gain),
    }
    store.write_parquet(folder / NUMBERS, tables.CALIBRATION, columns, lineage)
    style.write(folder / MAP, maps.figure, found, plane, title)


def corrections(found: Found, in_use: tuple[Floats, Floats], plane: PadPlane) -> tuple[Floats, Floats]:
    """What is added to times [TB], and the factors on charges; each as likely too small as too large."""
    gain = np.exp(expected(np.log(found.gain.value), found.gain.error / found.gain.value, found.gain.known, plane))
    return in_use[0] - expected(found.time.value, found.time.error, found.time.known, plane), in_use[1] / gain


def expected(value: Floats, error: Floats, known: NDArray[np.bool_], plane: PadPlane) -> Floats:
    """The most likely true values, given what was measured and how much pads of a size differ: value·τ²/(τ² + error²).

    τ is what is left of their spread without the errors. So a table never brings in more than it takes away.
    """
    result = np.zeros(len(value))
    for size in np.unique(plane.scale):
        own = known & (plane.scale == size)
        if own.any():
            true = true_spread(value[own], error[own]) ** 2
            result[own] = value[own] * true / np.maximum(true + error[own] ** 2, 1e-300)
    return result


def true_spread(value: Floats, error: Floats) -> float:
    """Spread of the pads without that of the errors."""
    return float(np.sqrt(max(spread(value) ** 2 - float(np.median(error)) ** 2, 0.0)))


def _columns(name: str, quantity: Quantity, correction: Floats) -> dict[str, Any]:
    return {
        name: quantity.value,
        f"{name}_error": np.where(quantity.hits > 0, quantity.error, np.inf),
        f"{name}_hits": quantity.hits,
        f"{name}_known": quantity.known,
        f"{name}_correction": correction,
    }


def _write_table(path: Path, head: str, values: Floats) -> None:
    with store.writing(path), store.atomic(path) as temporary:
        temporary.write_text("\n".join([head, *(f"{value:.6g}" for value in values)]) + "\n")


def summary(found: Found, plane: PadPlane) -> list[str]:
    """Lines for people: spread found, typical error, pads without, by size of the pads."""
    lines = []
    for name, quantity, factor, unit in (("time", found.time, 1.0, "TB"), ("gain", found.gain, 100.0, "%")):
        for size, word in ((0.5, "small"), (1.0, "big")):
            own = plane.scale == size
            known = own & quantity.known
            if not known.any():
                lines.append(f"{name}, {word} pads: none has enough hits")
                continue
            width, error = factor * spread(quantity.value[known]), factor * float(np.median(quantity.error[known]))
            true = factor * true_spread(quantity.value[known], quantity.error[known])
            lines.append(
                f"{name}, {word} pads: {np.count_nonzero(known)} known, {np.count_nonzero(own & ~known)} not; spread "
                f"{width:.3g} {unit}, median error {error:.2g} {unit}, hence true spread {true:.2g} {unit}"
                + ("" if error < true else ": more data are needed for the table to do much")
            )
    return lines
