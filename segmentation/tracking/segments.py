"""The day's segments: how many users, how much revenue, and the mean of every feature."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from segmentation.clustering.model import Model
from segmentation.clustering.transform import column
from segmentation.store.content import money


def segments(
    model: Model,
    events: Mapping[str, str],
    segment_ids: Sequence[str],
    features: pa.Table,
    revenue: npt.NDArray[np.int64] | None,
) -> pa.Table:
    """One row per segment of the model, sorted by id.

    `segment_ids` are the published segments of the users of `features`, row by row; `revenue` their net amounts in the
    window in 1/10,000, or None where the data has no amounts. `events` says what happened to each segment on this day.
    A mean leaves out the users for whom the feature is undefined, and is null where it is for all.
    """
    members = np.asarray(segment_ids, dtype=object)
    names = [name for name in features.column_names if name != "user_id"]
    values = {name: column(features, name) for name in names}
    rows = []
    units = []
    for segment in sorted(model.segments, key=lambda segment: segment.segment_id):
        inside = members == segment.segment_id
        rows.append(
            {
                "segment_id": segment.segment_id,
                "event": events[segment.segment_id],
                "parents": ",".join(segment.parents),
                "users": int(inside.sum()),
                "share": round(float(inside.sum()) / max(len(members), 1), 6),
                **{f"mean_{name}": _mean(values[name][inside]) for name in names},
            }
        )
        units.append(0 if revenue is None else int(revenue[inside].sum()))
    fields = [("segment_id", pa.string()), ("event", pa.string()), ("parents", pa.string()), ("users", pa.int64())]
    means = [(f"mean_{name}", pa.float64()) for name in names]
    table = pa.Table.from_pylist(rows, pa.schema([*fields, ("share", pa.float64()), *means]))
    earned = money(np.array(units, dtype=np.int64))
    return table.add_column(5, "revenue", pa.nulls(len(rows), earned.type) if revenue is None else earned)


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return round(float(np.mean(known)), 6) if len(known) else None
