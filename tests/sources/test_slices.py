"""A file is split into days once per content, no row is lost, and equal input gives equal bytes."""

import os
import tarfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError, StoreError
from segmentation.features.engine import THREADS
from segmentation.sources import reading, slices
from segmentation.sources.files import BROKEN_QUOTES, TOO_FEW
from segmentation.sources.slices import FileIndex, raw_rows, read_day
from segmentation.store import quarantine
from segmentation.store.objects import Objects

# Naive times are what the tests are about.
# ruff: noqa: DTZ001

MISSING = reading.MISSING.format("ordered_at")
NOT_A_TIME = reading.NOT_A_TIME.format("ordered_at", reading.ISO)
OUT_OF_RANGE = reading.OUT_OF_RANGE.format("ordered_at")
SKIPPED = reading.SKIPPED.format("ordered_at")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "store")


def index(objects: Objects, root: Path, zone: str = "UTC", **source: Any) -> tuple[FileIndex, ...]:
    source = {"path": "*.csv"} | source
    config = Config(root=root, project={"timezone": zone}, sources={"orders": source})
    return slices.index(objects, config, "orders", config.recipe())


def times(objects: Objects, root: Path, texts: list[str], zone: str = "UTC") -> tuple[FileIndex, list[datetime]]:
    """The index of a file with these times, and what they were read as, in their order in the days' order."""
    (root / "times.csv").write_text("user_id,ordered_at\n" + "".join(f"u,{text}\n" for text in texts))
    (found,) = index(objects, root, zone)
    return found, [at for day in sorted(found.days) for at in read_day(objects, [found], day)["at"].to_pylist()]


def undated(objects: Objects, file: FileIndex) -> list[dict[str, Any]]:
    return list(quarantine.read_csv(objects.get(str(file.quarantine))).to_pylist())


# Days


def test_a_file_is_cut_into_its_days_in_the_order_of_its_rows(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "user_id,ordered_at,Price,note\nu1,2026-01-02 10:00,1.5,x\nu2,2026-01-01 09:00,,y\nu3,2026-01-02,7,z\n"
    )
    (file,) = index(objects, tmp_path, columns={"amount": "Price"})
    assert (file.rows, file.undated, file.reasons, file.quarantine) == (3, 0, {}, None)
    assert file.days == {date(2026, 1, 1): (0, 1), date(2026, 1, 2): (1, 2)}
    assert file.columns == ("user_id", "ordered_at", "amount")
    day = read_day(objects, [file], date(2026, 1, 2))
    assert day.schema.field("at").type == pa.timestamp("us", tz="UTC")
    assert day.to_pylist() == [
        {"row": 1, "at": datetime(2026, 1, 2, 10, tzinfo=UTC), "user_id": "u1", "amount": "1.5", "file": "a.csv"},
        {"row": 3, "at": datetime(2026, 1, 2, tzinfo=UTC), "user_id": "u3", "amount": "7", "file": "a.csv"},
    ]


