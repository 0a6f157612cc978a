"""One recommended action per user: the first rule that he meets.

The table `actions`: user_id, action, offer, since (from which day on he has it without a break), given (the latest day on
which it is to be carried out: `since`, and again after each cool-down). Users without an action are not in it.
The table `cooldowns`: user_id, action, given, of all that a later day may have to wait for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.action_rules import ActionRule
from segmentation.features.rows import Flags, Whole
from segmentation.services.names import TELLING

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("user_id", "action", "offer")),
        *((name, pa.date32()) for name in ("since", "given")),
    ]
)
COOLDOWNS = pa.schema([("user_id", pa.string()), ("action", pa.string()), ("given", pa.date32())])
NEVER = -1_000_000  # as days since 1970-01-01


@dataclass(frozen=True)
class Users:
    """The n users of the day, ascending by user_id.

    memberships: n rows; features: n rows; revenue: n whole numbers; consent: who may be written to. effects: of each segment
    and feature the profile's effect; worth: of each segment its revenue (or, without amounts, its purchases) per user.
    """

    memberships: pa.Table
    features: pa.Table
    revenue: Whole
    consent: Flags
    effects: Mapping[str, Mapping[str, float]]
    worth: Mapping[str, float]


@dataclass(frozen=True)
class Before:
    """Both tables of the day before."""

    actions: pa.Table
    cooldowns: pa.Table

    @classmethod
    def none(cls) -> "Before":
        return cls(SCHEMA.empty_table(), COOLDOWNS.empty_table())

    def given(self, action: str) -> pa.Table:
        """user_id, action, given: the latest dates of an action."""
        both = (table.select(COOLDOWNS.names) for table in (self.cooldowns, self.actions))
        return _latest(pa.concat_tables([table.filter(pc.equal(table["action"], action)) for table in both]))


def actions(rules: Sequence[ActionRule], users: Users, before: Before, day: date) -> tuple[pa.Table, pa.Table]:
    """The tables `actions` and `cooldowns` of the day.

    Who has an action keeps it while he meets its rule and none before it; it is given again after cooldown_days. Who does not
    have it gets it if no cool-down is in the way; of more than max_users those who have it already come first, then those
    with the most revenue.
    """
    today = (day - date(1970, 1, 1)).days
    ids = users.memberships["user_id"].combine_chunks()
    had, since, given = _had(before, ids, [rule.name for rule in rules])
    action = np.full(len(ids), -1)
    for number, rule in enumerate(rules):
        stands = had == number
        last = _last(before, ids, rule.name)
        free = today - last >= rule.cooldown_days
        for other, days in rule.not_after.items():
            free &= today - _last(before, ids, other) >= days
        gets = (action < 0) & meets(rule, users, today) & (stands | free)
        if rule.max_users and gets.sum() > rule.max_users:
            order = np.lexsort([np.arange(len(ids)), -users.revenue, ~stands])
            chosen = order[gets[order]][: rule.max_users]
            gets = np.zeros(len(ids), np.bool_)
            gets[chosen] = True
        action[gets] = number
        again = gets & (~stands | (free & (rule.cooldown_days > 0)))
        since[gets & ~stands] = today
        given[again] = today
    has = np.flatnonzero(action >= 0)
    table = pa.table(
        {
            "user_id": ids.take(pa.array(has)),
            "action": pa.array([rule.name for rule in rules], pa.string()).take(pa.array(action[has])),
            "offer": pa.array([rule.offer for rule in rules], pa.string()).take(pa.array(action[has])),
            "since": _days(since[has]),
            "given": _days(given[has]),
        },
        schema=SCHEMA,
    )
    return table, _cooldowns(rules, table, before, day)


def meets(rule: ActionRule, users: Users, today: int) -> Flags:
    """Who meets a rule's conditions on the day, but for cool-downs and caps."""
    members, features = users.memberships, users.features
    segment = members["segment_id"]
    met = np.ones(members.num_rows, np.bool_)
    if rule.needs_consent:
        met &= users.consent
    if rule.segment:
        fitting = [
            name
            for name, effects in users.effects.items()
            if all(
                effects.get(feature, 0.0) * (1 if level == "high" else -1) >= TELLING
                for feature, level in rule.segment.items()
            )
        ]
        met &= _among(segment, fitting)
    if rule.segments:
        met &= _among(segment, rule.segments)
    for feature, limits in rule.user.items():
        if feature not in features.column_names:
            return np.zeros(members.num_rows, np.bool_)
        values = np.asarray(features[feature].to_numpy())
        met &= ~np.isnan(values)
        if limits.min is not None:
            met &= values >= limits.min
        if limits.max is not None:
            met &= values <= limits.max
    if rule.status:
        met &= _among(members["status"], rule.status)
    if rule.cause:
        met &= _among(members["cause"], rule.cause)
    if rule.within_days:
        stay = np.asarray(members["since"].combine_chunks().cast(pa.int32()).fill_null(NEVER))
        met &= today - stay < rule.within_days
    if rule.moved:
        there = sorted(users.worth)
        worth = np.array([*(users.worth[name] for name in there), np.nan])
        now, then = (
            worth[
                np.asarray(
                    pc.index_in(members[name].combine_chunks(), value_set=pa.array(there, pa.string())).fill_null(-1)
                )
            ]
            for name in ("segment_id", "previous_segment_id")
        )
        met &= now > then if rule.moved == "up" else now < then
    return met


