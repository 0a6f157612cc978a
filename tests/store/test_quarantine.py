"""Quarantined rows are kept as CSV that a spreadsheet can open: as they came, but of limited size."""

import csv
import io
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.store import quarantine
from segmentation.store.content import hash_bytes
from segmentation.store.objects import Objects
from segmentation.store.quarantine import csv_bytes, read_csv


def rows(size: int, **columns: list[str | None]) -> pa.Table:
    told = {"row": pa.array(range(1, size + 1), pa.int64()), "reason": ["odd"] * size, "file": ["f.csv"] * size}
    return pa.table(told | {name: pa.array(values, pa.string()) for name, values in columns.items()})


def test_file_row_and_reason_come_first() -> None:
    data = csv_bytes(rows(2, line=["a,b", None], user_id=["", "ü"]))
    assert data.decode() == '"file","row","reason","line","user_id"\n"f.csv",1,"odd","a,b",""\n"f.csv",2,"odd",,"ü"\n'


def test_the_object_is_named_by_its_bytes(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    key, kept = quarantine.put(objects, "quarantine/orders/date=2026-01-01", rows(1, user_id=["u"]))
    assert key is not None
    data = objects.get(key)
    assert (kept, key) == (1, f"quarantine/orders/date=2026-01-01/{hash_bytes(data)}.csv")
    assert read_csv(data).to_pylist() == [{"file": "f.csv", "row": 1, "reason": "odd", "user_id": "u"}]
    assert quarantine.put(objects, "quarantine/orders", rows(0)) == (None, 0)
    assert len(objects.keys("quarantine")) == 1


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ['"', "\r\n", "a\x00b", ",", "\ufeff"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT), min_size=1, max_size=8))
def test_every_value_can_be_read_again(values: list[tuple[str | None, str | None]]) -> None:
    left, right = (list(column) for column in zip(*values, strict=True))
    table = rows(len(values), one=left, **{'two, or "more"': right})
    data = csv_bytes(table)
    assert read_csv(data).equals(table.select(["file", "row", "reason", "one", 'two, or "more"']))
    read = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert [row[3] for row in read[1:]] == [value or "" for value in left]


def test_of_each_file_and_reason_the_first_thousand_are_written(tmp_path: Path) -> None:
    size = 6_000
    table = pa.table(
        {
            "row": pa.array(range(size), pa.int64()),
            "reason": ["rare" if number % 10 == 0 else "odd" for number in range(size)],
            "file": [f"{number % 2}.csv" for number in range(size)],
        }
    )
    key, kept = quarantine.put(Objects(tmp_path), "quarantine/orders", table)
    found = read_csv(Objects(tmp_path).get(str(key)))
    counted = Counter((row["file"], row["reason"]) for row in found.to_pylist())
    assert counted == {("0.csv", "odd"): 1_000, ("1.csv", "odd"): 1_000, ("0.csv", "rare"): 600}
    assert kept == found.num_rows == 2_600
    assert found["row"].to_pylist() == sorted(found["row"].to_pylist())
    odd = [row["row"] for row in found.to_pylist() if (row["file"], row["reason"]) == ("1.csv", "odd")]
    assert odd == [number for number in range(size) if number % 2 and number % 10][:1_000]


@pytest.mark.parametrize("letter", ["x", "界"])
def test_a_line_of_a_megabyte_is_cut(letter: str) -> None:
    data = csv_bytes(rows(2, line=[letter * 1_000_000, letter * 1_000]))
    assert read_csv(data)["line"].to_pylist() == [letter * 1_000 + "… (1000000 characters)", letter * 1_000]
