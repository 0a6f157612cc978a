"""Times in every form, encodings, files without a header, and the same shop from every kind of file."""

import gzip
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError
from segmentation.sources import reading, slices
from segmentation.sources.slices import FileIndex, read_day
from segmentation.store.objects import Objects
from segmentation.times import UNITS

# ruff: noqa: DTZ001  (naive times are what the tests are about)

SKIPPED = reading.SKIPPED.format("ordered_at")
MISSING = reading.MISSING.format("ordered_at")
OUT_OF_RANGE = reading.OUT_OF_RANGE.format("ordered_at")


def index(objects: Objects, path: str, zone: str = "UTC", table: str = "orders", **source: Any) -> FileIndex:
    root = objects.root.parent
    sources = {"orders": {"path": "none.csv"}, table: {"path": path, **source}}
    config = Config(root=root, project={"timezone": zone}, sources=sources)
    (file,) = slices.index(objects, config, table, config.recipe())
    return file


def times(objects: Objects, values: Sequence[Any], zone: str = "UTC", **options: Any) -> tuple[FileIndex, list[Any]]:
    """The index of a file with these times (CSV for text, else Parquet), and what they were read as; None: undated."""
    root = objects.root.parent
    if isinstance(values, pa.Array):
        pq.write_table(pa.table({"user_id": ["u"] * len(values), "ordered_at": values}), root / "t.parquet")
    else:
        (root / "t.csv").write_text("user_id;ordered_at\n" + "".join(f"u;{text}\n" for text in values))
    file = index(objects, "t.parquet" if isinstance(values, pa.Array) else "t.csv", zone, options=options)
    found: dict[int, Any] = dict.fromkeys(range(1, len(values) + 1))
    for day in file.days:
        for row in read_day(objects, [file], day).to_pylist():
            found[row["row"]] = row["at"]
    return file, [at.replace(tzinfo=None) if at else None for at in found.values()]


# Numbers since 1970

AT = datetime(2015, 6, 2, 5, 2, 12, 117_000)


@pytest.mark.parametrize(
    ("unit", "text", "at"),
    [
        ("s", "1433221332", AT.replace(microsecond=0)),
        ("s", " 1433221332 ", AT.replace(microsecond=0)),
        ("s", "1433221332.0", AT.replace(microsecond=0)),
        ("s", "1433221332.117", AT),
        ("s", "1433221332.1170004", AT),
        ("ms", "1433221332117", AT),
        ("ms", "1433221332117.0", AT),
        ("ms", "1.433221332117e12", AT),
        ("ms", "1433221332117.25", AT.replace(microsecond=117_250)),
        ("us", "1433221332117000", AT),
        ("us", "1433221332117000.4", AT),
        ("s", "1.433221332e+09", AT.replace(microsecond=0)),
        ("s", "0", datetime(1970, 1, 1)),
        ("s", "-1", datetime(1969, 12, 31, 23, 59, 59)),
        ("ms", "-1.5", datetime(1969, 12, 31, 23, 59, 59, 998_500)),
        ("s", "-62135510400", datetime(1, 1, 2)),
    ],
)
def test_a_time_as_a_number(objects: Objects, unit: str, text: str, at: datetime) -> None:
    assert times(objects, [text], time_unit=unit)[1] == [at]


