"""What the sources have now for some days: the files that hold their rows, whether a day is complete, and what looks odd."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from segmentation.config import Config, Recipe
from segmentation.features.engine import EPOCH
from segmentation.source_settings import Source
from segmentation.sources import slices
from segmentation.sources.completeness import unmarked, waiting_for
from segmentation.sources.places import by_day
from segmentation.sources.slices import FileIndex
from segmentation.store.objects import Objects
from segmentation.store.state import State
from segmentation.tables import ACTIVITY, USERS

WEEKS_COMPARED = 4


class Looked:
    """What sources were found to have, so that they need not be looked at again: for a table and a way of reading it the
    files, and the days looked at (a source that has not its rows by day is looked at whole)."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], list[FileIndex]] = {}
        self.days: dict[tuple[str, str], set[date]] = {}

    def add(self, table: str, recipe: Recipe, files: Iterable[FileIndex], days: Iterable[date]) -> None:
        key = (table, recipe.reading)
        known = {(file.name, file.content): file for file in (*self.files.get(key, ()), *files)}
        # Parts of the files were looked at side by side: equal content still counts once, by its first name.
        named: dict[Hashable, FileIndex] = {}
        for (name, content), file in sorted(known.items(), key=lambda item: item[0][0]):
            if first := named.get(content):
                copies = {*first.copies, name, *file.copies} - {first.name}
                file = replace(first, copies=tuple(sorted(copies)))
            named[content] = file
        self.files[key] = list(named.values())
        self.days.setdefault(key, set()).update(days)

    def for_days(self, days: Iterable[date]) -> "Looked":
        """The part of it that a listing of these days needs, small enough to be handed to another process."""
        wanted = {other for day in days for other in (day, *weekdays_before(day))}
        part = Looked()
        for key, files in self.files.items():
            part.files[key] = [
                replace(file, days={day: place for day, place in file.days.items() if day in wanted or day == EPOCH})
                for file in files
                if EPOCH in file.days or not wanted.isdisjoint(file.days)
            ]
            part.days[key] = self.days[key] & wanted
        return part


