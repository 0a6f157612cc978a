"""A bounded look at a source: some of its files, the newest first, and of a large one its beginning."""

import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from glob import glob
from io import BytesIO
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation.config import Config, Recipe
from segmentation.errors import SegmentationError
from segmentation.features.engine import EPOCH
from segmentation.source_settings import Source
from segmentation.sources.listing import weekdays_before
from segmentation.sources.places import DATE, by_day, find
from segmentation.sources.reading import Read, read
from segmentation.sources.source_file import CSV, JSON_LINES, PARQUET, SourceFile

LOOK_BYTES = 64 << 20  # of a source
LOOK_ROWS = 1_000_000  # of a Parquet file
LOOK_FILES = 30  # the newest ones, by name
GZIP_RATIO = 10


@dataclass
class Look:
    """What was seen of a source: files there, those read (and whether whole), and what went wrong."""

    files: int = 0
    reads: list[tuple[SourceFile, Read]] = field(default_factory=list)
    whole: bool = True
    errors: list[tuple[str, Exception]] = field(default_factory=list)  # the file's name first
    copies: list[tuple[str, str]] = field(default_factory=list)  # a file, and the one that it has the bytes of
    unasked: str = ""

    def rows(self, day: date) -> int:
        return sum(found.days[day][1] for _, found in self.reads if day in found.days)

    @property
    def days(self) -> Counter[date]:
        counts: Counter[date] = Counter()
        for _, found in self.reads:
            counts.update({day: rows for day, (_, rows) in found.days.items() if day != EPOCH})
        return counts

    def raw(self, day: date) -> pa.Table | None:
        """The raw rows of a day, as the stages get them."""
        parts = []
        for file, found in self.reads:
            if day in found.days:
                part = pq.ParquetFile(BytesIO(found.raw)).read_row_group(found.days[day][0])
                parts.append(part.append_column("file", pa.repeat(file.name, part.num_rows)))
        return pa.concat_tables(parts, promote_options="default").combine_chunks() if parts else None


def look_at(config: Config, recipe: Recipe, table: str, asked: Sequence[date], scratch: Path) -> Look:
    source = config.sources.tables()[table]
    look = Look()
    if source.connection and not asked:
        look.unasked = f"the database of {source.connection!r} is asked by the day: give one with --date"
        return look
    try:
        files = find(source, table, config, _days_to_find(source, config, asked))
    except (SegmentationError, OSError) as error:
        look.errors.append(("", error))
        return look
    look.files = len(files)
    room = LOOK_BYTES
    chosen = sorted(files, key=lambda file: _nearness(file, asked), reverse=True)[:LOOK_FILES]
    contents: dict[str, tuple[str, Read]] = {}
    equal = 0
    for number, file in enumerate(chosen):
        try:
            part, taken, whole = _within(file, room, scratch / f"{table}{number}")
            content = _content(file) if whole else file.name
            if content in contents:  # as in a run, equal content counts once
                equal += 1
                first, found = contents[content]
                if found.days or found.undated.num_rows:  # files of a header only are alike, and no copies
                    look.copies.append((file.name, first))
                continue
            found = _own(read(part, recipe, table), file)
            contents[content] = file.name, found
            look.reads.append((file, found))
        except (SegmentationError, OSError) as error:
            look.errors.append((file.name, error))
            continue
        room -= taken
        look.whole &= whole
        if room <= 0:
            break
    look.whole &= len(look.reads) + len(look.errors) + equal == len(files)
    return look


def _days_to_find(source: Source, config: Config, asked: Sequence[date]) -> list[date]:
    """Of a source that has its rows by day, the days to look for: the one asked for with the weekdays that it is compared
    with, else those of the newest files."""
    if source.connection:
        return list(asked)
    if not by_day(source):
        return []
    if asked:
        return [other for day in asked for other in (day, *weekdays_before(day))]
    found: set[date] = set()
    for pattern in source.paths:
        for name in glob(pattern.replace(DATE, "*"), root_dir=config.root, recursive=True):
            for text in re.findall(r"\d{4}-\d{2}-\d{2}", name):
                with suppress(ValueError):
                    found.add(date.fromisoformat(text))
    return sorted(found)


def _nearness(file: SourceFile, asked: Sequence[date]) -> tuple[bool, str]:
    """Files of the days asked for first, then by name: the last are mostly the newest."""
    return any(day.isoformat() in file.name or f"{day:%Y%m%d}" in file.name for day in asked), file.name


def _within(file: SourceFile, room: int, place: Path) -> tuple[SourceFile, int, bool]:
    """The file, or a copy of as much of its beginning as there is room for; the bytes, and whether it is the whole."""
    if file.kind not in (CSV, JSON_LINES, PARQUET):
        return file, 0, True
    (path,) = file.paths
    size = path.stat().st_size
    zipped = path.name.lower().endswith(".gz")
    if file.kind == PARQUET:
        try:
            with pq.ParquetFile(path) as parquet:
                if parquet.metadata.num_rows <= LOOK_ROWS:
                    return file, size, True
                copy = place.with_suffix(".parquet")
                with pq.ParquetWriter(copy, parquet.schema_arrow) as writer:
                    for batch in islice(parquet.iter_batches(batch_size=LOOK_ROWS // 10), 10):
                        writer.write_batch(batch)
        except pa.ArrowException:
            return file, size, True  # reading it tells what is wrong
        return replace(file, paths=(copy,)), copy.stat().st_size, False
    if size * (GZIP_RATIO if zipped else 1) <= room:
        return file, size, True
    with gzip.open(path, "rb") if zipped else path.open("rb") as binary:
        try:
            data = binary.read(room)
        except (EOFError, gzip.BadGzipFile, OSError):
            return file, size, True
    copy = place.with_suffix(".csv" if file.kind == CSV else ".jsonl")
    copy.write_bytes(data[: data.rfind(b"\n") + 1] or data)
    return replace(file, paths=(copy,)), len(data), False


def _own(found: Read, file: SourceFile) -> Read:
    """What counts of a file that is to hold the rows of one day only."""
    if file.day is None or EPOCH in found.days:
        return found
    return replace(found, days={day: place for day, place in found.days.items() if day == file.day})


def _content(file: SourceFile) -> str:
    if file.kind not in (CSV, JSON_LINES, PARQUET):
        return file.name
    with file.paths[0].open("rb") as binary:
        return hashlib.file_digest(binary, "sha256").hexdigest()
