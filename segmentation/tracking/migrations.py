"""Users and revenue that went from one state to another between two days, with causes."""

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.store.content import money
from segmentation.store.snapshots import LAPSED, NEW

CAUSES = ("behaviour", "ageing", "model")


def migrations(memberships: pa.Table, parent: pa.Table | None, revenue: npt.NDArray[np.int64] | None) -> pa.Table:
    """The cells of one day's table: from the parent's published segment (or NEW) to today's (or LAPSED).

    `memberships` is today's whole table, `parent` the parent's without those who had lapsed then. `revenue` is each
    row's net amount in today's window in 1/10,000 (0 for those who lapsed), or None where the data has no amounts.

    In a cell that changes state behaviour + ageing + model = users; on the diagonal all three are 0. The rows add up to
    the parent's population, the columns to today's.
    """
    to = pc.fill_null(memberships["segment_id"], LAPSED)
    if parent is None or parent.num_rows == 0:
        start = pa.array([NEW] * memberships.num_rows, pa.string())
    else:
        position = pc.index_in(memberships["user_id"], value_set=parent["user_id"].combine_chunks())
        start = pc.fill_null(parent["segment_id"].take(position.combine_chunks()), NEW)
    return cells(start, to, memberships["cause"], revenue)


def cells(start: pa.Array, end: pa.Array, cause: pa.Array, revenue: npt.NDArray[np.int64] | None) -> pa.Table:
    """Count users by (from, to), with the causes of those whose state changed; sorted by (from, to)."""
    changed = pc.not_equal(start, end)
    table = pa.table(
        {
            "from_segment_id": start,
            "to_segment_id": end,
            "users": pa.array(np.ones(len(start), dtype=np.int64)),
            "units": pa.array(np.zeros(len(start), dtype=np.int64) if revenue is None else revenue),
            **{name: pc.and_(changed, pc.equal(cause, name)).cast(pa.int64()) for name in CAUSES},
        }
    )
    sums = ["users", "units", *CAUSES]
    grouped = table.group_by(["from_segment_id", "to_segment_id"], use_threads=False).aggregate(
        [(name, "sum") for name in sums]
    )
    grouped = grouped.sort_by([("from_segment_id", "ascending"), ("to_segment_id", "ascending")])
    users = grouped["users_sum"].to_numpy()
    origins = np.array(grouped["from_segment_id"].to_pylist(), dtype=object)
    totals = {origin: users[origins == origin].sum() for origin in set(origins)}
    shares = np.array([count / totals[origin] for count, origin in zip(users, origins, strict=True)], dtype=np.float64)
    units = grouped["units_sum"].to_numpy()
    return pa.table(
        {
            "from_segment_id": grouped["from_segment_id"].cast(pa.string()),
            "to_segment_id": grouped["to_segment_id"].cast(pa.string()),
            "users": pa.array(users, pa.int64()),
            "share_of_from": pa.array(np.round(shares, 6), pa.float64()),
            "revenue": pa.nulls(len(users), money(units).type) if revenue is None else money(units),
            **{name: grouped[f"{name}_sum"].cast(pa.int64()) for name in CAUSES},
        }
    )


def span(
    first: pa.Table,
    last: pa.Table,
    after: date,
    revenue: npt.NDArray[np.int64] | None,
    left_by_model: pa.Array | None = None,
) -> pa.Table:
    """The cells between two days A and B, from their memberships, without those who had lapsed on either.

    A cell counts the cause of each user's last published move in (A, B]; `after` is A. `revenue` belongs to `last`. The
    memberships tell all causes but of those who are gone, who left by ageing: `left_by_model` are the ids of the others.
    """
    position = pc.index_in(last["user_id"], value_set=first["user_id"].combine_chunks())
    start = pc.fill_null(first["segment_id"].take(position.combine_chunks()), NEW)
    left = first.filter(pc.invert(pc.is_in(first["user_id"], value_set=last["user_id"].combine_chunks())))
    # Without a published move since A the id itself was replaced: only a model does that.
    cause = pc.if_else(pc.greater(last["since"], pa.scalar(after, pa.date32())), last["cause"], "model")
    gone = left.num_rows
    by_model = pc.is_in(
        left["user_id"], value_set=pa.array([], pa.string()) if left_by_model is None else left_by_model
    )
    return cells(
        pa.concat_arrays([_one(start), _one(left["segment_id"])]),
        pa.concat_arrays([_one(last["segment_id"]), pa.array([LAPSED] * gone, pa.string())]),
        pa.concat_arrays([_one(cause), _one(pc.if_else(by_model, "model", "ageing"))]),
        None if revenue is None else np.concatenate([revenue, np.zeros(gone, dtype=np.int64)]),
    )


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.cast(pa.string())
