"""The decisions of many days in a row about segments of DBSCAN and HDBSCAN, in a shop with a tenth of noise."""

from typing import Any

import numpy as np
import pytest
from decided_days import Shop, crowd, told

USERS = 1_200
CENTRES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])
LAST = np.arange(USERS) % 4 == 3  # the users of the last group
BEGINS, TAKES = 30, 14  # days


def people() -> np.ndarray:
    noise = np.random.default_rng(5).uniform(-5, 14, (120, 2))
    return np.vstack([crowd(users=USERS, centres=CENTRES), noise])


def quiet(day: int, points: np.ndarray) -> np.ndarray:
    return points


def done(day: int) -> float:
    """How much of it has happened."""
    return min(max((day - BEGINS) / TAKES, 0.0), 1.0)


def dies(day: int, points: np.ndarray) -> np.ndarray:
    members = np.flatnonzero(LAST)
    return np.delete(points, members[: int(done(day) * len(members))], axis=0)


def joins(day: int, points: np.ndarray) -> np.ndarray:
    members = np.flatnonzero(LAST)
    points[members[: int(done(day) * len(members))]] -= CENTRES[3]
    return points


def parts(day: int, points: np.ndarray) -> np.ndarray:
    members = np.flatnonzero(LAST)
    points[members[: int(done(day) * len(members) / 2)]] += [5.0, 0.0]
    return points


def comes(day: int, points: np.ndarray) -> np.ndarray:
    """In the middle of the noise: nobody is far out."""
    group = np.array([4.0, 4.0]) + np.random.default_rng(7).normal(0, 0.5, (110, 2))
    return np.vstack([points, group[: int(done(day) * len(group))]])


def bots(day: int, points: np.ndarray) -> np.ndarray:
    swarm = np.array([12.0, 12.0]) + np.random.default_rng(day).normal(0, 0.2, (150, 2))
    return np.vstack([points, swarm]) if BEGINS <= day < BEGINS + 5 else points


@pytest.mark.parametrize("algorithm", ["dbscan", "hdbscan"])
@pytest.mark.parametrize(
    ("happens", "reason", "ends", "begins", "within"),
    [
        (quiet, None, 0, 0, 0),
        (bots, None, 0, 0, 0),
        (comes, "far", 0, 1, 14),
        (parts, "far", 0, 1, 42),
        (joins, "halved", 1, 0, 21),
        (dies, "halved", 1, 0, 21),
    ],
)
def test_what_happens_leads_to_the_restructure_that_it_deserves(
    happens: Any, reason: str | None, ends: int, begins: int, within: int, algorithm: str
) -> None:
    shop, dice = Shop(clustering={"algorithm": algorithm}, adjustment={"ask_above": 0.9}), np.random.default_rng(1)
    decisions = shop.days(lambda day: (moved := happens(day, people())) + dice.normal(0, 0.2, moved.shape), 100)
    changes = [one for one in told(decisions)[1:] if one[1] != "hold"]
    if reason is None:
        assert changes == []
        return
    ((day, decision, why),) = changes
    assert (decision, why) == ("restructure", reason)
    assert BEGINS < day <= BEGINS + TAKES + within
    events = [event["event"] for event in decisions[day]["events"]]
    found = [sum(event in names for event in events) for names in (("born", "split"), ("died", "merged", "absorbed"))]
    assert found == [begins, ends]
    assert len(shop.ids) == 4 + begins - ends
    # A model without a new segment is a new one, too.
    assert decisions[day + 1]["evidence"]["model_born"] == decisions[day]["date"]


