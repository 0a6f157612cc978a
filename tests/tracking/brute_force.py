"""A second implementation of the daily tracking, plain and slow: dictionaries, loops and exact fractions.

Written from the rules (docs/architecture.md, "Memberships" and "First-seen"; docs/tables.md), not from the code that it is
compared with: it imports nothing of `segmentation`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

Distances = Mapping[str, float]  # segment id → distance

MOVES = ("entered", "reactivated", "moved", "reassigned")  # what counts as a published move


@dataclass(frozen=True)
class Rule:
    move_points: int = 11_500
    return_points: int = 18_000
    return_days: int = 28
    margin_weight: int = 4


@dataclass(frozen=True)
class Member:
    """One row of `memberships`."""

    segment_id: str | None
    nearest_segment_id: str | None
    nearest_since: date
    nearest_cause: str
    points: int
    previous_segment_id: str | None
    status: str
    since: date
    cause: str
    margin: int


def nearest(distances: Distances, published: str | None) -> str:
    """The segment at the least distance; a tie goes to the published segment, then to the smaller id."""
    least = min(distances.values())
    tied = [name for name in distances if distances[name] == least]
    return published if published in tied else min(tied)


def margin(distances: Distances, published: str, near: str) -> int:
    """Per mille, half to even. The challenger's 1 − nearest / published; without one, 1 − nearest / second nearest."""
    if near == published:
        others = [distance for name, distance in distances.items() if name != near]
        if not others:
            return 1000  # nothing else is anywhere near
        other = min(others)
    else:
        if published not in distances:
            return 1000  # a segment that is no more is out of reach
        other = distances[published]
    if other == 0:
        return 0  # then the nearest is at distance 0 too: no better
    return round(1000 * (1 - Fraction(distances[near]) / Fraction(other)))


def follow(
    day: date,
    parent_day: date | None,
    distances: Mapping[str, Distances],
    before: Mapping[str, Member],
    idle: Mapping[str, Distances],
    first_seen: Mapping[str, date],
    rule: Rule = Rule(),
    as_before: Mapping[str, Distances] | None = None,
    at_once: bool = False,
) -> dict[str, Member]:
    """The memberships of one day.

    `distances`: of today's population, by today's model. `before`: the parent's memberships, whole. `idle`: distances by the
    parent's model that users would have today had they done nothing since the parent's day; who would have no row in the
    window is not in it. `as_before`: today's distances by the parent's model; None where today's is the same. `at_once`:
    nobody waits whom the model puts elsewhere.
    """
    population_before = {user: member for user, member in before.items() if member.status != "lapsed"}
    result = {}
    for user in sorted(set(distances) | set(population_before)):
        if user not in distances:
            left = population_before[user].segment_id
            result[user] = Member(None, None, day, "ageing", 0, left, "lapsed", day, "ageing", 0)
        elif user not in population_before:
            near = nearest(distances[user], None)
            known = parent_day is not None and user in first_seen and first_seen[user] <= parent_day
            status = "reactivated" if known else "entered"
            how_far = margin(distances[user], near, near)
            result[user] = Member(near, near, day, "behaviour", 0, None, status, day, "behaviour", how_far)
        else:
            assert parent_day is not None
            gap = (day - parent_day).days
            old = population_before[user]
            held = distances[user] if as_before is None else as_before[user]
            result[user] = _stay(day, gap, distances[user], held, old, idle.get(user), rule, at_once)
    return result


def _stay(
    day: date,
    gap: int,
    distances: Distances,
    held: Distances,
    old: Member,
    idle: Distances | None,
    rule: Rule,
    at_once: bool,
) -> Member:
    published = old.segment_id
    assert published is not None
    near = nearest(distances, published)
    nearest_since, nearest_cause = old.nearest_since, old.nearest_cause
    if near != old.nearest_segment_id:
        nearest_since = day
        away = old.nearest_segment_id != published and near != published
        if idle is not None and nearest(idle, published) == near:
            nearest_cause = "behaviour" if away and old.nearest_cause == "behaviour" else "ageing"
        else:
            nearest_cause = "behaviour" if nearest(held, published) == near else "model"
    how_far = margin(distances, published, near)
    if near == published:
        return Member(
            published,
            near,
            nearest_since,
            nearest_cause,
            0,
            old.previous_segment_id,
            "stayed",
            old.since,
            old.cause,
            how_far,
        )
    earned = 1000 + rule.margin_weight * how_far
    points = old.points + gap * earned if old.nearest_segment_id == near else earned
    needed = rule.move_points
    if old.previous_segment_id == near and (day - old.since).days < rule.return_days:
        needed = rule.return_points
    ended = published not in distances
    by_model = near != old.nearest_segment_id and nearest_cause == "model"
    if points < needed and not (at_once and (ended or by_model)):
        return Member(
            published,
            near,
            nearest_since,
            nearest_cause,
            points,
            old.previous_segment_id,
            "stayed",
            old.since,
            old.cause,
            how_far,
        )
    settled = margin(distances, near, near)
    cause = "model" if ended and points < needed else nearest_cause
    status = "reassigned" if cause == "model" else "moved"
    return Member(near, near, nearest_since, nearest_cause, 0, published, status, day, cause, settled)


Cell = dict[str, int]  # users, revenue (1/10,000), behaviour, ageing, model


def migrations(
    today: Mapping[str, Member], before: Mapping[str, Member], revenue: Mapping[str, int]
) -> dict[tuple[str, str], Cell]:
    """One day's cells. `before`: the parent's memberships, whole (empty on the first day)."""
    cells: dict[tuple[str, str], Cell] = {}
    for user, member in today.items():
        old = before.get(user)
        start = old.segment_id if old and old.segment_id else "NEW"
        end = member.segment_id or "LAPSED"
        _count(cells, start, end, member.cause, revenue.get(user, 0) if member.segment_id else 0)
    return cells


def span(
    history: Iterable[tuple[date, Mapping[str, Member]]], first: date, last: date, revenue: Mapping[str, int]
) -> dict[tuple[str, str], Cell]:
    """The cells from one day to another, by walking through every published day between: the cause is the last move's."""
    days = dict(history)
    start = {user: member.segment_id for user, member in days[first].items() if member.segment_id}
    end = {user: member.segment_id for user, member in days[last].items() if member.segment_id}
    cause: dict[str, str] = {}
    for day in sorted(days):
        if first < day <= last:
            for user, member in days[day].items():
                if member.status in (*MOVES, "lapsed"):
                    cause[user] = member.cause
    cells: dict[tuple[str, str], Cell] = {}
    for user in set(start) | set(end):
        a, b = start.get(user, "NEW"), end.get(user, "LAPSED")
        _count(cells, a, b, cause.get(user, "none"), revenue.get(user, 0) if user in end else 0)
    return cells


def _count(cells: dict[tuple[str, str], Cell], start: str, end: str, cause: str, revenue: int) -> None:
    cell = cells.setdefault((start, end), {"users": 0, "revenue": 0, "behaviour": 0, "ageing": 0, "model": 0})
    cell["users"] += 1
    cell["revenue"] += revenue
    if start != end:
        cell[cause] += 1
