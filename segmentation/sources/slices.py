"""A file is read once per content: split into slices for the days that it holds, and indexed.

    raw/<table>/<key>.json             the index: sealed, names the two below, written last
    raw/<table>/hashed/<key>.json      the hash of a large file in one state of its inode: it is not hashed again
    raw/<table>/<hash>.parquet         one row group per day, in the order of the days; rows in the order of the file
    quarantine/<table>/<hash>.csv      records without a day: malformed lines, missing or unreadable times

The key is a hash of the file's bytes and of everything else that decides how it is read: mapping, options, time zone.
"""

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation.config import Config, Recipe
from segmentation.errors import DataContractError, StoreError
from segmentation.features.engine import EPOCH
from segmentation.sources.places import find
from segmentation.sources.reading import Read, read
from segmentation.sources.source_file import DATABASE, SourceFile
from segmentation.store import quarantine
from segmentation.store.content import HASH_CHARACTERS, hash_bytes, hash_json, parquet_bytes, seal, unseal
from segmentation.store.objects import Objects

INDEX_VERSION = 2  # of the way files are read; another one reads every file again
AT = pa.timestamp("us", tz="UTC")
SMALL_FILE = 4 << 20  # bytes; hashed in about 10 ms
SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class FileIndex:
    """What a file holds. `days`: day → (row group, rows). `rows` = `undated` + the rows of all days.

    columns: the canonical columns that the file has, in their canonical order; reasons: of the undated rows, counted;
    copies: names of the other files with the same bytes, which do not count; elsewhere: rows of other days than the one
    that the file's name says, which do not count either (else it would depend on which files were looked at).
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
    elsewhere: int = 0

    @property
    def content(self) -> Hashable:
        """Equal for files that hold the same rows and count for the same days."""
        return self.key, frozenset(self.days)


def index(
    objects: Objects,
    config: Config,
    table: str,
    recipe: Recipe,
    others: Sequence[tuple[Recipe, date | None]] = (),
    days: Collection[date] = (),
    part: tuple[int, int] = (0, 1),
) -> tuple[FileIndex, ...]:
    """Every file that the table's source names now, in the order of the names; files of equal content count once.

    A file is read when its content is new, else only hashed. It is read as the recipe says; one that does not fit it (a
    column was renamed between two files, and the mapping with it) as the first of the other recipes that it fits. Beside
    each of these stands the day, if any, before which all rows of a file must be that it reads for the first time. Of a
    source that has its rows by day (a {date} in its path, a database) only these days are looked at. part: (number, of how
    many): only this share of the files, so that several processes can read at once.

    Raises DataContractError when there is no file, or one cannot be read or lacks a column, SourceError when a database
    cannot be asked.
    """
    source = config.sources.tables()[table]
    number, parts = part
    indexes: dict[Hashable, FileIndex] = {}
    for file in find(source, table, config, sorted(days))[number::parts]:
        key = _indexed(objects, file, [(recipe, None), *others], table)
        found = _own(load(objects, file.name, key, table), file.day)
        if first := indexes.get(found.content):
            found = replace(first, copies=(*first.copies, file.name))
        indexes[found.content] = found
    return tuple(indexes.values())


def _own(file: FileIndex, day: date | None) -> FileIndex:
    """The index of a file that is to hold the rows of one day only."""
    if day is None or EPOCH in file.days:  # of users, who are of no day
        return file
    own = {day: file.days[day]} if day in file.days else {}
    return replace(file, days=own, elsewhere=sum(rows for other, (_, rows) in file.days.items() if other != day))


def _indexed(objects: Objects, file: SourceFile, recipes: Sequence[tuple[Recipe, date | None]], table: str) -> str:
    """The key of the file's index by the first of the recipes that it fits; the file is read if that is not there."""
    sha256 = None if file.kind == DATABASE else _hash(objects, file, table)
    failures: list[DataContractError] = []
    tried = set()
    for recipe, before in recipes:
        reading = hash_json(_reading(recipe, table))
        if reading in tried:
            continue
        tried.add(reading)
        if sha256 and objects.exists(_place_of(table, key := _key(file, sha256, recipe, table))):
            return key
        try:
            found = read(file, recipe, table)
        except DataContractError as error:
            failures.append(error)
            continue
        if before and any(day >= before for day in found.days):
            continue
        if sha256 and _hash(objects, file, table) != sha256:
            raise OSError(f"{file.name} changed while it was read; run again when it is complete")
        return _kept(objects, file, sha256, found, recipe, table)
    raise failures[0]


def _kept(objects: Objects, file: SourceFile, sha256: str | None, found: Read, recipe: Recipe, table: str) -> str:
    """Keep what was read, the index last. Returns its key."""
    raw = f"raw/{table}/{hash_bytes(found.raw)}.parquet" if found.days else None
    if raw:
        objects.put(raw, found.raw)
    undated, _ = quarantine.put(objects, f"quarantine/{table}", found.undated)
    # The rows of a database have no bytes of a file: their content is what was read.
    # (All of the undated rows: of the quarantine only the first are written.)
    content = [file.day.isoformat() if file.day else None, raw, hash_bytes(parquet_bytes(found.undated))]
    key = _key(file, sha256 or hash_json(content), recipe, table)
    document = {
        "table": table,
        "sha256": sha256 or "",
        "columns": found.columns,
        "rows": found.undated.num_rows + sum(rows for _, rows in found.days.values()),
        "undated": found.undated.num_rows,
        "reasons": dict(sorted(Counter(found.undated["reason"].to_pylist()).items())),
        "days": {day.isoformat(): place for day, place in found.days.items()},
        "raw": raw,
        "quarantine": undated,
    }
    objects.put(_place_of(table, key), seal({"key": key, **document}))
    return key


def _key(file: SourceFile, sha256: str, recipe: Recipe, table: str) -> str:
    return hash_json(
        {"version": INDEX_VERSION, "kind": file.kind, "sha256": sha256, "sql": file.sql, **_reading(recipe, table)}
    )


def _reading(recipe: Recipe, table: str) -> dict[str, Any]:
    """What of a recipe decides how a file of the table is read."""
    return {
        "columns": recipe.columns[table],
        "options": recipe.options[table],
        "timezone": recipe.timezone,
    }


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

    Columns: `row` (number of the record in its file, from 1), `at` (timestamp[us, UTC]), the canonical columns as
    text, and `file` (name). Without rows, no more than `row`, `at` and `file`.

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
    """The first 128 bits of the SHA-256 of the file's bytes; of several files, of their hashes and of their names below the
    folder that they share: a query may tell them apart."""
    hashes = [_hash_of_path(objects, path, table) for path in file.paths]
    if len(hashes) == 1:
        return hashes[0]
    folder = os.path.commonpath(file.paths)
    names = [os.path.relpath(path, folder) for path in file.paths]
    return hash_json([list(pair) for pair in zip(names, hashes, strict=True)])


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
