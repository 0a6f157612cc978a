"""Which two items are often together: the graph that tells how many itemsets there can be, before any is mined."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np

from segmentation.errors import ConfigError
from segmentation.features.rows import Whole
from segmentation.rules_settings import Rules
from segmentation.services.portions import portions

CELLS = 8_000_000  # counts that are in memory at once, of 8 bytes
TOGETHER = 2_000_000  # pairs of baskets' items that are looked at together


@dataclass(frozen=True)
class Pairs:
    """p pairs of items that are together in at least `least` baskets, sorted by (first, second); first < second.

    first, second, count: p whole numbers. alone: of each of the m items, the number of baskets that have it.
    """

    first: Whole
    second: Whole
    count: Whole
    alone: Whole
    least: int

    def __len__(self) -> int:
        return len(self.count)

    def of(self, least: int) -> "Pairs":
        """Those that are together in at least so many baskets, at least as many as now."""
        keep = self.count >= least
        return Pairs(self.first[keep], self.second[keep], self.count[keep], self.alone, least)

    def graph(self) -> Any:
        """scipy CSR matrix, m × m, int32, symmetric: 1 where two items are a pair."""
        from scipy.sparse import csr_matrix

        ends = np.concatenate([self.first, self.second]), np.concatenate([self.second, self.first])
        return csr_matrix((np.ones(2 * len(self), np.int32), ends), shape=(len(self.alone), len(self.alone)))


def frequent_pairs(holds: Any, least: int, most: int) -> Pairs:
    """The pairs of items that are together in at least `least` baskets, or, if these are more than `most`, in at least so
    many that they are not; `Pairs.least` says which.

    holds: scipy CSR matrix, baskets × items, bool, indices sorted. Every two items of every basket are counted, so many at
    a time that about 200 MB are in memory beside the matrix and the pairs, whatever the number of items.
    """
    alone = item_counts(holds)
    items = np.flatnonzero(alone >= least)
    some = holds[:, items]
    length = np.diff(some.indptr).astype(np.int64)
    parts = portions(length * (length - 1) // 2, TOGETHER)
    nothing = np.array([], np.int64)
    found = Pairs(nothing, nothing, nothing, alone, least)
    height = max(CELLS // max(len(items), 1), 1)  # first items whose pairs are counted together
    for begin in range(0, len(items), height):
        count = np.zeros((min(height, len(items) - begin), len(items)), np.int64)
        for part in parts:
            _count_pairs(some[part], begin, count)
        first, second = np.nonzero(count >= found.least)
        found = Pairs(
            np.concatenate([found.first, items[first + begin]]),
            np.concatenate([found.second, items[second]]),
            np.concatenate([found.count, count[first, second]]),
            alone,
            found.least,
        )
        if len(found) > most:  # the count that one too many has, and those with the same
            found = found.of(int(np.partition(found.count, -most - 1)[-most - 1]) + 1)
    return found


def _count_pairs(holds: Any, begin: int, count: Any) -> None:
    """Add to count[i, j] the baskets that have both the items begin + i and j, the second after the first."""
    item, places = holds.indices.astype(np.int64), np.arange(holds.nnz)
    ends = np.repeat(holds.indptr[1:], np.diff(holds.indptr))
    start = places[(item >= begin) & (item < begin + len(count))]
    after = ends[start] - 1 - start
    first = np.repeat(start, after)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(after) - after, after)
    np.add.at(count.reshape(-1), (item[first] - begin) * count.shape[1] + item[second], 1)


def item_counts(holds: Any) -> Whole:
    """In how many baskets each item is."""
    return np.bincount(holds.indices, minlength=holds.shape[1])


def triangles(pairs: Pairs, most: int) -> int:
    """How many sets of three items there are in which every two are a pair; counted until they are more than `most`.

    Items are ordered by their number of partners, each pair leads to the end with more of them, and a triangle is counted
    at its first item: then p pairs take at most about p^1.5 steps (Chiba and Nishizeki, 1985).
    """
    from scipy.sparse import csr_matrix

    items, ends = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    rank = np.argsort(np.argsort(np.bincount(ends, minlength=len(items)), kind="stable"))
    ends = rank[ends.reshape(2, -1)]
    graph = csr_matrix((np.ones(len(pairs), np.int32), (ends.min(0), ends.max(0))), shape=(len(items), len(items)))
    count = 0
    height = max(CELLS // max(len(items), 1), 1)
    for begin in range(0, len(items), height):
        if count > most:
            break
        some = graph[begin : begin + height]
        count += int((some @ graph).multiply(some).sum())
    return count


def at_most(pairs: Pairs, max_items: int, most: int) -> int:
    """A number that the frequent itemsets of at most three items (two, if max_items says so) do not exceed: the frequent
    items, the pairs, and the triangles of pairs. Counted until it is more than `most`."""
    sure = int((pairs.alone >= pairs.least).sum()) + len(pairs)
    return sure if max_items == 2 or sure > most else sure + triangles(pairs, most - sure)


def check_number(pairs: Pairs, baskets: int, settings: Rules) -> None:
    """Raises ConfigError, naming the support that fits, if more than max_itemsets itemsets of up to three items could be
    frequent."""
    most, size = settings.max_itemsets, min(settings.max_items, 3)
    asked = settings.count_needed(baskets)

    def fits(least: int) -> bool:
        return at_most(pairs.of(least), size, most) <= most

    if pairs.least > asked or not fits(asked):
        raise too_many(baskets, settings, size, smallest(fits, pairs.least, int(pairs.alone.max(initial=0)) + 1))


def smallest(fits: Callable[[int], bool], first: int, last: int) -> int:
    """The smallest whole number from `first` to `last` that fits, where all after it do; `last` does."""
    while first < last:
        middle = (first + last) // 2
        first, last = (first, middle) if fits(middle) else (middle + 1, last)
    return first


def too_many(baskets: int, settings: Rules, size: int, fits: int) -> ConfigError:
    """The error that names the support which fits, rounded up so that it gives at least the count `fits`."""
    digits = 2 + len(str(baskets // fits))
    share = Fraction(ceil(Fraction(fits, baskets) * 10**digits), 10**digits)
    asked = settings.count_needed(baskets)
    advice = f"min_support = {float(share):.{digits}f} (in {fits:,} baskets) fits"
    if share > 1:
        advice = "no support fits"
    return ConfigError(
        f"[rules] more than max_itemsets = {settings.max_itemsets:,} itemsets of up to {size} items could be in at least "
        f"{asked:,} of {baskets:,} baskets (min_support = {settings.min_support}, min_count = {settings.min_count}): "
        f"{advice}; or lower max_items or longest_basket, or raise max_itemsets"
    )