@pytest.mark.parametrize(
    ("unit", "text", "reason"),
    [
        ("s", "2015-06-02", "ordered_at is not a time (seconds since 1970-01-01 UTC)"),
        ("ms", "soon", "ordered_at is not a time (milliseconds since 1970-01-01 UTC)"),
        ("us", "nan", "ordered_at is not a time (microseconds since 1970-01-01 UTC)"),
        ("s", "inf", "ordered_at is not a time (seconds since 1970-01-01 UTC)"),
        ("s", "1433221332117", OUT_OF_RANGE),  # milliseconds
        ("s", "9999999999999999", OUT_OF_RANGE),
        ("ms", "99999999999999999999999999", OUT_OF_RANGE),
        ("s", "-99999999999999999999999999999999999999999", OUT_OF_RANGE),
        ("us", "1e300", OUT_OF_RANGE),
        ("s", "-62135596800", OUT_OF_RANGE),
        ("s", "", MISSING),
    ],
)
def test_a_number_that_is_no_time(objects: Objects, unit: str, text: str, reason: str) -> None:
    if reason == OUT_OF_RANGE:
        reason = reading.OTHER_UNIT.format("ordered_at", UNITS[unit])
    assert times(objects, [text], time_unit=unit)[0].reasons == {reason: 1}


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1_433_221_332_117, 0, None], pa.int64()),
        pa.array([1_433_221_332_117.0, 0.0, float("nan")]),
        pa.array(["1433221332117", "0", None]),
        pa.array([1_433_221_332_117, 0, None]).cast(pa.decimal128(23, 3)),
        pa.array([1_433_221_332_117, 0, None], pa.uint64()),
    ],
)
def test_numbers_in_parquet(objects: Objects, values: pa.Array) -> None:
    file, found = times(objects, values, time_unit="ms")
    assert found == [AT, datetime(1970, 1, 1), None]
    assert file.reasons == {MISSING: 1}


def test_a_time_in_parquet_is_one_whatever_the_unit(objects: Objects) -> None:
    assert times(objects, pa.array([AT]), time_unit="s")[1] == [AT]
    assert times(objects, pa.array([AT.date()]), time_format="%d/%m/%Y")[1] == [datetime(2015, 6, 2)]


def test_a_number_is_of_the_local_day(objects: Objects) -> None:
    file, found = times(objects, ["1511539200", "1511539199"], "Asia/Shanghai", time_unit="s")  # 00:00 and 23:59:59
    assert found == [datetime(2017, 11, 24, 16), datetime(2017, 11, 24, 15, 59, 59)]
    assert list(file.days) == [date(2017, 11, 24), date(2017, 11, 25)]


# Text of a given form


@pytest.mark.parametrize(
    ("form", "text", "at"),
    [
        ("%d/%m/%Y %H:%M", "01/02/2026 08:26", datetime(2026, 2, 1, 8, 26)),
        ("%m/%d/%Y", "02/01/2026", datetime(2026, 2, 1)),
        ("%d.%m.%y", " 01.02.26 ", datetime(2026, 2, 1)),
        ("%Y%m%d", "20260201", datetime(2026, 2, 1)),
        ("%Y%m%d%H%M%S", "20260201082605", datetime(2026, 2, 1, 8, 26, 5)),
        ("%d %b %Y %I:%M:%S %p", "01 Feb 2026 08:26:05 PM", datetime(2026, 2, 1, 20, 26, 5)),
        ("%Y-%m-%dT%H:%M:%S.%f", "2026-02-01T08:26:05.25", datetime(2026, 2, 1, 8, 26, 5, 250_000)),
        ("%d/%m/%Y %H:%M %z", "01/02/2026 08:26 +0530", datetime(2026, 2, 1, 2, 56)),
        ("%d/%m/%Y %H:%M%z", "01/02/2026 00:26+05:30", datetime(2026, 1, 31, 18, 56)),
        ("it's %Y-%m-%d", "it's 2026-02-01", datetime(2026, 2, 1)),
    ],
)
def test_a_time_of_a_given_form(objects: Objects, form: str, text: str, at: datetime) -> None:
    assert times(objects, [text], time_format=form)[1] == [at]


@pytest.mark.parametrize("text", ["2026-02-01", "31/02/2026 10:00", "01/02/2026", "01/02/2026 08:26:00", "x"])
def test_text_of_another_form_is_no_time(objects: Objects, text: str) -> None:
    reason = "ordered_at is not a time (%d/%m/%Y %H:%M)"
    assert times(objects, [text], time_format="%d/%m/%Y %H:%M")[0].reasons == {reason: 1}


