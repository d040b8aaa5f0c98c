"""Corrections of single pads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spyral_core.detector.corrections import load_gain_correction, load_time_correction
from spyral_core.errors import ConfigurationError


def test_without_a_file_nothing_is_corrected() -> None:
    np.testing.assert_array_equal(load_time_correction(None), np.zeros(10240))
    np.testing.assert_array_equal(load_gain_correction(None), np.ones(10240))


def test_the_experiments_time_correction_is_read(shared: Path) -> None:
    path = shared / "pad_plane" / "pad_time_correction.csv"
    values = load_time_correction(path)
    expected = [float(cell) for cell in path.read_bytes().decode().split("\r")[1:] if cell]
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_gains_are_read(tmp_path: Path, end: str) -> None:
    gains = np.random.default_rng(3).uniform(0.9, 1.1, 10240)
    path = tmp_path / "gain.csv"
    path.write_bytes(end.join(["gain", *map(repr, gains.tolist())]).encode())
    np.testing.assert_array_equal(load_gain_correction(path), gains)


@pytest.mark.parametrize("factor", ["0", "-1.5"])
def test_gains_are_positive(tmp_path: Path, factor: str) -> None:
    path = tmp_path / "gain.csv"
    path.write_text("\n".join(["gain", "1", factor, *["1"] * 10238]))
    with pytest.raises(ConfigurationError, match=r"gain\.csv: line 3: the factor of pad 1 is .*; allowed: positive"):
        load_gain_correction(path)


def test_a_correction_is_needed_for_each_pad(tmp_path: Path) -> None:
    path = tmp_path / "time.csv"
    path.write_text("\n".join(["tcorr", *["0"] * 2048]))
    with pytest.raises(ConfigurationError, match=r"time\.csv: has 2048 rows after the header; allowed: 10240"):
        load_time_correction(path)
