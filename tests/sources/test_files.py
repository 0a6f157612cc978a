"""What a source's files are, and every line of a CSV file as a record or as a malformed line."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.errors import DataContractError
from segmentation.sources import files
from segmentation.sources.files import (
    BROKEN_QUOTES,
    TOO_FEW,
    TOO_MANY,
    CsvRecords,
    parquet_records,
    resolve,
)
from segmentation.sources.source_file import CSV, PARQUET, SourceFile

OPTIONS = {"delimiter": None, "encoding": "utf-8", "header": True}
ABC = {"user_id": "a", "ordered_at": "b", "order_id": "c"}


def read(path: Path, data: bytes, columns: dict[str, str] = ABC, **options: Any) -> list[tuple[Any, ...]]:
    """The records of a CSV file in order: (row, reason, line, values of the columns)."""
    path.write_bytes(data)
    records = CsvRecords(SourceFile(path.name, CSV, (path,)), "orders", columns, OPTIONS | options)
    rows = pa.concat_tables(records).sort_by("row").to_pylist()
    return [(row["row"], row["reason"], row["line"], *(row[name] for name in records.columns)) for row in rows]


def good(*records: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [(number, None, None, *record) for number, record in enumerate(records, start=1)]


# Which columns


def test_a_column_that_is_not_mapped_is_found_under_its_canonical_name() -> None:
    assert resolve("f", ["amount", "at", "user_id"], "orders", {"ordered_at": "at"}) == {
        "user_id": 2,
        "ordered_at": 1,
        "amount": 0,
    }


@pytest.mark.parametrize(
    ("columns", "missing", "setting"),
    [
        ({"user_id": "CustomerId", "ordered_at": "InvoiceDate"}, "'CustomerId'", "user_id"),
        ({"ordered_at": "InvoiceDate"}, "'user_id'", "user_id"),
        ({"user_id": "CustomerID"}, "'ordered_at'", "ordered_at"),
        ({"user_id": "CustomerID", "ordered_at": "InvoiceDate", "amount": "Total"}, "'Total'", "amount"),
    ],
)
def test_a_missing_column_is_named_with_the_columns_that_are_there(
    columns: dict[str, str], missing: str, setting: str
) -> None:
    with pytest.raises(DataContractError) as error:
        resolve("may.csv", ["CustomerID", "InvoiceDate", "Price"], "orders", columns)
    text = str(error.value)
    assert text.startswith(f"may.csv has no column {missing}")
    assert "its columns are: CustomerID, InvoiceDate, Price" in text
    assert f"[sources.orders.columns] {setting}" in text


def test_the_nearest_column_is_proposed() -> None:
    with pytest.raises(DataContractError, match="did you mean 'CustomerID'"):
        resolve("f", ["CustomerID", "at"], "orders", {"user_id": "CustomerId", "ordered_at": "at"})


def test_all_missing_columns_are_named_at_once() -> None:
    with pytest.raises(DataContractError) as error:
        resolve("f", ["CustomerID", "at"], "orders", {"user_id": "CustomerId", "ordered_at": "when", "amount": "Total"})
    assert str(error.value) == (
        "f has no column 'CustomerId' (did you mean 'CustomerID'?), nor 'when', nor 'Total'; its columns are: CustomerID, at. "
        "Set [sources.orders.columns] user_id and ordered_at and amount to the right ones"
    )


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataContractError, match=r"x\.csv has 2 columns 'a'"):
        read(tmp_path / "x.csv", b"a,b,a,c\n")


def test_columns_that_differ_in_case_only_are_told_apart(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv", b"A,a,b,c\n1,2,3,4\n") == good(("2", "3", "4"))


def test_parquet_columns_that_differ_in_case_only_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"A": [1], "a": [2], "b": [3], "c": [4]}), path)
    query, columns = parquet_records(SourceFile("x", PARQUET, (path,)), "orders", ABC)
    assert columns == ("user_id", "ordered_at", "order_id")
    assert pa.table(_run(query)).to_pylist() == [{"row": 1, "user_id": 2, "ordered_at": 3, "order_id": 4}]


def _run(query: str) -> pa.Table:
    import duckdb

    return duckdb.connect().sql(query).to_arrow_table()


# CSV


@pytest.mark.parametrize(
    "data",
    [
        b"a,b,c\n1,x y,3\n4,,6\n",
        b"a,b,c\r\n1,x y,3\r\n4,,6",
        b"a,b,c\r1,x y,3\r4,,6\r",
        b"a,b,c\n1,x y,3\r\n4,,6\n",
        b"\xef\xbb\xbfa,b,c\n1,x y,3\n4,,6\n",
        b"\n\r\na,b,c\n\n1,x y,3\n\n\n4,,6\n\n",
        b"a;b;c\n1;x y;3\n4;;6\n",
        b"a\tb\tc\n1\tx y\t3\n4\t\t6\n",
        b"a|b|c\n1|x y|3\n4||6\n",
        b'"a","b","c"\n"1","x y","3"\n"4","","6"\n',
        b" a , b,c \n1,x y,3\n4,,6\n",
        b'd,a,b,c\n"multi\nline",1,x y,3\n,4,"",6\n',
    ],
)
def test_the_same_records_in_many_spellings(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path / "x.csv", data) == good(("1", "x y", "3"), ("4", None, "6"))


def test_text_is_kept_as_it_is(tmp_path: Path) -> None:
    data = 'a,b,c\n 17850.0 ,"say ""hi"", é",4" plate\n#,"\n",\'x\'\n'.encode()
    assert read(tmp_path / "x.csv", data) == good((" 17850.0 ", 'say "hi", é', '4" plate'), ("#", "\n", "'x'"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7,8", TOO_FEW),
        ("7,8,9,10", TOO_MANY),
        ('7,"8"x,9', BROKEN_QUOTES),
        ('7,"8,9', BROKEN_QUOTES),
        ('"7,8,9', BROKEN_QUOTES),
        ("x", TOO_FEW),
    ],
)
@pytest.mark.parametrize("after", ["", '4,"5",6\n'])
def test_a_malformed_line_is_kept_with_its_reason_and_costs_no_other_line(
    tmp_path: Path, line: str, reason: str, after: str
) -> None:
    found = read(tmp_path / "x.csv", f"a,b,c\n1,2,3\n{line}\n1,2,3\n{after}".encode())
    rest = [(3, None, None, "1", "2", "3"), *([(4, None, None, "4", "5", "6")] if after else [])]
    assert found == [(1, None, None, "1", "2", "3"), (2, reason, line, None, None, None), *rest]


def test_an_unclosed_quote_in_a_large_file_costs_one_line(tmp_path: Path) -> None:
    lines = [f"user{number},y,{number}\n" for number in range(60_000)]
    lines[1000] = 'u,"broken,3\n'
    found = read(tmp_path / "x.csv", "".join(["a,b,c\n", *lines]).encode())
    assert len(found) == 60_000
    assert [row for row in found if row[1]] == [(1001, BROKEN_QUOTES, 'u,"broken,3', None, None, None)]
    assert found[-1] == (60_000, None, None, "user59999", "y", "59999")


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6) | st.sampled_from(
    ['"', "a,b", "x\ny", "\r\n", '""', "; ;"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_a_csv_writer_writes_is_read_back(tmp_path_factory: Any, rows: Any, end: str, all_quoted: bool) -> None:
    rows = [row for row in rows if row != ["", "", ""]]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL)
    writer.writerows([["a", "b", "c"], *rows])
    found = read(tmp_path_factory.getbasetemp() / "written.csv", text.getvalue().encode())
    assert found == good(*(tuple(cell or None for cell in row) for row in rows))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["1,2,3", "1,2", "1,2,3,4", '1,"2,3', '1,"2",3', '"1"x,2,3', '1,"2,\n3",4', "", "é,,"]))
)
def test_every_line_is_counted_once_whatever_is_broken(tmp_path_factory: Any, lines: list[str]) -> None:
    data = "\n".join(["a,b,c", *lines])
    found = read(tmp_path_factory.getbasetemp() / "broken.csv", data.encode())
    physical = [line for line in data.split("\n")[1:] if line]
    several = sum(value.count("\n") for row in found for value in row[3:] if value)
    assert len(found) + several == len(physical)
    assert [row[0] for row in found] == list(range(1, len(found) + 1))


def one_at_a_time(text: str, delimiter: str) -> list[tuple[Any, ...]]:
    """The records of the text in the plainest way: a broken line is taken off, and the next one begins a record."""
    lines, found = list(io.StringIO(text, newline="")), []
    while lines:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            fields = next(reader)
        except csv.Error:
            fields, reason = [], BROKEN_QUOTES
        else:
            reason = None if len(fields) == 3 else TOO_FEW if len(fields) < 3 else TOO_MANY
        if lines[0].strip("\r\n"):
            line = lines[0].rstrip("\r\n")
            found.append(
                (None, None, *(value or None for value in fields)) if reason is None else (reason, line, *[None] * 3)
            )
        del lines[: 1 if reason else reader.line_num]
    return [(number, *record) for number, record in enumerate(found, start=1)]


FIELDS = st.sampled_from(
    ["", "a", "é", "\ufeff", '""', '"a"', '"a,b"', '"a\nb"', '"a\r\n\r\nb"', '"a""b"', '""""', 'a"b', '"a']
)
LINES = st.lists(FIELDS, min_size=1, max_size=4).map(",".join) | st.lists(FIELDS, min_size=3, max_size=3).map(",".join)
TEXTS = st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\r\n"]))).map(
    lambda lines: "".join(line + end for line, end in lines)
)
NOISE = st.lists(st.sampled_from(["a", "é", ",", ",", '"', '"', '","', "\n", "\r", "\r\n", "\ufeff"]), max_size=40).map(
    "".join
)


