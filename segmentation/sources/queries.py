"""SQL over files, run by DuckDB.

Which files a query reads is found by DuckDB's own parser, so that they can be hashed; the query then runs apart, with these
files in reach and no others, and in one thread: sums of floats and rows without an order would else differ between runs.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from segmentation.errors import ConfigError, DataContractError
from segmentation.features.engine import MEMORY, connect
from segmentation.sources.files import identifier, resolve
from segmentation.sources.source_file import SourceFile
from segmentation.sources.streams import fetch
from segmentation.times import quoted

BATCH_ROWS = 100_000
LONGEST_ERROR = 300  # characters
READERS = {
    ".csv": "read_csv_auto",
    ".csv.gz": "read_csv_auto",
    ".tsv": "read_csv_auto",
    ".tsv.gz": "read_csv_auto",
    ".json": "read_json_auto",
    ".json.gz": "read_json_auto",
    ".jsonl": "read_json_auto",
    ".jsonl.gz": "read_json_auto",
    ".ndjson": "read_json_auto",
    ".ndjson.gz": "read_json_auto",
    ".parquet": "read_parquet",
}
FUNCTIONS = re.compile(r"(read_\w+|parquet_scan)", re.IGNORECASE)
LITERAL = re.compile(rb"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
# Their answers differ from one time to the next: the same files would not give the same rows.
VOLATILE = {
    *("random", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "nextval"),
    *("now", "today", "current_date", "current_time", "current_timestamp", "get_current_time", "get_current_timestamp"),
    *("localtime", "localtimestamp", "transaction_timestamp"),
}


def paths(sql: str, table: str, root: Path) -> tuple[Path, ...]:
    """The files that a query reads, sorted. Their names in it are relative to `root`.

    Raises ConfigError when it is not one SELECT, reads no file, or one that it does not name as plain text;
    DataContractError when there is no such file.
    """
    found = {path for _, _, files in _named(sql, table, root) for path in files}
    if not found:
        raise ConfigError(
            f"[sources.{table}] sql reads no file; name one, as in FROM 'orders/*.csv', or a database with connection"
        )
    return tuple(sorted(found))


def records(
    session: duckdb.DuckDBPyConnection, file: SourceFile, table: str, columns: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """A DuckDB query for the rows of a query over files (`row`: their number in the order of all their columns, from 1, and
    the canonical columns), and its canonical columns.

    Raises ConfigError with DuckDB's words when the query fails, DataContractError when it lacks a column.
    """
    sql = _with_full_names(str(file.sql), table, file.root)
    with tempfile.TemporaryDirectory() as spill, _apart(file.paths, spill) as engine:
        try:
            fields = engine.sql(sql).columns
            found = resolve(file.name, fields, table, columns)
            reader = engine.sql(f"FROM ({sql}) ORDER BY ALL").to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise _failed(table, error) from None

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from reader
            except (duckdb.Error, pa.ArrowException) as error:
                raise _failed(table, error) from None

        query = fetch(session, reader.schema, batches())
    picked = ", ".join(f"c{place} AS {identifier(column)}" for column, place in found.items())
    return f"SELECT row, {picked} {query}", tuple(found)


def _apart(files: Sequence[Path], spill: str) -> duckdb.DuckDBPyConnection:
    """An engine of its own that reads these files only and writes none, but to the folder to spill to."""
    engine = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": os.environ.get(MEMORY) or "2GB",
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    engine.execute("SET TimeZone = 'UTC'")
    engine.execute(f"SET allowed_paths = [{', '.join(quoted(path) for path in files)}]")
    engine.execute("SET enable_external_access = false")
    engine.execute("SET lock_configuration = true")
    return engine


def _failed(table: str, error: Exception) -> ConfigError | DataContractError:
    """The first line of it, cut: then come advice, twenty settings, and customers' rows."""
    said = str(error).strip().splitlines()[0][:LONGEST_ERROR]
    if isinstance(error, duckdb.ConversionException) or "CSV Error" in said:
        return DataContractError(f"[sources.{table}] sql met data that it cannot read: {said}")
    return ConfigError(f"[sources.{table}] sql failed: {said}")


# What a query names -------------------------------------------------------------------------------------------------