class Listing:
    """The sources as they are when they are first looked at; every source is looked at once per way of reading it.

    looked: what is known of them already; what is found is added to it.
    """

    def __init__(
        self,
        config: Config,
        objects: Objects,
        state: State,
        recipes: Mapping[str, Recipe],
        days: Iterable[date],
        looked: Looked | None = None,
    ) -> None:
        self._config = config
        self._objects = objects
        self._state = state
        self._recipes = recipes  # those in force on some day, by hash, the latest first
        self._days = set(days)
        self._wanted = days_to_look_at(self._days, state)
        self._looked = Looked() if looked is None else looked
        self._users: dict[tuple[str, date], tuple[FileIndex, ...]] = {}

    def tables(self, day: date, recipe: str) -> dict[str, Any]:
        """Each table's `files` (rows of the day by key), their `names`, and `weekday_rows`: its rows on the four same
        weekdays before, of those that have rows. The table of users is there for days that were not accepted with one."""
        sources = self._config.sources.tables()
        wanted = self._recipes[recipe]
        found: dict[str, Any] = {}
        for table in wanted.columns:
            accepted = self._state.accepted.get(day)
            if table not in sources or (table == USERS and accepted and USERS in accepted.tables):
                continue
            place = EPOCH if table == USERS else day
            files = [file for file in self._files(table, wanted, day) if place in file.days]
            before = (self._rows(table, wanted, other) for other in weekdays_before(day)) if table != USERS else ()
            found[table] = {
                "files": {file.key: slices.raw_rows([file], place) for file in files},
                "names": {file.key: file.name for file in files},
                "elsewhere": {file.key: file.elsewhere for file in files if file.elsewhere},
                "weekday_rows": [rows for rows in before if rows],
            }
        return found

    def unmarked(self, day: date) -> str:
        """Which markers of the day are still to come: "" if none. No source is read for it."""
        if day in self._state.published:
            return ""
        sources = self._config.sources.activity().items()
        return "; ".join(text for table, source in sources for text in unmarked(source, table, self._config, day))

    def not_yet(self, day: date, recipe: str, tables: Mapping[str, Any]) -> str:
        """What is still to come before the day is complete: "" if nothing."""
        wanted = self._recipes[recipe]
        if day in self._state.published:
            return ""
        reasons: list[str] = []
        for table, source in self._config.sources.activity().items():
            if table in tables and source.complete.asked:
                files = [file for file in self._files(table, wanted, day) if day in file.days]
                times = slices.read_day(self._objects, files, day)["at"]
                usual = tables[table]["weekday_rows"]
                reasons += waiting_for(source, table, self._config, day, times, usual)
        return "; ".join(reasons)

    def warnings(self, asked: set[date]) -> list[str]:
        """What looks odd. `asked`: the days that are to be published."""
        latest = {table: files for (table, _), files in self._looked.files.items() if table in ACTIVITY}
        every = [file for files in latest.values() for file in files]
        return [
            *(warning for table, files in latest.items() for warning in self._late(table, files)),
            *(warning for table, files in latest.items() for warning in self._lacking(table, files, asked)),
            *self._odd_files(every),
            *_beyond(every, asked),
        ]

    @property
    def places(self) -> str:
        """Where rows are looked for, for a message."""
        return ", ".join(_place(source) for source in self._config.sources.activity().values())

    @property
    def undated(self) -> str:
        """Rows that belong to no day, for a message: "" if there are none."""
        found = [file for files in self._looked.files.values() for file in files if file.undated]
        if not found:
            return ""
        rows, reason = sum(file.undated for file in found), max(found[0].reasons, key=found[0].reasons.__getitem__)
        return f" ({rows} rows there belong to no day; the first file is {found[0].name}: {reason})"

    def _files(self, table: str, recipe: Recipe, day: date) -> Sequence[FileIndex]:
        """The table's files; of users that come by day, those of the day."""
        source, key = self._config.sources.tables()[table], (table, recipe.reading)
        if table == USERS and by_day(source):
            if (recipe.reading, day) not in self._users:
                self._users[recipe.reading, day] = self._index(table, recipe, {day})
            return self._users[recipe.reading, day]
        missing = self._wanted - self._looked.days.get(key, set()) if by_day(source) else self._wanted
        if key not in self._looked.files or (by_day(source) and missing):
            self._looked.add(table, recipe, self._index(table, recipe, missing), self._wanted)
        return self._looked.files[key]

    def _index(self, table: str, recipe: Recipe, days: set[date]) -> tuple[FileIndex, ...]:
        others = other_recipes(self._recipes, recipe, self._state, table)
        return slices.index(self._objects, self._config, table, recipe, others, days)

    def _rows(self, table: str, recipe: Recipe, day: date) -> int:
        """Raw rows of a day to compare with: as they are now, else as they were accepted."""
        now = slices.raw_rows(self._files(table, recipe, day), day)
        accepted = self._state.accepted.get(day)
        if now or day in self._wanted or accepted is None or table not in accepted.tables:
            return now
        return sum(accepted.tables[table].files.values())

    def _late(self, table: str, files: Iterable[FileIndex]) -> Iterator[str]:
        """A warning if accepted days that were not read again have other numbers of rows in the files than were accepted."""
        there: Counter[date] = Counter()
        for file in files:
            there.update({day: rows for day, (_, rows) in file.days.items()})
        accepted = {
            day: sum(value.tables[table].files.values())
            for day, value in self._state.accepted.items()
            if table in value.tables
        }
        # Not of days without any row: files may be put away once they were read.
        differ = sorted(day for day, rows in accepted.items() if day not in self._days and there[day] not in (0, rows))
        start = self._config.project.start or date.min
        fed = (  # such a day cannot be run
            "that is before [project] start, so they only feed windows, and count once lookback_days of a day that is run "
            "reaches them"
        )
        run = "they count once their day is run by date, or lies within lookback_days"
        for when, days in (
            (fed, [day for day in differ if day < start]),
            (run, [day for day in differ if day >= start]),
        ):
            if days:
                more = sum(there[day] - accepted[day] for day in days)
                yield (
                    f"the source of {table} has {more:+} rows for {len(days)} days before the look-back (the first is "
                    f"{days[0]}): {when}"
                )

    def _lacking(self, table: str, files: Sequence[FileIndex], asked: set[date]) -> Iterator[str]:
        """A warning of files of the days asked for without a column that others have. (One that the configuration names
        must be there.)"""
        ours = [file for file in files if not asked.isdisjoint(file.days)]
        accepted = {day: value.tables[table] for day, value in self._state.accepted.items() if table in value.tables}
        before = max((day for day, value in accepted.items() if value.rows and day not in asked), default=None)
        usual = {name for file in files for name in file.columns}
        usual.update(accepted[before].columns if before else ())
        lacking = {}
        for file in ours:
            there = {*file.columns, *(["amount"] if "unit_price" in file.columns else [])}
            if names := sorted(usual - there - ({"unit_price"} if "amount" in there else set())):
                lacking[file.name] = names
        if lacking:
            name, names = next(iter(lacking.items()))
            more = f" (nor have {len(lacking) - 1} files more)" if len(lacking) > 1 else ""
            yield (
                f"{name} has no column for {', '.join(names)}, which other rows of {table} have{more}: is it called otherwise "
                f"now? What is named in [sources.{table}.columns] must be there"
            )

    def _odd_files(self, files: Sequence[FileIndex]) -> Iterator[str]:
        """Warnings of files with rows of the days read, or of no day at all: rows without a day, copies of another file."""
        ours = [file for file in files if not file.days or not self._days.isdisjoint(file.days)]
        undated = [file for file in ours if file.undated]
        if undated:
            rows = sum(file.undated for file in undated)
            reasons = ", ".join(f"{reason}: {count}" for reason, count in undated[0].reasons.items())
            yield (
                f"{rows} rows belong to no day and are in quarantine ({len(undated)} files; {undated[0].name}: {reasons}); "
                "`segmentation quality` counts them by file"
            )
        elsewhere = [file for file in ours if file.elsewhere]
        if elsewhere:
            rows = sum(file.elsewhere for file in elsewhere)
            yield (
                f"{rows} rows in {len(elsewhere)} files (the first is {elsewhere[0].name}) are of another day than the file's "
                "name says, and do not count; is [project] timezone right? Name the files by a glob to have them counted"
            )
        for file in ours:
            if file.copies and file.rows:
                yield f"{', '.join(file.copies)} has the same bytes as {file.name} and counts once: is it a copy?"


