"""How often rules occur: in the whole shop, and in each segment."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.features.rows import Whole
from segmentation.services.baskets import Baskets
from segmentation.services.confident import Found
from segmentation.services.counting import counts_by_group


@dataclass(frozen=True)
class Members:
    """Of each basket the segment of the user who bought it: a place in `segments` (ids, ascending), or −1."""

    segments: tuple[str, ...]
    segment: Whole

    @classmethod
    def of(cls, baskets: Baskets, user_id: pa.Array, segment_id: pa.Array) -> Self:
        """user_id, segment_id: the columns of the memberships. A user who is not there or has no segment (null) is in none."""
        segments = sorted(segment_id.unique().drop_null().to_pylist())
        theirs = segment_id.take(pc.index_in(baskets.users, value_set=user_id))
        place = pc.fill_null(pc.index_in(theirs, value_set=pa.array(segments, pa.string())), -1)
        return cls(tuple(segments), place.to_numpy(zero_copy_only=False).astype(np.int64)[baskets.user])


@dataclass(frozen=True)
class Occurrences:
    """Rows of a rule and a group of baskets each, by group and rule. rule: numbers in Found. group: places. n, a, c, k: the
    group's baskets, those with the antecedents, with the consequents, with both."""

    rule: Whole
    group: Whole
    n: Whole
    a: Whole
    c: Whole
    k: Whole

    def __len__(self) -> int:
        return len(self.rule)


def in_the_shop(rules: Found) -> Occurrences:
    """Every rule in the one group of all baskets."""
    counts, zeros = rules.itemsets.counts, np.zeros(len(rules), np.int64)
    return Occurrences(
        np.arange(len(rules)),
        zeros,
        zeros + rules.itemsets.baskets,
        counts[rules.antecedents],
        counts[rules.consequents],
        counts[rules.itemset],
    )


def in_segments(rules: Found, baskets: Baskets, members: Members) -> Occurrences:
    """Every rule in every segment that has baskets with the antecedents: where there is none, nothing can be said."""
    wanted, places = np.unique([rules.antecedents, rules.consequents, rules.itemset], return_inverse=True)
    counts = counts_by_group(baskets.holds, rules.itemsets, wanted, members.segment, len(members.segments))
    a, c, k = (counts[place].T for place in places.reshape(3, -1))
    group, rule = np.nonzero(a)
    n = np.bincount(members.segment[members.segment >= 0], minlength=len(members.segments))
    return Occurrences(rule, group, n[group], a[group, rule], c[group, rule], k[group, rule])
