"""Cells of events and reviews: what a session is, by hand and against plain loops on random rows; all tables side by side."""

import random
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation.config import Features
from segmentation.contracts.acceptance import with_cells
from segmentation.features import events as browsing
from segmentation.features.catalogue import CATALOGUE, values
from segmentation.features.cells import PARTS, cells
from segmentation.features.engine import day_number
from segmentation.features.reviews import low_rating
from segmentation.features.windows import SCHEMA, window_sums
from segmentation.store.content import parquet_bytes
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay, AcceptedTable
from segmentation.tables import EVENTS, ORDERS, REVIEWS

DAY = date(2024, 2, 29)
TIME = pa.timestamp("us", "UTC")
TYPES = {
    EVENTS: {
        "user_id": pa.string(),
        "event_at": TIME,
        "event_type": pa.string(),
        "session_id": pa.string(),
        "duration_s": pa.int64(),
    },
    REVIEWS: {"user_id": pa.string(), "reviewed_at": TIME, "rating": pa.int64()},
    ORDERS: {"user_id": pa.string(), "ordered_at": TIME, "amount": pa.int64()},
}
PLAIN = ("user_id", "event_at", "event_type")


def write(path, table, rows, columns=None):
    schema = pa.schema([(name, TYPES[table][name]) for name in columns or TYPES[table]])
    found = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)
    pq.write_table(found, path, row_group_size=7)
    return str(path)


def at(clock, day=DAY):
    hour, minute, *second = map(float, clock.split(":"))
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight + timedelta(hours=hour, minutes=minute, seconds=second[0] if second else 0)


def event(clock, kind="view", session=None, seconds=None, user="a"):
    duration = None if seconds is None else seconds * 1000
    return {
        "user_id": user, "event_at": at(clock), "event_type": kind, "session_id": session, "duration_s": duration,
    }  # fmt: skip


def cell(tmp_path, *rows, columns=None):
    """The only user's cell, without what is 0."""
    [found] = cells(EVENTS, [(DAY, write(tmp_path / "day.parquet", EVENTS, rows, columns))])[DAY].to_pylist()
    return {name: value for name, value in found.items() if value and name not in ("user_id", "day")}


def test_thirty_minutes_of_silence_are_one_session_and_a_microsecond_more_are_two(tmp_path):
    rows = [event("9:00"), event("9:30"), event("10:00:00.000001")]
    assert cell(tmp_path, *rows, columns=PLAIN) == {
        "events": 3, "views": 3, "browse_ms": 30 * 60_000, "sessions": 2, "view_sessions": 2,
    }  # fmt: skip
    assert cell(tmp_path, *rows[:2])["sessions"] == 1


def test_events_at_one_time_are_in_one_session_also_where_it_begins(tmp_path):
    rows = [event("9:00"), *(event("12:00", kind) for kind in ("purchase", "cart", "view", "view"))]
    for shift in range(len(rows)):
        assert cell(tmp_path, *rows[shift:], *rows[:shift], columns=PLAIN) == {
            "events": 5, "views": 3, "carts": 1, "purchases": 1, "sessions": 2, "view_sessions": 2,
            "cart_sessions": 1, "view_cart_sessions": 1, "view_purchase_sessions": 1, "cart_purchase_sessions": 1,
        }  # fmt: skip


def test_a_session_id_goes_on_over_any_silence_and_is_the_users_own(tmp_path):
    rows = [event("1:00", session="s"), event("23:00", "cart", "s"), event("23:01", session="t")]
    assert cell(tmp_path, *rows) == {
        "events": 3, "views": 2, "carts": 1, "browse_ms": 22 * 3_600_000, "sessions": 2,
        "view_sessions": 2, "cart_sessions": 1, "view_cart_sessions": 1,
    }  # fmt: skip
    path = write(tmp_path / "2.parquet", EVENTS, [event("1:00", session="s"), event("1:00", session="s", user="b")])
    assert cells(EVENTS, [(DAY, path)])[DAY]["sessions"].to_pylist() == [1, 1]


def test_events_without_a_session_id_are_cut_by_silence_among_themselves(tmp_path):
    rows = [event("9:00"), event("9:20", session="s"), event("9:40"), event("9:59", "cart")]
    assert cell(tmp_path, *rows) == {
        "events": 4, "views": 3, "carts": 1, "browse_ms": 19 * 60_000, "sessions": 3,
        "view_sessions": 3, "cart_sessions": 1, "view_cart_sessions": 1,
    }  # fmt: skip


