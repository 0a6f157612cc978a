"""Baskets small enough to try every set of items, and a published set of real ones."""

import csv
import os
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from segmentation.services.baskets import Baskets
from segmentation.services.itemsets import Itemsets

DATA = Path(os.environ.get("SEGMENTATION_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
Sets = list[frozenset[str]]


def random_sets(seed: int, baskets: int = 120, items: int = 9) -> Sets:
    """Baskets of one to six of a few items; some go together."""
    draw = np.random.default_rng(seed)
    names = [f"item {chr(ord('a') + place)}" for place in range(items)]
    sets = []
    for _ in range(baskets):
        chosen = {names[place] for place in draw.integers(0, items, draw.integers(1, 5))}
        if draw.random() < 0.4:
            chosen |= set(names[:3])
        sets.append(frozenset(chosen))
    return sets


def gathered(sets: Iterable[Iterable[str]], users: int = 20) -> Baskets:
    """These baskets, bought by so many users in turn."""
    lists = list(sets)
    return Baskets.of(lists, [f"user {number % users:02}" for number in range(len(lists))])


def memberships(users: int = 20, segments: int = 3) -> tuple[pa.Array, pa.Array]:
    """Users and their segments; every fifth has none, and one is not known at all."""
    ids = [f"user {number:02}" for number in range(users - 1)]
    return pa.array(ids), pa.array([None if n % 5 == 4 else f"segment {n % segments}" for n in range(users - 1)])


def brute_force(sets: Sets, least: int, max_items: int) -> dict[frozenset[str], int]:
    """Every itemset that is in at least so many baskets, and in how many."""
    names = sorted(set().union(*sets))
    every = (frozenset(chosen) for size in range(1, max_items + 1) for chosen in combinations(names, size))
    counts = {itemset: sum(itemset <= basket for basket in sets) for itemset in every}
    return {itemset: count for itemset, count in counts.items() if count >= least}


def by_name(itemsets: Itemsets, items: pa.Array) -> dict[frozenset[str], int]:
    names = np.array(items.to_pylist(), object)
    rows = [frozenset(names[row]) for members in itemsets.members for row in members]
    assert len(set(rows)) == len(rows)
    return dict(zip(rows, itemsets.counts.tolist(), strict=True))


def groceries() -> Baskets:
    path = DATA / "groceries" / "groceries.csv"
    if not path.exists():
        pytest.skip(f"Groceries is not here: {path}")
    with path.open(encoding="utf-8", newline="") as lines:
        return gathered(csv.reader(lines))
