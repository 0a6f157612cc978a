"""A bounded look at files whose form is not known yet: how they are written, and values of their columns as text."""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation.errors import DataContractError
from segmentation.sources.files import DELIMITERS, unreadable
from segmentation.sources.json_lines import flattened
from segmentation.sources.places import ENDINGS
from segmentation.sources.source_file import CSV, JSON_LINES, PARQUET

LOOK_BYTES = 3 << 20  # from the beginning of the files together
TAIL_BYTES = 1 << 18  # and from the end of a file that is longer: to see until when its rows go
PEEK_BYTES = 1 << 16  # to see what a file's columns are called
LOOK_ROWS = 40_000  # of Parquet, which is read by rows
COUNTED_ROWS = 20_000_000  # of which the first and the last day are looked for
FILES_READ = 12  # of many files, from the first to the last
LONGEST_LINE = 60  # characters, in a message
LONGEST_FIELD = 16 << 20
NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")
DATE_LIKE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*")
HIGH = re.compile(rb"[\x80-\xff]+")

Values = dict[str, list[str | None]]
Ends = dict[str, tuple[date, date]]


@dataclass(frozen=True)
class Glimpse:
    """What some files of one form hold. `values`: a column's values, as text, null or not empty; `types`: of Parquet, the
    columns' types; `whole`: whether these are all rows. `by_file`: how many of the values are of each file looked into.
    `ends`: of Parquet, the smallest and the greatest value of a column of dates or timestamps, of all its rows."""

    paths: tuple[Path, ...]
    kind: str
    values: Values
    types: dict[str, str] = field(default_factory=dict)
    whole: bool = True
    by_file: tuple[tuple[Path, int], ...] = ()
    ends: Ends = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True

    @property
    def rows(self) -> int:
        return len(next(iter(self.values.values()), []))


def form_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """The kind of a file and its columns: files that agree in it belong together.

    Raises DataContractError when it is of no known kind, or cannot be read.
    """
    kind = _kind(path)
    if kind == PARQUET:
        try:
            return kind, tuple(pq.read_schema(path).names)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(str(path), error) from None
    if kind == JSON_LINES:
        # Which keys a line has may differ from line to line: files of one folder are one form.
        return kind, (str(path.parent),)
    text = _Text(path, PEEK_BYTES)
    names, _ = text.columns()
    return kind, tuple(names)


def look(paths: Sequence[Path]) -> Glimpse:
    """Values from the beginning of some files of one form, and from the end of one that is long.

    Raises DataContractError when one of them cannot be read, or has two columns of one name.
    """
    kind = _kind(paths[0])
    chosen = [paths[place] for place in _spread(len(paths), FILES_READ)]
    parts = [_READERS[kind](path, len(chosen)) for path in chosen]
    names = list(dict.fromkeys(name for part in parts for name in part.values))
    if not names:
        raise DataContractError(f"{paths[0]} has no rows with columns; give a sample that has some")
    encodings = [part.encoding for part in parts if part.encoding != "utf-8"]
    return Glimpse(
        paths=tuple(paths),
        kind=kind,
        values={name: [value for part in parts for value in part.of(name)] for name in names},
        types=parts[0].types,
        whole=len(chosen) == len(paths) and all(part.whole for part in parts),
        by_file=tuple((path, part.rows) for path, part in zip(chosen, parts, strict=True)),
        ends=_all_ends([part.ends for part in parts]),
        delimiter=parts[0].delimiter,
        encoding=encodings[0] if encodings else "utf-8",
        header=parts[0].header,
    )


@dataclass(frozen=True)
class _Part:
    values: Values
    whole: bool
    types: dict[str, str] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    ends: Ends = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(next(iter(self.values.values()), []))

    def of(self, name: str) -> list[str | None]:
        return self.values.get(name) or [None] * self.rows


def _kind(path: Path) -> str:
    for ending, kind in ENDINGS.items():
        if path.name.lower().endswith(ending):
            return kind
    raise DataContractError(f"{path} is none of {', '.join(ENDINGS)}; give a sample that is, or rename it")


