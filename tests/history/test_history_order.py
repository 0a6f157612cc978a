"""The history does not depend on the order of the days, on re-runs, on workers or on what was killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from faults import Killed, kill_at, writes_of
from shop import FIRST, Shop, random_shop, shop_config

from segmentation import history
from segmentation.config import Config
from segmentation.errors import ConfigError, NoRowsError
from segmentation.store.log import Log
from segmentation.store.objects import Objects
from segmentation.store.store import Store, open_store
from segmentation.store.verify import verify

DAYS = [FIRST + timedelta(days=offset) for offset in range(5, 13)]


def digest(config: Config) -> str:
    return open_store(config).state().digest()


def forward(root: Path, store: str, days: list[date] = DAYS) -> Config:
    config = shop_config(root, store)
    for day in days:
        history.run(config, day)
    return config


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return random_shop(tmp_path_factory.mktemp("shop"), seed=19)


@pytest.fixture(scope="module")
def expected(shop: Shop) -> str:
    return digest(forward(shop.root, "forward"))


@pytest.mark.parametrize("order", ["backward", "random", "twice"])
def test_any_order_of_runs_reconciles_to_the_forward_history(shop: Shop, expected: str, order: str) -> None:
    config = shop_config(shop.root, f"runs-{order}")
    days = {"backward": DAYS[::-1], "random": random.Random(7).sample(DAYS, len(DAYS)), "twice": DAYS + DAYS[::-1]}[
        order
    ]
    for day in days:
        history.run(config, day)
    history.reconcile(config)
    assert digest(config) == expected
    assert verify(open_store(config)) == []


@pytest.mark.parametrize(("order", "workers"), [("forward", 1), ("backward", 1), ("random", 2)])
def test_a_backfill_in_any_order_with_any_workers_gives_the_forward_history(
    shop: Shop, expected: str, order: history.Order, workers: int
) -> None:
    config = shop_config(shop.root, f"backfill-{order}-{workers}")
    history.backfill(config, DAYS[0], DAYS[-1], order=order, workers=workers)
    assert digest(config) == expected
    assert history.stale(config) == []


def test_a_rerun_with_nothing_changed_writes_nothing(shop: Shop, expected: str) -> None:
    config = forward(shop.root, "rerun")
    before = open_store(config).objects.keys("")
    for day in DAYS:
        assert history.run(config, day)["outcome"] == "current"
    assert history.reconcile(config) == []
    new = set(open_store(config).objects.keys("")) - set(before)
    assert {key for key in new if not key.startswith("raw/reads/")} == set()
    assert digest(config) == expected


def test_a_filled_gap_reconciles_to_the_whole_history(shop: Shop, expected: str) -> None:
    config = forward(shop.root, "gap", [day for day in DAYS if day != DAYS[3]])
    history.run(config, DAYS[3])
    assert history.stale(config) != []
    history.reconcile(config)
    assert digest(config) == expected


def test_a_day_before_the_first_refounds_the_history_and_says_where_the_ids_went(shop: Shop, expected: str) -> None:
    config = forward(shop.root, "earlier", DAYS[1:])
    old = set(history.run(config, DAYS[-1]) and segment_ids(config, DAYS[-1]))
    history.run(config, DAYS[0])
    history.reconcile(config)
    assert digest(config) == expected
    new = set(segment_ids(config, DAYS[-1]))
    aliases = open_store(config).state().aliases
    assert old.isdisjoint(new)
    assert {alias.old for alias in aliases} <= old
    assert {alias.new for alias in aliases} <= new
    assert aliases


def segment_ids(config: Config, day: date) -> list[str]:
    store = open_store(config)
    return store.objects.table(f"{store.state().published[day].folder}/segments.parquet")["segment_id"].to_pylist()


def test_the_start_of_the_project_pins_the_first_day(shop: Shop) -> None:
    config = shop_config(shop.root, "pinned", project={"start": DAYS[1].isoformat()})
    with pytest.raises(ConfigError, match=r"before \[project\] start"):
        history.run(config, DAYS[0])


def test_a_corrected_file_restates_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    shop = random_shop(tmp_path, seed=19)
    config = forward(tmp_path, "corrected")
    before = open_store(config).state()
    day = DAYS[2]
    shop.buy(day, "u0", 900.0, 3)
    shop.write(day)
    history.run(config, day)
    history.reconcile(config)
    after = open_store(config).state()
    assert before.published[DAYS[1]] == after.published[DAYS[1]]
    assert before.published[day].snapshot_id != after.published[day].snapshot_id
    assert after.digest() == digest(forward(tmp_path, "clean"))


def test_equal_content_cuts_off_what_follows(tmp_path: Path) -> None:
    """A row at another hour of its day changes no snapshot: only the days whose window holds it are derived again."""
    shop = random_shop(tmp_path, seed=19)
    config = forward(tmp_path, "cutoff")
    before = open_store(config).state()
    day = DAYS[1]
    shop.rows[day][0] = shop.rows[day][0].replace("10:00:00", "11:00:00")
    shop.write(day)
    history.run(config, day)
    again = [result["date"] for result in history.reconcile(config)]
    after = open_store(config).state()
    assert again == [other.isoformat() for other in DAYS[2:6]]  # with `day` itself the 5 days whose window holds it
    assert {other: after.published[other].snapshot_id for other in DAYS} == {
        other: before.published[other].snapshot_id for other in DAYS
    }
    assert after.published[DAYS[6]] == before.published[DAYS[6]]


def test_the_same_rows_in_another_order_are_the_same_day(tmp_path: Path) -> None:
    shop = random_shop(tmp_path, seed=19)
    config = forward(tmp_path, "order")
    before = open_store(config).state()
    day = DAYS[1]
    assert len(shop.rows[day]) > 1
    shop.rows[day].reverse()
    shop.write(day)
    history.run(config, day)
    assert open_store(config).state().accepted == before.accepted
    assert history.stale(config) == []


def test_a_window_that_lost_all_its_rows_does_not_stop_the_days_after_it(tmp_path: Path) -> None:
    """The first published day's rows are withdrawn: it is published without anybody, the next one founds the segments."""
    shop = Shop(tmp_path)
    for offset in (0, 6, 7):
        for user in range(6):
            shop.buy(FIRST + timedelta(days=offset), f"u{user}", 5.0 * (user + 1) + offset)
    shop.write()
    days = [FIRST + timedelta(days=offset) for offset in (0, 6, 7, 20, 21)]
    config = forward(tmp_path, "store", days)
    shop.rows.pop(days[0])
    shop.write(days[0])
    history.run(config, days[0])
    history.reconcile(config)
    state = open_store(config).state()
    figures = [(state.published[day].summary["users"], state.published[day].summary["decision"]) for day in days]
    assert figures == [(0, "baseline"), (6, "baseline"), (6, "hold"), (0, "hold"), (0, "hold")]
    assert state.digest() == digest(forward(tmp_path, "clean", days))
    consistent(config)


