"""What unit tests share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def report_products() -> ModuleType:
    """The module `tests/report_products.py`, which writes all products of small runs."""
    file = Path(__file__).parents[1] / "report_products.py"
    spec = importlib.util.spec_from_file_location("report_products", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
