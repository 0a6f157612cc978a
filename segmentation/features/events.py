"""Browsing: from events to features.

A session is a `session_id` of a user on a day. The events of a user on a day that have none are cut into sessions where
more than 30 minutes of silence lie between one event and the next. One that goes on over midnight is a session of each day
that it touches. A purchase is an event of that type: it needs no order, and an order none.
"""

from datetime import date
from typing import Any

import narwhals as nw

from segmentation.config import Features
from segmentation.features.parts import (
    KEYS,
    LONGER_DAYS,
    RECENT_DAYS,
    Feature,
    Frame,
    Part,
    Scale,
    given,
    one,
    positive,
    span,
    totals,
    trend,
    within,
)

PAUSE_US = 30 * 60 * 1_000_000
MINUTE_MS = 60_000

_OF_SESSION = ("events", "views", "carts", "purchases")
MEASURES = (
    *_OF_SESSION,  # events of any type, and those of the types view, cart and purchase
    "browse_ms",  # of a session: the sum of `duration_s`, in milliseconds; if none of its events has one, last − first event
    "sessions",
    "view_sessions",  # sessions with a view ...
    "cart_sessions",
    "view_cart_sessions",  # ... with a view and a cart, in whatever order
    "view_purchase_sessions",
    "cart_purchase_sessions",
)
# Days are days since 1970-01-01.
SUMS = (
    *MEASURES,
    "last_browse_day",  # the last day with an event
    "browse_days",  # days with an event
    "sessions_recent",  # in the last RECENT_DAYS days ...
    "sessions_longer",  # ... and in the last LONGER_DAYS days; no longer than the window
)

_INPUTS: dict[str, Any] = {
    "user_id": nw.String,
    "event_at": nw.Int64,
    "event_type": nw.String,
    "session_id": nw.String,
    "duration_s": nw.Int64,
}


def day_cells(rows: Frame, _: Scale) -> Frame:
    kind = nw.col("event_type")
    has_sessions = "session_id" in rows.collect_schema().names()
    events = rows.select("day", *given(rows, _INPUTS)).select(
        *KEYS,
        "event_at",
        "session_id",
        "duration_s",
        views=(kind == "view").cast(nw.Int64),
        carts=(kind == "cart").cast(nw.Int64),
        purchases=(kind == "purchase").cast(nw.Int64),
    )
    sessions = _sessions(_cut(events.filter(nw.col("session_id").is_null()) if has_sessions else events), "number")
    if has_sessions:
        named = _sessions(events.filter(~nw.col("session_id").is_null()), "session_id")
        sessions = nw.concat([named, sessions])
    viewed, carted, bought = (nw.col(name) > 0 for name in ("views", "carts", "purchases"))
    sessions = sessions.with_columns(
        sessions=nw.lit(1),
        view_sessions=viewed.cast(nw.Int64),
        cart_sessions=carted.cast(nw.Int64),
        view_cart_sessions=(viewed & carted).cast(nw.Int64),
        view_purchase_sessions=(viewed & bought).cast(nw.Int64),
        cart_purchase_sessions=(carted & bought).cast(nw.Int64),
    )
    return sessions.group_by(*KEYS).agg(*totals(*MEASURES)).sort("day", "user_id")


def _cut(events: Frame) -> Frame:
    """Events with the `number` of the user's session of the day."""
    earlier = nw.col("event_at").shift(1).over(*KEYS, order_by="event_at")
    events = events.with_columns(goes_on=(nw.col("event_at") - earlier <= PAUSE_US).fill_null(False).cast(nw.Int64))
    # Of events at one time the one that begins a session comes first: the engine keeps ties in no order.
    number = (1 - nw.col("goes_on")).cum_sum().over(*KEYS, order_by=["event_at", "goes_on"])
    return events.with_columns(number=number)


