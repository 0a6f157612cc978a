"""Tries what a day needs (configuration, sources, store, the day's contract) and tells what is wrong, without a trace.

Files are looked at in part, the newest first. Nothing is written but copies of parts of large files, to a temporary folder.
"""

import gzip
import hashlib
import os
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from glob import glob
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation.config import Config, Recipe, Source, load
from segmentation.contracts import expectations
from segmentation.contracts.gate import Figures, gate
from segmentation.contracts.rows import Split, split
from segmentation.errors import ConfigError, SegmentationError, StoreError
from segmentation.features.catalogue import model_features
from segmentation.features.engine import EPOCH
from segmentation.sources.completeness import waiting_for
from segmentation.sources.places import DATE, find
from segmentation.sources.reading import Read, read
from segmentation.sources.source_file import CSV, JSON_LINES, PARQUET, SourceFile
from segmentation.stages import check_day
from segmentation.store.recipes import refuse_new_model
from segmentation.store.store import open_store
from segmentation.tables import ACTIVITY, EVENTS, ORDERS, USERS, Kind, kinds

OK, WARNING, FAULT, SKIPPED = "ok", "warning", "fault", "skipped"
LOOK_BYTES = 64 << 20  # of a source
LOOK_ROWS = 1_000_000  # of a Parquet file
LOOK_FILES = 30  # the newest ones, by name
GZIP_RATIO = 10
FAULTS_SHOWN = 3  # of files that cannot be read
WEEKS_COMPARED = 4
NEARLY_EMPTY = 0.1  # of the rows that days usually have: such a day is not the one to try
LITTLE_SPACE = 100 << 20
VALUE_SHOWN = 60  # characters
STORE_FOLDERS = {"log", "raw", "recipes", "checkpoints", "snapshots", "accepted", "cells", "quarantine", "fits"}


@dataclass(frozen=True)
class Line:
    """The outcome of one check, in words. of_config: of a fault, whether it is the configuration's."""

    check: str
    status: str
    message: str
    of_config: bool = False


@dataclass(frozen=True)
class Report:
    """All checks in their order, and the day that was tried."""

    lines: tuple[Line, ...]
    day: date | None

    @property
    def exit_code(self) -> int:
        """0 without a fault, 2 with one of the configuration, else 1."""
        faults = [line for line in self.lines if line.status == FAULT]
        return 0 if not faults else 2 if any(line.of_config for line in faults) else 1


def check(path: Path, day: date | None = None) -> Report:
    """Try the configuration and what it names; `day`: the day whose rows are held to the contract, else the newest one.

    It goes on after a fault where it can. Nothing is written into the store or beside the configuration.
    """
    try:
        config = load(path)
    except SegmentationError as error:
        left = (
            Line(name, SKIPPED, "not tried: the configuration cannot be read") for name in ("sources", "store", "day")
        )
        return Report((*_faults("configuration", error), *left), day)
    lines = list(_configuration(config, path, day))
    recipe = config.recipe()
    with tempfile.TemporaryDirectory() as scratch:
        sources = config.sources.tables()
        looks = {
            table: _look(config, recipe, table, [day] if day else [], Path(scratch))
            for table, source in sources.items()
            if not source.connection
        }
        day = day or _newest(config, looks)
        for table, source in sources.items():
            if source.connection:
                looks[table] = _look(config, recipe, table, [day] if day else [], Path(scratch))
        for table in sources:
            lines += _source(f"source {table}", looks[table], recipe)
        lines += _store(config, recipe)
        lines += _contract(config, recipe, looks, day)
    return Report(tuple(lines), day)


def _faults(name: str, error: Exception) -> list[Line]:
    """The lines of an error's message: the configuration tells all of its faults at once."""
    of_config = isinstance(error, ConfigError)
    lines = str(error).splitlines() if of_config and name == "configuration" else [" ".join(str(error).split())]
    return [Line(name, FAULT, line, of_config) for line in lines if line.strip()]


def _configuration(config: Config, path: Path, day: date | None) -> Iterator[Line]:
    faults: list[Line] = []
    try:
        expectations.check(config.recipe())
    except ConfigError as error:
        faults += _faults("configuration", error)
    try:
        if day:
            check_day(config, day)
    except ConfigError as error:
        faults += _faults("configuration", error)
    yield from faults
    if not faults:
        tables = ", ".join(config.sources.tables())
        start, end = config.project.start, config.project.end
        span = f", from {start or 'the beginning'} to {end or 'the present'}" if start or end else ""
        yield Line(
            "configuration",
            OK,
            f"{path}: {tables}; days end at midnight in {config.project.timezone}{span}; windows of "
            f"{config.features.window_days} days",
        )


