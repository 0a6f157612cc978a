"""Orders from before their users signed up: guests and imported accounts have some; very many mean that a column is wrong."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import narwhals as nw
import pyarrow as pa

from segmentation.features.engine import collect, connect, day_number, scan_days
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay
from segmentation.tables import ORDERS, USERS

REASON = "orders from before their users signed up"
COUNTS = pa.schema([("day", pa.int64()), ("rows", pa.int64())])


def with_sign_ups(objects: Objects, days: Mapping[date, AcceptedDay]) -> dict[date, AcceptedDay]:
    """The days with `before_sign_up`, and a warning if it is not 0, in the quality of their orders.

    It counts accepted lines of orders that are earlier than the `signed_up_at` of their user, in the table of users that is
    accepted with the day (so it does not depend on when or in which order days are run). Days whose users have no such
    column are left as they are. Many days cost little more than one.

    Raises StoreError when the rows of a day cannot be read.
    """
    found = dict(days)
    asked: dict[str, dict[date, str]] = {}
    for day, value in days.items():
        users, orders = value.tables.get(USERS), value.tables.get(ORDERS)
        if users and users.accepted and "signed_up_at" in users.columns and orders and orders.accepted:
            asked.setdefault(users.accepted, {})[day] = objects.path(orders.accepted)
    for users_key, paths in asked.items():
        early = _early(objects.path(users_key), paths)
        for day in paths:
            rows = early.get(day_number(day), 0)
            orders = days[day].tables[ORDERS]
            quality = {**orders.quality, "before_sign_up": rows}
            if rows:
                warning = {"expectation": "before_sign_up", "reason": REASON, "observed": {"rows": rows}}
                quality["warnings"] = [*quality["warnings"], warning]
            found[day] = replace(days[day], tables={**days[day].tables, ORDERS: replace(orders, quality=quality)})
    return found


def _early(users: str, orders: Mapping[date, str]) -> dict[int, int]:
    """Number of the day → its lines of orders from before the sign-up; days without any are not in it."""
    with connect() as session:
        # The users as of a day of their own: only for the one way to read a file.
        signed = scan_days(session, [(date.min, users)]).select("user_id", "signed_up_at")
        lines = scan_days(session, sorted(orders.items())).select("user_id", "ordered_at", "day")
        early = lines.join(signed, on="user_id").filter(nw.col("ordered_at") < nw.col("signed_up_at"))
        counted = collect(early.group_by("day").agg(rows=nw.len().cast(nw.Int64)), COUNTS)
    return dict(zip(counted["day"].to_pylist(), counted["rows"].to_pylist(), strict=True))
