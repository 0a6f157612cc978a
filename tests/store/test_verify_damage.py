"""verify finds whatever is done to a store: flipped bits, lost and swapped files, and lies that are sealed again."""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from segmentation import history
from segmentation.config import Config
from segmentation.store import log as log_module
from segmentation.store import quarantine
from segmentation.store.content import canonical_json, hash_bytes, hash_json, hash_table, parquet_bytes, seal, unseal
from segmentation.store.log import Log, key_of
from segmentation.store.objects import Objects
from segmentation.store.quarantine import read_csv
from segmentation.store.snapshots import Folder
from segmentation.store.store import Store, open_store
from segmentation.store.verify import verify

FIRST = date(2024, 2, 25)
DAYS = [FIRST + timedelta(days=offset) for offset in range(10)]
PUBLISHED = DAYS[5:]  # from March on, so that a whole month of first appearances lies before


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with everything in it: quarantine, undated rows, superseded snapshots, checkpoints, lapses and returns."""
    root = tmp_path_factory.mktemp("project")
    (root / "orders").mkdir()
    dice = random.Random(5)

    def write(day: date, lines: list[str]) -> None:
        lines = ["order_id,user_id,ordered_at,quantity,amount", *lines]
        (root / "orders" / f"{day}.csv").write_text("\n".join(lines) + "\n")

    for day in DAYS:
        lines = [
            f"o{number},u{number},{day} 10:00:00,{dice.choice([1, 2])},{dice.randint(1, 9000) / 100}"
            for number in range(14)
            if not number or dice.random() < 0.3
        ]
        bad = [f"x,,{day} 10:00:00,1,1", "y,u1,never,1,1"]
        write(day, lines + (bad if day.day % 2 else []))
    config = Config(
        sources={"orders": {"path": "orders/*.csv"}},
        features={"window_days": 4},
        clustering={"segments": 2},
        root=root,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_module, "CHECKPOINT_EVERY", 8)
        history.backfill(config, PUBLISHED[0], PUBLISHED[-1])
        write(PUBLISHED[1], [f"o1,u1,{PUBLISHED[1]} 10:00:00,1,900"])
        history.run(config, PUBLISHED[1])
        history.reconcile(config)
    folder = config.store_path()
    kinds = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert kinds == {
        *("accepted", "cells", "checkpoints", "first_seen", "fits"),
        *("log", "quarantine", "raw", "recipes", "references", "snapshots"),
    }
    assert verify(open_store(config)) == []
    return folder


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Store:
    shutil.copytree(original, tmp_path / "store")
    return opened(tmp_path / "store")


def opened(folder: Path) -> Store:
    objects = Objects(folder)
    return Store(objects, Log(objects))


def files(store: Store) -> list[str]:
    return store.objects.keys("")


def write(store: Store, key: str, data: bytes) -> None:
    Path(store.objects.path(key)).write_bytes(data)


def flipped(data: bytes, position: int, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[position] ^= 1 << bit
    return bytes(damaged)


def unnamed(keys: list[str], problems: list[str]) -> list[str]:
    """Those of the damaged objects that no problem is about."""
    text = "\n".join(problems)
    return [key for key in keys if key not in text]


# A round flips one bit in every file of a group, and each must be named. Records of the log are damaged one at a time:
# behind a damaged record there is no history to check the rest against.
def test_a_flipped_bit_is_found_in_every_file_at_any_place(store: Store) -> None:
    keys = files(store)
    manifests = [key for key in keys if key.endswith("manifest.json")]
    plain = [key for key in keys if key not in manifests and not key.startswith("log/")]
    dice = random.Random(0)
    for group in (plain, manifests):
        before = {key: store.objects.get(key) for key in group}
        for share in (0.0, 1.0, 0.02, 0.98, *(dice.random() for _ in range(4))):
            for key, data in before.items():
                write(store, key, flipped(data, min(int(share * len(data)), len(data) - 1), dice.randrange(8)))
            assert unnamed(group, verify(store)) == []
        for key, data in before.items():
            write(store, key, data)
    assert verify(store) == []


def test_a_flipped_bit_is_found_in_every_record_of_the_log(store: Store) -> None:
    dice = random.Random(1)
    for key in store.objects.keys("log"):
        data = store.objects.get(key)
        for position in (dice.choice([0, len(data) - 1, dice.randrange(len(data))]),):
            write(store, key, flipped(data, position, dice.randrange(8)))
            assert unnamed([key], verify(store)) == []
        write(store, key, data)
    assert verify(store) == []


@pytest.mark.soak
def test_a_flipped_bit_is_found_at_fifty_places_of_every_file(store: Store) -> None:
    for key in files(store):
        data = store.objects.get(key)
        for position in range(0, len(data), max(1, len(data) // 50)):
            write(store, key, flipped(data, position, position % 8))
            assert unnamed([key], verify(store)) == []
        write(store, key, data)


def disposable(store: Store) -> set[str]:
    """What may be gone: it is made again when it is needed, or nothing refers to it any more."""
    state = store.state()
    current = {published.folder for published in state.published.values()}
    parents = {json.loads(store.objects.get(f"{folder}/inputs.json"))["parent_folder"] for folder in current}
    tables = [table for day in state.accepted.values() for table in day.tables.values()]
    named = {key for table in tables for key in (table.accepted, table.cells, table.quarantine)}
    return {
        key
        for key in files(store)
        if key.startswith(("checkpoints/", "raw/reads/"))
        or (key.startswith("first_seen/") and key.endswith(".json"))
        or (key.startswith("snapshots/") and key.rpartition("/")[0] not in current | parents)
        or (key.endswith("/manifest.json") and key.rpartition("/")[0] not in current)
        or (key.startswith(("accepted/", "cells/", "quarantine/orders/date=")) and key not in named)
        or key == key_of(state.number)  # the history before the last commit is a whole history
    }


@pytest.mark.parametrize("of_a_kind", [1, pytest.param(1000, marks=pytest.mark.soak)])
def test_every_lost_file_is_named(store: Store, of_a_kind: int) -> None:
    allowed = disposable(store)
    # Of a corrected day's first file nothing is in force.
    replaced = [key for key in files(store) if key.startswith("raw/orders/") and key not in in_force(store)]
    kinds: Counter[str] = Counter()
    for key in sorted(files(store), reverse=True):
        folder, _, name = key.rpartition("/")
        kind = name if folder.startswith("snapshots/") else folder.partition("/date=")[0] + name[-5:]
        kinds[kind] += 1
        if kinds[kind] > of_a_kind:
            continue
        data = store.objects.get(key)
        os.remove(store.objects.path(key))
        problems = verify(store)
        if key in allowed or key in replaced:
            assert [problem for problem in problems if key not in problem] == [], key
        else:
            assert unnamed([key], problems) == [], key
        write(store, key, data)
    assert verify(store) == []


def in_force(store: Store) -> set[str]:
    """The indexes that accepted days were read from, and the slices that they name."""
    found = set()
    for day in store.state().accepted.values():
        for name in day.tables["orders"].files:
            index = unseal(store.objects.get(f"raw/orders/{name}.json"), name)
            found |= {f"raw/orders/{name}.json", index["raw"], index["quarantine"]}
    return found


def test_a_log_that_lost_its_end_is_found_by_a_checkpoint_beyond_it(store: Store) -> None:
    last = store.objects.keys("checkpoints")[-1]
    number = int(last[-19:-5])
    for key in store.objects.keys("log")[number - 1 :]:
        os.remove(store.objects.path(key))
    assert unnamed([last], verify(store)) == []


def swaps(store: Store) -> Iterator[tuple[str, str]]:
    """Pairs of files of a kind whose bytes differ: neighbours, and of snapshots the same file on two days."""
    keys = files(store)
    for folder in ("accepted", "cells", "checkpoints", "first_seen", "log", "quarantine", "raw", "recipes"):
        for suffix in (".json", ".parquet"):
            of = [key for key in keys if key.startswith(folder + "/") and key.endswith(suffix)]
            yield from pairwise(of[:2])
    for name in (
        "memberships.parquet",
        "features.parquet",
        "inputs.json",
        "quality.json",
        "manifest.json",
        "decision.json",
    ):
        of = [key for key in keys if key.endswith("/" + name)]
        yield from pairwise(of[:3])


def test_two_files_in_each_others_place_are_found(store: Store) -> None:
    tried = 0
    for one, other in swaps(store):
        data = store.objects.get(one), store.objects.get(other)
        if data[0] == data[1]:
            continue
        tried += 1
        write(store, one, data[1])
        write(store, other, data[0])
        problems = verify(store)
        assert unnamed([one], problems) == [] or unnamed([other], problems) == [], (one, other)
        write(store, one, data[0])
        write(store, other, data[1])
    assert tried > 15
    assert verify(store) == []


# Lies that are sealed again: every hash, manifest and record is made to agree with the changed content. ---------------


def resealed(store: Store, day: date, change: dict[str, Callable[[pa.Table], pa.Table]]) -> None:
    """Rewrite tables of a day's current snapshot, then its manifest, its id, its record in the log, and all seals."""
    current = store.state().published[day]
    folder = Folder(store.objects, day, current.derivation)
    for name, changed in change.items():
        table = folder.table(name)
        rewritten = changed(table)
        assert not rewritten.equals(table)
        write(store, f"{folder.path}/{name}.parquet", parquet_bytes(rewritten))
    manifest = folder.manifest()
    assert manifest
    manifest["snapshot_id"] = folder.snapshot_id()
    for name in change:
        data = store.objects.get(f"{folder.path}/{name}.parquet")
        manifest["files"][f"{name}.parquet"] = hash_bytes(data)
        manifest["rows"][f"{name}.parquet"] = folder.table(name).num_rows
    write(store, f"{folder.path}/manifest.json", seal(manifest))
    relogged(store, lambda record: _republished(record, folder, manifest["snapshot_id"]))


