"""A file is read once per content: split into slices for the days that it holds, and indexed.

    raw/<table>/<key>.json             the index: sealed, names the two below, written last
    raw/<table>/hashed/<key>.json      the hash of a large file in one state of its inode: it is not hashed again
    raw/<table>/<hash>.parquet         one row group per day, in the order of the days; rows in the order of the file
    quarantine/<table>/<hash>.parquet  records without a day: malformed lines, missing or unreadable times

Values are kept as text, whatever they are in the file, so that the same data in CSV and Parquet, or in files of different
types, give the same rows: a number as the shortest decimal that reads back as it, a whole one without a point (the user
17850.0, as pandas writes whole numbers beside missing ones, is 17850), NaN as nothing. CSV text is kept as it is.

The key is a hash of the file's bytes and of everything else that decides how it is read: mapping, options, time zone.
"""

import hashlib
import io
import os
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation.config import Config, Recipe
from segmentation.errors import ConfigError, DataContractError, StoreError
from segmentation.features.engine import EPOCH, connect
from segmentation.sources import files, samples
from segmentation.sources.files import CSV, PARQUET, CsvRecords, SourceFile, parquet_records, quoted, unreadable
from segmentation.store.content import HASH_CHARACTERS, hash_bytes, hash_json, seal, unseal
from segmentation.store.objects import Objects

INDEX_VERSION = 1  # of the way files are read; another one reads every file again
AT = pa.timestamp("us", tz="UTC")
CHUNK_ROWS = 100_000
SMALL_FILE = 4 << 20  # bytes; hashed in about 10 ms
SETTLED_NS = 2_000_000_000

MISSING = "ordered_at is missing"
NOT_A_TIME = "ordered_at is not a time (YYYY-MM-DD, with HH:MM, :SS and an offset if it has them)"
OUT_OF_RANGE = "ordered_at is not in the years 1 to 9999"
SKIPPED = "ordered_at is a local time that the clocks skipped"
NAIVE = r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?"
WITH_OFFSET = r"\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)? ?(Z|UTC|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
# The engine takes an offset only without a space before it, and no name.
AS_OFFSET = r"regexp_replace(replace(time_text, 'UTC', 'Z'), ' ?(Z|[+-][\d:]+)$', '\1')"


@dataclass(frozen=True)
class FileIndex:
    """What a file holds. `days`: day → (row group, rows). `rows` = `undated` + the rows of all days.

    columns: the canonical columns that the file has, in their canonical order; reasons: of the undated rows, counted;
    copies: names of the other files with the same bytes, which do not count.
    """

    table: str
    name: str
    sha256: str
    key: str
    rows: int
    undated: int
    reasons: dict[str, int]
    days: dict[date, tuple[int, int]]
    columns: tuple[str, ...]
    raw: str | None
    quarantine: str | None
    copies: tuple[str, ...] = ()


def index(
    objects: Objects,
    config: Config,
    table: str,
    recipe: Recipe,
    others: Sequence[Recipe] = (),
    days: Collection[date] = (),
    part: tuple[int, int] = (0, 1),
) -> tuple[FileIndex, ...]:
    """Every file that the table's source names now, in the order of the names; files of equal content count once.

    A file is read when its content is new, else only hashed. It is read as the recipe says; one that does not fit it (a
    column was renamed between two files, and the mapping with it) as the first of the other recipes that it fits. Of a
    source that has its rows by day (a {date} in its path, a database) only these days are looked at. part: (number, of how
    many): only this share of the files, so that several processes can read at once.

    Raises DataContractError when there is no file, or one cannot be read or lacks a column, SourceError when a database
    cannot be asked.
    """
    source = config.sources.tables()[table]
    number, parts = part
    indexes: dict[str, FileIndex] = {}
    for file in files.find(source, table, config, sorted(days))[number::parts]:
        key = _indexed(objects, file, [recipe, *others], table)
        if key in indexes:
            indexes[key] = replace(indexes[key], copies=(*indexes[key].copies, file.name))
        else:
            indexes[key] = load(objects, file.name, key, table)
    return tuple(indexes.values())


