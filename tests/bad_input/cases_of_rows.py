"""Values of rows that are not what they should be."""

from datetime import date

from spoils import (
    NO_NUMBER,
    NO_TIME,
    add,
    all_of,
    line,
    other_kind,
    parted,
    put,
    quality_says,
    refused,
    table,
    users_are,
    whole,
    zone,
)
from spoilt import DAY, HEADER, Shop, healthy

ROWS = [
    parted("text in a number", add(line(amount="ten")), 8, {9: NO_NUMBER}, then=quality_says(NO_NUMBER)),
    parted("thousands separators", add(line(amount='"1,234.50"')), 8, {9: NO_NUMBER}),
    parted("decimal commas", add(line(amount='"12,50"')), 8, {9: NO_NUMBER}),
    parted(
        "decimal commas and thousands",
        all_of(
            put("sources.orders.options", decimal=","),
            whole(line("a", amount='"12,50"'), line("b", amount='"1.234,50"'), line("c", amount="7")),
        ),
        2,
        {2: NO_NUMBER},
    ),
    parted(
        "impossible dates",
        add(*(line(at=at) for at in ("2024-02-30", "2024-03-05 25:00:00", "05/03/2024", "0000-00-00", "45356"))),
        8,
        undated=dict.fromkeys(range(9, 14), NO_TIME),
        says=("5 rows belong to no day", NO_TIME),
    ),
    parted("a time missing", add(line(at="")), 8, undated={9: "ordered_at is missing"}),
    parted(
        "mixed time zones",
        add(line(at="2024-03-05T22:00:00+09:00"), line(at="2024-03-04T20:00:00-0800"), line(at="2024-03-05 10:00 CET")),
        10,
        undated={11: NO_TIME},
    ),
    parted(
        "null, empty and blank user ids",
        add(line(""), line("  "), line('""')),
        8,
        dict.fromkeys((9, 10, 11), "user_id is missing"),
    ),
    parted("padded user ids", whole(line(" a "), line("a"), line("\ta")), 3, then=users_are("a")),
    parted(
        "negative and zero amounts",
        add(line(amount="-5.00"), line(amount="0"), line(quantity="-1", amount="-3")),
        11,
        then=quality_says("returns", "amount 0"),
    ),
    parted(
        "infinities and NaN",
        add(*(line(amount=odd) for odd in ("inf", "-Infinity", "NaN", "nan", "1e999"))),
        8,
        dict.fromkeys(range(9, 14), NO_NUMBER),
    ),
    parted(
        "numbers beyond int64",
        add(*(line(amount=odd) for odd in ("9223372036854775808", "1" + "0" * 60, "-99999999999"))),
        8,
        dict.fromkeys((9, 10, 11), NO_NUMBER),
    ),
    parted(
        "duplicate key",
        all_of(put("sources.orders.options", unique=["order_id"]), add(healthy()[0], line("y"), line("y"))),
        9,
        dict.fromkeys((9, 11), "duplicate of an earlier row by order_id"),
    ),
    parted(
        "too few and too many columns",
        add("o9,x", line() + ",more"),
        8,
        undated={9: "malformed line: too few columns", 10: "malformed line: too many columns"},
        says=("2 rows belong to no day",),
    ),
    parted(
        "a quote that never closes",
        add('o9,"x,2024-03-05,1,1', line("y")),
        9,
        undated={9: "malformed line: broken quotes"},
    ),
    parted(
        "lines of 1 MB",
        add(line("x" * 1_000_000, amount="ten"), "y" * 1_000_000, line("z")),
        9,
        {9: NO_NUMBER},
        {10: "malformed line: too few columns"},
    ),
    parted("a user id of 1 MB", add(line("x" * 1_000_000)), 9),
    parted("NUL bytes", add(line("x\0y"), "\0" * 100, line("z")), 10, undated={10: "malformed line: too few columns"}),
    parted(
        "lines that are no JSON objects",
        other_kind(
            '{"user_id": "a", "ordered_at": "2024-03-05", "amount": 5, "quantity": 1, "order_id": 1}\n'
            '["a"]\n{"user_id": "b"\n{"user_id": ["b"], "ordered_at": "2024-03-05"}\n{"user_id": 1, "user_id": 2}\n',
            "orders/day.jsonl",
        ),
        1,
        undated={
            2: "malformed line: not a JSON object",
            3: "malformed line: not a JSON object",
            4: "malformed line: user_id is a list or an object, not a plain value",
            5: "malformed line: a key is there twice",
        },
    ),
    parted(
        "an order before sign-up",
        table("users", "user_id,signed_up_at", "a,2025-01-01", "b,2020-01-01"),
        8,
        then=quality_says("orders from before their users signed up"),
    ),
    parted(
        "an unknown event type",
        table(
            "events", "user_id,event_at,event_type", f"a,{DAY} 10:00,view", f"a,{DAY} 10:01,gaze", f"b,{DAY} 10:00,cart"
        ),
        3,
        table="events",
        gate=True,
        then=quality_says("events with an event_type that is not known"),
    ),
    refused(
        "mostly unknown event types",
        table("events", "user_id,event_at,event_type", f"a,{DAY} 10:00,pv", f"a,{DAY} 10:01,pv"),
        "too large a share of the events has an event_type that is not known",
        "name the types in event_types",
        gate=True,
    ),
    parted(
        "a rating of 11",
        table("reviews", "user_id,reviewed_at,rating", f"a,{DAY},11", f"b,{DAY},5", f"c,{DAY},0.9"),
        1,
        dict.fromkeys((1, 3), "rating is not on the scale (the option rating)"),
        table="reviews",
    ),
    refused(
        "most rows are bad",
        whole(line("a"), *(line(amount="?") for _ in range(19))),
        f"{DAY}: orders: too large a share of the rows is quarantined (quarantined share 0.95)",
        gate=True,
    ),
    refused(
        "mixed currencies in a day",
        whole(line("a") + ",EUR", line("b") + ",USD", header=HEADER + ",currency"),
        f"{DAY}: orders: the orders are in several currencies; convert them to one (currencies 2",
        gate=True,
    ),
]

TIMES = [
    parted(
        "local times that do not exist",
        zone("Europe/Berlin", "2024-03-31", "01:30", "02:30", "03:30"),
        2,
        undated={2: "ordered_at is a local time that the clocks skipped"},
        command=("run", "--date", "2024-03-31"),
        day=date(2024, 3, 31),
    ),
    parted(
        "local times that exist twice",
        zone("Europe/Berlin", "2024-10-27", "01:30", "02:30", "03:30"),
        3,
        command=("run", "--date", "2024-10-27"),
        day=date(2024, 10, 27),
        then=lambda shop: instants_are(shop, date(2024, 10, 27), [23, 0, 2]),
    ),
]


def instants_are(shop: Shop, day: date, hours: list[int]) -> None:
    rows = shop.store().objects.table(shop.day(day).accepted)
    assert [at.hour for at in rows.sort_by("user_id")["ordered_at"].to_pylist()] == hours