def test_a_session_with_only_a_purchase_was_never_viewed(tmp_path):
    found = cell(tmp_path, event("9:00", "purchase", "s"))
    assert found == {"events": 1, "purchases": 1, "sessions": 1}
    paths = {EVENTS: [(DAY, kept(tmp_path, EVENTS, [event("9:00", "purchase", "s")]))]}
    user = of_window(paths)[0]
    assert (user["purchases"], user["sessions"], user["view_to_purchase"], user["cart_to_purchase"]) == (
        1,
        1,
        None,
        None,
    )


def test_durations_are_the_browse_time_of_the_sessions_that_have_any(tmp_path):
    rows = [
        event("9:00", session="s", seconds=10), event("9:20", session="s"), event("9:20", session="s", seconds=2.5),
        event("12:00", session="t"), event("12:01", session="t"),
    ]  # fmt: skip
    assert cell(tmp_path, *rows)["browse_ms"] == 12_500 + 60_000
    assert cell(tmp_path, event("9:00", seconds=0), event("9:20")).get("browse_ms", 0) == 0


def test_a_session_over_midnight_is_one_of_each_day_that_it_touches(tmp_path):
    later = DAY + timedelta(days=1)
    for session in ("s", None):
        first = write(
            tmp_path / "1.parquet", EVENTS, [event("23:50", session=session), event("23:59", "cart", session)]
        )
        after = {**event("0:05", "purchase", session), "event_at": at("0:05", later)}
        paths = [(DAY, first), (later, write(tmp_path / "2.parquet", EVENTS, [after]))]
        made = cells(EVENTS, paths)
        assert [made[day]["sessions"].to_pylist() for day, _ in paths] == [[1], [1]]
        assert [made[day]["cart_purchase_sessions"].to_pylist() for day, _ in paths] == [[0], [0]]


def test_other_types_of_events_are_events_of_a_session(tmp_path):
    assert cell(tmp_path, event("9:00", "search"), event("9:10", "wink"), columns=PLAIN) == {
        "events": 2, "browse_ms": 600_000, "sessions": 1,
    }  # fmt: skip


def test_times_are_taken_apart_by_their_instants_in_any_time_zone_of_the_machine(tmp_path, monkeypatch):
    """New York's clocks went forward on 2024-03-10 at 07:00 UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    day = date(2024, 3, 10)
    rows = [{**event("0:00"), "event_at": at(clock, day)} for clock in ("6:45", "7:15", "7:45:01")]
    path = write(tmp_path / "day.parquet", EVENTS, rows, PLAIN)
    [found] = cells(EVENTS, [(day, path)])[day].to_pylist()
    assert (found["sessions"], found["browse_ms"]) == (2, 30 * 60_000)


@pytest.mark.parametrize(
    ("scale", "highest_low"), [((1, 5), 2.6), ((0, 10), 4), ((1, 10), 4.6), ((-1, 1), -0.2), ((1, 100), 40.6)]
)
def test_low_ratings_are_those_in_the_lower_two_fifths_of_the_scale(tmp_path, scale, highest_low):
    assert low_rating(scale) == round(highest_low * 10_000)
    ratings = [round(highest_low * 10_000) + step for step in (-1, 0, 1)]
    rows = [{"user_id": "a", "reviewed_at": at("9:00"), "rating": rating} for rating in ratings]
    [found] = cells(REVIEWS, [(DAY, write(tmp_path / "r", REVIEWS, rows))], rating=scale)[DAY].to_pylist()
    assert found == {
        "user_id": "a", "day": day_number(DAY), "reviews": 3, "rating": sum(ratings), "low_ratings": 2,
    }  # fmt: skip


def test_each_day_is_kept_by_the_scale_of_its_own_recipe(tmp_path):
    days = {}
    for number in range(3):
        rows = [{"user_id": "a", "reviewed_at": at("9:00"), "rating": 30_000}]
        path = write(tmp_path / f"{number}.parquet", REVIEWS, rows)
        table = AcceptedTable("", "", {}, 1, path, None, None, list(TYPES[REVIEWS]), {})
        days[DAY + timedelta(days=number)] = AcceptedDay({REVIEWS: table}, "")
    objects = Objects(tmp_path / "store")
    done = with_cells(objects, days, {DAY: (1, 10), DAY + timedelta(days=2): (1, 5)})
    kept = [objects.table(day.tables[REVIEWS].cells)["low_ratings"].to_pylist() for day in done.values()]
    assert (list(done), kept) == (list(days), [[1], [0], [0]])


def kept(tmp_path, table, rows, name="c", day=DAY, columns=None):
    """The key of the day's cells."""
    made = cells(table, [(day, write(tmp_path / f"{name} rows", table, rows, columns))])[day]
    pq.write_table(made, tmp_path / name)
    return str(tmp_path / name)


