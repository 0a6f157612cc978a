"""Cells: one user's sums over one active day, whole numbers only. The only thing that is computed from rows."""

from collections.abc import Collection
from datetime import date

import numpy as np
import pyarrow as pa

from segmentation.features.engine import day_number
from segmentation.features.events import EVENTS as OF_EVENTS
from segmentation.features.orders import ORDERS as OF_ORDERS
from segmentation.features.parts import FIVE_STARS, Part, Scale
from segmentation.features.reviews import REVIEWS as OF_REVIEWS
from segmentation.features.rows import Rows
from segmentation.tables import EVENTS, ORDERS, REVIEWS, TABLES

PARTS: dict[str, Part] = {ORDERS: OF_ORDERS, EVENTS: OF_EVENTS, REVIEWS: OF_REVIEWS}


def cells(table: str, paths: Collection[tuple[date, str]], rating: Scale = FIVE_STARS) -> dict[date, pa.Table]:
    """The cells of a table's days: one row per user, sorted by user_id, columns as in PARTS[table].schema.

    paths: the day and the Parquet file of its accepted rows (canonical columns, those that the source has), one or several:
        small days cost less together. The columns that cells are made of are in memory, about 100 bytes per row. One thread
        works on them; calls may be side by side. Each day is in the result, also one without rows.
    rating: of reviews: the lowest and the highest rating that there is.

    Raises StoreError naming what cannot be read.
    """
    part = PARTS[table]
    rows = Rows.read(paths, str(TABLES[table].TIME), part.inputs)
    made = pa.table({"user_id": rows.ids, "day": rows.day, **part.day_cells(rows, rating)}, part.schema)
    bounds = {day: np.searchsorted(rows.day, [day_number(day), day_number(day) + 1]) for day, _ in paths}
    return {day: made.slice(first, end - first) for day, (first, end) in bounds.items()}
