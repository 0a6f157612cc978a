"""How often known itemsets occur in each of several groups of baskets, in one pass over the baskets."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from segmentation.features.rows import Whole
from segmentation.services.itemsets import Itemsets

ROWS = 50_000  # baskets that are looked at together, at most
CELLS = 4_000_000  # of them, as a dense array of one byte a cell: small enough for a cache
TOGETHER = 4_000_000  # occurrences of itemsets that are in memory together, about
Counts = np.ndarray[tuple[int, int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Step:
    """Itemsets of one size by their numbers, ascending. Each is one of the step before, by its place there, and an item, by
    its place among the single items, which are the first step."""

    itemsets: Whole
    before: Whole
    item: Whole


def counts_by_group(holds: Any, itemsets: Itemsets, wanted: Whole, group: Whole, groups: int) -> Counts:
    """In how many baskets of each group each wanted itemset is: wanted × groups.

    holds: the scipy CSR matrix, baskets × items, that the itemsets were found in. wanted: numbers of itemsets. group: of each
    basket, 0 … groups − 1; −1 if it is in none.

    The baskets with an itemset are looked for among those with one item less, the item whose lack leaves the fewest.
    """
    counts = np.zeros((len(itemsets), groups), np.int64)
    if not len(wanted) or not groups:
        return counts[wanted]
    single, *larger = steps(itemsets, wanted)
    items = itemsets.members[0][single.itemsets, 0]
    before = [single, *larger]
    work = sum(itemsets.counts[last.itemsets[step.before]].sum() for last, step in zip(before, larger, strict=False))
    rows = 1 + min(ROWS, CELLS // len(items), len(group) * TOGETHER // (1 + int(work)))
    for begin in range(0, len(group), rows):
        _count(holds[begin : begin + rows, items], single, larger, group[begin : begin + rows], counts)
    return counts[wanted]


def steps(itemsets: Itemsets, wanted: Whole) -> list[Step]:
    """The itemsets of the sizes 1, 2, … that must be counted to count the wanted ones: one step for each size."""
    begins, needed = itemsets.begins, np.unique(wanted)
    items, found = [], []
    for size in range(len(itemsets.members), 0, -1):
        numbers = needed[needed >= begins[size - 1]]
        needed = needed[needed < begins[size - 1]]
        rows = itemsets.members[size - 1][numbers - begins[size - 1]]
        items.append(rows.ravel())
        if size > 1:
            smaller = np.array([itemsets.find(np.delete(rows, left_out, axis=1)) for left_out in range(size)])
            fewest = itemsets.counts[smaller].argmin(axis=0)
            before, item = smaller[fewest, np.arange(len(rows))], rows[np.arange(len(rows)), fewest]
            needed = np.union1d(needed, before)
            found.append((numbers, before, item))
    single = np.searchsorted(itemsets.members[0][:, 0], np.unique(np.concatenate(items)))
    result = [Step(single, single, np.arange(len(single)))]
    for numbers, before, item in reversed(found):
        place = np.searchsorted(itemsets.members[0][single, 0], item)
        result.append(Step(numbers, np.searchsorted(result[-1].itemsets, before), place))
    return result


def _count(holds: Any, single: Step, larger: list[Step], group: Whole, counts: Counts) -> None:
    """Add the counts in these baskets. holds: its columns are the single items."""
    there, by_item, columns = holds.toarray().reshape(-1), holds.tocsc(), holds.shape[1]
    starts, basket = by_item.indptr.astype(np.int64), by_item.indices
    which = np.repeat(np.arange(len(single.itemsets)), np.diff(starts))
    _add(single, which, group[basket], counts)
    for step in larger:
        length = np.diff(starts)[step.before]
        which = np.repeat(np.arange(len(length)), length)
        basket = basket[np.arange(len(which)) + np.repeat(starts[step.before] - np.cumsum(length) + length, length)]
        both = there[basket.astype(np.int64) * columns + np.repeat(step.item, length)]
        which, basket = which[both], basket[both]
        starts = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=len(length)))])
        _add(step, which, group[basket], counts)


def _add(step: Step, which: Whole, group: Whole, counts: Counts) -> None:
    groups = counts.shape[1]
    found = np.bincount((which * groups + group)[group >= 0], minlength=len(step.itemsets) * groups)
    counts[step.itemsets] += found.reshape(-1, groups)
