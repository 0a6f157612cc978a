"""What people read about a history, as plain records: dictionaries of text, numbers and None that JSON can hold.

Dates are YYYY-MM-DD, shares 0..1, money is a number in currency units (a float tells all four decimals up to 10^11). The
command line and the report show the same records; nothing here writes.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation.errors import ConfigError, SegmentationError
from segmentation.monitor.leavers import left_by_model
from segmentation.store.content import money_units
from segmentation.store.derivations import Derivations
from segmentation.store.snapshots import LAPSED, NEW, NOISE, Folder
from segmentation.store.state import Published, State
from segmentation.store.store import Store
from segmentation.tables import USERS
from segmentation.texts import counted
from segmentation.tracking.migrations import CAUSES, span

if TYPE_CHECKING:
    from segmentation.features.parts import Feature

Record = dict[str, Any]

WEEK = timedelta(days=7)
MEAN = "mean_"
COMPARED = 500  # users to either side of an unknown id, to suggest a similar one


def history(store: Store) -> list[Record]:
    """The published days in order, from the log alone: date, snapshot, parent, status, recipe, and the day's main figures.

    `recipe`: hash of the settings in force on the day; `new_recipe`: whether they are others than on the day before.
    """
    state = store.state()
    stale = set(Derivations(state, store.recipe).stale())
    recipes = {day: state.recipe_on(day) for day in state.published}
    before = {day: recipes[earlier] for earlier, day in pairwise(sorted(recipes))}
    return [
        {
            "date": day.isoformat(),
            "snapshot_id": published.snapshot_id,
            "path": published.folder,
            "parent": published.parent.isoformat() if published.parent else None,
            "parent_id": published.parent_id,
            "status": "stale" if day in stale else "current",
            "recipe": recipes[day],
            "new_recipe": day in before and before[day] != recipes[day],
            **{name: published.summary[name] for name in ("users", "segments", "decision", "moved", "share_moved")},
        }
        for day, published in sorted(state.published.items())
    ]


def log(store: Store) -> list[Record]:
    """The records of the log, the first first: number, when, who, with what version, and what it says."""
    return [
        {
            "number": record["number"],
            "at": record["at"],
            "by": record["by"],
            "version": record["version"],
            "kind": record["kind"],
            "date": record.get("date") or record.get("from_date"),
            "what": _what(record),
        }
        for record in store.log.records()
    ]


def _what(record: Record) -> str:
    match record["kind"]:
        case "accept":
            tables = record["accepted"]["tables"].items()
            return ", ".join(f"{counted(table['rows'], 'row')} of {name}" for name, table in tables)
        case "publish":
            return f"snapshot {record['published']['snapshot_id']}"
        case "recipe":
            return f"recipe {record['hash']}"
        case "adopt":
            return f"fit {record['fit']}, adopted by {record['who']}"
        case "alias":
            return f"{record['old']} is now {record['new']} ({record['overlap']:.0%} of its users)"
        case "name":
            return f"{record['segment_id']} is called {record['name'] or 'what its profile says'!r}"
        case _:
            return ""


def segments(store: Store, day: date) -> list[Record]:
    """The day's segments, the largest first: the columns of `segments.parquet`, and `name` (the id; words: `names.segments`).

    Raises SegmentationError, naming the nearest days, if the day is not published.
    """
    return segments_of(store, published_on(store.state(), day))


def segments_of(store: Store, published: Published) -> list[Record]:
    """The segments of a published day, as `segments` gives them."""
    rows = read_table(store, published, "segments").to_pylist()
    for row in rows:
        row["name"] = row["segment_id"]
        row["revenue"] = as_number(row["revenue"])
    first = ("segment_id", "name", "event", "parents", "users", "share", "revenue")
    rows.sort(key=lambda row: (-row["users"], row["segment_id"]))
    return [{**{name: row[name] for name in first}, **row} for row in rows]


def model_features(store: Store, day: date) -> list[str]:
    """The features that the day's segments are made of. Raises SegmentationError if the day is not published."""
    published = published_on(store.state(), day)
    return list(store.json(f"{published.folder}/model.json")["features"])


