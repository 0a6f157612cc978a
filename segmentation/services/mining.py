"""Frequent itemsets of the baskets: single items and pairs are counted; larger ones are mined, once it is sure that they are
not too many."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from segmentation.features.rows import Whole
from segmentation.rules_settings import Rules
from segmentation.services.candidates import candidates
from segmentation.services.counting import counts_by_group
from segmentation.services.itemsets import Itemsets, Members
from segmentation.services.pairs import Pairs, check_number, frequent_pairs, smallest, too_many
from segmentation.services.pruning import pruned


def frequent_itemsets(holds: Any, settings: Rules) -> Itemsets:
    """All sets of at most max_items items that are together in at least min_support of the baskets and min_count baskets.

    holds: scipy CSR matrix, baskets × items, bool, indices sorted. Up to three items the pairs say how many there can be
    (`pairs.at_most`). After that one size is mined after the other, and each is looked at before: an itemset is made of two
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
    larger = _counted(holds, least) if settings.algorithm == "counting" else _mined(holds, pairs, least, settings)
    for size in range(3, settings.max_items + 1):
        if size > 3:
            _check_size(found, size, settings)
        found = found.and_larger(*larger(found))
        if len(found.members) < size:
            break
    return found


def _of_pairs(pairs: Pairs, baskets: int) -> Itemsets:
    single = np.flatnonzero(pairs.alone >= pairs.least)
    found = Itemsets((single.reshape(-1, 1),), pairs.alone[single], baskets, len(pairs.alone))
    return found.and_larger(np.column_stack([pairs.first, pairs.second]), pairs.count)


def _check_size(found: Itemsets, size: int, settings: Rules) -> None:
    """As `pairs.check_number`, for the itemsets of this size, when those of one item less are known."""
    prefix, counts, begins = found.prefixes(size - 1), found.counts, found.begins

    def fits(least: int) -> bool:
        sharing = np.bincount(prefix[counts[begins[size - 2] :] >= least])
        return int((counts >= least).sum() + (sharing * (sharing - 1) // 2).sum()) <= settings.max_itemsets

    least = settings.count_needed(found.baskets)
    if not fits(least):
        raise too_many(found.baskets, settings, size, smallest(fits, least, int(counts.max()) + 1))


def _counted(holds: Any, least: int) -> Callable[[Itemsets], tuple[Members, Whole]]:
    """Every candidate of one item more than the largest itemsets is counted."""

    def larger(found: Itemsets) -> tuple[Members, Whole]:
        rows = candidates(found)
        tried = found.and_larger(rows, np.full(len(rows), least))  # ascending already: the order stays
        numbers, everywhere = np.arange(len(found), len(tried)), np.zeros(found.baskets, np.int64)
        count = counts_by_group(holds, tried, numbers, everywhere, 1)[:, 0]
        return rows[count >= least], count[count >= least]

    return larger


def _mined(holds: Any, pairs: Pairs, least: int, settings: Rules) -> Callable[[Itemsets], tuple[Members, Whole]]:
    """mlxtend mines what pruning leaves, up to one item more than the largest itemsets."""
    import pandas as pd

    left, columns = pruned(holds, pairs)
    sparse: Any = pd.DataFrame.sparse  # not in the stubs
    frame = sparse.from_spmatrix(left, columns=[str(column) for column in columns])
    miner = _miner(settings.algorithm)

    def larger(found: Itemsets) -> tuple[Members, Whole]:
        size = len(found.members) + 1
        if len(frame) < least:
            return np.empty((0, size), np.int64), np.array([], np.int64)
        # A share is rounded: half a basket less is below every count that is wanted, and above all others.
        mined = miner(frame, min_support=(least - 0.5) / len(frame), max_len=size)
        mined = mined[mined["itemsets"].map(len) == size]
        rows = np.array([sorted(itemset) for itemset in mined["itemsets"]], np.int64).reshape(-1, size)
        return columns[rows], np.rint(mined["support"].to_numpy() * len(frame)).astype(np.int64)

    return larger


def _miner(algorithm: str) -> Callable[..., Any]:
    with warnings.catch_warnings():  # importing it lets every DeprecationWarning of the process through
        from mlxtend.frequent_patterns import apriori, fpgrowth

    # Apriori otherwise makes a dense array, baskets × candidates.
    return fpgrowth if algorithm == "fpgrowth" else lambda frame, **how: apriori(frame, low_memory=True, **how)
