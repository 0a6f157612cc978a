"""Files as they come: which files a source names, and their records with the columns that the mapping asks for.

CSV is text only: what a value means is decided later, so that a bad value is a row in quarantine and never a crash. Every
line is part of a record or a malformed line. (So DuckDB's CSV reader is not used: version 2.0.1 loses the rows behind a
quote that is never closed without an entry in its reject table, gives no rows for some files in another encoding, and
refuses a file with two kinds of line ends.)
"""

import contextlib
import csv
import difflib
import glob
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from segmentation.config import Columns
from segmentation.errors import DataContractError
from segmentation.features.engine import connect

CANONICAL = tuple(Columns.model_fields)
REQUIRED = ("user_id", "ordered_at")
CSV, PARQUET = "csv", "parquet"
DELIMITERS = ",;\t|"
CHUNK_ROWS = 50_000
BLANK = ("\n", "\r\n", "\r")
HEADER_LINES = 100  # that the header may go on for after its first
LONGEST_LIST = 30  # of columns in a message
TOO_FEW = "malformed line: too few columns"
TOO_MANY = "malformed line: too many columns"
BROKEN_QUOTES = "malformed line: broken quotes"


@dataclass(frozen=True)
class SourceFile:
    """One thing to read: `name` is what people know it by (relative to the configuration), `paths` are its files."""

    name: str
    kind: str
    paths: tuple[Path, ...]


def find(path: str, root: Path) -> list[SourceFile]:
    """The files that a path or glob (relative to `root`) names, sorted by name.

    Raises DataContractError when there are none, or one is neither CSV nor Parquet.
    """
    names = sorted(name for name in glob.glob(path, root_dir=root, recursive=True) if (root / name).is_file())
    if not names:
        found = "no file matches" if glob.has_magic(path) else "there is no file"
        raise DataContractError(f"{found} {path!r} in {root}; check [sources.orders] path")
    return [SourceFile(Path(name).as_posix(), _kind(name), (root / name,)) for name in names]


def _kind(name: str) -> str:
    if name.lower().endswith((".csv", ".csv.gz")):
        return CSV
    if name.lower().endswith(".parquet"):
        return PARQUET
    raise DataContractError(
        f"{name} is neither CSV (.csv, .csv.gz) nor Parquet (.parquet); let [sources.orders] path name only such files"
    )


def resolve(name: str, fields: Sequence[str], columns: Columns) -> dict[str, int]:
    """Canonical column → place of its field in the file, for the canonical columns that the file has.

    Raises DataContractError when two fields have one name, or a field that is named or required is missing.
    """
    twice = next((field for field in fields if fields.count(field) > 1), None)
    if twice is not None:
        raise DataContractError(
            f"{name} has {fields.count(twice)} columns {twice!r}; give each column a name of its own"
        )
    found = {}
    for canonical in CANONICAL:
        mapped = getattr(columns, canonical)
        field = canonical if mapped is None else mapped
        if field in fields:
            found[canonical] = fields.index(field)
        elif mapped is not None or canonical in REQUIRED:
            near = difflib.get_close_matches(field, fields, n=1, cutoff=0.5)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            more = f" and {len(fields) - LONGEST_LIST} more" if len(fields) > LONGEST_LIST else ""
            raise DataContractError(
                f"{name} has no column {field!r}{hint}; its columns are: {', '.join(fields[:LONGEST_LIST])}{more}. "
                f"Set [sources.orders.columns] {canonical} to the right one"
            )
    return found


def unreadable(name: str, error: Exception) -> DataContractError:
    """What a library says about a file that it cannot read, as one line that names the file."""
    text = str(error).strip().splitlines()
    return DataContractError(f"{name} cannot be read: {text[0] if text else type(error).__name__}")


# Parquet ------------------------------------------------------------------------------------------------------------


