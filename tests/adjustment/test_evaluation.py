"""Evaluation days, their figures, and what makes a challenge due."""

import json
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from segmentation.adjustment.drift import DRIFT
from segmentation.adjustment.evaluation import Saved, due, evaluation_day
from segmentation.adjustment.evaluation import evaluate as evaluate_with
from segmentation.adjustment.evaluation import fitted as fitted_with
from segmentation.config import Adjustment
from segmentation.store.content import canonical_json

DAY = date(2024, 1, 8)
SETTINGS = Adjustment()
QUIET = DRIFT.empty_table()


def alarms(**features: bool) -> pa.Table:
    rows = [
        {"feature": name, "psi": 0.1, "floor": 0.05, "wasserstein": 0.2, "alarm": alarm, "compared_with": DAY}
        for name, alarm in features.items()
    ]
    return pa.Table.from_pylist(rows, DRIFT)


def reach(distances: np.ndarray, ids: list[str]) -> np.ndarray:
    """The distance to the nearest segment: on these scales without ends."""
    return distances[:, : len(ids)].min(axis=1, initial=np.inf)


def fitted(distances: np.ndarray, ids: list[str]) -> dict[str, Any]:
    """Without centres: what a segment is worth is its share."""
    return fitted_with(distances, ids, reach(distances, ids), None, None)


def evaluate(
    day: date, distances: np.ndarray, ids: list[str], reference: dict[str, Any], drift: pa.Table
) -> dict[str, Any]:
    return evaluate_with(day, distances, ids, reach(distances, ids), reference, drift, None)


def line(*groups: tuple[int, float]) -> np.ndarray:
    """(users, place) … on a line with segments at 0 and 10 → distances."""
    places = np.concatenate([np.full(users, place) for users, place in groups])
    return np.abs(places[:, None] - np.array([0.0, 10.0]))


# Which days


def test_blocks_begin_on_mondays() -> None:
    monday = date(2024, 1, 8)
    published = [monday + timedelta(days=number) for number in range(-3, 15)]
    found = [day for parent, day in pairwise(published) if evaluation_day(day, parent, 7)]
    assert found == [monday, monday + timedelta(days=7), monday + timedelta(days=14)]


def test_the_first_day_of_a_history_is_none() -> None:
    assert not evaluation_day(DAY, None, 7)


def test_the_first_published_day_of_a_block_is_one_whichever_weekday_it_is() -> None:
    assert evaluation_day(date(2024, 1, 11), date(2024, 1, 7), 7)
    assert not evaluation_day(date(2024, 1, 12), date(2024, 1, 11), 7)
    assert evaluation_day(date(2024, 3, 1), date(2024, 1, 7), 7)


def test_a_filled_gap_changes_no_other_block() -> None:
    days = [DAY + timedelta(days=number) for number in (0, 3, 8, 9, 20, 22, 30)]

    def found(published: list[date]) -> list[date]:
        return [day for parent, day in pairwise(published) if evaluation_day(day, parent, 7)]

    filled = sorted([*days, DAY + timedelta(days=7)])
    before, after = found(days), found(filled)
    assert set(before) ^ set(after) == {DAY + timedelta(days=7), DAY + timedelta(days=8)}


def test_a_quarter_begins_on_an_evaluation_day() -> None:
    days = [DAY + timedelta(days=number) for number in range(400)]
    pairs = list(pairwise(days))
    quarters = [day for parent, day in pairs if evaluation_day(day, parent, 91)]
    assert len(quarters) == 5
    assert all(evaluation_day(day, day - timedelta(days=1), 7) for day in quarters)
    assert evaluation_day(date(1970, 1, 5), date(1970, 1, 4), 91)  # before and after the beginning of the count


# The figures


def test_one_user_in_a_hundred_is_far_on_the_day_itself() -> None:
    distances = np.abs(np.random.default_rng(0).normal(0, 1, (1_000, 3)))
    ids = ["a", "b", "c"]
    reference = fitted(distances, ids)
    assert reference["far"] == pytest.approx(np.sort(distances.min(axis=1))[989], abs=0.05)
    figures = evaluate(DAY, distances, ids, reference, QUIET)
    assert figures["far"] == 0.01
    assert figures["shares"] == reference["shares"]
    assert figures["halved"] == []


