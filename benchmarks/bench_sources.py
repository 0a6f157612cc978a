"""What reading costs: a whole-history file of 300 days, read once per content, beside one plain read of the same file.

The plain read is pyarrow.csv's, all columns as text, in one thread. Ours also dates every row, cuts the file into days and
writes them. Prints seconds and ratios of one run. Made-up rows, written to a temporary folder.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from segmentation.config import Config
from segmentation.sources import slices
from segmentation.sources.slices import FileIndex
from segmentation.store.objects import Objects

FIRST = date(2024, 1, 1)
DAYS = 300
ROWS = 1_500_000
console = Console(width=120)


def write_history(folder: Path) -> pa.Table:
    """300 days of orders in no order of days, as CSV, JSON lines and Parquet."""
    draw = np.random.default_rng(0)
    days = np.array([str(FIRST + timedelta(days=offset)) for offset in range(DAYS)])[draw.integers(0, DAYS, ROWS)]
    users = draw.integers(0, 50_000, ROWS)
    table = pa.table(
        {
            "order_id": pa.array(draw.integers(0, ROWS // 3, ROWS)),
            "user_id": pa.array(np.char.add("u", users.astype(str))),
            "ordered_at": pa.array(np.char.add(days, " 10:30:00")),
            "category": pa.array(np.char.add("c", draw.integers(0, 40, ROWS).astype(str))),
            "quantity": pa.array(draw.integers(1, 5, ROWS)),
            "amount": pa.array(np.round(draw.lognormal(2, 1, ROWS), 2)),
        }
    )
    pa_csv.write_csv(table, folder / "history.csv")
    pq.write_table(table, folder / "history.parquet")
    with (folder / "history.jsonl").open("w") as file:
        for batch in table.to_batches(50_000):
            file.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())
    return table


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def index(root: Path, name: str) -> tuple[Objects, tuple[FileIndex, ...]]:
    config = Config(root=root, sources={"orders": {"path": name}})
    objects = Objects(root / "store")
    return objects, slices.index(objects, config, "orders", config.recipe())


def read_days(root: Path, name: str) -> None:
    """Every day's rows, one day at a time."""
    objects, files = index(root, name)
    rows = sum(slices.read_day(objects, files, day).num_rows for day in sorted(files[0].days))
    assert (rows, len(files[0].days)) == (ROWS, DAYS)


def from_nothing(root: Path, name: str, days: int) -> float:
    """Seconds to have the rows of the first so many days, in a store that has read nothing yet."""
    shutil.rmtree(root / "store", ignore_errors=True)

    def work() -> None:
        objects, files = index(root, name)
        for day in sorted(files[0].days)[:days]:
            slices.read_day(objects, files, day)

    return seconds(work)


def plain(root: Path) -> None:
    names = pa_csv.open_csv(root / "history.csv").schema.names
    table = pa_csv.read_csv(
        root / "history.csv",
        read_options=pa_csv.ReadOptions(use_threads=False),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    assert table.num_rows == ROWS


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_history(root)
        base = min(seconds(lambda: plain(root)) for _ in range(3))
        rows = [("pyarrow.csv, one plain read", base)]
        for name in ("history.csv", "history.parquet", "history.jsonl"):
            size = (root / name).stat().st_size >> 20
            rows.append(
                (f"{name} ({size} MB): read once, cut into {DAYS} days", seconds(lambda name=name: index(root, name)))
            )
            rows.append(
                (f"{name}: all {DAYS} days out of its slices", seconds(lambda name=name: read_days(root, name)))
            )
            rows.append((f"{name}: looked at again, unchanged", seconds(lambda name=name: index(root, name))))
        table = Table(title=f"{ROWS:,} order lines of {DAYS} days in one file", title_justify="left")
        table.add_column("")
        for column in ("seconds", "of a plain read"):
            table.add_column(column, justify="right")
        for what, taken in rows:
            table.add_row(what, f"{taken:.2f}", f"{taken / base:.2f} ×")
        console.print(table)
        table = Table(
            title="The same files, read for one day and for all of them (aim: about one read)", title_justify="left"
        )
        for column in ("file", "one day", f"{DAYS} days", "ratio"):
            table.add_column(column, justify="left" if column == "file" else "right")
        for name in ("history.csv", "history.parquet", "history.jsonl"):
            one, every = from_nothing(root, name, 1), from_nothing(root, name, DAYS)
            table.add_row(name, f"{one:.2f} s", f"{every:.2f} s", f"{every / one:.2f} ×")
        console.print(table)


if __name__ == "__main__":
    main()
