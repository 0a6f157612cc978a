"""Which lines make a basket, and what is in it."""

from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation.services.baskets import Baskets

FIRST, SECOND = date(2024, 3, 1), date(2024, 3, 2)
KINDS = {"user_id": pa.string(), "ordered_at": pa.timestamp("us", "UTC"), "quantity": pa.int64(), "amount": pa.int64()}


def at(day: date, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def accepted(folder: Path, day: date, columns: list[str], rows: list[tuple[Any, ...]]) -> tuple[date, str]:
    """A day's accepted rows, as they are kept: sorted by user and time."""
    table = pa.table(
        {
            name: pa.array([row[place] for row in rows], KINDS.get(name, pa.string()))
            for place, name in enumerate(columns)
        }
    )
    path = folder / f"{day}.parquet"
    pq.write_table(table.sort_by([("user_id", "ascending"), ("ordered_at", "ascending")]), path)
    return day, str(path)


def contents(baskets: Baskets) -> list[tuple[str, str, int, list[str]]]:
    """Of each basket the user, the day since the first one, and the items; sorted."""
    items = np.array(baskets.items.to_pylist(), object)
    held = [items[baskets.holds.indices[first:end]].tolist() for first, end in pairwise(baskets.holds.indptr)]
    users = baskets.users.take(pa.array(baskets.user)).to_pylist()
    first_day = (FIRST - date(1970, 1, 1)).days
    return sorted(zip(users, (baskets.day - first_day).tolist(), held, strict=True))


LINES = ["user_id", "ordered_at", "order_id", "item_id", "category", "quantity", "amount"]


def test_a_basket_has_the_different_items_of_an_orders_purchase_lines(tmp_path: Path) -> None:
    days = [
        accepted(
            tmp_path,
            SECOND,
            LINES,
            [
                ("ann", at(SECOND, 0), "1", "tea", "drinks", 1, 1)
            ],  # the order of the evening before goes on: another basket
        ),
        accepted(
            tmp_path,
            FIRST,
            LINES,
            [
                ("ann", at(FIRST, 9), "1", "tea", "drinks", 10_000, 5),
                ("ann", at(FIRST, 9), "1", "tea", "drinks", 10_000, 5),
                ("ann", at(FIRST, 23), "1", "cup", "china", 10_000, 5),  # later, of the same order
                ("ann", at(FIRST, 9), "2", "jam", None, 10_000, 5),
                ("bob", at(FIRST, 9), "1", "jam", None, 10_000, 0),  # a present; the number is ann's, the order is his
                ("bob", at(FIRST, 9), "1", "tea", "drinks", -10_000, -5),  # returned
                ("bob", at(FIRST, 9), "1", "cup", "china", 10_000, -5),  # returned, by its amount
                ("bob", at(FIRST, 9), "1", "jar", "china", 0, 5),  # neither
                ("cid", at(FIRST, 9), "3", None, "china", 10_000, 5),
                ("dan", at(FIRST, 9), "4", "tea", "drinks", -10_000, -5),
            ],
        ),
    ]
    baskets = Baskets.read(days)
    assert contents(baskets) == [
        ("ann", 0, ["cup", "tea"]),
        ("ann", 0, ["jam"]),
        ("ann", 1, ["tea"]),
        ("bob", 0, ["jam"]),
    ]
    assert (baskets.too_long, baskets.without_items, baskets.of_one_item) == (0, 1, 3)
    assert baskets.items.to_pylist() == ["cup", "jam", "tea"]
    assert baskets.users.to_pylist() == ["ann", "bob"]

    of_categories = Baskets.read(days, "category")
    assert contents(of_categories) == [
        ("ann", 0, ["china", "drinks"]),
        ("ann", 1, ["drinks"]),
        ("cid", 0, ["china"]),
    ]
    assert of_categories.without_items == 2

    assert contents(Baskets.read(days, excluded=pa.array(["ann", "zoe"]))) == [("bob", 0, ["jam"])]
    alone = Baskets.read(days, longest=1)
    assert len(contents(alone)) == 3
    assert alone.too_long == 1
    assert alone.items.to_pylist() == ["jam", "tea"]


def test_without_order_ids_the_lines_of_one_time_are_an_order_and_amounts_say_what_was_bought(tmp_path: Path) -> None:
    rows = [
        ("ann", at(FIRST, 9), "tea", 5),
        ("ann", at(FIRST, 9), "cup", 5),
        ("ann", at(FIRST, 9), "jar", 0),
        ("ann", at(FIRST, 10), "jam", 5),
        ("bob", at(FIRST, 9), "jam", 5),
        ("bob", at(FIRST, 9), "tea", -5),
    ]
    day = accepted(tmp_path, FIRST, ["user_id", "ordered_at", "item_id", "amount"], rows)
    assert contents(Baskets.read([day])) == [("ann", 0, ["cup", "tea"]), ("ann", 0, ["jam"]), ("bob", 0, ["jam"])]


def test_a_column_that_only_some_days_have_is_read_where_it_is(tmp_path: Path) -> None:
    days = [
        accepted(tmp_path, FIRST, ["user_id", "ordered_at"], [("ann", at(FIRST, 9))]),
        accepted(tmp_path, SECOND, ["user_id", "ordered_at", "item_id"], [("ann", at(SECOND, 9), "tea")]),
    ]
    baskets = Baskets.read(days)
    assert contents(baskets) == [("ann", 1, ["tea"])]
    assert baskets.without_items == 1


def test_names_in_any_script_are_ordered_by_their_bytes() -> None:
    names = ["茶", "tea", "чай", "شاي", "té", "🫖", "Tea", "te\u0301"]
    baskets = Baskets.of([names], ["ann"])
    assert baskets.items.to_pylist() == sorted(names, key=str.encode)
    assert baskets.holds.toarray().all()


@pytest.mark.parametrize("paths", [[], None])
def test_without_orders_there_are_no_baskets(paths: list[tuple[date, str]] | None, tmp_path: Path) -> None:
    if paths is None:
        paths = [accepted(tmp_path, FIRST, LINES, [])]
    baskets = Baskets.read(paths)
    assert len(baskets) == 0
    assert baskets.holds.shape == (0, 0)
    assert (baskets.items.to_pylist(), baskets.users.to_pylist(), baskets.without_items) == ([], [], 0)
