"""A team's own expectations part rows, gate the day, or are refused with a word on what was meant."""

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from segmentation.config import Config, Recipe, Validation
from segmentation.contracts.expectations import BETWEEN, IN_SET, KNOWN, MATCH, NOT_NULL, check
from segmentation.contracts.gate import Figures, Finding, Verdict, gate
from segmentation.contracts.rows import Split, split
from segmentation.errors import ConfigError

FIRST = datetime(2026, 1, 1, 10, tzinfo=UTC)


def own(type: str, severity: str = "critical", reason: str = "odd", **kwargs: Any) -> dict[str, Any]:
    return {"type": type, "kwargs": kwargs, "severity": severity, "reason": reason}


def recipe(*expectations: dict[str, Any], table: str = "orders", timezone: str = "UTC", **source: Any) -> Recipe:
    sources = {"orders": {"path": "o.csv"}} | {table: {"path": "x.csv", "expectations": expectations, **source}}
    return Config(sources=sources, project={"timezone": timezone}).recipe()


def raw(**columns: list[Any]) -> pa.Table:
    size = len(next(iter(columns.values())))
    columns = {"user_id": [f"u{number}" for number in range(size)]} | columns
    at = [FIRST + timedelta(hours=number) for number in range(size)]
    return pa.table(
        {
            "row": pa.array(range(1, size + 1), pa.int64()),
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            **{name: pa.array(values, pa.string()) for name, values in columns.items()},
            "file": ["f.csv"] * size,
        }
    )


def both(rows: pa.Table, rules: Recipe, table: str = "orders") -> tuple[Split, Verdict]:
    parts = split(rows, rules, table)
    return parts, gate(parts.accepted, Figures.of(parts, ()), Validation(), table, rules)


# Rows that are parted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "columns", "bad"),
    [
        (own(NOT_NULL, column="item_id"), {"item_id": ["a", "", None, " b "]}, [2, 3]),
        (own(IN_SET, column="category", value_set=["x", "y"]), {"category": ["x", "z", "", "X", " y"]}, [2, 4]),
        (own(IN_SET, column="quantity", value_set=[1, 2.5]), {"quantity": ["1", "2.5", "3", "1.0000"]}, [3]),
        (
            own(BETWEEN, column="amount", min_value=0.01, max_value=100),
            {"amount": ["0", "0.01", "100", "100.01"]},
            [1, 4],
        ),
        (
            own(BETWEEN, column="amount", min_value=0, strict_min=True, max_value=1, strict_max=True),
            {"amount": ["0", "0.0001", "0.9999", "1"]},
            [1, 4],
        ),
        (own(BETWEEN, column="amount", max_value=0.00015), {"amount": ["0.0001", "0.0002"]}, [2]),
        (own(MATCH, column="order_id", regex="^[0-9]{3}$"), {"order_id": ["123", "1234", "", "12a"]}, [2, 4]),
        (own(BETWEEN, column="ordered_at", min_value="2026-01-01T12:00:00"), {"amount": ["1"] * 4}, [1, 2]),
        (own(BETWEEN, column="ordered_at", max_value="2026-01-01T13:00:00+01:00"), {"amount": ["1"] * 4}, [4]),
    ],
)
def test_a_critical_expectation_of_a_row_parts_rows(
    expectation: dict[str, Any], columns: dict[str, list[Any]], bad: list[int]
) -> None:
    parts, verdict = both(raw(**columns), recipe(expectation))
    assert parts.quarantined["row"].to_pylist() == bad
    assert parts.reasons == {"odd": len(bad)}
    assert verdict == Verdict((), ())


def test_times_without_an_offset_are_those_of_the_shop() -> None:
    rules = recipe(own(BETWEEN, column="ordered_at", min_value="2026-01-01T19:00:00"), timezone="Asia/Shanghai")
    assert both(raw(amount=["1"] * 3), rules)[0].quarantined["row"].to_pylist() == [1]  # 11:00 UTC is 19:00 there


