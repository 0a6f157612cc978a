"""The rules that are compared: from each user's distances to the segments on each day to a label per day.

distances: (users, days, segments), NaN where a user is not in the day's population. Labels: see movement.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from adjustment_parts.movement import ABSENT, Labels
from segmentation.clustering.transform import Matrix
from segmentation.config import Adjustment
from segmentation.tracking import memberships as tracking

HMM_STAY = 0.999
HMM_TEMPERING = 4.0


def nearest(distances: Matrix) -> Labels:
    """The nearest centre of each day."""
    absent = np.isnan(distances[:, :, 0])
    return np.where(absent, ABSENT, np.where(np.isnan(distances), np.inf, distances).argmin(axis=2))


def in_a_row(distances: Matrix, days: int) -> Labels:
    """Moved on the day on which the same other centre is the nearest for the `days`-th day in a row."""
    near = nearest(distances)
    labels = near.copy()
    count = np.zeros(len(near), dtype=np.int64)
    for day in range(1, near.shape[1]):
        today, before = near[:, day], labels[:, day - 1]
        challenged = (today != ABSENT) & (before != ABSENT) & (today != before)
        count = np.where(challenged, np.where(today == near[:, day - 1], count + 1, 1), 0)
        moved = count >= days
        labels[:, day] = np.where(challenged & ~moved, before, today)
        count[moved] = 0
    return labels


def product(users: npt.NDArray[np.str_], days: Sequence[date], distances: Matrix, adjustment: Adjustment) -> Labels:
    """The product's own rule, run by its own code day by day: tracking.memberships."""
    ids = [f"{segment:08d}" for segment in range(distances.shape[2])]
    labels = np.full(distances.shape[:2], ABSENT)
    parent = None
    for number, day in enumerate(days):
        there = np.flatnonzero(~np.isnan(distances[:, number, 0]))
        today = tracking.Assignment.of(ids, distances[there, number])
        population = pa.array(users[there])
        if parent is None:
            members = tracking.baseline(day, population, today)
        else:
            known = np.ones(len(there), dtype=bool)
            members = tracking.follow(day, population, today, parent, adjustment, known, _behaviour)
        parent = tracking.Parent.of(day, members)  # without those who lapsed: as many as `there`, in its order
        labels[there, number] = [int(name) for name in parent.memberships["segment_id"].to_pylist()]
    return labels


def _behaviour(crossed: npt.NDArray[np.bool_], _: pa.Array, __: pa.Array) -> npt.NDArray[np.str_]:
    """The cause of every crossing: it decides no move."""
    return np.full(int(crossed.sum()), "behaviour")


def sticky_hmm(distances: Matrix, features: int) -> Labels:
    """The most probable state by the forward filter of a hidden Markov model whose states are the segments.

    A user stays with probability HMM_STAY and goes to any other segment equally likely. Observations are normal round the
    centre, with the variance per feature that users have round their nearest centre on the first day, times HMM_TEMPERING:
    windows of two days in a row are nearly the same rows, so a day is far less than one independent observation.
    """
    segments = distances.shape[2]
    first = distances[~np.isnan(distances[:, 0, 0]), 0]
    variance = HMM_TEMPERING * float((first.min(axis=1) ** 2).mean()) / features
    transition = np.full((segments, segments), (1 - HMM_STAY) / max(segments - 1, 1))
    np.fill_diagonal(transition, HMM_STAY)
    labels = np.full(distances.shape[:2], ABSENT)
    belief = np.full((len(distances), segments), 1 / segments)
    for day in range(distances.shape[1]):
        there = ~np.isnan(distances[:, day, 0])
        squares = distances[there, day] ** 2
        likelihood = np.exp((squares.min(axis=1, keepdims=True) - squares) / (2 * variance))
        belief[there] = (belief[there] @ transition) * likelihood
        belief[there] /= belief[there].sum(axis=1, keepdims=True)
        belief[~there] = 1 / segments
        labels[there, day] = belief[there].argmax(axis=1)
    return labels


def daily_refit(points: Sequence[tuple[npt.NDArray[np.int64], Matrix]], users: int, segments: int, seed: int) -> Labels:
    """The naive way: scikit-learn's KMeans anew on every day, with the label numbers as they come.

    points: each day's users (positions) and their points in the space of that day, standardised anew.
    """
    labels = np.full((users, len(points)), ABSENT)
    with threadpool_limits(limits=1):
        for day, (there, x) in enumerate(points):
            labels[there, day] = KMeans(segments, n_init=10, random_state=seed).fit_predict(x)
    return labels


def matched(labels: Labels) -> Labels:
    """Each day's labels renamed so that as many users as possible keep that of the day before (Hungarian method)."""
    result = labels.copy()
    segments = int(labels.max()) + 1
    for day in range(1, labels.shape[1]):
        both = (labels[:, day] != ABSENT) & (labels[:, day - 1] != ABSENT)
        overlap = np.zeros((segments, segments), dtype=np.int64)
        np.add.at(overlap, (labels[both, day], result[both, day - 1]), 1)
        _, names = linear_sum_assignment(-overlap)
        there = labels[:, day] != ABSENT
        result[there, day] = names[labels[there, day]]
    return result
