"""Which files a query over files reads; its rows; and that it reads nothing else and gives the same rows each time."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError
from segmentation.features.engine import THREADS
from segmentation.sources import queries, slices
from segmentation.sources.slices import FileIndex, read_day
from segmentation.store.objects import Objects

DAY = date(2026, 1, 1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "sh'op [1] é"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a.csv").write_text("order_id,user_id,ordered_at\n1,u1,2026-01-01 10:00\n2,u2,2026-01-02\n")
    (folder / "in" / "b.csv").write_text("order_id,user_id,ordered_at\n3,u1,2026-01-01\n")
    pq.write_table(pa.table({"order_id": [1, 1, 3], "amount": [1.5, 2.25, 4.0]}), folder / "lines.parquet")
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(b'{"order_id": 3, "u": "u1", "at": "2026-01-01"}\n', mtime=0))
    return folder


def paths(root: Path, sql: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in queries.paths(sql, "orders", root)]


def index(root: Path, sql: str, **source: Any) -> tuple[Objects, tuple[FileIndex, ...]]:
    objects = Objects(root.parent / "store")
    config = Config(root=root, sources={"orders": {"sql": sql, **source}})
    return objects, slices.index(objects, config, "orders", config.recipe())


# Which files


@pytest.mark.parametrize(
    ("sql", "files"),
    [
        ("FROM 'in/a.csv'", ["in/a.csv"]),
        ("FROM 'in/*.csv'", ["in/a.csv", "in/b.csv"]),
        ("SELECT * FROM \"in/a.csv\" AS o JOIN 'lines.parquet' USING (order_id);", ["in/a.csv", "lines.parquet"]),
        ("SELECT * FROM read_csv('in/*.csv', header = true, nullstr = 'lines.parquet')", ["in/a.csv", "in/b.csv"]),
        ("FROM READ_CSV_AUTO(['in/b.csv', 'in/a.csv'])", ["in/a.csv", "in/b.csv"]),
        ("WITH o AS (FROM read_json('c.jsonl.gz')) FROM o WHERE 1 IN (FROM parquet_scan('*.parquet'))",
         ["c.jsonl.gz", "lines.parquet"]),
        ("SELECT 'é', 'in/b.csv' FROM 'in/a.csv' UNION ALL SELECT (SELECT max(x) FROM '**/lines.parquet') FROM 'in/a.csv'",
         ["in/a.csv", "lines.parquet"]),
        ("-- FROM 'in/b.csv'\nSELECT * FROM /* 'in/b.csv' */ 'in/a.csv' -- all", ["in/a.csv"]),
        ("FROM 'in/../in/a.csv'", ["in/a.csv"]),
    ],
)  # fmt: skip
def test_the_files_are_those_that_the_parser_finds(root: Path, sql: str, files: list[str]) -> None:
    assert paths(root, sql) == files


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT 1 AS user_id", "reads no file"),
        ("FROM orders", "reads no file"),
        ("FROM query('FROM ''in/a.csv''')", "reads no file"),
        ("FROM read_csv('in/' || 'a.csv')", "the files of read_csv are not known before it runs"),
        ("FROM read_csv(getvariable('x'))", "the files of read_csv are not known"),
        ("FROM read_csv(['in/a.csv', upper('x')])", "the files of read_csv are not known"),
        ("FROM read_csv()", "the files of read_csv are not known"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("CREATE TABLE x AS FROM 'in/a.csv'", "Only SELECT"),
        ("COPY (FROM 'in/a.csv') TO 'x.csv'", "Only SELECT"),
        ("FROM 'in/a.csv'; FROM 'in/b.csv'", "has 2 statements; write one SELECT"),
        ("SELECT *, random() AS amount FROM 'in/a.csv'", "uses random: it gives other rows each time"),
        ("SELECT * FROM 'in/a.csv' WHERE ordered_at < current_date", "uses current_date"),
        ("SELECT * FROM 'in/a.csv' WHERE ordered_at < NOW()", "uses now"),
        ("FROM 'in/a.csv' TABLESAMPLE 10%", "takes a sample"),
    ],
)
def test_a_query_whose_rows_are_not_those_of_known_files_is_refused(root: Path, sql: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        paths(root, sql)
    assert str(error.value).startswith("[sources.orders] sql")
    assert says in str(error.value)


@pytest.mark.parametrize("sql", ["FROM 'in/*.parquet'", "FROM read_csv(['in/a.csv', 'no.csv'])"])
def test_a_pattern_that_matches_nothing_is_named(root: Path, sql: str) -> None:
    with pytest.raises(
        DataContractError, match=r"no file matches '(in/\*\.parquet|no\.csv)' in .*\[sources\.orders\] sql"
    ):
        paths(root, sql)


def test_files_outside_of_the_allowed_folders_are_refused(root: Path) -> None:
    (root.parent / "secret.csv").write_text("user_id,ordered_at\nu,2026-01-01\n")
    config = Config(root=root, project={"data_folders": ["in"]}, sources={"orders": {"sql": "FROM '../secret.csv'"}})
    with pytest.raises(ConfigError, match="outside of"):
        slices.index(Objects(root.parent / "store"), config, "orders", config.recipe())


# Rows

JOINED = """
    SELECT user_id, ordered_at, order_id, sum(amount) AS amount
    FROM 'in/*.csv' JOIN 'lines.parquet' USING (order_id) GROUP BY ALL
