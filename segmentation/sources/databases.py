"""One day's rows of a PostgreSQL database at a time, through ADBC, in the server's own text.

The day is written into the query as a literal (it is a date: nothing else can be in it) because only then the driver streams
the rows (by COPY); with bound parameters it first collects all of them in memory.
"""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa

from segmentation.config import connection_variable
from segmentation.errors import ConfigError, DataContractError, SourceError
from segmentation.sources.files import identifier, resolve
from segmentation.sources.source_file import SourceFile
from segmentation.sources.streams import fetch
from segmentation.tables import TABLES
from segmentation.times import quoted

SCHEMES = ("postgresql", "postgres")
EXAMPLE = "postgresql://user:password@host:5432/database"
CONNECT_SECONDS = 10
# What is no place for :date: strings, quoted names, comments, casts (a::date).
TOKENS = re.compile(
    r"""(?P<other>
        [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
        | --[^\n]* | /\*.*?\*/ | ::
    ) | :date\b""",
    re.VERBOSE | re.DOTALL,
)
# The server said no, and will again. Anything else that keeps a connection from being made may pass.
REFUSED = re.compile(
    r"(password|authentication failed|no pg_hba\.conf entry|(role|database) .* does not exist|not permitted to log in)"
)
# SQLSTATE classes and codes that may pass: connection, rollback, resources, lock, operator, system, cancelled.
PASSING = ("08", "40", "53", "55P03", "57", "58")
# While rows are streamed the driver gives no code, only the server's words.
PASSING_WORDS = re.compile(
    r"cancel|terminat|recovery|memory|disk|could not (read|write|open|extend)|lock|shutting down"
)
FIRST_LINE = re.compile(r"(?:ERROR|FATAL|PANIC):\s+(.*?)\s*$", re.MULTILINE)


def records(
    session: duckdb.DuckDBPyConnection, file: SourceFile, table: str, columns: Mapping[str, str], timezone: str
) -> tuple[str, tuple[str, ...]]:
    """A DuckDB query for a day's rows in a database (`row`: their number in the order of all their columns, from 1, and the
    canonical columns), and its canonical columns.

    The database's time zone is the project's while it is asked: its days are ours.

    Raises ConfigError when the connection is unknown or refused, or the query fails; SourceError when the database cannot
    be reached, or goes away; DataContractError when the query lacks a column, or one has no text.
    """
    assert file.day is not None
    dbapi = _driver(table)
    sql = _with_day(str(file.sql), table, file.day)
    with _connect(dbapi, file.name, table) as connection, connection.cursor() as cursor:

        def ask(query: str) -> pa.RecordBatchReader:
            try:
                cursor.execute(query)
                return cursor.fetch_record_batch()
            except dbapi.Error as error:
                raise _failed(file.name, table, error) from None

        try:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET DateStyle = 'ISO, YMD'")
            cursor.execute(f"SET TIME ZONE {quoted(timezone)}")
        except dbapi.Error as error:
            if "time zone" not in str(error).lower():
                raise _failed(file.name, table, error) from None
            raise ConfigError(
                f"[project] timezone = {timezone!r}: the database of {connection_variable(file.name)} does not know it"
            ) from None
        schema = ask(f"SELECT * FROM (\n{sql}\n) AS asked LIMIT 0").schema
        found = resolve(f"[sources.{table}] sql", schema.names, table, columns)
        for column, place in found.items():
            if _has_no_text(schema.field(place).type):
                raise DataContractError(
                    f"[sources.{table}] sql: the column for {column} holds {_type(schema.field(place))}; map one of plain "
                    "values to it"
                )
        aliases = ", ".join(f"c{place}" for place in range(len(schema)))
        texts = ", ".join(_text(f"c{place}", schema.field(place).type) for place in found.values())
        reader = ask(f"SELECT {texts} FROM (\n{sql}\n) AS asked ({aliases})")

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from reader
            except (dbapi.Error, pa.ArrowException, OSError) as error:
                raise _failed(file.name, table, error) from None

        query = fetch(session, reader.schema, batches())
    fetched = [f"c{place}" for place in range(len(found))]
    picked = ", ".join(
        f"{_typed(name, schema.field(place).type) if column == TABLES[table].TIME else name} AS {identifier(column)}"
        for name, (column, place) in zip(fetched, found.items(), strict=True)
    )
    # In an order of ours: the server gives them in another one each time.
    return f"SELECT row_number() OVER (ORDER BY {', '.join(fetched)}) AS row, {picked} {query}", tuple(found)