# Sources ------------------------------------------------------------------------------------------------------------


@dataclass
class _Look:
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


def _look(config: Config, recipe: Recipe, table: str, asked: Sequence[date], scratch: Path) -> _Look:
    source = config.sources.tables()[table]
    look = _Look()
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
    contents: dict[str, str] = {}
    for number, file in enumerate(chosen):
        try:
            part, taken, whole = _within(file, room, scratch / f"{table}{number}")
            content = _content(file) if whole else file.name
            if content in contents:  # as in a run, equal content counts once
                look.copies.append((file.name, contents[content]))
                continue
            contents[content] = file.name
            look.reads.append((file, read(part, recipe, table)))
        except (SegmentationError, OSError) as error:
            look.errors.append((file.name, error))
            continue
        room -= taken
        look.whole &= whole
        if room <= 0:
            break
    look.whole &= len(look.reads) + len(look.errors) + len(look.copies) == len(files)
    return look


def _days_to_find(source: Source, config: Config, asked: Sequence[date]) -> list[date]:
    """Of a source that has its rows by day, the days to look for: the one asked for with the weekdays that it is compared
    with, else those of the newest files."""
    if source.connection:
        return list(asked)
    patterns = (source.path,) if isinstance(source.path, str) else source.path or ()
    if not any(DATE in pattern for pattern in patterns):
        return []
    if asked:
        return [day - timedelta(weeks=weeks) for day in asked for weeks in range(WEEKS_COMPARED + 1)]
    found: set[date] = set()
    for pattern in patterns:
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


def _content(file: SourceFile) -> str:
    if file.kind not in (CSV, JSON_LINES, PARQUET):
        return file.name
    with file.paths[0].open("rb") as binary:
        return hashlib.file_digest(binary, "sha256").hexdigest()


def _newest(config: Config, looks: Mapping[str, _Look]) -> date | None:
    """The newest day of orders and events that is not nearly empty, among those that are to be published."""
    counts: Counter[date] = Counter()
    for table in (ORDERS, EVENTS):
        if table in looks:
            counts.update(looks[table].days)
    start, end = config.project.start or date.min, config.project.end or date.max
    inside = {day: rows for day, rows in counts.items() if start <= day <= end} or dict(counts)
    if not inside:
        return None
    usual = statistics.median(inside.values())
    return max(day for day, rows in inside.items() if rows >= NEARLY_EMPTY * usual)


def _source(name: str, look: _Look, recipe: Recipe) -> Iterator[Line]:
    table = name.split()[-1]
    if look.unasked:
        yield Line(name, SKIPPED, look.unasked)
        return
    yield from _unreadable(name, look)
    undated = Counter[str]()
    examples: dict[str, tuple[str, Mapping[str, Any]]] = {}
    rows = 0
    columns: dict[str, None] = {}
    for file, found in look.reads:
        rows += found.undated.num_rows + sum(count for _, count in found.days.values())
        columns.update(dict.fromkeys(found.columns))
        reasons = found.undated["reason"].to_pylist()
        undated.update(reasons)
        for place, reason in enumerate(reasons):
            if reason not in examples:
                examples[reason] = file.name, found.undated.slice(place, 1).to_pylist()[0]
    if rows:
        days = look.days
        when = f" on {len(days):,} days, {min(days)} to {max(days)}" if days else ""
        part = "" if look.whole else " in the part looked at"
        files = f"{len(look.reads)} of {look.files} files read" if look.files > 1 else "read"
        yield Line(name, OK, f"{files}: {rows:,} rows{when}{part}; columns {', '.join(columns)}")
    elif look.reads:
        yield Line(name, WARNING, f"{look.files} files, and none of those looked at has a row")
    elif not look.errors:
        yield Line(name, WARNING, "no file for the days looked for")
    for copy, original in look.copies:
        yield Line(
            name, WARNING, f"{copy} has the same bytes as {original}, they count once: remove the one that is a copy"
        )
    for reason, count in undated.most_common():
        file_name, row = examples[reason]
        status = FAULT if count == rows else WARNING
        yield Line(name, status, _rows_said(table, reason, count, rows, file_name, row, recipe))


def _unreadable(name: str, look: _Look) -> Iterator[Line]:
    """Why files could not be read: what is wrong with many in the same way is told of the first one."""
    same: dict[str, list[Exception]] = {}
    for file, error in look.errors:
        same.setdefault(str(error).replace(file, "") if file else str(error), []).append(error)
    for errors in list(same.values())[:FAULTS_SHOWN]:
        for line in _faults(name, errors[0]):
            more = f" (and {len(errors) - 1} more files like it)" if len(errors) > 1 else ""
            yield replace(line, message=line.message + more)
    if left := sum(map(len, list(same.values())[FAULTS_SHOWN:])):
        yield Line(name, FAULT, f"{left} more files cannot be read for other reasons")


