"""The engine: DuckDB inside this process, with its threads, memory and temporary files bounded, and nothing downloaded."""

import os
import re
import tempfile
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import pyarrow as pa

from segmentation.errors import ConfigError, StoreError

THREADS = "SEGMENTATION_THREADS"
MEMORY = "SEGMENTATION_MEMORY"
EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Days since 1970-01-01: a day as the cells and the window sums hold it."""
    return (day - EPOCH).days


def connect(threads: int | None = None, memory: str | None = None) -> duckdb.DuckDBPyConnection:
    """A connection of the caller's own to this process's engine; close it when done (`with connect() as connection`).

    threads: how many; default: `thread_count`.
    memory: what may be used before it spills to disk ("500MB"); default: the environment's SEGMENTATION_MEMORY, else 2GB.
    No result depends on either. One engine is started per process and setting (it takes 20 ms), so a connection is cheap;
    connections of one engine may be used in several threads at once, one each.

    Raises ConfigError when a setting is not one.
    """
    limit = memory or os.environ.get(MEMORY) or "2GB"
    # By process id: an engine's threads do not survive a fork, so a child must start its own.
    return _database(os.getpid(), thread_count() if threads is None else threads, limit).cursor()


def thread_count() -> int:
    """The environment's SEGMENTATION_THREADS, else as many threads as there are cores.

    Raises ConfigError when the setting is no number of threads.
    """
    text = os.environ.get(THREADS, "")
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigError(f"{THREADS} = {text!r}: give a number of threads, 1 or more")
    return int(text or os.cpu_count() or 1)


@cache
def _database(process: int, threads: int, memory: str) -> duckdb.DuckDBPyConnection:
    spill = Path(tempfile.gettempdir()) / f"segmentation-{process}-{threads}-{memory}"
    settings = {
        "threads": threads,
        "memory_limit": memory,
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        return duckdb.connect(config=settings)
    except duckdb.Error as error:
        raise ConfigError(f"the engine does not start with {MEMORY} = {memory!r}: {error}") from None


def scan_days(
    connection: duckdb.DuckDBPyConnection,
    paths: Sequence[tuple[date, str]],
    same_columns: bool = False,
) -> "nw.LazyFrame[Any]":
    """The rows of one Parquet file per day as one lazy frame, with the column `day` (int64, days since 1970-01-01).

    paths: the day and its file, at least one; the day is the list's, not the file's. same_columns: whether all files have
        the columns of the first; if not, every file is looked into first, and a column that it lacks is null in its rows.

    Raises StoreError naming what cannot be read.
    """
    files = ", ".join(_literal(path) for _, path in paths)
    days = ", ".join(str(day_number(day)) for day, _ in paths)
    # file_index: where in the list the file is that a row comes from, from 0; SQL's lists begin with 1.
    query = f"""
        SELECT COLUMNS(lambda name: name <> 'day'), ([{days}]::BIGINT[])[file_index::BIGINT + 1] AS day
        FROM read_parquet([{files}], union_by_name = {not same_columns}, hive_partitioning = false)
    """
    try:
        relation: nw.LazyFrame[Any] = nw.from_native(connection.sql(query))
    except duckdb.Error as error:
        raise _unreadable(error) from None
    return relation


def in_order(table: pa.Table) -> pa.Table:
    """The rows sorted by all columns, the first first, nulls last. (Arrow takes twice as long for several texts.)"""
    with connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rows", table)
        return connection.sql("FROM rows ORDER BY ALL NULLS LAST").to_arrow_table().cast(table.schema).combine_chunks()


def collect(frame: "nw.LazyFrame[Any]", schema: pa.Schema) -> pa.Table:
    """The lazy frame's rows, with the schema's columns in its order and types.

    Raises StoreError saying what could not be read, or that the memory did not suffice.
    """
    try:
        table = frame.collect("pyarrow").to_native()
    except duckdb.OutOfMemoryException as error:
        raise StoreError(f"the engine's memory does not suffice ({error}); set {MEMORY} to more than it is") from None
    except duckdb.Error as error:
        raise _unreadable(error) from None
    return table.select(schema.names).cast(schema).combine_chunks()


def _literal(path: str) -> str:
    """The path as SQL text that means this one file: `*`, `?` and `[` in it are no pattern."""
    return "'" + re.sub(r"([*?[])", r"[\1]", path).replace("'", "''") + "'"


def _unreadable(error: Exception) -> StoreError:
    return StoreError(f"a day's rows cannot be read: {error}; run `segmentation verify`")
