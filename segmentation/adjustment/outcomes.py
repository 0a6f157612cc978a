"""What a decision does: the model that the day gets, what it is held against from then on, and the document that says so."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from segmentation.adjustment import drift
from segmentation.adjustment.challenge import Compared, compare
from segmentation.adjustment.reference import held_against, still_far_from
from segmentation.adjustment.today import Standing, Today
from segmentation.adjustment.wording import sentence
from segmentation.clustering.model import Fit, Model
from segmentation.dates import block
from segmentation.store.content import hash_json

BASELINE, HOLD, UPDATE, RESTRUCTURE = "baseline", "hold", "update", "restructure"
KEPT_EVALUATIONS = 3
UNASKED = ("lone", "young")  # there was too little to tell what the segments are
# What is held against the founding, even where the centres have moved along since: a segment that fades or parts meanwhile has
# done so all the same.
FOUNDED = ("shares", "worth", "saved")
Document = dict[str, Any]


@dataclass(frozen=True)
class Decided:
    """fits: what is to be kept under its content: the model's, and the proposed one; reference: likewise."""

    model: Model
    decision: Document
    drift: pa.Table
    drift_bins: pa.Table
    fits: tuple[Fit, ...]
    reference: Document


def challenge_block(today: Today) -> int:
    return block(today.day, today.recipe.adjustment.challenge_every_days)