def _rows_said(
    table: str, reason: str, count: int, rows: int, file: str, row: Mapping[str, Any], recipe: Recipe
) -> str:
    """Where rows are wrong, what was found there, and what to do: "orders.csv row 17: amount is not a number: '1,5' …"."""
    column = reason.split(" ")[0]
    known = kinds(table, recipe.columns[table])
    theirs = recipe.columns[table].get(column, column)
    value = row.get(column)
    # Ids and texts may be personal; times, numbers and flags tell what is wrong with them.
    shown = f", found {str(value)[:VALUE_SHOWN]!r}" if value and known.get(column, Kind.TEXT) != Kind.TEXT else ""
    of = f" (column {theirs!r})" if column in known and theirs != column else ""
    much = f"{count:,} of {rows:,} rows go" if count > 1 else "this row goes"
    return f"{file} row {row['row']}: {reason}{of}{shown}; {much} into quarantine. {_advice(table, reason, column)}"


def _advice(table: str, reason: str, column: str) -> str:
    options, columns = f"[sources.{table}.options]", f"[sources.{table}.columns]"
    if reason.startswith("malformed line"):
        return f"Check the quotes and the number of fields in that line, or {options} delimiter"
    if "is not a time" in reason or "is not in the years" in reason:
        return (
            f"Set {options} time_format or time_unit to how they are written, or {columns} {column} to another column"
        )
    if "clocks skipped" in reason:
        return "Check [project] timezone, or write times with their offset"
    if "is missing" in reason:
        return f"If they are many, set {columns} {column} to the right column"
    if "is not a number" in reason:
        return f"Set {options} decimal, or take out of the column what is no number (thousands are not separated)"
    if "is not a flag" in reason:
        return f"Write true or false, or set {columns} {column} to another column"
    if "duplicate" in reason and table == USERS:
        return "Of a user's rows the first one counts; remove the others from the source"
    if "duplicate" in reason:
        return f"Remove them from the source, or a column from {options} unique"
    return "Correct them in the source; what is right there may need another setting"


# The store ----------------------------------------------------------------------------------------------------------


def _store(config: Config, recipe: Recipe) -> Iterator[Line]:
    try:
        path = config.store_path()
    except ConfigError as error:
        yield from _faults("store", error)
        return
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir():
        yield Line("store", FAULT, f"{there} is a file; set [store] url to a folder")
        return
    if not os.access(there, os.W_OK | os.X_OK) or os.statvfs(there).f_flag & os.ST_RDONLY:
        yield Line("store", FAULT, f"{there} cannot be written to; give yourself the right to, or set [store] url")
    elif (free := os.statvfs(there).f_bavail * os.statvfs(there).f_frsize) < LITTLE_SPACE:
        yield Line("store", WARNING, f"{there} has {free / 2**20:.0f} MB left")
    if there != path:
        yield Line("store", OK, f"{path} will be made by the first run")
        return
    entries = {entry.name for entry in path.iterdir()}
    if entries and not entries & STORE_FOLDERS:
        yield Line("store", WARNING, f"{path} holds other files and no history; is it the right folder in [store] url?")
        return
    try:
        yield from _history(config, recipe)
    except (SegmentationError, OSError) as error:
        yield from _faults("store", error)
    except (KeyError, TypeError, ValueError) as error:  # what an older or a newer version wrote otherwise
        words = f"{path} cannot be read by this version ({type(error).__name__}: {error}); run `segmentation verify`"
        yield from _faults("store", StoreError(words))


def _history(config: Config, recipe: Recipe) -> Iterator[Line]:
    store = open_store(config)
    state = store.state()
    last = max(state.published, default=None)
    in_force = state.recipe_on(last or date.max)
    if in_force:
        before = store.recipe(in_force)
        if last:
            refuse_new_model(recipe, before)
        if state.accepted and not set(before.columns) & set(recipe.columns):
            raise ConfigError(
                f"[store] url = {config.store.url!r}: its history is made of {', '.join(before.columns)}, the configuration "
                f"has {', '.join(recipe.columns)}; is it another shop's? Set [store] url to a folder of its own"
            )
        gone = sorted(set(before.columns) - set(recipe.columns))
        if gone:
            yield Line(
                "store", WARNING, f"its history is made of {', '.join(gone)} as well, which is not configured any more"
            )
    published = f"{len(state.published):,} days published, the last is {last}" if last else "no day is published yet"
    yield Line("store", OK, f"{config.store_path()}: {published}, {len(state.accepted):,} accepted")


