"""The same bytes whatever the number of threads, the order of the rows and of the files, and the memory."""

import random
from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest
from real_shops import write_cells

from segmentation.config import Features
from segmentation.contracts import acceptance
from segmentation.features.catalogue import values
from segmentation.features.cells import cells
from segmentation.features.windows import window_sums
from segmentation.store.content import parquet_bytes
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay, AcceptedTable
from segmentation.tables import ORDERS

AS_OF = date(2017, 4, 30)
SETTINGS = Features(window_days=30)


def shuffled(accepted, folder, seed):
    """The same accepted rows in another order, the files in other row groups."""
    folder.mkdir()
    draw = np.random.default_rng(seed)
    paths = []
    for day, path in accepted:
        table = pq.read_table(path)
        paths.append((day, str(folder / f"{day}.parquet")))
        pq.write_table(table.take(draw.permutation(table.num_rows)), paths[-1][1], row_group_size=700)
    return paths


@pytest.fixture(scope="module")
def days(real_shop):
    return [(day, path) for day, path in real_shop("Complete Journey").accepted if date(2017, 3, 31) < day <= AS_OF]


def test_features_are_the_same_bytes_with_any_threads_and_order_of_rows(days, tmp_path, real_shop):
    columns = real_shop("Complete Journey").columns
    seen = set()
    for threads in (1, 2, 4):
        for seed in (0, 1):
            rows = shuffled(days, tmp_path / f"rows {threads} {seed}", seed) if seed else days
            paths = write_cells(rows, tmp_path / f"cells {threads} {seed}")
            random.Random(seed).shuffle(paths)
            sums = window_sums({ORDERS: paths}, AS_OF, AS_OF, SETTINGS, threads)
            whole = b"".join(parquet_bytes(pq.read_table(path)) for _, path in sorted(paths))
            seen.add((whole, parquet_bytes(sums), parquet_bytes(values(sums, AS_OF, SETTINGS, columns))))
    assert len(seen) == 1


def test_days_made_together_and_side_by_side_are_kept_as_each_alone(days, tmp_path, monkeypatch):
    accepted = {
        day: AcceptedDay({ORDERS: AcceptedTable("", "", {}, 4_000, path, None, None, [], {})}, "") for day, path in days
    }
    alone = {day: parquet_bytes(cells(ORDERS, [(day, path)])[day]) for day, path in days}
    for threads, rows in (("1", 1), ("4", 1), ("4", 30_000), ("4", 1_000_000)):
        monkeypatch.setenv("SEGMENTATION_THREADS", threads)
        monkeypatch.setattr(acceptance, "BATCH_ROWS", rows)
        objects = Objects(tmp_path / f"{threads} {rows}")
        kept = acceptance.with_cells(objects, accepted)
        assert {day: objects.get(value.tables[ORDERS].cells) for day, value in kept.items()} == alone


def test_little_memory_gives_the_same_window_sums(days, tmp_path, monkeypatch):
    paths = {ORDERS: write_cells(days, tmp_path / "cells")}
    plenty = parquet_bytes(window_sums(paths, AS_OF, AS_OF, SETTINGS, 2))
    monkeypatch.setenv("SEGMENTATION_MEMORY", "60MB")
    assert parquet_bytes(window_sums(paths, AS_OF, AS_OF, SETTINGS, 2)) == plenty
