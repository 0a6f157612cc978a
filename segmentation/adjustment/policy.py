"""Which decision a day takes about its model, with its evidence.

A day keeps its parent's model (`hold`) unless it is the first (`baseline`), the configuration or a person asks for another
model, or an evaluation day finds that the data has left it: then it is moved along (`update`), or replaced by one of another
structure (`restructure`). A replacement that would move many users is only proposed.
"""

from collections.abc import Collection
from dataclasses import replace
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


class _Day(Outcomes):
    """A day that has a parent, and may be one on which the model is held against the data."""

    def evaluate(self) -> Decided:
        today, parent, settings = self.today, self.parent, self.today.recipe.adjustment
        distances, reach = parent.fit.distances(self.before), parent.fit.reach(self.before)
        founded = parent.reference["evaluation"]
        saved = structure.saved(parent.fit, self.before, today.recipe.clustering)
        figures = evaluation.evaluate(today.day, distances, parent.model.ids, reach, founded, self.measured, saved)
        evaluations = [*parent.decision["state"]["evaluations"], figures][-KEPT_EVALUATIONS:]
        due = evaluation.due(evaluations, settings)
        evidence: Document = {"evaluation": figures, "alarms": due}
        days = parent.decision["state"].get("days", 0)  # a store of an earlier version does not say
        if lacking := today.lacks(days):
            return self.hold("lacking", {**evidence, "lacks": lacking}, {"evaluations": []})
        # What a person has adopted is not taken for a makeshift of too little data.
        adopted = parent.decision["state"].get("adopted", False)
        lone = len(parent.model.segments) == 1 and not adopted
        scheduled = challenge_block(today) - parent.decision["state"]["challenged"] not in (0, -1)
        by_centres = parent.fit.algorithm == "kmeans"
        grown = today.active_days / days if days and not adopted else 0.0
        young = grown >= YOUNG or (grown >= 1 / CLOSED and any(one["reason"] in LOST for one in due))
        piecewise = by_centres and not lone and not young and today.recipe.clustering.segments == "auto"
        parting = piecewise and any(one["reason"] == "parting" for one in due) and self._has_more(evidence)
        due = [{**one, "reason": "parted"} if one["reason"] == "parting" and parting else one for one in due]
        due = evidence["alarms"] = [one for one in due if one["reason"] != "parting"]
        alarms = {one["reason"] for one in due}
        lost = next((name for name in LOST if name in alarms), None)
        settling = self._settling()
        free = parent.model.with_parents(settling) if by_centres else ()  # the halves go to two sides
        along, shift = self._along(free) if alarms and by_centres else (parent.fit, 0.0)
        moved = decided = found = None
        if lost and piecewise:
            found = self._piecewise(along, settling, figures, due, parting)
            evidence["structure"] = found.evidence
            # A segment that is left out does not explain that users are far from all.
            fewer = found.fit is not None and len(found.fit.centres) < len(parent.fit.centres)
            others = alarms - ({"far"} if fewer and found.still_far else set())
            why = next((name for name in LOST if name in others), lost)
            if found.fit:
                compared = self.compared(found.fit)
                decided = self._challenge(why, compared, {}, evidence, evaluations, False, found.still_far, days)
        far_moved = found is not None and found.moved
        if by_centres and ("drift" in alarms or far_moved):
            moved = self.compared(along)
            evidence["centre_shift"] = shift
        far = figures["far"] > evaluation.far_limit(figures, settings)
        # Their cores would be those of who was there from then on.
        scheduled = scheduled and (by_centres or not far or "far" in alarms)
        unsettled = {parent.model.ids[number] for number in settling}
        gone = sorted(unsettled.intersection(figures["halved"]))
        new = None
        if settling and not by_centres and (far or gone):
            # Before it is an alarm half of a new segment's users may be published as the noise that they are by its old cores.
            new = today.fitted(keep=None)
            compared = self.compared(new.fit)
            if not compared.differs:
                evidence["settles"] = {"reason": "halved" if gone else "far", "segments": gone}
                return self.renew_cores(compared, "settled", evidence, {"evaluations": evaluations}, unsettled)
        # What calls for a model that is fitted anew.
        reason = None
        if lone or young:
            reason = "lone" if lone else "young"
        elif lost and not piecewise:
            reason = lost
        elif "drift" in alarms and (
            moved is None or moved.differs or (shift > settings.max_centre_shift and not piecewise)
        ):
            reason = "moved"
        elif scheduled:
            reason = "scheduled"
        if reason and not decided:
            new = new or today.fitted(keep=None if reason in (*UNASKED, *LOST) else len(parent.model.segments))
            by = today.recipe.clustering
            fit = settled(new.fit, parent.fit, self.before, today.features, by, called=reason != "scheduled")
            compared = self.compared(fit)
            if reason == "scheduled" and fit is not new.fit and compared.differs:
                # Nothing calls for it, and it is no better: the parent's own segments, at another optimum of their own.
                evidence["challenge"] = {"reason": reason, **new.evidence, **compared.evidence}
            else:
                decided = self._challenge(reason, compared, new.evidence, evidence, evaluations, scheduled)
        if decided:
            return decided
        # Moving the centres along would hide it, or put it off.
        pending = not lost and (far or figures["halved"] or figures["parted"])
        done = {"challenged": challenge_block(today)} if scheduled else {}
        if reason == "moved" and not by_centres and not pending and compared.evidence["centre_shift"] is not None:
            return self.renew_cores(compared, "renewed", evidence, {"evaluations": evaluations})
        if moved is not None and not moved.differs and not pending:
            if "drift" not in alarms:
                evidence["settles"] = {"reason": "far"}
            told = {**moved.evidence, **evidence}
            return self.update(moved.fit, told, done, still_far="far" in alarms and not far_moved)
        if free and "halved" not in alarms and (there := self._settled(free, lost, figures, evidence)):
            return self.settle(there, evidence, {"evaluations": evaluations, **done}, free)
        why = "unexplained" if lost and piecewise else "challenged" if "challenge" in evidence else "evaluated"
        return self.hold(why, evidence, {"evaluations": evaluations, **done})

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

    def _settled(self, free: Collection[int], lost: str | None, figures: Document, evidence: Document) -> Fit | None:
        """The parent's fit with only these centres where their users are today, beyond the ends of the scale if they are far.

        None if that is no further than an update goes, or takes from a segment what it is worth: a centre whose users have gone
        would go to its neighbour's.
        """
        parent, recipe = self.parent, self.today.recipe
        ids, sample = parent.model.ids, Fit.sampled(self.before, recipe.clustering.sample_users)
        transform = parent.fit.transform.widened(sample) if lost == "far" else parent.fit.transform
        centres = kmeans.continued(transform.apply(sample), parent.fit.centres, free=free)
        shift = round(float(np.linalg.norm(centres - parent.fit.centres, axis=1).max()), 6)
        there = replace(parent.fit, transform=transform, centres=centres)
        if shift <= recipe.adjustment.max_centre_shift or figures["halved"]:
            return None
        if evaluation.faded(there.distances(self.before), ids, parent.reference["evaluation"]):
            return None
        evidence["settles"] = {"reason": "filling", "segments": sorted(ids[number] for number in free), "shift": shift}
        return there

    def _piecewise(
        self, along: Fit, settling: Collection[int], figures: Document, due: list[Document], parting: bool
    ) -> structure.Piecewise:
        """What explains that users are far from all segments, that one has faded, or has parted."""
        parent, recipe = self.parent, self.today.recipe
        by = recipe.clustering
        if parting:  # one at a time
            by = by.model_copy(update={"max_segments": min(by.max_segments, len(parent.fit.centres) + 1)})
        founded = parent.reference["evaluation"]
        segments = {reason["reason"]: reason.get("segments", ()) for reason in due}
        limits = evaluation.limits(founded) if "worth" in founded else {}  # a model of an earlier version has not
        faded = {
            number: limits[name]
            for number, name in enumerate(parent.model.ids)
            if name in limits and name in segments.get("halved", ())
        }
        return structure.piecewise(
            parent.fit,
            along,
            settling,
            founded["far"],
            self.before,
            faded,
            evaluation.far_limit(figures, recipe.adjustment),
            founded.get("saved", [0.0])[0],
            [parent.model.ids.index(name) for name in segments.get("parted", ())],
            evaluation.PARTING if parting else evaluation.PARTED,
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
        evidence: Document,
        evaluations: list[Document],
        scheduled: bool = False,
        still_far: bool = False,
        days: int | None = None,
    ) -> Decided | None:
        """Take or propose another fit if its structure is another one; None, with evidence, if it is not. days: with rows when
        the parent's segments were founded, if most of them stay."""
        today, parent, settings = self.today, self.parent, self.today.recipe.adjustment
        by_centres = compared.fit.algorithm == "kmeans"
        shift = compared.evidence["centre_shift"]
        evidence["challenge"] = {"reason": reason, **figures, **compared.evidence}
        if not compared.differs and not (reason == "young" and shift is None):  # by other features it is another model
            # What a sale or a holiday has moved comes back by itself; what is still elsewhere after months has settled there.
            fade = not by_centres and any(alarm["reason"] == "halved" for alarm in evidence["alarms"])
            gone = shift is not None and (shift > settings.max_centre_shift or fade)
            if reason == "far" and not by_centres:  # nobody is taken for noise who may be a new segment next week
                far = [one["far"] > evaluation.far_limit(one, settings) for one in evaluations]
                gone = gone and sum(far) == KEPT_EVALUATIONS
            return self.renew(compared, evidence) if reason == "young" or (scheduled and gone) else None
        if reason in UNASKED or max(compared.evidence["impact"].values()) <= settings.ask_above:
            return self.restructure(compared, reason, evidence, still_far, days)
        # By density another number of places is found each week: one proposal at a time.
        key = compared.key(parent.model) if by_centres else compared.fit.algorithm
        waiting = self.open_proposals(parent.decision["state"]["proposals"])
        if any(proposal["key"] == key for proposal in waiting):
            # Nor are the centres moved along, which would hide what was found.
            done = {"challenged": challenge_block(today)} if scheduled else {}
            return self.hold("waiting", evidence, {"evaluations": evaluations, **done})
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