def _among(column: pa.ChunkedArray, names: Sequence[str]) -> Flags:
    found = pc.is_in(column, value_set=pa.array(names, pa.string())).combine_chunks()
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _had(before: Before, ids: pa.Array, names: Sequence[str]) -> tuple[Whole, Whole, Whole]:
    """Of each user the number of the action of the day before (−1: none), since when, and when it was given."""
    place = pc.index_in(ids, value_set=before.actions["user_id"].combine_chunks())
    number = pc.index_in(before.actions["action"].combine_chunks(), value_set=pa.array(names, pa.string()))
    had = np.asarray(number.take(place).fill_null(-1)).astype(np.int64)
    since, given = (
        np.asarray(before.actions[name].combine_chunks().cast(pa.int32()).take(place).fill_null(NEVER)).astype(np.int64)
        for name in ("since", "given")
    )
    return had, since, given


def _last(before: Before, ids: pa.Array, action: str) -> Whole:
    """When each user was given an action the last time, as far as that may be waited for; also one that no rule waited for
    until today, by those who have it."""
    theirs = before.given(action)
    place = pc.index_in(ids, value_set=theirs["user_id"].combine_chunks())
    last = theirs["given"].combine_chunks().cast(pa.int32()).take(place).fill_null(NEVER)
    return np.asarray(last).astype(np.int64)


def _cooldowns(rules: Sequence[ActionRule], table: pa.Table, before: Before, day: date) -> pa.Table:
    """The latest dates on which something was given, while a rule waits for it: also of users who are gone, who may return."""
    waits = {rule.name: rule.cooldown_days for rule in rules}
    for rule in rules:
        for other, days in rule.not_after.items():
            waits[other] = max(waits.get(other, 0), days)
    parts = [COOLDOWNS.empty_table()]
    now = table.select(COOLDOWNS.names)
    for name, days in waits.items():
        if days:
            late = pa.scalar(day - timedelta(days=days), pa.date32())
            theirs = _latest(pa.concat_tables([now.filter(pc.equal(now["action"], name)), before.given(name)]))
            parts.append(theirs.filter(pc.greater(theirs["given"], late)))
    return pa.concat_tables(parts).sort_by([("user_id", "ascending"), ("action", "ascending")])


def _latest(given: pa.Table) -> pa.Table:
    groups = given.group_by(["user_id", "action"], use_threads=False)
    return groups.aggregate([("given", "max")]).rename_columns(COOLDOWNS.names)


def _days(numbers: Whole) -> pa.Array:
    return pa.array(numbers.astype(np.int32), pa.int32()).cast(pa.date32())
