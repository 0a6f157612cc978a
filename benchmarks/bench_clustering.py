"""K-means on a sample drawn by the hash of ids, beside scikit-learn's on everyone, in one process with one thread.

2,000,000 users in 12 features, some of them long-tailed, in six groups that overlap. Ours: the sample drawn, the space fitted,
ten starts on 30,000 users. Scikit-learn's: n_init = 10 on all, in the same space. Inertia is of all users.

SEGMENTATION_BENCH_USERS: another number.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from segmentation.clustering.model import Fit
from segmentation.config import Clustering

USERS = int(os.environ.get("SEGMENTATION_BENCH_USERS", "2000000"))
FEATURES, SEGMENTS = 12, 6


def shop() -> pa.Table:
    draw = np.random.default_rng(0)
    centres = draw.normal(0, 1.2, (SEGMENTS, FEATURES))
    points = centres[draw.integers(0, SEGMENTS, USERS)] + draw.normal(0, 1, (USERS, FEATURES))
    points[:, ::3] = np.exp(points[:, ::3])  # as money is
    columns = {f"f{number}": np.round(points[:, number], 6) for number in range(FEATURES)}
    return pa.table({"user_id": pa.array([f"user-{number}" for number in range(USERS)]), **columns})


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def inertia(points: np.ndarray, centres: np.ndarray) -> float:
    total = 0.0
    for begin in range(0, len(points), 100_000):
        part = points[begin : begin + 100_000]
        total += float(((part[:, None, :] - centres[None]) ** 2).sum(axis=2).min(axis=1).sum())
    return total


def main() -> None:
    table = shop()
    names = tuple(table.column_names[1:])
    with threadpool_limits(limits=1):
        fit, ours = timed(lambda: Fit.of(table, names, Clustering(), SEGMENTS))
        points = fit.transform.apply(table)
        whole, theirs = timed(lambda: KMeans(n_clusters=SEGMENTS, n_init=10, random_state=0).fit(points))
        again = [inertia(points, centres) for centres in (fit.centres, whole.cluster_centers_)]
    print(f"{USERS:,} users in {FEATURES} features, {SEGMENTS} segments")
    print(f"{'ours, on a sample':30}{ours:8.1f} s   inertia {again[0]:,.0f}")
    print(f"{'scikit-learn, on everyone':30}{theirs:8.1f} s   inertia {again[1]:,.0f}")
    print(f"{theirs / ours:.0f} × faster (aim: 25), {again[0] / again[1] - 1:+.3%} inertia (aim: at most +0.1 %)")


if __name__ == "__main__":
    main()
