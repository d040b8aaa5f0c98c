"""The one decorator behind every numba kernel, and where compiled code is kept.

numba decides by the time stamp of a kernel's own file whether its compiled code is still good; it does not look at
the kernels that one calls from other files. The cache folder therefore carries a hash of all code that the kernel's
module imports, so that stale machine code is never run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

from spyral_core.closure import PACKAGE, closure_code


@cache
def base_folder() -> Path:
    """First writable of: $NUMBA_CACHE_DIR, beside the package, the user's cache, a temporary folder."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "spyral_core"
    candidates = [Path(chosen)] if chosen else [PACKAGE / "__pycache__", user]
    for candidate in candidates:
        with contextlib.suppress(OSError):
            candidate.mkdir(parents=True, exist_ok=True)
            if os.access(candidate, os.W_OK):
                return candidate
    return Path(tempfile.gettempdir()) / "spyral_core"


@cache
def _folder(module: str) -> str:
    digest = hashlib.sha256(closure_code(module).encode()).hexdigest()[:16]
    return str(base_folder() / f"numba-{digest}")


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function with numba: cached on disk, no interpreter lock, IEEE arithmetic (no fast-math).

    Division by zero gives inf or nan as in numpy.
    """
    numba.config.CACHE_DIR = _folder(function.__module__)  # type: ignore[attr-defined]
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


def part(function: Callable[..., Any]) -> Any:
    """A piece of a kernel with a name of its own: numba puts it into the kernel that calls it before compiling that.

    A kernel that is called by a kernel is compiled twice, once more in its caller; in a chain of calls the innermost is
    compiled as often as the chain is long. So what has one caller and is not short is a part.
    """
    return numba.njit(inline="always", nogil=True, error_model="numpy")(function)
