"""The same history, to the bit, with any number of threads and any order of the rows in the files."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from shop import FIRST, random_shop

CONFIG = """
[sources.orders]
path = "orders/*.csv"
[features]
window_days = 5
[clustering]
segments = 3
[validation]
empty_days = "allow"
"""


def digest(root: Path, threads: int) -> str:
    """Of a backfill by the command line, with the threads of every library limited to that number."""
    (root / "segmentation.toml").write_text(CONFIG)
    names = ("SEGMENTATION_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))

    def segmentation(*arguments: str) -> str:
        code = "from segmentation.cli import main; main()"
        command = [sys.executable, "-c", code, "--config", str(root / "segmentation.toml"), *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    first, last = FIRST.replace(day=6), FIRST.replace(day=10)
    segmentation("backfill", "--from", str(first), "--to", str(last))
    return str(json.loads(segmentation("digest", "--json"))["digest"])


@pytest.fixture(scope="module")
def one_thread(tmp_path_factory: pytest.TempPathFactory) -> str:
    shop = random_shop(tmp_path_factory.mktemp("one"), seed=19, users=300)
    return digest(shop.root, 1)


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_and_the_order_of_rows_change_nothing(one_thread: str, tmp_path: Path, threads: int) -> None:
    shop = random_shop(tmp_path, seed=19, users=300)
    for rows in shop.rows.values():
        random.Random(threads).shuffle(rows)
    shop.write()
    assert digest(shop.root, threads) == one_thread
