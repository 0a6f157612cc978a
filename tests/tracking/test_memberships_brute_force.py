"""Memberships, causes and migrations against the second implementation in brute_force.py, on many small random shops."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import brute_force
import numpy as np
import pyarrow as pa
import pytest
from brute_force import Member, Rule

from segmentation.config import Adjustment
from segmentation.tracking import memberships as tracking
from segmentation.tracking.causes import Causes
from segmentation.tracking.migrations import migrations, span

FIRST = date(2024, 2, 20)  # a leap day is near
SHOPS = 80
NAMES = [field.name for field in fields(Member)]


@dataclass
class Day:
    day: date
    parent: date | None
    ids: list[str]
    distances: dict[str, dict[str, float]]
    as_before: dict[str, dict[str, float]] | None  # by the parent's model, where today's is another
    at_once: bool
    idle: dict[str, dict[str, float]]
    revenue: dict[str, int]
    first_seen: dict[str, date]


def shop(seed: int) -> tuple[Rule, list[Day]]:
    """A random shop: ids in no order, users who come, go and return, days with gaps, distances with ties and zeros, models
    that change: with other segments or with the same."""
    dice = random.Random(seed)
    ids = [f"{dice.randrange(16**8):08x}" for _ in range(dice.randint(1, 4))]
    rule = (
        Rule()
        if dice.random() < 0.7
        else Rule(8_000, 8_000 + 1000 * dice.randint(0, 9), dice.randint(0, 40), dice.choice([0, 4, 7]))
    )
    coarse = dice.random() < 0.6  # whole sixteenths: ties, zeros, and margins that end in half a per mille
    users = [f"{dice.choice('aBé0')}{n}" for n in range(dice.randint(1, 12))]
    restless = dice.choice([0.05, 0.15, 0.5])
    changing = dice.choice([0.0, 0.1, 0.3])

    def draw(most: int = 16) -> dict[str, float]:
        return {name: float(dice.randint(0, most)) if coarse else dice.random() * 4 for name in ids}

    def another_model() -> None:
        """Some segments end, some begin, and everyone may be near others than before."""
        nonlocal ids
        ids = [name for name in ids if dice.random() < 0.7]
        ids += [f"{dice.randrange(16**8):08x}" for _ in range(dice.randint(0 if ids else 1, 2))]

    place = {user: draw() for user in users}
    here = {user: dice.random() < 0.6 for user in users}
    first_seen: dict[str, date] = {}
    days: list[Day] = []
    day, parent = FIRST, None
    for _ in range(dice.randint(3, 45)):
        for user in users:
            if dice.random() < restless:
                place[user] = draw()
            if dice.random() < 0.08:
                here[user] = not here[user]
            if dice.random() < 0.03:  # seen on a day that is not published, or long before, or only later
                first_seen.setdefault(user, day - timedelta(days=dice.randint(0, 60)))
        population = [user for user in users if here[user]]
        for user in population:
            first_seen.setdefault(user, day)
        idle = {}
        ids_before = ids
        for user in population:
            kind = dice.random()
            if kind < 0.4:
                idle[user] = place[user]
            elif kind < 0.8:
                idle[user] = draw(2)
        revenue = {user: dice.randint(-50_000, 2_000_000) for user in population}
        held = at_once = None
        if parent and dice.random() < changing:
            held = {user: place[user] for user in population}
            at_once = dice.random() < 0.7
            if at_once:
                another_model()
            place = {user: draw() if dice.random() < 0.7 or ids != ids_before else place[user] for user in users}
        now = {user: place[user] for user in population}
        days.append(Day(day, parent, ids, now, held, bool(at_once), idle, revenue, dict(first_seen)))
        parent = day
        day += timedelta(days=dice.choice([1, 1, 1, 1, 1, 2, 3, 7, dice.randint(8, 40)]))
    return rule, days


@cache
def compared(
    seed: int,
) -> tuple[list[Day], list[tuple[Day, pa.Table, pa.Table | None]], list[tuple[date, dict[str, Member]]]]:
    """A shop's days, its real history and the expected one; made once for all tests."""
    rule, days = shop(seed)
    return days, list(real_history(rule, days)), expected_history(rule, days)


def placed(distances: Mapping[str, Mapping[str, float]], ids: list[str]) -> tuple[pa.Array, tracking.Assignment]:
    users = sorted(distances)
    table = np.array([[distances[user][name] for name in ids] for user in users]).reshape(-1, len(ids))
    return pa.array(users, pa.string()), tracking.Assignment.of(ids, table)


