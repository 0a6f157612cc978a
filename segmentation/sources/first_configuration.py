"""A first configuration, from samples of a shop's files: what `segmentation init` writes."""

import glob
import json
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError
from segmentation.sources.glimpse import Glimpse, form_of, look
from segmentation.sources.guessing import Guess, guess, needed
from segmentation.sources.joining import Join, joined
from segmentation.sources.places import DATE, ENDINGS
from segmentation.sources.profiles import Column, day_in, profiles, span
from segmentation.sources.source_file import CSV
from segmentation.tables import EVENTS, ORDERS, REVIEWS, TABLES, USERS

WINDOWS = (
    1,
    3,
    7,
    14,
    28,
    90,
    180,
    365,
)  # days; the longest that leaves two thirds of the days seen to be published ...
WEEK = 7  # ... but a week at least, if more days than that were seen: shorter ones show one weekday and not another
FIRST_LOOK = 28  # days that the first backfill publishes
UNKNOWN_SHARE = 0.3  # of events of types that are not known: more, and they are written as the shop's own
LONGEST_LIST = 12
ZONED = re.compile(r"\d(Z|[+-]\d\d:?\d\d)$")
COMMENTS = 34  # where comments begin


@dataclass(frozen=True)
class Planned:
    """One source to be written."""

    guess: Guess
    paths: tuple[str, ...]
    join: Join | None = None
    notes: tuple[str, ...] = ()
    days: tuple[date, date] | None = None
    exact: bool = True  # whether the days are all that the files have

    @property
    def table(self) -> str:
        return self.guess.table

    @property
    def names(self) -> dict[str, str]:
        """Canonical column → the sample's, in the canonical order."""
        picked = self.join.columns if self.join else {name: (0, column) for name, column in self.guess.columns.items()}
        order = list(TABLES[self.table].kinds())
        names = sorted(picked, key=lambda name: order.index(name) if name in order else len(order))
        return {name: picked[name][1].name for name in names}


@dataclass(frozen=True)
class First:
    """A first configuration. `text`: TOML; `unsure`: what to look at, in sentences; `backfill`: from and to which day."""

    text: str
    planned: tuple[Planned, ...]
    unsure: tuple[str, ...]
    left_out: tuple[str, ...]
    backfill: tuple[date, date] | None


def first_configuration(samples: Sequence[str], root: Path) -> First:
    """What the samples are, and a configuration that reads them; its paths are relative to `root`.

    samples: files (CSV, Parquet, JSON lines), folders or globs of such. They are looked at in part.
    Raises DataContractError when there are none, one cannot be read, is no table that is known, or lacks a column that the
    table must have; ConfigError when two are the same table.
    """
    groups = _groups(samples)
    glimpses = [look(paths) for paths in groups]
    columns = [profiles(glimpse) for glimpse in glimpses]
    guesses = [guess(glimpse, found) for glimpse, found in zip(glimpses, columns, strict=True)]
    chosen: list[tuple[Guess, Join | None]] = []
    for place in range(len(glimpses)):
        if (meant := joined(place, glimpses, columns, guesses[place])) is not None:
            chosen.append(meant)
    chosen = _one_each(chosen)
    helpers = {id(link.glimpse) for _, join in chosen if join for link in join.links}
    used = helpers | {id(each.glimpse) for each, _ in chosen}
    left_out = []
    for glimpse, could_be, found in zip(glimpses, guesses, columns, strict=True):
        if id(glimpse) not in used:
            if not _from_folder(glimpse, samples) or not chosen:
                raise needed(could_be, glimpse, found)
            left_out.append(f"{_shown(glimpse.paths[0], root)}: no table, or one that lacks a user or a time")
    if not any(each.table in (ORDERS, EVENTS) for each, _ in chosen):
        tables = ", ".join(each.table for each, _ in chosen)
        raise DataContractError(f"the samples are {tables} only; give one of orders or events as well")
    planned = tuple(
        sorted((_plan(each, join, root) for each, join in chosen), key=lambda each: list(TABLES).index(each.table))
    )
    days = _days_of(planned)
    window = _window(planned, days)
    backfill = None
    if days:
        first, last = days
        backfill = (max(min(first + timedelta(days=window - 1), last), last - timedelta(days=FIRST_LOOK - 1)), last)
    text = "\n".join(_text(planned, samples, days, window, left_out)) + "\n"
    Config(**tomllib.loads(text), root=root)  # what is written can be read
    unsure = tuple(
        f"[sources.{each.table}] {name}: {why}" for each in planned for name, why in sorted(each.guess.unsure.items())
    )
    return First(text, planned, unsure, tuple(left_out), backfill)


