"""Frequent itemsets: items that are together in many baskets, each set with its exact count."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segmentation.features.rows import Flags, Whole

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

    def contains(self, rows: Members) -> Flags:
        """Which itemsets of one size, items ascending, are there."""
        known = self.members[rows.shape[1] - 1]
        nearest = known[np.minimum(self._places(rows, self._keys), len(known) - 1)]
        return np.asarray((nearest == rows).all(axis=1))

    def prefixes(self, size: int) -> Whole:
        """The numbers of the itemsets that those of this size (2 or more) are without their last item."""
        return self.find(self.members[size - 1][:, :-1])

    def and_larger(self, rows: Members, counts: Whole) -> "Itemsets":
        """With itemsets of one item more than the largest, in any order; themselves if there is none."""
        if not len(rows):
            return self
        order = np.lexsort(rows.T[::-1])
        return Itemsets(
            (*self.members, rows[order]), np.concatenate([self.counts, counts[order]]), self.baskets, self.items
        )
