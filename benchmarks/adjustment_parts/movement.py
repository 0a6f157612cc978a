"""How much a rule moves users, how much of that it takes back, what its segments say, and how late it follows.

A rule's result is a table of labels, (users, days), whole numbers, ABSENT where a user is not in a day's population. Days are
consecutive. What a label means may not change from day to day, except in the naive methods, which are measured to show it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segmentation.clustering.transform import Matrix

Labels = npt.NDArray[np.int64]
ABSENT = -1  # the label of a user who is not in the day's population
LASTING_DAYS = 21
LARGE = 0.5  # new distance / old distance below which a change is large


def moves(labels: Labels) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Users and days of all moves: present on the day and on the day before, with another label."""
    present = (labels[:, 1:] != ABSENT) & (labels[:, :-1] != ABSENT)
    users, days = np.nonzero(present & (labels[:, 1:] != labels[:, :-1]))
    return users, days + 1


def moved_share(labels: Labels) -> float:
    """Mean over the days but the first of: users who moved / users present on the day and on the day before."""
    present = ((labels[:, 1:] != ABSENT) & (labels[:, :-1] != ABSENT)).sum(axis=0)
    moved = np.bincount(moves(labels)[1] - 1, minlength=len(present))
    return float(np.mean(moved / present))


def undone_share(labels: Labels, within: int) -> float:
    """Of the moves on a day t: the share of those whose user is back where he left from on a day of (t, t + within].

    Moves less than `within` days before the last day are left out: nobody knows yet. NaN where no move is left.
    """
    users, days = moves(labels)
    known = days + within < labels.shape[1]
    users, days = users[known], days[known]
    left = labels[users, days - 1]
    undone = np.zeros(len(users), dtype=bool)
    for later in range(1, within + 1):
        undone |= labels[users, days + later] == left
    return float(undone.mean()) if len(undone) else float("nan")


def explained(labels: npt.NDArray[np.int64], outcome: Matrix) -> float:
    """R² of the outcome by group: sum of squares between groups / total sum of squares, in sample."""
    _, group = np.unique(labels, return_inverse=True)
    size = np.bincount(group)
    centred = outcome - outcome.mean()
    return float((np.bincount(group, centred) ** 2 / size).sum() / (centred**2).sum())


def explained_daily(labels: Labels, outcomes: Matrix) -> float:
    """Mean over the days of the R² of the day's outcome, (users, days), among the users present on the day."""
    found = []
    for day in range(labels.shape[1]):
        present = labels[:, day] != ABSENT
        found.append(explained(labels[present, day], outcomes[present, day]))
    return float(np.mean(found))


@dataclass(frozen=True)
class Stays:
    """Stays of LASTING_DAYS or more: the user, the first day, the day after the last, the segment."""

    user: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    segment: npt.NDArray[np.int64]


def lasting_changes(nearest: Labels) -> Stays:
    """The stays that begin with a change of the nearest segment (not on the first day, nor when a user comes back) and then
    go on for LASTING_DAYS days or more. They are counted as long as they are seen: to the end of the period at the latest.
    """
    found = []
    for user, labels in enumerate(nearest):
        starts = np.flatnonzero(labels[1:] != labels[:-1]) + 1
        for first, end in zip(starts, [*starts[1:], len(labels)], strict=False):
            if ABSENT not in (labels[first], labels[first - 1]) and end - first >= LASTING_DAYS:
                found.append((user, first, end, labels[first]))
    return Stays(*np.array(found, dtype=np.int64).reshape(-1, 4).T)


def delays(labels: Labels, stays: Stays, distances: Matrix) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """How many days after the first one of a lasting change the label is its segment: 0 on the first day itself.

    Infinite if it is not before the stay ends. Changes to where the user was published already (the day before) are left
    out: there is nothing to follow. The second array tells the *large* ones: on the first day the distance to the new
    segment is below LARGE × that to the published one. distances: (users, days, segments).
    """
    old = labels[stays.user, stays.first - 1]
    asked = old != stays.segment
    user, first, end = stays.user[asked], stays.first[asked], stays.end[asked]
    old, new = old[asked], stays.segment[asked]
    delay = np.full(len(user), np.inf)
    for later in reversed(range(int((end - first).max(initial=0)))):
        inside = first + later < end
        there = np.zeros(len(user), dtype=bool)
        there[inside] = labels[user[inside], first[inside] + later] == new[inside]
        delay[there] = later
    large = distances[user, first, new] < LARGE * distances[user, first, old]
    return delay, large


def quantile(delay: Matrix, share: float) -> float:
    """The smallest delay within which the share of the changes was followed. NaN where there is none."""
    return float(np.quantile(delay, share, method="inverted_cdf")) if len(delay) else float("nan")
