"""One day's raw rows → accepted rows, cells and quarantined rows in the store, with their counts."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa

from segmentation.config import Recipe, Validation
from segmentation.contracts.gate import Figures, Finding, gate
from segmentation.contracts.rows import counts, split
from segmentation.features.cells import cells
from segmentation.store.content import hash_table
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay, AcceptedTable

TABLE = "orders"
WRITERS = 4


def check_rows(
    objects: Objects, day: date, raw: pa.Table, listed: Mapping[str, Any], recipe: Recipe, validation: Validation
) -> tuple[AcceptedDay | None, str]:
    """Split the rows, gate them, and keep what was accepted and what was quarantined.

    `listed`: the day's `files` (rows by key), their `names`, and `weekday_rows`, the raw rows of the same weekdays before.
    Returns the day, or None and what is critical about its rows; then nothing is kept.
    """
    parts = split(raw, recipe)
    table = parts.accepted.sort_by([(name, "ascending") for name in parts.accepted.column_names])
    verdict = gate(
        table,
        Figures(raw.num_rows, table.num_rows, parts.quarantined.num_rows, tuple(listed["weekday_rows"])),
        validation,
    )
    if verdict.critical:
        return None, ", ".join(_said(finding) for finding in verdict.critical)

    def kept(folder: str, rows: pa.Table) -> str | None:
        return objects.put_table(f"{folder}/{TABLE}/date={day}", rows) if rows.num_rows else None

    some = table.num_rows > 0
    accepted = AcceptedTable(
        partition=hash_table(table, sorted(table.column_names)) if some else "",
        users=hash_table(pa.table({"user_id": table["user_id"].unique()}), ["user_id"]) if some else "",
        files=dict(listed["files"]),
        rows=table.num_rows,
        accepted=kept("accepted", table),
        cells=None,
        quarantine=kept("quarantine", parts.quarantined),
        columns=list(table.column_names) if some else [],
        quality=counts(parts, verdict),
        names=dict(listed["names"]),
    )
    return AcceptedDay({TABLE: accepted}, recipe.reading), ""


def lost(old: AcceptedDay, new: AcceptedDay | None, validation: Validation) -> str:
    """What a day that was accepted with rows lost since, if it must not: "" if nothing."""
    before, now = old.tables[TABLE], new.tables[TABLE] if new else None
    if now is None or (not now.rows and not now.files and validation.empty_days == "refuse"):
        return "its rows are not in the source any more"
    gone = sorted(set(before.columns) - set(now.columns)) if now.rows else []
    return f"the column {', '.join(gone)} is not in the source any more" if gone else ""


def _said(finding: Finding) -> str:
    figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in finding.observed.items())
    return f"{finding.reason} ({figures})" if figures else finding.reason


def with_cells(objects: Objects, days: Mapping[date, AcceptedDay]) -> dict[date, AcceptedDay]:
    """The days with the cells of their accepted rows made and kept; many days cost little more than one."""
    keys = {day: key for day, accepted in days.items() if (key := accepted.tables[TABLE].accepted)}
    columns = {tuple(days[day].tables[TABLE].columns) for day in keys}
    made = cells([(day, objects.path(key)) for day, key in keys.items()], same_columns=len(columns) == 1)

    def kept(day: date) -> AcceptedDay:
        accepted = replace(days[day].tables[TABLE], cells=objects.put_table(f"cells/{TABLE}/date={day}", made[day]))
        return replace(days[day], tables={TABLE: accepted})

    with ThreadPoolExecutor(WRITERS) as writers:  # compressing and writing let go of the interpreter
        return {**days, **dict(zip(made, writers.map(kept, made), strict=True))}
