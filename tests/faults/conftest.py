"""Sound trace files to damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import samples


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A simulated trace file and its survey."""
    return samples.simulated(tmp_path_factory.mktemp("sound"), events=6)
