"""A challenger: another fit of today's users, and what it would change against the model that is in force."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.clustering import kmeans, selection
from segmentation.clustering.model import Fit, Model
from segmentation.clustering.transform import Matrix, Transform
from segmentation.config import Clustering
from segmentation.store.content import hash_json, money_units
from segmentation.store.snapshots import NOISE
from segmentation.tracking import identity

# The share of inertia that another optimum must save, else the parent's is kept: where an alarm calls for it; and where none
# does. In six shops in which nothing happened another optimum saved up to 3 % three months later.
BETTER, BETTER_UNCALLED = 0.01, 0.05
Document = dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """A fit, and how its number of segments was chosen."""

    fit: Fit
    evidence: Document


def fitted(features: pa.Table, names: tuple[str, ...], settings: Clustering, keep: int | None, one: bool) -> Fitted:
    """Fit today's users anew. keep: a number of segments to stay with if it still holds; one: put all into one."""
    if one or not features.num_rows:
        return Fitted(Fit.of(features, names, settings, 1), {})
    if settings.algorithm != "kmeans":
        return Fitted(Fit.of(features, names, settings, None), {"structure": "density"})
    sample = Fit.sampled(features, settings.sample_users)
    choice = selection.choose(Transform.fit(sample, names).apply(sample), settings, keep)
    evidence = {"structure": choice.structure, "candidates": choice.candidates}
    return Fitted(Fit.of(features, names, settings, choice.segments), evidence)


def settled(new: Fit, parent: Fit, before: pa.Table, features: pa.Table, settings: Clustering, called: bool) -> Fit:
    """The new fit, unless the parent's centres, moved to their optimum in the same space, are about as good.

    K-means has many optima of nearly the same inertia. Going from one to another would call borders a change of structure.
    called: whether an alarm calls for it.
    """
    same = new.algorithm == parent.algorithm == "kmeans" and new.transform.features == parent.transform.features
    if not same or len(new.centres) != len(parent.centres) or not before["user_id"].equals(features["user_id"]):
        return new
    points = new.points(features)
    nearest = np.argmin(parent.distances(before), axis=1)
    if len(np.unique(nearest)) < len(parent.centres):
        return new
    start = np.array([points[nearest == code].mean(axis=0) for code in range(len(parent.centres))])
    sample = new.points(Fit.sampled(features, settings.sample_users))
    kept = kmeans.continued(sample, start)
    better = BETTER if called else BETTER_UNCALLED
    if _inertia(sample, new.centres) < (1 - better) * _inertia(sample, kept):
        return new
    return replace(new, centres=np.unique(kept, axis=0))


def _inertia(points: Matrix, centres: Matrix) -> float:
    return float((kmeans.distances(points, centres).min(axis=1) ** 2).sum())


def moved_along(
    parent: Fit, anchors: Matrix, points: Matrix, smoothing: float, limit: float, held: Collection[int] = ()
) -> tuple[Fit, float]:
    """The parent's fit with its centres moved towards the optimum that they lead to in today's points, and how far the
    furthest of them would be from its anchor; none goes further than `limit`. The held ones stay where they are.

    c = smoothing · parent's + (1 − smoothing) · optimum: evolutionary K-means (Chakrabarti, Kumar, Tomkins 2006).
    points: today's users in the parent's space, (users, features); anchors: (segments, features).
    """
    optimum = kmeans.continued(points, parent.centres)
    offsets = smoothing * parent.centres + (1 - smoothing) * optimum - anchors
    lengths = np.sqrt((offsets**2).sum(axis=1, keepdims=True))
    kept = offsets * np.minimum(1.0, limit / np.maximum(lengths, limit))
    centres = np.round(anchors + kept, 6) + 0.0
    others = [number for number in range(len(centres)) if number not in held]
    centres[list(held)] = parent.centres[list(held)]
    return replace(parent, centres=centres), round(float(lengths[others].max(initial=0.0)), 6)


