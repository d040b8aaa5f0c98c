"""What all tests share."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command does: before numpy is there to read it

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material that may stand beside the project; the test is skipped where it does not."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("reference material (../shared) is not there")
    return folder


@pytest.fixture(scope="session")
def layouts() -> ModuleType:
    """The module `tests/layouts.py`: the same events as trace files of every layout, and events to write."""
    import importlib.util
    import sys

    if "layouts_of_trace_files" not in sys.modules:
        spec = importlib.util.spec_from_file_location("layouts_of_trace_files", Path(__file__).with_name("layouts.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return sys.modules["layouts_of_trace_files"]


@pytest.fixture(scope="session")
def write_layout(layouts: ModuleType) -> Callable[..., Path]:
    """`write_layout(path, layout, events, without=…, scalers=…)`, see `tests/layouts.py`."""
    function: Callable[..., Path] = layouts.write_layout
    return function


@pytest.fixture(scope="session")
def lit_pads() -> ModuleType:
    """The module `tests/lit_pads.py`: tracks on the pad plane whose truth is known."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("lit_pads", Path(__file__).with_name("lit_pads.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