def _one_each(chosen: list[tuple[Guess, Join | None]]) -> list[tuple[Guess, Join | None]]:
    """At most one sample per table: one that another of the same table is joined with is in that."""
    kept = []
    for each, join in chosen:
        rivals = [(other, link) for other, link in chosen if other.table == each.table and other is not each]
        if any(link and each.glimpse in [step.glimpse for step in link.links] for _, link in rivals):
            continue
        kept.append((each, join))
    for each, _ in kept:
        for other, _ in kept:
            if other is not each and other.table == each.table:
                raise ConfigError(
                    f"{each.glimpse.paths[0]} and {other.glimpse.paths[0]} are both {each.table}, with other columns; give "
                    f"one of them, or write a query over both as [sources.{each.table}] sql"
                )
    return kept


# Files --------------------------------------------------------------------------------------------------------------


def _groups(samples: Sequence[str]) -> list[list[Path]]:
    """The files that the samples name, those of one form together."""
    forms: dict[Any, list[Path]] = {}
    for sample in samples:
        for path in _files(sample):
            group = forms.setdefault(form_of(path), [])
            if path not in group:
                group.append(path)
    return [sorted(paths) for paths in forms.values()]


def _files(sample: str) -> list[Path]:
    path = Path(sample)
    endings = tuple(ENDINGS)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(each for each in path.rglob("*") if each.is_file() and each.name.lower().endswith(endings))
        what = f"the folder {sample} has no file of"
    else:
        found = sorted(Path(name) for name in glob.glob(sample, recursive=True) if Path(name).is_file())
        if not found:
            what = "no file matches" if glob.has_magic(sample) else "there is no file or folder"
            raise DataContractError(f"{what} {sample}; give a sample of the shop's data")
        found = [each for each in found if each.name.lower().endswith(endings)]
        what = f"no file that matches {sample} is one of"
    if not found:
        raise DataContractError(f"{what} {', '.join(endings)}; give a sample of the shop's data")
    return found


def _from_folder(glimpse: Glimpse, samples: Sequence[str]) -> bool:
    return not any(Path(sample) in glimpse.paths for sample in samples)


def _shown(path: Path, root: Path) -> str:
    """A path for the configuration: relative to its folder if it is in it."""
    full = Path(os.path.abspath(path))
    base = Path(os.path.abspath(root))
    return full.relative_to(base).as_posix() if full.is_relative_to(base) else full.as_posix()


