"""Events, reviews and users are parted as orders are, each row as a few lines of plain Python say."""

import random
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from segmentation.config import Config, Recipe, Validation
from segmentation.contracts.gate import Figures, Verdict, gate
from segmentation.contracts.rows import Split, counts, split

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)
TIMES = {"events": "event_at", "reviews": "reviewed_at", "orders": "ordered_at"}


def recipe(table: str, timezone: str = "UTC", **source: Any) -> Recipe:
    sources = {"orders": {"path": "o.csv"}} | {table: {"path": "x.csv", **source}}
    return Config(sources=sources, project={"timezone": timezone}).recipe()


def raw(table: str, **columns: list[Any]) -> pa.Table:
    size = len(next(iter(columns.values())))
    at = [AT + timedelta(seconds=number) for number in range(size)] if table in TIMES else [None] * size
    return pa.table(
        {
            "row": pa.array(range(1, size + 1), pa.int64()),
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            **{name: pa.array(values, pa.string()) for name, values in columns.items()},
            "file": ["f.csv"] * size,
        }
    )


def parts(table: str, source: dict[str, Any] | None = None, **columns: list[Any]) -> Split:
    return split(raw(table, **columns), recipe(table, **(source or {})), table)


def column(table: str, name: str, texts: list[Any], **source: Any) -> list[Any]:
    """The accepted values of a column beside good ones of the others."""
    good = {"events": {"event_type": "view"}, "reviews": {"rating": "3"}}.get(table, {})
    users = [f"u{number}" for number in range(len(texts))]
    rest = {other: [value] * len(texts) for other, value in good.items() if other != name}
    return list(parts(table, source, user_id=users, **rest, **{name: texts}).accepted[name].to_pylist())


def test_columns_and_types_of_each_table() -> None:
    at = pa.timestamp("us", tz="UTC")
    events = parts("events", user_id=["u"], duration_s=["1"], event_type=["view"], category=["c"], session_id=["s"])
    assert events.accepted.schema == pa.schema(
        [
            *(("user_id", pa.string()), ("event_at", at), ("event_type", pa.string())),
            *(("category", pa.string()), ("session_id", pa.string()), ("duration_s", pa.int64())),
        ]
    )
    reviews = parts("reviews", text=["good"], user_id=["u"], rating=["4.5"], item_id=["i"])
    assert reviews.accepted.to_pylist() == [
        {"user_id": "u", "reviewed_at": AT, "rating": 45_000, "item_id": "i", "text": "good"}
    ]
    users = parts(
        "users",
        {"columns": {"country": "Country"}},
        country=["NO"],
        user_id=["u"],
        excluded=["no"],
        signed_up_at=["2025-05-05"],
    )
    assert users.accepted.schema == pa.schema(
        [("user_id", pa.string()), ("signed_up_at", at), ("excluded", pa.bool_()), ("country", pa.string())]
    )
    assert users.accepted["country"].to_pylist() == ["NO"]


@pytest.mark.parametrize("table", ["events", "reviews", "users"])
def test_no_rows_are_split_into_none(table: str) -> None:
    empty = pa.schema([("row", pa.int64()), ("at", pa.timestamp("us", tz="UTC")), ("file", pa.string())]).empty_table()
    found = split(empty, recipe(table, options={"unique": ["user_id"]}), table)
    assert (found.accepted.num_rows, found.quarantined.num_rows, found.reasons) == (0, 0, {})
    assert gate(found.accepted, Figures.of(found, ()), Validation(), table, recipe(table)) == Verdict((), ())


def test_a_mapped_column_keeps_its_kind() -> None:
    """What the source calls it is no reason to take a number for an attribute."""
    assert column("events", "duration_s", ["2"], columns={"duration_s": "Seconds"}) == [2_000]


def test_flags() -> None:
    texts = ["true", " TRUE ", "t", "yes", "Y", "1", "1.0", "false", "f", "No", "n", "0", "0.0", "", None]
    assert column("users", "excluded", texts) == [True] * 7 + [False] * 6 + [None] * 2
    found = parts("users", user_id=["a", "b", "c"], excluded=["maybe", "2", "1"])
    assert found.reasons == {"excluded is not a flag (true, false, yes, no, 1, 0)": 2}
    assert found.facts == {"excluded": 1}


def test_durations_are_milliseconds_and_not_negative() -> None:
    assert column("events", "duration_s", ["1.5", "0", "0.0005", "", "9999999999"]) == [
        *(1_500, 0, 1, None),
        9_999_999_999_000,
    ]
    found = parts("events", user_id=["u"] * 3, event_type=["view"] * 3, duration_s=["-1", "1 min", "2"])
    assert found.reasons == {
        "duration_s is negative": 1,
        "duration_s is not a number below 10,000,000,000": 1,
    }


