"""What the users of each segment did in the days after they were in it: conversion, retention, spend, ratings.

By the segment at assignment: who moved on later still counts where he was. Only for windows that are over. It says what
followed, not what an action has caused: that needs users who were left without it.
"""

from datetime import date, timedelta
from math import sqrt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.dates import days_between
from segmentation.errors import SegmentationError
from segmentation.features.parts import UNITS
from segmentation.monitor import names
from segmentation.monitor.read_models import Record, population, published_on
from segmentation.store.snapshots import NOISE
from segmentation.store.store import Store
from segmentation.tables import EVENTS, ORDERS, REVIEWS

DAYS = 28
Z = 1.959963984540054  # of the normal distribution, for 95 %
Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]


def latest(store: Store, until: date) -> date | None:
    """The latest published day whose DAYS days after it are over by `until`, or None."""
    days = (day for day in store.state().published if day + timedelta(days=DAYS) <= until)
    return max(days, default=None)


def effect(store: Store, day: date, lang: str = "en") -> list[Record]:
    """Per segment, the largest first: {segment_id, name, users, conversion, retention, spend, rating}.

    Each of the four {value, low, high, n}, or None where the data does not have it, over the DAYS days after `day`:

    * conversion: of the days on which a user did anything, the share with a purchase (where there are events); n: days;
    * retention: the share of users who buy (again); n: users; the interval is Wilson's (1927);
    * spend: mean net amount per user; n: users;
    * rating: mean of the ratings; n: ratings.

    low, high: 95 %. Conversion and rating are ratios of sums over users, whose days and ratings are not independent: their
    intervals are by linearisation over users (Cochran, Sampling Techniques, 1977, 6.4).

    Raises SegmentationError, if the day is not published, or its window is not over on the latest published day.
    """
    state = store.state()
    published_on(state, day)
    last = day + timedelta(days=DAYS)
    if last > max(state.published):
        raise SegmentationError(
            f"the {DAYS} days after {day} are not over: the latest published day is {max(state.published)}; "
            f"{latest(store, max(state.published)) or 'no day'} is the latest whose days are"
        )
    members = population(store, day)
    ids = members["user_id"].combine_chunks()
    cells = {name: _cells(store, day, last, name) for name in (ORDERS, EVENTS, REVIEWS)}
    bought = _active(cells[ORDERS], ids, "purchase_lines")
    spend = _sums(cells[ORDERS], ids, "amount") / UNITS
    active = _active(pa.concat_tables([cells[name].select(["user_id", "day"]) for name in (ORDERS, EVENTS)]), ids, None)
    rated, rating = _sums(cells[REVIEWS], ids, "reviews"), _sums(cells[REVIEWS], ids, "rating") / UNITS
    tables = {name for accepted in state.accepted.values() for name in accepted.activity}
    columns = {c for accepted in state.accepted.values() for t in accepted.activity.values() for c in t.columns}
    words = {row["segment_id"]: row["name"] for row in names.segments(store, day, lang)}
    segment = np.array(members["segment_id"].to_pylist(), dtype=object)
    found = []
    for name in sorted(set(segment)):
        mine = segment == name
        found.append(
            {
                "segment_id": name,
                "name": words.get(name, name),
                "users": int(mine.sum()),
                "conversion": _ratio(bought[mine], active[mine]) if {ORDERS, EVENTS} <= tables else None,
                "retention": _share(bought[mine] > 0) if ORDERS in tables else None,
                "spend": _mean(spend[mine]) if ORDERS in tables and "amount" in columns else None,
                "rating": _ratio(rating[mine], rated[mine]) if REVIEWS in tables else None,
            }
        )
    return sorted(
        found, key=lambda record: (record["segment_id"] == NOISE, -int(str(record["users"])), record["segment_id"])
    )


def _cells(store: Store, day: date, last: date, table: str) -> pa.Table:
    """The table's cells of the days after `day`, to `last`."""
    state = store.state()
    keys = []
    for other in days_between(day + timedelta(days=1), last):
        accepted = state.accepted.get(other)
        found = accepted.activity.get(table) if accepted else None
        if found and found.cells:
            keys.append(found.cells)
    empty = pa.schema([("user_id", pa.string()), ("day", pa.int64())]).empty_table()
    return pa.concat_tables([empty, *(store.objects.table(key) for key in keys)], promote_options="default")


def _sums(cells: pa.Table, ids: pa.Array, measure: str) -> Numbers:
    """Of each user the sum of a measure."""
    if measure not in cells.column_names:
        return np.zeros(len(ids))
    place = pc.index_in(cells["user_id"].combine_chunks(), value_set=ids)
    there = np.asarray(place.is_valid())
    values = np.asarray(cells[measure].combine_chunks().cast(pa.int64()).fill_null(0)).astype(np.float64)
    return np.bincount(np.asarray(place.drop_null()), weights=values[there], minlength=len(ids)).astype(np.float64)


def _active(cells: pa.Table, ids: pa.Array, measure: str | None) -> Numbers:
    """Of each user the number of different days, with a measure above 0 if one is named."""
    if measure is not None:
        if measure not in cells.column_names:
            return np.zeros(len(ids))
        cells = cells.filter(pc.greater(cells[measure], 0))
    days = cells.select(["user_id", "day"]).group_by(["user_id", "day"], use_threads=False).aggregate([])
    place = pc.index_in(days["user_id"].combine_chunks(), value_set=ids)
    return np.bincount(np.asarray(place.drop_null()), minlength=len(ids)).astype(np.float64)


def _record(value: float, half: float | None, n: int, low: float | None = None, high: float | None = None) -> Record:
    if half is not None:
        low, high = value - half, value + half
    return {
        "value": round(value, 6),
        "low": None if low is None else round(low, 6),
        "high": None if high is None else round(high, 6),
        "n": n,
    }


def _share(flags: np.ndarray) -> Record:
    n, p = len(flags), float(flags.mean())
    centre, half = p + Z**2 / (2 * n), Z * sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return _record(p, None, n, max((centre - half) / (1 + Z**2 / n), 0.0), min((centre + half) / (1 + Z**2 / n), 1.0))


def _mean(values: Numbers) -> Record:
    n = len(values)
    return _record(float(values.mean()), Z * float(values.std(ddof=1)) / sqrt(n) if n > 1 else None, n)


def _ratio(over: Numbers, under: Numbers) -> Record | None:
    total = float(under.sum())
    if not total:
        return None
    ratio, users = float(over.sum()) / total, int((under > 0).sum())
    half = None
    if users > 1:
        deviation = float(((over - ratio * under) ** 2).sum())
        half = Z * sqrt(deviation * users / (users - 1)) / total
    return _record(ratio, half, int(total))
