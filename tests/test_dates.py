"""Days, ranges, and which day an orchestrated run is about."""

from datetime import UTC, date, datetime

import pytest

from segmentation.dates import days_between, parse_day, resolve_snapshot_date, window
from segmentation.errors import ConfigError


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def resolve(timezone: str = "UTC", **given: object) -> date:
    """A run of 2026-11-24 08:30 UTC, with what is given of it."""
    run = {"param": None, "partition_key": None, "data_interval_start": None, "logical_date": None}
    return resolve_snapshot_date(**{**run, "run_after": at("2026-11-24T08:30+00:00"), **given}, timezone=timezone)


def scheduled(day: str) -> dict[str, object]:
    return {"data_interval_start": at(f"{day}T00:00+00:00"), "logical_date": at(f"{day}T00:00+00:00")}


def by_hand(moment: str, interval_day: str) -> dict[str, object]:
    """Airflow infers the interval of a run that is started by hand: the last whole one before its logical date."""
    return {"data_interval_start": at(f"{interval_day}T00:00+00:00"), "logical_date": at(moment)}


@pytest.mark.parametrize(
    ("given", "day"),
    [
        pytest.param(scheduled("2026-11-23"), "2026-11-23", id="scheduled: the day of its interval"),
        pytest.param(scheduled("2017-10-09"), "2017-10-09", id="backfilled: the day of its interval"),
        pytest.param(scheduled("2017-10-09") | {"param": "2017-10-09"}, "2017-10-09", id="the date repeats it"),
        pytest.param({}, "2026-11-23", id="by hand, nothing given: the last day that is over"),
        pytest.param({"param": "2017-10-09"}, "2017-10-09", id="by hand: the date"),
        pytest.param(
            by_hand("2026-11-24T08:30+00:00", "2026-11-23"), "2026-11-23", id="by hand, at the offered moment"
        ),
        pytest.param(
            by_hand("2026-11-24T08:30+00:00", "2026-11-23") | {"param": "2017-10-09"},
            "2017-10-09",
            id="by hand, at the offered moment: the date",
        ),
        pytest.param(
            by_hand("2017-10-10T00:00+00:00", "2017-10-09") | {"param": "2017-10-09"},
            "2017-10-09",
            id="by hand, at an earlier moment: the date",
        ),
        pytest.param({"partition_key": "2017-10-09"}, "2017-10-09", id="partition key"),
        pytest.param({"data_interval_start": at("2017-10-09T00:00+00:00")}, "2017-10-09", id="an interval alone"),
        pytest.param({"run_after": datetime(2026, 11, 24, 0, 0)}, "2026-11-23", id="a moment without offset is UTC"),  # noqa: DTZ001
    ],
)
def test_the_day_of_a_run(given, day):
    assert resolve(**given) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param({"param": "2026-11-24"}, "2026-11-24 was not over when this run was started", id="today"),
        pytest.param({"param": "2027-01-01"}, "2027-01-01 was not over", id="the future"),
        pytest.param(scheduled("2026-11-24"), "2026-11-24 was not over", id="an interval that has not ended"),
        pytest.param(
            scheduled("2017-10-09") | {"param": "2017-10-10"},
            "after the run's own date 2017-10-09",
            id="after its own date",
        ),
        pytest.param(
            scheduled("2017-10-09") | {"param": "2017-10-08"}, "unclear which day is meant", id="a backfill with a date"
        ),
        pytest.param(
            {"partition_key": "2017-10-09", "param": "2017-10-08"}, "unclear which day", id="a partition with a date"
        ),
        pytest.param(
            by_hand("2017-10-10T00:00+00:00", "2017-10-09"),
            "unclear which day is meant",
            id="by hand at an earlier moment",
        ),
        pytest.param(
            by_hand("2017-10-10T12:00+00:00", "2017-10-09") | {"param": "2017-10-11"},
            "after the run's own logical date 2017-10-10",
            id="by hand, after its own logical date",
        ),
        pytest.param(
            {"partition_key": "north"}, "partition key 'north' is not a date", id="a partition that is no date"
        ),
        pytest.param({"param": "9.10.2017"}, "'9.10.2017' is not a date", id="no date"),
    ],
)
def test_a_date_after_the_runs_own_or_an_unclear_one_is_refused_with_its_reason(given, reason):
    with pytest.raises(ConfigError, match=reason):
        resolve(**given)


@pytest.mark.parametrize(
    ("timezone", "moment", "day"),
    [
        ("America/New_York", "2026-11-24T04:59+00:00", "2026-11-22"),  # still the 23rd there
        ("America/New_York", "2026-11-24T05:00+00:00", "2026-11-23"),
        ("Asia/Tokyo", "2026-11-23T15:00+00:00", "2026-11-23"),  # the 24th has begun there
        ("Europe/Berlin", "2026-03-29T22:00+00:00", "2026-03-29"),  # the day that has 23 hours
    ],
)
def test_a_day_ends_at_midnight_of_the_projects_time_zone(timezone, moment, day):
    assert resolve(timezone, run_after=at(moment)) == date.fromisoformat(day)


def test_an_interval_begins_at_midnight_of_the_projects_time_zone():
    begin = datetime(2026, 11, 22, 15, tzinfo=UTC)  # midnight in Tokyo
    assert resolve("Asia/Tokyo", data_interval_start=begin, logical_date=begin) == date(2026, 11, 23)


def test_a_range_has_both_its_ends_and_may_be_empty():
    assert list(days_between(date(2024, 2, 28), date(2024, 3, 1))) == [
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
    ]
    assert list(days_between(date(2024, 3, 1), date(2024, 2, 28))) == []


def test_a_window_ends_with_its_day():
    assert window(date(2024, 3, 1), 3) == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]


@pytest.mark.parametrize("text", ["yesterday", "9.10.2017", "20171009", "2017-W41-1", "2017-10-9", "2017-02-29", ""])
def test_a_text_that_is_no_date_is_refused(text):
    with pytest.raises(ConfigError, match=f"'{text}' is not a date; write it as YYYY-MM-DD"):
        parse_day(text)