@pytest.mark.parametrize(
    ("options", "zone", "text", "expected"),
    [
        ({}, "UTC", "2025-05-05", datetime(2025, 5, 5, tzinfo=UTC)),
        ({}, "Asia/Shanghai", "2025-05-05 08:00:00.25", datetime(2025, 5, 5, 0, 0, 0, 250_000, UTC)),
        ({}, "Asia/Shanghai", "2025-05-05T08:00 +01:00", datetime(2025, 5, 5, 7, tzinfo=UTC)),
        ({}, "UTC", "2025-05-05 08:00 UTC", datetime(2025, 5, 5, 8, tzinfo=UTC)),
        ({"time_unit": "s"}, "Asia/Shanghai", "1511544070.5", datetime(2017, 11, 24, 17, 21, 10, 500_000, UTC)),
        ({"time_unit": "ms"}, "UTC", "1433221332117", datetime(2015, 6, 2, 5, 2, 12, 117_000, UTC)),
        ({"time_format": "%d/%m/%Y %H:%M"}, "Europe/Berlin", "05/07/2025 02:00", datetime(2025, 7, 5, tzinfo=UTC)),
    ],
)
def test_sign_ups_are_instants(options: dict[str, Any], zone: str, text: str, expected: datetime) -> None:
    found = split(raw("users", user_id=["u"], signed_up_at=[text]), recipe("users", zone, options=options), "users")
    assert found.accepted["signed_up_at"].to_pylist() == [expected]


def test_a_sign_up_that_is_no_time_is_quarantined_and_a_missing_one_is_nothing() -> None:
    found = parts(
        "users",
        user_id=["a", "b", "c", "d"],
        signed_up_at=["soon", "2025-02-30", "", "999999-01-01"],
    )
    assert found.reasons == {"signed_up_at is not a time": 3}
    assert found.accepted.to_pylist() == [{"user_id": "c", "signed_up_at": None}]
    late = split(
        raw("users", user_id=["u"], signed_up_at=["9" * 20]), recipe("users", options={"time_unit": "s"}), "users"
    )
    assert late.reasons == {"signed_up_at is not a time": 1}


def test_a_user_has_one_row() -> None:
    found = parts("users", user_id=["a", "b", "a ", ""], excluded=["1", "0", "0", ""])
    assert found.accepted.to_pylist() == [{"user_id": "a", "excluded": True}, {"user_id": "b", "excluded": False}]
    assert found.reasons == {"duplicate of an earlier row by user_id": 1, "user_id is missing": 1}


@pytest.mark.parametrize(
    ("scale", "fine", "off"),
    [
        ((1, 5), ["1", "5", "3.5", "5.00"], ["0", "5.0001", "11", "-1"]),
        ((0, 10), ["0", "10", "7"], ["-0.1", "11"]),
        ((0.5, 5), ["0.5", "5"], ["0.4"]),
    ],
)
def test_a_rating_is_on_the_scale(scale: tuple[float, float], fine: list[str], off: list[str]) -> None:
    found = parts("reviews", {"options": {"rating": scale}}, user_id=["u"] * len(fine + off), rating=fine + off)
    assert found.reasons == {"rating is not on the scale (the option rating)": len(off)}
    assert found.accepted["rating"].to_pylist() == [int(Decimal(text) * 10_000) for text in fine]
    rules = recipe("reviews", options={"rating": scale})
    assert gate(found.accepted, Figures.of(found, ()), Validation(), "reviews", rules) == Verdict((), ())


def test_a_rating_must_be_there() -> None:
    assert parts("reviews", user_id=["u", "u"], rating=["", "four"]).reasons == {
        "rating is missing": 1,
        "rating is not a number below 10,000,000,000": 1,
    }


@pytest.mark.parametrize(
    ("text", "units"), [("2,55", 25_500), ("-1,5", -15_000), ("3", 30_000), ("2.55", None), ("1.234,50", None)]
)
def test_a_decimal_comma(text: str, units: int | None) -> None:
    found = parts("orders", {"options": {"decimal": ","}}, user_id=["u"], amount=[text])
    assert found.accepted["amount"].to_pylist() == ([] if units is None else [units])
    assert sum(found.reasons.values()) == (units is None)


