"""Frequent itemsets of made-up baskets: this package, mlxtend on the frequent items only, pyfim (C) and efficient-apriori; and
what the rules of six segments cost beside those of the whole shop.

All find the same itemsets of at most three items at support 0.001, with the same counts, which is checked. Each runs in a
process of its own and starts from the baskets in the form that it takes; the peak is the memory beyond these. They take
turns, and the median of the rounds counts. A peer that is not installed is left out, and said to be.

SEGMENTATION_BENCH_LARGE=yes: 1,000,000 baskets of 10,000 items beside 200,000 of 5,000. SEGMENTATION_BENCH_ROUNDS: 3 if not
said. SEGMENTATION_BENCH_APRIORI=yes: mlxtend's Apriori, too, which takes longest.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix, load_npz, save_npz

from segmentation.rules_settings import Rules
from segmentation.services.baskets import Baskets
from segmentation.services.itemsets import Itemsets
from segmentation.services.mining import frequent_itemsets
from segmentation.services.occurrences import Members
from segmentation.services.rules import association_rules

ROUNDS = int(os.environ.get("SEGMENTATION_BENCH_ROUNDS", "3"))
SIZES = [(200_000, 5_000)]
if os.environ.get("SEGMENTATION_BENCH_LARGE") == "yes":
    SIZES.append((1_000_000, 10_000))
APRIORI = os.environ.get("SEGMENTATION_BENCH_APRIORI") == "yes"
SEGMENTS, LONGEST, SUPPORT = 6, 50, 0.001
MB = 1024**2
Job = Callable[[], Any]


def shop(baskets: int, items: int) -> Any:
    """Baskets × items: some five items each, a few of them popular, and in most a part of some of 300 bundles."""
    draw = np.random.default_rng(0)
    popular = 1 / (np.arange(items) + 20) ** 0.8
    popular /= popular.sum()
    basket = np.repeat(np.arange(baskets), draw.geometric(1 / 5, baskets))
    item = draw.choice(items, len(basket), p=popular)
    size = draw.integers(2, 6, 300)
    start = np.cumsum(size) - size
    bundled = draw.choice(items, size.sum(), p=popular)
    often = 1 / np.sqrt(np.arange(300) + 10)
    buyer = np.repeat(np.arange(baskets), draw.poisson(1.5, baskets))
    bundle = draw.choice(300, len(buyer), p=often / often.sum())
    length = size[bundle]
    place = np.arange(length.sum()) + np.repeat(start[bundle] - np.cumsum(length) + length, length)
    taken = draw.random(len(place)) < 0.8
    keys = np.unique(
        np.concatenate([basket * items + item, (np.repeat(buyer, length) * items + bundled[place])[taken]])
    )
    pointers = np.searchsorted(keys // items, np.arange(baskets + 1))
    holds = csr_matrix(
        (np.ones(len(keys), np.bool_), (keys % items).astype(np.int32), pointers), shape=(baskets, items)
    )
    return holds[np.diff(holds.indptr) <= LONGEST]


def settings(algorithm: str) -> Rules:
    return Rules.model_validate({"algorithm": algorithm, "min_support": SUPPORT, "min_count": 1})


def ours(algorithm: str) -> Callable[[Any], Job]:
    return lambda holds: lambda: frequent_itemsets(holds, settings(algorithm))


def mlxtend(holds: Any) -> Job:
    import pandas as pd
    from mlxtend.frequent_patterns import fpgrowth

    least = settings("fpgrowth").count_needed(holds.shape[0])

    def run() -> Any:
        frequent = np.flatnonzero(np.bincount(holds.indices) >= least)
        frame = pd.DataFrame.sparse.from_spmatrix(holds[:, frequent], columns=[str(item) for item in frequent])
        mined = fpgrowth(frame, min_support=(least - 0.5) / len(frame), max_len=3)
        counts = np.rint(mined["support"].to_numpy() * len(frame)).astype(np.int64)
        return [
            (frequent[list(itemset)].tolist(), count)
            for itemset, count in zip(mined["itemsets"], counts.tolist(), strict=True)
        ]

    return run


def transactions(holds: Any) -> list[tuple[int, ...]]:
    bounds = holds.indptr.tolist()
    items = holds.indices.tolist()
    return [tuple(items[first:end]) for first, end in pairwise(bounds)]


def pyfim(holds: Any) -> Job:
    from fim import fpgrowth

    held, least = transactions(holds), settings("fpgrowth").count_needed(holds.shape[0])
    return lambda: fpgrowth(held, target="s", supp=-least, zmin=1, zmax=3, report="a")


def efficient_apriori(holds: Any) -> Job:
    from efficient_apriori import itemsets_from_transactions

    held = transactions(holds)
    share = (settings("fpgrowth").count_needed(len(held)) - 0.5) / len(held)

    def run() -> Any:
        found, _ = itemsets_from_transactions(held, min_support=share, max_length=3)
        return [pair for itemsets in found.values() for pair in itemsets.items()]

    return run


def rules(algorithm: str, segments: int) -> Callable[[Any], Job]:
    """Itemsets, rules and the table, with those of so many segments."""

    def prepare(holds: Any) -> Job:
        rows, columns = holds.shape
        items = pa.array([f"item {number:05}" for number in range(columns)])
        user = np.random.default_rng(1).integers(0, rows // 10, rows)
        users = pa.array([f"user {number:07}" for number in range(rows // 10)])
        baskets = Baskets(holds, items, users, user, np.zeros(rows, np.int64), 0, 0)
        some = pa.array(
            [f"segment {number % segments}" if segments else None for number in range(len(users))], pa.string()
        )
        return lambda: association_rules(baskets, Members.of(baskets, users, some), settings(algorithm))

    return prepare


MLXTEND = "mlxtend, frequent items only"
MINERS: dict[str, Callable[[Any], Job]] = {
    "ours, counting": ours("counting"),
    "ours, fpgrowth": ours("fpgrowth"),
    **({"ours, apriori": ours("apriori")} if APRIORI else {}),
    MLXTEND: mlxtend,
    "pyfim (C)": pyfim,
    "efficient-apriori": efficient_apriori,
}
MODULES = {"pyfim (C)": "fim", "efficient-apriori": "efficient_apriori"}
PAIRS = [
    (f"rules, {algorithm}, whole shop", f"rules, {algorithm}, and {SEGMENTS} segments")
    for algorithm in ("counting", "fpgrowth")
]
RULES = {
    name: rules(algorithm, segments)
    for pair, algorithm in zip(PAIRS, ("counting", "fpgrowth"), strict=True)
    for name, segments in zip(pair, (0, SEGMENTS), strict=True)
}


def canonical(found: Any) -> Any:
    """Itemsets and counts as rows of four numbers: items ascending, −1 where there is none, count."""
    if isinstance(found, Itemsets):
        rows = [np.pad(rows, ((0, 0), (0, 3 - rows.shape[1])), constant_values=-1) for rows in found.members]
        table = np.column_stack([np.concatenate(rows), found.counts])
    else:
        table = np.array([[*sorted(itemset), *[-1] * (3 - len(itemset)), count] for itemset, count in found], np.int64)
    return table[np.lexsort(table.T[::-1])]


def child(name: str, folder: Path) -> None:
    """In a process of its own: the job once; its itemsets go to a file, its figures to stdout."""
    prepare = (MINERS | RULES)[name]
    prepare(shop(2_000, 50))()  # imports what is imported late
    run = prepare(load_npz(folder / "baskets.npz").tocsr())
    before = resident()
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch, daemon=True)  # does not outlive a job that fails
    watcher.start()
    start = time.perf_counter()
    found = run()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if name in MINERS:
        np.save(folder / "found.npy", canonical(found))
    rows = found.figures["rules"] if name in RULES else len(found)
    print(json.dumps({"seconds": seconds, "mb": (peak - before) / MB, "found": rows}))


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(baskets: int, items: int, folder: Path) -> None:
    holds = shop(baskets, items)
    save_npz(folder / "baskets.npz", holds)
    missing = {name for name, module in MODULES.items() if not find_spec(module)}
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in MINERS | RULES if name not in missing}
    expected = None
    for _ in range(ROUNDS):
        for name, rounds in figures.items():
            command = [sys.executable, __file__, name, str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rounds.append(json.loads(done.stdout))
            if name in MINERS:
                found = np.load(folder / "found.npy")
                expected = found if expected is None else expected
                assert np.array_equal(found, expected), f"{name} finds other itemsets"
    median = {
        name: {key: statistics.median(figure[key] for figure in rounds) for key in rounds[0]}
        for name, rounds in figures.items()
    }
    counted = ", ".join(
        f"{(expected[:, 1:3] >= 0).sum(axis=1).tolist().count(size)} of {size + 1}" for size in range(3)
    )
    print(
        f"\n{holds.shape[0]:,} baskets, {items:,} items, {holds.nnz / holds.shape[0]:.1f} in a basket, support {SUPPORT}"
    )
    print(f"itemsets: {counted} items; the same from all")
    print(f"{'':42}{'seconds':>9}{'peak MB':>9}{'× mlxtend':>11}")
    for name in MINERS:
        if name in missing:
            print(f"{name:42}{'not installed':>20}")
        else:
            figure = median[name]
            versus = figure["seconds"] / median[MLXTEND]["seconds"]
            print(f"{name:42}{figure['seconds']:9.2f}{figure['mb']:9.0f}{versus:11.2f}")
    print(f"{'':42}{'seconds':>9}{'peak MB':>9}{'× whole':>11}")
    for whole, six in PAIRS:
        for name in (whole, six):
            versus = median[name]["seconds"] / median[whole]["seconds"]
            print(f"{name:42}{median[name]['seconds']:9.2f}{median[name]['mb']:9.0f}{versus:11.2f}")
    print(f"rules: {median[PAIRS[0][0]]['found']:,.0f}")


def main() -> None:
    if len(sys.argv) == 3:
        child(sys.argv[1], Path(sys.argv[2]))
        return
    for baskets, items in SIZES:
        with tempfile.TemporaryDirectory() as name:
            measure(baskets, items, Path(name))


if __name__ == "__main__":
    main()
