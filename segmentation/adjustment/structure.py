"""Which segments are no more, and which are new: one more where users are far from all, one fewer where few are left.

A model that is fitted anew cuts the whole shop in another way that explains about as much: everybody's segment would change
because a few users came. Here all segments stay but those that are added or left out, so that the change is as small as what
happened, and is found as what it is.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation.adjustment.evaluation import FAR
from segmentation.clustering import kmeans
from segmentation.clustering.model import Fit
from segmentation.clustering.selection import SMALLEST_SHARE
from segmentation.clustering.transform import Matrix
from segmentation.config import Clustering

# Of the far users, beyond the 1 % that are always far: what has to be brought home in all, and by each new segment.
EXPLAINED, STEP = 1 / 2, 1 / 3


@dataclass(frozen=True)
class Local:
    """fit: the parent's segments but for those that are new or left out, None if none is; evidence: the share of users who are
    further from every segment than the parent's 99 % distance (rounded): as it is (`now`), with the centres moved along as far
    as an update may (`along`), with a segment more (`grown`, once for each that was tried), and without the faded ones
    (`without`, if there are any).
    """

    fit: Fit | None
    evidence: dict[str, Any]


def local(
    parent: Fit,
    along: Fit,
    far: float,
    before: pa.Table,
    faded: Collection[int],
    far_share: float,
    settings: Clustering,
) -> Local:
    """Another structure, if the alarms are explained by one.

    parent: of K-means; along: its centres moved along; far: its 99 % distance; before: today's users as the parent reads
    them; faded: which of the segments have next to nobody left; far_share: the share of far users that raises an alarm.

    * Segments are added, each where it saves the most inertia, while each has at least 3 % of the users and brings home a
      third of those that are far (beyond the 1 % that always are), until no alarm is left; and only if they bring home half of
      them in all, which centres that are moved along do not.
    * The faded ones are left out, unless their last users would be far from all others: then there is a group still.

    Cost: bounded, on the sample that a model is fitted on.
    """
    sample = Fit.sampled(before, settings.sample_users)
    transform = parent.transform.widened(sample)
    points, whole = transform.apply(sample), transform.uncut().apply(sample)

    def beyond(centres: Matrix) -> float:
        return round(float((kmeans.distances(whole, centres).min(axis=1) > far).mean()), 6)

    def home(before: float, after: float, part: float) -> bool:
        return after - (1 - FAR) <= (1 - part) * (before - (1 - FAR))

    now, moved = beyond(parent.centres), beyond(along.centres)
    evidence: dict[str, Any] = {"now": now, "along": moved, "grown": []}
    centres, left = parent.centres, now
    while left > far_share and not home(now, moved, EXPLAINED) and len(centres) < settings.max_segments:
        grown, smallest = _grown(points, centres)
        evidence["grown"].append(beyond(grown))
        if smallest < SMALLEST_SHARE or not home(left, evidence["grown"][-1], STEP):
            break
        centres, left = grown, evidence["grown"][-1]
    if not home(now, left, EXPLAINED):
        centres, left = parent.centres, now
    kept = [number for number in range(len(centres)) if number not in faded]
    if faded and len(kept) >= settings.min_segments:
        evidence["without"] = beyond(centres[kept])
        if evidence["without"] <= max(far_share, left):
            centres = centres[kept]
    if centres is parent.centres:
        return Local(None, {"far": evidence})
    return Local(replace(parent, transform=transform, centres=np.unique(centres, axis=0)), {"far": evidence})


def _inertia(points: Matrix, centres: Matrix) -> float:
    return float((kmeans.distances(points, centres).min(axis=1) ** 2).sum())


def _grown(points: Matrix, centres: Matrix) -> tuple[Matrix, float]:
    """The centres with one more, at the end, by halving the segment for which that saves the most inertia; and the share of the
    smallest segment then. Only the two halves move."""
    nearest = np.argmin(kmeans.distances(points, centres), axis=1)
    tried = []
    for number in range(len(centres)):
        members = points[nearest == number]
        if len(members) < 2:
            continue
        axis = int(np.argmax(members.var(axis=0)))
        high = members[:, axis] > members[:, axis].mean()
        if not high.any():
            continue
        pair = kmeans.continued(members, np.array([members[~high].mean(axis=0), members[high].mean(axis=0)]))
        # The half that stays is the one that is nearer to where the segment was.
        pair = pair[np.argsort(((pair - centres[number]) ** 2).sum(axis=1), kind="stable")]
        start = np.vstack([centres, pair[1:]])
        start[number] = pair[0]
        found = kmeans.continued(points, start, free=(number, len(centres)))
        tried.append((_inertia(points, found), number, found))
    if not tried:
        return centres, 0.0
    best = min(tried, key=lambda one: one[:2])[2]
    sizes = np.bincount(np.argmin(kmeans.distances(points, best), axis=1), minlength=len(best))
    return best, float(sizes.min() / len(points))
