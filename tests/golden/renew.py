"""Renew the golden values after a change of numbers that is meant: `python tests/golden/renew.py`.

Prints which columns moved and by how much: that belongs into the changelog.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from chain import make  # type: ignore[import-not-found]
from columns import moved, read, summary  # type: ignore[import-not-found]

from spyral_core import lineage

VALUES = Path(__file__).with_name("experiment.json")


def main() -> None:
    known = json.loads(VALUES.read_text()) if VALUES.exists() else {"events": 40, "columns": {}}
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), known["events"], [1])
        found = {name: summary(column) for name, column in read(Path(folder)).items()}
    for line in moved(known["columns"], found):
        print(line)
    values = {"events": known["events"], "versions": lineage.versions(), "columns": found}
    VALUES.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