@settings(max_examples=300, deadline=None)
@given(
    TEXTS | NOISE,
    st.integers(1, 40),
    st.sampled_from([",", ";", " "]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_lines_give_the_same_records_one_by_one_and_in_blocks_of_any_size(
    tmp_path_factory: Any, text: str, block: int, delimiter: str, header: bool, encoding: str
) -> None:
    text = text.replace(",", delimiter)
    path = tmp_path_factory.getbasetemp() / "blocks.csv"
    columns = ABC if header else {"user_id": "column0", "ordered_at": "column1", "order_id": "column2"}
    first = delimiter.join("abc") + "\n"
    with mock.patch.object(files, "BLOCK", block):
        found = read(
            path, (first + text).encode(encoding), columns, delimiter=delimiter, header=header, encoding=encoding
        )
    assert found == one_at_a_time(text if header else first + text, delimiter)


def test_without_a_header_columns_are_named_by_their_place(tmp_path: Path) -> None:
    columns = {"user_id": "column0", "ordered_at": "column2"}
    assert read(tmp_path / "x.csv", b"1,2,3\n4,5,6\n", columns, header=False) == good(("1", "3"), ("4", "6"))


def test_a_given_delimiter_is_used(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv", b"a~b~c\n1,1~2~3\n", delimiter="~") == good(("1,1", "2", "3"))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    data = "a,b,c\n1,é,3\n".encode(encoding)
    assert read(tmp_path / "x.csv", data, encoding=encoding) == good(("1", "é", "3"))


def test_gzip_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv.gz", gzip.compress(b"a,b,c\n1,2,3\n", mtime=0)) == good(("1", "2", "3"))


def test_a_file_with_only_a_header_has_no_records(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv", b"a,b,c") == []


PACKED = gzip.compress(b"a,b,c\n" + b"1,2,3\n" * 10_000, mtime=0)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.csv", b"", "is empty"),
        ("x.csv", b"\n\n", "is empty"),
        ("x.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("x.csv", b"a,b,c\n1,2,3\n4,\xe9,6\n", "is not utf-8 text"),
        ("x.csv", b"a,b,c\n" + b"1,2,3\n" * 60_000 + b"4,\xe9,6\n", "is not utf-8 text"),
        ("x.csv", "a,b,c\n".encode("utf-16"), "is not utf-8 text"),
        ("x.csv", "a,b,c\n".encode("utf-16-le"), "is not utf-8 text"),
        ("x.csv", PACKED, "is not utf-8 text"),
        ("x.csv", b'"a,b,c\n1,2,3\n', "first line has broken quotes"),
        ("x.csv.gz", PACKED[: len(PACKED) // 2], "cannot be read"),
        ("x.csv.gz", PACKED[:-4] + b"\0\0\0\0", "cannot be read"),
        ("x.csv.gz", b"a,b,c\n1,2,3\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_cause(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    with pytest.raises(DataContractError, match=rf"^{name} .*{says}"):
        read(tmp_path / name, data)


@pytest.mark.parametrize("data", [b"", b"a,b,c\n1,2,3\n", b"PAR1 and more PAR1"])
def test_a_file_that_is_not_parquet_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    with pytest.raises(DataContractError, match=r"^x\.parquet cannot be read"):
        parquet_records(SourceFile(path.name, PARQUET, (path,)), "orders", ABC)
