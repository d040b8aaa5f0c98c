"""The GET response to charge that arrives over some time, tabulated: one table for all shaping times.

The response to a charge at u = 0 is s(u) = exp(−3u) u³ sin u over its maximum, u in shaping times (NIM A 887 (2018)
81). Charge spread normally with variance v [shaping times²] makes it s convolved with that normal distribution; the
area stays.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from spyral_core.compiled import kernel
from spyral_core.signal.restore import TOP, log_response

FIRST, LAST = -3.5, 6.5  # u from the mean of the arrivals
STEPS = 32  # a shaping time
VARIANCES, VARIANCE_STEP = 21, 0.05
MOST_VARIANCE = (VARIANCES - 1) * VARIANCE_STEP
LAG = 0.15026  # how much later than its maximum the centroid of s is [u]
RESPONSE_VARIANCE = 0.21634  # of s [u²]

Table = NDArray[np.float64]


@cache
def response_table() -> Table:
    """Rows (VARIANCES, n) of the response at u = FIRST + k/STEPS, a row a variance; read only."""
    fine = 4 * STEPS
    u = np.arange(round((LAST - FIRST) * fine) + 1) / fine + FIRST
    late = np.maximum(u, 0.0)
    plain = np.exp(-3 * late) * late**3 * np.sin(late) / np.exp(log_response(TOP)[0])
    rows = [plain]
    for k in range(1, VARIANCES):
        sigma = np.sqrt(k * VARIANCE_STEP) * fine
        reach = int(5 * sigma)
        normal = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        padded = np.concatenate([np.zeros(reach), plain, np.zeros(reach)])
        rows.append(np.convolve(padded, normal / normal.sum(), "valid"))
    table = np.ascontiguousarray(np.array(rows)[:, ::4])
    table.flags.writeable = False
    return table


@kernel
def look_up(table: Table, u: float, variance: float) -> tuple[float, float, float]:
    """The response, its derivative by u and by the variance: linear between the table's places.

    0 beyond its ends; `variance` between 0 and MOST_VARIANCE.
    """
    place = (u - FIRST) * STEPS
    if not 0.0 <= place < table.shape[1] - 1:
        return 0.0, 0.0, 0.0
    k, row = int(place), min(int(variance / VARIANCE_STEP), VARIANCES - 2)
    share, part = place - k, variance / VARIANCE_STEP - row
    a, b, c, d = table[row, k], table[row, k + 1], table[row + 1, k], table[row + 1, k + 1]
    low, high = a + share * (b - a), c + share * (d - c)
    slope = (b - a) + part * ((d - c) - (b - a))
    return low + part * (high - low), slope * STEPS, (high - low) / VARIANCE_STEP
