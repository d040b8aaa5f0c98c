"""Spyral from PyPI in a virtual environment of its own."""

from __future__ import annotations

from pathlib import Path

from speed import environment

PACKAGE, VERSION = "attpc-spyral", "1.1.2"
NEEDS = "a C++ compiler and the headers of Eigen (Debian: apt-get install g++ libeigen3-dev), and Python 3.10 to 3.12"


def ensure(folder: Path) -> Path:
    """The Python of the environment in `folder`; see `environment.ensure`."""
    return environment.ensure(folder, PACKAGE, VERSION, NEEDS)