@dataclass(frozen=True)
class Compared:
    """What another fit would change.

    model: the fit with the ids that its segments would have; events: what happened to whom (`identity.carry_over`);
    evidence: `impact`, the shares of users and of revenue to whom another segment would be nearest, or whose published one
    would be no more: nobody else is moved by the model; and `centre_shift`, how far a surviving
    segment's users would lie from where it was at its birth or last restructure at the most, in frozen standard deviations
    (None where the spaces are of different features).
    """

    fit: Fit
    model: Model
    events: list[Document]
    evidence: Document

    @property
    def differs(self) -> bool:
        """Whether a segment is born, dies, splits or merges."""
        return any(event["event"] != "survived" for event in self.events)

    def key(self, parent: Model) -> str:
        """The same for what is the same proposal: as many segments, of the same of the parent's, of which the same ones are
        joined. Whether a new one is called born or split off, which id two that become one keep, whether one is merged or
        absorbed: each is a matter of some users at the limit."""
        joined: list[set[str]] = []
        for event in self.events:
            ends = {*event["from"], *event["to"]} & {*parent.ids}
            if event["event"] == "died" or not ends:
                continue
            touched = [group for group in joined if group & ends]
            joined = [group for group in joined if not group & ends] + [ends.union(*touched)]
        return hash_json([len(self.model.segments), sorted(map(sorted, joined))])


def compare(
    parent: Model,
    parent_fit: Fit,
    far: float | None,
    before: pa.Table,
    fit: Fit,
    features: pa.Table,
    published: pa.Table,
    day: date,
) -> Compared:
    """Both models score the same users, each by its own features: `before` and `features`, both sorted by user_id.
    published: the parent's memberships (user_id, segment_id).

    Who is further than `far` from every segment of the parent comes from none of them, as noise does: a group that settles
    where nobody was is born, and not split off its nearest neighbour. Who is noise by it, but published in a segment, comes
    from that.
    """
    users = features["user_id"].combine_chunks()
    others = before["user_id"].combine_chunks()
    before = before.filter(pc.is_in(others, value_set=users))
    features = features.filter(pc.is_in(users, value_set=others))
    old = np.argmin(parent_fit.distances(before), axis=1)
    new = np.argmin(fit.distances(features), axis=1)
    states = parent.states(parent_fit)
    origins, origin = states, old
    if parent_fit.has_noise:
        # The old model does not know them any more: a group that goes away from its cores is still the group that it was.
        place = pc.index_in(features["user_id"], value_set=published["user_id"].combine_chunks())
        names = published["segment_id"].combine_chunks().take(place.combine_chunks())
        still = pc.fill_null(pc.index_in(names, value_set=pa.array(parent.ids, pa.string())), len(parent.ids))
        origin = np.where(old == len(parent.ids), np.asarray(still), old)
    elif far is not None:
        origins, origin = (*states, NOISE), np.where(parent_fit.reach(before) > far, len(states), old)
    counts = identity.overlap(origin, new, (len(origins), len(fit.centres) + fit.has_noise))
    model, events = identity.carry_over(parent, origins, fit, hash_json(fit.document()), day, counts)
    alive = model.states(fit)
    over = pc.invert(pc.is_in(published["segment_id"], value_set=pa.array(alive, pa.string())))
    ended = published.filter(pc.and_(over, pc.is_valid(published["segment_id"])))
    reassigned = np.array(states)[origin if parent_fit.has_noise else old] != np.array(alive)[new]
    reassigned |= np.asarray(pc.is_in(features["user_id"], value_set=ended["user_id"].combine_chunks()))
    shift = None
    if fit.transform.features == parent_fit.transform.features:
        points = parent_fit.points(before)
        centres = {segment.segment_id: np.array(segment.centre) for segment in parent.segments}
        moved = [
            float(np.linalg.norm(points[new == code].mean(axis=0) - centres[name]))
            for code, name in enumerate(model.ids)
            if name in centres and (new == code).any()
        ]
        shift = round(max(moved, default=0.0), 6)
    return Compared(fit, model, events, {"impact": _impact(reassigned, features), "centre_shift": shift})


def _impact(reassigned: np.ndarray[Any, np.dtype[np.bool_]], features: pa.Table) -> dict[str, float]:
    impact = {"users": round(float(reassigned.mean()), 6)}
    if "revenue" in features.column_names:
        revenue = money_units(features["revenue"]).astype(np.float64).clip(0)
        impact["revenue"] = round(float(revenue[reassigned].sum() / max(revenue.sum(), 1.0)), 6)
    return impact