def _spread(count: int, wanted: int) -> list[int]:
    """Places from the first to the last, evenly."""
    if count <= wanted:
        return list(range(count))
    return sorted({round(step * (count - 1) / (wanted - 1)) for step in range(wanted)})


# Text ---------------------------------------------------------------------------------------------------------------


class _Text:
    """The beginning of a text file in its encoding, and (`tail`) what is at the end of a longer one."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        data, self.whole = _beginning(path, size)
        self.size = len(data)
        if not data.strip():
            raise DataContractError(f"{path} is empty; give a sample with rows")
        self.encoding = encoding_of(data)
        if b"\0" in data[:PEEK_BYTES] and not self.encoding.startswith("utf-16"):
            raise DataContractError(f"{path} is not text, it has binary data in it; check the file")
        self.text = self._decoded(data)
        if not self.whole:
            self.text = self.text[: max(self.text.rfind("\n"), self.text.rfind("\r")) + 1] or self.text

    def _decoded(self, data: bytes) -> str:
        # The last character may be cut in two.
        decoder = codecs.getincrementaldecoder("utf-8-sig" if self.encoding == "utf-8" else self.encoding)
        return decoder("replace").decode(data, final=False)

    def tail(self) -> str:
        """Whole lines from the end; nothing if the file was seen already, or is compressed."""
        if self.whole or self.path.name.lower().endswith(".gz") or self.encoding.startswith("utf-16"):
            return ""
        with self.path.open("rb") as file:
            file.seek(max(self.size, self.path.stat().st_size - TAIL_BYTES))
            data = file.read()
        return data[data.find(b"\n") + 1 :].decode(self.encoding, "replace")

    def columns(self) -> tuple[list[str], str]:
        """The names of the columns of a CSV file (column0, … without a header), and the delimiter."""
        self.delimiter = delimiter_of(self.text)
        records = _records(self.text, self.delimiter, 200)
        if not records:
            raise DataContractError(f"{self.path} has no records; give a sample with rows")
        width = Counter(map(len, records)).most_common(1)[0][0]
        first = self.text.lstrip().splitlines()[0].strip()
        if re.fullmatch(r"sep=.", first):
            raise DataContractError(
                f"{self.path}: its first line, {first!r}, is meant for a spreadsheet; remove it, so that the names of the "
                "columns come first"
            )
        if len(records[0]) == 1 < width:
            raise DataContractError(
                f"{self.path}: its first line, {first[:LONGEST_LINE]!r}, has one value where most have {width}; remove what "
                "stands above the names of the columns"
            )
        self.header = len(records[0]) == width and has_header(records[0], records[1:])
        names = [value.strip() for value in records[0]] if self.header else [""] * width
        names = [name or f"column{place}" for place, name in enumerate(names)]
        (most, count), *_ = Counter(names).most_common(1)
        if count > 1:
            raise DataContractError(f"{self.path} has {count} columns {most!r}; give each column a name of its own")
        return names, self.delimiter


def _beginning(path: Path, size: int) -> tuple[bytes, bool]:
    """The first bytes, and whether they are all."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            data = file.read(size + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise unreadable(str(path), error) from None
    return data[:size], len(data) <= size


def encoding_of(data: bytes) -> str:
    """The encoding of text, guessed: UTF-8 if it is, UTF-16 if it says so, else GB 18030 where what is not ASCII stands in
    pairs, as Chinese does, else Windows-1252."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=False)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    runs = [len(run) for run in HIGH.findall(data)]
    paired = sum(length for length in runs if length % 2 == 0)
    if paired > 0.8 * sum(runs):
        try:
            codecs.getincrementaldecoder("gb18030")().decode(data, final=False)
            return "gb18030"
        except UnicodeDecodeError:
            pass
    return "cp1252"


def delimiter_of(text: str) -> str:
    """The mark that cuts most records into as many fields as the first one, in more than one."""
    best, score = ",", (0.0, 1)
    for mark in DELIMITERS:
        widths = [len(record) for record in _records(text, mark, 100)]
        if widths and widths[0] > 1:
            agreed = (round(sum(width == widths[0] for width in widths) / len(widths), 1), widths[0])
            if agreed > score:
                best, score = mark, agreed
    return best


def has_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names the columns: it has no number or date, and its texts are no values of the others."""
    named = [value.strip() for value in first]
    if not any(named) or any(NUMBER.fullmatch(value) or DATE_LIKE.fullmatch(value) for value in named):
        return False
    columns = [[row[place].strip() for row in others if len(row) > place] for place in range(len(named))]
    if any(
        value and (NUMBER.fullmatch(value) or DATE_LIKE.fullmatch(value)) for column in columns for value in column[:20]
    ):
        return True  # there are numbers or dates, and not in the first record
    return not any(value and value in column for value, column in zip(named, columns, strict=True))


