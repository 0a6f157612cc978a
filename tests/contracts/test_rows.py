"""Raw rows are accepted, exactly, or quarantined with a reason."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.config import Config
from segmentation.contracts.gate import Finding, Verdict
from segmentation.contracts.rows import Split, counts, split

CONFIG = Config(sources={"orders": {"sample": "complete_journey"}})
AT = datetime(2026, 1, 1, 10, tzinfo=UTC)
NO_VERDICT = Verdict((), ())


def raw(**columns: list[Any]) -> pa.Table:
    """Raw rows with these columns as text; every row has a time, and a user unless given."""
    size = len(next(iter(columns.values())))
    columns = {"user_id": ["u"] * size} | columns
    return pa.table(
        {
            "row": pa.array(range(1, size + 1), pa.int64()),
            "at": pa.array([AT] * size, pa.timestamp("us", tz="UTC")),
            **{name: pa.array(values, pa.string()) for name, values in columns.items()},
            "file": ["f.csv"] * size,
        }
    )


def parts(**columns: list[Any]) -> Split:
    return split(raw(**columns), CONFIG.recipe())


def why(**columns: list[Any]) -> list[str | None]:
    """The reason of each row, None if it is accepted."""
    found = parts(**columns)
    reasons = {row["row"]: row["reason"] for row in found.quarantined.to_pylist()}
    size = len(next(iter(columns.values())))
    assert found.accepted.num_rows == size - len(reasons)
    return [reasons.get(number) for number in range(1, size + 1)]


def test_accepted_rows_have_the_canonical_columns_and_types() -> None:
    found = parts(
        discount=["1"], amount=["5.1"], quantity=["2"], category=["c"], item_id=["i"], order_id=["o"], unit_price=["9"]
    )
    assert found.accepted.schema == pa.schema(
        [
            ("user_id", pa.string()),
            ("ordered_at", pa.timestamp("us", tz="UTC")),
            ("order_id", pa.string()),
            ("item_id", pa.string()),
            ("category", pa.string()),
            ("quantity", pa.int64()),
            ("amount", pa.int64()),
            ("discount", pa.int64()),
        ]
    )
    assert found.accepted.to_pylist() == [
        {
            "user_id": "u",
            "ordered_at": AT,
            "order_id": "o",
            "item_id": "i",
            "category": "c",
            "quantity": 20_000,
            "amount": 51_000,
            "discount": 10_000,
        }
    ]


def test_user_and_time_alone_are_a_row() -> None:
    assert parts(user_id=["u"]).accepted.to_pylist() == [{"user_id": "u", "ordered_at": AT}]


def test_a_price_without_a_quantity_makes_no_amount() -> None:
    assert parts(unit_price=["2.55"]).accepted.column_names == ["user_id", "ordered_at"]


def test_text_is_trimmed_and_empty_text_is_nothing() -> None:
    found = parts(user_id=["  17850.0\t"], order_id=[" "], item_id=[""], category=[" a  b "]).accepted
    assert found.drop_columns(["ordered_at"]).to_pylist() == [
        {"user_id": "17850.0", "order_id": None, "item_id": None, "category": "a  b"}
    ]


def test_rows_keep_their_order() -> None:
    found = parts(user_id=[f"u{number}" if number % 3 else "" for number in range(10_000)], amount=["1"] * 10_000)
    assert found.accepted["user_id"].to_pylist() == [f"u{number}" for number in range(10_000) if number % 3]
    assert found.quarantined["row"].to_pylist() == [number + 1 for number in range(10_000) if not number % 3]


def test_no_rows_are_split_into_none() -> None:
    empty = pa.schema([("row", pa.int64()), ("at", pa.timestamp("us", tz="UTC")), ("file", pa.string())]).empty_table()
    found = split(empty, CONFIG.recipe())
    assert (found.accepted.num_rows, found.quarantined.num_rows, found.reasons) == (0, 0, {})
    assert found.accepted.column_names == ["user_id", "ordered_at"]


# Numbers


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("2.55", 25_500),
        (" -2.55 ", -25_500),
        ("+3", 30_000),
        (".5", 5_000),
        ("1e3", 10_000_000),
        ("0", 0),
        ("-0", 0),
        ("0.00005", 1),
        ("-0.00005", -1),
        ("0.00004999", 0),
        ("0.30000000000000004", 3_000),
        ("5e-05", 1),
        ("5.551115e-17", 0),
        ("9999999999.9999", 99_999_999_999_999),
    ],
)
def test_a_number_is_read_exactly_and_rounded_away_from_zero(text: str, units: int) -> None:
    assert parts(amount=[text]).accepted["amount"].to_pylist() == [units]


@pytest.mark.parametrize(
    "text", ["abc", "1,5", "1.000,50", "NaN", "inf", "-Infinity", "1e400", "10000000000", "1 2", "£5", "--1"]
)
@pytest.mark.parametrize("column", ["quantity", "amount", "discount"])
def test_what_is_not_a_number_is_quarantined(column: str, text: str) -> None:
    assert why(**{column: [text, "1"]}) == [f"{column} is not a number below 10,000,000,000", None]


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_missing_number_is_quarantined_and_a_missing_discount_is_none(text: str | None) -> None:
    assert why(quantity=[text]) == ["quantity is missing"]
    assert why(amount=[text]) == ["amount (or unit_price) is missing"]
    assert parts(discount=[text]).accepted["discount"].to_pylist() == [0]


def test_a_discount_is_what_was_taken_off_whatever_its_sign() -> None:
    assert parts(discount=["-1.5", "1.5", "0"]).accepted["discount"].to_pylist() == [15_000, 15_000, 0]


def test_a_missing_user_is_quarantined() -> None:
    blank = [None, "", " ", "\\N", "NULL", "nan"]  # as exports write a missing value
    assert why(user_id=[*blank, "u", "Null"]) == ["user_id is missing"] * 6 + [None, None]


def test_quantity_0_amount_0_and_returns_are_accepted() -> None:
    assert why(quantity=["0", "0", "1", "-1"], amount=["0", "0.05", "0", "-3"]) == [None] * 4


@pytest.mark.parametrize(
    ("quantity", "price", "units"),
    [
        ("3", "0.85", 25_500),
        ("-12", "0.1", -12_000),
        ("0.001", "0.05", 1),
        ("-0.001", "0.05", -1),
        ("0.0001", "0.4999", 0),
        ("1.005", "1.005", 10_100),
        ("80995", "2.08", 1_684_696_000),
        ("0.33333333", "3", 10_000),
    ],
)
def test_without_an_amount_it_is_quantity_times_price(quantity: str, price: str, units: int) -> None:
    assert parts(quantity=[quantity], unit_price=[price]).accepted["amount"].to_pylist() == [units]


def test_an_amount_of_the_source_is_not_replaced() -> None:
    assert parts(quantity=["2"], unit_price=["9"], amount=["17.5"]).accepted["amount"].to_pylist() == [175_000]


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        ("1", "", "amount (or unit_price) is missing"),
        ("1", "free", "amount is not a number below 10,000,000,000"),
        ("100000", "100000", "amount is not a number below 10,000,000,000"),
        ("9999999999", "9999999999", "amount is not a number below 10,000,000,000"),
        ("", "2", "quantity is missing"),
        ("two", "2", "quantity is not a number below 10,000,000,000"),
        ("1", "1e2.", "amount is not a number below 10,000,000,000"),
    ],
)
def test_why_there_is_no_product(quantity: str, price: str, reason: str) -> None:
    assert why(quantity=[quantity], unit_price=[price]) == [reason]


DIGITS = st.decimals(-99_999, 99_999, places=None, allow_nan=False).map(lambda number: round(number, 8))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(DIGITS, DIGITS), min_size=1, max_size=20))
def test_products_are_those_of_decimal_arithmetic(rows: list[tuple[Decimal, Decimal]]) -> None:
    found = parts(quantity=[f"{quantity:f}" for quantity, _ in rows], unit_price=[f"{price:f}" for _, price in rows])
    expected = [int((quantity * price * 10_000).to_integral_value(ROUND_HALF_UP)) for quantity, price in rows]
    assert found.accepted["amount"].to_pylist() == expected


TEXTS = st.sampled_from(["", " ", "0", "1", "-2.5", "1e2", "x", "nan", "9" * 11]) | st.text("0123456789.-e", max_size=5)


def readable(text: str) -> bool:
    try:
        return abs(Decimal(text.strip())) < 10**10
    except InvalidOperation:
        return False


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "u"]), TEXTS, TEXTS), max_size=20))
def test_a_row_is_accepted_or_quarantined_and_never_lost(rows: list[tuple[str, str, str]]) -> None:
    users, quantities, amounts = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    table = raw(user_id=users, quantity=quantities, amount=amounts)
    found = split(table, CONFIG.recipe())
    assert found.accepted.num_rows + found.quarantined.num_rows == table.num_rows
    assert sum(found.reasons.values()) == found.quarantined.num_rows
    fine = [number for number, (user, *numbers) in enumerate(rows, 1) if user and all(map(readable, numbers))]
    assert sorted({*range(1, len(rows) + 1)} - {*found.quarantined["row"].to_pylist()}) == fine


# Reasons


def test_the_first_reason_counts() -> None:
    found = why(user_id=["", ""], quantity=["", "x"], amount=["y", "z"])
    assert found == ["amount is not a number below 10,000,000,000", "quantity is not a number below 10,000,000,000"]
    assert why(user_id=[""], quantity=[""], amount=[""]) == ["user_id is missing"]


def test_a_quarantined_row_is_kept_as_it_came() -> None:
    day = "01.01.2026, 10 h"
    found = parts(user_id=["u", "v"], ordered_at=[day, day], order_id=[" 5", "6"], quantity=["two", "2"])
    assert found.reasons == {"quantity is not a number below 10,000,000,000": 1}
    assert found.quarantined.to_pylist() == [
        {
            "file": "f.csv",
            "row": 1,
            "reason": "quantity is not a number below 10,000,000,000",
            "user_id": "u",
            "ordered_at": day,
            "order_id": " 5",
            "quantity": "two",
        }
    ]


def test_counts_are_numbers_only() -> None:
    found = parts(
        user_id=["a", "b", "c", "d", "e", ""],
        quantity=["0", "0", "-1", "1", "2", "1"],
        amount=["0", "0.5", "-3", "0", "-1", "1"],
    )
    warning = Finding("expect_something", "too few rows", {"volume_ratio": 0.1})
    assert counts(found, Verdict((), (warning,))) == {
        "rows": 6,
        "accepted": 5,
        "quarantined": 1,
        "reasons": {"user_id is missing": 1},
        "zero_quantity": 2,
        "zero_amount": 2,
        "returns": 2,
        "warnings": [
            {"expectation": "expect_something", "reason": "too few rows", "observed": {"volume_ratio": 0.1}},
        ],
    }


def test_counts_of_a_table_without_numbers_and_of_no_rows_are_zero() -> None:
    for found in (parts(user_id=["u"]), parts(quantity=[], amount=[])):
        counted = counts(found, NO_VERDICT)
        assert (counted["zero_quantity"], counted["zero_amount"], counted["returns"]) == (0, 0, 0)
