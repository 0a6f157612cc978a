"""Every line of a file of JSON lines is a record or a malformed line."""

import gzip
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.errors import ConfigError, DataContractError
from segmentation.sources import json_lines
from segmentation.sources.json_lines import KEY_TWICE, NESTED, NO_JSON, NO_TEXT, JsonRecords
from segmentation.sources.source_file import JSON_LINES, SourceFile

ABC = {"user_id": "a", "ordered_at": "b", "order_id": "c"}


def read(
    path: Path, data: bytes | str, columns: dict[str, str] = ABC, encoding: str = "utf-8"
) -> list[tuple[Any, ...]]:
    """The records in order: (row, reason, line, values of the columns that the file has)."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
    records = JsonRecords(SourceFile(path.name, JSON_LINES, (path,)), "orders", columns, {"encoding": encoding})
    rows = pa.concat_tables([*records, records.schema.empty_table()]).sort_by("row").to_pylist()
    return [(row["row"], row["reason"], row["line"], *(row[name] for name in records.columns)) for row in rows]


def good(*records: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [(number, None, None, *record) for number, record in enumerate(records, start=1)]


@pytest.mark.parametrize(
    "data",
    [
        '{"a": "1", "b": "x y", "c": 3}\n{"a": 4, "c": 6}\n',
        '{"a":"1","b":"x y","c":3}\r\n{"a":4,"b":null,"c":6}',
        '\ufeff{"a": "1", "b": "x y", "c": 3}\n{"a": 4, "b": "", "c": 6}\n',
        '\n\r\n {"c": 3, "b": "x y", "d": [{}], "a": "1"} \n\n\t\n{"c": "6", "a": "4"}\n\n',
        '{"\\u0061": "\\u0031", "b": "x\\u0020y", "c": 3}\r{"a": 4, "c": 6}\r',
    ],
)
def test_the_same_records_in_many_spellings(tmp_path: Path, data: str) -> None:
    assert read(tmp_path / "x.jsonl", data) == good(("1", "x y", "3"), ("4", None, "6"))


def test_values_are_kept_as_they_are_written(tmp_path: Path) -> None:
    written = ["17850.0", "1e3", "-0", "9007199254740993", "1.10", "123456789012345678901234567890", "NaN", "-Infinity"]
    lines = "".join(f'{{"a": {text}, "b": true, "c": false}}\n' for text in written)
    assert read(tmp_path / "x.jsonl", lines) == good(*((text, "true", "false") for text in written))


def test_text_is_kept_as_it_is(tmp_path: Path) -> None:
    texts = [" é ", 'say "hi"', "two\nlines", "\u2028", "\0", "😀", "null", "\ufeff"]
    lines = "".join(json.dumps({"a": text, "b": text}, ensure_ascii=bool(n % 2)) + "\n" for n, text in enumerate(texts))
    assert read(tmp_path / "x.jsonl", lines, {"user_id": "a", "ordered_at": "b"}) == good(*((t, t) for t in texts))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", NO_JSON),
        ('{"a": 1', NO_JSON),
        ('{"a": 1} {"a": 2}', NO_JSON),
        ('{"a": 1},', NO_JSON),
        ("{'a': 1}", NO_JSON),
        ("[1]", NO_JSON),
        ("7", NO_JSON),
        ("null", NO_JSON),
        ("a,b,c", NO_JSON),
        ("[" * 100_000, NO_JSON),
        ('{"a": "x\ty"}', NO_JSON),
        ('{"a": 1, "b": 2, "a": 3}', KEY_TWICE),
        ('{"a": {"id": 1}}', NESTED.format("user_id")),
        ('{"a": 1, "c": []}', NESTED.format("order_id")),
        ('{"a": "\\ud800"}', NO_TEXT.format("user_id")),
        ('{"a": "' + "x" * 1_000_000 + '"', NO_JSON),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_a_broken_line_is_kept_with_its_reason_and_costs_only_itself(
    tmp_path: Path, line: str, reason: str, block: int
) -> None:
    fine = '{"a": 1, "b": 2, "c": 3}'
    with mock.patch.object(json_lines, "BLOCK", block):
        found = read(tmp_path / "x.jsonl", f"{fine}\n{line}\n{fine}\n")
    assert found == [
        (1, None, None, "1", "2", "3"),
        (2, reason, line, None, None, None),
        (3, None, None, "1", "2", "3"),
    ]


def test_what_is_in_an_object_is_named_by_the_keys_that_lead_to_it(tmp_path: Path) -> None:
    lines = '{"a": {"id": {"n": 1}}, "b": 2, "c.d": 3}\n{"a": {"id": 4}, "b": 5}\n{"a": [6], "b": 7}\n'
    mapping = {"user_id": "a.id.n", "ordered_at": "b", "order_id": "c.d"}
    assert read(tmp_path / "x.jsonl", lines, mapping) == good(("1", "2", "3"), (None, "5", None), (None, "7", None))


def test_what_is_nested_but_not_asked_for_is_no_matter(tmp_path: Path) -> None:
    assert read(tmp_path / "x.jsonl", '{"a": 1, "b": 2, "c": 3, "d": {"a": [1]}}') == good(("1", "2", "3"))


# Columns


def test_a_column_that_comes_late_is_not_lost(tmp_path: Path) -> None:
    lines = ['{"user_id": 1, "ordered_at": 2}\n'] * 5000
    lines += ['{"user_id": 1, "ordered_at": 2, "amount": 3}\n']
    with mock.patch.object(json_lines, "BLOCK", 100):
        found = read(tmp_path / "x.jsonl", "".join(lines), {})
    assert found[-1] == (5001, None, None, "1", "2", "3")
    assert found[0] == (1, None, None, "1", "2", None)


def test_the_columns_are_those_that_some_line_has(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1, "b": 2, "quantity": null}\n{"c": 3}\n')
    records = JsonRecords(SourceFile("x", JSON_LINES, (path,)), "orders", ABC, {"encoding": "utf-8"})
    list(records)
    assert records.columns == ("user_id", "ordered_at", "order_id", "quantity")


@pytest.mark.parametrize(
    ("columns", "missing"),
    [(ABC, "'c'"), ({"ordered_at": "b"}, "'user_id'"), ({"user_id": "A", "ordered_at": "b"}, "'A'")],
)
def test_a_column_that_no_line_has_is_named_with_those_that_are_there(
    tmp_path: Path, columns: dict[str, str], missing: str
) -> None:
    with pytest.raises(DataContractError, match=rf"^x\.jsonl has no column {missing}.*its columns are: a, b, d\."):
        read(tmp_path / "x.jsonl", '{"a": 1, "b": 2}\n{"d": 3}\n', columns)


def test_users_may_have_attributes_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"user_id": 1, "Plan": "gold", "age": 30}\n')
    records = JsonRecords(SourceFile("x", JSON_LINES, (path,)), "users", {"plan": "Plan"}, {"encoding": "utf-8"})
    assert pa.concat_tables(records).select(["user_id", "plan"]).to_pylist() == [{"user_id": "1", "plan": "gold"}]
    assert records.columns == ("user_id", "plan")


@pytest.mark.parametrize("data", ["", "\n \n", "\ufeff"])
def test_a_file_without_lines_has_no_records(tmp_path: Path, data: str) -> None:
    assert read(tmp_path / "x.jsonl", data) == []


# Files


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1", "cp1252", "shift_jis", "utf-8-sig"])
def test_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    text = "カ" if encoding == "shift_jis" else "é"
    found = read(tmp_path / "x.jsonl", f'{{"a": "{text}", "b": 1, "c": 2}}\n', encoding=encoding)
    assert found == good((text, "1", "2"))


def test_gzip_is_read(tmp_path: Path) -> None:
    data = gzip.compress(b'{"a": 1, "b": 2, "c": 3}\n', mtime=0)
    assert read(tmp_path / "x.jsonl.gz", data) == good(("1", "2", "3"))


PACKED = gzip.compress(b'{"a": 1, "b": 2, "c": 3}\n' * 10_000, mtime=0)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.jsonl", b'{"a": "\xe9"}\n', "is not utf-8 text"),
        ("x.jsonl", PACKED, "is not utf-8 text"),
        ("x.jsonl", b"a,b,c\n1,2,3\n", "has no line that is a JSON object.*its first line is 'a,b,c'"),
        ("x.jsonl", b'[{"a": 1, "b": 2, "c": 3}]', "has no line that is a JSON object"),
        ("x.jsonl", b"\0\0\0\n", "has no line that is a JSON object"),
        ("x.jsonl.gz", PACKED[: len(PACKED) // 2], "cannot be read"),
        ("x.jsonl.gz", b'{"a": 1}', "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_cause(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    with pytest.raises(DataContractError, match=rf"(?s)^{name} .*{says}"):
        read(tmp_path / name, data)


def test_an_encoding_that_is_not_one_of_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("{}")
    records = JsonRecords(SourceFile("x", JSON_LINES, (path,)), "orders", ABC, {"encoding": "base64"})
    with pytest.raises(ConfigError, match=r"\[sources\.orders\.options\] encoding = 'base64' is not one of text"):
        list(records)


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([1]) | st.just({"a": 1})
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES) | st.sampled_from(["{", "", "1"])), st.integers(1, 60))
def test_every_line_is_counted_once(tmp_path_factory: Any, lines: list[Any], block: int) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    whole = json.dumps({"a": 1, "b": 2, "c": 3})
    with mock.patch.object(json_lines, "BLOCK", block):
        found = read(tmp_path_factory.getbasetemp() / "x.jsonl", "\n".join([*texts, whole]))
    kept = [text for text in [*texts, whole] if text]
    assert [row for row, *_ in found] == list(range(1, len(kept) + 1))
    for text, (_, reason, line, *values) in zip(kept, found, strict=True):
        record = json.loads(text) if text != "{" else None
        flat = isinstance(record, dict) and not any(isinstance(record.get(name), list | dict) for name in "abc")
        assert (reason is None) == flat
        assert line == (None if flat else text)
        if flat:
            assert [value is None for value in values] == [record.get(name) in (None, "") for name in "abc"]
