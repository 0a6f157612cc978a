"""The same bytes whatever the number of threads, the order of the rows and of the files, and the memory."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest
from real_shops import write_cells

from segmentation.config import Features
from segmentation.features.catalogue import values
from segmentation.features.cells import cells
from segmentation.features.windows import window_sums
from segmentation.store.content import parquet_bytes
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
            paths = write_cells(rows, tmp_path / f"cells {threads} {seed}", threads)
            random.Random(seed).shuffle(paths)
            sums = window_sums({ORDERS: paths}, AS_OF, AS_OF, SETTINGS, threads)
            whole = b"".join(parquet_bytes(pq.read_table(path)) for _, path in sorted(paths))
            seen.add((whole, parquet_bytes(sums), parquet_bytes(values(sums, AS_OF, SETTINGS, columns))))
    assert len(seen) == 1


def test_many_days_at_once_give_the_cells_of_each_day_alone(days):
    together = cells(ORDERS, days[:9])
    for day, path in days[:9]:
        assert parquet_bytes(together[day]) == parquet_bytes(cells(ORDERS, [(day, path)])[day])


def test_days_may_be_worked_on_side_by_side(days):
    with ThreadPoolExecutor(4) as pool:
        alone = list(pool.map(lambda day: cells(ORDERS, [day]), days[:12]))
    together = cells(ORDERS, days[:12])
    assert [parquet_bytes(together[day]) for day, _ in days[:12]] == [
        parquet_bytes(one[day]) for one in alone for day in one
    ]


def test_little_memory_gives_the_same_cells(days, monkeypatch):
    plenty = [parquet_bytes(table) for table in cells(ORDERS, days, 2).values()]
    monkeypatch.setenv("SEGMENTATION_MEMORY", "60MB")
    assert [parquet_bytes(table) for table in cells(ORDERS, days, 2).values()] == plenty