def test_durations_and_flags_are_written_as_people_write_them() -> None:
    rules = recipe(own(BETWEEN, column="duration_s", max_value=1.5), table="events")
    rows = raw(event_type=["view"] * 3, duration_s=["1.5", "1.501", ""])
    assert both(rows, rules, "events")[0].quarantined["row"].to_pylist() == [2]
    rules = recipe(own(IN_SET, column="excluded", value_set=[False]), table="users")
    assert both(raw(excluded=["no", "yes", ""]), rules, "users")[0].quarantined["row"].to_pylist() == [2]
    rules = recipe(own(IN_SET, column="country", value_set=["NO"]), table="users", columns={"country": "Country"})
    assert both(raw(country=["NO", "SE"]), rules, "users")[0].quarantined["row"].to_pylist() == [2]


def test_the_declared_reasons_come_first_and_then_the_own_in_their_order() -> None:
    rules = recipe(
        own(BETWEEN, reason="dear", column="amount", max_value=10),
        own(MATCH, reason="id", column="user_id", regex="^u"),
    )
    parts, _ = both(raw(user_id=["", "v", "v", "u"], amount=["99", "99", "1", "x"]), rules)
    assert [row["reason"] for row in parts.quarantined.to_pylist()] == [
        "user_id is missing",
        "dear",
        "id",
        "amount is not a number below 10,000,000,000",
    ]


def test_two_expectations_may_give_one_reason() -> None:
    rules = recipe(own(BETWEEN, column="amount", max_value=10), own(BETWEEN, column="amount", min_value=1))
    parts, verdict = both(raw(amount=["0", "5", "11"]), rules)
    assert (parts.reasons, verdict) == ({"odd": 2}, Verdict((), ()))


@pytest.mark.parametrize(
    "regex", [r"^\D+$", r"^\d$", r"^\S+$", r"\W", r"\w$", "^a$", "^.+$", "^(?=a)", "(?i)^K", r"(.)\1", r"x\Z"]
)
def test_one_regex_parts_and_gates_alike_whatever_the_letters(regex: str) -> None:
    texts = ["٣", "a", "é", "a\nb", "x\u00a0y", "3", "é x", "aa", "A", "a\nA", "K", None]
    parts, verdict = both(raw(order_id=texts), recipe(own(MATCH, column="order_id", regex=regex)))
    bad = [number for number, text in enumerate(texts, start=1) if text and not re.search(regex, text)]
    assert parts.quarantined["row"].to_pylist() == bad
    assert [finding.expectation for finding in verdict.critical if finding.reason == "odd"] == []


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_parted_as_pandas_parts_them(seed: int) -> None:
    dice = random.Random(seed)
    texts: dict[str, list[Any]] = {
        "category": ["a", "b", "c", "", None],
        "item_id": ["12", "123", "x1", None],
        "amount": ["-1", "0.01", "5.5", "99.9999", "100", "250"],
    }
    columns = {name: [dice.choice(values) for _ in range(2_000)] for name, values in texts.items()}
    rules = recipe(
        own(NOT_NULL, reason="1", column="category"),
        own(IN_SET, reason="2", column="category", value_set=["a", "b"]),
        own(BETWEEN, reason="3", column="amount", min_value=0, max_value=100, strict_max=True),
        own(MATCH, reason="4", column="item_id", regex="^[0-9]+$"),
    )
    parts, verdict = both(raw(**columns), rules)
    frame = pd.DataFrame(columns).replace("", None)
    amount = frame["amount"].astype(float)
    why = pd.Series([""] * len(frame))
    checks = {
        "1": frame["category"].isna(),
        "2": frame["category"].notna() & ~frame["category"].isin(["a", "b"]),
        "3": ~((amount >= 0) & (amount < 100)),
        "4": frame["item_id"].notna() & ~frame["item_id"].map(lambda text: bool(re.search("^[0-9]+$", str(text)))),
    }
    for reason, bad in checks.items():
        why[(why == "") & bad] = reason
    found = {row["row"] - 1: row["reason"] for row in parts.quarantined.to_pylist()}
    assert found == why[why != ""].to_dict()
    assert parts.reasons == why[why != ""].value_counts().to_dict()
    assert verdict == Verdict((), ())