def _with_full_names(sql: str, table: str, root: Path) -> str:
    """The query with its files named in full, each pattern by the files that it matches."""
    text = sql.strip().rstrip(";").encode()
    for (start, end), form, files in sorted(_named(sql, table, root), reverse=True):
        names = ", ".join(quoted(path) for path in files)
        text = text[:start] + form.format(names).encode() + text[end:]
    return text.decode()


def _named(sql: str, table: str, root: Path) -> list[tuple[tuple[int, int], str, list[Path]]]:
    """Where the query names files (from and to which byte), in which form it could name all of them, and the files."""
    text = sql.strip().rstrip(";").encode()
    found = []
    for node in _nodes(_parsed(text.decode(), table)):
        _check_steady(node, table)
        if node.get("type") == "BASE_TABLE" and (reader := _reader(node["table_name"])):
            start = node["query_location"]
            token = LITERAL.match(text, start)
            if token is None:
                raise _not_plain(table, node["table_name"])
            files = _matches(node["table_name"], table, root)
            form = "{}" if len(files) == 1 else f"{reader}([{{}}])"
            found.append((token.span(), form, files))
        elif node.get("type") == "TABLE_FUNCTION" and FUNCTIONS.fullmatch(node["function"]["function_name"]):
            function = node["function"]
            argument = (function["arguments"] or [{"expression": {}}])[0]["expression"]
            listed = argument.get("function_name") == "list_value"
            for literal in [item["expression"] for item in argument["arguments"]] if listed else [argument]:
                start = literal.get("query_location", 0)
                token = LITERAL.match(text, start)
                if literal.get("type") != "VALUE_CONSTANT" or literal["literal"]["kind"] != "STRING" or token is None:
                    raise _not_plain(table, function["function_name"])
                files = _matches(literal["literal"]["text"], table, root)
                found.append((token.span(), "{}" if listed or len(files) == 1 else "[{}]", files))
    return found


def _parsed(sql: str, table: str) -> list[dict[str, Any]]:
    with connect() as session:
        (text,) = session.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone() or ("",)
    parsed = json.loads(text)
    if parsed["error"]:
        raise ConfigError(f"[sources.{table}] sql cannot be read: {parsed['error_message']}")
    statements: list[dict[str, Any]] = parsed["statements"]
    if len(statements) != 1:
        raise ConfigError(f"[sources.{table}] sql has {len(statements)} statements; write one SELECT")
    return statements


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects in the tree, by a stack: a query may be nested deeper than Python's calls."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack += node.values()
        elif isinstance(node, list):
            stack += node


def _reader(name: str) -> str | None:
    """The function by which DuckDB reads what is named like a table, if that is a file."""
    return next((reader for ending, reader in READERS.items() if name.lower().endswith(ending)), None)


def _matches(pattern: str, table: str, root: Path) -> list[Path]:
    # DuckDB's own way, in which the folder's name is no pattern.
    full = pattern if pattern.startswith("/") else re.sub(r"([*?[])", r"[\1]", str(root.resolve())) + "/" + pattern
    with connect() as session:
        names = session.execute("SELECT DISTINCT file FROM glob(?)", [full]).fetchall()
    found = sorted(Path(os.path.normpath(name)) for (name,) in names)
    if not found:
        raise DataContractError(f"no file matches {pattern!r} in {root}; check [sources.{table}] sql")
    return found


def _not_plain(table: str, what: str) -> ConfigError:
    return ConfigError(
        f"[sources.{table}] sql: the files of {what} are not known before it runs; name them in plain quotes, such as "
        "'orders/*.csv', or as a list of such names"
    )


def _check_steady(node: Mapping[str, Any], table: str) -> None:
    name = str(node.get("function_name") or ".".join(node.get("column_names") or ())).lower()
    if node.get("type") in ("FUNCTION", "COLUMN_REF") and name in VOLATILE:
        raise ConfigError(
            f"[sources.{table}] sql uses {name}: it gives other rows each time that it is run; the same files must give the "
            "same rows"
        )
    if node.get("sample"):
        raise ConfigError(f"[sources.{table}] sql takes a sample; the same files must give the same rows")