def _republished(record: dict[str, Any], folder: Folder, snapshot_id: str) -> None:
    if record["kind"] == "publish" and record["published"]["folder"] == folder.path:
        record["published"]["snapshot_id"] = snapshot_id
        record["published"]["files"] = folder.files()


def relogged(store: Store, change: Callable[[dict[str, Any]], None]) -> None:
    """Change records and chain the log anew; checkpoints, which would give it away, go."""
    previous = ""
    for key in store.objects.keys("log"):
        record = unseal(store.objects.get(key), key)
        change(record)
        record["previous"] = previous
        previous = hash_json(record)
        write(store, key, seal(record))
    store.objects.delete(store.objects.keys("checkpoints"))


def set_value(name: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[row] = value(values[row]) if callable(value) else value
        place = table.column_names.index(name)
        return table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))

    return change


def into_the_other_segment(table: pa.Table) -> pa.Table:
    present = [row for row, name in enumerate(table["segment_id"].to_pylist()) if name]
    ids = sorted(set(table["segment_id"].to_pylist()) - {None})
    old = table["segment_id"][present[0]].as_py()
    return set_value("segment_id", present[0], next(name for name in ids if name != old))(table)


LIES: dict[str, tuple[dict[str, Callable[[pa.Table], pa.Table]], str]] = {
    "a user in another segment": ({"memberships": into_the_other_segment}, "does not count the users of memberships"),
    "a user less": ({"memberships": lambda table: table.slice(1)}, "memberships"),
    "a user twice": ({"memberships": lambda table: pa.concat_tables([table.slice(0, 1), table])}, "twice"),
    "a segment that does not exist": (
        {"memberships": set_value("segment_id", 0, "ffffffff")},
        "segments.parquet lacks",
    ),
    "a segment's count": ({"segments": set_value("users", 0, lambda users: users + 1)}, "does not count the users"),
    "a segment's revenue": ({"segments": set_value("revenue", 0, lambda money: money + 1)}, "revenue"),
    "a segment less": ({"segments": lambda table: table.slice(1)}, "segment"),
    "a cell's count": ({"migrations": set_value("users", 0, lambda users: users + 1)}, "migrations.parquet"),
    "a cell's cause": ({"migrations": set_value("ageing", 0, lambda users: users + 1)}, "do not add up"),
    "a cell less": ({"migrations": lambda table: table.slice(1)}, "population"),
    "a cell's origin": ({"migrations": set_value("from_segment_id", 0, "ffffffff")}, "parent's population"),
    "a cell's revenue": ({"migrations": set_value("revenue", 0, lambda money: money + 1)}, "revenue"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_that_is_sealed_again_is_found_by_the_sums(store: Store, lie: str) -> None:
    change, message = LIES[lie]
    day = PUBLISHED[-1]  # no later day was derived from it
    resealed(store, day, change)
    problems = verify(opened(store.objects.root))
    assert problems
    assert any(message in problem and str(day) in problem for problem in problems), problems


def test_resealing_without_a_lie_leaves_a_store_that_is_whole(store: Store) -> None:
    """Otherwise the test above would find the resealing, not the lie."""
    turned: dict[str, Callable[[pa.Table], pa.Table]] = {
        name: lambda table: table.take(pc.sort_indices(table, sort_keys=[(table.column_names[0], "descending")]))
        for name in ("memberships", "segments")
    }
    resealed(store, PUBLISHED[-1], turned)
    assert verify(opened(store.objects.root)) == []


def test_a_rewritten_day_does_not_fit_the_day_that_was_derived_from_it(store: Store) -> None:
    resealed(store, PUBLISHED[-2], {"memberships": set_value("margin", 0, lambda margin: margin + 1)})
    problems = verify(opened(store.objects.root))
    assert any(str(PUBLISHED[-1]) in problem and "derived from" in problem for problem in problems), problems


def test_accepted_rows_that_the_log_counts_otherwise_are_found(store: Store) -> None:
    day = PUBLISHED[-1]

    def change(record: dict[str, Any]) -> None:
        if record["kind"] == "accept" and record["date"] == day.isoformat():
            record["accepted"]["tables"]["orders"]["rows"] += 1

    relogged(store, change)
    assert any("the log says" in problem for problem in verify(opened(store.objects.root)))


@pytest.mark.parametrize("folder", ["accepted", "cells", "quarantine"])
def test_rows_that_were_replaced_by_fewer_are_found(store: Store, folder: str) -> None:
    """The new object has the right name, and the log names it; counts and partition remain."""
    days = {day: table.tables["orders"] for day, table in store.state().accepted.items()}
    day = max(day for day, table in days.items() if getattr(table, folder) and day in PUBLISHED)
    key = getattr(days[day], folder)
    if folder == "quarantine":
        key, _ = quarantine.put(store.objects, f"{folder}/orders/date={day}", read_csv(store.objects.get(key)).slice(1))
    else:
        key = store.objects.put_table(f"{folder}/orders/date={day}", store.objects.table(key).slice(1))

    def change(record: dict[str, Any]) -> None:
        if record["kind"] == "accept" and record["date"] == day.isoformat():
            record["accepted"]["tables"]["orders"][folder] = key

    relogged(store, change)
    assert any(str(day) in problem for problem in verify(opened(store.objects.root)))


def test_an_amount_changed_in_accepted_rows_is_found_by_the_partition(store: Store) -> None:
    day = PUBLISHED[-1]
    accepted = store.state().accepted[day].tables["orders"]
    table = store.objects.table(accepted.accepted or "")
    changed = set_value("amount", 0, lambda units: units + 1)(table)
    key = store.objects.put_table(f"accepted/orders/date={day}", changed)

    def change(record: dict[str, Any]) -> None:
        if record["kind"] == "accept" and record["date"] == day.isoformat():
            record["accepted"]["tables"]["orders"]["accepted"] = key

    relogged(store, change)
    assert hash_table(changed, changed.column_names) != accepted.partition
    assert any("partition" in problem for problem in verify(opened(store.objects.root)))


def test_what_is_not_of_the_store_is_named(store: Store) -> None:
    write(store, "fits/0123.json", canonical_json({"a": "fit"}))
    (store.objects.root / "notes.txt").write_text("mine")
    assert unnamed(["fits/0123.json", "notes.txt"], verify(store)) == []
