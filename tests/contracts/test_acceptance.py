"""A day's rows of any table are accepted or quarantined, kept, and counted; a critical fault keeps nothing."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from segmentation.config import Config, Validation
from segmentation.contracts.acceptance import check_rows
from segmentation.contracts.sign_ups import REASON, with_sign_ups
from segmentation.store.objects import Objects
from segmentation.store.quarantine import read_csv
from segmentation.store.state import AcceptedDay, AcceptedTable

DAY = date(2026, 1, 1)
SOURCES: dict[str, Any] = {
    "orders": {"path": "o.csv"},
    "events": {"path": "e.csv"},
    "reviews": {"path": "r.csv"},
    "users": {"path": "u.csv"},
}
RECIPE = Config(sources=SOURCES).recipe()


def raw(table: str, columns: Mapping[str, list[Any]], day: date = DAY) -> pa.Table:
    size = len(next(iter(columns.values())))
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    at = [None if table == "users" else noon + timedelta(minutes=number) for number in range(size)]
    return pa.table(
        {
            "row": pa.array(range(1, size + 1), pa.int64()),
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            **{name: pa.array(values, pa.string()) for name, values in columns.items()},
            "file": ["f.csv"] * size,
        }
    )


def check(
    objects: Objects, table: str, day: date = DAY, validation: Validation | None = None, **columns: list[Any]
) -> tuple[AcceptedTable | None, str]:
    rows = raw(table, columns, day)
    listed = {"files": {"key": rows.num_rows}, "names": {"key": "f.csv"}, "weekday_rows": []}
    return check_rows(objects, table, day, rows, listed, RECIPE, validation or Validation())


GOOD: dict[str, dict[str, list[Any]]] = {
    "orders": {"user_id": ["b", "a", ""], "amount": ["1", "x", "1"]},
    "events": {"user_id": ["b", "a", ""], "event_type": ["view", "", "view"]},
    "reviews": {"user_id": ["b", "a", ""], "rating": ["5", "11", "1"]},
    "users": {"user_id": ["b", "b", ""], "excluded": ["yes", "no", "no"]},
}


@pytest.mark.parametrize("table", GOOD)
def test_every_row_of_a_table_is_accepted_or_quarantined(tmp_path: Path, table: str) -> None:
    objects = Objects(tmp_path)
    accepted, critical = check(objects, table, **GOOD[table])
    assert accepted is not None
    assert critical == ""
    quality = accepted.quality
    assert (quality["rows"], quality["accepted"], quality["quarantined"], quality["kept"]) == (3, 1, 2, 2)
    assert sum(quality["reasons"].values()) == 2
    rows = objects.table(str(accepted.accepted))
    assert (rows["user_id"].to_pylist(), rows.column_names) == (["b"], accepted.columns)
    place = table if table == "users" else f"{table}/date={DAY}"
    key = str(accepted.quarantine)
    assert key.startswith(f"quarantine/{place}/")
    assert key.endswith(".csv")
    bad = read_csv(objects.get(key))
    assert bad.column_names[:3] == ["file", "row", "reason"]
    assert [row["row"] for row in bad.to_pylist()] == [2, 3]
    for row in bad.to_pylist():  # as it came
        assert {name: row[name] for name in GOOD[table]} == {
            name: values[row["row"] - 1] for name, values in GOOD[table].items()
        }


def test_many_rows_in_quarantine_are_all_counted_and_some_are_kept(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    accepted, _ = check(objects, "orders", user_id=["u"] * 9_000, amount=["x"] * 5_000 + ["1"] * 4_000)
    assert accepted is not None
    assert accepted.quality["reasons"] == {"amount is not a number below 10,000,000,000": 5_000}
    assert (accepted.quality["quarantined"], accepted.quality["kept"]) == (5_000, 1_000)
    assert read_csv(objects.get(str(accepted.quarantine)))["row"].to_pylist() == list(range(1, 1_001))


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (
            "orders",
            {"user_id": ["u"] * 3, "currency": ["GBP", "EUR", ""]},
            "orders: the orders are in several currencies; convert them to one (currencies 2)",
        ),
        (
            "events",
            {"user_id": ["u"] * 3, "event_type": ["view", "pv", "pv"]},
            "events: too large a share of the events has an event_type that is not known; name the types in event_types "
            "(unknown event share 0.666667)",
        ),
        (
            "reviews",
            {"user_id": ["u"] * 11, "rating": ["11"] * 10 + ["5"]},
            "reviews: too large a share of the rows is quarantined (quarantined share 0.909091) "
            "[rating is not on the scale (the option rating): 10 (f.csv, row 1)]",
        ),
    ],
)
def test_a_critical_fault_keeps_nothing(
    tmp_path: Path, table: str, columns: dict[str, list[Any]], message: str
) -> None:
    objects = Objects(tmp_path)
    assert check(objects, table, **columns) == (None, message)
    assert objects.keys("") == []


def test_the_currency_of_a_day(tmp_path: Path) -> None:
    objects = Objects(tmp_path)

    def quality(**columns: list[Any]) -> dict[str, Any]:
        accepted, _ = check(objects, "orders", **columns)
        assert accepted is not None
        return accepted.quality

    assert quality(user_id=["u"] * 3, currency=["gbp", "GBP ", ""])["currency"] == "GBP"
    assert "currency" not in quality(user_id=["u"], currency=[""])
    assert "currency" not in quality(user_id=["u"], amount=["1"])
    assert quality(user_id=["u", ""], currency=["GBP", "EUR"])["currency"] == "GBP"  # of the accepted rows


# Orders before their users signed up --------------------------------------------------------------------------------


def accepted_day(objects: Objects, day: date, **tables: dict[str, list[Any]]) -> AcceptedDay:
    found = {}
    for table, columns in tables.items():
        accepted, critical = check(objects, table, day, **columns)
        assert accepted is not None, critical
        found[table] = accepted
    return AcceptedDay(found, "reading")


def test_orders_before_the_sign_up_are_counted(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    users = {
        "user_id": ["a", "b", "c", "d"],
        "signed_up_at": ["2026-01-01 12:00", "2026-01-02", "", "2026-01-01 12:02:01"],
    }
    orders = {"user_id": ["a", "b", "d", "c", "stranger"]}  # at 12:00, 12:01, …
    days = {
        DAY: accepted_day(objects, DAY, users=users, orders=orders),
        DAY + timedelta(1): accepted_day(objects, DAY + timedelta(1), users=users, orders=orders),
        DAY + timedelta(2): accepted_day(objects, DAY + timedelta(2), orders=orders),
        DAY + timedelta(3): accepted_day(objects, DAY + timedelta(3), users={"user_id": ["a"]}, orders=orders),
        DAY + timedelta(4): accepted_day(objects, DAY + timedelta(4), users=users),
    }  # fmt: skip
    found = with_sign_ups(objects, days)
    first = found[DAY].tables["orders"].quality
    assert first["before_sign_up"] == 2
    assert first["warnings"] == [{"expectation": "before_sign_up", "reason": REASON, "observed": {"rows": 2}}]
    second = found[DAY + timedelta(1)].tables["orders"].quality
    assert (second["before_sign_up"], second["warnings"]) == (0, [])
    assert all(found[day] == days[day] for day in list(days)[2:])
    assert days[DAY].tables["orders"].quality["warnings"] == []
