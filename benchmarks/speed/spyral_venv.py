"""Spyral from PyPI in a virtual environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PACKAGE, VERSION = "attpc-spyral", "1.1.2"
_ASK = "from importlib.metadata import version; print(version('attpc-spyral'))"


def cache_folder() -> Path:
    """Where the benchmarks keep what takes long to make: this environment, traces, trajectory meshes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "spyral_core_benchmarks"


def ensure(folder: Path) -> Path:
    """The Python of the environment in `folder`, which is made unless it holds the right version of Spyral.

    Raises SystemExit with what to do if it cannot be installed: one of its dependencies is compiled.
    """
    python = folder / "bin" / "python"
    if _installed(python) == VERSION:
        return python
    print(f"installing {PACKAGE} {VERSION} into {folder}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "--disable-pip-version-check", f"{PACKAGE}=={VERSION}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise SystemExit(
            f"{end}\n{PACKAGE} {VERSION} cannot be installed into {folder}; it needs a C++ compiler and the headers of "
            "Eigen (Debian: apt-get install g++ libeigen3-dev), and Python 3.10 to 3.12"
        )
    return python


def _installed(python: Path) -> str | None:
    if not python.exists():
        return None
    done = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