def test_an_empty_day_is_refused_unless_allowed(tmp_path: Path) -> None:
    random_shop(tmp_path, seed=19)
    empty = FIRST + timedelta(days=40)
    config = shop_config(tmp_path, validation={"empty_days": "refuse"})
    with pytest.raises(NoRowsError, match=f"{empty} has no rows"):
        history.run(config, empty)
    assert open_store(config).state().published == {}


def test_a_backfill_skips_empty_days_and_says_so(tmp_path: Path) -> None:
    shop = random_shop(tmp_path, seed=19)
    shop.rows.pop(DAYS[4], None)
    shop.write(DAYS[4])
    config = shop_config(tmp_path, validation={"empty_days": "refuse"})
    result = history.backfill(config, DAYS[0], DAYS[-1])
    assert DAYS[4].isoformat() in result["skipped"]
    assert DAYS[4] not in open_store(config).state().published
    assert DAYS[5] in open_store(config).state().published


@pytest.mark.parametrize("day", [DAYS[0], DAYS[2]], ids=["the first day", "a later day"])
def test_a_kill_at_every_write_of_a_day_leaves_a_history_that_a_rerun_completes(
    tmp_path: Path, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write is a place to die before; so after the one before it too."""
    random_shop(tmp_path, seed=19)
    before = forward(tmp_path, "before", [DAYS[0]] if day > DAYS[0] else [])
    wanted = digest(forward(tmp_path, "whole", [other for other in (DAYS[0], DAYS[2]) if other <= day]))
    Path(before.store_path()).mkdir(exist_ok=True)
    shutil.copytree(before.store_path(), tmp_path / "counted")
    writes = writes_of(lambda: history.run(shop_config(tmp_path, "counted"), day), monkeypatch)
    assert {key.partition("/")[0] for key in writes} >= {"raw", "accepted", "cells", "snapshots", "log"}
    for number, key in enumerate(writes):
        config = shop_config(tmp_path, f"killed-{number}")
        shutil.copytree(before.store_path(), config.store_path())
        with kill_at(number, "before", monkeypatch), pytest.raises(Killed):
            history.run(config, day)
        consistent(config)
        history.run(config, day)
        assert digest(config) == wanted, f"killed before writing {key}"


def consistent(config: Config) -> None:
    """What a reader relies on: every published day's files are there, as the log says, and the log is whole."""
    objects = Objects(config.store_path())
    assert verify(Store(objects, Log(objects))) == []


KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
sys.path[:0] = [{tests!r}]
from shop import shop_config
from segmentation import history
from segmentation.contracts import acceptance
from segmentation.contracts.gate import Verdict
from segmentation.store.objects import Objects
acceptance.gate = lambda *_: Verdict((), ())  # see conftest.py
if __name__ == "__main__":
    put, left = Objects.put, [{writes}]
    def dying(self, key, data):
        if {where!r} in key:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return put(self, key, data)
    Objects.put = dying
    config = shop_config(Path({root!r}), {store!r})
    history.backfill(config, date.fromisoformat({first!r}), date.fromisoformat({last!r}), workers={workers})
"""


@pytest.mark.parametrize(
    ("where", "writes", "workers"),
    [("raw/orders", 3, 1), ("log/", 7, 1), ("features.parquet", 2, 1), ("manifest.json", 4, 1), ("memberships", 1, 2)],
)
def test_a_real_kill_9_is_made_good_by_running_again(
    shop: Shop, expected: str, where: str, writes: int, workers: int, tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    script = tmp_path / "backfill.py"
    values = {"root": str(shop.root), "store": store, "first": str(DAYS[0]), "last": str(DAYS[-1])}
    tests = str(Path(__file__).parents[1])
    script.write_text(KILLED.format(where=where, writes=writes, workers=workers, tests=tests, **values))
    done = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    config = shop_config(shop.root, store)
    consistent(config)
    history.backfill(config, DAYS[0], DAYS[-1])
    assert digest(config) == expected


def test_two_writers_and_a_reader_at_once(shop: Shop, expected: str, tmp_path: Path) -> None:
    """Two processes run the same days, one forwards, one backwards, while a reader checks every state that it sees."""
    store = str(tmp_path / "store")
    tests = str(Path(__file__).parents[1])
    code = (
        "import sys; from datetime import date; from pathlib import Path; sys.path[:0] = [sys.argv[1]]\n"
        "from shop import shop_config; from segmentation import history\n"
        "from segmentation.contracts import acceptance; from segmentation.contracts.gate import Verdict\n"
        "acceptance.gate = lambda *_: Verdict((), ())\n"
        "config = shop_config(Path(sys.argv[2]), sys.argv[3])\n"
        "for day in sys.argv[4:]: history.run(config, date.fromisoformat(day))\n"
    )
    days = [day.isoformat() for day in DAYS]
    writers = [
        subprocess.Popen([sys.executable, "-c", code, tests, str(shop.root), store, *order])
        for order in (days, days[::-1])
    ]
    config = shop_config(shop.root, store)
    seen: set[int] = set()
    for state in polled(config, writers):
        if state not in seen:
            consistent_published(config)
            seen.add(state)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(seen) > 3
    history.reconcile(config)
    assert digest(config) == expected
    consistent(config)


def polled(config: Config, writers: list[subprocess.Popen[bytes]]) -> Iterator[int]:
    while any(writer.poll() is None for writer in writers):
        yield Log(Objects(config.store_path())).state().number


def consistent_published(config: Config) -> None:
    objects = Objects(config.store_path())
    state = Log(objects).state()
    for published in state.published.values():
        for name in published.files:
            assert objects.exists(f"{published.folder}/{name}")
        if published.parent:
            assert published.parent in state.published


def test_workers_end_when_their_parent_is_killed(shop: Shop, tmp_path: Path) -> None:
    """The pids of the workers are noted; after the parent's death each ends by itself."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal, sys\nfrom segmentation import history\n"
        "if __name__ == '__main__':\n"
        "    with history._Workers(2) as pool:\n"
        "        print(*set(pool.map(os.getpgid, [0, 0])), *[p.pid for p in pool._pool._processes.values()], flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True)
    workers = [int(pid) for pid in done.stdout.split()[1:]]
    assert len(workers) == 2
    for pid in workers:
        while alive(pid):
            os.sched_yield()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
