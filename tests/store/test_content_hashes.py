"""Equal content has an equal hash, however it is laid out; any change of the content changes the hash."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from segmentation.errors import StoreError
from segmentation.store.content import (
    MONEY,
    canonical_json,
    hash_bytes,
    hash_json,
    hash_table,
    money,
    money_units,
    parquet_bytes,
    read_parquet,
    seal,
    unseal,
)

KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), st.text(max_size=4)),
    "whole": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(-1e6, 1e6).map(lambda x: round(x, 6)) | st.just(-0.0)),
    "money": (MONEY, st.integers(-(10**18) + 1, 10**18 - 1).map(lambda n: Decimal(n).scaleb(-4))),
    "day": (pa.date32(), st.dates()),
    "flag": (pa.bool_(), st.booleans()),
    "time": (
        pa.timestamp("us", tz="UTC"),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),  # noqa: DTZ001
    ),
}
ROW = st.fixed_dictionaries({name: st.none() | values for name, (_, values) in KINDS.items()})


@st.composite
def rows_with_keys(draw: st.DrawFn) -> list[dict[str, Any]]:
    keys = draw(st.lists(st.text(max_size=3), min_size=1, max_size=6, unique=True))
    return [{"key": key, **draw(ROW)} for key in keys]


def built(rows: list[dict[str, Any]], names: list[str] | None = None) -> pa.Table:
    kinds = {"key": pa.string(), **{name: kind for name, (kind, _) in KINDS.items()}}
    names = names or list(kinds)
    return pa.table({name: pa.array([row[name] for row in rows], kinds[name]) for name in names})


def same(one: Any, other: Any) -> bool:
    return bool(one == other) and (one is None) == (other is None)


@settings(max_examples=60, deadline=None)
@given(rows_with_keys(), st.data())
def test_the_layout_does_not_count(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    expected = hash_table(built(rows), ["key"])
    shuffled = data.draw(st.permutations(rows))
    names = data.draw(st.permutations(["key", *KINDS]))
    table = built(shuffled, names)
    assert hash_table(table, ["key"]) == expected
    cut = data.draw(st.integers(0, len(rows)))
    assert hash_table(pa.concat_tables([table.slice(0, cut), table.slice(cut)]), ["key"]) == expected
    assert hash_table(read_parquet(parquet_bytes(table)), ["key"]) == expected
    padded = pa.concat_tables([table, table]).slice(len(rows), len(rows))  # arrays with an offset
    assert hash_table(padded, ["key"]) == expected
    assert hash_table(pa.concat_tables([table, table]).combine_chunks().slice(len(rows)), ["key"]) == expected


@settings(max_examples=150, deadline=None)
@given(rows_with_keys(), st.data())
def test_any_changed_value_changes_the_hash(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    before = hash_table(built(rows), ["key"])
    position = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(list(KINDS)))
    value = data.draw(st.none() | KINDS[name][1])
    assume(not same(value, rows[position][name]))
    changed = [dict(row) for row in rows]
    changed[position][name] = value
    assert hash_table(built(changed), ["key"]) != before


@settings(max_examples=60, deadline=None)
@given(rows_with_keys(), st.data())
def test_a_row_more_or_less_and_values_swapped_between_rows_change_the_hash(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    before = hash_table(built(rows), ["key"])
    assert hash_table(built(rows[1:]), ["key"]) != before
    assert hash_table(built([*rows, {**rows[0], "key": rows[0]["key"] + "x" * 4}]), ["key"]) != before
    if len(rows) > 1:
        name = data.draw(st.sampled_from(list(KINDS)))
        assume(not same(rows[0][name], rows[1][name]))
        changed = [dict(row) for row in rows]
        changed[0][name], changed[1][name] = rows[1][name], rows[0][name]
        assert hash_table(built(changed), ["key"]) != before


def one(values: list[Any], kind: pa.DataType | None = None, name: str = "x") -> str:
    table = pa.table({"key": list(range(len(values))), name: pa.array(values, kind)})
    return hash_table(table, ["key"])


def test_minus_nought_is_nought_and_nan_is_null() -> None:
    assert one([-0.0, 1.0]) == one([0.0, 1.0]) == one([-4e-7, 1.0])
    assert one([math.nan, 1.0]) == one([None, 1.0]) != one([0.0, 1.0])


def test_a_null_is_apart_from_every_value() -> None:
    assert one([None], pa.string()) != one([""], pa.string())
    assert one([None], pa.int64()) != one([0], pa.int64())
    assert one([None], MONEY) != one([Decimal(0)], MONEY)
    assert one([None], pa.date32()) != one([date(1970, 1, 1)], pa.date32())
    assert one([None], pa.bool_()) != one([False], pa.bool_())
    assert one([None, "a"], pa.string()) != one(["a", None], pa.string())


def test_floats_count_to_the_sixth_digit() -> None:
    assert one([1.0000004]) == one([1.0])
    assert one([1.000001]) != one([1.0])


def test_columns_of_other_names_or_kinds_are_other_content() -> None:
    assert one([1], name="x") != one([1], name="y")
    hashes = [
        one([0], pa.int64()),
        one([0.0], pa.float64()),
        one(["0"], pa.string()),
        one([Decimal(0)], MONEY),
        one([date(1970, 1, 1)], pa.date32()),
        one([datetime(1970, 1, 1, tzinfo=UTC)], pa.timestamp("us", tz="UTC")),
    ]
    assert len(set(hashes)) == len(hashes)


def test_text_cannot_run_over_into_the_next_row() -> None:
    assert one(["ab", "c"]) != one(["a", "bc"]) != one(["abc", ""])
    assert one(["\u00e9"]) != one(["e\u0301"])  # looks alike, is another id


@pytest.mark.parametrize(
    ("one_way", "other_way"),
    [
        (pa.array(["a", "b"], pa.string()), pa.array(["a", "b"], pa.large_string())),
        (pa.array(["a", "b"], pa.string()), pa.array(["a", "b"]).dictionary_encode()),
        (pa.array([1, 2], pa.int64()), pa.array([1, 2], pa.int32())),
        (pa.array([1.5, None], pa.float64()), pa.array([1.5, None], pa.float32())),
        (pa.array([Decimal("1.5")], MONEY), pa.array([Decimal("1.50")], pa.decimal128(10, 2))),
    ],
)
def test_how_a_value_is_stored_does_not_count(one_way: pa.Array, other_way: pa.Array) -> None:
    keys = list(range(len(one_way)))
    hashes = {hash_table(pa.table({"key": keys, "x": column}), ["key"]) for column in (one_way, other_way)}
    assert len(hashes) == 1


def test_a_multiset_of_rows_counts_how_often_each_is_there() -> None:
    rows = pa.table({"user": ["a", "a", "b"], "amount": [1, 1, 2]})
    names = rows.column_names
    assert hash_table(rows, names) == hash_table(rows.take([2, 0, 1]), names)
    assert hash_table(rows, names) != hash_table(rows.take([0, 2]), names)
    assert hash_table(rows, names) != hash_table(rows.take([0, 2, 2]), names)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 9.1e12, -1e13, 1e300])
def test_a_float_that_the_hash_cannot_hold_is_refused_not_confused_with_another(value: float) -> None:
    with pytest.raises(StoreError, match="column 'x' holds"):
        one([value, 1.0])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**18) + 1, 10**18 - 1), max_size=20))
def test_money_goes_there_and_back(units: list[int]) -> None:
    column = money(np.array(units, dtype=np.int64))
    assert column.type == MONEY
    assert column.to_pylist() == [Decimal(n).scaleb(-4) for n in units]
    assert money_units(column).tolist() == units
    assert money_units(pa.chunked_array([column, column.slice(1)])).tolist() == [*units, *units[1:]]


def test_money_without_a_value_counts_as_nought_in_sums() -> None:
    assert money_units(pa.array([None, Decimal("0.0001")], MONEY)).tolist() == [0, 1]


# Seals --------------------------------------------------------------------------------------------------------------

DOCUMENT = {
    "name": 'naïve "quotes" \\ and \n lines',
    "number": -12.5,
    "big": 12345678901234567890,
    "empty": [{}, [], "", None, True, False],
    "nested": {"b": [1, 2.25e-7, 1e22], "a": {"day": "2024-02-29"}},
    "seal": "whatever stood here",
}


def test_a_sealed_document_comes_back() -> None:
    data = seal(DOCUMENT)
    assert unseal(data, "here") == {key: value for key, value in DOCUMENT.items() if key != "seal"}
    assert seal(unseal(data, "here")) == data


def test_every_flipped_bit_of_a_sealed_document_is_found() -> None:
    data = seal(DOCUMENT)
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(StoreError, match="log/7 is damaged"):
                unseal(bytes(damaged), "log/7")


def test_every_cut_and_every_lost_or_doubled_byte_is_found() -> None:
    data = seal(DOCUMENT)
    for position in range(len(data)):
        for damaged in (
            data[:position],
            data[:position] + data[position + 1 :],
            data[: position + 1] + data[position:],
        ):
            if damaged != data:
                with pytest.raises(StoreError, match="is damaged"):
                    unseal(damaged, "x")


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b'"seal"', b"{}", b'{"seal":null}', b"\xff\xfe{\0}\0", b"[" * 100_000, b"1" * 5000, b"NaN"],
)
def test_what_is_no_sealed_document_at_all_is_said_to_be_damaged(data: bytes) -> None:
    with pytest.raises(StoreError, match="there is damaged"):
        unseal(data, "there")


def test_equal_documents_have_one_spelling() -> None:
    one_way = {"b": [1, {"d": 1, "c": None}], "a": "é"}
    other_way = {"a": "é", "b": [1, {"c": None, "d": 1}]}
    assert canonical_json(one_way) == canonical_json(other_way) == '{"a":"é","b":[1,{"c":null,"d":1}]}'.encode()
    assert hash_json(one_way) == hash_bytes(canonical_json(other_way))
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"x": math.nan})


def test_equal_tables_give_equal_bytes_whatever_their_metadata() -> None:
    table = pa.table({"x": [1, 2, 3], "day": [date(2024, 1, 1) + timedelta(days=n) for n in range(3)]})
    described = table.replace_schema_metadata({"pandas": "something"})
    assert parquet_bytes(described) == parquet_bytes(table)