@pytest.mark.parametrize("algorithm", ["dbscan", "hdbscan"])
def test_a_new_segment_keeps_its_id_while_its_users_leave_its_cores(algorithm: str) -> None:
    """Its users' habits fill the window for weeks: they are elsewhere by then, out of reach of what they were."""
    clustering = {"algorithm": algorithm, "eps": 0.2}  # which HDBSCAN does not read
    shop, dice = Shop(14, clustering=clustering, adjustment={"ask_above": 0.9}), np.random.default_rng(1)
    others = np.delete(people(), np.flatnonzero(LAST), axis=0)

    def wanders(day: int) -> np.ndarray:
        points = comes(day, others)
        points[len(others) :] += min(max(day - BEGINS - 2 * TAKES, 0), 32) / 8  # to where the last group was
        return points + dice.normal(0, 0.2, points.shape)

    decisions = shop.days(wanders, 130)
    sentences = [one["sentence"] for one in decisions if one["reason"] == "settled"]
    assert all(one.startswith("The segments were moved to where their users are (") for one in sentences)
    changes = [(decision, reason) for _, decision, reason in told(decisions)[1:] if decision != "hold"]
    assert changes[0] == ("restructure", "far")
    assert ("update", "settled") in changes[1:]
    assert {decision for decision, _ in changes[1:]} == {"update"}
    (new,) = shop.ids - set(shop.decided[0].model.ids)
    group = shop.parent.memberships()["segment_id"].to_pylist()[len(others) :]
    assert group.count(new) > 0.9 * len(group)


GROUP = np.array([4.0, 4.0]) + np.random.default_rng(7).normal(0, 0.5, (300, 2))


@pytest.mark.parametrize("algorithm", ["dbscan", "hdbscan"])
def test_a_new_segment_that_shrinks_settles_once_and_hides_nothing_of_another(algorithm: str) -> None:
    """Two thirds of the newcomers go again; then two thirds of an old group do."""
    dice = np.random.default_rng(1)
    shop = Shop(14, clustering={"algorithm": algorithm}, adjustment={"ask_above": 0.9, "drift_distance": 9.0})

    def shrinks(day: int) -> np.ndarray:
        points = np.vstack([people(), GROUP[: 0 if day < 20 else 300 if day <= 60 else 90]])
        return points if day <= 100 else np.delete(points, np.flatnonzero(LAST)[:200], axis=0)

    decisions = shop.days(lambda day: (points := shrinks(day)) + dice.normal(0, 0.2, points.shape), 130)
    assert [reason for _, decision, reason in told(decisions) if decision == "update"] == ["settled"]
    (settled,) = (one for one in decisions if one["reason"] == "settled")
    (new,) = shop.ids - set(shop.decided[0].model.ids)
    assert settled["evidence"]["settles"] == {"reason": "halved", "segments": [new]}
    halved = [one["evidence"]["alarms"] for one in decisions if one["evidence"].get("alarms")]
    assert [alarm["reason"] for alarm in halved[-1]] == ["halved"]


def test_cores_are_renewed_where_the_data_has_moved_and_the_segments_are_the_same() -> None:
    """Nothing can be moved along; without it each week would find the same again."""
    shop, dice = Shop(clustering={"algorithm": "dbscan"}, adjustment={"drift_distance": 0.05}), np.random.default_rng(1)

    def moves(day: int) -> np.ndarray:
        points = people()
        points[:, 0] += 0.5 * (day > 20)
        return points + dice.normal(0, 0.2, points.shape)

    decisions = shop.days(moves, 90)
    assert [one for one in told(decisions)[1:] if one[2] != "challenged"] == [(28, "update", "renewed")]
    assert len([one for one in told(decisions) if one[2] == "challenged"]) <= 1  # the regular one


def test_a_regular_challenge_does_not_renew_the_cores_while_users_are_far() -> None:
    """Half of a group goes aside. Taken for what the shop is, they would be no alarm any more."""
    clustering = {"algorithm": "dbscan", "eps": 0.2}
    shop = Shop(clustering=clustering, adjustment={"ask_above": 0.9, "challenge_every_days": 7})
    dice = np.random.default_rng(1)

    def spreads(day: int) -> np.ndarray:
        points = people()
        points[LAST.nonzero()[0][::2]] += [min(max(day - 10, 0), 30) / 10, 0.0]
        return points + dice.normal(0, 0.2, points.shape)

    judged = [one for one in shop.days(spreads, 60) if "evaluation" in one["evidence"]]
    found = [(len(one["evidence"]["alarms"]), one["reason"]) for one in judged]
    # Before it is an alarm the challenge waits; when nothing was found for three weeks, they are at home there.
    assert found[4:7] == [(0, "evaluated"), (1, "challenged"), (1, "renewed")]
    assert {reason for _, reason in (*found[:4], *found[7:])} == {"challenged"}
