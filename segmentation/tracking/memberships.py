"""Who is in which segment: the nearest one, and the published one that follows it with hysteresis.

A user earns points on every date on which the same other segment is nearest, and moves when there are enough of them,
so that a clear change is followed in a few days and a user on the border waits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.clustering.transform import Matrix
from segmentation.config import Adjustment

Codes = npt.NDArray[np.int64]
CrossingCauses = Callable[[npt.NDArray[np.bool_], pa.Array, pa.Array], npt.NDArray[np.str_]]
NOWHERE = -1  # no segment

SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("segment_id", pa.string()),
        ("nearest_segment_id", pa.string()),
        ("nearest_since", pa.date32()),
        ("nearest_cause", pa.string()),
        ("points", pa.int64()),
        ("previous_segment_id", pa.string()),
        ("status", pa.string()),
        ("since", pa.date32()),
        ("cause", pa.string()),
        ("margin", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Parent:
    """The parent's day: its date and its memberships, without those who had lapsed."""

    day: date
    memberships: pa.Table

    @classmethod
    def of(cls, day: date, memberships: pa.Table) -> "Parent":
        return cls(day, memberships.filter(pc.not_equal(memberships["status"], "lapsed")))


@dataclass(frozen=True)
class Assignment:
    """Where the model puts users: segment ids in ascending order, and each user's distance to each, (users, ids)."""

    ids: tuple[str, ...]
    distances: Matrix

    @classmethod
    def of(cls, ids: Sequence[str], distances: Matrix) -> "Assignment":
        """`distances` has its columns in the order of `ids`."""
        order = sorted(range(len(ids)), key=lambda position: ids[position])
        return cls(tuple(ids[position] for position in order), distances[:, order])

    def with_former(self, *names: pa.ChunkedArray) -> "Assignment":
        """With the ids among `names` that the model has not (any more) as well, out of reach of everyone."""
        known: set[str] = set().union(*(column.unique().to_pylist() for column in names)) - {None}
        former = sorted(known - set(self.ids))
        nowhere = np.full((len(self.distances), len(former)), np.inf)
        return Assignment.of((*self.ids, *former), np.hstack([self.distances, nowhere])) if former else self

    def named(self, codes: Codes) -> pa.Array:
        """The ids at the positions; null for NOWHERE."""
        return pa.array(self.ids, pa.string()).take(pa.array(codes, pa.int64(), mask=codes == NOWHERE))

    def codes(self, names: pa.Array) -> Codes:
        """Position of each id in `ids`; NOWHERE for a null or an id that is not there."""
        return np.asarray(
            pc.fill_null(pc.index_in(names, value_set=pa.array(self.ids, pa.string())), NOWHERE).to_numpy(
                zero_copy_only=False
            ),
            dtype=np.int64,
        )

    def nearest(self, published: Codes) -> Codes:
        """The nearest segment of each user: a tie goes to the published segment, then to the smaller id."""
        if not len(published):  # nobody there, and perhaps no segment either
            return published
        nearest = np.argmin(self.distances, axis=1).astype(np.int64)
        rows = np.arange(len(nearest))
        tied = (published != NOWHERE) & (self.distances[rows, published] == self.distances[rows, nearest])
        return np.where(tied, published, nearest)


@dataclass(frozen=True)
class Redefined:
    """Users whom today's definition of the population leaves out and the parent's would count, and the other way round.

    It is defined by the window and by whom the table of users excludes.
    """

    excluded: pa.Array
    counted: pa.Array

    @classmethod
    def of(cls, excluded: pa.Array, before: pa.Array) -> "Redefined":
        return cls(excluded, before.filter(pc.invert(pc.is_in(before, value_set=excluded))))


NOBODY = Redefined(pa.array([], pa.string()), pa.array([], pa.string()))


def baseline(day: date, users: pa.Array, today: Assignment) -> pa.Table:
    """The memberships of the first day: everyone enters the nearest segment.

    `users` are the population's ids in ascending order, one per row of `today`.
    """
    nobody = np.full(len(users), NOWHERE, dtype=np.int64)
    nearest = today.nearest(nobody)
    return _table(day, users, today, nearest, nearest, status=np.full(len(users), "entered"))