def _records(text: str, delimiter: str, most: int | None = None) -> list[list[str]]:
    """The records that are not blank. What follows broken quotes is left."""
    csv.field_size_limit(LONGEST_FIELD)
    records: list[list[str]] = []
    try:
        for record in islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), most):
            if record:
                records.append(record)
    except csv.Error:
        pass
    return records


def _csv(path: Path, files: int) -> _Part:
    text = _Text(path, max(LOOK_BYTES // files, PEEK_BYTES))
    names, delimiter = text.columns()
    records = _records(text.text, delimiter)[int(text.header) :] + _records(text.tail(), delimiter)
    fitting = [record for record in records if len(record) == len(names)]
    columns = list(zip(*fitting, strict=True)) if fitting else [()] * len(names)
    values: Values = {
        name: [value.strip() or None for value in column] for name, column in zip(names, columns, strict=True)
    }
    return _Part(values, text.whole, {}, delimiter, text.encoding, text.header)


def _json(path: Path, files: int) -> _Part:
    text = _Text(path, max(LOOK_BYTES // files, PEEK_BYTES))
    objects = [dict(flattened(found)) for found in _objects(f"{text.text}\n{text.tail()}".splitlines())]
    names = list(dict.fromkeys(name for found in objects for name in found))
    values: Values = {name: [_plain(found.get(name)) for found in objects] for name in names}
    return _Part(values, text.whole, encoding=text.encoding)


def _objects(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line, parse_float=str, parse_int=str)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _plain(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() or None if isinstance(value, str) else None


# Parquet ------------------------------------------------------------------------------------------------------------


def _parquet(path: Path, files: int) -> _Part:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = max(LOOK_ROWS // files, 1000)
            total = file.metadata.num_rows
            batches = list(islice(file.iter_batches(batch_size=wanted), 1))
            if total > wanted and file.num_row_groups > 1:  # to see until when its rows go
                batches.append(file.read_row_group(file.num_row_groups - 1).slice(0, wanted).to_batches()[0])
            table = pa.Table.from_batches(batches, file.schema_arrow)
            ends = _ends(file, path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(str(path), error) from None
    if len(set(names)) < len(names):
        raise DataContractError(f"{path} has two columns of one name; give each column a name of its own")
    values = {name: _texts(table[name]) for name in names}
    types = {name: str(table.schema.field(name).type) for name in names}
    return _Part(values, total <= wanted, types, ends=ends)


def _ends(file: pq.ParquetFile, path: Path) -> Ends:
    """The first and the last day of each column of times, of all rows."""
    schema = file.schema_arrow
    names = [name for name in schema.names if pa.types.is_temporal(kind := schema.field(name).type) and _is_day(kind)]
    if not names or file.metadata.num_rows > COUNTED_ROWS:
        return {}
    found: Ends = {}
    table = pq.read_table(path, columns=names, use_threads=False)
    for name in names:
        days = pc.min_max(table[name].cast(pa.timestamp("us"), safe=False)).as_py()
        if days["min"] and days["max"]:
            found[name] = days["min"].date(), days["max"].date()
    return found


def _is_day(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and not kind.tz))


def _all_ends(ends: Sequence[Ends]) -> Ends:
    names = set.intersection(*(set(each) for each in ends))
    return {name: (min(each[name][0] for each in ends), max(each[name][1] for each in ends)) for name in sorted(names)}


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    try:
        texts = column.cast(pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return [None] * len(column)
    return [text.strip() or None if text is not None else None for text in texts]


_READERS = {CSV: _csv, JSON_LINES: _json, PARQUET: _parquet}