def of_window(paths, as_of=DAY, known_until=None, window_days=30):
    settings = Features(window_days=window_days)
    sums = window_sums(paths, as_of, known_until or as_of, settings)
    columns = [f"{table}.{name}" for table in paths for name in TYPES[table]]
    return values(sums, as_of, settings, columns).to_pylist()


def test_a_user_of_any_table_is_there_with_nothing_of_the_others(tmp_path):
    paths = {
        ORDERS: [(DAY, kept(tmp_path, ORDERS, [{"user_id": "b", "ordered_at": at("9:00"), "amount": 50_000}], "o"))],
        EVENTS: [(DAY, kept(tmp_path, EVENTS, [event("9:00", user="c"), event("9:30", user="b")], "e"))],
        REVIEWS: [(DAY, kept(tmp_path, REVIEWS, [{"user_id": "a", "reviewed_at": at("9:00"), "rating": 40_000}], "r"))],
    }
    a, b, c = users = of_window(paths)
    assert [user["user_id"] for user in users] == ["a", "b", "c"]
    assert [user["monetary"] for user in users] == [0, 5, 0]
    assert [user["sessions"] for user in users] == [0, 1, 1]
    assert [user["reviews"] for user in users] == [1, 0, 0]
    assert (a["recency"], a["browse_recency"], a["mean_rating"]) == (None, None, 4)
    assert (b["recency"], b["browse_recency"], b["mean_rating"]) == (0, 0, None)
    assert (c["recency"], c["browse_recency"], c["views_per_session"]) == (None, 0, 1)
    assert set(a) == {"user_id", *CATALOGUE} - {"discount_share", "category_spread"}


def test_sums_of_tables_that_are_not_there_are_null_and_days_count_in_any_table(tmp_path):
    later = DAY + timedelta(days=5)
    review = {"user_id": "a", "reviewed_at": at("9:00", later), "rating": 10_000}
    paths = {
        EVENTS: [(DAY, kept(tmp_path, EVENTS, [event("9:00")], "e"))],
        REVIEWS: [(later, kept(tmp_path, REVIEWS, [review], "r", later))],
    }
    sums = window_sums(paths, later, later, Features(window_days=30))
    assert sums.schema == SCHEMA
    [user] = sums.to_pylist()
    assert (user["first_active_day"], user["last_active_day"]) == (day_number(DAY), day_number(later))
    assert {name for name, value in user.items() if value is None} == set(PARTS[ORDERS].sums)


def test_known_until_leaves_later_days_of_every_table_out_and_spans_end_with_the_date(tmp_path):
    days = [DAY, DAY + timedelta(days=4)]
    rows = {day: [{**event("9:00"), "event_at": at("9:00", day)}] for day in days}
    paths = {EVENTS: [(day, kept(tmp_path, EVENTS, rows[day], f"{day}", day)) for day in days]}
    as_of = DAY + timedelta(days=5)
    assert [(u["browse_recency"], u["sessions"]) for u in of_window(paths, as_of)] == [(1, 2)]
    assert [(u["browse_recency"], u["sessions"]) for u in of_window(paths, as_of, DAY)] == [(5, 1)]
    assert of_window(paths, as_of, DAY - timedelta(days=1)) == []


@pytest.mark.parametrize(("window_days", "ratio"), [(365, 1.5), (45, 0.75), (20, 0.5)])
def test_the_trend_of_browsing_never_looks_further_than_the_window(window_days, ratio):
    sums = {**dict.fromkeys(SCHEMA.names, 0), "user_id": "a", "sessions_recent": 10, "sessions_longer": 20}
    table = pa.Table.from_pylist([sums], SCHEMA)
    columns = {f"events.{name}" for name in PLAIN}
    found = values(table, DAY, Features(window_days=window_days), columns).to_pylist()[0]
    assert found["browse_trend"] == ratio


