"""Killed at random moments, the analysis finishes when it is started again, with the tables of an undisturbed run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .kills import Experiment, kill_some, processes_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to kill in /proc"),
]

STAGE = """
import signal
import time

from spyral_core.cli import _stop
from spyral_core.runner import ordered_map

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    list(ordered_map(time.sleep, [60] * 8, 2, time.sleep, (0,)))
"""


def test_kills_lose_nothing(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "experiment")
    started = time.monotonic()
    code, said = experiment.finish()
    assert code == 0, said
    reference = experiment.tables()
    assert len(reference) > 15
    outcome = kill_some(experiment, reference, 4, min(0.5 * (time.monotonic() - started), 12.0), random.Random(8))
    assert outcome.lost == []
    assert outcome.tried == 4


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_stage_at_once(which: signal.Signals, tmp_path: Path) -> None:
    """A stage that is killed cannot end its workers; they must see it themselves."""
    (tmp_path / "stage.py").write_text(STAGE)
    stage = subprocess.Popen([sys.executable, str(tmp_path / "stage.py")], start_new_session=True)
    until = time.monotonic() + 60
    while len(processes_of(stage.pid)["worker"]) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.0)  # for the workers to begin
    stage.send_signal(which)
    assert stage.wait(20) == (128 + which if which == signal.SIGTERM else -which)
    until = time.monotonic() + 10
    while (left := processes_of(stage.pid)["worker"]) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == []
