"""Which segments are no more, and which are new: one more where users are far from all or have parted, one fewer where one is
worth little.

A model that is fitted anew cuts the whole shop in another way that explains about as much: everybody's segment would change
because a few users came. Here all segments stay but those that are added or left out, so that the change is as small as what
happened, and is found as what it is.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from segmentation.adjustment.evaluation import FAR, Saved, worths
from segmentation.clustering import kmeans
from segmentation.clustering.model import Fit
from segmentation.clustering.selection import DIP, SMALLEST_SHARE, valley
from segmentation.clustering.transform import Matrix, column
from segmentation.config import Clustering

Flags = npt.NDArray[np.bool_]

SEEN = ("recency", "browse_recency")  # the features that say how many days ago a user was seen
# A new segment's users still come: as many of them as a quarter of all others' share were seen in the last three days. Bots,
# or who came for one event, are gone by the time that they have been found twice; of who stays, 85 % or more.
LATELY, COMING = 3, 1 / 4

# Of the far users, beyond the 1 % that are always far: what has to be brought home in all, and by each new segment.
EXPLAINED, STEP = 1 / 2, 1 / 3
# What a segment for them saves, as a multiple of what one more saved when the model was made: a group, not some who stray.
SETTLED = 1.5
# Who is as far as this of what it was is home as well: a group that comes from far outside may be wider than all others.
NEARER = 1 / 2


@dataclass(frozen=True)
class Piecewise:
    """fit: the parent's segments but for those that are new or left out, None if none is; evidence: the share of users who are
    further from every segment than the parent's 99 % distance (rounded): as it is (`now`), with the centres moved along as far
    as an update may (`along`), with a segment more (`grown`, once for each that was tried; `saved`: what each saves), and
    without the faded ones (`without`, if there are any). still_far: too many are far, and no segment for them was found;
    moved: the centres that move along explain that they are.
    """

    fit: Fit | None
    evidence: dict[str, Any]
    still_far: bool
    moved: bool


def piecewise(
    parent: Fit,
    along: Fit,
    settling: Collection[int],
    far: float,
    before: pa.Table,
    faded: Mapping[int, float],
    far_share: float,
    saved_then: float,
    parted: Collection[int],
    saves: float,
    settings: Clustering,
) -> Piecewise:
    """Another structure, if the alarms are explained by one.

    parent: of K-means; along: its centres moved along; settling: its segments whose users fill the window still; far: its 99 %
    distance; before: today's users as the parent reads them; faded: of the segments that have lost what they were worth, what
    they are worth at the most if they are to be left out; far_share: the share of far users that raises an alarm; saved_then:
    what a segment more saved when the model was made; parted: the segments that have; saves: as
    a multiple of what a segment more saved then, what one must save that is added for these.

    * Segments are added, each where it saves the most inertia, while each has at least 3 % of the users, saves half as much
      again as one did when the model was made, and brings home a third of those that are far (beyond the 1 % that always
      are) and as many as raise an alarm, until no alarm is left; and only if they bring home half of them in all, which
      centres that are moved along do not, and too many are far who are not a settling segment's own.
    * Where one has parted that is not settling, and none is left out, they are added while each saves `saves` times what one
      did then, and the density dips between the halves.
    * First one for the far users alone is tried, beside which all others stay. Where that leaves too many far, because a
      segment has gone to two sides, or where one has parted, its halves are, and are taken if they leave no more.
    * What is added still comes: bots that have gone again are nobody's new segment.
    * The faded ones are left out, as long as `min_segments` are left and their users have a place: one at a time, because of
      two groups that have become one each is worth nothing while the other is there.

    Cost: bounded, on the sample that a model is fitted on.
    """
    sample = Fit.sampled(before, settings.sample_users)
    transform = parent.transform.widened(sample)
    points, whole = transform.apply(sample), transform.uncut().apply(sample)

    distances = kmeans.distances(whole, parent.centres)
    reach, mine = distances.min(axis=1), np.isin(np.argmin(distances, axis=1), list(settling))
    lately = _lately(sample)

    def away(centres: Matrix) -> Flags:
        distance = kmeans.distances(whole, centres).min(axis=1)
        return np.asarray((distance > far) & (distance > NEARER * reach))

    def beyond(centres: Matrix) -> float:
        return round(float(away(centres).mean()), 6)

    def home(before: float, after: float, part: float) -> bool:
        return after - (1 - FAR) <= (1 - part) * (before - (1 - FAR))

    def lasting(centres: Matrix, left: float) -> list[int]:
        kept = list(range(len(centres)))
        while len(kept) > settings.min_segments:
            worth, _ = worths(kmeans.distances(points, centres[kept]))
            due = [pair for pair in zip(worth, kept, strict=True) if pair[0] <= faded.get(pair[1], -1.0)]
            # Who would be far from all others does not belong to them: that segment has shrunk, and is there still.
            due = [
                (value, number)
                for value, number in due
                if beyond(centres[[other for other in kept if other != number]]) - left <= 2 * far_share
            ]
            if not due:
                break
            kept.remove(min(due)[1])
        return kept

    now, moved = beyond(parent.centres), beyond(along.centres)
    explained = home(now, moved, EXPLAINED) or float((away(parent.centres) & ~mine).mean()) <= far_share
    # Where one has gone to another, the two are not to be cut anew before it is left out; nor is what has not settled yet.
    cut = bool(set(parted) - set(settling)) and len(lasting(parent.centres, now)) == len(parent.centres)
    evidence: dict[str, Any] = {"now": now, "along": moved, "grown": [], "saved": []}
    centres, left = parent.centres, now
    sure = (centres, left)
    while len(centres) < settings.max_segments:
        strangers = left > far_share and not explained
        if not strangers and not cut:
            break
        found = None
        for begun in ([away(centres)] if strangers else []) + [None]:
            grown = _grown(points, centres, begun)
            then = beyond(grown.centres)
            evidence["grown"].append(then)
            evidence["saved"].append(grown.saved.mean)
            # What is new has not parted.
            half = grown.saved.segment
            apart = cut and half < len(parent.centres) and grown.saved.mean > saves * saved_then
            apart = apart and _dips(points, grown.centres, half)
            homes = home(left, then, STEP) and left - then >= far_share
            group = strangers and homes and grown.saved.mean > SETTLED * saved_then
            new = np.argmin(kmeans.distances(points, grown.centres), axis=1) == len(centres)
            better = found is None or then <= found[1]
            if grown.smallest >= SMALLEST_SHARE and (apart or group) and better and _comes(lately, new):
                found = grown.centres, then, apart
            if then <= far_share if found else home(left, then, STEP) and not cut:
                break
        if not found:
            break
        centres, left, apart = found
        if apart or home(now, left, EXPLAINED):
            sure = (centres, left)
    centres, left = sure
    still_far = left > far_share and not explained
    kept = lasting(centres, left)
    if len(kept) < len(centres):
        evidence["without"] = beyond(centres[kept])
    elif centres is parent.centres:
        return Piecewise(None, evidence, still_far, now > far_share and home(now, moved, EXPLAINED))
    fit = replace(parent, transform=transform, centres=np.unique(centres[kept], axis=0))
    return Piecewise(fit, evidence, still_far, moved=False)


def _dips(points: Matrix, centres: Matrix, half: int) -> bool:
    """Whether the density falls between one segment and the last one."""
    nearest = np.argmin(kmeans.distances(points, centres), axis=1)
    both = (nearest == half) | (nearest == len(centres) - 1)
    return valley(points[both], centres[half], centres[-1])[0] < DIP


def _lately(features: pa.Table) -> Flags | None:
    """Who was seen in the last days; None where no feature says."""
    days = [column(features, name) for name in SEEN if name in features.column_names]
    return np.fmin.reduce(days) < LATELY if days else None


def _comes(lately: Flags | None, new: Flags) -> bool:
    if lately is None or new.all():
        return True
    return bool(lately[new].mean() >= COMING * lately[~new].mean())


@dataclass(frozen=True)
class Grown:
    """centres: one more, at the end; smallest: the share of users of the smallest segment that is new or halved; saved: what
    one more saves."""

    centres: Matrix
    smallest: float
    saved: Saved


def saved(fit: Fit, features: pa.Table, settings: Clustering) -> Saved | None:
    """What a segment more would save, on the sample that a model is fitted on; None where segments have no centres."""
    if fit.algorithm != "kmeans":
        return None
    return _grown(fit.points(Fit.sampled(features, settings.sample_users)), fit.centres).saved


def _squares(points: Matrix, centres: Matrix) -> Matrix:
    """Each user's squared distance to the nearest centre."""
    return np.asarray(kmeans.distances(points, centres).min(axis=1, initial=np.inf) ** 2)


