"""Killed at random moments, the analysis finishes when it is started again, with the tables of an undisturbed run."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest

from .kills import Experiment, kill_some

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to kill in /proc"),
]


def test_kills_lose_nothing(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "experiment")
    started = time.monotonic()
    code, said = experiment.finish()
    assert code == 0, said
    reference = experiment.tables()
    assert len(reference) > 15
    outcome = kill_some(experiment, reference, 4, (time.monotonic() - started) * 0.7, random.Random(8))
    assert outcome.lost == []
    assert outcome.tried == 4