def test_a_day_is_made_of_all_files_that_have_rows_of_it(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu1,2026-01-01\nu2,2026-01-01\n")
    (tmp_path / "b.csv").write_text("user_id,ordered_at,amount\nu3,2026-01-01,5\nu4,2026-01-02,6\n")
    files = index(objects, tmp_path)
    day = read_day(objects, files, date(2026, 1, 1))
    assert day.select(["file", "row", "user_id", "amount"]).to_pylist() == [
        {"file": "a.csv", "row": 1, "user_id": "u1", "amount": None},
        {"file": "a.csv", "row": 2, "user_id": "u2", "amount": None},
        {"file": "b.csv", "row": 1, "user_id": "u3", "amount": "5"},
    ]
    assert [raw_rows(files, date(2026, 1, day)) for day in (1, 2, 3)] == [3, 1, 0]


def test_a_day_without_rows_is_an_empty_table(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\n")
    files = index(objects, tmp_path)
    assert (files[0].rows, files[0].days, files[0].raw) == (0, {}, None)
    day = read_day(objects, files, date(2026, 1, 1))
    assert (day.num_rows, day.column_names) == (0, ["row", "at", "file"])


def test_equal_content_counts_once(objects: Objects, tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text("user_id,ordered_at\nu1,2026-01-01\n")
    assert [file.name for file in index(objects, tmp_path)] == ["a.csv"]


def test_parts_of_the_files_are_all_of_the_files(objects: Objects, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.csv").write_text(f"user_id,ordered_at\nu{number},2026-01-01\n")
    config = Config(root=tmp_path, sources={"orders": {"path": "*.csv"}})
    names = [
        [file.name for file in slices.index(objects, config, "orders", config.recipe(), part=(part, 2))]
        for part in range(2)
    ]
    assert names == [["0.csv", "2.csv", "4.csv"], ["1.csv", "3.csv"]]


def test_a_file_that_was_read_is_found_by_its_key(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu1,2026-01-01\nu2,\n")
    (file,) = index(objects, tmp_path)
    assert slices.load(objects, "a.csv", file.key) == file


# Accounting

CELLS = [
    "2026-01-01",
    "2026-01-02 10:00",
    "2026-13-01",
    "",
    " ",
    "yesterday",
    "2026-01-03T23:59:59Z",
    '"2026-01-01"',
    '"x',
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.sampled_from([*(f"u,{cell}" for cell in CELLS), "u", "u,1,2", 'u,"2026-01-01\n"', ""])))
def test_rows_are_undated_or_of_a_day(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.mktemp("accounting")
    (folder / "a.csv").write_text("\n".join(["user_id,ordered_at", *lines]))
    objects = Objects(folder / "store")
    (file,) = index(objects, folder)
    kept = [row["row"] for day in file.days for row in read_day(objects, [file], day).to_pylist()]
    kept += [row["row"] for row in undated(objects, file)] if file.quarantine else []
    assert sorted(kept) == list(range(1, file.rows + 1))
    assert file.rows == file.undated + sum(rows for _, rows in file.days.values())
    assert file.undated == sum(file.reasons.values())
    # Counted apart: a good record of two lines is one record.
    physical = [line for line in "\n".join(lines).split("\n") if line]
    assert len(physical) - file.rows in range(lines.count('u,"2026-01-01\n"') + lines.count('u,"x') + 1)


def test_undated_rows_are_kept_with_their_reasons(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'user_id,ordered_at,amount\nu1,2026-01-01,1\nu2,,2\nu3,soon,3\nu4,2026-01-01\nu5,"2026-01-01"x,5\nu6,0000-01-01,6\n'
    )
    (file,) = index(objects, tmp_path)
    assert (file.rows, file.undated) == (6, 5)
    assert file.reasons == {MISSING: 1, NOT_A_TIME: 1, TOO_FEW: 1, BROKEN_QUOTES: 1, OUT_OF_RANGE: 1}
    assert [
        (row["row"], row["reason"], row["line"], row["user_id"], row["ordered_at"]) for row in undated(objects, file)
    ] == [
        (2, MISSING, None, "u2", None),
        (3, NOT_A_TIME, None, "u3", "soon"),
        (4, TOO_FEW, "u4,2026-01-01", None, None),
        (5, BROKEN_QUOTES, 'u5,"2026-01-01"x,5', None, None),
        (6, OUT_OF_RANGE, None, "u6", "0000-01-01"),
    ]


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
    assert day.drop_columns(["row", "at", "file"]).to_pydict() == {
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


# Once per content


def test_an_unchanged_file_is_not_read_again(objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu,2026-01-01\n")
    before = index(objects, tmp_path)
    monkeypatch.setattr(slices, "read", lambda *_: pytest.fail("read again"))
    assert index(objects, tmp_path) == before


def test_a_changed_file_is_read_again_and_its_old_slices_stay(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu1,2026-01-01\n")
    old = index(objects, tmp_path)
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu2,2026-01-01\n")
    new = index(objects, tmp_path)
    assert old[0].key != new[0].key
    users = [read_day(objects, files, date(2026, 1, 1))["user_id"].to_pylist() for files in (old, new)]
    assert users == [["u1"], ["u2"]]


@pytest.mark.parametrize(
    "change", [{"zone": "Europe/London"}, {"columns": {"order_id": "note"}}, {"options": {"delimiter": ","}}]
)
def test_what_decides_how_a_file_is_read_is_in_its_key(
    objects: Objects, tmp_path: Path, change: dict[str, Any]
) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at,note\nu,2026-07-01 00:30,x\n")
    assert index(objects, tmp_path)[0].key != index(objects, tmp_path, **change)[0].key


def test_the_look_back_is_not_in_the_key(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu,2026-07-01\n")
    assert index(objects, tmp_path) == index(objects, tmp_path, options={"lookback_days": 30})


def test_a_large_file_that_did_not_change_is_hashed_once_and_for_all_processes(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(b"x" * (slices.SMALL_FILE + 1))
    monkeypatch.setattr(slices, "SETTLED_NS", -1)  # as if it had been written long ago
    first = slices._hash_of_path(objects, path, "orders")
    monkeypatch.setattr(slices, "_hash_now", lambda path: pytest.fail("hashed again"))
    assert slices._hash_of_path(Objects(objects.root), path, "orders") == first
    assert [key for key in objects.keys("raw/orders") if "/hashed/" in key]


def test_a_large_file_that_was_just_written_is_hashed_again(objects: Objects, tmp_path: Path) -> None:
    """A file of the same size, with its old modification time, written within one tick of the clock: no old hash."""
    path = tmp_path / "large.csv"
    hashes = set()
    for letter in (b"x", b"y"):
        path.write_bytes(letter * (slices.SMALL_FILE + 1))
        os.utime(path, ns=(0, 0))
        hashes.add(slices._hash_of_path(objects, path, "orders"))
    assert len(hashes) == 2


def test_a_file_that_changes_while_it_is_read_is_not_indexed(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user_id,ordered_at\nu1,2026-01-01\n")
    read = slices.read

    def read_while_written(*arguments: Any) -> Any:
        document = read(*arguments)
        path.write_text("user_id,ordered_at\nu1,2026-01-01\nu2,2026-01-01\n")
        return document

    monkeypatch.setattr(slices, "read", read_while_written)
    with pytest.raises(OSError, match=r"a\.csv changed while it was read"):
        index(objects, tmp_path)
    assert [key for key in objects.keys("raw") if key.endswith(".json")] == []


def test_a_slice_that_is_gone_or_damaged_is_named(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu,2026-01-01\n")
    files = index(objects, tmp_path)
    path = Path(objects.path(str(files[0].raw)))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(StoreError, match=path.stem):
        read_day(objects, files, date(2026, 1, 1))
    path.unlink()
    with pytest.raises(StoreError, match=path.stem):
        read_day(objects, files, date(2026, 1, 1))


def test_a_flipped_bit_in_a_slice_is_not_read_as_data(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\n" + "".join(f"u{n},2026-01-01\n" for n in range(100)))
    files = index(objects, tmp_path)
    path = Path(objects.path(str(files[0].raw)))
    data = path.read_bytes()
    users = pq.read_metadata(path).row_group(0).column(2)
    start, stop = users.dictionary_page_offset, users.dictionary_page_offset + users.total_compressed_size
    for place in range(start, stop, 7):
        damaged = bytearray(data)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        try:
            found = read_day(objects, files, date(2026, 1, 1))["user_id"].to_pylist()
        except StoreError:
            continue
        # The few bits that are left are of the pages' statistics, not of their data.
        assert found == [f"u{n}" for n in range(100)]


def test_an_index_in_the_place_of_another_is_refused(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,ordered_at\nu1,2026-01-01\n")
    (tmp_path / "b.csv").write_text("user_id,ordered_at\nu2,2026-01-01\n")
    one, other = (Path(objects.path(f"raw/orders/{file.key}.json")) for file in index(objects, tmp_path))
    one.write_bytes(other.read_bytes())
    with pytest.raises(StoreError, match=one.stem):
        index(objects, tmp_path)


def test_the_bytes_do_not_depend_on_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"u{n * 7919 % 1000}", f"2026-01-{1 + n * 31 % 28:02} 10:00:00", n + 0.25) for n in range(150_000)]
    (tmp_path / "a.csv").write_text("user_id,ordered_at,amount\n" + "".join(f"{u},{t},{a}\n" for u, t, a in rows))
    table = pa.table(dict(zip(("user_id", "ordered_at", "amount"), map(list, zip(*rows, strict=True)), strict=True)))
    pq.write_table(table, tmp_path / "b.parquet", row_group_size=20_000)
    keys = {}
    for threads in ("1", "2", "4"):
        monkeypatch.setenv(THREADS, threads)
        objects = Objects(tmp_path / f"store{threads}")
        index(objects, tmp_path, path="[ab].*")
        keys[threads] = [key for key in objects.keys("") if "/hashed/" not in key]
    assert len(keys["1"]) == 3  # two indexes; the slices are the same
    assert keys["1"] == keys["2"] == keys["4"]


# Real data


def test_online_retail_is_read_whole_and_day_by_day_alike(objects: Objects, tmp_path: Path) -> None:
    """541,909 lines of 305 days in one Parquet file: none is lost; the daily CSV files of a month hold the same days."""
    data = ROOT.parent / "shared" / "data" / "online_retail"
    if not (data / "by-day.tar.zst").exists():
        pytest.skip(f"the Online Retail data set is not there ({data})")
    with (
        pa.input_stream(str(data / "by-day.tar.zst"), compression="zstd") as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        for member in tar:
            if "2010-12-" in member.name:
                tar.extract(member, tmp_path, filter="data")
    columns = {"user_id": "CustomerID", "ordered_at": "InvoiceDate", "order_id": "InvoiceNo", "quantity": "Quantity"}
    (whole,) = index(objects, data, path="online_retail.parquet", columns=columns)
    assert (whole.rows, whole.undated, len(whole.days)) == (541_909, 0, 305)
    daily = index(objects, tmp_path, path="**/*.csv", columns=columns)
    assert [list(file.days) for file in daily] == [[day] for day in whole.days if day.year == 2010]
    for file in daily:
        (day,) = file.days
        one, other = read_day(objects, [file], day), read_day(objects, [whole], day)
        assert one.select(["at", "order_id", "quantity"]) == other.select(["at", "order_id", "quantity"])
