"""Hysteresis, ties, returns and causes by hand: one user, a table of days, every figure worked out on paper.

The rules: docs/architecture.md, "Memberships".
"""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from segmentation.config import Adjustment
from segmentation.tracking import memberships as tracking
from segmentation.tracking.migrations import span

START = date(2024, 1, 1)
A, B, C = "aaaaaaaa", "bbbbbbbb", "cccccccc"
IDS = (A, B, C)


def behaviour(crossed: np.ndarray, published: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    return np.full(int(crossed.sum()), "behaviour")


def walk(
    days: list[tuple[int, dict[str, float]]],
    adjustment: Adjustment | None = None,
    causes: tracking.CrossingCauses = behaviour,
) -> list[dict[str, Any]]:
    """The user's row of each day: (days after START, distance to each segment)."""
    parent = None
    rows = []
    for offset, distances in days:
        day = START + timedelta(days=offset)
        ids = sorted(distances)
        today = tracking.Assignment.of(ids, np.array([[distances[name] for name in ids]]))
        users = pa.array(["u"])
        if parent is None:
            table = tracking.baseline(day, users, today)
        else:
            table = tracking.follow(day, users, today, parent, adjustment or Adjustment(), np.array([True]), causes)
        parent = tracking.Parent.of(day, table)
        rows += table.to_pylist()
    return rows


def seen(rows: list[dict[str, Any]]) -> list[tuple[str, str, int, int, str]]:
    return [(row["segment_id"], row["nearest_segment_id"], row["margin"], row["points"], row["status"]) for row in rows]


AT_A = {A: 1.0, B: 2.0, C: 4.0}  # nearest a, second b: margin 1 − 1/2 = 500
NEAR_B = {A: 2.0, B: 1.0, C: 4.0}  # challenger b: margin 1 − 1/2 = 500, so 1 + 4 × 0.5 = 3 points a date
CLOSE_B = {A: 1.0, B: 0.999, C: 4.0}  # margin 1 − 0.999 = 1 ‰, so 1.004 points
IN_B = {A: 3.0, B: 0.0, C: 4.0}  # margin 1: 5 points
NEAR_C = {A: 2.0, B: 3.0, C: 1.5}  # challenger c: margin 1 − 1.5/2 = 250, so 2 points


def test_fifteen_days_of_one_user() -> None:
    rows = walk(
        [
            (0, AT_A),  # enters a
            (1, NEAR_B),  # 3.000
            (2, NEAR_B),  # 6.000
            (3, AT_A),  # the published segment is nearest: cleared
            (4, NEAR_B),  # 3.000, from the start
            (5, NEAR_C),  # another challenger starts afresh: 2.000
            (6, NEAR_C),  # 4.000
            (7, NEAR_B),  # afresh again: 3.000
            (8, NEAR_B),  # 6.000
            (11, NEAR_B),  # a gap of 3 days counts three times: 6 + 3 × 3 = 15 ≥ 11.5, moves to b
            (12, NEAR_B),  # in b now: margin 1 − 1/2 against the second nearest
            (13, AT_A),  # back? 3.000 of 18, a was left 2 days ago
            (16, AT_A),  # 3 + 3 × 3 = 12.000: enough for any other segment, not for this one
            (17, AT_A),  # 15.000
            (18, AT_A),  # 18.000: moves back to a
        ]
    )
    assert seen(rows) == [
        (A, A, 500, 0, "entered"),
        (A, B, 500, 3000, "stayed"),
        (A, B, 500, 6000, "stayed"),
        (A, A, 500, 0, "stayed"),
        (A, B, 500, 3000, "stayed"),
        (A, C, 250, 2000, "stayed"),
        (A, C, 250, 4000, "stayed"),
        (A, B, 500, 3000, "stayed"),
        (A, B, 500, 6000, "stayed"),
        (B, B, 500, 0, "moved"),
        (B, B, 500, 0, "stayed"),
        (B, A, 500, 3000, "stayed"),
        (B, A, 500, 12000, "stayed"),
        (B, A, 500, 15000, "stayed"),
        (A, A, 500, 0, "moved"),
    ]
    days = [START + timedelta(days=offset) for offset in (0, 1, 1, 3, 4, 5, 5, 7, 7, 7, 7, 13, 13, 13, 13)]
    assert [row["nearest_since"] for row in rows] == days
    assert [row["previous_segment_id"] for row in rows] == [None] * 9 + [A] * 5 + [B]
    assert [(row["since"] - START).days for row in rows] == [0] * 9 + [11] * 5 + [18]


def test_a_new_challenger_counts_once_even_after_a_gap() -> None:
    rows = walk([(0, AT_A), (20, IN_B), (21, IN_B), (22, IN_B)])
    assert [row["points"] for row in rows] == [0, 5000, 10000, 0]
    assert [row["status"] for row in rows] == ["entered", "stayed", "stayed", "moved"]


def test_a_user_on_the_border_waits_twelve_dates_and_a_clear_one_three() -> None:
    border = walk([(0, AT_A)] + [(day, CLOSE_B) for day in range(1, 13)])
    assert [row["status"] for row in border] == ["entered"] + ["stayed"] * 11 + ["moved"]
    assert border[11]["points"] == 11 * 1004
    clear = walk([(0, AT_A)] + [(day, IN_B) for day in range(1, 4)])
    assert [row["status"] for row in clear] == ["entered", "stayed", "stayed", "moved"]


@pytest.mark.parametrize(
    ("day", "moves"),
    [
        (31, False),  # a was left on day 4, that is 27 days ago: 3 × 5 = 15 points are not 18
        (32, True),  # 28 days ago is not "less than 28 days": 11.5 are enough
    ],
)
def test_the_way_back_is_dear_for_less_than_twenty_eight_days(day: int, moves: bool) -> None:
    in_a = {A: 0.0, B: 3.0, C: 4.0}
    days = [(0, AT_A), (1, IN_B), (2, IN_B), (4, IN_B)] + [(offset, IN_B) for offset in range(5, day - 2)]
    rows = walk([*days, (day - 2, in_a), (day - 1, in_a), (day, in_a)])
    assert rows[3]["status"] == "moved"
    assert rows[3]["since"] == START + timedelta(days=4)
    assert rows[-2]["points"] == 10000
    assert (rows[-1]["segment_id"] == A) is moves
    assert rows[-1]["points"] == (0 if moves else 15000)


def test_the_way_to_a_third_segment_is_not_dear() -> None:
    in_c = {A: 2.0, B: 3.0, C: 0.0}
    rows = walk([(0, AT_A), (1, IN_B), (2, IN_B), (3, IN_B), (4, in_c), (5, in_c), (6, in_c)])
    assert [(row["segment_id"], row["previous_segment_id"]) for row in rows[3:]] == [(B, A), (B, A), (B, A), (C, B)]


def test_a_tie_goes_to_the_published_segment_then_to_the_smaller_id() -> None:
    rows = walk(
        [
            (0, {A: 2.0, B: 2.0, C: 2.0}),  # nobody is published yet: the smallest id
            (1, {A: 1.0, B: 1.0, C: 1.0}),  # a is published
            (2, {A: 2.0, B: 1.0, C: 1.0}),  # b and c before a: the smaller id challenges
            (3, {A: 1.0, B: 1.0, C: 1.0}),  # a tie with a: cleared
        ]
    )
    assert seen(rows) == [
        (A, A, 0, 0, "entered"),
        (A, A, 0, 0, "stayed"),
        (A, B, 500, 3000, "stayed"),
        (A, A, 0, 0, "stayed"),
    ]
    other = walk([(0, {A: 2.0, B: 3.0, C: 1.0}), (1, {A: 1.0, B: 1.0, C: 1.0})])
    assert seen(other)[1] == (C, C, 0, 0, "stayed")  # c is published, and stays so in a tie with smaller ids


@pytest.mark.parametrize(
    ("near", "published", "per_mille"),
    [
        (15.0, 16.0, 62),  # 62.5 → 62
        (13.0, 16.0, 188),  # 187.5 → 188
        (3.0, 16.0, 812),  # 812.5 → 812
        (1.0, 16.0, 938),  # 937.5 → 938
        (0.0, 1.0, 1000),
        (1.0, 3.0, 667),
    ],
)
def test_a_margin_is_rounded_half_to_even(near: float, published: float, per_mille: int) -> None:
    rows = walk([(0, {A: 0.0, B: 9.0}), (1, {A: published, B: near})])
    assert rows[1]["margin"] == per_mille
    assert rows[1]["points"] == 1000 + 4 * per_mille


def test_two_centres_at_distance_nought_are_a_tie_without_a_margin() -> None:
    rows = walk([(0, {A: 0.0, B: 0.0})])
    assert seen(rows) == [(A, A, 0, 0, "entered")]


def test_a_single_segment_has_no_rival() -> None:
    rows = walk([(0, {A: 3.0}), (5, {A: 0.0})])
    assert seen(rows) == [(A, A, 1000, 0, "entered"), (A, A, 1000, 0, "stayed")]


def test_without_the_margin_it_is_so_many_days_in_a_row() -> None:
    eight = Adjustment(margin_weight=0, move_points=8000, return_points=8000)
    rows = walk([(0, AT_A)] + [(day, IN_B) for day in range(1, 9)], eight)
    assert [row["status"] for row in rows] == ["entered"] + ["stayed"] * 7 + ["moved"]


def test_a_published_move_takes_the_cause_of_the_crossing_that_began_the_stay() -> None:
    """Crosses by ageing on day 1; what he does on days 2 and 3 does not change why he is there."""
    asked: list[int] = []

    def once(crossed: np.ndarray, published: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        asked.append(int(crossed.sum()))
        return np.full(int(crossed.sum()), "ageing")

    parent = None
    rows = []
    for offset, distances in enumerate([AT_A, IN_B, IN_B, IN_B, IN_B]):
        day = START + timedelta(days=offset)
        today = tracking.Assignment.of(IDS, np.array([[distances[name] for name in IDS]]))
        table = (
            tracking.follow(day, pa.array(["u"]), today, parent, Adjustment(), np.array([True]), once)
            if parent
            else tracking.baseline(day, pa.array(["u"]), today)
        )
        parent = tracking.Parent.of(day, table)
        rows += table.to_pylist()
    assert asked == [1, 0, 0, 0]
    assert [(row["status"], row["cause"], row["nearest_cause"]) for row in rows] == [
        ("entered", "behaviour", "behaviour"),
        ("stayed", "behaviour", "ageing"),
        ("stayed", "behaviour", "ageing"),
        ("moved", "ageing", "ageing"),
        ("stayed", "ageing", "ageing"),
    ]


@pytest.mark.parametrize(
    ("way", "causes", "cause"),
    [
        ("abccc", ["behaviour", "ageing"], "behaviour"),  # what he did led him out, time did the rest
        ("abccc", ["ageing", "ageing"], "ageing"),
        ("abccc", ["ageing", "behaviour"], "behaviour"),
        ("abccc", ["behaviour", "model"], "model"),
        ("abccc", ["model", "ageing"], "ageing"),  # on a day that holds, no crossing is the model's
        ("abaccc", ["behaviour", "ageing", "ageing"], "ageing"),  # he was back in between: another way out
        ("abcbbb", ["behaviour", "ageing", "ageing"], "behaviour"),
    ],
)
def test_from_one_challenger_to_another_it_is_one_way_out(way: str, causes: list[str], cause: str) -> None:
    where = {"a": AT_A, "b": IN_B, "c": {A: 2.0, B: 3.0, C: 0.0}}
    left = iter(causes)
    rows = walk(
        [(offset, where[letter]) for offset, letter in enumerate(way)],
        causes=lambda crossed, *_: np.array([next(left) for _ in range(crossed.sum())], dtype="<U9"),
    )
    assert [row["status"] for row in rows[1:]] == ["stayed"] * (len(way) - 2) + [
        "reassigned" if cause == "model" else "moved"
    ]
    assert rows[-1]["cause"] == cause


def test_a_crossing_by_the_model_is_reassigned_not_moved() -> None:
    def model(crossed: np.ndarray, published: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        return np.full(int(crossed.sum()), "model")

    day = START
    parent = None
    statuses = []
    for distances in [AT_A, IN_B, IN_B, IN_B]:
        today = tracking.Assignment.of(IDS, np.array([[distances[name] for name in IDS]]))
        users = pa.array(["u"])
        table = (
            tracking.follow(day, users, today, parent, Adjustment(), np.array([True]), model)
            if parent
            else tracking.baseline(day, users, today)
        )
        parent = tracking.Parent.of(day, table)
        statuses.append((table["status"][0].as_py(), table["cause"][0].as_py()))
        day += timedelta(days=1)
    assert statuses[-1] == ("reassigned", "model")
    assert statuses[-2] == ("stayed", "behaviour")


def test_who_leaves_is_there_once_more_and_then_not() -> None:
    today = tracking.Assignment.of(IDS, np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]]))
    first = tracking.baseline(START, pa.array(["u", "v"]), today)
    second_day, third_day = START + timedelta(days=1), START + timedelta(days=2)
    nobody = np.array([True])
    only_u = tracking.Assignment.of(IDS, np.array([[1.0, 2.0, 3.0]]))
    second = tracking.follow(
        second_day, pa.array(["u"]), only_u, tracking.Parent.of(START, first), Adjustment(), nobody, behaviour
    )
    assert second.to_pylist()[1] == {
        "user_id": "v",
        "segment_id": None,
        "nearest_segment_id": None,
        "nearest_since": second_day,
        "nearest_cause": "ageing",
        "points": 0,
        "previous_segment_id": B,
        "status": "lapsed",
        "since": second_day,
        "cause": "ageing",
        "margin": 0,
    }
    third = tracking.follow(
        third_day, pa.array(["u"]), only_u, tracking.Parent.of(second_day, second), Adjustment(), nobody, behaviour
    )
    assert third["user_id"].to_pylist() == ["u"]