def real_history(rule: Rule, days: list[Day], turn: int = 0) -> Iterator[tuple[Day, pa.Table, pa.Table | None]]:
    """Each day with the memberships that the real code gives, and its parent's without the lapsed.

    turn: by how many places the columns are turned.
    """
    parent: tracking.Parent | None = None
    adjustment = Adjustment(**vars(rule))
    ids_before: list[str] = []
    for at in days:
        ids = at.ids[turn:] + at.ids[:turn]
        users, today = placed(at.distances, ids)
        if parent is None:
            members = tracking.baseline(at.day, users, today)
        else:
            causes = Causes(
                users,
                lambda at=at, ids=ids_before: placed(at.idle, ids),  # type: ignore[misc]
                None if at.as_before is None else lambda at=at, ids=ids_before: placed(at.as_before, ids),  # type: ignore[misc]
            )
            seen = np.array([at.first_seen[user] <= parent.day for user in users.to_pylist()], dtype=bool)
            members = tracking.follow(at.day, users, today, parent, adjustment, seen, causes, at_once=at.at_once)
        yield at, members, parent.memberships if parent else None
        parent = tracking.Parent.of(at.day, members)
        ids_before = ids


def as_members(table: pa.Table) -> dict[str, Member]:
    rows = table.to_pylist()
    return {row["user_id"]: Member(**{name: row[name] for name in NAMES}) for row in rows}


def as_cells(table: pa.Table) -> dict[tuple[str, str], dict[str, int]]:
    return {
        (row["from_segment_id"], row["to_segment_id"]): {
            "users": row["users"],
            "revenue": int(row["revenue"] * 10_000),
            **{cause: row[cause] for cause in ("behaviour", "ageing", "model")},
        }
        for row in table.to_pylist()
    }


def expected_history(rule: Rule, days: list[Day]) -> list[tuple[date, dict[str, Member]]]:
    history: list[tuple[date, dict[str, Member]]] = []
    before: Mapping[str, Member] = {}
    for at in days:
        before = brute_force.follow(
            at.day, at.parent, at.distances, before, at.idle, at.first_seen, rule, at.as_before, at.at_once
        )
        history.append((at.day, before))
    return history


@pytest.mark.parametrize("seed", range(SHOPS))
def test_every_row_of_every_day_is_what_the_rules_say(seed: int) -> None:
    _, real, expected = compared(seed)
    for (at, table, _), (_, rows) in zip(real, expected, strict=True):
        assert as_members(table) == rows, at.day
        assert table["user_id"].to_pylist() == sorted(rows)
        assert table.schema == tracking.SCHEMA


@pytest.mark.parametrize("seed", range(SHOPS))
def test_every_cell_of_every_days_migrations_is_what_the_rules_say(seed: int) -> None:
    _, real, history = compared(seed)
    expected = [(None, {}), *history]
    for position, (at, table, parent) in enumerate(real):
        revenue = np.array([at.revenue.get(user, 0) for user in table["user_id"].to_pylist()], dtype=np.int64)
        cells = migrations(table, parent, revenue)
        rows = brute_force.migrations(expected[position + 1][1], expected[position][1], at.revenue)
        assert as_cells(cells) == rows, at.day
        keys = list(zip(cells["from_segment_id"].to_pylist(), cells["to_segment_id"].to_pylist(), strict=True))
        assert keys == sorted(rows)
        of = Counter()
        for (start, _), cell in rows.items():
            of[start] += cell["users"]
        assert cells["share_of_from"].to_pylist() == [round(rows[key]["users"] / of[key[0]], 6) for key in keys]


@pytest.mark.parametrize("seed", range(SHOPS))
def test_two_files_tell_the_causes_of_a_whole_span(seed: int) -> None:
    """The brute force walks through all published days between; the real code sees the first and the last file only."""
    days, real, expected = compared(seed)
    tables = [(at, tracking.Parent.of(at.day, table).memberships) for at, table, _ in real]
    dice = random.Random(seed)
    for _ in range(8):
        a, b = sorted(dice.sample(range(len(days)), 2))
        at, last = tables[b]
        revenue = np.array([at.revenue[user] for user in last["user_id"].to_pylist()], dtype=np.int64)
        cells = span(tables[a][1], last, days[a].day, revenue)
        assert as_cells(cells) == brute_force.span(expected, days[a].day, days[b].day, at.revenue)


