"""A first configuration, from samples of a shop's files: what `segmentation init` writes."""

import glob
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError
from segmentation.sources.configuration_text import Planned, lines
from segmentation.sources.glimpse import Glimpse, form_of, look
from segmentation.sources.guessing import Guess, guess, needed
from segmentation.sources.joining import Join, joined
from segmentation.sources.places import DATE, ENDINGS
from segmentation.sources.profiles import day_in, profiles, span
from segmentation.tables import EVENTS, ORDERS, TABLES, USERS

# Days. The longest that leaves two thirds of the days seen to be published, but a week at least, if more days than that were
# seen: shorter ones show one weekday and not another.
WINDOWS = (1, 3, 7, 14, 28, 90, 180, 365)
WEEK = 7
FIRST_LOOK = 28  # days that the first backfill publishes


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
    text = "\n".join(lines(planned, samples, days, window, left_out)) + "\n"
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
