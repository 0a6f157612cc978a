"""Which decision a day takes about its model, with its evidence.

A day keeps its parent's model (`hold`) unless it is the first (`baseline`), the configuration or a person asks for another
model, or an evaluation day finds that the data has left it: then it is moved along (`update`), or replaced by one of another
structure (`restructure`). A replacement that would move many users is only proposed.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segmentation.adjustment import drift, evaluation, structure
from segmentation.adjustment.challenge import Compared, Fitted, moved_along, settled
from segmentation.adjustment.evaluation import LOST
from segmentation.adjustment.outcomes import (
    BASELINE,
    KEPT_EVALUATIONS,
    UNASKED,
    Decided,
    Outcomes,
    challenge_block,
)
from segmentation.adjustment.reference import held_against
from segmentation.adjustment.today import CLOSED, Standing, Today
from segmentation.adjustment.wording import sentence
from segmentation.clustering import kmeans
from segmentation.clustering.model import Fit, Model
from segmentation.store.content import hash_json

YOUNG = 2  # times as many days with rows as a model was founded on: the shop was young then; at an alarm, so many that it would
# be closed with what there was then
Document = dict[str, Any]


def decide(today: Today, parent: Standing | None, adopted: Fit | None = None) -> Decided:
    """The day's model, and why. adopted: a fit that takes force today."""
    if parent is None:
        return _baseline(today, adopted)
    by = parent.model.made_by
    before = today.features if by.features == today.recipe.features else today.as_before(by.features)
    points = parent.fit.points(before)
    reference = drift.Reference.from_document(parent.reference["drift"])
    measured, bins = drift.measure(points, reference, parent.drift_bins, today.day, today.recipe.adjustment)
    at = _Day(today, parent, before, points, measured, bins)
    if not today.features.num_rows or not before.num_rows:
        return at.hold("nobody")
    if by != today.made_by:  # before a fit that is adopted today: that was proposed under the settings of before
        new = today.fitted(keep=None)
        return at.restructure(at.compared(new.fit), "recipe", new.evidence)
    if adopted is not None and hash_json(adopted.document()) != parent.model.fit:
        return at.restructure(at.compared(adopted), "adopted")
    if not evaluation.evaluation_day(today.day, parent.day, today.recipe.adjustment.evaluate_every_days):
        return at.hold("ordinary")
    return at.evaluate()


def _baseline(today: Today, adopted: Fit | None) -> Decided:
    new = Fitted(adopted, {"structure": "adopted"}) if adopted else today.fitted(keep=None)
    model = Model.founded(new.fit, hash_json(new.fit.document()), today.day, today.made_by)
    reference = held_against(new.fit, model.ids, today.features, today.recipe.clustering, today.day)
    lacks = {} if adopted else today.lacks()
    lone = lacks and today.recipe.clustering.segments == "auto"  # a number that was asked for is taken, and it is told
    document = {
        "date": today.day.isoformat(),
        "decision": BASELINE,
        "reason": "lacking" if lone else "first_day" if today.features.num_rows else "nobody",
        "evidence": {
            "users": today.features.num_rows,
            "features": list(model.features),
            "segments": len(model.segments),
            "segments_asked": today.recipe.clustering.segments,
            **({"lacks": lacks} if lacks else {}),
            **new.evidence,
        },
        "events": [{"event": "born", "from": [], "to": [name], "overlap": {}} for name in model.ids],
        "state": {
            "challenged": challenge_block(today),
            "evaluations": [],
            "proposals": [],
            "adopted": adopted is not None,
            "founded": today.day.isoformat(),
            "days": today.active_days,
        },
    }
    return Decided(
        replace(model, reference=hash_json(reference)),
        {**document, "sentence": sentence(document)},
        drift.DRIFT.empty_table(),
        drift.HISTORY.empty_table(),
        (new.fit,),
        reference,
    )


@dataclass
class _Seen:
    """What an evaluation day goes by. figures: the day's; evaluations: with those before; evidence: what is told of it so far;
    days: with rows when the segments were founded; refound: why there was too little to tell what they are; alarms: by reason,
    those that are due, and lost: the first of them that says that there are segments too few or too many; far: whether too
    many users are, today; piecewise: whether segments are added and left out one by one; scheduled: whether a challenge is due
    without any alarm; settling: the places of the segments whose users fill the window still, free: with those that they split
    off from, by centres; parting: whether one has parted by a model that is fitted anew. Once it was asked: found, the segments
    more or fewer; moved, the centres moved along; new, another fit of today, compared, what it would change, and reason, why.
    """

    figures: Document
    evaluations: list[Document]
    evidence: Document
    days: int
    refound: str | None
    alarms: dict[str, Document]
    lost: str | None
    far: bool
    piecewise: bool
    parting: bool
    scheduled: bool
    settling: tuple[int, ...]
    free: tuple[int, ...]
    found: structure.Piecewise | None = None
    moved: Compared | None = None
    new: Fitted | None = None
    compared: Compared | None = None
    reason: str | None = None

    @property
    def pending(self) -> bool:
        """Whether moving the centres along would hide what may be an alarm next week, or put it off."""
        return not self.lost and bool(self.far or self.figures["halved"] or self.figures["parted"])

    def state(self, day: Today) -> Document:
        """What is carried on where the segments stay."""
        return {"evaluations": self.evaluations, **self.done(day)}

    def done(self, day: Today) -> Document:
        return {"challenged": challenge_block(day)} if self.scheduled else {}


