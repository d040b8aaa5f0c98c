"""Which pad is wired to which channel of the GET electronics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.detector.lattice import N_PADS
from spyral_core.detector.tables_csv import integer_in, read_rows
from spyral_core.errors import ConfigurationError

N_COBO = 256
N_ASAD = 4
N_AGET = 4
N_CHANNEL = 68
"""Sizes of the GET system: 4 AsAd boards a CoBo, 4 AGET chips an AsAd, 68 channels an AGET (NIM A 887 (2018) 81)."""

_MEANING = (
    "cobo,asad,aget,channel,pad or cobo,asad,aget,channel,detector keyword,detector channel (rows of keyword pad count)"
)


def load_electronics(path: str | Path) -> NDArray[np.int32]:
    """The pad at each place of the electronics: int32 (cobo, asad, aget, channel), −1 where there is none.

    The CSV file has the five columns cobo, asad, aget, channel, pad, or the six of the newer maps: cobo, asad, aget,
    channel, detector keyword, detector channel, of which the rows of keyword `pad` are used. The array ends at the last
    CoBo that has a pad: look it up with `pad_of_channel` or `pads_of_channels`, which know its ends.

    Raises ConfigurationError if the file cannot be read, if a number is out of bounds, if a pad or a channel comes
    twice, or if there is no pad at all.
    """
    path = Path(path)
    places: dict[tuple[int, int, int, int], int] = {}
    lines: dict[int, int] = {}
    for line, row in enumerate(read_rows(path, _MEANING), start=2):
        if len(row) not in (5, 6):
            raise ConfigurationError(f"{path}: has {len(row)} columns; allowed: {_MEANING}")
        if len(row) == 6 and row[4].lower() != "pad":
            continue
        cobo, asad, aget, channel, pad = (
            integer_in(path, line, cell, name, size - 1)
            for cell, name, size in (
                (row[0], "cobo", N_COBO),
                (row[1], "asad", N_ASAD),
                (row[2], "aget", N_AGET),
                (row[3], "channel", N_CHANNEL),
                (row[-1], "pad", N_PADS),
            )
        )
        place = (cobo, asad, aget, channel)
        if place in places:
            raise ConfigurationError(
                f"{path}: line {line}: cobo {cobo}, asad {asad}, aget {aget}, channel {channel} was given before "
                f"(line {lines[places[place]]}, pad {places[place]}); allowed: one row for each channel"
            )
        if pad in lines:
            raise ConfigurationError(
                f"{path}: line {line}: pad {pad} was given before (line {lines[pad]}); "
                "allowed: one channel for each pad"
            )
        places[place] = pad
        lines[pad] = line
    if not places:
        raise ConfigurationError(f"{path}: names no pad; allowed: {_MEANING}")
    n_cobo = 1 + max(place[0] for place in places)
    table = np.full((n_cobo, N_ASAD, N_AGET, N_CHANNEL), -1, dtype=np.int32)
    for place, pad in places.items():
        table[place] = pad
    return table


@kernel
def pad_of_channel(table: NDArray[np.int32], cobo: int, asad: int, aget: int, channel: int) -> int:
    """The pad at one place of the electronics, −1 if there is none."""
    n_cobo, n_asad, n_aget, n_channel = table.shape
    if 0 <= cobo < n_cobo and 0 <= asad < n_asad and 0 <= aget < n_aget and 0 <= channel < n_channel:
        return int(table[cobo, asad, aget, channel])
    return -1


@kernel
def pads_of_channels(table: NDArray[np.int32], places: NDArray[np.int16]) -> NDArray[np.int32]:
    """The pad at each of many places, −1 where there is none.

    `places`: integers (n, 4 or more), columns cobo, asad, aget, channel: the start of the pad rows of a trace file.
    Returns int32 (n,).
    """
    pads = np.empty(len(places), dtype=np.int32)
    for i in range(len(places)):
        pads[i] = pad_of_channel(table, places[i, 0], places[i, 1], places[i, 2], places[i, 3])
    return pads
