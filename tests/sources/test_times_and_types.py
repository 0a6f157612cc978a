"""Times in text, in every zone; and the types of Parquet files: what they are read as."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sliced import NOT_A_TIME, SKIPPED, index, times

from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError
from segmentation.sources import slices
from segmentation.sources.slices import FileIndex, read_day
from segmentation.store.objects import Objects

# Naive times are what the tests are about.
# ruff: noqa: DTZ001

# Times


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01", datetime(2026, 3, 1)),
        ("2026-3-1", datetime(2026, 3, 1)),
        (" 2026-03-01 ", datetime(2026, 3, 1)),
        ("2026-03-01 08:26", datetime(2026, 3, 1, 8, 26)),
        ("2026-03-01T08:26:05", datetime(2026, 3, 1, 8, 26, 5)),
        ("2026-03-01 08:26:05.25", datetime(2026, 3, 1, 8, 26, 5, 250_000)),
        ("2026-03-01 08:26:05.123456789", datetime(2026, 3, 1, 8, 26, 5, 123_456)),
        ("2026-03-01T08:26:05Z", datetime(2026, 3, 1, 8, 26, 5)),
        ("2026-03-01T08:26Z", datetime(2026, 3, 1, 8, 26)),
        ("2026-03-01 08:26:05+02", datetime(2026, 3, 1, 6, 26, 5)),
        ("2026-03-01 08:26:05-0530", datetime(2026, 3, 1, 13, 56, 5)),
        ("2026-03-01 08:26:05 -05:30", datetime(2026, 3, 1, 13, 56, 5)),
        ("2026-03-01 08:26:05.5 UTC", datetime(2026, 3, 1, 8, 26, 5, 500_000)),
        ("2026-03-01T00:30:00.5+01:00", datetime(2026, 2, 28, 23, 30, 0, 500_000)),
    ],
)
def test_a_time_in_text(objects: Objects, tmp_path: Path, text: str, at: datetime) -> None:
    file, found = times(objects, tmp_path, [text])
    assert found == [at.replace(tzinfo=UTC)]
    assert list(file.days) == [at.date()]


@pytest.mark.parametrize(
    "text",
    [
        "01/03/2026",
        "2026-02-30",
        "2026-03-01 25:00",
        "20260301",
        "2026-03-01 10",
        "infinity",
        "epoch",
        "2026-03-01 10:00 CET",
        "1e9",
        "2026-03-01 10:00+99",
    ],
)
def test_other_text_is_no_time(objects: Objects, tmp_path: Path, text: str) -> None:
    file, _ = times(objects, tmp_path, [text])
    assert file.reasons == {NOT_A_TIME: 1}


def test_a_day_is_a_local_day(objects: Objects, tmp_path: Path) -> None:
    file, found = times(objects, tmp_path, ["2026-07-01T23:30:00Z", "2026-07-01 23:30:00"], "Europe/London")
    assert file.days == {date(2026, 7, 1): (0, 1), date(2026, 7, 2): (1, 1)}
    assert found == [datetime(2026, 7, 1, 22, 30, tzinfo=UTC), datetime(2026, 7, 1, 23, 30, tzinfo=UTC)]


def test_a_time_that_occurs_twice_is_the_first(objects: Objects, tmp_path: Path) -> None:
    _, found = times(objects, tmp_path, ["2026-10-25 01:30"], "Europe/London")
    assert found == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_a_time_that_the_clocks_skipped_is_undated(objects: Objects, tmp_path: Path) -> None:
    file, _ = times(objects, tmp_path, ["2026-03-29 01:30", "2026-03-29 02:00"], "Europe/London")
    assert (file.reasons, file.days) == ({SKIPPED: 1}, {date(2026, 3, 29): (0, 1)})


# Zones with whole and half hours of change, odd offsets, a skipped day, and none.
@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "Europe/London",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Asia/Tehran",
    ],
)
def test_local_times_are_those_of_the_zone(objects: Objects, tmp_path: Path, zone: str) -> None:
    """Every quarter of an hour around the changes of clocks since 2005, against Python's own time zones."""
    place = ZoneInfo(zone)
    start = datetime(2005, 1, 1, tzinfo=UTC)
    noons = [start + timedelta(days=number) for number in range(8000)]
    changes = [a for a, b in pairwise(noons) if a.astimezone(place).utcoffset() != b.astimezone(place).utcoffset()][
        -24:
    ]
    walls = [
        change.astimezone(place).replace(tzinfo=None) + timedelta(minutes=15 * step)
        for change in [datetime(2026, 1, 1, tzinfo=UTC), *changes]
        for step in range(-100, 100)
    ]
    file, found = times(objects, tmp_path, [str(wall) for wall in walls], zone)
    expected = []
    for wall in walls:
        at = wall.replace(tzinfo=place, fold=0).astimezone(UTC)
        if at.astimezone(place).replace(tzinfo=None) == wall:
            expected.append((wall.date(), at))
    assert Counter(found) == Counter(at for _, at in expected)
    assert {day: rows for day, (_, rows) in file.days.items()} == Counter(day for day, _ in expected)
    assert file.reasons.get(SKIPPED, 0) == len(walls) - len(expected)