def test_a_population_may_be_empty_and_come_back() -> None:
    nobody = pa.array([], pa.string())
    nowhere = tracking.Assignment.of(IDS, np.empty((0, 3)))
    today = tracking.Assignment.of(IDS, np.array([[1.0, 2.0, 3.0]]))
    first = tracking.baseline(START, pa.array(["u"]), today)
    second = tracking.follow(
        START + timedelta(days=1),
        nobody,
        nowhere,
        tracking.Parent.of(START, first),
        Adjustment(),
        np.array([], bool),
        behaviour,
    )
    assert second["status"].to_pylist() == ["lapsed"]
    third = tracking.follow(
        START + timedelta(days=2),
        pa.array(["u"]),
        today,
        tracking.Parent.of(START + timedelta(days=1), second),
        Adjustment(),
        np.array([True]),
        behaviour,
    )
    assert third["status"].to_pylist() == ["reactivated"]


def test_over_a_span_who_has_not_moved_since_its_first_day_was_placed_elsewhere_by_a_model() -> None:
    """`since` on the first day itself is no move in (A, B]; the ids differ, so they were replaced."""
    today = [tracking.Assignment.of([name, "ffffffff"], np.array([[1.0, 2.0]])) for name in (A, B)]
    first, last = (tracking.baseline(START, pa.array(["u"]), at) for at in today)
    cell = span(first, last, START, None).to_pylist()[0]
    assert (cell["from_segment_id"], cell["to_segment_id"], cell["model"], cell["behaviour"]) == (A, B, 1, 0)
