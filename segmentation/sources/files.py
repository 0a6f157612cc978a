"""Files as they come: the columns that the mapping asks for, the records of CSV and Parquet files.

CSV is text only: what a value means is decided later, so that a bad value is a row in quarantine and never a crash. Every
line is part of a record or a malformed line. (So DuckDB's CSV reader is not used: version 2.0.1 loses the rows behind a
quote that is never closed without an entry in its reject table, gives no rows for some files in another encoding, and
refuses a file with two kinds of line ends.)
"""

import contextlib
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TextIO

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from segmentation.errors import ConfigError, DataContractError, did_you_mean
from segmentation.features.engine import connect
from segmentation.sources.source_file import SourceFile
from segmentation.tables import TABLES, kinds
from segmentation.times import quoted

DELIMITERS = ",;\t|"
BLOCK = 1 << 20  # characters that are read at once
# Python's own limit is 128 kB. Not more than needed: a quote that is never closed is looked for that far.
csv.field_size_limit(4 * BLOCK)
BLANK = ("\n", "\r\n", "\r")
LINE = re.compile(rb"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
HEADER_LINES = 100  # that the header may go on for after its first
LONGEST_LIST = 30  # of columns in a message
LONGEST_NAME = 60  # characters of a column's name in it: a file without a header has a customer's data there
TOO_FEW = "malformed line: too few columns"
TOO_MANY = "malformed line: too many columns"
BROKEN_QUOTES = "malformed line: broken quotes"


def resolve(name: str, fields: Sequence[str], table: str, columns: Mapping[str, str]) -> dict[str, int]:
    """Canonical column → place of its field in the file, for the canonical columns that the file has.

    Raises DataContractError when two fields have one name, or a field that is named or required is missing.
    """
    (most, count), *_ = Counter(fields).most_common(1) or [("", 0)]
    if count > 1:
        raise DataContractError(f"{name} has {count} columns {most!r}; give each column a name of its own")
    found, missing = {}, {}
    for canonical in kinds(table, columns):
        field = columns.get(canonical, canonical)
        if field in fields:
            found[canonical] = fields.index(field)
        elif canonical in columns or canonical in TABLES[table].REQUIRED:
            near = did_you_mean(field, fields)
            missing[canonical] = f"{field!r} ({near})" if near else repr(field)
    if missing:
        more = f" and {len(fields) - LONGEST_LIST} more" if len(fields) > LONGEST_LIST else ""
        shown = ", ".join(known[:LONGEST_NAME] for known in fields[:LONGEST_LIST])
        right = "the right one" if len(missing) == 1 else "the right ones"
        raise DataContractError(
            f"{name} has no column {', nor '.join(missing.values())}; its columns are: {shown}{more}. "
            f"Set [sources.{table}.columns] {' and '.join(missing)} to {right}"
        )
    return found


def unreadable(name: str, error: Exception) -> DataContractError:
    """What a library says about a file that it cannot read, as one line that names the file."""
    text = str(error).strip().splitlines()
    return DataContractError(f"{name} cannot be read: {text[0] if text else type(error).__name__}")


@contextlib.contextmanager
def open_text(file: SourceFile, table: str, encoding: str) -> Iterator[TextIO]:
    """The text of a file (.gz: that is in it), its line ends as they are.

    Raises ConfigError when the encoding is none of text, DataContractError (also from inside the block) when the file is
    not text in it, or is no whole gzip file.
    """
    path = file.paths[0]
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    try:
        with opener(path, "rb") as binary, io.TextIOWrapper(binary, codec, newline="") as text:
            yield text
    except LookupError:
        raise ConfigError(
            f"[sources.{table}.options] encoding = {encoding!r} is not one of text; write utf-8, latin-1, cp1252, …"
        ) from None
    except UnicodeError:
        raise DataContractError(
            f"{file.name} is not {encoding} text; set [sources.{table}.options] encoding, or check the file"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise unreadable(file.name, error) from None


# Parquet ------------------------------------------------------------------------------------------------------------


def parquet_records(file: SourceFile, table: str, columns: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """A DuckDB query for the records of a Parquet file, and its canonical columns.

    The query gives `row` (number of the record, from 1) and the canonical columns, as they came.
    Raises DataContractError when the file is not Parquet or lacks a column that the mapping names.
    """
    path = re.sub(r"([*?\[])", r"[\1]", str(file.paths[0]))  # else a name with these would be a pattern
    options = "file_row_number = true, binary_as_string = true, hive_partitioning = false"
    scan = f"read_parquet({quoted(path)}, {options})"
    try:
        fields = [str(name) for name in pq.read_schema(file.paths[0]).names]
        # DuckDB's names tell columns apart whatever their case: by place they are those of the file.
        with connect() as session:
            names = session.sql(f"SELECT * EXCLUDE file_row_number FROM {scan}").columns
    except (pa.ArrowException, duckdb.Error) as error:
        raise unreadable(file.name, error) from None
    found = resolve(file.name, fields, table, columns)
    picked = ", ".join(f"{identifier(names[place])} AS {identifier(column)}" for column, place in found.items())
    return f"SELECT file_row_number + 1 AS row, {picked} FROM {scan}", tuple(found)


def identifier(name: str) -> str:
    """A name as SQL text."""
    return '"' + name.replace('"', '""') + '"'


# CSV ----------------------------------------------------------------------------------------------------------------


class CsvRecords:
    """The records of a CSV file, as tables of text, about a megabyte at a time.

    `columns`: the canonical columns that the file has; `schema`: that of the tables. Each table has `row` (number of the
    record, from 1; blank lines do not count), `reason` and `line` (of a malformed line, else null) and the columns (empty
    text is null); its rows are in no order.

    Raises DataContractError when the file is empty, not text in its encoding, or lacks a column that the mapping names.
    """

    def __init__(self, file: SourceFile, table: str, columns: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self._file, self._table, self._options = file, table, options
        with self._text() as text:
            fields, self._delimiter = self._opening(text)
        self._width = len(fields)
        self._places = resolve(file.name, fields, table, columns)
        self.columns = tuple(self._places)
        texts = [pa.field(name, pa.string()) for name in ("reason", "line", *self.columns)]
        self.schema = pa.schema([pa.field("row", pa.int64()), *texts])

    def __iter__(self) -> Iterator[pa.Table]:
        first, data, more = 1, b"", b"more"
        with self._text() as text:
            if self._options["header"]:
                next(csv.reader((line for line in text if line not in BLANK), delimiter=self._delimiter, strict=True))
            while more:
                more = (text.read(BLOCK) + text.readline()).encode()
                table, data = self._parsed(data + more, first, not more)
                first += table.num_rows
                yield table

    def _parsed(self, data: bytes, first: int, final: bool) -> tuple[pa.Table, bytes]:
        """The records of some lines, numbered from `first`; and the last lines, if more must follow to tell what they are.

        The plain lines are parsed all at once; only an odd one, and those that its record goes on in, one at a time.
        """
        starts, odd_lines = self._lines(data)
        plain, rest = [], b""
        apart: list[dict[str, Any]] = []  # records of odd lines, and malformed lines
        end = joined = 0  # how far the lines are sorted; how many of them go on with a record
        for line, start in zip(odd_lines.tolist(), starts[odd_lines].tolist(), strict=True):
            if start < end:
                continue
            fields, reason, ends = self._record(data, start)
            if reason and ends[-1] == len(data) and not final:
                data, rest = data[:start], data[start:]
                break
            plain.append(data[end:start])
            number = first + line - joined
            if reason:  # a quote that does not close where it should costs its own line only
                end = ends[0]
                apart.append({"row": number, "reason": reason, "line": data[start:end].decode().rstrip("\r\n")})
            else:
                end = ends[-1]
                joined += int(starts.searchsorted(end)) - line - 1
                values = {column: fields[place] or None for column, place in self._places.items()}
                apart.append({"row": number, **values})
        table, misfits = self._parse(b"".join([*plain, data[end:]]))
        rows = np.arange(first, first + table.num_rows + len(misfits) + len(apart))
        rows = np.delete(rows, [record["row"] - first for record in apart])
        apart += [{"row": rows[place], "reason": reason, "line": line} for place, reason, line in misfits]
        table = table.add_column(0, "row", pa.array(np.delete(rows, [place for place, *_ in misfits]), pa.int64()))
        return pa.concat_tables([pa.Table.from_pylist(apart, self.schema), table], promote_options="default"), rest

    def _lines(self, data: bytes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the lines begin that are not blank, and which of them are odd.

        The others are records as they are: each quote opens or closes a field in its line, or is one of two that mean one.
        """
        if b'"' not in data:
            return np.array([], np.intp), np.array([], np.intp)
        framed = np.frombuffer(b"\n" + data + b"\n", np.uint8)
        breaks = (framed == ord("\n")) | (framed == ord("\r"))
        starts = np.flatnonzero(breaks[:-1] & ~breaks[1:])
        quotes = np.flatnonzero(framed[1:-1] == ord('"'))
        before = np.searchsorted(quotes, starts)  # quotes before the line
        counts = np.diff(before, append=len(quotes))
        closing = (np.arange(len(quotes)) - np.repeat(before, counts)) % 2
        beside = framed[quotes + 2 * closing]  # what is before an opening quote, or after a closing one
        misplaced = ~np.isin(beside, list(f'"\r\n{self._delimiter}'.encode()))
        lines = np.repeat(np.arange(len(starts)), counts)
        return starts, np.union1d(lines[misplaced], np.flatnonzero(counts % 2))

    def _record(self, data: bytes, start: int) -> tuple[list[str], str | None, list[int]]:
        """The fields of the record that begins at `start`, or why it is malformed; and where the lines end that were read."""
        ends = []

        def lines() -> Iterator[str]:
            for line in LINE.finditer(data, start):
                ends.append(line.end())
                yield line[0].decode()

        try:
            fields = next(csv.reader(lines(), delimiter=self._delimiter, strict=True))
        except csv.Error:
            return [], BROKEN_QUOTES, ends
        return fields, self._misfit(len(fields)), ends

    def _misfit(self, fields: int) -> str | None:
        return None if fields == self._width else TOO_FEW if fields < self._width else TOO_MANY

    def _parse(self, data: bytes) -> tuple[pa.Table, list[tuple[int, str | None, str]]]:
        """The table of records that are one line each; and those with too few or too many fields: (place, reason, line)."""
        misfits = []

        def keep(row: pa_csv.InvalidRow) -> str:
            misfits.append((row.number - 1, self._misfit(row.actual_columns), row.text))
            return "skip"

        names = [str(place) for place in range(self._width)]
        table = pa_csv.read_csv(
            pa.BufferReader(b"\n" + data),  # what looks like a byte order mark is a value, and no data is no error
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 2, column_names=names),
            parse_options=pa_csv.ParseOptions(delimiter=self._delimiter, invalid_row_handler=keep),
            convert_options=pa_csv.ConvertOptions(
                include_columns=[names[place] for place in self._places.values()],
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
        return table.rename_columns(self.columns), misfits

    def _text(self) -> contextlib.AbstractContextManager[TextIO]:
        return open_text(self._file, self._table, self._options["encoding"])

    def _opening(self, text: TextIO) -> tuple[list[str], str]:
        """The column names and the delimiter: the one, of the usual ones, that makes most columns of the first record."""
        name = self._file.name
        first = next((line for line in text if line not in BLANK), None)
        if first is None:
            raise DataContractError(f"{name} is empty, it has not even a header; write one or remove the file")
        if "\0" in first:
            raise DataContractError(
                f"{name} is not {self._options['encoding']} text, it begins with binary data; check the file, or set "
                f"[sources.{self._table}.options] encoding"
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
