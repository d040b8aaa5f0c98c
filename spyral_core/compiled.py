"""The one decorator behind every numba kernel, and where compiled code is kept.

numba decides by the time stamp of a kernel's own file whether its compiled code is still good; it does not look at
the kernels that one calls from other files. The cache folder therefore carries a hash of the whole package, so that
stale machine code can never be run.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def _package_hash(package: Path) -> str:
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(str(source.relative_to(package)).encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    """First writable of: $NUMBA_CACHE_DIR, beside the package, the user's cache, a temporary folder."""
    package = Path(__file__).parent
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "spyral_core"
    candidates = (
        [Path(chosen)] if chosen else [package / "__pycache__", user, Path(tempfile.gettempdir()) / "spyral_core"]
    )
    for candidate in candidates:
        folder = candidate / f"numba-{_package_hash(package)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return candidates[-1]


numba.config.CACHE_DIR = str(_cache_folder())  # type: ignore[attr-defined]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function with numba: cached on disk, no interpreter lock, IEEE arithmetic (no fast-math).

    Division by zero gives inf or nan as in numpy.
    """
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
