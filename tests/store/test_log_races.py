"""The log under races, lost checkpoints and damage: every record exactly once, one chain, one state."""

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from segmentation.errors import StoreError
from segmentation.store.content import hash_json, seal, unseal
from segmentation.store.log import CHECKPOINT_EVERY, Log, checkpoint_key, key_of
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay, AcceptedTable, Published, State, accept_document, publish_document

DAY = date(2024, 1, 1)


def alias(name: str) -> dict[str, Any]:
    return {"kind": "alias", "old": name, "new": "n", "overlap": 0.5}


def random_record(dice: random.Random) -> dict[str, Any]:
    day = DAY + timedelta(days=dice.randint(-40, 400))
    kind = dice.choice(["accept", "publish", "recipe", "alias"])
    if kind == "accept":
        name = f"{dice.randrange(16**4):04x}"
        table = AcceptedTable(
            partition=name,
            users=dice.choice(["", name]),
            files={name: dice.randint(0, 9)},
            rows=dice.randint(0, 9),
            accepted=dice.choice([None, f"accepted/{name}.parquet"]),
            cells=None,
            quarantine=None,
            columns=["user_id", "ordered_at"],
            quality={"reasons": {"missing_user_id": 1}},
        )
        return {
            "kind": kind,
            "date": day.isoformat(),
            "accepted": accept_document(AcceptedDay({"orders": table}, "reading")),
        }
    if kind == "publish":
        parent = dice.choice([None, day - timedelta(days=1)])
        published = Published(
            f"{dice.random()}", "d", parent, "p" if parent else None, "f", {"a": "b"}, {"users": 1, "share_moved": 0.25}
        )
        return {"kind": kind, "date": day.isoformat(), "published": publish_document(published)}
    if kind == "recipe":
        return {"kind": kind, "hash": f"{dice.random()}", "from_date": dice.choice([None, day.isoformat()])}
    return alias(f"{dice.random()}")


def filled(root: Path, records: int, seed: int = 0) -> Objects:
    dice = random.Random(seed)
    objects = Objects(root)
    log = Log(objects)
    for _ in range(records):
        record = random_record(dice)
        log.append(lambda state, record=record: record)
    return objects


def check_chain(objects: Objects) -> list[dict[str, Any]]:
    records = list(Log(objects).records())
    assert [record["number"] for record in records] == list(range(1, len(records) + 1))
    assert len(objects.keys("log")) == len(records)
    previous = ""
    for record in records:
        assert record["previous"] == previous
        previous = hash_json(record)
    return records


def test_an_empty_log_is_the_empty_state(tmp_path: Path) -> None:
    state = Log(Objects(tmp_path)).state()
    assert state == State()
    assert state.recipe_on(DAY) is None


def test_deciding_nothing_writes_nothing(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    Log(objects).append(lambda state: None)
    assert objects.keys("") == []


@pytest.mark.parametrize("shared", [False, True])
def test_threads_append_every_record_exactly_once(tmp_path: Path, shared: bool) -> None:
    """With a log each (as processes have), and with one log for all (as the threads of a web server have)."""
    objects = Objects(tmp_path)
    one = Log(objects)
    logs = [one if shared else Log(objects) for _ in range(6)]
    barrier = threading.Barrier(6)
    errors: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            barrier.wait()
            for number in range(25):
                logs[writer].append(lambda state: alias(f"{writer}/{number}"))  # noqa: B023
                logs[writer].state()
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert errors == []
    records = check_chain(objects)
    assert Counter(record["old"] for record in records) == Counter(f"{w}/{n}" for w in range(6) for n in range(25))
    expected = [record["old"] for record in records]
    for log in [*logs, Log(objects)]:
        assert [known.old for known in log.state().aliases] == expected


def test_no_update_is_lost_when_everyone_decides_by_what_is_there(tmp_path: Path) -> None:
    """Each append counts up from the state it sees: a lost race that was not decided again would repeat a number."""
    objects = Objects(tmp_path)

    def write() -> None:
        log = Log(objects)
        for _ in range(25):
            log.append(lambda state: alias(str(len(state.aliases))))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert [known.old for known in Log(objects).state().aliases] == [str(number) for number in range(100)]


PROCESS = """
import sys
from pathlib import Path
from segmentation.store.log import Log
from segmentation.store.objects import Objects
log = Log(Objects(Path(sys.argv[1])))
for number in range(40):
    log.append(lambda state: {"kind": "alias", "old": f"{sys.argv[2]}/{len(state.aliases)}", "new": "n", "overlap": 0.5})
"""


def test_processes_append_every_record_exactly_once(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path), str(writer)]) for writer in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    records = check_chain(Objects(tmp_path))
    assert [int(record["old"].split("/")[1]) for record in records] == list(range(120))
    assert Counter(record["old"].split("/")[0] for record in records) == {"0": 40, "1": 40, "2": 40}


