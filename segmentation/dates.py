"""Days: parsing, ranges, and which day an orchestrated run is about."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from segmentation.errors import ConfigError

ONE_DAY = timedelta(days=1)


def parse_day(text: str) -> date:
    """The date written as YYYY-MM-DD.

    Raises ConfigError for anything else.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a date; write it as YYYY-MM-DD, for example 2017-11-22") from None


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included; nothing when `last` is earlier."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def window(as_of: date, window_days: int) -> list[date]:
    """The `window_days` days that end with `as_of`, in order."""
    return list(days_between(as_of - timedelta(days=window_days - 1), as_of))


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

    The first that is given of: `param` (typed into the trigger form), `partition_key`, the start of the data interval (the
    day a daily schedule is about), the logical date. A run started by hand without any of them is about the last day that
    was over when it was started.

    Raises ConfigError when the day is unclear (`param` and the run's own date disagree) or was not over at `run_after`.
    """
    zone = ZoneInfo(timezone)
    run_day = run_after.astimezone(zone).date() if run_after.tzinfo else run_after.replace(tzinfo=UTC).astimezone(zone).date()
    own = data_interval_start or logical_date
    own_day = own.astimezone(zone).date() if own else None
    if partition_key:
        try:
            own_day = parse_day(partition_key[:10])
        except ConfigError:
            raise ConfigError(f"the run's partition key {partition_key!r} is not a date (YYYY-MM-DD)") from None
    if param:
        day = parse_day(param)
    elif own_day:
        day = own_day
    else:
        day = run_day - ONE_DAY
    if day >= run_day:
        raise ConfigError(
            f"{day} is not over at the time of this run ({run_day} in {timezone}): "
            "a day is segmented when all of it has happened; choose an earlier date"
        )
    return day
