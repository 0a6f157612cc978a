"""The decisions about shops of few users or days: young ones, and such as were closed."""

import numpy as np
from decided_days import CENTRES, NAMES, USERS, Shop, crowd, told

from segmentation.adjustment.today import CLOSED


def test_a_number_that_is_asked_for_is_taken_though_there_is_too_little_data_and_that_is_told() -> None:
    decision = Shop(clustering={"segments": 3}).run(crowd(users=60), active_days=3)
    assert (decision["reason"], decision["evidence"]["segments"]) == ("first_day", 3)
    assert decision["evidence"]["lacks"] == {"users": [60, 100], "days": [3, 7]}
    assert "too little data to rely on them" in decision["sentence"]
    assert "lacks" not in Shop(clustering={"segments": 3}).run(crowd(users=120))["evidence"]


def test_too_little_data_is_one_segment_until_there_is_enough() -> None:
    shop = Shop()
    points = crowd()
    first = shop.run(points[:60])
    assert (first["decision"], first["reason"]) == ("baseline", "lacking")
    assert first["evidence"]["lacks"] == {"users": [60, 100]}
    assert "60 users of 100" in first["sentence"]
    decisions = shop.days(lambda number: points[: 60 + 10 * number], 15)
    (change,) = told(decisions)
    assert change == (6, "restructure", "lone")  # the first evaluation; nobody is asked
    assert len(shop.ids) == 3
    few_days = Shop()
    assert few_days.run(points, active_days=3)["evidence"]["lacks"] == {"days": [3, 7]}


def test_a_shop_that_was_closed_is_not_judged_by_it() -> None:
    """Nobody of one group buys for two weeks, and the window of 30 days has rows on 16 days only."""
    shop = Shop()
    shop.run(crowd())
    before = shop.ids
    away = np.arange(USERS) % 3 == 2
    absent = np.where(away[:, None], crowd(seed=3)[np.arange(USERS) // 3 * 3], crowd())
    held = [shop.run(absent, active_days=16) for _ in range(30)]
    evaluated = [one for one in held if "evaluation" in one["evidence"]]
    assert {one["reason"] for one in evaluated} == {"lacking"}
    assert "16 days with rows of 23" in evaluated[0]["sentence"]
    assert shop.ids == before
    # The same with rows on all days is no closing; what was seen while it was closed does not count.
    opened = [shop.run(absent) for _ in range(30)]
    first = next(one for one in opened if "evaluation" in one["evidence"])
    assert first["evidence"]["alarms"] == []
    assert shop.ids != before


def test_segments_of_the_first_days_are_founded_anew_when_there_are_twice_as_many() -> None:
    """On 8 days of data there are two groups, on more there are three; nobody is asked, and no alarm makes a birth of it."""
    shop = Shop()
    shop.run(crowd(centres=CENTRES[:2]), active_days=8)
    assert len(shop.ids) == 2
    days = [shop.run(crowd(), active_days=9 + number // 3) for number in range(25)]
    (change,) = (number for number, one in enumerate(days) if one["reason"] == "young")
    assert days[change]["decision"] == "restructure"
    assert 8 / CLOSED <= 9 + change // 3 < 16
    assert len(shop.ids) == 3
    assert "many more days than when" in days[change]["sentence"]


def test_the_segments_that_twice_as_many_days_repeat_are_renewed() -> None:
    shop = Shop()
    shop.run(crowd(), active_days=8)
    before = shop.ids
    days = [shop.run(crowd(), active_days=9 + number) for number in range(15)]
    assert [(9 + number) // 8 for number, one in enumerate(days) if one["reason"] == "renewed"] == [2]
    assert shop.ids == before


def test_segments_of_the_first_days_are_founded_anew_by_the_features_that_there_are_now() -> None:
    """Browsing is recorded from the second week on. The segments are the same, and keep their ids."""
    shop = Shop()
    shop.run(crowd(), active_days=8)
    before, shop.names = shop.ids, (*NAMES, "views")
    days = [shop.run(crowd(), active_days=9 + number) for number in range(15)]
    assert [one[1:] for one in told(days)] == [("restructure", "young")]
    assert shop.decided[-1].model.features == shop.names
    assert shop.ids == before


def test_a_window_shorter_than_the_days_asked_for_must_have_rows_on_all_of_its_days() -> None:
    assert Shop(features={"window_days": 3}).run(crowd(), active_days=2)["evidence"]["lacks"] == {"days": [2, 3]}
    assert "lacks" not in Shop(features={"window_days": 3}).run(crowd(), active_days=3)["evidence"]
