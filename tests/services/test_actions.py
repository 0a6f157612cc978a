"""Actions: the first rule that a user meets, cool-downs, caps, consent; and a year of them against a plain simulation."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.action_rules import ActionRule
from segmentation.services.actions import Before, Users, actions

DAY = date(2024, 3, 1)


def users(rows, worth=None, effects=None):
    """rows: of each user a dict of what is not usual about him."""
    usual = {
        "segment_id": "a",
        "previous_segment_id": None,
        "status": "stayed",
        "since": DAY - timedelta(days=50),
        "cause": "behaviour",
        "recency": 5.0,
        "revenue": 0,
        "consent": True,
    }
    rows = [{**usual, **row} for row in rows]
    texts = ("segment_id", "previous_segment_id", "status", "cause")
    members = {name: pa.array([row[name] for row in rows], pa.string()) for name in texts}
    members["since"] = pa.array([row["since"] for row in rows], pa.date32())
    members["user_id"] = pa.array([f"u{number:03}" for number in range(len(rows))], pa.string())
    return Users(
        pa.table(members),
        pa.table({"recency": pa.array([row["recency"] for row in rows], pa.float64())}),
        np.array([row["revenue"] for row in rows], np.int64),
        np.array([row["consent"] for row in rows], np.bool_),
        effects or {"a": {"frequency": 0.5}, "b": {"frequency": -0.5}},
        worth or {"a": 10.0, "b": 5.0},
    )


def rule(name="x", **settings_of):
    return ActionRule(name=name, offer="coupon", **settings_of)


def given_to(rules, who, before=None, day=DAY):
    table, _ = actions(rules, who, before or Before.none(), day)
    return {row["user_id"]: row["action"] for row in table.to_pylist()}


def test_the_first_rule_that_is_met_counts():
    who = users([{"recency": 40.0}, {"recency": 20.0}, {"recency": 5.0}, {"recency": None}])
    rules = [rule("far", user={"recency": {"min": 30}}), rule("near", user={"recency": {"min": 10}})]
    assert given_to(rules, who) == {"u000": "far", "u001": "near"}


def test_conditions():
    who = users(
        [
            {"segment_id": "b", "previous_segment_id": "a", "since": DAY, "status": "moved", "cause": "ageing"},
            {"segment_id": "a", "previous_segment_id": "b", "since": DAY - timedelta(days=6)},
            {"segment_id": "NOISE", "previous_segment_id": "a"},
            {"status": "entered", "since": DAY},
        ]
    )
    for conditions, expected in [
        ({"segment": {"frequency": "high"}}, [1, 3]),
        ({"segment": {"frequency": "low"}}, [0]),
        ({"segments": ("b",)}, [0]),
        ({"moved": "down"}, [0]),
        ({"moved": "up"}, [1]),
        ({"within_days": 7}, [0, 1, 3]),
        ({"within_days": 6}, [0, 3]),
        ({"status": ("moved", "entered")}, [0, 3]),
        ({"cause": ("ageing",), "moved": "down"}, [0]),
        ({"user": {"recency": {"max": 5}}}, [0, 1, 2, 3]),
        ({"user": {"sessions": {"min": 0}}}, []),  # the data has no such feature
    ]:
        assert sorted(given_to([rule(**conditions)], who)) == [f"u{number:03}" for number in expected], conditions


def test_consent_is_honoured_where_it_is_needed():
    who = users([{"consent": False}, {"consent": True}])
    assert given_to([rule()], who) == {"u001": "x"}
    assert given_to([rule(needs_consent=False)], who) == {"u000": "x", "u001": "x"}


def test_of_too_many_those_who_have_it_stay_and_those_who_spend_most_come():
    who = users([{"revenue": revenue} for revenue in (1, 4, 2, 4, 3)])
    rules = [rule(max_users=2), rule("rest")]
    first, cooldowns = actions(rules, who, Before.none(), DAY)
    assert first.filter(pa.compute.equal(first["action"], "x"))["user_id"].to_pylist() == ["u001", "u003"]
    richer = users([{"revenue": revenue} for revenue in (9, 0, 2, 4, 3)])
    again = given_to(rules, richer, Before(first, cooldowns), DAY + timedelta(days=1))
    assert [user for user, action in again.items() if action == "x"] == ["u001", "u003"]


def test_since_and_given():
    rules = [rule(cooldown_days=3)]
    before, found = Before.none(), []
    for offset in range(8):
        day = DAY + timedelta(days=offset)
        table, cooldowns = actions(rules, users([{"recency": 1.0}]), before, day)
        before = Before(table, cooldowns)
        found += [((row["since"] - DAY).days, (row["given"] - DAY).days) for row in table.to_pylist()]
    assert found == [(0, 0), (0, 0), (0, 0), (0, 3), (0, 3), (0, 3), (0, 6), (0, 6)]


def test_who_returns_to_a_rule_waits_for_its_cool_down_and_gets_the_next_one_meanwhile():
    rules = [rule("win_back", user={"recency": {"min": 30}}, cooldown_days=10), rule("rest")]
    before, found = Before.none(), []
    for offset, recency in enumerate([40.0, 1.0, 40.0, *[40.0] * 9]):
        table, cooldowns = actions(rules, users([{"recency": recency}]), before, DAY + timedelta(days=offset))
        before = Before(table, cooldowns)
        found += table["action"].to_pylist()
    assert found == ["win_back", *["rest"] * 9, "win_back", "win_back"]


def test_a_rule_of_today_waits_for_what_was_given_when_none_waited_for_it():
    who, after = users([{"recency": 1.0}]), DAY + timedelta(days=1)
    table, cooldowns = actions([rule("care")], who, Before.none(), DAY)
    assert cooldowns.num_rows == 0
    changed = [rule("win", not_after={"care": 2}), rule("care")]
    table, cooldowns = actions(changed, who, Before(table, cooldowns), after)
    assert table["action"].to_pylist() == ["care"]
    assert cooldowns.to_pylist() == [{"user_id": "u000", "action": "care", "given": DAY}]
    table, _ = actions(changed, who, Before(table, cooldowns), after + timedelta(days=1))
    assert table["action"].to_pylist() == ["win"]


# A plain simulation -------------------------------------------------------------------------------------------------

RULES = (
    rule("care", user={"recency": {"min": 6}}, cooldown_days=4),
    rule("sale", user={"recency": {"min": 3, "max": 7}}, not_after={"care": 3}, max_users=2),
    rule("rest", not_after={"sale": 2}, cooldown_days=1, needs_consent=False),
)
RECENCIES = st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=15)


def plainly(days):
    """Of each day {user: (action, since, given)}, user by user."""
    had, given_last, history = {}, {}, []
    for today, recencies in enumerate(days):
        now = {}
        for each in RULES:
            waiting = [
                ("cooldown", each.name, each.cooldown_days),
                *(("after", *wait) for wait in each.not_after.items()),
            ]
            meets = []
            for user, recency in enumerate(recencies):
                limits = each.user.get("recency")
                inside = limits is None or (limits.min <= recency and (limits.max is None or recency <= limits.max))
                consent = user != 3 or not each.needs_consent
                free = all(today - given_last.get((user, other), -1000) >= wait for _, other, wait in waiting)
                stands = had.get(user, (None,))[0] == each.name
                if user not in now and inside and consent and (stands or free):
                    meets.append((not stands, -user, user, stands, free))  # later users have more revenue
            for _, _, user, stands, free in sorted(meets)[: each.max_users]:
                since = had[user][1] if stands else today
                new = not stands or (free and each.cooldown_days > 0)
                now[user] = (each.name, since, today if new else had[user][2])
        for user, (name, _, given_on) in now.items():
            given_last[user, name] = given_on
        had = now
        history.append(now)
    return history


@settings(max_examples=200)
@given(RECENCIES)
def test_a_history_of_actions_is_that_of_a_plain_simulation(days):
    before = Before.none()
    for today, (recencies, expected) in enumerate(zip(days, plainly(days), strict=True)):
        who = users([{"recency": float(value), "revenue": place} for place, value in enumerate(recencies)])
        who = replace(who, consent=np.array([True, True, True, False]))
        table, cooldowns = actions(RULES, who, before, DAY + timedelta(days=today))
        before = Before(table, cooldowns)
        found = {
            int(row["user_id"][1:]): (row["action"], (row["since"] - DAY).days, (row["given"] - DAY).days)
            for row in table.to_pylist()
        }
        assert found == expected
        late = [(DAY + timedelta(days=today) - row["given"]).days for row in cooldowns.to_pylist()]
        assert all(age < 4 for age in late)  # nothing is carried for longer than a rule waits for it
