"""Cells: one user's sums over one active day, whole numbers only. The only thing that is computed from rows."""

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


def cells(table: str, day: date, path: str, rating: Scale = FIVE_STARS) -> pa.Table:
    """The cells of a table's day: one row per user, sorted by user_id, columns as in PARTS[table].schema.

    path: the Parquet file of the day's accepted rows (canonical columns, those that the source has). The columns that cells
        are made of are in memory, about 100 bytes per row. One thread works on it; days may be made side by side.
    rating: of reviews: the lowest and the highest rating that there is.

    Raises StoreError naming what cannot be read.
    """
    part = PARTS[table]
    rows = Rows.read(path, str(TABLES[table].TIME), part.inputs)
    days = np.full(len(rows.ids), day_number(day))
    return pa.table({"user_id": rows.ids, "day": days, **part.day_cells(rows, rating)}, part.schema)