def test_a_time_zone_that_the_engine_does_not_know_is_named(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu,2026-01-01\n")
    config = Config(root=tmp_path, sources={"orders": {"path": "*.csv"}})
    recipe = config.recipe().model_copy(update={"timezone": "Mars/Olympus"})
    with pytest.raises(ConfigError, match="'Mars/Olympus'"):
        slices.index(objects, config, "orders", recipe)


# Parquet


def parquet(objects: Objects, root: Path, zone: str = "UTC", **columns: pa.Array) -> FileIndex:
    pq.write_table(pa.table(columns), root / "a.parquet")
    return index(objects, root, zone, path="a.parquet")[0]


WALL = datetime(2026, 7, 1, 0, 30)


@pytest.mark.parametrize(
    ("ordered_at", "at"),
    [
        (pa.array([WALL], pa.timestamp("us")), datetime(2026, 6, 30, 23, 30)),
        (pa.array([WALL], pa.timestamp("ns")), datetime(2026, 6, 30, 23, 30)),
        (pa.array([WALL], pa.timestamp("ms")), datetime(2026, 6, 30, 23, 30)),
        (pa.array([WALL], pa.timestamp("us", tz="UTC")), datetime(2026, 7, 1, 0, 30)),
        (
            pa.array([WALL.replace(tzinfo=timezone(timedelta(hours=-5)))], pa.timestamp("us", tz="-05:00")),
            datetime(2026, 7, 1, 5, 30),
        ),
        (pa.array([WALL.date()]), datetime(2026, 6, 30, 23)),
        (pa.array(["2026-07-01 00:30"]), datetime(2026, 6, 30, 23, 30)),
        (pa.array(["2026-07-01T00:30Z"]).dictionary_encode(), datetime(2026, 7, 1, 0, 30)),
    ],
)
def test_the_types_of_a_time(objects: Objects, tmp_path: Path, ordered_at: pa.Array, at: datetime) -> None:
    file = parquet(objects, tmp_path, "Europe/London", user_id=pa.array(["u"]), ordered_at=ordered_at)
    assert list(file.days) == [date(2026, 7, 1)]
    assert read_day(objects, [file], date(2026, 7, 1))["at"].to_pylist() == [at.replace(tzinfo=UTC)]


def test_values_of_any_type_are_text_as_a_csv_file_would_have_them(objects: Objects, tmp_path: Path) -> None:
    file = parquet(
        objects,
        tmp_path,
        user_id=pa.array([17850.0, 123456789012.0, float("nan")]),
        ordered_at=pa.array([date(2026, 1, 1)] * 3),
        order_id=pa.array([1, 2, None], pa.int32()),
        item_id=pa.array([b"85123A", b"", None], pa.binary()),
        quantity=pa.array([2.55, -0.1, float("inf")], pa.float32()),
        amount=pa.array([0.1 + 0.2, 1e20, 5e-05]),
        discount=pa.array([1, 2, 3], pa.int64()).cast(pa.decimal128(22, 2)),
    )
    day = read_day(objects, [file], date(2026, 1, 1))
    assert day.drop_columns(["row", "at", "file", "ordered_at"]).to_pydict() == {
        "user_id": ["17850", "123456789012", None],
        "order_id": ["1", "2", None],
        "item_id": ["85123A", "", None],
        "quantity": ["2.55", "-0.1", "inf"],
        "amount": ["0.30000000000000004", "1e+20", "5e-05"],
        "discount": ["1.00", "2.00", "3.00"],
    }


def test_rows_are_numbered_as_in_the_file(objects: Objects, tmp_path: Path) -> None:
    days = [date(2026, 1, 1 + number % 3) for number in range(5000)]
    file = parquet(objects, tmp_path, user_id=pa.array([str(n) for n in range(1, 5001)]), ordered_at=pa.array(days))
    day = read_day(objects, [file], date(2026, 1, 2))
    assert day["row"].to_pylist() == list(range(2, 5001, 3))
    assert day["user_id"].to_pylist() == [str(number) for number in range(2, 5001, 3)]


@pytest.mark.parametrize(
    ("column", "values"),
    [("ordered_at", pa.array([1_767_225_600])), ("ordered_at", pa.array([True])), ("item_id", pa.array([[1, 2]]))],
)
def test_a_column_of_a_type_that_cannot_be_used_is_named(
    objects: Objects, tmp_path: Path, column: str, values: pa.Array
) -> None:
    columns = {"user_id": pa.array(["u"]), "ordered_at": pa.array(["2026-01-01"]), column: values}
    with pytest.raises(DataContractError, match=rf"a\.parquet: the column for {column} holds "):
        parquet(objects, tmp_path, **columns)


def test_a_damaged_parquet_file_is_named(objects: Objects, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    times = pa.array(["2026-01-01"] * 1000)
    pq.write_table(pa.table({"user_id": [str(n) for n in range(1000)], "ordered_at": times}), path)
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    path.write_bytes(data)
    with pytest.raises(DataContractError, match=r"^a\.parquet cannot be read"):
        index(objects, tmp_path, path="a.parquet")


def test_a_file_that_breaks_off_in_its_middle_leaves_no_index(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"user_id,ordered_at\n" + b"u,2026-01-01\n" * 60_000 + b"\xff,2026-01-01\n")
    with pytest.raises(DataContractError, match=r"^a\.csv is not utf-8 text"):
        index(objects, tmp_path)
    assert objects.keys("") == []
