"""Objects are written once, whole or not at all, and by one writer only."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest

from segmentation.errors import StoreError
from segmentation.store.content import hash_bytes
from segmentation.store.objects import Objects


def test_the_first_put_wins_and_the_second_changes_nothing(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    assert objects.put("a/b.json", b"first")
    assert not objects.put("a/b.json", b"second")
    assert objects.get("a/b.json") == b"first"
    assert objects.keys("a") == ["a/b.json"]


def test_what_is_not_there_is_none_or_an_error_that_names_it(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    assert objects.find("log/1.json") is None
    assert not objects.exists("log/1.json")
    assert objects.keys("log") == []
    with pytest.raises(StoreError, match=r"lacks log/1\.json"):
        objects.get("log/1.json")
    with pytest.raises(StoreError, match=r"lacks cells/x\.parquet"):
        objects.table("cells/x.parquet")


def test_keys_are_sorted_whole_and_below_the_folder_only(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    for key in ("log/2", "log/10", "log/1", "logs/1", "log2", "other/log/1"):
        objects.put(key, b"")
    assert objects.keys("log") == ["log/1", "log/10", "log/2"]
    assert objects.keys("log", after="log/1") == ["log/10", "log/2"]
    assert len(objects.keys("")) == 6


def test_racing_puts_of_many_keys_have_one_winner_each(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    barrier = threading.Barrier(6)
    wins: list[tuple[str, int]] = []

    def race(writer: int) -> None:
        barrier.wait()
        for number in range(60):
            if objects.put(f"log/{number}", b"%d" % writer * 1000):
                wins.append((f"log/{number}", writer))

    writers = [threading.Thread(target=race, args=(writer,)) for writer in range(6)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert len(wins) == 60
    assert {key: objects.get(key) for key, _ in wins} == {key: b"%d" % writer * 1000 for key, writer in wins}


def test_a_reader_sees_nothing_or_all_of_an_object(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    data = bytes(range(256)) * 8192  # 2 MB
    done = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            for number in range(12):
                found = objects.find(f"x/{number}")
                seen.add(-1 if found is None else len(found))
            for key in objects.keys("x"):  # who is listed can be read
                seen.add(len(objects.get(key)))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(12):
        objects.put(f"x/{number}", data)
    done.set()
    reader.join()
    assert seen <= {-1, len(data)}
    assert len(data) in seen


def test_what_a_killed_writer_left_is_not_an_object(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    objects.put("log/1.json", b"one")
    (tmp_path / "log" / "2.json#1").write_bytes(b"ha")  # the staged half of a put
    assert objects.keys("log") == ["log/1.json"]
    assert objects.find("log/2.json") is None
    assert objects.put("log/2.json", b"two")
    assert objects.get("log/2.json") == b"two"


def test_a_table_is_named_by_its_bytes_and_comes_back(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    table = pa.table({"user_id": ["a", None], "points": [1, -(2**63)]})
    key = objects.put_table("cells/orders", table)
    assert objects.put_table("cells/orders", table) == key
    assert key == f"cells/orders/{hash_bytes(objects.get(key))}.parquet"
    assert objects.table(key).equals(table)
    assert Path(objects.path(key)).read_bytes() == objects.get(key)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made or opened"):
        Objects(tmp_path / "file" / "store")