def parquet_records(file: SourceFile, columns: Columns) -> tuple[str, tuple[str, ...]]:
    """A DuckDB query for the records of a Parquet file, and its canonical columns.

    The query gives `row` (number of the record, from 1) and the canonical columns, as they came.
    Raises DataContractError when the file is not Parquet or lacks a column that the mapping names.
    """
    scan = f"read_parquet({quoted(file.paths[0])}, file_row_number = true, binary_as_string = true)"
    try:
        fields = [str(name) for name in pq.read_schema(file.paths[0]).names]
        # DuckDB's names tell columns apart whatever their case: by place they are those of the file.
        with connect() as session:
            names = session.sql(f"SELECT * EXCLUDE file_row_number FROM {scan}").columns
    except (pa.ArrowException, duckdb.Error) as error:
        raise unreadable(file.name, error) from None
    found = resolve(file.name, fields, columns)
    picked = ", ".join(f'"{names[place].replace(chr(34), chr(34) * 2)}" AS {column}' for column, place in found.items())
    return f"SELECT file_row_number + 1 AS row, {picked} FROM {scan}", tuple(found)


def quoted(text: object) -> str:
    """Text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


# CSV ----------------------------------------------------------------------------------------------------------------


class CsvRecords:
    """The records of a CSV file, as tables of text, about 50,000 at a time.

    `columns`: the canonical columns that the file has; `schema`: that of the tables. Each table has `row` (number of the
    record, from 1; blank lines do not count), `reason` and `line` (of a malformed line, else null) and the columns (empty
    text is null); its rows are in no order.

    Raises DataContractError when the file is empty, not text in its encoding, or lacks a column that the mapping names.
    """

    def __init__(self, file: SourceFile, columns: Columns, options: dict[str, Any]) -> None:
        self._file = file
        self._options = options
        with self._text() as text:
            fields, self._delimiter = self._opening(text)
        self._width = len(fields)
        self._places = resolve(file.name, fields, columns)
        self.columns = tuple(self._places)
        texts = [pa.field(name, pa.string()) for name in ("reason", "line", *self.columns)]
        self.schema = pa.schema([pa.field("row", pa.int64()), *texts])
        # A whole record in one line: every field is without quotes, or quoted from end to end.
        value = rf"(?:[^\"{re.escape(self._delimiter)}\r\n]*|\"(?:[^\"\r\n]|\"\")*\")"
        self._whole = re.compile(rf"{value}(?:{re.escape(self._delimiter)}{value})*[\r\n]*").fullmatch

    def __iter__(self) -> Iterator[pa.Table]:
        chunk = _Chunk()
        number = -1 if self._options["header"] else 0
        back: list[str] = []  # lines to read again, the next one last
        with self._text() as text:
            while line := back.pop() if back else next(text, ""):
                if line in BLANK:
                    continue
                number += 1
                if '"' not in line or self._whole(line):
                    if number:
                        chunk.lines.append(line)
                        chunk.rows.append(number)
                else:
                    fields, reason = self._record(line, text, back)
                    if number and reason is None:
                        chunk.odd.append((number, *(fields[place] or None for place in self._places.values())))
                    elif number:
                        chunk.malformed.append((number, reason, line.rstrip("\r\n")))
                if len(chunk.lines) + len(chunk.odd) + len(chunk.malformed) >= CHUNK_ROWS:
                    yield self._table(chunk)
                    chunk = _Chunk()
            yield self._table(chunk)

    def _record(self, line: str, text: TextIO, back: list[str]) -> tuple[list[str], str | None]:
        """The fields of the record that begins with `line` and may go on in the next ones; or why it is malformed.

        A quote that does not close where it should costs its own line only: the others go `back`, to be read again.
        """
        taken = []

        def lines() -> Iterator[str]:
            following = line
            while following:
                taken.append(following)
                yield following
                following = back.pop() if back else next(text, "")

        try:
            fields = next(csv.reader(lines(), delimiter=self._delimiter, strict=True))
        except csv.Error:
            fields, reason = [], BROKEN_QUOTES
        else:
            if len(fields) == self._width:
                return fields, None
            reason = TOO_FEW if len(fields) < self._width else TOO_MANY
        back.extend(reversed(taken[1:]))
        return [], reason

    def _table(self, chunk: "_Chunk") -> pa.Table:
        tables = [self.schema.empty_table()]
        if chunk.lines:
            tables.append(self._parse(chunk))
        for names, rows in ((("row", *self.columns), chunk.odd), (("row", "reason", "line"), chunk.malformed)):
            part = [self.schema.field(name) for name in names]
            values = zip(*rows, strict=True) if rows else [[]] * len(part)
            arrays = [pa.array(column, kind.type) for column, kind in zip(values, part, strict=True)]
            tables.append(pa.Table.from_arrays(arrays, schema=pa.schema(part)))
        return pa.concat_tables(tables, promote_options="default")

    def _parse(self, chunk: "_Chunk") -> pa.Table:
        """The table of records that are one line each; those with too few or too many fields go to the malformed."""
        bad = []

        def keep(row: pa_csv.InvalidRow) -> str:
            place = row.number - 1
            bad.append(place)
            reason = TOO_FEW if row.actual_columns < row.expected_columns else TOO_MANY
            chunk.malformed.append((chunk.rows[place], reason, chunk.lines[place].rstrip("\r\n")))
            return "skip"

        data = "".join(chunk.lines).encode()
        names = [str(place) for place in range(self._width)]
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter, ignore_empty_lines=False, invalid_row_handler=keep
            ),
            convert_options=pa_csv.ConvertOptions(
                include_columns=[names[place] for place in self._places.values()],
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        ).rename_columns(self.columns)
        for place in sorted(bad, reverse=True):
            del chunk.rows[place]
        return table.add_column(0, "row", pa.array(chunk.rows, pa.int64()))

    @contextlib.contextmanager
    def _text(self) -> Iterator[TextIO]:
        path, encoding = self._file.paths[0], self._options["encoding"]
        opener = gzip.open if path.name.lower().endswith(".gz") else open
        codec = "utf-8-sig" if encoding == "utf-8" else encoding
        with opener(path, "rb") as binary, io.TextIOWrapper(binary, codec, newline="") as text:
            try:
                yield text
            except UnicodeError:
                raise DataContractError(
                    f"{self._file.name} is not {encoding} text; set [sources.orders.options] encoding, or check the file"
                ) from None
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise unreadable(self._file.name, error) from None

    def _opening(self, text: TextIO) -> tuple[list[str], str]:
        """The column names and the delimiter: the one, of the usual ones, that makes most columns of the first record."""
        name = self._file.name
        first = next((line for line in text if line not in BLANK), None)
        if first is None:
            raise DataContractError(f"{name} is empty, it has not even a header; write one or remove the file")
        if "\0" in first:
            raise DataContractError(
                f"{name} is not {self._options['encoding']} text, it begins with binary data; check the file, or set "
                "[sources.orders.options] encoding"
            )
        lines = [first, *islice(text, HEADER_LINES)]
        candidates = [self._options["delimiter"]] if self._options["delimiter"] else list(DELIMITERS)
        parsed = {}
        for mark in candidates:
            with contextlib.suppress(csv.Error):  # quotes in the header rule this one out
                parsed[mark] = next(csv.reader(lines, delimiter=mark, strict=True))
        if not parsed:
            raise DataContractError(f"{name} cannot be read: its first line has broken quotes: {first.strip()[:200]}")
        delimiter = max(parsed, key=lambda mark: len(parsed[mark]))
        fields = [value.strip() if self._options["header"] else "" for value in parsed[delimiter]]
        return [value or f"column{place}" for place, value in enumerate(fields)], delimiter


@dataclass
class _Chunk:
    """Records on their way to a table: whole lines with their numbers, odd ones, malformed ones (number, reason, line)."""

    lines: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    odd: list[tuple[Any, ...]] = field(default_factory=list)
    malformed: list[tuple[int, str | None, str]] = field(default_factory=list)
