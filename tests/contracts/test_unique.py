"""Of rows with the same key the first one counts, by file name and then row, whatever order they are given in."""

import random
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from segmentation.config import Config, Recipe
from segmentation.contracts.rows import Split, split
from segmentation.errors import ConfigError


def recipe(*unique: str) -> Recipe:
    return Config(sources={"orders": {"path": "o.csv", "options": {"unique": unique}}}).recipe()


def raw(rows: list[tuple[str, int, str, str, str]]) -> pa.Table:
    """Rows of (file, row, order_id, item_id, amount)."""
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 5
    texts = {name: pa.array(columns[place], pa.string()) for place, name in enumerate(NAMES, start=2)}
    return pa.table(
        {
            "row": pa.array(columns[1], pa.int64()),
            "at": pa.array([0] * len(rows), pa.timestamp("us", tz="UTC")),
            "user_id": ["u"] * len(rows),
            **texts,
            "file": pa.array(columns[0], pa.string()),
        }
    )


NAMES = ("order_id", "item_id", "amount")


def later(found: Split) -> list[tuple[str, int]]:
    assert set(found.reasons) <= {
        "duplicate of an earlier row by order_id, item_id",
        "amount (or unit_price) is missing",
    }
    return sorted((row["file"], row["row"]) for row in found.quarantined.to_pylist() if row["reason"][0] == "d")


def test_without_a_key_two_equal_lines_are_two_sales() -> None:
    found = split(raw([("f", 1, "o", "i", "1"), ("f", 2, "o", "i", "1")]), recipe())
    assert (found.accepted.num_rows, found.reasons) == (2, {})


def test_the_first_by_file_name_and_row_counts() -> None:
    rows = [("b", 1, "o", "i", "1"), ("a", 2, "o", "i", "2"), ("a", 10, "o", "i", "3"), ("a", 9, "o", "j", "4")]
    found = split(raw(rows), recipe("order_id", "item_id"))
    assert later(found) == [("a", 10), ("b", 1)]
    assert found.accepted["amount"].to_pylist() == [20_000, 40_000]
    assert found.reasons == {"duplicate of an earlier row by order_id, item_id": 2}


def test_keys_are_compared_as_they_are_read() -> None:
    rows = [("f", 1, " o", "i", "1"), ("f", 2, "o ", "i", "1.0"), ("f", 3, "O", "i", "1")]
    assert split(raw(rows), recipe("order_id")).quarantined["row"].to_pylist() == [2]
    assert split(raw(rows), recipe("amount")).quarantined["row"].to_pylist() == [2, 3]


def test_a_row_that_lacks_a_part_of_the_key_is_like_no_other() -> None:
    rows = [("f", 1, "o", "", "1"), ("f", 2, "o", " ", "1"), ("f", 3, "o", "i", "1"), ("f", 4, "o", "i", "1")]
    assert later(split(raw(rows), recipe("order_id", "item_id"))) == [("f", 4)]


def test_a_row_in_quarantine_is_no_earlier_row() -> None:
    rows = [("f", 1, "o", "i", ""), ("f", 2, "o", "i", "1"), ("f", 3, "o", "i", "1")]
    found = split(raw(rows), recipe("order_id", "item_id"))
    assert later(found) == [("f", 3)]
    assert found.reasons == {
        "amount (or unit_price) is missing": 1,
        "duplicate of an earlier row by order_id, item_id": 1,
    }


def test_a_column_that_the_rows_have_not_is_a_mistake() -> None:
    rows = raw([("f", 1, "o", "i", "1")])
    with pytest.raises(ConfigError) as caught:
        split(rows, recipe("order_id", "category"))
    assert str(caught.value) == (
        "[sources.orders.options] unique: the rows have no column 'category'; they have amount, item_id, order_id, "
        "ordered_at, user_id"
    )
    assert split(rows.slice(1), recipe("category")).reasons == {}


@pytest.mark.parametrize("seed", range(5))
def test_duplicates_are_those_of_pandas_in_any_order(seed: int) -> None:
    dice = random.Random(seed)
    places = [(f"f{number % 3}", number) for number in range(1, 2_001)]
    rows: list[Any] = [
        (*place, f"o{dice.randrange(20)}", dice.choice(["", *map(str, range(20))]), dice.choice(["1", "2", ""]))
        for place in places
    ]
    frame = pd.DataFrame(rows, columns=["file", "row", *NAMES]).sort_values(["file", "row"])
    compared = frame[(frame["item_id"] != "") & (frame["amount"] != "")]
    expected = compared[compared.duplicated(["order_id", "item_id"])]
    expected_places = sorted(zip(expected["file"], expected["row"], strict=True))
    found = later(split(raw(rows), recipe("order_id", "item_id")))
    dice.shuffle(rows)
    assert found == expected_places == later(split(raw(rows), recipe("order_id", "item_id")))