def test_the_random_shops_hold_what_they_are_meant_to_hold() -> None:
    """Otherwise the comparisons above would compare less than they say."""
    seen: Counter[str] = Counter()
    for seed in range(SHOPS):
        rule, _ = shop(seed)
        days, _, history = compared(seed)
        seen[f"k={len(days[0].ids)}"] += 1
        before: Mapping[str, Member] = {}
        for at, (_, members) in zip(days, history, strict=True):
            gap = (at.day - at.parent).days if at.parent else 0
            seen["gap"] += gap > 1
            seen["nobody here"] += not at.distances
            for user, member in members.items():
                seen[member.status] += 1
                seen[f"{member.status} by {member.cause}"] += 1
                old = before.get(user)
                if at.as_before is None and member.status in ("stayed", "moved") and old:
                    near = at.distances[user]
                    challenger = member.nearest_segment_id != old.segment_id
                    if member.nearest_since == at.day and (idle := at.idle.get(user)):
                        with_rule, without = (brute_force.nearest(idle, name) for name in (old.segment_id, None))
                        seen["a tie had they done nothing"] += with_rule != without
                    seen["tie"] += list(near.values()).count(min(near.values())) > 1
                    seen["at a centre"] += min(near.values()) == 0
                    seen["a gap counts several times"] += (
                        gap > 1 and challenger and member.nearest_segment_id == old.nearest_segment_id
                    )
                    seen["another challenger after a gap"] += gap > 1 and challenger and member.nearest_since == at.day
                    seen["cleared"] += old.points > 0 and member.nearest_segment_id == old.segment_id
                    seen["waits for the return's points"] += (
                        member.status == "stayed" and member.points >= rule.move_points
                    )
                    seen["went back"] += member.status == "moved" and old.previous_segment_id == member.segment_id
                    half = 2000 * (1 - near[member.nearest_segment_id] / near[old.segment_id]) if challenger else 0.0
                    seen["half a per mille"] += half % 2 == 1
            before = members
    assert min(seen[name] for name in ("k=1", "k=2", "k=3", "k=4", "gap", "nobody here", "tie", "at a centre")) >= 10, (
        seen
    )
    for name in (
        *("moved by ageing", "moved by behaviour", "reassigned by model"),
        *("entered", "reactivated", "lapsed", "stayed", "went back"),
    ):
        assert seen[name] >= 10, (name, seen)
    for name in (
        "a gap counts several times",
        "another challenger after a gap",
        "cleared",
        "a tie had they done nothing",
        "waits for the return's points",
    ):
        assert seen[name] >= 10, (name, seen)
    assert seen["half a per mille"] >= 3, seen


def test_rows_and_columns_of_migrations_add_up_to_both_populations() -> None:
    for seed in range(15):
        for _, table, parent in compared(seed)[1]:
            cells = migrations(table, parent, None).to_pylist()
            today = Counter(name for name in table["segment_id"].to_pylist() if name)
            before = Counter(parent["segment_id"].to_pylist()) if parent else Counter()
            arrived: Counter[str] = Counter()
            left: Counter[str] = Counter()
            for cell in cells:
                arrived[cell["to_segment_id"]] += cell["users"]
                left[cell["from_segment_id"]] += cell["users"]
                caused = cell["behaviour"] + cell["ageing"] + cell["model"]
                assert caused == (0 if cell["from_segment_id"] == cell["to_segment_id"] else cell["users"])
                assert cell["revenue"] is None
            del arrived["LAPSED"], left["NEW"]
            assert (arrived, left) == (today, before)


def test_the_order_in_which_a_fit_names_its_segments_changes_nothing() -> None:
    for seed in range(6):
        rule, days = shop(seed)
        for (_, one, _), (_, other, _) in zip(real_history(rule, days), real_history(rule, days, turn=1), strict=True):
            assert one.equals(other)


def test_money_of_a_cell_is_exact() -> None:
    users = pa.array(["a", "b"])
    today = tracking.Assignment.of(["s", "t"], np.array([[0.0, 1.0], [0.0, 1.0]]))
    members = tracking.baseline(FIRST, users, today)
    cells: list[dict[str, Any]] = migrations(members, None, np.array([10**17, -1])).to_pylist()
    assert cells[0]["revenue"] == Decimal("9999999999999.9999")