def other_recipes(
    recipes: Mapping[str, Recipe], recipe: Recipe, state: State, table: str
) -> list[tuple[Recipe, date | None]]:
    """The recipes that may read a file that does not fit the one in force: the later ones, whose files may bring late rows;
    and the earlier ones, but of files that were never read only those without rows from the day on that it is in force.
    Else a mistake in a new mapping would be nothing but the old mapping."""
    names = list(recipes)  # the latest first
    here = names.index(recipe.hash)
    begins = state.begins(recipe.hash)
    found = [(recipes[name], begins if place > here else None) for place, name in enumerate(names) if place != here]
    return [(other, before) for other, before in found if table in other.columns]


def _beyond(files: Iterable[FileIndex], asked: Iterable[date]) -> Iterator[str]:
    """A warning of days asked for that are later than every row: perhaps they are not over yet."""
    newest = max((day for file in files for day in file.days), default=date.min)
    beyond = sorted(day for day in asked if day > newest)
    if beyond:
        which = f"{beyond[0]} has" if len(beyond) == 1 else f"{beyond[0]} and {len(beyond) - 1} days after it have"
        yield f"{which} no rows and neither has any later day; is the day over? The newest row is of {newest}"


def days_to_look_at(days: Iterable[date], state: State) -> set[date]:
    """The days, and those to compare them with: what is accepted of these is known, the others are looked at."""
    days = set(days)
    return days | {other for day in days for other in weekdays_before(day) if other not in state.accepted}


def weekdays_before(day: date) -> list[date]:
    return [day - timedelta(weeks=weeks) for weeks in range(1, WEEKS_COMPARED + 1)]


def _place(source: Source) -> str:
    return ", ".join(source.paths) or source.connection or source.sample or "the query's files"
