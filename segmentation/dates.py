"""Days: parsing, ranges, and which day an orchestrated run is about."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from segmentation.errors import ConfigError

ONE_DAY = timedelta(days=1)
FIRST_MONDAY = date(1970, 1, 5)


def parse_day(text: str) -> date:
    """The date written as YYYY-MM-DD.

    Raises ConfigError for anything else.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:  # 20171122 and 2017-W47-3 are ISO dates as well, but rarely meant
        raise ConfigError(f"{text!r} is not a date; write it as YYYY-MM-DD, for example 2017-11-22")
    if not 1900 <= day.year <= 2999:  # windows reach years back, and no shop does
        raise ConfigError(f"{text} is not of the years 1900 to 2999: is it the right day?")
    return day


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included; nothing when `last` is earlier."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def window(as_of: date, window_days: int) -> list[date]:
    """The `window_days` days that end with `as_of`, in order."""
    return list(days_between(as_of - timedelta(days=window_days - 1), as_of))


def block(day: date, every: int) -> int:
    """The number of the block of `every` days that a day is in, counted from Monday 1970-01-05."""
    return (day - FIRST_MONDAY).days // every


def resolve_snapshot_date(
    *,
    param: str | None,
    partition_key: str | None,
    data_interval_start: datetime | None,
    logical_date: datetime | None,
    run_after: datetime,
    timezone: str = "UTC",
) -> date:
    """Which day a scheduled, backfilled or hand-started run is about.

    A scheduled or backfilled run has a day of its own: its partition key, or the start of its data interval, which is also
    its logical date. `param` (typed into the trigger form, or sent along with a backfill) can only repeat it.

    A run started by hand is about `param`; without it, about the last day that was over when it was started. Its logical
    date, if it has one, is a moment and not a day: the form offers the present one. A logical date of an earlier day could
    mean that day or the one that was over by then.

    Raises ConfigError when the day is unclear, is after the run's own date, or was not over at `run_after`.
    """
    zone = ZoneInfo(timezone)
    today = _local(run_after, zone)
    interval_day = _local(data_interval_start, zone) if data_interval_start else None
    moment_day = _local(logical_date, zone) if logical_date else None
    own_day = interval_day if moment_day in (None, interval_day) else None
    if partition_key:
        try:
            own_day = parse_day(partition_key)
        except ConfigError:
            raise ConfigError(f"the run's partition key {partition_key!r} is not a date (YYYY-MM-DD)") from None
    day = parse_day(param) if param else None
    if own_day:
        if day and day > own_day:
            raise ConfigError(
                f"the date {day} is after the run's own date {own_day}: start that day by hand, or backfill it"
            )
        if day and day != own_day:
            raise ConfigError(
                f"unclear which day is meant: the run is about {own_day}, and its date parameter says {day}; leave the "
                "date out of a backfill, or start that day by hand"
            )
        day = own_day
    elif moment_day and moment_day != today:
        if day is None:
            raise ConfigError(
                f"unclear which day is meant: a run started by hand with the logical date {moment_day} could be about that "
                "day or the day before; say which in the date parameter"
            )
        if day > moment_day:
            raise ConfigError(
                f"the date {day} is after the run's own logical date {moment_day}: leave the logical date empty"
            )
    day = day or today - ONE_DAY
    if day >= today:
        raise ConfigError(
            f"{day} was not over when this run was started ({today} in {timezone}): "
            "a day is segmented when all of it has happened; choose an earlier date"
        )
    return day


def _local(moment: datetime, zone: ZoneInfo) -> date:
    # Airflow's moments have an offset; one without it would be UTC, as everywhere in Airflow.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zone).date()
