"""A source file's rows, dated and cut into days: everything that is known of a file after reading it once.

Values are kept as text, whatever they are in the file, so that the same data in CSV and Parquet, or in files of different
types, give the same rows: a number as the shortest decimal that reads back as it, a whole one without a point (the user
17850.0, as pandas writes whole numbers beside missing ones, is 17850), NaN as nothing. CSV text is kept as it is.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, pairwise
from operator import itemgetter

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation.config import Recipe
from segmentation.errors import ConfigError, DataContractError
from segmentation.features.engine import EPOCH, connect
from segmentation.sources import databases, queries, samples
from segmentation.sources.files import CsvRecords, identifier, parquet_records, unreadable
from segmentation.sources.json_lines import JsonRecords
from segmentation.sources.source_file import CSV, DATABASE, JSON_LINES, PARQUET, QUERY, SourceFile
from segmentation.sources.streams import execute_on
from segmentation.tables import TABLES
from segmentation.times import UNITS, Times, in_text, placed, quoted

CHUNK_ROWS = 100_000

MISSING = "{} is missing"
NOT_A_TIME = "{} is not a time ({})"
OUT_OF_RANGE = "{} is not in the years 1 to 9999"
OTHER_UNIT = OUT_OF_RANGE + " as {} since 1970: is time_unit right?"
SKIPPED = "{} is a local time that the clocks skipped"


@dataclass(frozen=True)
class Read:
    """A file's rows. `columns`: canonical, that the file has. `raw`: a Parquet file of the dated rows, one row group per
    day; `days`: day → (row group, rows). `undated`: row, reason, line and the columns of the rows without a day."""

    columns: tuple[str, ...]
    undated: pa.Table
    raw: bytes
    days: dict[date, tuple[int, int]]


def read(file: SourceFile, recipe: Recipe, table: str) -> Read:
    """Read a file, or a day of a database, by a recipe.

    Raises DataContractError when it cannot be read, lacks a column, or (a database) has rows of another day; SourceError when
    a database cannot be asked.
    """
    columns, options = recipe.columns[table], recipe.options[table]
    times = Times(TABLES[table].TIME, options["time_unit"], options["time_format"])
    with connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        if times.form:
            _check_form(session, table, times.form)
        try:
            if file.kind in (CSV, JSON_LINES):
                records = (CsvRecords if file.kind == CSV else JsonRecords)(file, table, columns, options)
                names = _load_text(session, records, times)
            else:
                if file.kind == PARQUET:
                    query, names = parquet_records(file, table, columns)
                elif file.kind == QUERY:
                    query, names = queries.records(session, file, table, columns)
                elif file.kind == DATABASE:
                    query, names = databases.records(session, file, table, columns, recipe.timezone)
                else:
                    query, names = samples.records(file, table, columns)
                _load_typed(session, file.name, query, names, times)
            _date(session, recipe.timezone, times)
            undated = session.sql(
                'SELECT * EXCLUDE ("at", day) FROM dated WHERE day IS NULL ORDER BY row'
            ).to_arrow_table()
            raw, days = _slices(session)
        except duckdb.Error as error:
            raise unreadable(file.name, error) from None
    if file.kind == DATABASE and file.day and times.column and (others := sorted(days.keys() - {file.day})):
        rows = sum(days[other][1] for other in others)
        raise DataContractError(
            f"[sources.{table}] sql, asked for {file.day}, gave {rows} rows of other days (the first is {others[0]}); check "
            "its condition on :date, and [project] timezone"
        )
    return Read(names, undated, raw, days)


def _check_form(session: duckdb.DuckDBPyConnection, table: str, form: str) -> None:
    try:
        session.execute(f"SELECT try_strptime('', {quoted(form)})").fetchall()
    except duckdb.Error as error:
        raise ConfigError(f"[sources.{table}.options] time_format = {form!r} is no such form: {error}") from None


def _load_text(session: duckdb.DuckDBPyConnection, records: CsvRecords | JsonRecords, times: Times) -> tuple[str, ...]:
    """Make the table `record`: row, reason, line, columns as text, local and instant (of which at most one is known)."""
    batches = (batch for part in records for batch in part.combine_chunks().to_batches())
    execute_on(session, records.schema, batches, f"CREATE TEMP TABLE record AS {in_text('records', times)}")
    for lacking in records.schema.names[3:]:
        if lacking not in records.columns:  # of JSON lines, known at the end
            session.execute(f"ALTER TABLE record DROP COLUMN {identifier(lacking)}")
    return records.columns


def _load_typed(
    session: duckdb.DuckDBPyConnection, name: str, query: str, columns: Sequence[str], times: Times
) -> None:
    """Make the table `record` from a query over typed columns (`row` and the canonical ones).

    Raises DataContractError when a column's type has no text, or is no time where it should be one.
    """
    found = session.sql(query)
    kinds = {column: str(kind) for column, kind in zip(found.columns, found.types, strict=True)}
    for column, kind in kinds.items():
        if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "BLOB")):
            raise DataContractError(f"{name}: the column for {column} holds {kind}; map one of plain values to it")
    kind = kinds[times.column] if times.column else "VARCHAR"
    texts = ", ".join(f"{_text(identifier(column), kinds[column])} AS {identifier(column)}" for column in columns)
    rows = f"(SELECT row, NULL::VARCHAR AS reason, NULL::VARCHAR AS line, {texts}{{}} FROM ({query}))"
    if kind == "VARCHAR" or (times.unit and not kind.startswith(("DATE", "TIME"))):
        timed = in_text(rows.format(""), times)
    elif kind == "TIMESTAMP WITH TIME ZONE":
        timed = "FROM " + rows.format(f", NULL::TIMESTAMP AS local, {times.column} AS instant")
    elif kind == "DATE" or kind.startswith("TIMESTAMP"):
        timed = "FROM " + rows.format(f", {times.column}::TIMESTAMP AS local, NULL::TIMESTAMPTZ AS instant")
    else:
        raise DataContractError(
            f"{name}: the column for {times.column} holds {kind}; it must hold text, dates or timestamps, or numbers with "
            "time_unit set in the source's options"
        )
    session.execute(f"CREATE TEMP TABLE record AS {timed}")


def _text(column: str, kind: str) -> str:
    if kind in ("FLOAT", "DOUBLE"):
        is_whole = f"{column} = trunc({column}) AND abs({column}) < 1e18"
        whole = f"TRY_CAST({column} AS BIGINT)::VARCHAR"  # NaN is no whole number, and is tried all the same
        return f"CASE WHEN isnan({column}) THEN NULL WHEN {is_whole} THEN {whole} ELSE {column}::VARCHAR END"
    return f"{column}::VARCHAR"


def _date(session: duckdb.DuckDBPyConnection, timezone: str, times: Times) -> None:
    """Make the table `dated`: row, at, day (both null: undated), reason, line, columns."""
    if times.column is None:  # what describes users is of no day: it is kept as of one
        session.execute(f"""
            CREATE TEMP TABLE dated AS
            SELECT * EXCLUDE (local, instant), NULL::TIMESTAMPTZ AS "at",
                CASE WHEN reason IS NULL THEN DATE '{EPOCH}' END AS day
            FROM record""")
        session.execute("DROP TABLE record")
        return
    zone = quoted(timezone)
    try:
        session.execute(f"SELECT timezone({zone}, TIMESTAMP '2000-01-01')")
    except duckdb.Error:
        raise ConfigError(
            f"[project] timezone = {timezone!r}: the engine (DuckDB) does not know this time zone"
        ) from None
    column = times.column
    beyond = OTHER_UNIT.format(column, UNITS[times.unit]) if times.unit else OUT_OF_RANGE.format(column)
    session.execute(f"""
        CREATE TEMP TABLE dated AS
        SELECT * EXCLUDE (reason, local, instant, wall, possible),
            CASE WHEN "at" IS NOT NULL THEN wall::DATE END AS day,
            CASE
                WHEN reason IS NOT NULL OR "at" IS NOT NULL THEN reason
                WHEN coalesce(trim({column}), '') = '' THEN {quoted(MISSING.format(column))}
                WHEN wall IS NULL THEN {quoted(NOT_A_TIME.format(column, times.expected))}
                WHEN NOT possible THEN {quoted(beyond)}
                ELSE {quoted(SKIPPED.format(column))}
            END AS reason
        FROM ({placed("record", timezone)})""")
    session.execute("DROP TABLE record")


def _slices(session: duckdb.DuckDBPyConnection) -> tuple[bytes, dict[date, tuple[int, int]]]:
    """One Parquet file of the dated rows, a row group per day; and day → (row group, rows)."""
    query = 'SELECT day, row, "at", * EXCLUDE (day, row, "at", reason, line) FROM dated WHERE day IS NOT NULL'
    reader = session.sql(f"{query} ORDER BY day, row").to_arrow_reader(CHUNK_ROWS)
    schema = reader.schema.remove(0)
    days: dict[date, tuple[int, int]] = {}
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer:
        for day, parts in groupby(_parts(reader), key=itemgetter(0)):
            # In one piece: how rows came in batches must not show in the bytes.
            rows = pa.Table.from_batches([part for _, part in parts], schema).combine_chunks()
            writer.write_table(rows, row_group_size=rows.num_rows)
            days[day] = (len(days), rows.num_rows)
    return sink.getvalue(), days


def _parts(reader: pa.RecordBatchReader) -> Iterator[tuple[date, pa.RecordBatch]]:
    """The batches, cut where the day changes, without their column of days."""
    for batch in reader:
        days = batch.column(0).cast(pa.int32()).to_numpy()
        starts = [0, *(np.flatnonzero(np.diff(days)) + 1), batch.num_rows]
        rest = batch.remove_column(0)
        for start, end in pairwise(starts):
            if end > start:
                yield EPOCH + timedelta(days=int(days[start])), rest.slice(start, end - start)