@pytest.mark.parametrize(
    ("decimal", "thousands", "text", "units"),
    [
        (".", ",", "1,234.50", 12_345_000),
        (".", ",", "-12,345,678", -123_456_780_000),
        (".", ",", "1234.5", 12_345_000),  # need not be there
        (".", ",", "1,23", None),  # no group of three: a decimal comma by mistake
        (".", ",", "1,2345.5", None),
        (".", ",", "1.234,5", None),
        (",", ".", "1.234,50", 12_345_000),
        (",", ".", "12,5", 125_000),
        (",", ".", "1.5", None),  # a decimal point by mistake
        (",", " ", "1 234,5", 12_345_000),
        (",", " ", "1\u00a0234,5", 12_345_000),
        (".", "'", "1\u2019234.5", 12_345_000),
    ],
)
def test_thousands_are_apart(decimal: str, thousands: str, text: str, units: int | None) -> None:
    options = {"options": {"decimal": decimal, "thousands": thousands}}
    found = parts("orders", options, user_id=["u"], amount=[text])
    assert found.accepted["amount"].to_pylist() == ([] if units is None else [units])


# A table against plain Python ---------------------------------------------------------------------------------------


def number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < 10**10 else None


def rounded(value: Decimal, scale: int) -> int:
    return int((value * scale).to_integral_value(ROUND_HALF_UP))


def event(row: dict[str, str | None]) -> dict[str, Any] | str:
    """What an event is accepted as, or why it is not."""
    text = {name: (value or "").strip() or None for name, value in row.items()}
    duration = text["duration_s"]
    if duration and number(duration) is None:
        return "duration_s is not a number below 10,000,000,000"
    for name in ("user_id", "event_type"):
        if not text[name]:
            return f"{name} is missing"
    units = rounded(number(duration) or Decimal(0), 1_000) if duration else None
    if units is not None and units < 0:
        return "duration_s is negative"
    return (
        text
        | {"event_type": {"pv": "view", "buy": "purchase"}.get(str(text["event_type"]), text["event_type"])}
        | {"duration_s": units}
    )


@pytest.mark.parametrize("seed", range(5))
def test_events_are_parted_as_plain_python_parts_them(seed: int) -> None:
    dice = random.Random(seed)
    choices: dict[str, list[str | None]] = {
        "user_id": ["u1", " u2 ", "", None, "用户", "\u00a0"],
        "event_type": ["pv", "buy", "view", "quiz", " cart", "", None],
        "item_id": ["1", None, " "],
        "duration_s": ["1.0005", "-2", "-0.0001", "x", "", None, "nan", "1e3", "99999999999"],
    }
    rows = [{name: dice.choice(values) for name, values in choices.items()} for _ in range(3_000)]
    columns = {name: [row[name] for row in rows] for name in choices}
    found = parts("events", {"options": {"event_types": {"pv": "view", "buy": "purchase"}}}, **columns)
    expected = [event(row) for row in rows]
    accepted = [row for row in expected if isinstance(row, dict)]
    assert found.accepted.drop_columns(["event_at"]).to_pylist() == accepted
    quarantined = {number: why for number, why in enumerate(expected, start=1) if isinstance(why, str)}
    assert {row["row"]: row["reason"] for row in found.quarantined.to_pylist()} == quarantined
    for row in found.quarantined.to_pylist():  # as it came
        assert {name: row[name] for name in choices} == rows[row["row"] - 1]
    assert found.facts["unknown_event_type"] == sum(row["event_type"] == "quiz" for row in accepted)
    assert sum(found.facts["event_types"].values()) + found.facts["unknown_event_type"] == len(accepted)
    assert counts(found, Verdict((), ()))["rows"] == 3_000


def test_sign_ups_in_a_zone_are_those_of_zoneinfo() -> None:
    dice = random.Random(3)
    zone = ZoneInfo("Europe/London")
    start = datetime.fromisoformat("2024-01-01")
    times = [start + timedelta(minutes=dice.randrange(527_040)) for _ in range(500)]
    skipped = datetime.fromisoformat("2024-03-31 01:00")
    times = [at for at in times if not skipped <= at < skipped + timedelta(hours=1)]
    users = [f"u{place}" for place in range(len(times))]
    found = split(
        raw("users", user_id=users, signed_up_at=[str(at) for at in times]), recipe("users", "Europe/London"), "users"
    )
    twice = datetime.fromisoformat("2024-10-27 01:00")
    for at, instant in zip(times, found.accepted["signed_up_at"].to_pylist(), strict=True):
        if not twice <= at < twice + timedelta(hours=1):
            assert instant == at.replace(tzinfo=zone)
