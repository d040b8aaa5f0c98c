"""Kernels are compiled once, however many jobs start together."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from spyral_core import warmup


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where stages were run to be compiled; a mark of its own for the test."""
    found: list[Path] = []

    def run_all(folder: Path) -> list[str]:
        assert folder.is_dir()
        time.sleep(0.2)
        found.append(folder)
        return ["solve: ValueError: no"]

    monkeypatch.setattr(warmup, "_run_all", run_all)
    monkeypatch.setattr(warmup, "_mark", lambda: tmp_path / "cache" / "compiled-here-numba0.1-processor")
    return found


def test_one_compiles_and_the_others_wait(calls: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [threading.Thread(target=warmup.ensure) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(calls) == 1
    assert not calls[0].exists()
    assert capsys.readouterr().err.count("solve: ValueError: no") == 1


def test_nothing_is_compiled_twice(calls: list[Path]) -> None:
    warmup.ensure()
    warmup.ensure()
    assert len(calls) == 1


def test_the_mark_names_the_code_numba_and_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    before = warmup._mark()
    assert "numba" in before.name
    monkeypatch.setattr(warmup, "package_digest", lambda: "other code")
    assert warmup._mark() != before
    assert warmup._mark().parent == before.parent