def _sessions(events: Frame, session: str) -> Frame:
    """Events → one row per session."""
    at = nw.col("event_at")
    sums = events.group_by(*KEYS, session).agg(
        nw.len().cast(nw.Int64).alias("events"),
        *totals("views", "carts", "purchases"),
        browse_us=at.max() - at.min(),
        dwell_ms=nw.when(nw.col("duration_s").count() > 0).then(nw.col("duration_s").sum()).cast(nw.Int64),
    )
    return sums.select(*KEYS, *_OF_SESSION, browse_ms=nw.coalesce("dwell_ms", nw.col("browse_us") // 1000))


def user_sums(cells: Frame, as_of: date, _: Features) -> Frame:
    day = nw.col("day")
    cells = cells.select(
        *KEYS,
        *MEASURES,
        sessions_recent=nw.when(within(day, as_of, RECENT_DAYS)).then(nw.col("sessions")),
        sessions_longer=nw.when(within(day, as_of, LONGER_DAYS)).then(nw.col("sessions")),
    )
    return cells.group_by("user_id").agg(
        *span(),
        *totals(*MEASURES, "sessions_recent", "sessions_longer"),
        nw.col("day").max().alias("last_browse_day"),
        nw.len().cast(nw.Int64).alias("browse_days"),
    )


_WINDOW = "[features] window_days"
_NEEDS = frozenset({"events.user_id", "events.event_at", "events.event_type"})

FEATURES = (
    Feature(
        "browse_recency",
        "days",
        _WINDOW,
        "the date − the day of the last event",
        _NEEDS,
        lambda w: (w.as_of - w["last_browse_day"], positive(w["browse_days"])),
    ),
    Feature(
        "browse_days",
        "days",
        _WINDOW,
        "number of days with an event",
        _NEEDS,
        lambda w: (w["browse_days"], one(w, "events")),
    ),
    Feature(
        "sessions",
        "sessions",
        _WINDOW,
        "number of sessions: session_id, or cut after 30 minutes of silence; of each day that one touches",
        _NEEDS,
        lambda w: (w["sessions"], one(w, "events")),
    ),
    Feature(
        "views",
        "views",
        _WINDOW,
        "number of events of the type view",
        _NEEDS,
        lambda w: (w["views"], one(w, "events")),
    ),
    Feature(
        "carts",
        "carts",
        _WINDOW,
        "number of events of the type cart",
        _NEEDS,
        lambda w: (w["carts"], one(w, "events")),
    ),
    Feature(
        "purchases",
        "purchases",
        _WINDOW,
        "number of events of the type purchase; orders do not count",
        _NEEDS,
        lambda w: (w["purchases"], one(w, "events")),
    ),
    Feature(
        "views_per_session",
        "views per session",
        _WINDOW,
        "views / sessions",
        _NEEDS,
        lambda w: (w["views"], w["sessions"]),
    ),
    Feature(
        "view_to_cart",
        "share of sessions",
        _WINDOW,
        "sessions with a view and a cart / sessions with a view",
        _NEEDS,
        lambda w: (w["view_cart_sessions"], w["view_sessions"]),
    ),
    Feature(
        "cart_to_purchase",
        "share of sessions",
        _WINDOW,
        "sessions with a cart and a purchase / sessions with a cart; a purchase is an event",
        _NEEDS,
        lambda w: (w["cart_purchase_sessions"], w["cart_sessions"]),
    ),
    Feature(
        "view_to_purchase",
        "share of sessions",
        _WINDOW,
        "sessions with a view and a purchase / sessions with a view; a purchase is an event",
        _NEEDS,
        lambda w: (w["view_purchase_sessions"], w["view_sessions"]),
    ),
    Feature(
        "browse_time",
        "minutes",
        _WINDOW,
        "sum over sessions of duration_s; where a session has none, from its first to its last event",
        _NEEDS,
        lambda w: (w["browse_ms"], MINUTE_MS * one(w, "events")),
    ),
    Feature(
        "minutes_per_session",
        "minutes per session",
        _WINDOW,
        "browse_time / sessions",
        _NEEDS,
        lambda w: (w["browse_ms"], MINUTE_MS * w["sessions"]),
    ),
    Feature(
        "browse_trend",
        "ratio, 1 = unchanged",
        f"last {RECENT_DAYS} and last {LONGER_DAYS} days, neither longer than {_WINDOW}",
        f"sessions per day of the last {RECENT_DAYS} days / sessions per day of the last {LONGER_DAYS}",
        _NEEDS,
        lambda w: trend(w, "sessions_recent", "sessions_longer"),
    ),
)
EVENTS = Part(MEASURES, SUMS, day_cells, user_sums, FEATURES)