def test_figures_by_hand() -> None:
    reference = fitted(line((60, 0.0), (39, 10.0), (1, 3.0)), ["left", "right"])
    # 99 distances of 0 and one of 3: the quantile lies at place 98.01 of 0 … 99, 0.01 of the way to 3.
    assert reference == {"users": 100, "far": 0.03, "shares": {"left": 0.61, "right": 0.39}}
    figures = evaluate(DAY, line((80, 0.0), (6, 10.0), (14, 4.0)), ["left", "right"], reference, QUIET)
    assert (figures["date"], figures["users"], figures["far"]) == ("2024-01-08", 100, 0.14)
    assert figures["shares"] == {"left": 0.94, "right": 0.06}
    assert figures["halved"] == ["right"]
    assert json.loads(canonical_json(figures)) == figures


def test_noise_is_no_segment_but_takes_its_users() -> None:
    ids = ["left", "right"]
    reach = np.nextafter(2.0, np.inf)
    quiet = np.column_stack([line((50, 0.0), (48, 10.0), (2, 4.0)), np.full(100, reach)])
    reference = fitted(quiet, ids)
    assert reference["shares"] == {"left": 0.5, "right": 0.48}
    assert reference["far"] == 4.0  # of the distances to segments, not to NOISE's constant
    born = np.column_stack([line((50, 0.0), (40, 10.0), (10, 5.0)), np.full(100, reach)])
    assert evaluate(DAY, born, ids, reference, QUIET)["far"] == 0.1


def test_a_segment_without_users_is_halved_and_one_that_never_had_any_is_not() -> None:
    reference = fitted(line((90, 0.0), (10, 10.0)), ["left", "right"])
    assert evaluate(DAY, line((100, 0.0)), ["left", "right"], reference, QUIET)["halved"] == ["right"]
    empty = fitted(line((100, 0.0)), ["left", "right"])
    assert evaluate(DAY, line((100, 0.0)), ["left", "right"], empty, QUIET)["halved"] == []


