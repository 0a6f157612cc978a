"""The text of a first configuration: every setting with a comment on what was seen, or on what is unsure."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any

from segmentation.sources.guessing import Guess
from segmentation.sources.joining import Join
from segmentation.sources.profiles import Column
from segmentation.sources.source_file import CSV
from segmentation.tables import EVENTS, REVIEWS, TABLES, USERS

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


def lines(
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
