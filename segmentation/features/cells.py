"""Cells: one user's sums over one active day, whole numbers only. The only thing that is computed from rows.

A line is a *return* if its quantity or its amount is negative; a *purchase* if it is no return and its quantity is
positive (its amount, where it has no quantity; always, where it has neither). Lines of quantity 0 are neither: their money
counts, but they make no order. An order is an `order_id` of a user on a day, or, without one, the lines of one time; one
that goes on over midnight belongs to each day it touches.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from segmentation.features.engine import collect, connect, day_number, scan_days

KEYS = ("user_id", "day")
# Money and quantities are in 1/10,000, `day` is days since 1970-01-01. What the source has no input for is 0.
MEASURES = (
    "lines",  # order lines of any kind
    "purchase_lines",
    "return_lines",
    "quantity",  # net: returns taken off
    "amount",  # net: returns taken off
    "returned_amount",  # minus the sum of the return lines' amounts
    "discount",  # of the lines that are no returns
    "orders",  # orders that have a purchase line
    "order_categories",  # sum over those orders of the different categories among their purchase lines
)
SCHEMA = pa.schema([("user_id", pa.string()), ("day", pa.int64()), *((name, pa.int64()) for name in MEASURES)])

_INPUTS: dict[str, Any] = {
    "user_id": nw.String,
    "ordered_at": nw.Datetime("us", "UTC"),
    "order_id": nw.String,
    "category": nw.String,
    "quantity": nw.Int64,
    "amount": nw.Int64,
    "discount": nw.Int64,
}


def cells(
    paths: Sequence[tuple[date, str]], threads: int | None = None, same_columns: bool = False
) -> dict[date, pa.Table]:
    """The cells of each day: one row per user, sorted by user_id, columns as in SCHEMA.

    paths: the day and the Parquet file of its accepted rows (canonical columns, those that the source has), one or many:
        many days cost little more than one, and what does not fit into the engine's memory spills to disk; the result
        (about 100 bytes per user and day) is in memory. Each day is in the result, also one without rows.
    same_columns: whether all files are known to have the columns of the first: not looking is a tenth faster.

    Raises StoreError naming what cannot be read.
    """
    if not paths:
        return {}
    with connect(threads) as connection:
        table = collect(day_cells(scan_days(connection, paths, same_columns)), SCHEMA)
    days = table["day"].to_numpy()
    bounds = {day: np.searchsorted(days, [day_number(day), day_number(day) + 1]) for day, _ in paths}
    return {day: table.slice(first, end - first) for day, (first, end) in bounds.items()}


def day_cells(rows: "nw.LazyFrame[Any]") -> "nw.LazyFrame[Any]":
    """Accepted rows with their `day` → one row per day and user, in that order. For any engine that Narwhals speaks to."""
    there = rows.collect_schema().names()
    inputs = [nw.col(name) if name in there else nw.lit(None, dtype=kind).alias(name) for name, kind in _INPUTS.items()]
    quantity, amount, returned = nw.col("quantity"), nw.col("amount"), nw.col("returned")
    rows = rows.select("day", *inputs).with_columns(returned=((quantity < 0) | (amount < 0)).fill_null(False))
    lines = rows.select(
        *KEYS,
        "order_id",
        "category",
        "quantity",
        "amount",
        order_time=nw.when(nw.col("order_id").is_null()).then(nw.col("ordered_at")),
        purchased=~returned & (nw.coalesce(quantity, amount, nw.lit(1)) > 0),
        return_lines=returned.cast(nw.Int64),
        returned_amount=nw.when(returned).then(-amount),
        discount=nw.when(~returned).then(nw.col("discount")),
    ).with_columns(lines=nw.lit(1), purchase_lines=nw.col("purchased").cast(nw.Int64))
    sums = lines.group_by(*KEYS).agg(*totals(*MEASURES[:7]))
    # Group by group, not by counting distinct values in one: that can neither spill to disk nor run faster.
    of_order = (*KEYS, "order_id", "order_time")
    purchases = lines.filter(nw.col("purchased"))
    categories = purchases.group_by(*of_order, "category").agg(nw.col("lines").sum())
    orders = (
        categories.group_by(*of_order).agg(order_categories=nw.col("category").count()).with_columns(orders=nw.lit(1))
    )
    of_user = orders.group_by(*KEYS).agg(*totals(*MEASURES[7:]))
    whole = sums.join(of_user, on=list(KEYS), how="left").with_columns(nw.col(*MEASURES[7:]).fill_null(0))
    return whole.sort("day", "user_id")


def totals(*names: str) -> list[nw.Expr]:
    """The columns' sums as int64: DuckDB's sums of int64 are wider, and would reach Arrow as decimals."""
    return [nw.col(name).sum().cast(nw.Int64) for name in names]
