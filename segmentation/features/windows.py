"""Window sums: what a user did in the days up to one date, whole numbers only, added up from cells."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import narwhals as nw
import pyarrow as pa

from segmentation.config import Features
from segmentation.errors import StoreError
from segmentation.features.cells import KEYS, MEASURES, totals
from segmentation.features.engine import collect, connect, day_number, scan_days

RECENT_DAYS = 30
LONGER_DAYS = 90
AFTER_EVERY_DAY = 10_000_000  # as days since 1970-01-01

# Days are days since 1970-01-01, money and quantities in 1/10,000. A *purchase day* is a day with an order. `value` is the
# amount as `[features] returns` wants it: net of returns, or of the lines that are no returns. Null: no purchase day.
SUMS = (
    "first_active_day",  # first and last day with a row of any kind
    "last_active_day",
    *MEASURES,
    "first_purchase_day",
    "last_purchase_day",
    "purchase_days",
    "purchase_day_value",  # value of the purchase days
    "first_purchase_day_value",  # value of the first of them
    "value",
    "sold_recent",  # amount of the lines that are no returns, in the last RECENT_DAYS days ...
    "sold_longer",  # ... and in the last LONGER_DAYS days; no longer than the window
)
SCHEMA = pa.schema([("user_id", pa.string()), *((name, pa.int64()) for name in SUMS)])


def window_sums(
    paths: Sequence[tuple[date, str]], as_of: date, known_until: date, features: Features, threads: int | None = None
) -> pa.Table:
    """One row per user with a row in (as_of − window_days, min(as_of, known_until)], sorted by user_id; columns as in SCHEMA.

    paths: the day and the Parquet file of its cells; days outside the window are not read, days without rows may be left
        out. known_until: cells after it are not used, but every span still ends with as_of: what the user would look like
        as of `as_of` had he done nothing since `known_until`.

    Raises StoreError naming what cannot be read.
    """
    first, last = as_of - timedelta(days=features.window_days - 1), min(as_of, known_until)
    paths = [(day, path) for day, path in paths if first <= day <= last]
    if not paths:
        return SCHEMA.empty_table()
    if len({day for day, _ in paths}) < len(paths):
        raise StoreError("a day's cells are named twice: a window would count it twice; give each day once")
    with connect(threads) as connection:
        cells = scan_days(connection, paths, same_columns=True)
        return collect(user_sums(cells, as_of, features), SCHEMA)


def user_sums(cells: "nw.LazyFrame[Any]", as_of: date, features: Features) -> "nw.LazyFrame[Any]":
    """Cells of one window → one row per user, sorted. For any engine that Narwhals speaks to."""
    day, bought = nw.col("day"), nw.col("orders") > 0
    sold = nw.col("amount") + nw.col("returned_amount")
    cells = cells.select(
        *KEYS,
        *MEASURES,
        value=nw.col("amount") if features.returns == "net" else sold,
        purchase_day=nw.when(bought).then(day),
        purchases_first=nw.when(bought).then(day).otherwise(nw.lit(AFTER_EVERY_DAY)),
        sold_recent=nw.when(day > day_number(as_of) - RECENT_DAYS).then(sold),
        sold_longer=nw.when(day > day_number(as_of) - LONGER_DAYS).then(sold),
    )
    cells = cells.with_columns(purchase_day_value=nw.when(bought).then(nw.col("value")))
    users = cells.group_by("user_id").agg(
        nw.col("day").min().alias("first_active_day"),
        nw.col("day").max().alias("last_active_day"),
        *totals(*MEASURES, "purchase_day_value", "value", "sold_recent", "sold_longer"),
        nw.col("purchase_day").min().alias("first_purchase_day"),
        nw.col("purchase_day").max().alias("last_purchase_day"),
        nw.col("purchase_day").count().cast(nw.Int64).alias("purchase_days"),
        nw.col("purchase_day_value").first(order_by="purchases_first").alias("first_purchase_day_value"),
    )
    return users.sort("user_id")