@dataclass(frozen=True)
class Outcomes:
    """Of a day that has a parent. before: today's users as the parent's model reads them; points: where it puts them."""

    today: Today
    parent: Standing
    before: pa.Table
    points: Any
    measured: pa.Table
    bins: pa.Table

    def compared(self, fit: Fit) -> Compared:
        parent = self.parent
        far = parent.reference["evaluation"]["far"]
        members = parent.memberships()
        return compare(parent.model, parent.fit, far, self.before, fit, self.today.features, members, self.today.day)

    def held_against(self, fit: Fit, model: Model, kept: Iterable[str] = ()) -> Document:
        today = self.today
        found = held_against(fit, model.ids, today.features, today.recipe.clustering, today.day)
        before = self.parent.reference["evaluation"]
        found["evaluation"].update({name: before[name] for name in kept if name in before})
        return found

    def hold(
        self,
        reason: str,
        evidence: Document | None = None,
        state: Document | None = None,
        proposed: Fit | None = None,
    ) -> Decided:
        parent = self.parent
        return self._decided(
            HOLD,
            reason,
            {"parent": parent.day.isoformat(), **(evidence or {})},
            parent.model,
            (parent.fit, *([proposed] if proposed else [])),
            parent.reference,
            self.bins,
            [],
            state or {},
        )

    def renew(self, compared: Compared, evidence: Document) -> Decided:
        """The parent's segments by a fit of today: they keep their ids, and are held against today from now on."""
        kept = FOUNDED if compared.fit.algorithm == "kmeans" else ()
        state = {"challenged": challenge_block(self.today), "evaluations": [], "days": self.today.active_days}
        return self._renewed(
            compared, "renewed", evidence, self.held_against(compared.fit, compared.model, kept), state
        )

    def renew_cores(
        self, compared: Compared, reason: str, evidence: Document, state: Document, anew: Collection[str] = ()
    ) -> Decided:
        """The same by density, where nothing can be moved along; anew: the segments whose share is measured anew. That another
        one is about to have halved is not forgotten."""
        reference = self.held_against(compared.fit, compared.model)
        before = self.parent.reference["evaluation"]["shares"]
        reference["evaluation"]["shares"].update({name: share for name, share in before.items() if name not in anew})
        return self._renewed(compared, reason, evidence, reference, state)

    def _renewed(
        self, compared: Compared, reason: str, evidence: Document, reference: Document, state: Document
    ) -> Decided:
        told, bins = {**evidence, **compared.evidence}, drift.HISTORY.empty_table()
        return self._decided(UPDATE, reason, told, compared.model, (compared.fit,), reference, bins, [], state)

    def update(
        self,
        fit: Fit,
        reason: str,
        evidence: Document,
        done: Document,
        still_far: bool,
    ) -> Decided:
        """The parent's segments with their centres moved along: the bins stay, what they are compared with is renewed.

        still_far: that users are far from all segments was not explained, and is not to be forgotten by moving along.
        """
        model = self.parent.model.moved(fit, ())
        before = drift.Reference.from_document(self.parent.reference["drift"])
        reference = {
            **self.held_against(fit, model, FOUNDED),
            "drift": before.renewed(self.points, self.today.day).document(),
        }
        if still_far:
            still_far_from(reference, self.parent.reference)
        # That a segment is parting is as true with the centres moved; the rest is looked at anew.
        gone: Document = {"far": 0.0, "halved": [], "drift": []}
        before_it = [*self.parent.decision["state"]["evaluations"], evidence["evaluation"]]
        state = {"evaluations": [{**one, **gone} for one in before_it[-KEPT_EVALUATIONS:]], **done}
        return self._decided(UPDATE, reason, evidence, model, (fit,), reference, self.bins, [], state)

    def settle(self, fit: Fit, evidence: Document, state: Document, settling: Collection[int]) -> Decided:
        """The parent's segments, of which the settling ones are where their users are now, as if founded there; all is held
        against what it was."""
        model = self.parent.model.moved(fit, settling)
        return self._decided(UPDATE, "settled", evidence, model, (fit,), self.parent.reference, self.bins, [], state)

    def restructure(
        self,
        compared: Compared,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        still_far: bool = False,
        days: int | None = None,
    ) -> Decided:
        """still_far: as for `update`; the space is the parent's."""
        model = replace(compared.model, made_by=self.today.made_by)
        reference = self.held_against(compared.fit, model)
        if still_far:
            still_far_from(reference, self.parent.reference)
        return self._decided(
            RESTRUCTURE,
            reason,
            {**(evidence or {}), **compared.evidence},
            model,
            (compared.fit,),
            reference,
            drift.HISTORY.empty_table(),
            compared.events,
            {
                "challenged": challenge_block(self.today) + 1,  # the next block's is done with, too
                "evaluations": [],
                "adopted": reason == "adopted",
                "filling": self._filling(compared.fit, reason),
                "founded": self.today.day.isoformat(),
                "days": days or self.today.active_days,
            },
        )

    def _decided(
        self,
        decision: str,
        reason: str,
        evidence: Mapping[str, Any],
        model: Model,
        fits: tuple[Fit, ...],
        reference: Document,
        bins: pa.Table,
        events: list[Document],
        state: Mapping[str, Any],
    ) -> Decided:
        today = self.today
        carried = {**self.parent.decision["state"], **state}
        carried["proposals"] = self.open_proposals(carried["proposals"])
        born = max(segment.born for segment in model.segments).isoformat()  # a store of an earlier version says no more
        document: Document = {
            "date": today.day.isoformat(),
            "decision": decision,
            "reason": reason,
            "evidence": {
                "users": today.features.num_rows,
                "segments": len(model.segments),
                "model_born": carried.get("founded", born),
                **evidence,
            },
            "events": events,
            "state": carried,
        }
        return Decided(
            replace(model, reference=hash_json(reference)),
            {**document, "sentence": sentence(document)},
            self.measured,
            bins,
            fits,
            reference,
        )

    def _filling(self, fit: Fit, reason: str) -> bool:
        """Whether new segments are of users who came lately: not if they are what there always was, or a person's own."""
        if reason == "adopted":
            return hash_json(fit.document()) in {one["fit"] for one in self.parent.decision["state"]["proposals"]}
        return reason not in (*UNASKED, "recipe")

    def open_proposals(self, proposals: list[Document]) -> list[Document]:
        """Those that are not old enough to be made again."""
        again = timedelta(days=self.today.recipe.adjustment.ask_again_days)
        return [one for one in proposals if date.fromisoformat(one["date"]) + again > self.today.day]
