"""A program from PyPI in a virtual environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ASK = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"


def cache_folder() -> Path:
    """Where the benchmarks keep what takes long to make: such environments, traces, trajectory meshes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "spyral_core_benchmarks"


def ensure(folder: Path, package: str, version: str, needs: str) -> Path:
    """The Python of the environment in `folder`, which is made unless it holds the right version of a package.

    Raises SystemExit with what it `needs` if it cannot be installed.
    """
    python = folder / "bin" / "python"
    if _installed(python, package) == version:
        return python
    print(f"installing {package} {version} into {folder}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "--disable-pip-version-check", f"{package}=={version}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise SystemExit(f"{end}\n{package} {version} cannot be installed into {folder}; it needs {needs}")
    return python


def _installed(python: Path, package: str) -> str | None:
    if not python.exists():
        return None
    done = subprocess.run([python, "-c", _ASK, package], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