class _Day(Outcomes):
    """A day that has a parent, and may be one on which the model is held against the data."""

    def evaluate(self) -> Decided:
        """What the first of these finds that has an answer."""
        today, parent, settings = self.today, self.parent, self.today.recipe.adjustment
        distances, reach = parent.fit.distances(self.before), parent.fit.reach(self.before)
        founded = parent.reference["evaluation"]
        saved = structure.saved(parent.fit, self.before, today.recipe.clustering)
        figures = evaluation.evaluate(today.day, distances, parent.model.ids, reach, founded, self.measured, saved)
        evaluations = [*parent.decision["state"]["evaluations"], figures][-KEPT_EVALUATIONS:]
        due = evaluation.due(evaluations, settings)
        days = parent.decision["state"].get("days", 0)  # a store of an earlier version does not say
        if lacking := today.lacks(days):
            evidence = {"evaluation": figures, "alarms": due, "lacks": lacking}
            return self.hold("lacking", evidence, {"evaluations": []})
        seen = self._seen(figures, evaluations, due, days)
        answers = (
            self._piece_by_piece,
            self._settled_cores,
            self._anew,
            self._renewed_cores,
            self._moved_along,
            self._settled,
        )
        for answer in answers:
            if decided := answer(seen):
                return decided
        challenged = "challenged" if "challenge" in seen.evidence else "evaluated"
        return self.hold(
            "unexplained" if seen.lost and seen.piecewise else challenged, seen.evidence, seen.state(today)
        )

    def _seen(self, figures: Document, evaluations: list[Document], due: list[Document], days: int) -> _Seen:
        today, parent = self.today, self.parent
        evidence: Document = {"evaluation": figures}
        # What a person has adopted is not taken for a makeshift of too little data.
        adopted = parent.decision["state"].get("adopted", False)
        lone = len(parent.model.segments) == 1 and not adopted
        grown = today.active_days / days if days and not adopted else 0.0
        young = grown >= YOUNG or (grown >= 1 / CLOSED and any(one["reason"] in LOST for one in due))
        by_centres = parent.fit.algorithm == "kmeans"
        piecewise = by_centres and not lone and not young and today.recipe.clustering.segments == "auto"
        parting = piecewise and any(one["reason"] == "parting" for one in due) and self._has_more(evidence)
        due = [{**one, "reason": "parted"} if one["reason"] == "parting" and parting else one for one in due]
        due = evidence["alarms"] = [one for one in due if one["reason"] != "parting"]
        alarms = {one["reason"]: one for one in due}
        settling = self._settling()
        far = figures["far"] > evaluation.far_limit(figures, today.recipe.adjustment)
        scheduled = challenge_block(today) - parent.decision["state"]["challenged"] not in (0, -1)
        if by_centres and self.open_proposals(parent.decision["state"]["proposals"]):
            scheduled = False  # renewed, the segments would hide what is proposed
        return _Seen(
            figures=figures,
            evaluations=evaluations,
            evidence=evidence,
            days=days,
            refound="lone" if lone else "young" if young else None,
            alarms=alarms,
            lost=next((name for name in LOST if name in alarms), None),
            far=far,
            piecewise=piecewise,
            parting=parting,
            # By density the cores would be those of who was there from then on.
            scheduled=scheduled and (by_centres or not far or "far" in alarms),
            settling=settling,
            free=parent.model.with_parents(settling) if by_centres else (),  # the halves go to two sides
        )

    def _piece_by_piece(self, seen: _Seen) -> Decided | None:
        """Segments more or fewer, all others stay. Looks, too, at how far the centres would move along."""
        if self.parent.fit.algorithm != "kmeans" or not seen.alarms:
            return None
        along, shift = self._along(seen.free)
        decided = None
        if seen.lost and seen.piecewise:
            found = seen.found = self._piecewise(along, seen)
            seen.evidence["structure"] = found.evidence
            if found.fit:
                # A segment that is left out does not explain that users are far from all.
                fewer = len(found.fit.centres) < len(self.parent.fit.centres)
                others = {*seen.alarms} - ({"far"} if fewer and found.still_far else set())
                why = next((name for name in LOST if name in others), seen.lost)
                decided = self._challenge(why, self.compared(found.fit), {}, seen, False, found.still_far, seen.days)
        if not decided and ("drift" in seen.alarms or (seen.found and seen.found.moved)):
            seen.moved = self.compared(along)
            seen.evidence["centre_shift"] = shift
        return decided

    def _settled_cores(self, seen: _Seen) -> Decided | None:
        """By density: the same segments, of which a new one has left its cores. Before that is an alarm half of its users may
        be published as the noise that they are by its old cores."""
        unsettled = {self.parent.model.ids[number] for number in seen.settling}
        gone = sorted(unsettled.intersection(seen.figures["halved"]))
        if self.parent.fit.algorithm == "kmeans" or not unsettled or not (seen.far or gone):
            return None
        seen.new = self.today.fitted(keep=None)
        compared = self.compared(seen.new.fit)
        if compared.differs:
            return None
        seen.evidence["settles"] = {"reason": "halved" if gone else "far", "segments": gone}
        return self.renew_cores(compared, "settled", seen.evidence, {"evaluations": seen.evaluations}, unsettled)

    def _anew(self, seen: _Seen) -> Decided | None:
        """A model that is fitted anew, if something calls for it, and its structure is another one."""
        today = self.today
        if seen.refound:
            reason = seen.refound
        elif seen.lost and not seen.piecewise:
            reason = seen.lost
        elif "drift" in seen.alarms and self._moved_too_far(seen):
            reason = "moved"
        elif seen.scheduled:
            reason = "scheduled"
        else:
            return None
        new = seen.new or today.fitted(keep=None if reason in (*UNASKED, *LOST) else len(self.parent.model.segments))
        called, by = reason != "scheduled", today.recipe.clustering
        fit = settled(new.fit, self.parent.fit, self.before, today.features, by, called=called)
        seen.reason, seen.compared = reason, self.compared(fit)
        if not called and fit is not new.fit and seen.compared.differs:
            # Nothing calls for it, and it is no better: the parent's own segments, at another optimum of their own.
            seen.evidence["challenge"] = {"reason": reason, **new.evidence, **seen.compared.evidence}
            return None
        return self._challenge(reason, seen.compared, new.evidence, seen, seen.scheduled)

    def _moved_too_far(self, seen: _Seen) -> bool:
        """Whether drift has gone beyond what moving the centres along may do."""
        if seen.moved is None or seen.moved.differs:
            return True
        limit = self.today.recipe.adjustment.max_centre_shift
        return not seen.piecewise and bool(seen.evidence["centre_shift"] > limit)

    def _renewed_cores(self, seen: _Seen) -> Decided | None:
        """By density, where nothing can be moved along: the same segments, that have drifted."""
        if seen.reason != "moved" or self.parent.fit.algorithm == "kmeans" or seen.pending or seen.compared is None:
            return None
        if seen.compared.evidence["centre_shift"] is None:
            return None
        return self.renew_cores(seen.compared, "renewed", seen.evidence, {"evaluations": seen.evaluations})

    def _moved_along(self, seen: _Seen) -> Decided | None:
        """The same segments, that have drifted, or that users are far from because they have moved."""
        if seen.moved is None or seen.moved.differs or seen.pending:
            return None
        reason = "drift" if "drift" in seen.alarms else "settled"
        told = {**seen.moved.evidence, **seen.evidence}
        if reason == "settled":
            told["settles"] = {"reason": "far"}
        still_far = "far" in seen.alarms and not (seen.found and seen.found.moved)
        return self.update(seen.moved.fit, reason, told, seen.done(self.today), still_far)

    def _settled(self, seen: _Seen) -> Decided | None:
        """Only the settling centres go to where their users are today, beyond the ends of the scale if they are far.

        None if that is no further than an update goes, or takes from a segment what it is worth: a centre whose users have gone
        would go to its neighbour's.
        """
        parent, recipe = self.parent, self.today.recipe
        if not seen.free or seen.figures["halved"]:
            return None
        ids, sample = parent.model.ids, Fit.sampled(self.before, recipe.clustering.sample_users)
        transform = parent.fit.transform.widened(sample) if seen.lost == "far" else parent.fit.transform
        centres = kmeans.continued(transform.apply(sample), parent.fit.centres, free=seen.free)
        shift = round(float(np.linalg.norm(centres - parent.fit.centres, axis=1).max()), 6)
        there = replace(parent.fit, transform=transform, centres=centres)
        if shift <= recipe.adjustment.max_centre_shift:
            return None
        if evaluation.faded(there.distances(self.before), ids, parent.reference["evaluation"]):
            return None
        named = sorted(ids[number] for number in seen.free)
        seen.evidence["settles"] = {"reason": "filling", "segments": named, "shift": shift}
        return self.settle(there, seen.evidence, seen.state(self.today), seen.free)

    def _along(self, held: Collection[int]) -> tuple[Fit, float]:
        """The parent's fit with its centres moved along, on the sample that a model is fitted on, but for those that settle."""
        fit, settings = self.parent.fit, self.today.recipe.adjustment
        anchors = np.array([segment.centre for segment in self.parent.model.segments])
        sample = Fit.sampled(self.before, self.today.recipe.clustering.sample_users)
        return moved_along(fit, anchors, fit.points(sample), settings.smoothing, settings.max_centre_shift, held)

    def _settling(self) -> tuple[int, ...]:
        """The places of the segments whose users fill the window still: those that came as what the shop had always had did not
        begin a window ago."""
        if not self.parent.decision["state"].get("filling", True):
            return ()
        return self.parent.model.settling(self.today.day, self.today.recipe.features.window_days)

    def _piecewise(self, along: Fit, seen: _Seen) -> structure.Piecewise:
        """What explains that users are far from all segments, that one has faded, or has parted."""
        parent, recipe = self.parent, self.today.recipe
        by = recipe.clustering
        if seen.parting:  # one at a time
            by = by.model_copy(update={"max_segments": min(by.max_segments, len(parent.fit.centres) + 1)})
        founded = parent.reference["evaluation"]
        halved, parted = (seen.alarms.get(name, {}).get("segments", ()) for name in ("halved", "parted"))
        limits = evaluation.limits(founded) if "worth" in founded else {}  # a model of an earlier version has not
        return structure.piecewise(
            parent.fit,
            along,
            seen.settling,
            founded["far"],
            self.before,
            {parent.model.ids.index(name): limits[name] for name in halved if name in limits},
            evaluation.far_limit(seen.figures, recipe.adjustment),
            founded.get("saved", [0.0])[0],
            [parent.model.ids.index(name) for name in parted],
            evaluation.PARTING if seen.parting else evaluation.PARTED,
            by,
        )

    def _has_more(self, evidence: Document) -> bool:
        """Whether a model that is fitted anew has more segments: what is parting has parted only then."""
        new = self.today.fitted(keep=None)
        evidence["anew"] = {"segments": len(new.fit.centres), **new.evidence}
        return len(new.fit.centres) > len(self.parent.fit.centres)

    def _challenge(
        self,
        reason: str,
        compared: Compared,
        figures: Document,
        seen: _Seen,
        scheduled: bool,
        still_far: bool = False,
        days: int | None = None,
    ) -> Decided | None:
        """Take or propose another fit if its structure is another one; None, with evidence, if it is not. days: with rows when
        the parent's segments were founded, if most of them stay."""
        today, parent, settings = self.today, self.parent, self.today.recipe.adjustment
        evidence, evaluations = seen.evidence, seen.evaluations
        by_centres = compared.fit.algorithm == "kmeans"
        shift = compared.evidence["centre_shift"]
        evidence["challenge"] = {"reason": reason, **figures, **compared.evidence}
        if not compared.differs and not (reason == "young" and shift is None):  # by other features it is another model
            # What a sale or a holiday has moved comes back by itself; what is still elsewhere after months has settled there.
            fade = not by_centres and "halved" in seen.alarms
            gone = shift is not None and (shift > settings.max_centre_shift or fade)
            if reason == "far" and not by_centres:  # nobody is taken for noise who may be a new segment next week
                far = [one["far"] > evaluation.far_limit(one, settings) for one in evaluations]
                gone = gone and sum(far) == KEPT_EVALUATIONS
            apart = by_centres and seen.figures["parting"] is not None  # renewed, it would part later, or never
            return self.renew(compared, evidence) if reason == "young" or (scheduled and gone and not apart) else None
        if reason in UNASKED or max(compared.evidence["impact"].values()) <= settings.ask_above:
            return self.restructure(compared, reason, evidence, still_far, days)
        # By density another number of places is found each week: one proposal at a time.
        key = compared.key(parent.model) if by_centres else compared.fit.algorithm
        waiting = self.open_proposals(parent.decision["state"]["proposals"])
        if any(proposal["key"] == key for proposal in waiting):
            # Nor are the centres moved along, which would hide what was found.
            return self.hold("waiting", evidence, seen.state(today))
        proposal = {
            "key": key,
            "date": today.day.isoformat(),
            "fit": hash_json(compared.fit.document()),
            "segments": len(compared.model.segments),
            "impact": compared.evidence["impact"],
            "events": compared.events,
        }
        state = {"evaluations": evaluations, "challenged": challenge_block(today), "proposals": [*waiting, proposal]}
        return self.hold("proposed", evidence, state, compared.fit)