"""


def test_rows_are_numbered_in_the_order_of_their_columns(root: Path) -> None:
    objects, (file,) = index(root, JOINED)
    assert (file.name, file.rows, file.days) == ("[sources.orders] sql", 2, {DAY: (0, 2)})
    assert read_day(objects, [file], DAY).drop_columns(["file", "ordered_at"]).to_pylist() == [
        {"row": 1, "at": datetime(2026, 1, 1, tzinfo=UTC), "user_id": "u1", "order_id": "3", "amount": "4"},
        {"row": 2, "at": datetime(2026, 1, 1, 10, tzinfo=UTC), "user_id": "u1", "order_id": "1", "amount": "3.75"},
    ]


def test_columns_are_mapped(root: Path) -> None:
    objects, files = index(root, "FROM 'c.jsonl.gz'", columns={"user_id": "u", "ordered_at": "at"})
    assert read_day(objects, files, DAY).select(["user_id", "order_id"]).to_pylist() == [
        {"user_id": "u1", "order_id": "3"}
    ]


def test_a_column_that_is_missing_is_named_with_those_that_are_there(root: Path) -> None:
    with pytest.raises(DataContractError, match=r"\[sources\.orders\] sql has no column 'user_id'.*order_id, u, at"):
        index(root, "FROM 'c.jsonl.gz'")


def test_two_columns_of_one_name_are_refused(root: Path) -> None:
    with pytest.raises(DataContractError, match="has 2 columns"):
        index(root, "SELECT a.*, b.* FROM 'in/a.csv' a, 'in/b.csv' b")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT nope FROM 'in/a.csv'", '"nope" not found'),
        ("SELECT user_id::INT AS user_id, ordered_at FROM 'in/a.csv'", "CSV Error on Line: 2"),
        ("SELECT * FROM 'in/a.csv' JOIN other USING (x)", "other does not exist"),
        ("SELECT a.* FROM 'in/a.csv' a, read_text('/etc/passwd')", "Permission Error"),
        ("SELECT a.* FROM 'in/a.csv' a, glob('/*')", "Permission Error"),
        ("SELECT a.* FROM 'in/a.csv' a, query('FROM ''/etc/passwd''')", "not exist"),
        ("SELECT a.* FROM 'in/a.csv' a WHERE user_id = $1", "parameter"),
    ],
)
def test_a_query_that_fails_says_so_in_the_engines_words(root: Path, sql: str, says: str) -> None:
    if "read_text" in sql:  # a file like any other, were it not outside
        sql, says = sql.replace("/etc/passwd", "nowhere"), "no file matches 'nowhere'"
    with pytest.raises((ConfigError, DataContractError)) as error:
        index(root, sql)
    assert "[sources.orders] sql" in str(error.value)
    assert says in str(error.value)
    assert Objects(root.parent / "store").keys("") == []


def test_the_key_depends_on_every_file_and_on_the_query(root: Path) -> None:
    keys = [index(root, sql)[1][0].key for sql in (JOINED, JOINED, JOINED + " HAVING sum(amount) > 0")]
    for path in ("in/b.csv", "lines.parquet"):
        before = (root / path).read_bytes()
        if path.endswith("csv"):
            (root / path).write_bytes(before + b"1,u9,2026-01-01\n")
        else:
            pq.write_table(pa.table({"order_id": [1, 1, 3], "amount": [1.5, 2.25, 5.0]}), root / path)
        keys.append(index(root, JOINED)[1][0].key)
        (root / path).write_bytes(before)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_the_key_depends_on_the_names_of_the_files(root: Path) -> None:
    """A query may tell its files apart by name: the same bytes under other names are other rows."""
    sql = "SELECT *, CASE WHEN filename LIKE '%a.csv' THEN 1 ELSE 2 END AS amount FROM read_csv('in/*.csv', filename = true)"
    first, second = root / "in" / "a.csv", root / "in" / "b.csv"
    before = index(root, sql)[1][0].key
    first.rename(root / "in" / "x.csv")
    second.rename(first)
    (root / "in" / "x.csv").rename(second)
    assert index(root, sql)[1][0].key != before


def test_a_query_that_was_run_is_not_run_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = index(root, JOINED)[1]
    monkeypatch.setattr(queries, "records", lambda *_: pytest.fail("run again"))
    assert index(root, JOINED)[1] == before


def test_the_bytes_do_not_depend_on_the_threads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of floats depend on the order in which they are added up."""
    amounts = [0.1 * (n % 97) + 1e9 * (n % 3) for n in range(300_000)]
    users = [f"u{n * 7919 % 50}" for n in range(300_000)]
    pq.write_table(pa.table({"user_id": users, "x": amounts}), root / "big.parquet", row_group_size=10_000)
    sql = "SELECT user_id, '2026-01-01' AS ordered_at, sum(x) AS amount FROM 'big.parquet' GROUP BY user_id"
    keys = set()
    for threads in ("1", "2", "4"):
        monkeypatch.setenv(THREADS, threads)
        objects, _ = index(root, sql)
        keys.update(key for key in objects.keys("raw") if key.endswith(".parquet"))
        objects.delete(objects.keys(""))
    assert len(keys) == 1


def test_a_nested_column_that_is_mapped_is_named(root: Path) -> None:
    (root / "n.jsonl").write_text(json.dumps({"user_id": {"id": 1}, "ordered_at": "2026-01-01"}))
    with pytest.raises(DataContractError, match="the column for user_id holds STRUCT"):
        index(root, "FROM 'n.jsonl'")
