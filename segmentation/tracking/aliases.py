"""Segment ids that a re-founded history replaced: where most of their users are now."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.store.state import Alias

OVERLAP = 0.5


def aliases(before: pa.Table, after: pa.Table) -> list[Alias]:
    """For each segment id of `before` that `after` lacks, the segment of `after` that has at least half of its users.

    Both are memberships of the same day: the snapshot that was current and the one that replaces it.
    """
    ids = pc.unique(after["segment_id"]).drop_null()
    now = after["segment_id"].take(pc.index_in(before["user_id"], value_set=after["user_id"].combine_chunks()))
    users: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for old, new in zip(before["segment_id"].to_pylist(), now.to_pylist(), strict=True):
        if old is not None:
            users[old] += 1
            pairs[old, new] += new is not None
    gone = sorted(users.keys() - set(ids.to_pylist()))
    found = []
    for old in gone:
        new = max(sorted(name for other, name in pairs if other == old and name), key=lambda name: pairs[old, name])
        if pairs[old, new] >= OVERLAP * users[old]:
            found.append(Alias(old, new, round(pairs[old, new] / users[old], 6)))
    return found
