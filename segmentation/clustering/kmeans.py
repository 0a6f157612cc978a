"""K-means: a fit on a bounded sample, and an assignment that gives every machine the same answer."""

import hashlib
import warnings
from collections.abc import Sequence

import numpy as np

from segmentation.clustering.transform import Matrix

RESTARTS = 10


def sample_positions(user_ids: Sequence[str], size: int) -> list[int]:
    """Positions of the `size` users with the smallest hashes, ascending; all of them when there are no more.

    By hash of the id, so that the same users are drawn whatever the order and whoever else is there.
    """
    if len(user_ids) <= size:
        return list(range(len(user_ids)))
    hashes = [hashlib.blake2b(user.encode(), digest_size=8).digest() for user in user_ids]
    return sorted(sorted(range(len(user_ids)), key=lambda position: (hashes[position], user_ids[position]))[:size])


def fit(points: Matrix, segments: int, seed: int) -> Matrix:
    """Centres of K-means (k-means++ starts, best of 10), rounded to 1e-6 and in ascending order: (segments, features).

    Fewer centres come back when there are fewer distinct points. One thread: the sums of several threads differ in
    their last digits.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    distinct = np.unique(points, axis=0)
    if len(distinct) <= segments:
        return distinct
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(n_clusters=segments, n_init=RESTARTS, random_state=seed).fit(points)
    return np.asarray(np.unique(np.round(model.cluster_centers_, 6) + 0.0, axis=0))


def distances(points: Matrix, centres: Matrix) -> Matrix:
    """Euclidean distances, shape (users, segments): element-wise, in the order of the features.

    No matrix product: its last digits depend on the library, the threads and the number of rows.
    """
    result = np.empty((len(points), len(centres)))
    for position, centre in enumerate(centres):
        squares = np.zeros(len(points))
        for axis, value in enumerate(centre):
            squares += (points[:, axis] - value) ** 2
        result[:, position] = np.sqrt(squares)
    return result