def migrations(store: Store, first: date, last: date) -> Record:
    """Who was in which segment at the end of `first`, and where at the end of `last`: {from, to, cells}.

    A cell: from_segment_id (or NEW), to_segment_id (or LAPSED), users, share_of_from, revenue (their net amount in the
    window of `last`; 0 for those who lapsed; None where features are not kept any more or the data has no amounts), and
    users by the cause of their last move in the span: behaviour, ageing, model. These add up to `users` where the state
    changed and are 0 on the diagonal. The rows add up to the population of `first`, the columns to that of `last`.

    Raises ConfigError if `first` is not before `last`, SegmentationError if either is not published.
    """
    if first >= last:
        raise ConfigError(f"a span goes from an earlier to a later day, not from {first} to {last}")
    before, after = (population(store, day) for day in (first, last))
    revenue = revenue_of(store, published_on(store.state(), last), after)
    cells = span(before, after, first, revenue, left_by_model(store, first, last)).to_pylist()
    for cell in cells:
        cell["revenue"] = as_number(cell["revenue"])
    return {"from": first.isoformat(), "to": last.isoformat(), "cells": cells}


def population(store: Store, day: date) -> pa.Table:
    """The day's memberships without those who lapsed. Raises SegmentationError if the day is not published."""
    members = read_table(store, published_on(store.state(), day), "memberships")
    return members.filter(pc.is_valid(members["segment_id"]))


def revenue_of(store: Store, published: Published, members: pa.Table) -> Any:
    """Each member's net amount in the window in 1/10,000, row by row; None where it is not known."""
    features = features_of(store, published)
    if features is None or "revenue" not in features.column_names:
        return None
    position = pc.index_in(members["user_id"], value_set=features["user_id"].combine_chunks())
    return money_units(features["revenue"].take(position))


def week_before(state: State, day: date) -> date | None:
    """The day that a week ending with `day` is compared with: the latest published one at least 7 days earlier, else the
    first of the history; None if `day` is the first."""
    earlier = sorted(other for other in state.published if other < day)
    whole = [other for other in earlier if other <= day - WEEK]
    return whole[-1] if whole else earlier[0] if earlier else None


def quality(store: Store, day: date) -> Record:
    """The day's rows: {date, tables: {orders: {rows, accepted, quarantined, reasons, …, warnings, quarantine}}}, counts only.

    quarantine: the CSV file with quarantined rows as they came, None if there are none. All is of the rows as they are
    accepted now; the snapshot's quality.json keeps what was known when it was published.
    Raises SegmentationError, naming the nearest days, for a day that was never read.
    """
    state = store.state()
    if day in state.accepted:
        tables = state.accepted[day].tables
        found = {
            name: {**table.quality, "quarantine": store.objects.path(table.quarantine) if table.quarantine else None}
            for name, table in tables.items()
        }
        return {"date": day.isoformat(), "tables": found}
    raise _not_there(day, state.accepted, "has no accepted rows", "accepted")


def files(store: Store, day: date) -> list[Record]:
    """Each file that the day's rows came from, with all its rows, of whatever day; counts only.

    rows = of_accepted_days + waiting (of days nobody has asked for yet) + elsewhere (of other days than the file's name
    says: they do not count) + undated (quarantined with the file, by reason).
    """
    from segmentation.sources import slices  # loads the engines, which a list of days does not need

    state = store.state()
    found = []
    for table, accepted in state.accepted[day].tables.items() if day in state.accepted else ():
        for key in accepted.files:
            index = slices.load(store.objects, accepted.names.get(key, key), key, table)
            asked = sum(rows for other, (_, rows) in index.days.items() if other in state.accepted)
            elsewhere = accepted.elsewhere.get(key, 0)
            if table == USERS or elsewhere:
                asked = accepted.files[key]
            found.append(
                {
                    "table": table,
                    "file": index.name,
                    "rows": index.rows,
                    "of_accepted_days": asked,
                    "waiting": index.rows - index.undated - asked - elsewhere,
                    "elsewhere": elsewhere,
                    "undated": index.undated,
                    "undated_reasons": index.reasons,
                }
            )
    return sorted(found, key=lambda row: (row["table"], row["file"]))


def rows_per_day(store: Store, until: date, days: int) -> list[Record]:
    """Rows read, accepted and quarantined of the last `days` accepted days up to `until`, all tables but users together."""
    accepted = store.state().accepted
    found = sorted(day for day in accepted if until - timedelta(days=days) < day <= until)
    counts = ("rows", "accepted", "quarantined")
    return [
        {
            "date": day.isoformat(),
            **{name: sum(table.quality[name] for table in accepted[day].activity.values()) for name in counts},
        }
        for day in found
    ]