def _indexed(objects: Objects, file: SourceFile, recipes: Sequence[Recipe], table: str) -> str:
    """The key of the file's index by the first of the recipes that it fits; the file is read if that is not there."""
    sha256 = _hash(objects, file, table)
    failures: list[DataContractError] = []
    for key, recipe in {_key(file, sha256, recipe, table): recipe for recipe in recipes}.items():
        place = _place_of(table, key)
        if objects.exists(place):
            return key
        try:
            document = _read(objects, file, sha256, recipe, table)
        except DataContractError as error:
            failures.append(error)
            continue
        if _hash(objects, file, table) != sha256:
            raise OSError(f"{file.name} changed while it was read; run again when it is complete")
        objects.put(place, seal({"key": key, **document}))
        return key
    raise failures[0]


def _key(file: SourceFile, sha256: str, recipe: Recipe, table: str) -> str:
    return hash_json(
        {
            "version": INDEX_VERSION,
            "kind": file.kind,
            "sha256": sha256,
            "columns": recipe.columns[table],
            "options": recipe.options[table],
            "query": recipe.queries.get(table),
            "timezone": recipe.timezone,
        }
    )


def load(objects: Objects, name: str, key: str, table: str = "orders") -> FileIndex:
    """The index of a file that was read before; `name` is what the file is called now.

    Raises StoreError when the store lacks it or it is damaged.
    """
    place = _place_of(table, key)
    document = unseal(objects.get(place), place)
    if document["key"] != key:
        raise StoreError(f"{place} is the index {document['key']} of another file; run `segmentation verify`")
    document["days"] = {date.fromisoformat(day): (group, rows) for day, (group, rows) in document["days"].items()}
    document["columns"] = tuple(document["columns"])
    return FileIndex(name=name, **document)


def read_day(objects: Objects, indexes: Iterable[FileIndex], day: date) -> pa.Table:
    """The raw rows of a local day, in the order of the files given and of their rows.

    Columns: `row` (number of the record in its file, from 1), `at` (timestamp[us, UTC]), the canonical columns but
    `ordered_at` as text, and `file` (name). Without rows, no more than `row`, `at` and `file`.

    Raises StoreError when a slice is missing or damaged.
    """
    parts = []
    for file in indexes:
        if file.raw and day in file.days:
            part = _row_group(objects.path(file.raw), file.days[day][0])
            parts.append(part.append_column("file", pa.repeat(file.name, part.num_rows)))
    if not parts:
        return pa.schema([("row", pa.int64()), ("at", AT), ("file", pa.string())]).empty_table()
    return pa.concat_tables(parts, promote_options="default").combine_chunks()


def raw_rows(indexes: Iterable[FileIndex], day: date) -> int:
    """How many rows of a local day the files hold."""
    return sum(file.days[day][1] for file in indexes if day in file.days)


def _place_of(table: str, key: str) -> str:
    return f"raw/{table}/{key}.json"


def _row_group(path: str, number: int) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read_row_group(number)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} is missing or damaged ({error}); run `segmentation verify`") from None


# Hashing ------------------------------------------------------------------------------------------------------------


def _hash(objects: Objects, file: SourceFile, table: str) -> str:
    """The first 128 bits of the SHA-256 of the file's bytes; of several files, of their hashes one after the other."""
    hashes = [_hash_of_path(objects, path, table) for path in file.paths]
    return hashes[0] if len(hashes) == 1 else hash_bytes("".join(hashes).encode())


