"""What a history costs: day 300 beside day 60, a log of 1,000 days, one worker beside two.

Prints one table per question; every ratio is of two figures of this run. Made-up shops, written to a temporary folder.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from rich.console import Console
from rich.table import Table

from segmentation import history
from segmentation.config import Config
from segmentation.store import commits
from segmentation.store.derivations import Derivations
from segmentation.store.log import Log
from segmentation.store.state import AcceptedDay, AcceptedTable, Published
from segmentation.store.store import Store, open_store

FIRST = date(2024, 1, 1)
console = Console(width=120)


def write_day(folder: Path, day: date, rows: int, users: int) -> None:
    draw = np.random.default_rng(day.toordinal())
    user = draw.integers(0, users, rows)
    table = pa.table(
        {
            "order_id": pa.array((user * 7 + draw.integers(0, 2, rows)).astype(str)),
            "user_id": pa.array(np.char.add("u", user.astype(str))),
            "ordered_at": pa.array([f"{day} {hour:02d}:30:00" for hour in draw.integers(8, 22, rows)]),
            "category": pa.array(np.char.add("c", draw.integers(0, 40, rows).astype(str))),
            "quantity": pa.array(draw.integers(1, 5, rows)),
            "amount": pa.array(np.round(draw.lognormal(2, 1, rows), 2)),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pa_csv.write_csv(table, folder / f"{day}.csv")


def shop(root: Path, window_days: int, store: str = "store") -> Config:
    return Config.model_validate(
        {
            "root": root,
            "sources": {"orders": {"path": "orders/*.csv"}},
            "features": {"window_days": window_days},
            "store": {"url": f"file:{store}"},
        }
    )


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def table_of(title: str, header: list[str], rows: list[list[str]]) -> None:
    table = Table(title=title, title_justify="left")
    for position, name in enumerate(header):
        table.add_column(name, justify="left" if position == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def day_300_beside_day_60(root: Path) -> None:
    """Window 60, the same volume every day: derive days around the 60th and around the 300th, three each, medians."""
    config = shop(root, 60)
    for offset in range(303):
        write_day(root / "orders", FIRST + timedelta(days=offset), 3_000, 5_000)
    spent: dict[int, list[float]] = {60: [], 300: []}
    history.backfill(config, FIRST, FIRST + timedelta(days=302))
    store = open_store(config)
    for repeat in range(5):
        for number in spent:
            day = FIRST + timedelta(days=number + repeat % 3)
            asked = Derivations(store.state(), store.recipe).asked(day)
            assert asked
            folder = f"snapshots/date={day}/{asked.hash}"
            store.objects.delete(store.objects.keys(folder))
            spent[number].append(seconds(partial(history.run, config, day)))
    early, late = statistics.median(spent[60]), statistics.median(spent[300])
    rows = [["day 60", f"{early:.2f}", "1.00"], ["day 300", f"{late:.2f}", f"{late / early:.2f}"]]
    table_of("One day's run again, window 60, 3,000 lines a day (aim: ≤ 1.2)", ["day", "seconds", "ratio"], rows)


def a_log_of_1000_days(root: Path) -> None:
    """1,000 published days and the 1,365 accepted days that they need, without any data behind them."""
    config = shop(root, 365)
    store = open_store(config)
    name = store.put_named("recipes", config.recipe().document())
    store.log.append(lambda state: {"kind": "recipe", "hash": name, "from_date": None})
    table = AcceptedTable(
        "", "", {"0" * 32: 1000}, 1000, "a" * 70, "c" * 70, None, ["user_id"], {"rows": 1000, "reasons": {}}
    )
    for number in range(1364):
        content = f"{number:032x}"
        accepted = AcceptedDay({"orders": replace(table, partition=content, users=content)}, config.recipe().reading)
        commits.accept(store, FIRST + timedelta(days=number), accepted, None)
    files = {f"file{number}": "0" * 32 for number in range(9)}
    commit = []
    for number in range(364, 1364):
        day = FIRST + timedelta(days=number)
        asked = Derivations(store.state(), store.recipe).asked(day)
        assert asked
        published = Published(f"{number:032x}", asked.hash, asked.parent, None, "folder", files, {"users": 1})
        cold = Store(store.objects, Log(store.objects))
        commit.append(seconds(partial(commits.publish, cold if number > 1350 else store, day, published, [])))
    listing = seconds(lambda: Derivations(cold.log.state(), cold.recipe).stale())
    rows = [
        ["history with its stale days", f"{listing:.3f}", "≤ 1"],
        ["commit, a new process, replay included", f"{max(commit[-10:]):.3f}", "≤ 0.2"],
    ]
    table_of("A log of 1,000 published days (window 365)", ["what", "seconds", "aim"], rows)


def one_worker_beside_two(root: Path) -> None:
    """Four daily files of 1,000,000 lines each; one engine thread per worker."""
    os.environ |= {"SEGMENTATION_THREADS": "1", "OMP_NUM_THREADS": "1"}  # the second is Arrow's, in the workers
    pa.set_cpu_count(1)
    for offset in range(4):
        write_day(root / "orders", FIRST + timedelta(days=offset), 1_000_000, 200_000)
    spent = {}
    for workers in (1, 2):
        config = shop(root, 4, store=f"store-{workers}")
        days = [FIRST + timedelta(days=offset) for offset in range(4)]
        spent[workers] = seconds(partial(history.prepare, config, days, "forward", workers, history.no_progress))
    rows = [[f"{workers} worker(s)", f"{value:.1f}", f"{value / spent[1]:.2f}"] for workers, value in spent.items()]
    table_of("Preparing 4 daily files of 1,000,000 lines", ["", "seconds", "ratio"], rows)


if __name__ == "__main__":
    for part in (day_300_beside_day_60, a_log_of_1000_days, one_worker_beside_two):
        with tempfile.TemporaryDirectory() as folder:
            part(Path(folder))
