"""The table `rules`: one row for each rule in the whole shop, and one for each rule and segment in which some basket has the
antecedents. Of n baskets a have the antecedents, c the consequents, k both:

| column | type | meaning |
|---|---|---|
| segment_id | text, null: the whole shop | |
| rule | int64 | the rule's number, from 0, the same in the shop and in each segment |
| antecedents, consequents | list of text | items or categories, ascending by their UTF-8 bytes |
| baskets, antecedent_count, consequent_count, count | int64 | n, a, c, k |
| support, confidence | float64 | k / n, k / a |
| lift, leverage, conviction, zhang | float64 | see `measures`; lift is null if c = 0, conviction if it is infinite |
| p | float64 | Fisher's exact test, one-sided: that k would be so large by chance |
| q | float64 | p by Benjamini and Hochberg: over all rows of the whole shop; over all rows of all segments |
| confidence_outside | float64, or null | in the baskets that are not the segment's; null if none of them has the antecedents |
| confidence_ratio | float64, or null | confidence / confidence_outside; null if that is null or 0 |
| special_p | float64, or null | that k would be so large if the a were drawn from all of the shop that have the antecedents |
| special_q | float64, or null | special_p by Benjamini and Hochberg, over all rows of all segments |

The last four are null for the whole shop. Rows are sorted by segment_id, the whole shop first, and rule; rules by the number
of antecedents, the antecedents, the number of consequents, the consequents. All p and q take baskets for independent of each
other. Those of one user are not: where few users have many of the baskets, p and q are too small.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation.features.rows import Whole
from segmentation.services import measures
from segmentation.services.baskets import Baskets
from segmentation.services.confident import Found
from segmentation.services.itemsets import Itemsets
from segmentation.services.occurrences import Occurrences

SCHEMA = pa.schema(
    [
        ("segment_id", pa.string()),
        ("rule", pa.int64()),
        *((name, pa.list_(pa.string())) for name in ("antecedents", "consequents")),
        *((name, pa.int64()) for name in ("baskets", "antecedent_count", "consequent_count", "count")),
        *(
            (name, pa.float64())
            for name in ("support", "confidence", "lift", "leverage", "conviction", "zhang", "p", "q")
        ),
        *((name, pa.float64()) for name in ("confidence_outside", "confidence_ratio", "special_p", "special_q")),
    ]
)
SPECIAL = ("confidence_outside", "confidence_ratio", "special_p", "special_q")


def rules_table(
    baskets: Baskets, rules: Found, shop: Occurrences, inside: Occurrences, segments: tuple[str, ...]
) -> pa.Table:
    """See above. shop: every rule, in order. inside: the rows of the segments, by segment and rule."""
    names = _names(baskets.items, rules.itemsets)
    special = _special(shop, inside)
    empty = dict.fromkeys(special, np.full(len(shop), np.nan))
    whole = _rows(rules, names, shop, pa.nulls(len(shop), pa.string()), empty)
    return pa.concat_tables(
        [whole, _rows(rules, names, inside, pa.array(segments, pa.string()).take(inside.group), special)]
    )


def _rows(
    rules: Found, names: pa.Array, found: Occurrences, segment_id: pa.Array, special: Mapping[str, measures.Floats]
) -> pa.Table:
    n, a, c, k = found.n, found.a, found.c, found.k
    p = measures.by_chance(n, a, c, k)
    figures = {
        "support": measures.ratio(k, n),
        "confidence": measures.ratio(k, a),
        "lift": measures.lift(n, a, c, k),
        "leverage": measures.leverage(n, a, c, k),
        "conviction": measures.conviction(n, a, c, k),
        "zhang": measures.zhang(n, a, c, k),
        "p": p,
        "q": measures.false_discoveries(p),
        **special,
    }
    return pa.table(
        {
            "segment_id": segment_id,
            "rule": pa.array(found.rule, pa.int64()),
            "antecedents": names.take(pa.array(rules.antecedents[found.rule])),
            "consequents": names.take(pa.array(rules.consequents[found.rule])),
            **{
                name: pa.array(count, pa.int64())
                for name, count in zip(
                    ("baskets", "antecedent_count", "consequent_count", "count"), (n, a, c, k), strict=True
                )
            },
            **{name: pa.array(values, pa.float64(), from_pandas=True) for name, values in figures.items()},  # NaN: null
        }
    )


def _special(shop: Occurrences, inside: Occurrences) -> dict[str, measures.Floats]:
    """Each rule of a segment against the baskets that are not the segment's."""
    a, k = shop.a[inside.rule], shop.k[inside.rule]
    outside = measures.ratio(k - inside.k, a - inside.a)
    p = measures.by_chance(a, inside.a, k, inside.k)
    times = measures.ratio(inside.k * (a - inside.a), inside.a * (k - inside.k))
    return dict(zip(SPECIAL, (outside, times, p, measures.false_discoveries(p)), strict=True))


def _names(items: pa.Array, itemsets: Itemsets) -> Any:
    """Of each itemset the list of its items' names."""
    sizes = np.repeat(np.arange(len(itemsets.members)) + 1, [len(rows) for rows in itemsets.members])
    flat: Whole = np.concatenate([np.array([], np.int64), *(rows.ravel() for rows in itemsets.members)])
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), items.take(pa.array(flat)))