def test_the_state_is_the_replay_with_and_without_checkpoints(tmp_path: Path) -> None:
    objects = filled(tmp_path, 3 * CHECKPOINT_EVERY + 7)
    assert len(objects.keys("checkpoints")) == 3
    replayed = State()
    for record in Log(objects).records():
        replayed.apply(record, hash_json(record))
        key = checkpoint_key(record["number"])
        if (data := objects.find(key)) is not None:
            assert data == seal(replayed.document())
            assert State.from_document(unseal(data, key)) == replayed
    with_checkpoints = Log(objects).state()
    assert with_checkpoints == replayed
    objects.delete(objects.keys("checkpoints")[1:])
    assert Log(objects).state() == replayed
    objects.delete(objects.keys("checkpoints"))
    assert Log(objects).state() == replayed


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'"number":128', b'"number":127'),
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: seal({"of": "another version"}),
        lambda data: seal({**unseal(data, ""), "accepted": {"2024-01-01": {"shape": "of another version"}}}),
    ],
)
def test_a_damaged_checkpoint_costs_time_only(tmp_path: Path, damage: Any) -> None:
    objects = filled(tmp_path, 2 * CHECKPOINT_EVERY + 3)
    expected = Log(objects).state()
    newest = Path(objects.path(objects.keys("checkpoints")[-1]))
    before = newest.read_bytes()
    newest.write_bytes(damage(before))
    assert newest.read_bytes() != before
    assert Log(objects).state() == expected


def test_a_checkpoint_is_read_instead_of_the_records_before_it(tmp_path: Path) -> None:
    objects = filled(tmp_path, CHECKPOINT_EVERY + 3)
    expected = Log(objects).state()
    objects.delete([key_of(number) for number in range(1, CHECKPOINT_EVERY)])
    assert Log(objects).state() == expected


def test_a_state_that_was_given_out_is_the_readers_own(tmp_path: Path) -> None:
    log = Log(filled(tmp_path, 30))
    first = log.state()
    expected = first.copy()
    first.published.clear()
    first.accepted.clear()
    first.aliases.clear()
    first.recipes.clear()
    assert log.state() == expected
    held = log.state()
    log.append(lambda state: alias("later"))
    assert held == expected


@pytest.mark.parametrize("number", [1, 5, 9])
def test_a_missing_record_ends_the_log_for_readers_and_cannot_be_bridged(tmp_path: Path, number: int) -> None:
    objects = filled(tmp_path, 10)
    objects.delete([key_of(number)])
    assert Log(objects).state().number == number - 1
    with pytest.raises(StoreError, match=f"{key_of(number)} is missing"):  # never a second truth
        Log(objects).append(lambda state: alias("x"))
    assert not objects.exists(key_of(number))  # its place is kept for the backup


@pytest.mark.parametrize("change", ["previous", "number", "old"])
def test_a_resealed_record_breaks_the_chain(tmp_path: Path, change: str) -> None:
    objects = Objects(tmp_path)
    log = Log(objects)
    for name in "abc":
        log.append(lambda state, name=name: alias(name))
    key = key_of(2)
    record = unseal(objects.get(key), key)
    record[change] = {"previous": "0" * 32, "number": 3, "old": "z"}[change]
    Path(objects.path(key)).write_bytes(seal(record))
    with pytest.raises(StoreError, match="the log is broken"):
        Log(objects).state()


def test_every_flipped_bit_of_a_record_stops_a_reader(tmp_path: Path) -> None:
    objects = filled(tmp_path, 3, seed=4)
    path = Path(objects.path(key_of(2)))
    data = path.read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"log/00000000000002\.json is damaged"):
            Log(objects).state()


def test_a_failed_replay_leaves_the_reader_where_it_was(tmp_path: Path) -> None:
    objects = filled(tmp_path, 3)
    log = Log(objects)
    good = log.state()
    other = Path(objects.path(key_of(4)))
    other.write_bytes(seal({"number": 4, "previous": good.head, "kind": "of a newer version", "at": "now"}))
    for _ in range(2):
        with pytest.raises(StoreError, match="newer version"):
            log.state()
    os.remove(other)
    assert log.state() == good


def test_a_record_of_a_kind_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    log = Log(Objects(tmp_path))
    with pytest.raises(StoreError, match=r"record 1 of the log is of kind 'spell'.*newer version"):
        log.append(lambda state: {"kind": "spell"})