def _pattern(guess: Guess, root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What names the files in the configuration, and what is to be said about it."""
    shown = [_shown(path, root) for path in guess.glimpse.paths]
    dated = [day_in(Path(name).name) for name in shown]
    if guess.time and all(dated):
        templates = {_dated(name, found[0], DATE) for name, found in zip(shown, dated, strict=True) if found}
        if len(templates) == 1:
            (template,) = templates
            spelled = dated[0][0] if dated[0] else ""
            iso = re.fullmatch(r"\d{4}-\d{2}-\d{2}", spelled)
            if iso and _rows_are_of_their_file(guess):
                return (template,), (f"{DATE} is the day, YYYY-MM-DD: only the files of the days asked for are opened",)
            why = "some rows are of another day than their file" if iso else "its date is not written YYYY-MM-DD"
            return (template.replace(DATE, "*"),), (f"a glob and not {DATE}: {why}",)
    if len(shown) == 1:
        return (glob.escape(shown[0]),), ()
    ending = next(each for each in ENDINGS if shown[0].lower().endswith(each))
    folder = glob.escape(os.path.commonpath([os.path.dirname(name) or "." for name in shown]))
    folder = "" if folder == "." else f"{folder}/"
    for pattern in (f"{folder}*{ending}", f"{folder}**/*{ending}"):
        if set(glob.glob(pattern, root_dir=root, recursive=True)) == set(shown):
            return (pattern,), ()
    return tuple(glob.escape(name) for name in shown), ()


def _dated(name: str, spelled: str, mark: str) -> str:
    return mark.join(glob.escape(part) for part in name.split(spelled))


def _rows_are_of_their_file(guess: Guess) -> bool:
    days = guess.form.days if guess.form else ()
    start = 0
    for path, rows in guess.glimpse.by_file:
        found = day_in(path.name)
        if any(day and found and day != found[1] for day in days[start : start + rows]):
            return False
        start += rows
    return True


# The plan -----------------------------------------------------------------------------------------------------------


def _plan(each: Guess, join: Join | None, root: Path) -> Planned:
    paths, notes = _pattern(each, root)
    if join:
        paths, notes = tuple(_pattern_of(glimpse, root) for glimpse in (each.glimpse, *join.glimpses)), ()
    return Planned(each, paths, join, notes, *_days(each, join, paths, root))


def _pattern_of(glimpse: Glimpse, root: Path) -> str:
    names = [_shown(path, root) for path in glimpse.paths]
    return names[0] if len(names) == 1 else f"{os.path.commonpath([os.path.dirname(name) for name in names])}/*"


def _days(each: Guess, join: Join | None, paths: Sequence[str], root: Path) -> tuple[tuple[date, date] | None, bool]:
    """The first and the last day of the source's rows, and whether they are all seen."""
    column, glimpse = (join.time if join and join.time else None) or (each.time, each.glimpse)
    if column is None or not column.forms or each.table == USERS:
        return None, True
    found = [span(column.forms[0].days), glimpse.ends.get(column.name)]
    exact = glimpse.whole or column.name in glimpse.ends
    if len(paths) == 1 and DATE in paths[0]:
        siblings = glob.glob(paths[0].replace(DATE, "*"), root_dir=root)
        named = [there[1] for name in siblings if (there := day_in(Path(name).name))]
        if named:
            return (min(named), max(named)), True
    ends = [pair for pair in found if pair]
    return ((min(pair[0] for pair in ends), max(pair[1] for pair in ends)) if ends else None), exact


def _days_of(planned: Sequence[Planned]) -> tuple[date, date] | None:
    """Those of the first of orders and events."""
    return next((each.days for each in planned if each.days and each.table in (ORDERS, EVENTS)), None)


def _window(planned: Sequence[Planned], days: tuple[date, date] | None) -> int:
    usual = 90 if any(each.table == ORDERS for each in planned) else 28
    if days is None or days[0] == days[1]:
        return usual
    seen = (days[1] - days[0]).days + 1
    return max(window for window in WINDOWS if window <= max(seen / 3, 1) or window == WEEK < seen)


# The text -----------------------------------------------------------------------------------------------------------


def _text(
    planned: Sequence[Planned],
    samples: Sequence[str],
    days: tuple[date, date] | None,
    window: int,
    left_out: Sequence[str],
) -> Iterator[str]:
    listed = ", ".join(samples[:3]) + (f" and {len(samples) - 3} more" if len(samples) > 3 else "")
    yield f"# Written by `segmentation init` from {_one_line(listed)}."
    yield "# It runs as it is. Look at what is marked unsure; try it with `segmentation check`. An unknown setting is an error."
    yield from (f"# Left out: {_one_line(name)}" for name in left_out)
    yield ""
    yield "[project]"
    yield from _project(planned, days, window)
    yield ""
    yield "[store]"
    yield _entry('url = "file:store"', "where the history is kept: a folder, relative to this file")
    for each in planned:
        yield ""
        yield from _source(each)
    yield ""
    yield "[features]"
    number = (days[1] - days[0]).days + 1 if days else 1
    seen = "usual"
    if number > 1:
        seen = (
            f"a third of the {number} days seen, or less" if window <= max(number / 3, 1) else f"of {number} days seen"
        )
    yield _entry(f"window_days = {window}", f"how many days back a user's behaviour is looked at ({seen})")
    yield ""
    yield "[clustering]"
    yield _entry('segments = "auto"', "how many: chosen from the data; or a number")


def _zoned(each: Planned) -> bool:
    """Whether the times say from which offset of UTC they are."""
    column = each.guess.columns.get(TABLES[each.table].TIME or "")
    return column is not None and (
        "tz=" in column.type or any(ZONED.search(value) for value in islice(column.counts, 20))
    )


def _project(planned: Sequence[Planned], days: tuple[date, date] | None, window: int) -> Iterator[str]:
    forms = [form for each in planned if (form := _form_of(each))]
    instants = any(form.unit or "%z" in (form.form or "") for form in forms) or any(map(_zoned, planned))
    why = "; unsure: the times are instants, so name the shop's own zone" if instants else ""
    yield _entry('timezone = "UTC"', f'whose midnight ends a day, such as "Europe/London"{why}')
    if days:
        first, last = days
        start = min(first + timedelta(days=window - 1), last)
        yield _entry(f"# start = {start}", "the first day to publish; earlier ones feed the windows only")
        yield _entry(f"# end = {last}", f"the last one; rows were seen from {first} to {last}")


def _form_of(each: Planned) -> Any:
    if each.join and each.join.time:
        return each.join.time[0].forms[0]
    return each.guess.form


def _source(each: Planned) -> Iterator[str]:
    guess = each.guess
    part = "" if guess.glimpse.whole else " looked at"
    days = f", {each.days[0]} to {each.days[1]}" if each.days else ""
    more = "" if each.exact or not each.days else " or longer"
    yield f"[sources.{each.table}]"
    yield f"# {guess.glimpse.rows:,} rows{part}{days}{more}"
    if "table" in guess.unsure:
        yield f"# unsure: {guess.unsure['table']}"
    yield from (f"# {note}" for note in each.notes)
    if each.join:
        yield from (f"# {line}" for line in each.join.notes)
        yield f"sql = {_block(each.join.sql(guess, each.paths))}"
    elif len(each.paths) == 1:
        yield f"path = {_quoted(each.paths[0])}"
    else:
        yield "path = [" + ", ".join(map(_quoted, each.paths)) + "]"
    if not each.join:
        yield ""
        yield from _columns(each)
    options = list(_options(each))
    if options:
        yield ""
        yield f"[sources.{each.table}.options]"
        yield from options
    if guess.event_types:
        yield ""
        yield from _event_types(guess)


def _columns(each: Planned) -> Iterator[str]:
    guess = each.guess
    yield f"[sources.{each.table}.columns]      # ours = the file's"
    for name in each.names:
        column = guess.columns[name]
        entry = f"{name} = {_quoted(column.name)}"
        yield _entry(entry, _about(name, column, guess))
        if name in guess.unsure:
            yield f"#   unsure: {_one_line(guess.unsure[name])}"
        others = guess.others.get(name, [])[:3]
        if others:
            yield "#   or: " + ", ".join(_quoted(other.name) for other in others)
    for name in sorted(guess.unsure.keys() - each.names.keys() - {"table"}):
        yield f"#   unsure: {name}: {_one_line(guess.unsure[name])}"
    unused = [column.name for column in guess.unused]
    if unused:
        more = f" and {len(unused) - LONGEST_LIST} more" if len(unused) > LONGEST_LIST else ""
        yield _one_line(f"# not used: {', '.join(unused[:LONGEST_LIST])}{more}")


def _about(name: str, column: Column, guess: Guess) -> str:
    empty = f"; {column.empty_share:.1%} of the rows have none" if column.empty_share >= 0.0005 else ""
    if column is guess.time:
        what = f"times, {column.forms[0].words}"
    elif TABLES[guess.table].kinds().get(name) in ("number", "seconds"):
        what = "numbers"
    elif guess.table == USERS and name != "user_id":
        what = f"{column.distinct} different"
    else:
        what = f"{column.distinct:,} different"
    needs = name in TABLES[guess.table].REQUIRED and empty
    return what + empty + (": these are quarantined" if needs else "")


def _options(each: Planned) -> Iterator[str]:
    guess, glimpse, form = each.guess, each.guess.glimpse, _form_of(each)
    if glimpse.kind == CSV and not each.join:
        yield f"delimiter = {_quoted(glimpse.delimiter)}"
        if not glimpse.header:
            yield _entry("header = false", "the columns are column0, column1, …")
    if glimpse.encoding != "utf-8" and not each.join:
        yield _entry(f"encoding = {_quoted(glimpse.encoding)}", _why_encoding(glimpse.encoding))
    decimal, thousands = guess.marks
    if decimal == ",":
        yield 'decimal = ","'
    if thousands:
        yield f"thousands = {_quoted(thousands)}"
    if form and form.unit:
        yield f"time_unit = {_quoted(form.unit)}"
    if form and form.form:
        yield f"time_format = {_quoted(form.form)}"
        time = TABLES[each.table].TIME or "signed_up_at"
        column = each.join.time[0] if each.join and each.join.time else guess.time
        for other in column.forms[1:3] if column and time in guess.unsure else ():
            yield _entry(f"# time_format = {_quoted(str(other.form))}", "the other way to read them")
    if each.table == REVIEWS and guess.scale and tuple(guess.scale) != (1, 5):
        low, high = guess.scale
        yield _entry(f"rating = [{low:g}, {high:g}]", "the lowest and the highest")


def _why_encoding(encoding: str) -> str:
    others = {"cp1252": "latin-1 or another one of Europe's", "gb18030": "another one of East Asia's"}
    return f"unsure: guessed from the bytes, perhaps {others[encoding]}" if encoding in others else "as the file says"


def _event_types(guess: Guess) -> Iterator[str]:
    yield f"[sources.{EVENTS}.options.event_types]"
    total = guess.columns["event_type"].filled or 1
    counts = guess.columns["event_type"].counts
    unknown = [name for name, ours in guess.event_types.items() if ours is None]
    own = sum(counts[name] for name in unknown) > UNKNOWN_SHARE * total
    for name, ours in guess.event_types.items():
        share = f"{counts[name] / total:.1%} of the events"
        if ours:
            yield _entry(f"{_key(name)} = {_quoted(ours)}", share)
        elif own:
            why = "unsure: not a known type, so taken as one of your own"
            yield _entry(f"{_key(name)} = {_quoted(name)}", f"{share}; {why}")
        else:
            yield _entry(f"# {_key(name)} = …", f"{share}; not a known type: accepted, and counted as unknown")


def _entry(entry: str, comment: str) -> str:
    return f"{entry:<{COMMENTS}} # {_one_line(comment)}"


def _block(text: str) -> str:
    """Text of several lines for TOML."""
    if "'''" not in text:
        return f"'''\n{text}\n'''"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""\n{escaped}\n"""'


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)