def _grown(points: Matrix, centres: Matrix, strangers: Flags | None = None) -> Grown:
    """With one more: where it saves the most inertia to halve a segment, of which only the halves move; or with strangers, to
    begin one with a segment's strangers, which alone moves: those who were there before stay."""
    nearest = np.argmin(kmeans.distances(points, centres), axis=1) if len(points) else np.empty(0)
    tried = []
    for number in range(len(centres)):
        members = points[nearest == number]
        if len(members) < 2:
            continue
        if strangers is not None:
            begun = points[strangers & (nearest == number)]
            if len(begun) > 1:
                start = np.vstack([centres, begun.mean(axis=0)])
                begun = kmeans.continued(points, start, free=(len(centres),))
                tried.append((float(_squares(points, begun).sum()), number, begun))
            continue
        axis = int(np.argmax(members.var(axis=0)))
        high = members[:, axis] > members[:, axis].mean()
        if high.all() or not high.any():  # equal values, whose mean may be a last digit off
            continue
        pair = kmeans.continued(members, np.array([members[~high].mean(axis=0), members[high].mean(axis=0)]))
        # The half that stays is the one that is nearer to where the segment was.
        pair = pair[np.argsort(((pair - centres[number]) ** 2).sum(axis=1), kind="stable")]
        start = np.vstack([centres, pair[1:]])
        start[number] = pair[0]
        halves = kmeans.continued(points, start, free=(number, len(centres)))
        tried.append((float(_squares(points, halves).sum()), number, halves))
    if not tried:
        return Grown(centres, 0.0, Saved(0.0, 0.0, 0))
    _, number, best = min(tried, key=lambda one: one[:2])
    sizes = np.bincount(np.argmin(kmeans.distances(points, best), axis=1), minlength=len(best))
    changed = sizes[-1:] if strangers is not None else sizes[[number, -1]]
    # A segment that has only moved needs no second one: what counts is what two save beyond the one, moved.
    gain = _squares(points, kmeans.continued(points, centres, free=(number,))) - _squares(points, best)
    saved = Saved(round(float(gain.mean()), 6), round(float(gain.std()) / len(points) ** 0.5, 6), number)
    return Grown(best, float(changed.min() / len(points)), saved)
