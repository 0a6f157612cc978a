"""Browsing: from events to features.

A session is a `session_id` of a user on a day. The events of a user on a day that have none are cut into sessions where
more than 30 minutes of silence lie between one event and the next. One that goes on over midnight is a session of each day
that it touches. A purchase is an event of that type: it needs no order, and an order none.
"""

from datetime import date

import narwhals as nw
import numpy as np

from segmentation.config import Features
from segmentation.features.parts import (
    KEYS,
    LONGER_DAYS,
    RECENT_DAYS,
    Feature,
    Frame,
    Part,
    Scale,
    one,
    positive,
    span,
    totals,
    trend,
    within,
)
from segmentation.features.rows import Flags, Rows, Whole, numbered, sums

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

INPUTS = ("event_type", "session_id", "duration_s")


def day_cells(rows: Rows, _: Scale) -> dict[str, Whole]:
    session = _sessions(rows)
    user = np.empty(session.max(initial=-1) + 1, np.int64)
    user[session] = rows.user

    def of_users(values: Whole | Flags) -> Whole:
        return sums(values, user, len(rows.ids))

    kind = rows.place("event_type", ("view", "cart", "purchase"))
    of_kinds = np.bincount(session * 4 + kind, minlength=len(user) * 4).reshape(-1, 4)
    views, carts, purchases = of_kinds.T[:3]
    viewed, carted, bought = views > 0, carts > 0, purchases > 0
    browse_ms = sums(rows.number("duration_s"), session, len(user))
    without = sums(rows.given("duration_s"), session, len(user)) == 0
    if without.any():
        browse_ms[without] = _lengths(rows.at, session, len(user))[without] // 1000
    return {
        "events": np.bincount(rows.user, minlength=len(rows.ids)),
        "views": of_users(views),
        "carts": of_users(carts),
        "purchases": of_users(purchases),
        "browse_ms": of_users(browse_ms),
        "sessions": np.bincount(user, minlength=len(rows.ids)),
        "view_sessions": of_users(viewed),
        "cart_sessions": of_users(carted),
        "view_cart_sessions": of_users(viewed & carted),
        "view_purchase_sessions": of_users(viewed & bought),
        "cart_purchase_sessions": of_users(carted & bought),
    }


def _sessions(rows: Rows) -> Whole:
    """Each event's session, numbered from 0."""
    code = rows.code("session_id")
    name = rows.user * (code.max(initial=-1) + 1) + code  # several users may have a session of one id
    cut = code < 0
    user, at = rows.user[cut], rows.at[cut]
    begins = np.ones(len(user), np.bool_)
    begins[1:] = (user[1:] != user[:-1]) | (at[1:] - at[:-1] > PAUSE_US)
    number: Whole = np.cumsum(begins)
    name[cut] = -number  # no other has these
    return numbered(name)[1]


def _lengths(at: Whole, session: Whole, sessions: int) -> Whole:
    """Microseconds from the first to the last event of each session."""
    first, last = (np.full(sessions, outermost, np.int64) for outermost in (at.max(initial=0), at.min(initial=0)))
    np.minimum.at(first, session, at)
    np.maximum.at(last, session, at)
    return last - first


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
EVENTS = Part(INPUTS, MEASURES, SUMS, day_cells, user_sums, FEATURES)