def user(store: Store, user_id: str) -> Record:
    """One user's days, those with a change and without: {user_id, days: [{date, segment_id, status, cause, …}]}.

    Raises SegmentationError if no published day has the user.
    """
    state = store.state()
    days = []
    for day, published in sorted(state.published.items()):
        data = store.objects.get(f"{published.folder}/memberships.parquet")
        rows = pq.read_table(pa.BufferReader(data), filters=[("user_id", "=", user_id)]).to_pylist()
        for row in rows:
            del row["user_id"]
            days.append({"date": day.isoformat(), **{name: _text(value) for name, value in row.items()}})
    if not days:
        alike = " or ".join(map(repr, _alike(store, state, user_id)))
        hint = f"did you mean {alike}?" if alike else "ids are text, as in the source"
        raise SegmentationError(
            f"no published day has a user {user_id!r} ({counted(len(state.published), 'day')} looked at); {hint}"
        )
    return {"user_id": user_id, "days": days}


def _alike(store: Store, state: State, user_id: str) -> list[str]:
    """Up to three users of the latest day who may be meant: of the same id but for its spelling, else of a similar one."""
    ids = read_table(store, state.published[latest(state)], "memberships", ["user_id"])["user_id"].combine_chunks()
    same = ids.filter(pc.equal(_spelt_alike(ids), _spelt_alike(pa.array([user_id]))[0]))[:3].to_pylist()
    if same:
        return list(same)
    # A comparison takes microseconds, and there may be millions of users: only those about where the id would stand.
    place = pc.sum(pc.less(ids, user_id)).as_py() or 0
    near = ids.sort()[max(place - COMPARED, 0) : place + COMPARED].to_pylist()
    return get_close_matches(user_id, near, n=3, cutoff=0.75)


def _spelt_alike(ids: pa.Array) -> pa.Array:
    """Without what software adds to or takes from an id: case, spaces around it, zeros before it, .0 behind it."""
    return pc.utf8_ltrim(pc.replace_substring_regex(pc.utf8_lower(pc.utf8_trim_whitespace(ids)), r"\.0+$", ""), "0")


def features() -> list[Record]:
    """The catalogue of features: name, unit, window, formula, needs (canonical columns of the accepted rows, with their
    table), auto (with which tables [clustering] features = "auto" takes it; "" if never)."""
    from segmentation.features.catalogue import AUTO

    return [
        {
            "name": feature.name,
            "unit": feature.unit,
            "window": feature.window,
            "formula": feature.formula,
            "needs": sorted(feature.needs),
            "auto": AUTO.get(feature.name, ""),
        }
        for feature in _catalogue().values()
    ]


def digest(store: Store) -> Record:
    """One hash for the whole history."""
    return {"digest": store.state().digest()}


def sizes(store: Store, until: date) -> list[Record]:
    """Segment sizes over time, up to a day: {date, segment_id, users, share}, by date and id; who is in none, as NOISE."""
    found = []
    for day, published in days_until(store.state(), until):
        rows = read_table(store, published, "segments", ["segment_id", "users", "share"]).to_pylist()
        everyone = published.summary["users"]
        if noise := everyone - sum(row["users"] for row in rows):
            rows.append({"segment_id": NOISE, "users": noise, "share": round(noise / everyone, 6)})
        found += [{"date": day.isoformat(), **row} for row in rows]
    return found


def moves(store: Store, until: date) -> list[Record]:
    """What each day changed against its parent, up to a day; the first day of the history, which has none, is left out.

    {date, days (since the parent), users (in the population), moved (to another segment), behaviour, ageing, model (of the
    moved), new (entered or reactivated), lapsed}
    """
    found = []
    for day, published in days_until(store.state(), until):
        if published.parent is None:
            continue
        columns = ["from_segment_id", "to_segment_id", "users", *CAUSES]
        cells = read_table(store, published, "migrations", columns).to_pylist()
        moved = [cell for cell in cells if is_move(cell)]
        found.append(
            {
                "date": day.isoformat(),
                "days": (day - published.parent).days,
                "users": sum(cell["users"] for cell in cells if cell["to_segment_id"] != LAPSED),
                "moved": sum(cell["users"] for cell in moved),
                **{cause: sum(cell[cause] for cell in moved) for cause in CAUSES},
                "new": sum(cell["users"] for cell in cells if cell["from_segment_id"] == NEW),
                "lapsed": sum(cell["users"] for cell in cells if cell["to_segment_id"] == LAPSED),
            }
        )
    return found


