"""What the values of a column can be: times and how they are written, numbers and their decimal mark, ids, categories."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import pairwise

import duckdb
import pyarrow as pa

from segmentation.features.engine import connect
from segmentation.source_settings import THOUSANDS
from segmentation.sources.glimpse import Glimpse
from segmentation.sources.spellings import plain
from segmentation.times import AS_OFFSET, MICROSECONDS, NAIVE, UNITS, WITH_OFFSET, quoted

ENOUGH = 0.95  # of the values there, to say that a column is of a kind
TRIED = 40  # different values to sort out forms of time by
DOT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
COMMA = re.compile(r"[-+]?\d+(,\d+)?")
CURRENCY = re.compile(r"-?(?:[$€£¥₹₽]|[A-Z]{3}) ?-?[\d.,' ]+|-?[\d.,' ]+ ?(?:[$€£¥₹₽]|[A-Z]{3})")
WHOLE = re.compile(r"[-+]?\d+([.,]0+)?")
GROUPED = {  # numbers with thousands apart, by the decimal mark and what is between thousands
    (mark, between): re.compile(rf"[-+]?(\d+|\d{{1,3}}({THOUSANDS[between]}\d{{3}})+)({re.escape(mark)}\d*)?")
    for mark, between in [(".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'")]
}
WRITTEN = re.compile(r"(?=(?:\D*\d){3}).*(\d[-/.: 年]\d|[A-Za-z]{3,}).*|\d{8}|\d{14}")  # could be a time
# Plausible years. What is one in two units at once is none.
FIRST_YEAR, LAST_YEAR = 1990, 2100
EPOCHS = (631_152_000, 4_102_444_800)  # these years, in seconds since 1970
DAYS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y-%m-%d"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y"),
    *("%B %d, %Y", "%a %b %d %Y", "%Y年%m月%d日"),
)
CLOCKS = (
    *(
        "",
        " %H:%M",
        " %H:%M:%S",
        " %H:%M:%S.%f",
        "T%H:%M:%S",
        "T%H:%M:%S.%f",
        " %I:%M %p",
        " %I:%M:%S %p",
        " %H.%M",
        " %H",
    ),
    *(", %H:%M", ", %H:%M:%S", " %H:%M:%S %z", ":%H:%M:%S", "%H%M%S"),
)


@dataclass(frozen=True)
class Form:
    """How text or numbers are read as times: ISO text, or Parquet's own times, if both are None. `days` of the values."""

    unit: str | None = None
    form: str | None = None
    share: float = 1.0
    days: tuple[date | None, ...] = ()

    @property
    def words(self) -> str:
        return f"{UNITS[self.unit]} since 1970" if self.unit else self.form or "ISO"

    def expression(self) -> str:
        """The time in `time_text` as SQL."""
        if self.unit:
            number = f"TRY_CAST(time_text AS DECIMAL(28, 6)) * {MICROSECONDS[self.unit]}"
            return f"make_timestamp(TRY_CAST({number} AS BIGINT))"
        if self.form:
            parsed = f"try_strptime(time_text, {quoted(self.form)})"
            return f"timezone('UTC', {parsed})" if "%z" in self.form else parsed
        return f"""CASE
            WHEN regexp_full_match(time_text, '{NAIVE}') THEN TRY_CAST(time_text AS TIMESTAMP)
            WHEN regexp_full_match(time_text, '{WITH_OFFSET}') THEN timezone('UTC', TRY_CAST({AS_OFFSET} AS TIMESTAMPTZ))
        END"""


@dataclass(frozen=True)
class Column:
    """A column of a sample. `type`: Parquet's; `forms`: how its values can be read as times, the likeliest first."""

    name: str
    place: int
    values: Sequence[str | None] = field(repr=False)
    type: str = ""
    forms: tuple[Form, ...] = ()

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(value for value in self.values if value is not None)

    @cached_property
    def filled(self) -> int:
        return self.counts.total()

    @property
    def distinct(self) -> int:
        return len(self.counts)

    @property
    def empty_share(self) -> float:
        return 1 - self.filled / len(self.values) if self.values else 1.0

    def share(self, pattern: re.Pattern[str]) -> float:
        """Share of the values that the pattern fits."""
        fitting = sum(count for value, count in self.counts.items() if pattern.fullmatch(value))
        return fitting / self.filled if self.filled else 0.0

    @cached_property
    def marks(self) -> tuple[str, str] | None:
        """The decimal mark and what is between thousands ("": nothing), if the values are numbers."""
        ways = {(".", ""): DOT, (",", ""): COMMA, **GROUPED}
        return next((marks for marks, way in ways.items() if self.filled and self.share(way) >= ENOUGH), None)

    @property
    def decimal(self) -> str | None:
        """The decimal mark, if the values are numbers."""
        return self.marks[0] if self.marks else None

    @property
    def is_number(self) -> bool:
        return self.marks is not None

    @cached_property
    def is_whole(self) -> bool:
        return self.is_number and self.share(WHOLE) >= ENOUGH

    @cached_property
    def has_currency(self) -> bool:
        return self.filled > 0 and self.share(CURRENCY) >= ENOUGH

    @cached_property
    def range(self) -> tuple[float, float]:
        """The smallest and the greatest number."""
        mark, between = self.marks or (".", "")
        plain = (re.sub(THOUSANDS[between], "", value).replace(mark, ".") for value in self.counts)
        found = [float(value) for value in plain if DOT.fullmatch(value)]
        return min(found, default=0.0), max(found, default=0.0)

    @property
    def is_time(self) -> bool:
        """Whether it is a time, whatever its name: not of numbers, which may count anything."""
        return bool(self.forms) and not self.forms[0].unit

    @property
    def is_id(self) -> bool:
        """Whether it could tell one thing from another: no times, no fractions."""
        return self.filled > 0 and not self.is_time and (not self.is_number or self.is_whole)

    @property
    def kind(self) -> str:
        """What the values are, for a message: never a value."""
        if not self.filled:
            return "nothing"
        if self.is_time:
            return f"time, {self.forms[0].words}"
        if self.is_number:
            what = "whole number" if self.is_whole else "number"
            return f"{what}, perhaps {self.forms[0].words}" if self.forms else what
        few = f", {self.distinct} different" if self.distinct <= 50 else ""
        return f"text{few}"


