"""Which larger itemsets can be frequent, given the smaller ones."""

import numpy as np

from segmentation.services.itemsets import Itemsets, Members
from segmentation.services.portions import portions

TOGETHER = 2_000_000  # sets that are looked at together


def candidates(itemsets: Itemsets) -> Members:
    """The sets of one item more than the largest itemsets, all of whose subsets are itemsets: rows ascending.

    Each is made of two of the largest itemsets that differ in their last item only, and those of its other subsets are looked
    for that are of the same size (Agrawal and Srikant, 1994).
    """
    size = len(itemsets.members)
    largest = itemsets.members[-1]
    prefix = itemsets.prefixes(size)  # ascending, as the rows are
    after = np.searchsorted(prefix, prefix, side="right") - np.arange(len(prefix)) - 1
    found = [np.empty((0, size + 1), np.int64)]
    for part in portions(after, TOGETHER):
        one = np.repeat(np.arange(part.start, part.stop), after[part])
        other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(after[part]) - after[part], after[part])
        rows = np.column_stack([largest[one], largest[other, -1]])
        for left_out in range(size - 1):
            rows = rows[itemsets.contains(np.delete(rows, left_out, axis=1))]
        found.append(rows)
    return np.concatenate(found)