def is_move(cell: Record) -> bool:
    """Whether a cell of a migrations table holds users who went from one segment to another."""
    ends = {cell["from_segment_id"], cell["to_segment_id"]}
    return len(ends) == 2 and not ends & {NEW, LAPSED}


def profile(store: Store, day: date) -> list[Record]:
    """How each segment differs from the whole shop: {feature, unit, in_model, shop, segments: {segment_id: mean}}, in
    the catalogue's order. `in_model`: whether the segments are made of this feature.

    Means are over the users for whom the feature is defined; `shop` is the mean over the whole population (where features
    are not kept any more: the mean of the segments' means, weighted by users). Raises SegmentationError if the day is not
    published.
    """
    published = published_on(store.state(), day)
    rows = segments_of(store, published)
    everyone = features_of(store, published)
    catalogue = _catalogue()
    known = list(catalogue)
    in_model = model_features(store, day)
    names = [name.removeprefix(MEAN) for name in rows[0] if name.startswith(MEAN)] if rows else []
    names.sort(key=lambda name: known.index(name) if name in known else len(known))
    return [
        {
            "feature": name,
            "unit": catalogue[name].unit if name in catalogue else "",
            "in_model": name in in_model,
            "shop": _weighted(rows, name) if everyone is None else pc.mean(everyone[name]).as_py(),
            "segments": {row["segment_id"]: row[MEAN + name] for row in rows},
        }
        for name in names
    ]


def _weighted(rows: list[Record], name: str) -> float | None:
    known = [(row["users"], row[MEAN + name]) for row in rows if row[MEAN + name] is not None]
    users = sum(count for count, _ in known)
    return sum(count * mean for count, mean in known) / users if users else None


def published_on(state: State, day: date) -> Published:
    """The day's current snapshot. Raises SegmentationError, naming the nearest published days, if there is none."""
    if day not in state.published:
        raise _not_there(day, state.published, "has no published snapshot", "published")
    return state.published[day]


def served_on(store: Store, day: date) -> Published:
    """What is published on the day, with profiles, names, rules and actions.

    Raises SegmentationError, naming the nearest days, if the day is not published; and, saying what to do, if it was by an
    earlier version, which made none.
    """
    published = published_on(store.state(), day)
    if not is_served(store, published):
        raise SegmentationError(
            f"{day} was published by an earlier version, which made no profiles, rules or actions; "
            f"`segmentation reconcile --recipe current --from {day}` makes them, for this day and those after it"
        )
    return published


def is_served(store: Store, published: Published) -> bool:
    """Whether the day has profiles, names, rules and actions; one of an earlier version has not."""
    return Folder.at(store.objects, published.folder).is_served


def latest(state: State) -> date:
    """The latest published day. Raises SegmentationError while there is none."""
    if not state.published:
        raise SegmentationError("no day is published yet; run one with `segmentation run --date YYYY-MM-DD`")
    return max(state.published)


def _not_there(day: date, days: Iterable[date], what: str, kind: str) -> SegmentationError:
    days = sorted(days)
    near = [*[other for other in days if other < day][-1:], *[other for other in days if other > day][:1]]
    if not near:
        return SegmentationError(f"{day} {what}, nor does any other day; run it with `segmentation run --date {day}`")
    verb = "day is" if len(near) == 1 else "days are"
    return SegmentationError(f"{day} {what}; the nearest {kind} {verb} {' and '.join(map(str, near))}")


def days_until(state: State, day: date) -> Iterator[tuple[date, Published]]:
    """The published days up to a day, in order."""
    for other in sorted(state.published):
        if other <= day:
            yield other, state.published[other]


def read_table(store: Store, published: Published, name: str, columns: list[str] | None = None) -> pa.Table:
    """A table of a published day: all its columns, or those named."""
    data = store.objects.get(f"{published.folder}/{name}.parquet")
    return pq.read_table(pa.BufferReader(data), columns=columns)


def features_of(store: Store, published: Published) -> pa.Table | None:
    # Kept for a while only, so that a file that is gone is no damage.
    data = store.objects.find(f"{published.folder}/features.parquet")
    return None if data is None else pq.read_table(pa.BufferReader(data))


def _catalogue() -> "dict[str, Feature]":
    from segmentation.features.catalogue import CATALOGUE  # loads the engines, which a list of days does not need

    return CATALOGUE


def as_number(value: Decimal | None) -> float | None:
    """Money as JSON can hold it."""
    return None if value is None else float(value)


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
