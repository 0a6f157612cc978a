"""From frequent itemsets to rules: which items follow from which."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from segmentation.features.rows import Flags, Whole
from segmentation.rules_settings import Rules, needed_of_each
from segmentation.services.itemsets import Itemsets


@dataclass(frozen=True)
class Found:
    """r rules over itemsets, sorted by antecedents and consequents.

    itemset, antecedents, consequents: r numbers of itemsets; `itemset` is the other two together.
    """

    itemsets: Itemsets
    itemset: Whole
    antecedents: Whole
    consequents: Whole

    def __len__(self) -> int:
        return len(self.itemset)


def confident_rules(itemsets: Itemsets, settings: Rules) -> Found:
    """Every itemset parted into antecedents and at most max_consequents consequents, where of the baskets with the
    antecedents at least min_confidence have the consequents. Whole numbers are compared, so a share of exactly
    min_confidence is enough."""
    nothing = np.array([], np.int64)
    parts = [(nothing, nothing, nothing)]
    for size, rows in list(enumerate(itemsets.members, 1))[1:]:
        itemset = np.arange(len(rows)) + itemsets.begins[size - 1]
        for number in range(1, min(settings.max_consequents, size - 1) + 1):
            for chosen in combinations(range(size), number):
                antecedents = itemsets.find(np.delete(rows, chosen, axis=1))
                enough = _enough(itemsets.counts[itemset], itemsets.counts[antecedents], settings.min_confidence)
                consequents = itemsets.find(rows[enough][:, list(chosen)])
                parts.append((itemset[enough], antecedents[enough], consequents))
    itemset, antecedents, consequents = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort([consequents, antecedents])
    return Found(itemsets, itemset[order], antecedents[order], consequents[order])


def _enough(count: Whole, of: Whole, share: float) -> Flags:
    different, place = np.unique(of, return_inverse=True)
    least = np.array(needed_of_each(share, different.tolist()), np.int64)
    return np.asarray(count >= least[place])
