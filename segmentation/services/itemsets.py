"""Frequent itemsets: items that are together in many baskets, each set with its exact count."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from segmentation.features.rows import Flags, Whole
from segmentation.rules_settings import Rules
from segmentation.services.pairs import Pairs, check_number, frequent_pairs, smallest, too_many
from segmentation.services.pruning import pruned

Members = np.ndarray[tuple[int, int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Itemsets:
    """s itemsets with all their subsets, numbered by size and then by their items; n baskets, m items.

    members: for the sizes 1, 2, … an array (number of itemsets × size) of items, ascending in each row, and the rows
    ascending too. counts: in how many baskets each of the s is.
    """

    members: tuple[Members, ...]
    counts: Whole
    baskets: int
    items: int

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def begins(self) -> Whole:
        """The number of the first itemset of each size; and, at the end, s."""
        return np.cumsum([0, *(len(rows) for rows in self.members)])

    @cached_property
    def _keys(self) -> list[Whole]:
        """For each size the itemsets as ascending numbers: place of all but the last item among the smaller ones, last item."""
        keys: list[Whole] = []
        for rows in self.members:
            keys.append(self._places(rows[:, :-1], keys) * self.items + rows[:, -1])
        return keys

    def _places(self, rows: Members, keys: list[Whole]) -> Whole:
        place = np.zeros(len(rows), np.int64)
        for column, known in zip(rows.T, keys, strict=False):
            place = np.searchsorted(known, place * self.items + column)
        return place

    def find(self, rows: Members) -> Whole:
        """The numbers of itemsets that are there, one size, items ascending."""
        numbers: Whole = self.begins[rows.shape[1] - 1] + self._places(rows, self._keys)
        return numbers

    def prefixes(self, size: int) -> Whole:
        """The numbers of the itemsets that those of this size (2 or more) are without their last item."""
        return self.find(self.members[size - 1][:, :-1])


def frequent_itemsets(holds: Any, settings: Rules) -> Itemsets:
    """All sets of at most max_items items that are together in at least min_support of the baskets and min_count baskets.

    holds: scipy CSR matrix, baskets × items, bool. Single items and pairs are counted; larger sets are mined by mlxtend, of
    what pruning leaves. Before that it is made sure that they are not too many: up to three items by the pairs
    (`pairs.at_most`); after that one size is mined after the other, and each is looked at before: an itemset is made of two
    smaller ones that differ in their last item only (Agrawal and Srikant, 1994).

    Raises ConfigError, naming the support that fits, if more than max_itemsets could be frequent.
    """
    baskets, items = holds.shape
    if not baskets:
        return Itemsets((), np.array([], np.int64), 0, items)
    least = settings.count_needed(baskets)
    pairs = frequent_pairs(holds, least, settings.max_itemsets)
    check_number(pairs, baskets, settings)
    found = _of_pairs(pairs, baskets)
    if settings.max_items == 2 or not len(pairs):
        return found
    left, columns = pruned(holds, pairs)
    for size in range(3, settings.max_items + 1):
        if size > 3:
            _check_size(found, size, settings)
        found = _with(_of_pairs(pairs, baskets), columns, *_mined(left, least, size, settings.algorithm))
        if len(found.members) < size:
            break
    return found


def _of_pairs(pairs: Pairs, baskets: int) -> Itemsets:
    single = np.flatnonzero(pairs.alone >= pairs.least)
    members = [single.reshape(-1, 1), np.column_stack([pairs.first, pairs.second])]
    counts = np.concatenate([pairs.alone[single], pairs.count])
    return Itemsets(tuple(rows for rows in members if len(rows)), counts, baskets, len(pairs.alone))


def _check_size(found: Itemsets, size: int, settings: Rules) -> None:
    """As `pairs.check_number`, for the itemsets of this size, when those of one item less are known."""
    prefix, counts, begins = found.prefixes(size - 1), found.counts, found.begins

    def fits(least: int) -> bool:
        sharing = np.bincount(prefix[counts[begins[size - 2] :] >= least])
        return int((counts >= least).sum() + (sharing * (sharing - 1) // 2).sum()) <= settings.max_itemsets

    least = settings.count_needed(found.baskets)
    if not fits(least):
        raise too_many(found.baskets, settings, size, smallest(fits, least, int(counts.max()) + 1))


def _mined(left: Any, least: int, size: int, algorithm: str) -> tuple[list[list[int]], Whole]:
    """The frequent itemsets of three to `size` items, as columns in ascending order, and their counts."""
    import pandas as pd

    rows = left.shape[0]
    if rows < least:
        return [], np.array([], np.int64)
    sparse: Any = pd.DataFrame.sparse  # not in the stubs
    frame = sparse.from_spmatrix(left, columns=[str(column) for column in range(left.shape[1])])
    # A share is rounded: half a basket less is below every count that is wanted, and above all others.
    mined = _miner(algorithm)(frame, min_support=(least - 0.5) / rows, max_len=size)
    large = mined[mined["itemsets"].map(len) >= 3]
    return [sorted(itemset) for itemset in large["itemsets"]], np.rint(large["support"].to_numpy() * rows).astype(
        np.int64
    )


def _miner(algorithm: str) -> Callable[..., Any]:
    with warnings.catch_warnings():  # importing it lets every DeprecationWarning of the process through
        from mlxtend.frequent_patterns import apriori, fpgrowth

    # Apriori otherwise makes a dense array, baskets × candidates.
    return fpgrowth if algorithm == "fpgrowth" else lambda frame, **how: apriori(frame, low_memory=True, **how)


def _with(found: Itemsets, columns: Whole, larger: list[list[int]], counts: Whole) -> Itemsets:
    """Those of up to two items, and larger ones as places in `columns`."""
    members, all_counts = list(found.members), [found.counts]
    sizes = np.array([len(itemset) for itemset in larger], np.int64)
    for size in range(3, sizes.max(initial=2) + 1):
        of_size: Flags = sizes == size
        rows = columns[np.array([itemset for itemset in larger if len(itemset) == size])]
        order = np.lexsort(rows.T[::-1])
        members.append(rows[order])
        all_counts.append(counts[of_size][order])
    return Itemsets(tuple(members), np.concatenate(all_counts), found.baskets, found.items)
