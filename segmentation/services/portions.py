"""Rows that are worked on together, so that what is in memory is bounded."""

from itertools import pairwise

import numpy as np

from segmentation.features.rows import Whole


def portions(work: Whole, most: int) -> list[slice]:
    """Rows in order, parted so that the work of a part is about `most` at most (one row's, if that is more)."""
    done = np.cumsum(work)
    bounds = np.flatnonzero(np.diff(done // most, prepend=0)) if len(done) else done
    return [slice(*pair) for pair in pairwise([0, *bounds.tolist(), len(work)]) if pair[0] < pair[1]]