# Days that are gated -------------------------------------------------------------------------------------------------


ROWS = {"amount": ["1", "2.5", "30", "4"], "category": ["a", "a", "b", ""], "quantity": ["1", "3", "5", "1"]}
GATED: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # type, kwargs that hold, kwargs that do not, what is observed then
    (NOT_NULL, {"column": "category", "mostly": 0.7}, {"column": "category", "mostly": 0.8}, {"rows": 1}),
    (
        IN_SET,
        {"column": "category", "value_set": ["a", "b"], "mostly": 1},
        {"column": "category", "value_set": ["b"], "mostly": 0.9},
        {"rows": 2},
    ),
    (
        BETWEEN,
        {"column": "amount", "max_value": 30, "mostly": 0.9},
        {"column": "amount", "max_value": 29.99, "mostly": 0.9},
        {"rows": 1},
    ),
    (
        MATCH,
        {"column": "user_id", "regex": "^u", "mostly": 0.9},
        {"column": "user_id", "regex": "[01]$", "mostly": 0.9},
        {"rows": 2},
    ),
    ("expect_column_values_to_be_null", {"column": "category", "mostly": 0.25}, {"column": "category"}, {"rows": 3}),
    (
        "expect_column_values_to_not_be_in_set",
        {"column": "quantity", "value_set": [2]},
        {"column": "quantity", "value_set": [1]},
        {"rows": 2},
    ),
    (
        "expect_column_values_to_not_match_regex",
        {"column": "user_id", "regex": "x"},
        {"column": "user_id", "regex": "3"},
        {"rows": 1},
    ),
    ("expect_column_values_to_be_unique", {"column": "user_id"}, {"column": "quantity"}, {"rows": 2}),
    (
        "expect_column_value_lengths_to_be_between",
        {"column": "user_id", "max_value": 2},
        {"column": "user_id", "min_value": 3},
        {"rows": 4},
    ),
    (
        "expect_column_value_lengths_to_equal",
        {"column": "user_id", "value": 2},
        {"column": "user_id", "value": 3},
        {"rows": 4},
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "amount", "column_B": "quantity", "or_equal": True, "mostly": 0.7},
        {"column_A": "amount", "column_B": "quantity"},
        {"rows": 2},
    ),
    (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "amount", "column_B": "amount"},
        {"column_A": "amount", "column_B": "quantity"},
        {"rows": 3},
    ),
    (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["user_id", "quantity"]},
        {"column_list": ["quantity", "quantity"]},
        {"rows": 2},
    ),
    ("expect_column_min_to_be_between", {"column": "amount", "min_value": 1}, {"column": "amount", "min_value": 2}, {}),
    (
        "expect_column_max_to_be_between",
        {"column": "ordered_at", "max_value": "2026-01-01T13:00:00"},
        {"column": "ordered_at", "max_value": "2026-01-01T12:59:59.999999"},
        {},
    ),
    (
        "expect_column_mean_to_be_between",
        {"column": "amount", "min_value": 9.375, "max_value": 9.375},
        {"column": "amount", "max_value": 9.3749},
        {"mean": 9.375},
    ),
    (
        "expect_column_median_to_be_between",
        {"column": "amount", "max_value": 3.25},
        {"column": "amount", "min_value": 4},
        {"median": 3.25},
    ),
    (
        "expect_column_sum_to_be_between",
        {"column": "amount", "min_value": 37.5},
        {"column": "amount", "max_value": 37},
        {"sum": 37.5},
    ),
    (
        "expect_column_stdev_to_be_between",
        {"column": "quantity", "max_value": 2},
        {"column": "quantity", "max_value": 1},
        {"standard_deviation": 1.914854},
    ),
    (
        "expect_column_unique_value_count_to_be_between",
        {"column": "category", "max_value": 2},
        {"column": "category", "min_value": 3},
        {"unique_values": 2.0},
    ),
    (
        "expect_column_proportion_of_unique_values_to_be_between",
        {"column": "quantity", "max_value": 0.75},
        {"column": "quantity", "min_value": 0.8},
        {"share_unique": 0.75},
    ),
    (
        "expect_column_proportion_of_non_null_values_to_be_between",
        {"column": "category", "min_value": 0.75},
        {"column": "category", "min_value": 0.8},
        {"share_there": 0.75},
    ),
    (
        "expect_column_distinct_values_to_be_in_set",
        {"column": "category", "value_set": ["a", "b", "c"]},
        {"column": "category", "value_set": ["a"]},
        {},
    ),
    (
        "expect_column_distinct_values_to_contain_set",
        {"column": "quantity", "value_set": [1, 5]},
        {"column": "quantity", "value_set": [2]},
        {},
    ),
    (
        "expect_column_distinct_values_to_equal_set",
        {"column": "category", "value_set": ["b", "a"]},
        {"column": "category", "value_set": ["a", "b", "c"]},
        {},
    ),
    (
        "expect_column_most_common_value_to_be_in_set",
        {"column": "quantity", "value_set": [1]},
        {"column": "quantity", "value_set": [5]},
        {},
    ),
    ("expect_table_row_count_to_be_between", {"min_value": 4}, {"min_value": 5}, {"rows": 4.0}),
    ("expect_table_row_count_to_equal", {"value": 4}, {"value": 3}, {"rows": 4.0}),
]


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_every_known_expectation_gates_the_day_in_the_units_of_the_team(severity: str) -> None:
    assert {case[0] for case in GATED} == set(KNOWN)
    good = recipe(*(own(name, severity, str(number), **kwargs) for number, (name, kwargs, _, _) in enumerate(GATED)))
    parts, verdict = both(raw(**ROWS), good)
    assert (parts.reasons, verdict) == ({}, Verdict((), ()))
    bad = recipe(*(own(name, severity, str(number), **kwargs) for number, (name, _, kwargs, _) in enumerate(GATED)))
    parts, verdict = both(raw(**ROWS), bad)
    expected = tuple(Finding(name, str(number), seen) for number, (name, _, _, seen) in enumerate(GATED))
    assert parts.reasons == {}
    assert verdict == (Verdict(expected, ()) if severity == "critical" else Verdict((), expected))


