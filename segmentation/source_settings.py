"""The settings of a source: where a table's rows are, how they are read, when a day of them is complete, what is expected."""

import codecs
import math
import re
from datetime import time
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from segmentation.tables import (
    ACTIVITY,
    EVENTS,
    TABLES,
    Columns,
    EventsColumns,
    OrdersColumns,
    ReviewsColumns,
    Section,
    UsersColumns,
)


def rising(value: tuple[float, float]) -> tuple[float, float]:
    """A pair of numbers, the lower one first. Raises ValueError for another."""
    if not all(map(math.isfinite, value)):
        raise ValueError("give two finite numbers")
    if not value[0] < value[1]:
        raise ValueError("give the lower number first, then the higher one")
    return value


THOUSANDS = {"": "", ".": "[.]", ",": ",", " ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}  # as regular expressions


class Options(Section):
    delimiter: str | None = Field(None, description="CSV: the separator; guessed from the file if not given.")
    encoding: str = Field("utf-8", description="CSV and JSON lines: the encoding, by its name in Python.")
    header: bool = Field(True, description="CSV: whether the first line names the columns; if not: column0, column1, …")
    decimal: Literal[".", ","] = Field(".", description="The decimal mark of numbers.")
    thousands: Literal["", ".", ",", " ", "'"] = Field(
        "",
        description="What is between the thousands of numbers, such as the comma of 1,234.50 (a blank: of any width).",
    )
    time_unit: Literal["s", "ms", "us"] | None = Field(
        None, description="Times are numbers: seconds, milliseconds or microseconds since 1970-01-01 UTC."
    )
    time_format: str | None = Field(
        None,
        description="Times are text of this form (strptime), such as %d/%m/%Y %H:%M; without it YYYY-MM-DD HH:MM:SS.",
    )
    unique: tuple[str, ...] = Field(
        (), description="Canonical columns that no two rows of a day share; of those that do, the first one counts."
    )
    event_types: dict[str, str] = Field(
        {}, description='events: the source\'s own names → view, cart, purchase, search, …, such as pv = "view".'
    )
    rating: tuple[float, float] = Field((1, 5), description="reviews: the lowest and the highest rating.")
    lookback_days: int = Field(
        7, ge=0, le=3660, description="How many days back an accepted day is read again by a later run."
    )

    @model_validator(mode="after")
    def _two_marks(self) -> Self:
        if self.thousands == self.decimal:
            raise ValueError(f'thousands and decimal are both "{self.decimal}": a number has one mark for each')
        return self

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or not value.isascii() or value in '"\r\n'):
            raise ValueError('give one character, such as ";" or "\\t"; the quote is none')
        return value

    @field_validator("rating")
    @classmethod
    def _scale(cls, value: tuple[float, float]) -> tuple[float, float]:
        return rising(value)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.time_unit and self.time_format:
            raise ValueError("give time_unit (times are numbers) or time_format (times are text), not both")
        return self

    @field_validator("encoding")
    @classmethod
    def _codec(cls, value: str) -> str:
        try:
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError("there is no such encoding; write utf-8, latin-1, cp1252, gb18030, …") from None


class Complete(Section):
    """When a day of a source is complete. What is given must all be true before a day is published."""

    marker: str | None = Field(None, description="A file that is there once the day is complete; {date} is the day.")
    rows_after: time | None = Field(None, description="The day has a row at or after this time of day, HH:MM.")
    share_of_weekday: float | None = Field(
        None,
        gt=0,
        le=1,
        description="The day has this share of the mean rows of the four same weekdays before, or more.",
    )
    deadline_hours: float = Field(
        12, ge=0, le=24 * 7, description="How many hours after the day's end Airflow goes on asking."
    )

    @field_validator("marker")
    @classmethod
    def _known_places(cls, value: str | None) -> str | None:
        unknown = sorted(set(re.findall(r"{(.*?)}", value or "")) - {"date"})
        if unknown:
            raise ValueError(f"{{{unknown[0]}}} is unknown; the only place to fill is {{date}}, as in done/{{date}}.ok")
        return value

    @field_validator("rows_after", mode="before")
    @classmethod
    def _of_the_day(cls, value: Any) -> Any:
        if isinstance(value, time) or value is None or re.fullmatch(r"\d\d:\d\d(:\d\d)?", str(value)):
            return value
        raise ValueError('give a time of day in the time zone of the project, as in "23:00"')

    @property
    def asked(self) -> bool:
        return bool(self.marker or self.rows_after or self.share_of_weekday)


