"""Inputs that atheris makes up, guided by what of the code they reach: `python tests/faults/fuzz.py --seconds 120`.

Needs atheris (`pip install atheris`; Linux, and the Pythons that it has wheels for), which the project itself does not.
`--only configuration,gas,…` chooses. Prints a table; exit code 1 if anything but a reading or a refusal came of an
input, 2 if atheris is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
KINDS = ("configuration", "gas", "gate", "runs", "hdf5")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(KINDS))
    parser.add_argument("--seconds", type=int, default=120, help="for each kind")
    parser.add_argument("--here", choices=KINDS, help="fuzz one kind in this process")
    parser.add_argument("--corpus", type=Path)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: `pip install atheris`", file=sys.stderr)
        return 2
    if options.here:
        _fuzz(options.here, options.corpus, options.seconds)
    print("| input | tried | branches and comparisons reached | lost |\n| --- | --- | --- | --- |")
    results = [_in_a_process(kind, options.seconds) for kind in options.only]
    return int(any(results))


def _in_a_process(kind: str, seconds: int) -> int:
    """Fuzz one kind, and print a line of the table: 1 if something was lost. atheris ends its process."""
    with tempfile.TemporaryDirectory(prefix="fuzz_") as name:
        corpus = Path(name) / "corpus"
        corpus.mkdir()
        for number, content in enumerate(_first_inputs(kind)):
            (corpus / str(number)).write_bytes(content)
        arguments = ["--here", kind, "--seconds", str(seconds), "--corpus", str(corpus)]
        command = [sys.executable, str(Path(__file__).resolve()), *arguments]
        done = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False, errors="replace")
    tried = re.findall(r"^#(\d+)\s", done.stderr, re.MULTILINE)
    reached = re.findall(r"ft: (\d+)", done.stderr)
    print(f"| {kind} | {(tried or ['0'])[-1]} | {(reached or ['0'])[-1]} | {int(done.returncode != 0)} |", flush=True)
    if done.returncode:
        print(f"LOST {kind}:\n{done.stdout[-3000:]}\n{done.stderr[-1500:]}")
    return int(done.returncode != 0)


def _first_inputs(kind: str) -> list[bytes]:
    from faults import inputs

    if kind == "runs":
        return [b"94-97, 99", b"1", b"", b"7-5", b"all"]
    if kind == "hdf5":
        return _headers()
    return [content for content in inputs.texts(kind, 40, 5) if len(content) < 4096]


def _headers() -> list[bytes]:
    """Headers of groups and what they lead to, as they begin a file of their own."""
    import h5py
    import numpy as np

    found = []
    for version in ("earliest", "latest"):
        with tempfile.NamedTemporaryFile(suffix=".h5") as file:
            with h5py.File(file.name, "w", libver=version) as made:
                group = made.create_group("events")
                group.attrs["version"] = "libattpc_merger:2.0"
                group["pads"] = np.zeros(2)
                address = h5py.h5o.get_info(group.id).addr
            content = Path(file.name).read_bytes()
            found.append(struct.pack("<Q", address) + content[:8000])
    return found


def _fuzz(kind: str, corpus: Path, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["spyral_core"]):
        attempt = _attempt(kind)
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", "-max_len=8192", "-timeout=30", "-rss_limit_mb=4000", str(corpus)],
        attempt,
    )
    atheris.Fuzz()


def _attempt(kind: str) -> Callable[[bytes], None]:
    """What is done with an input; what it raises is a fault."""
    from faults import inputs
    from spyral_core import runs
    from spyral_core.errors import ConfigurationError
    from spyral_core.traces import heap_names, text_attribute

    path = Path("config.yaml" if kind == "configuration" else "input.json").resolve()

    def read_file(content: bytes) -> None:
        path.write_bytes(content)
        inputs.CHECKS[kind](path)

    def read_runs(content: bytes) -> None:
        with suppress(ConfigurationError):
            numbers = runs.parse(content.decode("utf-8", "replace"))
            assert runs.parse(runs.ranges(numbers)) == numbers

    def read_hdf5(content: bytes) -> None:
        raw, address = io.BytesIO(content[8:]), int.from_bytes(content[:4], "little")
        known = (ValueError, struct.error, IndexError, OverflowError)  # what their callers expect
        with suppress(*known):
            list(text_attribute.object_messages(raw, 0, address))
        with suppress(*known):
            length, heap, index = struct.unpack("<IQI", text_attribute._attribute_data(raw, 0, address, "version"))
            text_attribute._heap_object(raw, heap, index, length)
        with suppress(*known):
            heap_names._names(raw, 0, address)

    return {"runs": read_runs, "hdf5": read_hdf5}.get(kind, read_file)


if __name__ == "__main__":
    sys.exit(main())