def random_events(draw, columns):
    for _ in range(draw.choice((0, 1, draw.randrange(60)))):
        row = event(
            f"{draw.choice((0, 9, 9, 9, 10, 23))}:{draw.randrange(0, 60, 10)}",
            draw.choice(["view", "view", "view", "cart", "purchase", "search"]),
            draw.choice([None, None, "s", "t", "ß"]) if "session_id" in columns else None,
            draw.choice([None, None, 0, 7]) if "duration_s" in columns else None,
            draw.choice(["a", "b", "é", "A", "10", "9"]),
        )
        yield row


def expected_cells(rows):
    """By plain loops."""
    found = {}
    for user in sorted({row["user_id"] for row in rows}, key=str.encode):
        sessions = {}
        number, last = 0, None
        for row in sorted((row for row in rows if row["user_id"] == user), key=lambda row: row["event_at"]):
            if row["session_id"] is None:
                if last and row["event_at"] - last > timedelta(minutes=30):
                    number += 1
                last = row["event_at"]
            sessions.setdefault(row["session_id"] or number, []).append(row)
        measures = dict.fromkeys(browsing.MEASURES, 0)
        for events in sessions.values():
            kinds = [row["event_type"] for row in events]
            times = [row["event_at"] for row in events]
            durations = [row["duration_s"] for row in events if row["duration_s"] is not None]
            length = (max(times) - min(times)) // timedelta(milliseconds=1)
            measures["events"] += len(events)
            measures["sessions"] += 1
            measures["browse_ms"] += sum(durations) if durations else length
            for kind in ("view", "cart", "purchase"):
                measures[f"{kind}s"] += kinds.count(kind)
            for name, needed in {
                "view_sessions": {"view"}, "cart_sessions": {"cart"}, "view_cart_sessions": {"view", "cart"},
                "view_purchase_sessions": {"view", "purchase"}, "cart_purchase_sessions": {"cart", "purchase"},
            }.items():  # fmt: skip
                measures[name] += needed <= set(kinds)
        found[user] = {"user_id": user, "day": day_number(DAY), **measures}
    return list(found.values())


@pytest.mark.parametrize("seed", range(20))
def test_cells_of_random_events_equal_plain_loops_in_any_order(tmp_path, seed):
    draw = random.Random(seed)
    for columns in (tuple(TYPES[EVENTS]), PLAIN, (*PLAIN, "session_id"), (*PLAIN, "duration_s")):
        rows = list(random_events(draw, columns))
        expected = expected_cells(rows)
        as_kept = sorted(rows, key=lambda row: (row["user_id"].encode(), row["event_at"]))
        for order in (as_kept, draw.sample(rows, len(rows))):
            path = write(tmp_path / "d.parquet", EVENTS, order, columns)
            # The same rows on two days.
            for day, made in cells(EVENTS, [(DAY + timedelta(days=1), path), (DAY, path)]).items():
                assert made.schema == PARTS[EVENTS].schema
                assert made.to_pylist() == [{**cell, "day": day_number(day)} for cell in expected]


@pytest.mark.parametrize("table", PARTS)
def test_a_day_without_rows_has_no_cells(tmp_path, table):
    made = cells(table, [(DAY, write(tmp_path / "d.parquet", table, []))])[DAY]
    assert (made.num_rows, made.schema) == (0, PARTS[table].schema)


def many_events(draw, count, with_sessions):
    """Few times and few users: many ties."""
    seconds = draw.integers(0, 86_400 // 300, count) * 300
    table = {
        "user_id": pa.array(np.char.add("u", draw.integers(0, 4_000, count).astype(str))),
        "event_at": pa.array(np.datetime64(DAY, "us") + seconds.astype("timedelta64[s]"), TIME),
        "event_type": pa.array(np.array(["view", "view", "cart", "purchase"])[draw.integers(0, 4, count)]),
    }
    if with_sessions:
        session = np.char.add("s", draw.integers(0, 9, count).astype(str))
        table["session_id"] = pa.array(session, mask=draw.random(count) < 0.5)
    return pa.table(table)


@pytest.mark.parametrize("with_sessions", [False, True])
def test_cells_are_the_same_bytes_with_any_order_of_rows(tmp_path, with_sessions):
    draw = np.random.default_rng(0)
    table = many_events(draw, 200_000, with_sessions)
    seen = set()
    for number in range(3):
        path = tmp_path / f"{number}"
        pq.write_table(table.take(draw.permutation(table.num_rows)), path, row_group_size=20_000)
        seen.add(parquet_bytes(cells(EVENTS, [(DAY, str(path))])[DAY]))
    assert len(seen) == 1