class Expectation(Section):
    """One expectation of a team's own, in Great Expectations' form."""

    type: str = Field(description="The expectation, such as expect_column_values_to_be_between.")
    kwargs: dict[str, Any] = Field({}, description='What it is about, such as {column = "amount", max_value = 10000}.')
    severity: Literal["critical", "warning"] = Field(
        "critical", description="Whether the day is refused or told about."
    )
    reason: str = Field(description="What is wrong with a row or a day that fails it, in words.")

    @model_validator(mode="after")
    def _satisfiable(self) -> Self:
        low, high = self.kwargs.get("min_value"), self.kwargs.get("max_value")
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            raise ValueError(f"min_value ({low}) is above max_value ({high}): nothing could pass")
        return self


class Source(Section):
    path: str | tuple[str, ...] | None = Field(
        None,
        description="Files (CSV, Parquet, JSON lines), as a name, a glob, or a template with {date}; relative to this file.",
    )
    sql: str | None = Field(
        None, description="A query: over files, by DuckDB; or, with connection, one that takes the day as :date."
    )
    connection: str | None = Field(
        None,
        description="A database: an Airflow connection's id; in the command line SEGMENTATION_CONNECTION_ID is its URL.",
    )
    sample: Literal["complete_journey"] | None = Field(None, description="A data set that comes as a Python package.")
    columns: Columns = Columns()
    options: Options = Options()
    complete: Complete = Complete()
    expectations: tuple[Expectation, ...] = Field((), description="Expectations of your own about the table's rows.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.path, self.sample, self.sql)) != 1:
            raise ValueError("give exactly one of path, sql and sample")
        if self.path in ("", ()) or self.sql == "":
            raise ValueError(f"{'path' if self.sql is None else 'sql'} is empty: say where the rows are")
        if self.connection and not self.sql:
            raise ValueError("connection needs sql: the query to ask for one day's rows, with the day as :date")
        if self.connection and ":date" not in str(self.sql):
            raise ValueError("sql is asked for one day's rows at a time: say which with :date, as in WHERE day = :date")
        return self

    @field_validator("connection")
    @classmethod
    def _a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[\w.-]+", value):
            # A URL has a password: it is not repeated, here or in what tells of this error.
            raise ValueError(
                "give the name of a connection, not its URL: the URL is kept by Airflow, or in the environment as "
                "SEGMENTATION_CONNECTION_NAME"
            )
        return value

    @model_validator(mode="after")
    def _only_what_counts(self) -> Self:
        if self.sql and not self.connection and "{date}" in self.sql:
            raise ValueError("{date} in sql is not filled in: name the files by a glob, and give rows their times")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The names, globs and templates of `path`."""
        return (self.path,) if isinstance(self.path, str) else self.path or ()


class OrdersSource(Source):
    columns: OrdersColumns = OrdersColumns()


class EventsSource(Source):
    columns: EventsColumns = EventsColumns()


class ReviewsSource(Source):
    columns: ReviewsColumns = ReviewsColumns()


class UsersSource(Source):
    columns: UsersColumns = UsersColumns()


class Sources(Section):
    orders: OrdersSource | None = None
    events: EventsSource | None = None
    reviews: ReviewsSource | None = None
    users: UsersSource | None = None

    @model_validator(mode="after")
    def _active(self) -> Self:
        if not (self.orders or self.events):
            raise ValueError("give at least one of [sources.orders] and [sources.events]")
        for table, source in self.tables().items():
            if source.options.event_types and table != EVENTS:
                raise ValueError(f"[sources.{table}.options] event_types is about the table of events")
            if source.complete.asked and table not in ACTIVITY:
                raise ValueError(f"[sources.{table}.complete]: a table of no day cannot be complete for one")
            unknown = set(source.options.unique) - TABLES[table].kinds().keys() - source.columns.named().keys()
            if unknown:
                raise ValueError(f"[sources.{table}.options] unique: {sorted(unknown)[0]!r} is no canonical column")
        return self

    def tables(self) -> dict[str, Source]:
        """The sources that are given, by table."""
        found = {table: getattr(self, table) for table in TABLES}
        return {table: source for table, source in found.items() if source}

    def activity(self) -> dict[str, Source]:
        """Those of them whose rows happen on a day."""
        return {table: source for table, source in self.tables().items() if table in ACTIVITY}