def test_a_warning_parts_no_rows() -> None:
    rules = recipe(own(BETWEEN, "warning", column="amount", max_value=1))
    parts, verdict = both(raw(amount=["1", "2"]), rules)
    assert parts.reasons == {}
    assert verdict == Verdict((), (Finding(BETWEEN, "odd", {"rows": 1}),))


def test_of_a_day_without_rows_only_their_number_is_asked() -> None:
    rules = recipe(
        own("expect_column_mean_to_be_between", reason="mean", column="amount", min_value=1),
        own("expect_table_row_count_to_be_between", reason="few", min_value=1),
    )
    _, verdict = both(raw(amount=[]), rules)
    assert verdict == Verdict((Finding("expect_table_row_count_to_be_between", "few", {"rows": 0.0}),), ())


def test_what_is_known_is_known_to_great_expectations_with_these_kwargs() -> None:
    from great_expectations.expectations.registry import get_expectation_impl

    for name, form in KNOWN.items():
        fields = set(get_expectation_impl(name).__fields__)
        assert set(form.kwargs) <= fields, name


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            own("expect_column_values_to_be_betwen", column="amount", max_value=1),
            "there is no expectation 'expect_column_values_to_be_betwen' here; did you mean "
            "'expect_column_values_to_be_between'?",
        ),
        (own("unlike_all", column="amount"), "there is no expectation 'unlike_all' here; known here: expect_column_dist"),
        (own(BETWEEN, column="amount", max=1), f"{BETWEEN} takes no 'max'; did you mean 'max_value'?"),
        (own(BETWEEN, column="amount", row_condition="x"), f"{BETWEEN} takes no 'row_condition'; known here: column, max"),
        (own(BETWEEN, max_value=1), "it needs 'column', the name of a column"),
        (own(BETWEEN, column="amount"), f"{BETWEEN} needs min_value or max_value"),
        (own(BETWEEN, column="amonut", max_value=1), "the table has no column 'amonut'; did you mean 'amount'?"),
        (own(NOT_NULL, column="zzz"), "the table has no column 'zzz'; known here: amount, category, currency, discount"),
        (own(NOT_NULL, column=5), "the table has no column 5; known here:"),
        (own(NOT_NULL, column="unit_price"), "'unit_price' is not kept: amount is quantity × unit_price"),
        (own(BETWEEN, column="amount", max_value="10"), "max_value: '10' is no value of a column of kind number; write"),
        (own(BETWEEN, column="amount", max_value=True), "max_value: True is no value of a column of kind number"),
        (own(BETWEEN, column="ordered_at", max_value="never"), "max_value: 'never' is no value of a column of kind time"),
        (own(BETWEEN, column="ordered_at", max_value=5), "max_value: 5 is no value of a column of kind time"),
        (own(BETWEEN, column="category", max_value=1), f"{BETWEEN} cannot be about 'category', a column of kind text"),
        (own(IN_SET, column="item_id", value_set=[5]), "value_set: 5 is no value of a column of kind text; write text"),
        (own(IN_SET, column="item_id", value_set="5"), "value_set = '5' must be a list of values of the column"),
        (own(IN_SET, column="item_id", value_set=[]), "value_set = [] must be a list of values of the column"),
        (own(IN_SET, column="item_id"), f"{IN_SET} needs value_set"),
        (own(MATCH, column="item_id", regex="("), "regex = '(' must be a regular expression"),
        (own(MATCH, column="item_id", regex=5), "regex = 5 must be a regular expression"),
        (own(NOT_NULL, column="item_id", mostly=95), "mostly = 95 must be a number from 0 to 1"),
        (own(BETWEEN, column="amount", max_value=1, strict_max="yes"), "strict_max = 'yes' must be true or false"),
        (own("expect_table_row_count_to_equal", value=-1), "value = -1 must be a whole number from 0"),
        (
            own("expect_column_pair_values_to_be_equal", column_A="amount", column_B="item_id"),
            "amount (number) and item_id (text) cannot be compared; name two columns of one kind",
        ),
        (own("expect_compound_columns_to_be_unique", column_list=["amount"]), "column_list = ['amount'] must be a list of two"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_without_reading_any_data(expectation: dict[str, Any], message: str) -> None:
    rules = recipe(own(NOT_NULL, column="user_id"), expectation)
    for use in (check, lambda rules: split(raw(amount=["1"]), rules)):
        with pytest.raises(ConfigError) as caught:
            use(rules)
        assert str(caught.value).startswith(f"[[sources.orders.expectations]] number 2: {message}")


def test_every_mistake_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        check(recipe(own("a"), own(NOT_NULL, column="user_id"), own("b")))
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "[[sources.orders.expectations]] number 1",
        "[[sources.orders.expectations]] number 3",
    ]


@pytest.mark.parametrize("known", [lambda: recipe(), lambda: recipe(own(NOT_NULL, column="user_id"))])
def test_nothing_wrong_is_no_error(known: Callable[[], Recipe]) -> None:
    check(known())


def test_a_column_that_the_rows_have_not_is_a_mistake() -> None:
    rules = recipe(own(NOT_NULL, column="user_id"), own(NOT_NULL, column="discount"))
    with pytest.raises(ConfigError) as caught:
        split(raw(amount=["1"]), rules)
    assert str(caught.value) == (
        "[[sources.orders.expectations]] number 2: the rows have no column 'discount'; they have amount, ordered_at, user_id"
    )