def _with_day(sql: str, table: str, day: date) -> str:
    literal = f"DATE '{day.isoformat()}'"
    found = 0

    def put(match: re.Match[str]) -> str:
        nonlocal found
        if match["other"]:
            return match[0]
        found += 1
        return literal

    text = TOKENS.sub(put, sql.strip().rstrip(";"))
    if not found:
        raise ConfigError(
            f"[sources.{table}] sql is asked for one day's rows at a time: say which with :date (not in quotes), as in "
            "WHERE day = :date"
        )
    return text


# Values -------------------------------------------------------------------------------------------------------------


def _type(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"POSTGRESQL:type", str(field.type).encode()).decode())


def _has_no_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _text(name: str, kind: pa.DataType) -> str:
    text = f"{name}::text"
    return f"nullif({text}, 'NaN')" if pa.types.is_floating(kind) else text  # as of a Parquet file


def _typed(name: str, kind: pa.DataType) -> str:
    """A time's text as the type that it had: the options say what other text, and numbers, mean."""
    if pa.types.is_timestamp(kind):
        return f"TRY_CAST({name} AS {'TIMESTAMPTZ' if kind.tz else 'TIMESTAMP'})"
    return f"TRY_CAST({name} AS DATE)" if pa.types.is_date(kind) else name


# The connection -----------------------------------------------------------------------------------------------------


def _driver(table: str) -> Any:
    """The driver, an optional dependency."""
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise ConfigError(
            f"[sources.{table}] connection needs the package adbc-driver-postgresql; install segmentation[postgres]"
        ) from None
    return dbapi


def _connect(dbapi: Any, name: str, table: str) -> Any:
    setting = connection_variable(name)
    url = os.environ.get(setting, "")
    if not url:
        raise ConfigError(
            f"[sources.{table}] connection = {name!r}: set the environment variable {setting} to the database's URL, such "
            f"as {EXAMPLE}"
        )
    scheme, mark, _ = url.partition("://")
    if not mark or scheme not in SCHEMES:
        what = f"a URL of {scheme}://" if mark and re.fullmatch(r"[\w+.-]+", scheme) else "no URL"
        raise ConfigError(f"{setting} is {what}; this version reads PostgreSQL: write {EXAMPLE}")
    if "connect_timeout" not in url:
        url += f"{'&' if '?' in url else '?'}connect_timeout={CONNECT_SECONDS}"
    try:
        return dbapi.connect(url)
    except dbapi.Error as error:
        raise _unreached(setting, url, str(error)) from None


def _unreached(setting: str, url: str, text: str) -> ConfigError | SourceError:
    """Why there is no connection, in the server's words but without the user and the password."""
    _, mark, said = text.partition("connection to server ")
    if not mark and "translate host name" not in text:  # then libpq quotes a part of the URL, any part
        return ConfigError(
            f"{setting} is not a URL that PostgreSQL understands; write {EXAMPLE} (a % as %25, a / as %2F)"
        )
    said = " ".join(_without_user(said or text, url).split())
    if REFUSED.search(said):
        return ConfigError(f"the database refused the connection of {setting}: {said}; check its user and password")
    return SourceError(f"the database of {setting} cannot be reached: {said}; is it running?")


def _without_user(text: str, url: str) -> str:
    try:
        place = urlsplit(url)
        secrets = [place.password, place.username]
    except ValueError:
        return ""
    for secret in secrets:
        for spelling in {secret, unquote(secret)} if secret else ():
            text = text.replace(spelling, "***")
    return text


def _failed(name: str, table: str, error: Exception) -> ConfigError | SourceError:
    state = str(getattr(error, "sqlstate", None) or "")
    lines = FIRST_LINE.findall(str(error))
    said = lines[0] if lines else str(error).strip().split("\n")[0]
    passes = state.startswith(PASSING) if state else "ERROR:" not in str(error) or PASSING_WORDS.search(said)
    if passes:
        return SourceError(
            f"the database of {connection_variable(name)} went away, or could not answer: {said}; it is tried again, or run "
            "it again"
        )
    return ConfigError(f"[sources.{table}] sql failed: {said}{f' (SQLSTATE {state})' if state else ''}")
