"""What of the baskets can be in a frequent itemset of three items or more: everything else is not mined."""

from typing import Any

import numpy as np

from segmentation.features.rows import Whole
from segmentation.services.pairs import Pairs

ROWS = 50_000  # baskets that are looked at together


def pruned(holds: Any, pairs: Pairs) -> tuple[Any, Whole]:
    """The baskets without what no frequent itemset of three or more items has, and the items that are left.

    holds: scipy CSR matrix, baskets × items, bool. Returns one of the same kind, with those of the rows that still have three
    items, and for each of its columns the item.

    Exact: every two items of a frequent itemset are a frequent pair. So in a basket that has such an itemset each of its
    items has two partners at least, which are partners of each other; an item with fewer is taken out of that basket, and
    those that lose a partner by it too.
    """
    from scipy.sparse import csr_matrix, vstack

    graph = pairs.graph()
    graph = (graph @ graph).multiply(graph).astype(np.bool_).astype(np.int32).tocsr()  # pairs of a triangle
    items = np.flatnonzero(np.diff(graph.indptr))
    graph = graph[items][:, items]
    parts = []
    for begin in range(0, holds.shape[0] if len(items) else 0, ROWS):
        rows = holds[begin : begin + ROWS, items].astype(np.int32)
        entries = -1
        while rows.nnz != entries:
            entries = rows.nnz
            partners = (rows @ graph).multiply(rows).tocsr()
            partners.data = (partners.data >= 2).astype(np.int32)
            partners.eliminate_zeros()
            rows = partners
        parts.append(rows[np.diff(rows.indptr) > 0].astype(np.bool_))
    left = vstack(parts, format="csr") if parts else csr_matrix((0, len(items)), dtype=np.bool_)
    left.sort_indices()
    return left, items