def _hash_of_path(objects: Objects, path: Path, table: str) -> str:
    status = path.stat()
    if status.st_size <= SMALL_FILE:
        return _hash_now(path)
    # A large file is hashed once per state. Nobody can set the change time (ctime), so a file that has the same one, inode
    # and size was not written to since it was hashed, unless that happened within one tick of the file system's clock: so
    # a file that changed less than two seconds before that clock's now is hashed again.
    with tempfile.TemporaryFile() as now:
        settled = os.fstat(now.fileno()).st_ctime_ns - status.st_ctime_ns > SETTLED_NS
    if not settled:
        return _hash_now(path)
    state = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    key = hash_json([str(path.resolve()), *state])
    place = f"raw/{table}/hashed/{key}.json"
    if (known := objects.find(place)) is None:
        known = seal({"key": key, "sha256": _hash_now(path)})
        objects.put(place, known)
    return str(unseal(known, place)["sha256"])


def _hash_now(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:HASH_CHARACTERS]


# Reading ------------------------------------------------------------------------------------------------------------


def _read(objects: Objects, file: SourceFile, sha256: str, recipe: Recipe, table: str) -> dict[str, Any]:
    """Read a file into slices; returns the document of its index."""
    columns = recipe.columns[table]
    with connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        try:
            if file.kind == CSV:
                names = _load_csv(session, CsvRecords(file, columns, recipe.options[table]))
            else:
                query, names = (parquet_records if file.kind == PARQUET else samples.records)(file, columns)
                _load_typed(session, file.name, query, names)
            _date(session, recipe.timezone)
            undated = session.sql(
                'SELECT * EXCLUDE ("at", day) FROM dated WHERE day IS NULL ORDER BY row'
            ).to_arrow_table()
            raw, days = _slices(session)
        except duckdb.Error as error:
            raise unreadable(file.name, error) from None
    raw_key = f"raw/{table}/{hash_bytes(raw)}.parquet"
    if days:
        objects.put(raw_key, raw)
    return {
        "table": table,
        "sha256": sha256,
        "columns": names,
        "rows": undated.num_rows + sum(rows for _, rows in days.values()),
        "undated": undated.num_rows,
        "reasons": dict(sorted(Counter(undated["reason"].to_pylist()).items())),
        "days": {day.isoformat(): place for day, place in days.items()},
        "raw": raw_key if days else None,
        "quarantine": objects.put_table(f"quarantine/{table}", undated) if undated.num_rows else None,
    }


def _load_csv(session: duckdb.DuckDBPyConnection, records: CsvRecords) -> tuple[str, ...]:
    """Make the table `record`: row, reason, line, columns as text, local and instant (of which at most one is known)."""
    failures: list[DataContractError] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for table in records:
                yield from table.combine_chunks().to_batches()
        except DataContractError as error:  # the engine would make another one of it
            failures.append(error)
            raise

    session.register("records", pa.RecordBatchReader.from_batches(records.schema, batches()))
    try:
        session.execute(f"CREATE TEMP TABLE record AS {_times_in_text('records')}")
    except duckdb.Error:
        if failures:
            raise failures[0] from None
        raise
    return records.columns


def _times_in_text(rows: str) -> str:
    """A query that adds to the rows the time in the text `ordered_at`: `local` if it has no offset, else `instant`."""
    return f"""
        SELECT * EXCLUDE time_text, CASE
            WHEN local IS NULL AND regexp_full_match(time_text, '{WITH_OFFSET}') THEN TRY_CAST({AS_OFFSET} AS TIMESTAMPTZ)
        END AS instant
        FROM (
            SELECT *, trim(ordered_at) AS time_text,
                CASE WHEN regexp_full_match(time_text, '{NAIVE}') THEN TRY_CAST(time_text AS TIMESTAMP) END AS local
            FROM {rows}
        )"""


