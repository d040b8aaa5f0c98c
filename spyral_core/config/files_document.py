"""`docs/files.md`, made from the tables, so that it cannot say anything else."""

from __future__ import annotations

from pathlib import Path

from spyral_core.catalog import STAGES
from spyral_core.paths import PATTERNS
from spyral_core.tables import REJECTED, Table

FILES = Path("docs/files.md")

_INTRODUCTION = """\
# Files

<!-- Written by `python -m spyral_core document` from `spyral_core/tables.py` and `catalog.py`: change those. -->

All files lie under `results/`. In the HDF5 files each table is a group and each column a dataset of one length (read
it with h5py: `file["points/x"][:]`); a row of a parent table owns the rows `first_… : first_… + n_…` of its child
table. The parquet files are read with polars or pandas. Units and meanings are attributes of the datasets, units
metadata of the parquet files. Every file carries its lineage (parameters, code fingerprint, versions, inputs):
`python -m spyral_core lineage FILE`. Files are written under another name and take their own when complete; an empty
result has all its columns and no rows.

Every event of a trace file is in exactly one of the `events` of its point clouds (`n_points` may be 0), the count of
downscaled ion-chamber events (metadata of the scalers: `downscaled_ic`, and `downscaled_ic_within_multiplicity` of them
with a good ion chamber) and the rejected table. Trace files themselves: [trace-files.md](trace-files.md).
"""


def files() -> str:
    """Every file with its tables and their columns."""
    parts = [_INTRODUCTION]
    for stage in STAGES.values():
        outputs = {stage.output: stage.tables, **{name: (table,) for name, table in stage.extra.items()}}
        for name, tables in outputs.items():
            if tables:
                parts.append(f"## `{PATTERNS[name].format(run='0001', gate='<gate>')}`\n")
                parts += [_table(table, name_it=len(tables) > 1) for table in tables]
    parts += ["## `<phase>/run_0001_rejected.parquet`\n", _table(REJECTED, name_it=False)]
    return "\n".join(parts)


def _table(table: Table, name_it: bool) -> str:
    head = f"### `{table.name}`\n\n" if name_it else ""
    rows = [("column", "type", "unit", "meaning"), ("---",) * 4]
    rows += [(f"`{column.name}`", column.dtype, column.unit, column.meaning) for column in table.columns]
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)
