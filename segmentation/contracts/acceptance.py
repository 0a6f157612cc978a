"""One day's raw rows of a table → accepted rows, cells and quarantined rows in the store, with their counts."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Recipe, Validation
from segmentation.contracts.gate import Figures, gate
from segmentation.contracts.rows import Split, counts, split
from segmentation.features.cells import cells
from segmentation.features.engine import in_order, thread_count
from segmentation.features.parts import FIVE_STARS, Scale
from segmentation.store import quarantine
from segmentation.store.content import hash_table
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay, AcceptedTable
from segmentation.tables import USERS

# How many days' rows are in memory: so many batches of one day, or of several with so many rows.
BATCHES, BATCH_ROWS = 4, 50_000
REASONS_TOLD = 3  # of a refused day


def check_rows(
    objects: Objects,
    table: str,
    day: date,
    raw: pa.Table,
    listed: Mapping[str, Any],
    recipe: Recipe,
    validation: Validation,
) -> tuple[AcceptedTable | None, str]:
    """Split a table's rows of a day, gate them, and keep what was accepted and what was quarantined.

    `listed`: the table's `files` (rows by key), their `names`, and `weekday_rows`, its raw rows of the same weekdays before.
    Returns the table, or None and what is critical about its rows; then nothing is kept. Its quality has all counts, and
    `kept`: how many of the quarantined rows are written for people to read.

    Raises ConfigError when one of the recipe's own expectations is wrong, or about a column that the rows have not.
    """
    parts = split(raw, recipe, table)
    rows = in_order(parts.accepted)
    verdict = gate(rows, Figures.of(parts, listed["weekday_rows"]), validation, table, recipe)
    if verdict.critical:
        return None, f"{table}: " + ", ".join(finding.said for finding in verdict.critical) + _examples(parts)
    some = rows.num_rows > 0
    # The table of users is of no day: one that did not change is kept once.
    place = table if table == USERS else f"{table}/date={day}"
    quarantined, kept = quarantine.put(objects, f"quarantine/{place}", parts.quarantined)
    return (
        AcceptedTable(
            partition=hash_table(rows, None) if some else "",
            users=hash_table(pa.table({"user_id": rows["user_id"].unique()}), ["user_id"]) if some else "",
            files=dict(listed["files"]),
            rows=rows.num_rows,
            accepted=objects.put_table(f"accepted/{place}", rows) if some else None,
            cells=None,
            quarantine=quarantined,
            columns=list(rows.column_names) if some else [],
            quality=counts(parts, verdict) | {"kept": kept},
            names=dict(listed["names"]),
            elsewhere=dict(listed.get("elsewhere", {})),
        ),
        "",
    )


def _examples(parts: Split) -> str:
    """The commonest reasons of the quarantined rows, each with how many have it and where the first one is."""
    told = []
    for reason, count in sorted(parts.reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:REASONS_TOLD]:
        place = pc.index(parts.quarantined["reason"], reason).as_py()
        file, row = parts.quarantined["file"][place].as_py(), parts.quarantined["row"][place].as_py()
        told.append(f"{reason}: {count:,} ({file}, row {row})")
    return f" [{'; '.join(told)}]" if told else ""


def lost(old: AcceptedDay, new: AcceptedDay, validation: Validation) -> str:
    """What a day that was accepted with rows lost since, if it must not: "" if nothing."""
    refuse = validation.empty_days == "refuse"
    for name, before in old.activity.items():
        now = new.activity.get(name)
        if before.rows and refuse and (now is None or not (now.rows or now.files)):
            return f"its rows of {name} are not in the source any more"
        gone = sorted(set(before.columns) - set(now.columns)) if now and now.rows else []
        if gone:
            return f"the column {', '.join(gone)} of {name} is not in the source any more"
    return ""


def with_cells(
    objects: Objects, days: Mapping[date, AcceptedDay], ratings: Mapping[date, Scale] | None = None
) -> dict[date, AcceptedDay]:
    """The days with the cells of their accepted rows made and kept, a few days at a time.

    ratings: the lowest and the highest rating that the recipe of a day knows; 1 to 5 where it is not said.
    """
    batches: list[tuple[str, Scale, list[date]]] = []
    filling: dict[tuple[str, Scale], list[date]] = {}
    for day, accepted in days.items():
        for table, rows in accepted.activity.items():
            if rows.accepted:
                alike = (table, (ratings or {}).get(day, FIVE_STARS))
                batch = filling.setdefault(alike, [])
                batch.append(day)
                if sum(days[other].tables[table].rows for other in batch) >= BATCH_ROWS:
                    batches.append((*alike, filling.pop(alike)))
    batches += [(*alike, batch) for alike, batch in filling.items()]

    def kept(batch: tuple[str, Scale, list[date]]) -> dict[date, str]:
        table, scale, some = batch
        made = cells(table, [(day, objects.path(str(days[day].tables[table].accepted))) for day in some], scale)
        return {day: objects.put_table(f"cells/{table}/date={day}", found) for day, found in made.items()}

    done = dict(days)
    # Threads: most of the work lets go of the interpreter.
    with ThreadPoolExecutor(min(thread_count(), BATCHES)) as pool:
        for (table, _, _), keys in zip(batches, pool.map(kept, batches), strict=True):
            for day, key in keys.items():
                with_key = replace(done[day].tables[table], cells=key)
                done[day] = replace(done[day], tables={**done[day].tables, table: with_key})
    return done