# The day's contract -------------------------------------------------------------------------------------------------


def _contract(config: Config, recipe: Recipe, looks: Mapping[str, _Look], day: date | None) -> Iterator[Line]:
    if day is None:
        yield Line("day", SKIPPED, "not tried: no day with rows was found; give one with --date")
        return
    name = f"day {day}"
    there = 0
    broken = False
    for table, look in looks.items():
        raw = look.raw(EPOCH if table == USERS else day)
        if raw is None:
            continue
        there += raw.num_rows if table in ACTIVITY else 0
        try:
            yield from _table(config, recipe, table, look, day, raw)
        except ConfigError as error:
            broken = True
            yield from _faults(name, error)
    if not there:
        yield _without_rows(config, looks, name)
        return
    if not broken:
        yield _features(recipe, looks, name)


def _table(config: Config, recipe: Recipe, table: str, look: _Look, day: date, raw: pa.Table) -> Iterator[Line]:
    name = f"{table} of {day}" if table != USERS else table
    parts = split(raw, recipe, table)
    rows = parts.accepted.sort_by([(column, "ascending") for column in parts.accepted.column_names])
    weekdays = [look.rows(day - timedelta(weeks=weeks)) for weeks in range(1, WEEKS_COMPARED + 1)]
    before = [count for count in weekdays if count] if look.whole or look.files > 1 else []
    verdict = gate(rows, Figures.of(parts, before), config.validation, table, recipe)
    for finding in (*verdict.critical, *verdict.warnings):
        status = FAULT if finding in verdict.critical else WARNING
        figures = ", ".join(f"{figure.replace('_', ' ')} {value}" for figure, value in finding.observed.items())
        yield Line(
            name, status, f"{finding.reason}{f' ({figures})' if figures else ''}{_gate_advice(finding.observed)}"
        )
    yield from (Line(name, WARNING, said) for said in _quarantined(parts, table, raw.num_rows, recipe))
    source = config.sources.tables()[table]
    for waiting in waiting_for(source, table, config, day, raw["at"], before) if table in ACTIVITY else ():
        yield Line(name, WARNING, f"not complete yet: {waiting}")
    if not verdict.critical:
        accepted = parts.accepted.num_rows
        yield Line(name, OK, f"{raw.num_rows:,} rows: {accepted:,} accepted, {raw.num_rows - accepted:,} in quarantine")


def _quarantined(parts: Split, table: str, rows: int, recipe: Recipe) -> Iterator[str]:
    found = parts.quarantined
    reasons = found["reason"].to_pylist()
    for reason, count in sorted(parts.reasons.items(), key=lambda pair: -pair[1]):
        example = found.slice(reasons.index(reason), 1).to_pylist()[0]
        yield _rows_said(table, reason, count, rows, example["file"], example, recipe)


def _gate_advice(observed: Iterable[str]) -> str:
    settings = {
        "quarantined_share": "; correct the rows named here, or raise [validation] max_quarantined_share",
        "unknown_event_share": "; name them in [sources.events.options.event_types]",
        "volume_ratio": "; is the day complete? [validation] volume_ratio says what is usual",
        "currencies": "; take one currency per configuration, or convert them in a query (sql)",
    }
    return next((settings[name] for name in observed if name in settings), "")


def _without_rows(config: Config, looks: Mapping[str, _Look], name: str) -> Line:
    if config.validation.empty_days == "allow":
        return Line(name, OK, "no rows, which is allowed")
    if all(look.whole for table, look in looks.items() if table in ACTIVITY):
        return Line(name, FAULT, 'no rows; give a day that has some, or set [validation] empty_days = "allow"')
    return Line(name, WARNING, "no rows in the part of the files that was looked at")


def _features(recipe: Recipe, looks: Mapping[str, _Look], name: str) -> Line:
    columns: set[str] = set()
    for table, look in looks.items():
        found = {column for _, part in look.reads for column in part.columns}
        if {"quantity", "unit_price"} <= found:
            found.add("amount")  # it is made of them
        columns |= {f"{table}.{column}" for column in found - {"unit_price"}} if table in ACTIVITY else set()
    try:
        names = model_features(recipe.clustering, columns)
    except SegmentationError as error:
        return _faults(name, error)[0]
    if not names:
        return Line(
            name, FAULT, f"no feature can be computed from {', '.join(sorted(columns))}; see `segmentation features`"
        )
    return Line(name, OK, f"segments are made by {', '.join(names)}")