def _load_typed(session: duckdb.DuckDBPyConnection, name: str, query: str, columns: Sequence[str]) -> None:
    """Make the table `record` from a query over typed columns.

    Raises DataContractError when a column's type has no text, or is no time where it should be one.
    """
    found = session.sql(query)
    kinds = {column: str(kind) for column, kind in zip(found.columns, found.types, strict=True)}
    for column, kind in kinds.items():
        if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION", "BLOB")):
            raise DataContractError(f"{name}: the column for {column} holds {kind}; map one of plain values to it")
    kind = kinds["ordered_at"]
    texts = ", ".join(f"{_text(column, kinds[column])} AS {column}" for column in columns)
    rows = f"(SELECT row, NULL::VARCHAR AS reason, NULL::VARCHAR AS line, {texts}{{}} FROM ({query}))"
    if kind == "VARCHAR":
        timed = _times_in_text(rows.format(""))
    elif kind == "TIMESTAMP WITH TIME ZONE":
        timed = "FROM " + rows.format(", NULL::TIMESTAMP AS local, ordered_at AS instant")
    elif kind == "DATE" or kind.startswith("TIMESTAMP"):
        timed = "FROM " + rows.format(", ordered_at::TIMESTAMP AS local, NULL::TIMESTAMPTZ AS instant")
    else:
        raise DataContractError(
            f"{name}: the column for ordered_at holds {kind}; it must hold text, dates or timestamps"
        )
    session.execute(f"CREATE TEMP TABLE record AS {timed}")


def _text(column: str, kind: str) -> str:
    if kind in ("FLOAT", "DOUBLE"):
        is_whole = f"{column} = trunc({column}) AND abs({column}) < 1e18"
        whole = f"TRY_CAST({column} AS BIGINT)::VARCHAR"  # NaN is no whole number, and is tried all the same
        return f"CASE WHEN isnan({column}) THEN NULL WHEN {is_whole} THEN {whole} ELSE {column}::VARCHAR END"
    return f"{column}::VARCHAR"


def _date(session: duckdb.DuckDBPyConnection, timezone: str) -> None:
    """Make the table `dated`: row, at, day (both null: undated), reason, line, columns.

    Of a local time that occurs twice the first is taken: the offset of 24 hours before, if it is right at that time, and
    the one that the engine takes.
    """
    zone = quoted(timezone)
    try:
        session.execute(f"SELECT timezone({zone}, TIMESTAMP '2000-01-01')")
    except duckdb.Error:
        raise ConfigError(
            f"[project] timezone = {timezone!r}: the engine (DuckDB) does not know this time zone"
        ) from None
    session.execute(f"""
        CREATE TEMP TABLE dated AS
        WITH placed AS (
            SELECT *, coalesce(local, timezone({zone}, instant)) AS wall,
                wall BETWEEN TIMESTAMP '0001-01-02' AND TIMESTAMP '9999-12-30' AS possible,
                CASE WHEN possible THEN timezone({zone}, local) END AS later,
                CASE WHEN possible THEN timezone({zone}, local - INTERVAL 24 HOUR) + INTERVAL 24 HOUR END AS earlier
            FROM record
        ), timed AS (
            SELECT *, CASE
                WHEN NOT possible THEN NULL
                WHEN instant IS NOT NULL THEN instant
                WHEN timezone({zone}, earlier) = local THEN least(earlier, later)
                WHEN timezone({zone}, later) = local THEN later
            END AS "at"
            FROM placed
        )
        SELECT * EXCLUDE (reason, local, instant, wall, possible, earlier, later),
            CASE WHEN "at" IS NOT NULL THEN wall::DATE END AS day,
            CASE
                WHEN reason IS NOT NULL OR "at" IS NOT NULL THEN reason
                WHEN coalesce(trim(ordered_at), '') = '' THEN {quoted(MISSING)}
                WHEN wall IS NULL THEN {quoted(NOT_A_TIME)}
                WHEN NOT possible THEN {quoted(OUT_OF_RANGE)}
                ELSE {quoted(SKIPPED)}
            END AS reason
        FROM timed""")
    session.execute("DROP TABLE record")


def _slices(session: duckdb.DuckDBPyConnection) -> tuple[bytes, dict[date, tuple[int, int]]]:
    """One Parquet file of the dated rows, a row group per day; and day → (row group, rows)."""
    query = (
        'SELECT day, row, "at", * EXCLUDE (day, row, "at", ordered_at, reason, line) FROM dated WHERE day IS NOT NULL'
    )
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
