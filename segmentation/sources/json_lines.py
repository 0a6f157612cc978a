"""JSON lines: one object per line, its keys the columns; those of an object in it are named as in customer.id.

Read as text, as CSV is: what a value means is decided later. A number stays as it is written.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from segmentation.errors import DataContractError
from segmentation.sources.files import BLOCK, open_text, resolve
from segmentation.sources.source_file import SourceFile
from segmentation.tables import TABLES, kinds

NO_JSON = "malformed line: not a JSON object"
KEY_TWICE = "malformed line: a key is there twice"
NESTED = "malformed line: {} is a list or an object, not a plain value"
NO_TEXT = "malformed line: {} is not Unicode text"


class JsonRecords:
    """The records of a file of JSON lines, as tables of text, about a megabyte at a time.

    `schema`: that of the tables: `row` (number of the record, from 1; blank lines do not count), `reason` and `line` (of a
    malformed line, else null), and all columns that the file may have (null where a line lacks one, or has empty text).
    `columns`: the canonical columns that it does have, in some line; known once all tables were taken.

    Raises DataContractError, at the end, when no line is an object, or none has a column that the mapping names or that
    the table must have; before, when the file is not text in its encoding.
    """

    def __init__(self, file: SourceFile, table: str, columns: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self._file, self._table, self._mapping, self._options = file, table, columns, options
        self._fields = {canonical: columns.get(canonical, canonical) for canonical in kinds(table, columns)}
        self.columns = tuple(self._fields)
        texts = [pa.field(name, pa.string()) for name in ("reason", "line", *self.columns)]
        self.schema = pa.schema([pa.field("row", pa.int64()), *texts])
        self._nested = any("." in field for field in self._fields.values())
        self._decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=str)

    def __iter__(self) -> Iterator[pa.Table]:
        seen: dict[str, None] = {}  # keys, in the order in which they came
        rows, first = 0, ""
        with open_text(self._file, self._table, self._options["encoding"]) as text:
            while lines := text.readlines(BLOCK):
                # Other codecs than utf-8's leave the mark at the file's begin.
                stripped = [line for raw in lines if (line := raw.strip("\ufeff \t\r\n"))]
                if stripped:
                    first = first or stripped[0]
                    records = [self._record(line, seen) for line in stripped]
                    values = list(zip(*records, strict=True))
                    numbers = pa.array(range(rows + 1, rows + 1 + len(records)), pa.int64())
                    rows += len(records)
                    yield pa.table([numbers, *(pa.array(column, pa.string()) for column in values)], schema=self.schema)
        self.columns = self._found(list(seen), first)

    def _found(self, seen: list[str], first: str) -> tuple[str, ...]:
        if seen:
            return tuple(resolve(self._file.name, seen, self._table, self._mapping))
        if first.strip("{} "):
            raise DataContractError(
                f"{self._file.name} has no line that is a JSON object with columns; write one object per line, or check the "
                f"file: its first line is {first[:200]!r}"
            )
        return tuple(name for name in self._fields if name in self._mapping or name in TABLES[self._table].REQUIRED)

    def _record(self, line: str, seen: dict[str, None]) -> list[str | None]:
        """A line's reason, itself, and the values of the columns."""
        try:
            found = self._decoder.decode(line)
        except _KeyTwiceError:
            return self._malformed(KEY_TWICE, line)
        except (ValueError, RecursionError):
            return self._malformed(NO_JSON, line)
        if not isinstance(found, dict):
            return self._malformed(NO_JSON, line)
        if self._nested or not found.keys() <= seen.keys():
            seen.update(dict.fromkeys(name for name, _ in flattened(found)))
        values: list[str | None] = [None, None]
        for canonical, field in self._fields.items():
            value = found.get(field) if field in found or not self._nested else _at(found, field)
            if isinstance(value, str):
                # Only an escape can make half a character.
                if "\\u" in line and not _is_text(value):
                    return self._malformed(NO_TEXT.format(canonical), line)
                values.append(value or None)
            elif value is None:
                values.append(None)
            elif isinstance(value, bool):
                values.append("true" if value else "false")
            else:
                return self._malformed(NESTED.format(canonical), line)
        return values

    def _malformed(self, reason: str, line: str) -> list[str | None]:
        return [reason, line, *(None for _ in self._fields)]


class _KeyTwiceError(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # which of the two is meant?
        raise _KeyTwiceError
    return found


def flattened(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys and values of an object, and after each object in it that one's, as `customer.id`."""
    for name, value in found.items():
        yield name, value
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", deeper) for inner, deeper in flattened(value))


def _at(found: Any, field: str) -> Any:
    """What an object has under a key, or in the objects that a key with points leads to; None if nothing."""
    if not isinstance(found, dict):
        return None
    if field in found:
        return found[field]
    name, _, rest = field.partition(".")
    return _at(found.get(name), rest) if rest else None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
