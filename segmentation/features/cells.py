"""Cells: one user's sums over one active day, whole numbers only. The only thing that is computed from rows."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from segmentation.features.engine import collect, connect, day_number, scan_days
from segmentation.features.events import EVENTS as OF_EVENTS
from segmentation.features.orders import ORDERS as OF_ORDERS
from segmentation.features.parts import FIVE_STARS, Part, Scale
from segmentation.features.reviews import REVIEWS as OF_REVIEWS
from segmentation.tables import EVENTS, ORDERS, REVIEWS, TABLES

PARTS: dict[str, Part] = {ORDERS: OF_ORDERS, EVENTS: OF_EVENTS, REVIEWS: OF_REVIEWS}


def cells(
    table: str,
    paths: Sequence[tuple[date, str]],
    threads: int | None = None,
    same_columns: bool = False,
    rating: Scale = FIVE_STARS,
) -> dict[date, pa.Table]:
    """The cells of a table's days: one row per user, sorted by user_id, columns as in PARTS[table].schema.

    paths: the day and the Parquet file of its accepted rows (canonical columns, those that the source has), one or many:
        many days cost little more than one, and what does not fit into the engine's memory spills to disk; the result
        (about 100 bytes per user and day) is in memory. Each day is in the result, also one without rows.
    same_columns: whether all files are known to have the columns of the first: not looking is a tenth faster.
    rating: of reviews: the lowest and the highest rating that there is.

    Raises StoreError naming what cannot be read.
    """
    if not paths:
        return {}
    part = PARTS[table]
    with connect(threads) as connection:
        rows = scan_days(connection, paths, same_columns, TABLES[table].TIME)
        made = collect(part.day_cells(rows, rating), part.schema)
    days = made["day"].to_numpy()
    bounds = {day: np.searchsorted(days, [day_number(day), day_number(day) + 1]) for day, _ in paths}
    return {day: made.slice(first, end - first) for day, (first, end) in bounds.items()}