def follow(
    day: date,
    users: pa.Array,
    today: Assignment,
    parent: Parent,
    adjustment: Adjustment,
    seen_before: npt.NDArray[np.bool_],
    crossing_causes: CrossingCauses,
    redefined: Redefined = NOBODY,
    at_once: bool = False,
) -> pa.Table:
    """The memberships of a day that has a parent.

    `users` are the population's ids in ascending order, one per row of `today`. `seen_before` tells who had an
    accepted row on or before the parent's date. `crossing_causes(crossed, published, nearest)` gives the cause
    ("behaviour", "ageing", "model") of the users of the mask, in order; the other two are those users' segment ids. Who
    comes back or leaves only because the population is defined otherwise now (`redefined`) does so by the model, not by
    what he did. at_once: the model has another structure: who is nearest to another segment by it, or was in one that is no
    more, goes there without waiting, by the model. Who was on the way between two that live on stays on it.

    Returns one row per user of today's population or the parent's (these with status `lapsed`), sorted by user_id.
    """
    before = parent.memberships
    position = pc.index_in(users, value_set=before["user_id"].combine_chunks())
    stays = np.asarray(position.is_valid().to_numpy(zero_copy_only=False))
    state = before.take(pc.fill_null(position, 0)) if before.num_rows else before
    if not before.num_rows:
        state = pa.Table.from_pylist([dict.fromkeys(SCHEMA.names)] * len(users), SCHEMA)

    alive = pa.array(today.ids, pa.string())
    today = today.with_former(state["segment_id"], state["nearest_segment_id"], state["previous_segment_id"])
    published = np.where(stays, today.codes(state["segment_id"].combine_chunks()), NOWHERE)
    nearest = today.nearest(published)
    parent_nearest = np.where(stays, today.codes(state["nearest_segment_id"].combine_chunks()), NOWHERE)
    crossed = stays & (nearest != parent_nearest)

    nearest_since = np.where(crossed | ~stays, np.datetime64(day), _days(state["nearest_since"]))
    entered = np.where(seen_before & _among(users, redefined.counted), "model", "behaviour")
    nearest_cause = np.where(stays, _texts(state["nearest_cause"]), entered)
    # From one challenger to the next is one way out of the published segment: if the user did something that led him out,
    # then time alone has not brought him where he is, though it did the rest of the way.
    led_out = crossed & (nearest != published) & (parent_nearest != published) & (nearest_cause == "behaviour")
    nearest_cause[crossed] = crossing_causes(crossed, today.named(published[crossed]), today.named(nearest[crossed]))
    nearest_cause[led_out & (nearest_cause == "ageing")] = "behaviour"

    # Points: 1 + margin_weight × margin for a date on which another segment is nearest; a gap of g days counts g times
    # if the challenger is the one that the parent had, and a new challenger starts afresh.
    margin = _margins(today, published, nearest)
    challenged = stays & (nearest != published)
    same_challenger = challenged & ~crossed
    gap = (day - parent.day).days
    earned = 1000 + adjustment.margin_weight * margin
    points = np.where(same_challenger, _numbers(state["points"]) + gap * earned, np.where(challenged, earned, 0))

    # The segment that was left lately asks for more.
    left = np.where(stays, today.codes(state["previous_segment_id"].combine_chunks()), NOWHERE)
    since = _days(state["since"])
    lately = (np.datetime64(day) - since).astype(np.int64) < adjustment.return_days
    needed = np.where(lately & (left == nearest), adjustment.return_points, adjustment.move_points)
    due = points >= needed
    ended = np.asarray(pc.invert(pc.is_in(state["segment_id"], value_set=alive)).to_numpy(zero_copy_only=False))
    moved = challenged & (due | (at_once & (ended | (crossed & (nearest_cause == "model")))))
    why = np.where(moved & ended & ~due, "model", nearest_cause)

    segment = np.where(moved | ~stays, nearest, published)
    changed = np.where(why == "model", "reassigned", "moved")
    status = np.where(stays, np.where(moved, changed, "stayed"), np.where(seen_before, "reactivated", "entered"))
    present = _table(
        day,
        users,
        today,
        segment,
        nearest,
        status=status,
        points=np.where(moved, 0, points),
        nearest_since=nearest_since,
        nearest_cause=nearest_cause,
        previous=np.where(moved, published, left),
        since=np.where(moved | ~stays, np.datetime64(day), since),
        cause=np.where(moved, why, np.where(stays, _texts(state["cause"]), entered)),
        margin=np.where(moved, _margins(today, nearest, nearest), margin),
    )
    return pa.concat_tables([present, _lapsed(day, users, before, redefined)]).sort_by("user_id")


