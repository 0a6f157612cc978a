"""What a changed configuration would change: two histories of the same days side by side."""

from datetime import date

from segmentation.monitor import decisions, read_models
from segmentation.monitor.read_models import Record
from segmentation.store.snapshots import LAPSED
from segmentation.store.store import Store
from segmentation.tracking.migrations import span


def plan(now: Store, then: Store, first: date) -> Record:
    """The history as it is and as it would be: {from, days, cells, segments, users, elsewhere}.

    days: of every published day from `first` on, {date, now, then}; each of the two {decision, reason, sentence, users,
    segments, moved}. Of the latest day: segments, {now, then}, lists as `read_models.segments` gives them; cells, users by
    the segment that they are in and would be in ({from_segment_id, to_segment_id, users, share_of_from}; NEW and LAPSED: who
    is only in one of the two populations); users, how many there would be; elsewhere, how many of these are in another
    segment now, or in none.
    """
    days = [day for day in sorted(now.state().published) if day >= first]
    last = read_models.latest(now.state())
    before, after = (read_models.population(store, last) for store in (now, then))
    shown = ("from_segment_id", "to_segment_id", "users", "share_of_from")
    cells = span(before, after, last, None).select(shown).to_pylist()
    elsewhere = [cell for cell in cells if cell["from_segment_id"] != cell["to_segment_id"] != LAPSED]
    return {
        "from": first.isoformat(),
        "days": [{"date": day.isoformat(), "now": _day(now, day), "then": _day(then, day)} for day in days],
        "segments": {name: read_models.segments(store, last) for name, store in (("now", now), ("then", then))},
        "cells": cells,
        "users": after.num_rows,
        "elsewhere": sum(cell["users"] for cell in elsewhere),
    }


def _day(store: Store, day: date) -> Record:
    summary = read_models.published_on(store.state(), day).summary
    decision = decisions.decision(store, day)
    return {name: decision[name] for name in ("decision", "reason", "sentence")} | {
        name: summary[name] for name in ("users", "segments", "moved")
    }