def test_local_times_of_a_given_form_know_the_clocks(objects: Objects) -> None:
    texts = ["29/03/2026 01:30", "29/03/2026 02:30", "25/10/2026 01:30", "25/10/2026 02:30"]
    file, found = times(objects, texts, "Europe/London", time_format="%d/%m/%Y %H:%M")
    assert found == [None, datetime(2026, 3, 29, 1, 30), datetime(2026, 10, 25, 0, 30), datetime(2026, 10, 25, 2, 30)]
    assert file.reasons == {SKIPPED: 1}


def test_a_form_that_the_engine_does_not_know_is_a_fault_of_the_configuration(objects: Objects) -> None:
    with pytest.raises(ConfigError, match=r"\[sources\.orders\.options\] time_format = '%Q'"):
        times(objects, ["2026"], time_format="%Q")


# CSV without a header, encodings


def test_a_file_without_a_header(objects: Objects, tmp_path: Path) -> None:
    """As Taobao's: user, item, category, kind, seconds."""
    (tmp_path / "t.csv").write_text("1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511561733\n")
    columns = {"user_id": "column0", "item_id": "column1", "category": "column2", "event_type": "column3"}
    options = {"header": False, "time_unit": "s"}
    file = index(
        objects, "t.csv", "Asia/Shanghai", "events", columns={**columns, "event_at": "column4"}, options=options
    )
    day = read_day(objects, [file], date(2017, 11, 25))
    assert day["event_type"].to_pylist() == ["pv", "buy"]
    assert day["at"].to_pylist()[0] == datetime(2017, 11, 24, 17, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "é"),
        ("utf-8-sig", "é"),
        ("utf-16", "é"),
        ("utf-16-le", "é"),
        ("utf-32", "é"),
        ("latin-1", "é"),
        ("cp1252", "€"),
        ("gb18030", "小"),
        ("gbk", "小"),
        ("shift_jis", "カ"),
        ("euc-kr", "한"),
        ("koi8-r", "ж"),
        ("cp037", "x"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_any_encoding_that_python_knows(
    objects: Objects, tmp_path: Path, encoding: str, text: str, packed: bool
) -> None:
    data = f'user_id,ordered_at,category\nu1,2026-01-01,{text}\nu2,2026-01-01,"{text}\n{text}"\n'.encode(encoding)
    name = "t.csv.gz" if packed else "t.csv"
    (tmp_path / name).write_bytes(gzip.compress(data, mtime=0) if packed else data)
    file = index(objects, name, options={"encoding": encoding})
    assert read_day(objects, [file], date(2026, 1, 1))["category"].to_pylist() == [text, f"{text}\n{text}"]


def test_an_encoding_that_is_not_one_of_text_is_refused(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user_id,ordered_at\n")
    with pytest.raises(ConfigError, match="encoding = 'hex' is not one of text"):
        index(objects, "t.csv", options={"encoding": "hex"})


def test_a_wrong_encoding_names_the_tables_own_setting(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"user_id,reviewed_at,rating\n\xe9,2026-01-01,5\n")
    with pytest.raises(DataContractError, match=r"\[sources\.reviews\.options\] encoding"):
        index(objects, "t.csv", table="reviews")


def test_a_field_of_a_megabyte_is_a_field(objects: Objects, tmp_path: Path) -> None:
    long = "x\n" * 500_000
    (tmp_path / "t.csv").write_text(
        f'user_id,ordered_at,category\nu,2026-01-01,"{long}"\nv,2026-01-01,{"y" * 1_000_000}\n'
    )
    file = index(objects, "t.csv")
    assert (file.rows, file.undated) == (2, 0)
    assert read_day(objects, [file], date(2026, 1, 1))["category"].to_pylist() == [long, "y" * 1_000_000]


def test_nul_bytes_are_text(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('user_id,ordered_at,category\nu\0,2026-01-01,"a\0""b"\nv,2026-01-01\0,\n')
    file = index(objects, "t.csv")
    assert (file.rows, file.undated) == (2, 1)
    day = read_day(objects, [file], date(2026, 1, 1))
    assert day.select(["user_id", "category"]).to_pylist() == [{"user_id": "u\0", "category": 'a\0"b'}]


# Users


def test_users_are_kept_as_of_no_day(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user_id,signed_up_at,Order,Plan\nu1,2020-01-01,7,gold\nu2,soon,8\n")
    file = index(objects, "t.csv", table="users", columns={"order": "Order", "plan": "Plan"})
    assert (file.rows, file.undated, list(file.days)) == (2, 1, [date(1970, 1, 1)])
    assert read_day(objects, [file], date(1970, 1, 1)).to_pylist() == [
        {
            "row": 1,
            "at": None,
            "user_id": "u1",
            "signed_up_at": "2020-01-01",
            "order": "7",
            "plan": "gold",
            "file": "t.csv",
        }
    ]


@pytest.mark.parametrize("name", ["row", "at", "file", "Plan", "a b", "é"])
def test_attributes_have_plain_names_of_their_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be an attribute's name"):
        Config(root=tmp_path, sources={"orders": {"path": "x.csv"}, "users": {"path": "u.csv", "columns": {name: "x"}}})


# The same rows from every kind of file


def test_the_same_rows_from_csv_json_lines_parquet_and_a_query(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "user_id,ordered_at,quantity,amount\nu1,2026-01-01 10:00,2,1.5\n17,2026-01-01T11:00Z,,\nu2,2026-01-02,1,0.25\n"
    )
    (tmp_path / "a.jsonl").write_text(
        '{"user_id": "u1", "ordered_at": "2026-01-01 10:00", "quantity": 2, "amount": 1.5}\n'
        '{"user_id": 17, "ordered_at": "2026-01-01T11:00Z", "quantity": null}\n'
        '{"user_id": "u2", "ordered_at": "2026-01-02", "quantity": 1, "amount": 0.25}\n'
    )
    table = {
        "user_id": ["u1", "17", "u2"],
        "ordered_at": [datetime(2026, 1, 1, 10), datetime(2026, 1, 1, 11), datetime(2026, 1, 2)],
        "quantity": [2.0, None, 1.0],
        "amount": [1.5, None, 0.25],
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    files = [index(objects, path) for path in ("a.csv", "a.jsonl", "a.parquet")]
    query = index(objects, None, sql="FROM 'a.parquet'")  # type: ignore[arg-type]
    assert len({file.key for file in files}) == 3
    for day in (date(2026, 1, 1), date(2026, 1, 2)):
        found = [read_day(objects, [file], day).drop_columns(["file", "ordered_at"]) for file in files]
        assert found[0] == found[1] == found[2]
        other = read_day(objects, [query], day).drop_columns(["file", "row", "ordered_at"])  # its order is its own
        assert sorted(map(str, other.to_pylist())) == sorted(map(str, found[0].drop_columns(["row"]).to_pylist()))


# Only what is asked for


def test_of_a_template_only_the_files_of_the_days_are_opened(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(1, 29):
        if day != 11:
            (tmp_path / f"2026-01-{day:02}.csv").write_text(f"user_id,ordered_at\nu,2026-01-{day:02}\nv,2026-01-03\n")
    config = Config(root=tmp_path, sources={"orders": {"path": "{date}.csv"}})
    recipe = config.recipe()
    opened: list[str] = []
    path_open = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: opened.append(self.name) or path_open(self, *a, **k))
    days = [date(2026, 1, day) for day in (10, 11, 12)]
    files = slices.index(objects, config, "orders", recipe, days=days)
    assert [file.name for file in files] == ["2026-01-10.csv", "2026-01-12.csv"]
    assert set(opened) == {"2026-01-10.csv", "2026-01-12.csv"}
    assert [list(file.days) for file in files] == [[days[0]], [days[2]]]  # a day's rows are those of its own file
