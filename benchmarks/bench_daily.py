"""A daily run by stage: 300,000 events and 7,500 order lines on the day, with 10,000, 100,000 and 1,000,000 users.

Each day has a process of its own, which does what a scheduled run does, from the first import on: the day's files read,
checked, and the users segmented and compared with the day before. Peak memory is that process's own. The first is a Monday, on
which the model is evaluated and the rules are mined anew; the second an ordinary day. What the policy costs is beside the rest.

The window is 28 days, not the usual 90, and its days before the day are written as accepted at once, without source files:
all that a daily run reads of them are their cells. Users take turns, so that the window has each of them.
"""

import builtins
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

USERS = (10_000, 100_000, 1_000_000)
SESSIONS, EVENTS_EACH = 37_500, 8
FIRST, WINDOW_DAYS = date(2024, 1, 1), 28
DAYS = [FIRST + timedelta(days=WINDOW_DAYS + number) for number in range(2)]
TYPES = pa.array(["view", "search", "view", "view", "cart", "view", "view", "purchase"])  # of a session that buys
BUYS = 10  # one session in so many, with two order lines


def rows_of(day: date, users: int) -> dict[str, pa.Table]:
    """The day's accepted rows, numbers in 1/10,000 and durations in ms."""
    draw = np.random.default_rng(day.toordinal())
    turn = (day - FIRST).days * SESSIONS + np.arange(SESSIONS)
    # A step that shares no factor with the number of users: ids in no order, and each of them in its turn.
    user = np.char.add("u", np.char.zfill((turn * 7_919 % users).astype(str), 7))
    begin = np.datetime64(day, "s") + draw.integers(8 * 3600, 22 * 3600, SESSIONS)
    steps = np.arange(EVENTS_EACH)
    at = (begin[:, None] + 40 * steps).astype("datetime64[us]")
    buys = np.arange(SESSIONS) % BUYS == 0
    kinds = np.where(buys[:, None], steps, steps % 4)
    events = {
        "user_id": pa.array(np.repeat(user, EVENTS_EACH)),
        "event_at": pa.array(at.ravel(), pa.timestamp("us", "UTC")),
        "event_type": TYPES.take(pa.array(kinds.ravel())),
        "item_id": pa.array(np.char.add("i", draw.integers(0, 20_000, at.size).astype(str))),
        "session_id": pa.array(np.repeat(np.char.add(f"{day:%d}-", np.arange(SESSIONS).astype(str)), EVENTS_EACH)),
    }
    line = np.repeat(np.flatnonzero(buys), 2)
    # Every other order has the companion of its first item.
    first = 2 * np.minimum(draw.zipf(1.5, len(line) // 2), 2_500)
    second = np.where(draw.random(len(first)) < 0.5, first + 1, draw.integers(0, 5_000, len(first)))
    orders = {
        "user_id": pa.array(user[line]),
        "ordered_at": pa.array(at[line, -1], pa.timestamp("us", "UTC")),
        "order_id": pa.array(np.char.add(f"o{day:%d}-", line.astype(str))),
        "item_id": pa.array(np.char.add("i", np.column_stack([first, second]).ravel().astype(str))),
        "category": pa.array(np.char.add("c", draw.integers(0, 40, len(line)).astype(str))),
        "quantity": pa.array(draw.integers(1, 5, len(line)) * 10_000),
        "amount": pa.array(np.rint(draw.lognormal(3, 1, len(line)) * 100).astype(np.int64) * 100),
    }
    return {"events": pa.table(events), "orders": pa.table(orders)}


def configuration(root: Path) -> Any:
    from segmentation.config import Config

    sources = {
        name: {"path": f"{name}/{{date}}.parquet", "options": {"lookback_days": 0}} for name in ("events", "orders")
    }
    return Config.model_validate(
        {
            "root": root,
            "project": {"timezone": "UTC"},
            "sources": sources,
            "features": {"window_days": WINDOW_DAYS},
            "store": {"url": "file:store"},
        }
    )


def prepare(root: Path, users: int) -> None:
    """All days before DAYS accepted, the last of them published, and the files of DAYS in their places."""
    from segmentation import history, reads
    from segmentation.contracts.acceptance import with_cells
    from segmentation.features.engine import in_order
    from segmentation.store import commits
    from segmentation.store.content import hash_table
    from segmentation.store.state import AcceptedDay, AcceptedTable
    from segmentation.store.store import open_store

    config = configuration(root)
    store = open_store(config)
    reading = store.recipe(str(reads.recorded(config, store).recipe_on(FIRST))).reading
    for day in (FIRST + timedelta(days=number) for number in range(WINDOW_DAYS)):
        tables = {}
        for name, table in rows_of(day, users).items():
            rows = in_order(table)
            tables[name] = AcceptedTable(
                partition=hash_table(rows, None),
                users=hash_table(pa.table({"user_id": rows["user_id"].unique()}), ["user_id"]),
                files={},
                rows=rows.num_rows,
                accepted=store.objects.put_table(f"accepted/{name}/date={day}", rows),
                cells=None,
                quarantine=None,
                columns=rows.column_names,
                quality={"rows": rows.num_rows, "reasons": {}, "quarantined": 0, "kept": 0},
            )
        accepted = with_cells(store.objects, {day: AcceptedDay(tables, reading)})
        commits.accept(store, day, accepted[day], None)
    history.derive(config, DAYS[0] - timedelta(days=1))
    for day in DAYS:
        for name, table in rows_of(day, users).items():
            (root / name).mkdir(exist_ok=True)
            for number in ("quantity", "amount"):
                if number in table.column_names:
                    at = table.column_names.index(number)
                    table = table.set_column(at, number, pa.array(table[number].to_numpy() / 10_000))
            pq.write_table(table, root / name / f"{day}.parquet")


class Imports:
    """Seconds that import statements took since it was made, those within others not counted twice."""

    def __init__(self) -> None:
        self.seconds, self._depth, self._import = 0.0, 0, builtins.__import__
        builtins.__import__ = self._timed

    def _timed(self, *args: Any, **kwargs: Any) -> Any:
        start, self._depth = time.perf_counter(), self._depth + 1
        try:
            return self._import(*args, **kwargs)
        finally:
            self._depth -= 1
            if not self._depth:
                self.seconds += time.perf_counter() - start


def peak_mb() -> int:
    """Of this process alone: ru_maxrss begins with that of the process which started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def run(root: Path, users: int, day: date) -> tuple[list[tuple[str, float, float, int]], dict[str, float]]:
    """Each stage's name, seconds, those of them that imports took, and the peak memory by then in MB; and what the decision
    about the model and serving took of them."""
    imports = Imports()
    figures = []
    parts: dict[str, float] = {}

    def stage(name: str, work: Callable[[], Any]) -> Any:
        start, importing = time.perf_counter(), imports.seconds
        result = work()
        figures.append((name, time.perf_counter() - start, imports.seconds - importing, peak_mb()))
        return result

    def begin() -> Any:
        from segmentation import stages

        return stages, configuration(root)

    def timed(module: Any, function: str, name: str) -> None:
        work = getattr(module, function)

        def instead(*arguments: Any) -> Any:
            start, importing = time.perf_counter(), imports.seconds
            try:
                return work(*arguments)
            finally:
                parts[name] = time.perf_counter() - start - (imports.seconds - importing)

        setattr(module, function, instead)

    stages, config = stage("(start)", begin)
    read = stage("extract", lambda: stages.extract(config, day))["read"]
    stage("validate", lambda: stages.validate(config, read))
    derivation = stage("build_features", lambda: stages.build_features(config, day))["derivation"]
    from segmentation import served
    from segmentation.adjustment import policy

    timed(policy, "decide", "the decision about the model")
    timed(served, "serve", "profiles, names, actions, next items" + (", rules" if day == DAYS[0] else ""))
    stage("cluster", lambda: stages.cluster(config, day, derivation))
    stage("compare_segments", lambda: stages.compare_segments(config, day, derivation))
    published = stage("publish", lambda: stages.publish(config, day, derivation))
    assert published["outcome"] == "published"
    assert published["users"] == users
    return figures, parts


def job(*arguments: str) -> Any:
    """What a process of its own does, and prints as JSON."""
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    match sys.argv[1:]:
        case ["prepare", root, users]:
            print(json.dumps(prepare(Path(root), int(users))))
        case ["run", root, users, day]:
            print(json.dumps(run(Path(root), int(users), date.fromisoformat(day))))
        case _:
            measure()


def measure() -> None:
    print(f"A daily run by stage: {SESSIONS * EVENTS_EACH:,} events on the day, a window of {WINDOW_DAYS} days")
    for users in USERS:
        with tempfile.TemporaryDirectory() as root:
            job("prepare", root, str(users))
            for day, kind in zip(DAYS, ("evaluated, rules anew", "an ordinary day"), strict=True):
                figures, parts = job("run", root, str(users), str(day))
                figures.append(
                    ["whole", *(sum(figure[place] for figure in figures) for place in (1, 2)), figures[-1][3]]
                )
                print(f"\n{f'{users:,} users, {kind}':40}{'seconds':>9}{'of imports':>12}{'peak MB so far':>16}")
                for name, seconds, importing, memory in figures:
                    print(f"{name:40}{seconds:9.2f}{importing / max(seconds, 1e-9):12.0%}{memory:16,}")
                for name, seconds in parts.items():
                    without = figures[-1][1] - seconds
                    print(f"  {name}: {seconds:.2f} s, the day is {figures[-1][1] / without:.2f} × the day without")


if __name__ == "__main__":
    main()
