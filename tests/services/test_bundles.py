"""Bundles and next items against rules followed one by one."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from small_shops import gathered, memberships, random_sets

from segmentation.rules_settings import Rules
from segmentation.services import bundles as module
from segmentation.services.baskets import RETURNED, Baskets
from segmentation.services.bundles import BASKETS, HOLDS, MOST_BUNDLES, MOST_NEXT, bundles, next_items
from segmentation.services.occurrences import Members
from segmentation.services.rules import association_rules

SETTINGS = Rules(min_support=0.03, min_count=2, min_confidence=0.1)


@pytest.fixture(params=[1, 2, 3])
def shop(request):
    draw = np.random.default_rng(request.param)
    # Few items a basket; the first three often go together, but not always all of them.
    often = [f"item {letter}" for letter in "abc"]
    others = [basket - set(often) or {"item z"} for basket in random_sets(request.param, baskets=900, items=20)]
    sets = [
        frozenset(basket | {name for name in often if draw.random() < share})
        for basket, share in zip(others, draw.choice([0.0, 0.7], len(others), p=[0.7, 0.3]), strict=True)
    ]
    baskets = gathered(sets, users=150)
    baskets = replace(
        baskets,
        day=np.sort(draw.integers(0, 50, len(baskets))),
    )
    back = pa.table(
        [
            baskets.users.take(pa.array(draw.integers(0, len(baskets.users), 400))),
            baskets.items.take(pa.array(draw.integers(0, len(baskets.items), 400))),
        ],
        schema=RETURNED,
    )
    members = Members.of(baskets, *memberships(users=150))
    return sets, baskets, members, association_rules(baskets, members, SETTINGS).table, back


def plainly(sets, baskets, members, table, back):
    """Every user's next items, user by user and rule by rule."""
    found = []
    counted = {row["segment_id"] for row in table.to_pylist()}
    for user, name in enumerate(baskets.users.to_pylist()):
        mine = sorted(np.flatnonzero(baskets.user == user), key=lambda number: (baskets.day[number], number))
        segment = members.segment[mine[0]]
        last = set().union(*(sets[number] for number in mine[-BASKETS:]))
        returned = {row["item"] for row in back.to_pylist() if row["user_id"] == name}
        best: dict[str, tuple[float, int]] = {}
        for row in table.to_pylist():
            if segment < 0:
                continue
            theirs = members.segments[segment]
            if row["segment_id"] != (theirs if theirs in counted else None):
                continue
            (item,) = row["consequents"]
            holds = row["q"] <= HOLDS and row["lift"] > 1
            if holds and set(row["antecedents"]) <= last and item not in last | returned:
                best[item] = min(best.get(item, (2.0, 0)), (-row["confidence"], row["rule"]))
        ranked = sorted((value, item) for item, value in best.items())[:MOST_NEXT]
        found += [
            (name, rank, item, rule, -confidence) for rank, ((confidence, rule), item) in enumerate(ranked, start=1)
        ]
    return found


@pytest.mark.parametrize("together", [3, 20_000])
def test_next_items_are_those_of_rules_followed_one_by_one(shop, together, monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", together)
    sets, baskets, members, table, back = shop
    expected = plainly(sets, baskets, members, table, back)
    assert len({row[0] for row in expected}) > 5
    found = [tuple(row.values()) for row in next_items(table, baskets, members, back).sort_by("user_id").to_pylist()]
    assert sorted(found) == sorted(expected)


def test_a_segment_that_is_younger_than_the_rules_has_those_of_the_whole_shop(shop):
    sets, baskets, members, table, back = shop
    younger = replace(members, segments=(*members.segments[:-1], "zzz"))
    expected = plainly(sets, baskets, younger, table, back)
    assert {row[0] for row in expected} & set(
        baskets.users.take(pa.array(np.unique(baskets.user[members.segment == len(members.segments) - 1]))).to_pylist()
    )
    found = [tuple(row.values()) for row in next_items(table, baskets, younger, back).to_pylist()]
    assert sorted(found) == sorted(expected)


def test_rules_that_are_older_than_the_baskets(shop):
    """Some of their items are in no basket any more, and new ones have come."""
    sets, baskets, _, table, back = shop
    gone = {"item a", *baskets.items.to_pylist()[3:6]}
    others = [frozenset("new one" if item in gone else item for item in one) for one in sets]
    later = gathered(others, users=150)
    later = replace(later, day=baskets.day)
    theirs = Members.of(later, *memberships(users=150))
    # What nobody buys any more is followed by nothing, and follows nothing.
    dead = [bool(gone & {*row["antecedents"], *row["consequents"]}) for row in table.to_pylist()]
    expected = plainly(others, later, theirs, table.filter(pa.array([not one for one in dead])), back)
    assert any(dead)
    assert len(expected) > 3
    found = [tuple(row.values()) for row in next_items(table, later, theirs, back).to_pylist()]
    assert sorted(found) == sorted(expected)


def test_an_item_that_was_returned_is_never_next(shop):
    _, baskets, members, table, back = shop
    gone = {(row["user_id"], row["item"]) for row in back.to_pylist()}
    pairs = {(row["user_id"], row["item"]) for row in next_items(table, baskets, members, back).to_pylist()}
    kept = next_items(table, baskets, members, RETURNED.empty_table())
    without = {(row["user_id"], row["item"]) for row in kept.to_pylist()}
    assert pairs & gone == set()
    assert without & gone  # else nothing was put to the test


def test_bundles_hold_and_none_is_in_one_before_it(shop):
    *_, table, _ = shop
    rows = bundles(table).to_pylist()
    assert {row["segment_id"] for row in rows} >= {None}
    by_segment: dict[str | None, list[dict]] = {}
    for row in rows:
        before = by_segment.setdefault(row["segment_id"], [])
        assert row["rank"] == len(before) + 1 <= MOST_BUNDLES
        assert not any(set(row["items"]) <= set(other["items"]) for other in before)
        assert row["q"] <= HOLDS
        assert row["lift"] > 1
        before.append(row)
        same = [
            rule
            for rule in table.to_pylist()
            if rule["segment_id"] == row["segment_id"]
            and sorted([*rule["antecedents"], *rule["consequents"]]) == row["items"]
        ]
        assert {rule["count"] for rule in same} == {row["count"]}


def test_where_there_are_no_rules_there_is_nothing():
    none = Baskets.of([], [])
    table = association_rules(none, Members.of(none, *memberships()), SETTINGS).table
    assert (
        bundles(table).num_rows,
        next_items(table, none, Members.of(none, *memberships()), RETURNED.empty_table()).num_rows,
    ) == (0, 0)
