"""Segment ids that a re-founded history replaced: where most of their users are now."""

from collections import Counter
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.store.state import Alias

OVERLAP = 0.5


def aliases(before: pa.Table, after: pa.Table, kept: Collection[str]) -> list[Alias]:
    """For each segment id of `before` that is not kept, the segment of `after` that has at least half of its users.

    Both are memberships of the same day: the snapshot that was current and the one that replaces it. `kept` are the ids of
    the new one's model: a segment that is only empty now was not replaced.
    """
    now = after["segment_id"].take(pc.index_in(before["user_id"], value_set=after["user_id"].combine_chunks()))
    users: Counter[str] = Counter()
    pairs: dict[str, Counter[str]] = {}
    for old, new in zip(before["segment_id"].to_pylist(), now.to_pylist(), strict=True):
        if old is not None and old not in kept:
            users[old] += 1
            pairs.setdefault(old, Counter()).update([new] if new is not None else [])
    found = []
    for old, there in sorted(pairs.items()):
        new, count = min(there.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
        if count and count >= OVERLAP * users[old]:
            found.append(Alias(old, new, round(count / users[old], 6)))
    return found