def test_in_a_small_shop_half_of_a_small_segment_is_chance() -> None:
    ids = ["left", "right"]

    def halved(users: int) -> list[str]:
        before = line((97 * users // 100, 0.0), (3 * users // 100, 10.0))
        today = line((985 * users // 1_000, 0.0), (15 * users // 1_000, 10.0))
        return evaluate(DAY, today, ids, fitted(before, ids), QUIET)["halved"]

    assert halved(200) == []
    assert halved(2_000) == ["right"]


def with_centres(
    before: np.ndarray, today: np.ndarray, saved: tuple[float, float] = (0.5, 0.5), error: float = 0.0
) -> dict[str, Any]:
    """Segments with centres at 0 and 10; saved: what one more would have saved before, and today."""
    ids = ["left", "right"]
    then, now = (Saved(mean, error, 1) for mean in saved)
    reference = fitted_with(before, ids, reach(before, ids), None, then)
    return evaluate_with(DAY, today, ids, reach(today, ids), reference, QUIET, now)


def test_what_a_segment_is_worth_is_what_its_users_would_lose_without_it() -> None:
    """By hand: 60 users at 0 lose 10² each, 40 at 8 lose 8² − 2²."""
    distances = line((60, 0.0), (40, 8.0))
    worth = fitted_with(distances, ["left", "right"], reach(distances, ["left", "right"]), None, Saved(1, 0, 0))[
        "worth"
    ]
    assert worth["left"] == [60.0, pytest.approx(np.std([100] * 60 + [0] * 40) / 10, abs=1e-6)]
    assert worth["right"] == [24.0, pytest.approx(np.std([0] * 60 + [60] * 40) / 10, abs=1e-6)]
    found = with_centres(distances, distances)
    assert found["worth"] == {"left": 60.0, "right": 24.0}
    assert (found["halved"], found["parted"]) == ([], None)


@pytest.mark.parametrize(
    ("today", "halved"),
    [
        (line((600, 0.0), (400, 6.5)), ["right"]),  # as many as ever, but next to the border
        (line((850, 0.0), (150, 10.0)), ["right"]),
        (line((800, 0.0), (200, 12.0)), []),  # half as many, and further away: worth 28 of 40
        (line((1_000, 0.0)), ["right"]),
    ],
)
def test_a_segment_is_halved_when_it_is_worth_half(today: np.ndarray, halved: list[str]) -> None:
    assert with_centres(line((600, 0.0), (400, 10.0)), today)["halved"] == halved


def test_a_segment_that_never_was_worth_anything_hides_no_other() -> None:
    ids = ["left", "middle", "right"]
    before, today = (np.abs(places[:, None] - [0.0, 5.0, 10.0]) for places in (np.repeat([0.0, 10.0], 500),) * 2)
    today = today[:600]
    reference = fitted_with(before, ids, reach(before, ids), None, Saved(1.0, 0.0, 0))
    assert reference["worth"]["middle"] == [0.0, 0.0]
    found = evaluate_with(DAY, today, ids, reach(today, ids), reference, QUIET, Saved(1.0, 0.0, 0))
    assert found["halved"] == ["right"]


def test_a_segment_that_is_worth_more_than_another_was_keeps_its_place() -> None:
    """A third of the first is left; it is still worth more than the second was, which served well."""
    assert with_centres(line((900, 0.0), (100, 10.0)), line((300, 0.0), (700, 10.0)))["halved"] == []


@pytest.mark.parametrize(
    ("saved", "error", "parted"),
    [
        ((0.5, 1.6), 0.0, "right"),
        ((0.5, 1.4), 0.0, None),
        ((0.5, 1.6), 0.3, None),
        ((0.5, 1.6), 0.2, "right"),
        ((0.0, 0.02), 0.0, None),  # next to nothing is no group, however many times nothing it is
    ],
)
def test_a_segment_has_parted_when_two_would_save_three_times_as_much(
    saved: tuple[float, float], error: float, parted: str | None
) -> None:
    """Beyond chance: 3.09 standard errors of the difference, which are √2 of each."""
    same = line((600, 0.0), (400, 10.0))
    assert with_centres(same, same, saved, error)["parted"] == parted


def test_a_segment_is_parting_when_two_would_save_three_tenths_more() -> None:
    same = line((600, 0.0), (400, 10.0))
    found = [with_centres(same, same, (0.5, now), error) for now, error in ((0.64, 0.0), (0.66, 0.0), (0.66, 0.06))]
    assert [(one["parting"], one["parted"]) for one in found] == [(None, None), ("right", None), (None, None)]


def test_a_model_of_an_earlier_version_is_held_against_its_shares() -> None:
    before, ids = line((600, 0.0), (400, 10.0)), ["left", "right"]
    today = line((850, 0.0), (150, 10.0))
    found = evaluate_with(DAY, today, ids, reach(today, ids), fitted(before, ids), QUIET, Saved(9.0, 0.0, 1))
    assert (found["halved"], found["parted"]) == (["right"], None)


@pytest.mark.parametrize(("users", "before"), [(300, 300), (5_000, 800)])
def test_far_users_exceed_the_chance_level_once_in_a_thousand(users: int, before: int) -> None:
    """By simulation: the two samples are of one distribution, and the quantile is itself estimated."""
    dice = np.random.default_rng(7)
    exceeded = 0
    for _ in range(3_000):
        reference = fitted(dice.random((before, 1)), ["all"])
        figures = evaluate(DAY, dice.random((users, 1)), ["all"], reference, QUIET)
        exceeded += figures["far"] > figures["far_noise"]
    assert exceeded <= 21  # 3 expected by the approximation, which is poor for a handful of far users


def test_the_chance_level_is_that_of_two_shares_on_the_arcsine_scale() -> None:
    reference = fitted(line((400, 0.0)), ["left", "right"])
    noise = evaluate(DAY, line((900, 0.0)), ["left", "right"], reference, QUIET)["far_noise"]
    effect = 2 * np.arcsin(np.sqrt(noise)) - 2 * np.arcsin(np.sqrt(0.01))
    assert effect / np.sqrt(1 / 400 + 1 / 900) == pytest.approx(norm.ppf(0.999), abs=0.001)


@pytest.mark.parametrize("today", [0, 1])
@pytest.mark.parametrize("before", [0, 1])
def test_without_users_nothing_is_found(before: int, today: int) -> None:
    ids = ["left", "right"]
    reference = fitted(line((before, 0.0)), ids)
    figures = evaluate(DAY, line((today, 50.0)), ids, reference, QUIET)
    assert (figures["users"], figures["halved"]) == (today, [])
    assert due([figures, figures, figures], SETTINGS) == []
    canonical_json([reference, figures])


def test_without_segments_nothing_is_found() -> None:
    figures = evaluate(DAY, np.empty((0, 0)), [], fitted(np.empty((0, 0)), []), QUIET)
    assert due([figures, figures], SETTINGS) == []
    canonical_json(figures)


# What is due


def evaluation(far: float = 0.01, halved: tuple[str, ...] = (), drift: tuple[str, ...] = ()) -> dict:
    return {"date": "2024-01-08", "users": 9_000, "far": far, "far_noise": 0.015, "halved": halved, "drift": drift}


def test_drift_is_taken_from_the_day_s_table() -> None:
    table = alarms(spend=True, recency=False, frequency=True)
    figures = evaluate(DAY, line((9, 0.0)), ["left", "right"], fitted(line((9, 0.0)), ["left", "right"]), table)
    assert figures["drift"] == ["frequency", "spend"]


@pytest.mark.parametrize(
    ("far", "expected"),
    [
        ([0.03], False),  # once is not enough
        ([0.03, 0.021], True),
        ([0.03, 0.02], False),  # not above far_share
        ([0.03, 0.01, 0.04], True),
        ([0.03, 0.03, 0.01], False),  # it is over
        ([0.03, 0.01, 0.01, 0.03], False),  # not among the last three
    ],
)
def test_far_users_on_two_of_the_last_three_make_a_challenge_due(far: list[float], expected: bool) -> None:
    found = due([evaluation(share) for share in far], SETTINGS)
    assert found == ([{"reason": "far", "share": far[-1]}] if expected else [])


def test_far_users_must_be_more_than_chance() -> None:
    small = {**evaluation(0.03), "far_noise": 0.04}
    assert due([small, small], SETTINGS) == []


def test_the_same_segment_must_be_halved_twice() -> None:
    assert due([evaluation(halved=("a",)), evaluation(halved=("b",))], SETTINGS) == []
    found = due([evaluation(halved=("a", "c")), evaluation(), evaluation(halved=("a", "b", "c"))], SETTINGS)
    assert found == [{"reason": "halved", "segments": ["a", "c"]}]


def test_a_segment_must_have_parted_twice() -> None:
    once, other = ({**evaluation(), "parted": name} for name in ("a", "b"))
    assert due([evaluation(), once], SETTINGS) == []
    assert due([once, evaluation(), other], SETTINGS) == [{"reason": "parted", "segments": ["b"]}]
    parting = [{**one, "parting": one.get("parted"), "parted": None} for one in (once, evaluation(), other)]
    assert due(parting[:2], SETTINGS) == []
    assert due(parting, SETTINGS) == [{"reason": "parting", "segments": ["b"]}]
    assert due([{**once, "parting": "a"}, {**other, "parting": "b"}], SETTINGS) == [
        {"reason": "parted", "segments": ["b"]}
    ]


def test_the_same_feature_must_drift_twice() -> None:
    assert due([evaluation(drift=("recency",)), evaluation(drift=("spend",))], SETTINGS) == []
    found = due([evaluation(0.05, drift=("spend",)), evaluation(0.05, drift=("recency", "spend"))], SETTINGS)
    assert found == [{"reason": "far", "share": 0.05}, {"reason": "drift", "features": ["spend"]}]


def test_without_an_evaluation_nothing_is_due() -> None:
    assert due([], SETTINGS) == []
