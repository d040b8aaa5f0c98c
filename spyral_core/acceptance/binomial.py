"""Shares and weighted means of shares, with their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Z = 1.0  # standard deviations that the intervals span: 68.27 %


def efficiency(passed: ArrayLike, generated: ArrayLike) -> Array:
    """passed / generated; nan where nothing was generated."""
    k, n = np.asarray(passed, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    share: Array = np.divide(k, n, out=np.full(np.broadcast(k, n).shape, np.nan), where=n > 0)
    return share


def wilson(passed: ArrayLike, generated: ArrayLike, z: float = Z) -> tuple[Array, Array]:
    """Ends of the score interval of a share of `z` standard deviations; 0 … 1 where nothing was generated.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209; good for few tracks and shares near 0 and 1, too: Brown,
    Cai and DasGupta, Stat. Sci. 16 (2001) 101.
    """
    k, n = np.asarray(passed, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    middle = (k + 0.5 * z**2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(np.maximum(_spread(k, n), 0.0) + 0.25 * z**2)
    low = np.where(k == 0, 0.0, middle - half)
    high = np.where(k == n, 1.0, middle + half)
    return low, high


def _spread(k: Array, n: Array) -> Array:
    """k(n − k)/n, 0 where nothing was generated."""
    return np.asarray(np.divide(k * (n - k), n, out=np.zeros(np.broadcast(k, n).shape), where=n > 0))


def mean(weights: ArrayLike, passed: ArrayLike, generated: ArrayLike) -> tuple[float, float, float]:
    """Weighted mean of the shares of cells, and the ends of its interval of one standard deviation; weights sum to 1.

    Wilson's interval with the cells' own variance in place of p(1 − p)/n, and n that of one cell of the same worth,
    1/Σ(w²/n): in the manner of X. Yan and X. G. Su, Stat. Biopharm. Res. 2 (2010) 329. Nan where a cell that counts
    is empty.
    """
    weight, k, n = (np.asarray(values, dtype=np.float64) for values in (weights, passed, generated))
    used = weight > 0.0
    weight, k, n = weight[used], k[used], n[used]
    if not (n > 0).all():
        return np.nan, np.nan, np.nan
    share = k / n
    value = float(weight @ share)
    own = np.where(n > 1, share * (1.0 - share) / np.maximum(n - 1.0, 1.0), value * (1.0 - value))  # unbiased
    worth = 1.0 / float(np.sum(weight**2 / n))
    middle = (worth * value + 0.5 * Z**2) / (worth + Z**2)
    half = Z * worth / (worth + Z**2) * float(np.sqrt(weight**2 @ own + 0.25 * Z**2 / worth**2))
    return value, min(middle - half, value), max(middle + half, value)
