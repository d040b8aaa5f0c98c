"""On what was measured: processor, system, versions, date; and how processes are kept to one thread each."""

from __future__ import annotations

import datetime
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


def one_thread() -> dict[str, str]:
    """The environment of a process of one thread, without warnings: printing thousands of them costs time."""
    return {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONWARNINGS": "ignore"}


def cores() -> list[int]:
    """The processors that this process may use."""
    return sorted(os.sched_getaffinity(0))


def processor(cpuinfo: str) -> str:
    """The processor's name in the text of `/proc/cpuinfo`, with family and model, since virtual machines hide names."""
    found = dict(re.findall(r"^(vendor_id|model name|cpu family|model)\s*: (.*)$", cpuinfo, re.MULTILINE))
    name = found.get("model name", platform.machine())
    return f"{name}, family {found['cpu family']}, model {found['model']}" if "cpu family" in found else name


def description() -> str:
    """One line on machine, versions and date."""
    cpuinfo = Path("/proc/cpuinfo")
    name = processor(cpuinfo.read_text()) if cpuinfo.exists() else platform.processor()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{library} {version(library)}" for library in ("numpy", "numba", "h5py", "polars"))
    return (
        f"{name}; {len(cores())} cores, {memory:.0f} GB; Linux {platform.release()}, "
        f"Python {platform.python_version()}, {versions}; {datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    )


def load() -> float:
    """Processes that wanted to run in the last minute: what the machine does besides."""
    return os.getloadavg()[0]
