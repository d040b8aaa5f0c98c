"""The embedded experiment at reduced size, analysed once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .chain import make
from .columns import Columns, read


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """`events`: how many the run has; `columns`: the summary of each; `versions`: with which they were made."""
    values: dict[str, Any] = json.loads(Path(__file__).with_name("experiment.json").read_text())
    return values


@pytest.fixture(scope="session")
def analysed(golden: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Columns:
    """All columns of run 1, as this processor makes them."""
    folder = tmp_path_factory.mktemp("analysed")
    make(folder, golden["events"], [1])
    return read(folder)
