"""K-means: a fit on a bounded sample, and an assignment that gives every machine the same answer."""

import warnings
from collections.abc import Collection

import numpy as np

from segmentation.clustering.transform import Matrix

RESTARTS = 10
ITERATIONS = 300


def fit(points: Matrix, segments: int, seed: int, restarts: int = RESTARTS) -> Matrix:
    """Centres of K-means, the best of `restarts` k-means++ starts: (segments, features), rounded to 1e-6, in ascending order.

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
        model = KMeans(n_clusters=segments, n_init=restarts, random_state=seed).fit(points)
    return np.asarray(np.unique(np.round(model.cluster_centers_, 6) + 0.0, axis=0))


def continued(points: Matrix, centres: Matrix, free: Collection[int] | None = None) -> Matrix:
    """The optimum that Lloyd's iterations lead to from the given centres; row i continues centre i, rounded to 1e-6.

    free: the rows that may move, None for all. A centre to which nobody is nearest stays where it was.
    """
    centres = centres.copy()
    rows = list(range(len(centres)) if free is None else free)
    reach = distances(points, centres)
    for _ in range(ITERATIONS):
        nearest = np.argmin(reach, axis=1)
        before = centres[rows]
        for segment in rows:
            members = nearest == segment
            if members.any():
                centres[segment] = np.round(points[members].mean(axis=0), 6) + 0.0
        if np.array_equal(before, centres[rows]):
            break
        reach[:, rows] = distances(points, centres[rows])
    return centres


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
