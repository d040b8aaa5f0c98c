"""Another type of processor gives the same rows, and the same values to the stated tolerance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from spyral_core import paths, store

from .chain import make
from .columns import Columns, differences, read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not __cpu_features__.get("FMA3"), reason="this processor is itself a plain one"),
]
# What an old processor is: neither fused multiply-add nor wide vectors, in kernels, linear algebra, numpy and libm.
PLAIN = {
    "NUMBA_CPU_NAME": "generic",
    "NUMBA_CPU_FEATURES": "",
    "OPENBLAS_CORETYPE": "Prescott",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-FMA4",
}


def plain() -> dict[str, str]:
    """PLAIN, and the instruction sets that numpy would choose from here disabled."""
    chosen = " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))
    return {**PLAIN, "NPY_DISABLE_CPU_FEATURES": chosen}


def test_an_old_processor_gives_the_same_numbers_to_the_tolerance(
    golden: dict[str, Any], analysed: Columns, tmp_path: Path
) -> None:
    make(tmp_path, golden["events"], [1], plain())
    beyond, seen = differences(analysed, read(tmp_path))
    print(*(f"{name}: {size:.1e}" for name, size in seen.items()), sep="\n")
    assert not beyond, "\n".join(beyond)
    assert seen, "not one bit differs: was the other processor really another?"


def test_lbfgsb_gives_the_same_tracks_on_an_old_processor_within_their_errors(tmp_path: Path) -> None:
    """It stops where its steps gain little, not at the minimum itself: a last bit may move that place."""
    found = {}
    for name, environment in (("this", {}), ("old", plain())):
        make(tmp_path / name, 12, [1], environment, "lbfgsb")
        found[name] = store.read_parquet(paths.product(tmp_path / name, "solver", 1, "deuteron"))
    this, old = found["this"], found["old"]
    assert this["event"].equals(old["event"]) and this["cluster_label"].equals(old["cluster_label"])
    moves = [
        ((this[column] - old[column]).abs() / this[f"sigma_{error}"]).to_numpy()
        for column, error in (("brho", "brho"), ("polar", "polar"), ("azimuthal", "azimuthal"), ("vertex_z", "vz"))
    ]
    worst = np.max(moves, axis=0)
    print("moves in standard deviations:", np.sort(worst))
    assert len(worst) >= 8
    assert np.median(worst) < 1e-3
    assert worst.max() < 0.5
