"""Window sums: what a user did in the days up to one date, whole numbers only, added up from cells."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import narwhals as nw
import pyarrow as pa

from segmentation.config import Features
from segmentation.errors import StoreError
from segmentation.features.cells import PARTS
from segmentation.features.engine import collect, connect, scan_days
from segmentation.features.parts import Frame

# First and last day with a row of any kind, then the sums of each table: null where a user has no row of it.
SUMS = ("first_active_day", "last_active_day", *(name for part in PARTS.values() for name in part.sums))
SCHEMA = pa.schema([("user_id", pa.string()), *((name, pa.int64()) for name in SUMS)])


def window_sums(
    paths: Mapping[str, Sequence[tuple[date, str]]],
    as_of: date,
    known_until: date,
    features: Features,
    threads: int | None = None,
) -> pa.Table:
    """One row per user with a row of any table in (as_of − window_days, min(as_of, known_until)], sorted by user_id; columns
    as in SCHEMA, also those of tables that are not there.

    paths: by table, the day and the Parquet file of its cells; days outside the window are not read, days without rows may
        be left out. known_until: cells after it are not used, but every span still ends with as_of: what the user would look
        like as of `as_of` had he done nothing since `known_until`.

    Raises StoreError naming what cannot be read.
    """
    first, last = as_of - timedelta(days=features.window_days - 1), min(as_of, known_until)
    inside = {table: [(day, path) for day, path in days if first <= day <= last] for table, days in paths.items()}
    for table, days in inside.items():
        if len({day for day, _ in days}) < len(days):
            raise StoreError(
                f"a day's cells of {table} are named twice: a window would count it twice; give each day once"
            )
    tables = [table for table in PARTS if inside.get(table)]
    if not tables:
        return SCHEMA.empty_table()
    with connect(threads) as connection:
        sums = [
            PARTS[table].user_sums(scan_days(connection, inside[table], same_columns=True), as_of, features)
            for table in tables
        ]
        return collect(side_by_side(sums), SCHEMA)


def side_by_side(sums: Sequence[Frame]) -> Frame:
    """Tables' sums by user → one row per user of any of them, sorted; what no table has is null."""
    firsts = [f"first_day_{number}" for number in range(len(sums))]
    lasts = [f"last_day_{number}" for number in range(len(sums))]
    sums = [
        frame.rename({"first_day": first, "last_day": last})
        for frame, first, last in zip(sums, firsts, lasts, strict=True)
    ]
    whole = sums[0]
    for frame in sums[1:]:
        whole = whole.join(frame, on="user_id", how="full", suffix="_other")
        whole = whole.with_columns(user_id=nw.coalesce("user_id", "user_id_other")).drop("user_id_other")
    whole = whole.with_columns(
        first_active_day=nw.min_horizontal(*firsts), last_active_day=nw.max_horizontal(*lasts)
    ).drop(*firsts, *lasts)
    there = whole.collect_schema().names()
    absent = [nw.lit(None, dtype=nw.Int64).alias(name) for name in SUMS if name not in there]
    return whole.with_columns(*absent).sort("user_id") if absent else whole.sort("user_id")