def profiles(glimpse: Glimpse) -> list[Column]:
    """The columns of a sample, in their order."""
    named = _named_days(glimpse)
    with connect(threads=1) as session:
        return [
            Column(
                name,
                place,
                values,
                glimpse.types.get(name, ""),
                _forms(session, values, glimpse.types.get(name), named),
            )
            for place, (name, values) in enumerate(glimpse.values.items())
        ]


def day_in(text: str) -> tuple[str, date] | None:
    """A date in a file's name: as it is written there, and which it is."""
    for match in re.finditer(r"(?<!\d)(\d{4})([-_.]?)(\d{2})\2(\d{2})(?!\d)", text):
        try:
            return match[0], date(int(match[1]), int(match[3]), int(match[4]))
        except ValueError:
            continue
    return None


def _named_days(glimpse: Glimpse) -> list[date | None]:
    """For every row the date in the name of its file."""
    days: list[date | None] = []
    for path, rows in glimpse.by_file:
        found = day_in(path.name)
        days += [found[1] if found else None] * rows
    return days


def _forms(
    session: duckdb.DuckDBPyConnection, values: Sequence[str | None], kind: str | None, named: Sequence[date | None]
) -> tuple[Form, ...]:
    there = [value for value in values if value is not None]
    if not there or (kind or "").startswith(("double", "float", "bool", "list", "struct", "map")):
        return ()
    tried = list(dict.fromkeys(there))[:TRIED]
    candidates = [Form()]
    if all(DOT.fullmatch(value) for value in tried):
        low, high = EPOCHS
        candidates = [
            Form(unit=unit)
            for unit, factor in {"s": 1, "ms": 1_000, "us": 1_000_000}.items()
            if all(low * factor <= float(value) < high * factor for value in tried)
        ]
    texts = not kind or "string" in kind
    if texts and not any(not WRITTEN.fullmatch(value) for value in tried[:5]):
        candidates += _possible(session, tried)
    found = []
    for candidate in candidates:
        days = _days(session, values, candidate)
        share = sum(FIRST_YEAR <= day.year <= LAST_YEAR for day in days if day) / len(there)
        if share >= ENOUGH:
            found.append(Form(candidate.unit, candidate.form, share, days))
    if any(form.form is None for form in found):
        return tuple(form for form in found if form.form is None)
    return tuple(sorted(found, key=lambda form: _unlikely(form, named)))


def _possible(session: duckdb.DuckDBPyConnection, tried: Sequence[str]) -> list[Form]:
    """The written forms that the values have, of all that are tried."""
    forms = [day + clock for day in DAYS for clock in CLOCKS]
    session.register("tried", pa.table({"time_text": pa.array(tried, pa.string())}))
    counts = ", ".join(f"count(try_strptime(time_text, {quoted(form)}))" for form in forms)
    (fitting,) = session.execute(f"SELECT {counts} FROM tried").fetchall()
    session.unregister("tried")
    return [Form(form=form) for form, count in zip(forms, fitting, strict=True) if count >= ENOUGH * len(tried)]


def _days(session: duckdb.DuckDBPyConnection, values: Sequence[str | None], form: Form) -> tuple[date | None, ...]:
    session.register("texts", pa.table({"time_text": pa.array(values, pa.string())}))
    try:
        found = session.sql(f"SELECT ({form.expression()})::DATE AS day FROM texts").to_arrow_table()
        return tuple(found["day"].to_pylist())
    except (duckdb.Error, ValueError, OverflowError):
        return (None,) * len(values)
    finally:
        session.unregister("texts")


def _unlikely(form: Form, named: Sequence[date | None]) -> tuple[float, float, int, int]:
    """The lower the likelier: agreement with the dates in files' names, values read, going back in time, days covered."""
    pairs = [(day, other) for day, other in zip(form.days, named, strict=False) if day and other]
    disagreeing = sum(day != other for day, other in pairs) / len(pairs) if pairs else 0.0
    days = [day for day in form.days if day]
    backwards = sum(later < earlier for earlier, later in pairwise(days))
    return round(disagreeing, 3), -round(form.share, 3), backwards, (max(days) - min(days)).days


def determines(one: Column, other: Column) -> bool:
    """Whether rows with one value in the first column have one in the second (but for one in a hundred)."""
    seen: dict[str, str | None] = {}
    wrong = 0
    for value, what in zip(one.values, other.values, strict=True):
        if value is not None:
            wrong += seen.setdefault(value, what) != what
    return wrong <= 0.01 * max(one.filled, 1)


def span(days: Sequence[date | None]) -> tuple[date, date] | None:
    """The first and the last day, without the few rows that lie far out (one in two hundred at either end)."""
    there = sorted(day for day in days if day)
    if not there:
        return None
    few = len(there) // 200
    return there[few], there[-1 - few]


def known_share(column: Column, names: Mapping[str, str]) -> float:
    """Share of the values that are among the names, whatever their case and separators."""
    known = sum(count for value, count in column.counts.items() if plain(value) in names)
    return known / column.filled if column.filled else 0.0