def _margins(today: Assignment, published: Codes, nearest: Codes) -> Codes:
    """Per mille, rounded half to even: the challenger's 1 − nearest / published, else 1 − nearest / second nearest."""
    if not len(nearest):
        return nearest
    rows = np.arange(len(nearest))
    nearest_distance = today.distances[rows, nearest]
    if len(today.ids) > 1:
        without = today.distances.copy()
        without[rows, nearest] = np.inf
        second = without.min(axis=1)
    else:
        second = np.full(len(nearest), np.inf)
    other = np.where((published == NOWHERE) | (published == nearest), second, today.distances[rows, published])
    with np.errstate(invalid="ignore"):
        ratio = np.where(other > 0, nearest_distance / np.where(other > 0, other, 1.0), 1.0)
    return np.asarray(np.rint(1000 * (1 - ratio)), dtype=np.int64)


def _table(
    day: date,
    users: pa.Array,
    today: Assignment,
    segment: Codes,
    nearest: Codes,
    *,
    status: npt.NDArray[np.str_],
    points: Codes | None = None,
    nearest_since: npt.NDArray[np.datetime64] | None = None,
    nearest_cause: npt.NDArray[np.str_] | None = None,
    previous: Codes | None = None,
    since: npt.NDArray[np.datetime64] | None = None,
    cause: npt.NDArray[np.str_] | None = None,
    margin: Codes | None = None,
) -> pa.Table:
    """A memberships table; what is not given is as for a user who enters on this day."""
    count = len(users)
    today_dates = np.full(count, np.datetime64(day))
    behaviour = np.full(count, "behaviour")

    def chosen(given: npt.NDArray[np.generic] | None, default: npt.NDArray[np.generic], kind: pa.DataType) -> pa.Array:
        return pa.array(default if given is None else given).cast(kind)

    columns = [
        users.cast(pa.string()),
        today.named(segment),
        today.named(nearest),
        chosen(nearest_since, today_dates, pa.date32()),
        chosen(nearest_cause, behaviour, pa.string()),
        chosen(points, np.zeros(count, dtype=np.int64), pa.int64()),
        today.named(np.full(count, NOWHERE, dtype=np.int64) if previous is None else previous),
        chosen(status, status, pa.string()),
        chosen(since, today_dates, pa.date32()),
        chosen(cause, behaviour, pa.string()),
        chosen(margin, _margins(today, segment, nearest), pa.int64()),
    ]
    return pa.table(columns, schema=SCHEMA)


def _lapsed(day: date, users: pa.Array, before: pa.Table, redefined: Redefined) -> pa.Table:
    """One last row for each user of the parent's population who is not in today's."""
    gone = before.filter(pc.invert(pc.is_in(before["user_id"], value_set=users.cast(pa.string()))))
    count = gone.num_rows
    nothing = pa.nulls(count, pa.string())
    today = pa.array([day] * count, pa.date32())
    excluded = _among(gone["user_id"].combine_chunks(), redefined.excluded)
    cause = pa.array(np.where(excluded, "model", "ageing"), pa.string())
    return pa.table(
        [
            gone["user_id"],
            nothing,
            nothing,
            today,
            cause,
            pa.array([0] * count, pa.int64()),
            gone["segment_id"],
            pa.array(["lapsed"] * count, pa.string()),
            today,
            cause,
            pa.array([0] * count, pa.int64()),
        ],
        schema=SCHEMA,
    )


def _among(users: pa.Array, ids: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_in(users.cast(pa.string()), value_set=ids).to_numpy(zero_copy_only=False), dtype=bool)


def _texts(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    return np.array(pc.fill_null(column, "").to_pylist(), dtype="<U10")


def _days(column: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype="datetime64[D]")


def _numbers(column: pa.ChunkedArray) -> Codes:
    return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
