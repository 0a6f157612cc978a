"""What to show together, and to whom what next: from the rules that hold in a segment.

A rule holds in a segment if its q there is at most HOLDS and its lift is above 1.

The table `bundles`: segment_id, rank (from 1), items (list of text), count (baskets of the segment with all of them), lift, q:
the rule with the most leverage of each set of items; a set that is in one before it is left out.
The table `next_items`: user_id, rank (from 1), item, rule (its number in `rules`), confidence: what follows, by the rules of
the user's segment, from his last BASKETS baskets, is not in them, and was not returned; the most confident rule first. Rules
hold for some days: a segment that is younger than they are has those of the whole shop.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.features.rows import Whole
from segmentation.services.baskets import Baskets
from segmentation.services.occurrences import Members

HOLDS = 0.05
MOST_BUNDLES, MOST_NEXT = 10, 3
BASKETS = 3
TOGETHER = 20_000  # users who are looked at together
BUNDLES = pa.schema(
    [
        ("segment_id", pa.string()),
        ("rank", pa.int64()),
        ("items", pa.list_(pa.string())),
        ("count", pa.int64()),
        ("lift", pa.float64()),
        ("q", pa.float64()),
    ]
)
NEXT_ITEMS = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int64()),
        ("item", pa.string()),
        ("rule", pa.int64()),
        ("confidence", pa.float64()),
    ]
)


def holding(rules: pa.Table) -> pa.Table:
    """The rows of `rules` of rules that hold in their segment."""
    return rules.filter(pc.and_(pc.less_equal(rules["q"], HOLDS), pc.greater(rules["lift"], 1.0)))


def bundles(rules: pa.Table) -> pa.Table:
    """The table `bundles`, of the whole shop (segment_id null) and of each segment. rules: the table `rules`."""
    shown: dict[str | None, list[set[str]]] = {}
    found = []
    for row in holding(rules).sort_by([("leverage", "descending"), ("rule", "ascending")]).to_pylist():
        items, before = {*row["antecedents"], *row["consequents"]}, shown.setdefault(row["segment_id"], [])
        if len(before) < MOST_BUNDLES and not any(items <= other for other in before):
            before.append(items)
            figures = {name: row[name] for name in ("segment_id", "count", "lift", "q")}
            found.append({"rank": len(before), "items": sorted(items), **figures})
    found.sort(key=lambda row: (row["segment_id"] is not None, row["segment_id"] or "", row["rank"]))
    return pa.Table.from_pylist(found, BUNDLES)


def leading(rules: pa.Table) -> pa.Table:
    """The rows of `rules` of rules that hold in their segment and lead to one item."""
    rules = holding(rules)
    return rules.filter(pc.equal(pc.list_value_length(rules["consequents"]), 1))


def next_items(
    rules: pa.Table, baskets: Baskets, members: Members, returned: pa.Table, most: int = MOST_NEXT
) -> pa.Table:
    """The table `next_items`. baskets: also the longest; members: the segment of each basket's user; returned: see
    `baskets.RETURNED`; most: items for each user."""
    from scipy.sparse import csr_matrix

    counted = set(rules["segment_id"].to_pylist())
    rules = _of_items(leading(rules), baskets.items)
    if not rules.num_rows:
        return NEXT_ITEMS.empty_table()
    users, items = len(baskets.users), len(baskets.items)
    latest = _latest(baskets)
    of = csr_matrix((np.ones(len(latest), np.int32), (baskets.user[latest], latest)), shape=(users, len(baskets)))
    last = (of @ baskets.holds.astype(np.int32)).tocsr()
    last.data[:] = 1
    back, item_back = (
        np.asarray(pc.index_in(returned[name].combine_chunks(), value_set=known).fill_null(-1)).astype(np.int64)
        for name, known in (("user_id", baskets.users), ("item", baskets.items))
    )
    there = np.flatnonzero((back >= 0) & (item_back >= 0))
    gone = csr_matrix((np.ones(len(there), np.int32), (back[there], item_back[there])), shape=(users, items))
    closed = (last + gone).tocsr()
    segment = np.full(users, -1)
    segment[baskets.user] = members.segment
    sides = {name: _coded(rules[name].combine_chunks(), baskets.items) for name in ("antecedents", "consequents")}
    of_rule, item = sides["antecedents"]
    size = np.bincount(of_rule, minlength=rules.num_rows)
    asked = csr_matrix((np.ones(len(item), np.int32), (of_rule, item)), shape=(rules.num_rows, items))
    follows = sides["consequents"][1]
    confidence = np.asarray(rules["confidence"].to_numpy())
    parts = []
    for place, name in enumerate(members.segments):
        theirs = pc.equal(rules["segment_id"], name) if name in counted else pc.is_null(rules["segment_id"])
        mine, there = np.flatnonzero(theirs.fill_null(False)), np.flatnonzero(segment == place)
        for begin in range(0, len(there), TOGETHER):
            some = there[begin : begin + TOGETHER]
            hits = (last[some] @ asked[mine].T).tocoo()
            fits = hits.data == size[mine][hits.col]
            user, rule = some[hits.row[fits]], mine[hits.col[fits]]
            if len(user):
                open_ = np.asarray(closed[user, follows[rule]]).ravel() == 0
                parts.append(np.column_stack([user[open_], rule[open_]]))
    pairs = np.concatenate([np.empty((0, 2), np.int64), *parts])
    user, rule, rank = _best(pairs[:, 0], pairs[:, 1], confidence, follows, most)
    return pa.table(
        {
            "user_id": baskets.users.take(pa.array(user)),
            "rank": pa.array(rank, pa.int64()),
            "item": baskets.items.take(pa.array(follows[rule])),
            "rule": rules["rule"].combine_chunks().take(pa.array(rule)),
            "confidence": pa.array(confidence[rule], pa.float64()),
        },
        schema=NEXT_ITEMS,
    )


def _of_items(rules: pa.Table, items: pa.Array) -> pa.Table:
    """Those of nothing but the items: what nobody has bought any more can follow from nothing."""
    known = np.ones(rules.num_rows, np.bool_)
    for name in ("antecedents", "consequents"):
        of_rule, item = _coded(rules[name].combine_chunks(), items)
        known[of_rule[item < 0]] = False
    return rules.filter(pa.array(known))


def _latest(baskets: Baskets) -> Whole:
    """The last BASKETS baskets of each user; of one day, the last in order."""
    order = np.lexsort([np.arange(len(baskets)), baskets.day, baskets.user])
    ends = np.append(np.flatnonzero(np.diff(baskets.user[order])), len(order) - 1)
    left = np.repeat(ends, np.diff(ends, prepend=-1)) - np.arange(len(order))
    return order[left < BASKETS]


def _coded(lists: pa.ListArray, items: pa.Array) -> tuple[Whole, Whole]:
    """Of each text in the lists: which list, and the place among the items, −1 if it is not there."""
    lists = lists if isinstance(lists, pa.ListArray) else lists.chunk(0)
    return (
        np.asarray(pc.list_parent_indices(lists)).astype(np.int64),
        np.asarray(pc.index_in(lists.flatten(), value_set=items).fill_null(-1)).astype(np.int64),
    )


def _best(user: Whole, rule: Whole, confidence: np.ndarray, follows: Whole, most: int) -> tuple[Whole, Whole, Whole]:
    """Each user's most confident rules of different items, with their rank."""
    order = np.lexsort([rule, -confidence[rule], user])
    user, rule = user[order], rule[order]
    key = user * (follows.max(initial=0) + 1) + follows[rule]
    first = np.zeros(len(key), np.bool_)
    first[np.unique(key, return_index=True)[1]] = True
    user, rule = user[first], rule[first]
    begins = np.flatnonzero(np.diff(user, prepend=-1) != 0)
    rank = np.arange(len(user)) - np.repeat(begins, np.diff(np.append(begins, len(user)))) + 1
    few = rank <= most
    return user[few], rule[few], rank[few]
