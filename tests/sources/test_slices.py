"""A file is split into days once per content, no row is lost, and equal input gives equal bytes."""

import glob
import os
import tarfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sliced import MISSING, NOT_A_TIME, OUT_OF_RANGE, ROOT, index, undated

from segmentation.config import Config
from segmentation.errors import StoreError
from segmentation.features.engine import THREADS
from segmentation.sources import slices
from segmentation.sources.files import BROKEN_QUOTES, TOO_FEW
from segmentation.sources.slices import raw_rows, read_day
from segmentation.store.objects import Objects

# Naive times are what the tests are about.

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
        {"row": 1, "at": datetime(2026, 1, 2, 10, tzinfo=UTC)}
        | {"user_id": "u1", "ordered_at": "2026-01-02 10:00", "amount": "1.5", "file": "a.csv"},
        {"row": 3, "at": datetime(2026, 1, 2, tzinfo=UTC)}
        | {"user_id": "u3", "ordered_at": "2026-01-02", "amount": "7", "file": "a.csv"},
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


@pytest.mark.parametrize("folder", ["user_id=7/amount=9", "part [1] * ?", "dt=2026-02-01"])
def test_the_folders_of_a_parquet_file_are_only_its_place(objects: Objects, tmp_path: Path, folder: str) -> None:
    """Neither is `name=value` a column that hides one of the file's own, nor is a bracket a pattern."""
    path = tmp_path / folder / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"user_id": ["u1"], "ordered_at": ["2026-01-01"], "amount": ["1"], "dt": ["x"]}), path)
    (file,) = index(objects, tmp_path, path=glob.escape(f"{folder}/a.parquet"))
    (row,) = read_day(objects, [file], date(2026, 1, 1)).to_pylist()
    assert (row["user_id"], row["amount"], row["file"]) == ("u1", "1", f"{folder}/a.parquet")
