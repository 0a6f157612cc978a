"""Which segments of a new model are segments of the old one: permanent ids, and the events between the two.

Both models score the same users on the same day, so one matrix of counts says it all. The events are those of MONIC
(Spiliopoulou, Ntoutsi, Theodoridis, Schult: "MONIC: modeling and monitoring cluster transitions", KDD 2006); which of its
children takes a segment's id is ours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from segmentation.clustering.model import ID_CHARACTERS, Fit, Model
from segmentation.store.content import hash_json
from segmentation.store.snapshots import NOISE
from segmentation.tracking.memberships import Codes

Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SURVIVES = 0.5  # share of an old segment's users from which on it lives on
PART = 0.25  # from which on a new segment holds a part of it; and of the largest giver, to make a new one
EVENTS = ("survived", "split", "merged", "absorbed", "died", "born")  # in this order


def overlap(before: Codes, after: Codes, shape: tuple[int, int]) -> Counts:
    """Users by the old state (rows) and the new one (columns). Both codes are of the same users, row by row.

    Raises ValueError for a code beyond `shape`: every user is in one state of each model.
    """
    cells = np.ravel_multi_index((before, after), shape)
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)


def carry_over(
    parent: Model, parent_states: Sequence[str], fit: Fit, fit_name: str, day: date, counts: Counts
) -> tuple[Model, list[dict[str, Any]]]:
    """The model of a new fit, with the ids of the parent's segments where they live on, and what became of all of them.

    counts: users by old state, in the order of `parent_states` (the parent's ids, and NOISE if it has noise), and by new
    one, in the order of the fit's centres (and NOISE, last, if it has noise): shape (old states, new states).

    The overlap of an old and a new segment is the share of the old one's users, NOISE's among its ends, who are in the new
    one. An old segment *makes* a new one if the overlap is at least 0.25 and it gives at least a quarter of what the
    largest giver (NOISE among them) gives; all this only if what it makes holds at least half of it.

    A new segment takes the id of the old one that makes it and has an overlap of at least 0.5 with it; of several, of the
    one that gives most users (then of the smaller id). So on a split the largest child keeps the id if it holds half (of
    two halves the one with the smaller centre), and if none does the id ends. A segment that keeps its id keeps birth date
    and parents too; its centre is the new one. The others get a new id, with those that make it as parents. What goes from
    a segment that keeps its id to another that does is a shift of the border between the two, whatever its size: so far
    the one does not make the other. Nor does a segment that ends make anything if all that it would make, two or more, keep
    the ids of others: it is shared out among them. Then

    * an old segment that makes several new ones `split`;
    * a new segment that several make is `merged` from them (some of these may have split: both events are told);
    * an old segment that alone makes one new one, and only that, `survived`;
    * one that makes none, but whose parts of at least 0.25 together are at least half of it, was `absorbed` by those that
      hold them: the usual end of a small segment that goes into a large one, which goes on as if nothing had come, and of one
      that is shared out;
    * any other `died`, so one without users today, and one that went to NOISE or to pieces;
    * a new segment that no old one makes is `born`, though its users came from somewhere: from NOISE, which is nobody's
      parent, or each in a small part of a segment that goes on elsewhere.

    Events: {event, from: [ids], to: [ids], overlap: {from: {to: share of from's users}}, share_of_to: {from: {to: share of
    to's users}}}, in the order of EVENTS, then of from and to. Every old and every new segment is in at least one. `died`
    and `born` have no other end: their shares tell where the users went or came from, NOISE included. The result does not
    depend on the order of the centres or of the states.

    Raises ValueError for counts of another shape.
    """
    founded = Model.founded(fit, fit_name, day, parent.made_by)
    columns = len(founded.segments)
    if counts.shape not in [(len(parent_states), columns), (len(parent_states), columns + 1)]:
        raise ValueError(
            f"counts of shape {counts.shape} for {len(parent_states)} old states and {columns} new segments"
        )
    ties = _Ties.between(parent, founded, counts, [parent_states.index(segment_id) for segment_id in parent.ids])
    taken = set(parent.ids)
    segments = list(founded.segments)
    for column in sorted(range(columns), key=lambda column: founded.segments[column].centre):
        new = founded.segments[column]
        if column in ties.heirs:
            segments[column] = replace(parent.segments[ties.heirs[column]], centre=new.centre)
            continue
        segment_id, attempt = new.segment_id, 0
        while segment_id in taken:
            attempt += 1
            segment_id = hash_json([new.segment_id, attempt])[:ID_CHARACTERS]
        taken.add(segment_id)
        parents = tuple(sorted(parent.ids[row] for row in _where(ties.makes[:, column])))
        segments[column] = replace(new, segment_id=segment_id, parents=parents)
    model = replace(founded, segments=tuple(segments))
    return model, _events(parent.ids, model.ids, ties, _Shares(parent_states, (*model.ids, NOISE), counts))


def segment_events(model: Model, events: Iterable[Mapping[str, Any]], day: date) -> dict[str, str]:
    """What happened to each segment of a day's model, for the column `event` of the day's segments.

    Without events, on a day that founded or kept its model: born or continued. Else: survived, split (it is a part of a
    segment that split, with the old id or a new one), merged, or born.
    """
    told = {
        segment_id: str(event["event"])
        for event in events
        if event["event"] != "absorbed"
        for segment_id in event["to"]
    }
    if not told:
        return {segment.segment_id: "born" if segment.born == day else "continued" for segment in model.segments}
    merged = {segment_id for event in events if event["event"] == "merged" for segment_id in event["to"]}
    return {segment_id: "merged" if segment_id in merged else told[segment_id] for segment_id in model.ids}


@dataclass(frozen=True)
class _Ties:
    """Between old segments (rows, in the order of the parent's) and new ones (columns)."""

    part: Mask  # the new one holds at least a quarter of the old one
    makes: Mask
    heirs: dict[int, int]  # new one → the old one whose id it takes
    absorbed: Mask  # of each old one: its parts are at least half of it

    @classmethod
    def between(cls, parent: Model, founded: Model, counts: Counts, rows: Sequence[int]) -> "_Ties":
        """rows: of the old segments in counts."""
        columns = len(founded.segments)
        users, total = counts[rows][:, :columns], counts[rows].sum(axis=1, keepdims=True)
        part = (users >= PART * total) & (users > 0)
        makes = part & (users >= PART * counts[:, :columns].max(axis=0, initial=0))
        makes &= (users * makes).sum(axis=1, keepdims=True) >= SURVIVES * total
        wishes = [(int(row), int(column)) for row, column in np.argwhere(makes & (users >= SURVIVES * total))]
        wishes.sort(key=lambda wish: (-users[wish], parent.ids[wish[0]], founded.segments[wish[1]].centre))
        heirs: dict[int, int] = {}
        for row, column in wishes:
            if column not in heirs and row not in heirs.values():
                heirs[column] = row
        for column, heir in heirs.items():
            makes[[row for row in heirs.values() if row != heir], column] = False  # a shift of their border
        for row in range(len(makes)):
            made = _where(makes[row])
            if len(made) > 1 and row not in heirs.values() and all(column in heirs for column in made):
                makes[row] = False  # shared out among others, who go on
        absorbed = (users * part).sum(axis=1) >= SURVIVES * total[:, 0]
        return cls(part, makes, heirs, absorbed & part.any(axis=1))


@dataclass(frozen=True)
class _Shares:
    before: Sequence[str]
    after: Sequence[str]
    counts: Counts

    def event(
        self, name: str, origins: Iterable[str], ends: Iterable[str], pairs: Iterable[tuple[str, str]]
    ) -> dict[str, Any]:
        of_from: dict[str, dict[str, float]] = {}
        of_to: dict[str, dict[str, float]] = {}
        for origin, end in pairs:
            row, column = self.before.index(origin), self.after.index(end)
            users = int(self.counts[row, column])
            of_from.setdefault(origin, {})[end] = round(users / int(self.counts[row].sum()), 6)
            of_to.setdefault(origin, {})[end] = round(users / int(self.counts[:, column].sum()), 6)
        return {
            "event": name,
            "from": sorted(origins),
            "to": sorted(ends),
            "overlap": of_from,
            "share_of_to": of_to,
        }

    def of_old(self, segment_id: str) -> list[tuple[str, str]]:
        """Every cell of an old segment that has users."""
        return [(segment_id, self.after[column]) for column in _where(self.counts[self.before.index(segment_id)])]

    def of_new(self, segment_id: str) -> list[tuple[str, str]]:
        return [(self.before[row], segment_id) for row in _where(self.counts[:, self.after.index(segment_id)])]


def _events(before: Sequence[str], after: Sequence[str], ties: _Ties, shares: _Shares) -> list[dict[str, Any]]:
    found = []
    for row, old in enumerate(before):
        made = [after[column] for column in _where(ties.makes[row])]
        if len(made) > 1:
            found.append(shares.event("split", [old], made, [(old, new) for new in made]))
        elif ties.absorbed[row] and not made:
            ends = [after[column] for column in _where(ties.part[row])]
            found.append(shares.event("absorbed", [old], ends, [(old, new) for new in ends]))
        elif not made:
            found.append(shares.event("died", [old], [], shares.of_old(old)))
    for column, new in enumerate(after):
        makers = [before[row] for row in _where(ties.makes[:, column])]
        if len(makers) > 1:
            found.append(shares.event("merged", makers, [new], [(old, new) for old in makers]))
        elif not makers:
            found.append(shares.event("born", [], [new], shares.of_new(new)))
        elif ties.makes[before.index(makers[0])].sum() == 1:
            found.append(shares.event("survived", makers, [new], [(makers[0], new)]))
    return sorted(found, key=lambda event: (EVENTS.index(event["event"]), event["from"], event["to"]))


def _where(row: npt.NDArray[np.generic]) -> list[int]:
    return [int(place) for place in np.flatnonzero(row)]
