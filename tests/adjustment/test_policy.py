"""The decisions of many days in a row."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from decided_days import CENTRES, FIRST, USERS, Places, Shop, crowd, recipe, told, walking

from segmentation.adjustment import policy
from segmentation.adjustment.challenge import Fitted
from segmentation.adjustment.today import Today
from segmentation.clustering.model import Fit
from segmentation.store.content import hash_json


def test_a_world_in_which_nothing_changes_keeps_its_segments_through_challenges() -> None:
    shop = Shop(adjustment={"challenge_every_days": 28})
    decisions = shop.days(walking(crowd()), 60)
    # Blocks of 28 days since Monday 1970-01-05.
    assert told(decisions) == [(0, "baseline", "first_day"), (14, "hold", "challenged"), (42, "hold", "challenged")]
    assert decisions[0]["evidence"]["structure"] == "natural"
    assert [number for number, one in enumerate(decisions) if "evaluation" in one["evidence"]] == list(range(7, 60, 7))
    assert len(shop.ids) == 3


def test_a_gap_shifts_no_evaluation_beyond_its_block() -> None:
    shop = Shop()
    shop.run(crowd())
    shop.day = FIRST + timedelta(days=12)  # Saturday of the second block
    assert "evaluation" in shop.run(crowd())["evidence"]
    assert "evaluation" not in shop.run(crowd())["evidence"]
    assert "evaluation" in shop.run(crowd())["evidence"]  # Monday


def test_data_that_moves_takes_the_centres_along() -> None:
    shop = Shop(adjustment={"drift_distance": 0.05})
    points = crowd()
    places = walking(points)
    before = shop.run(points) and shop.ids
    shift = np.array([0.6, 0.0])  # of all users: some 0.15 frozen standard deviations
    decisions = shop.days(lambda number: places(number) + shift * (number > 5), 40)
    changes = told(decisions)
    assert changes[0][1:] == ("update", "drift")
    assert changes[0][0] <= 21
    assert {decision for _, decision, _ in changes[1:]} <= {"hold"}
    assert shop.ids == before
    assert decisions[changes[0][0]]["evidence"]["alarms"] == [{"reason": "drift", "features": ["frequency"]}]


def test_a_regular_challenge_is_done_with_also_where_the_centres_move_on_that_day() -> None:
    shop = Shop(adjustment={"drift_distance": 0.05, "challenge_every_days": 28, "max_centre_shift": 0.5})
    places = walking(crowd())
    decisions = shop.days(lambda number: places(number) + np.array([0.6, 0.0]) * (number > 5), 43)
    assert decisions[14]["decision"] == "update"
    assert [number for number, one in enumerate(decisions) if "challenge" in one["evidence"]] == [14, 42]


@pytest.fixture(scope="module")
def grown() -> Places:
    """From the tenth day on there are 110 users more, where nobody was."""
    newcomers = np.array([9.0, 9.0]) + np.random.default_rng(5).normal(0, 0.5, (110, 2))
    before, after = walking(crowd()), walking(np.vstack([crowd(), newcomers]))
    return lambda number: after(number) if number >= 10 else before(number)


def test_a_group_that_is_born_restructures_and_the_others_keep_their_ids(grown: Places) -> None:
    shop = Shop(adjustment={"ask_above": 0.9})
    shop.run(grown(0))
    before = shop.ids
    decisions = shop.days(grown, 40)
    (change,) = told(decisions)
    assert change[1:] == ("restructure", "far")
    assert change[0] <= 10 + 14
    evidence = decisions[change[0]]
    assert {event["event"] for event in evidence["events"]} == {"survived", "born"}
    assert shop.ids > before
    assert len(shop.ids) == 4
    assert evidence["evidence"]["impact"]["users"] == pytest.approx(0.2, abs=0.02)


def test_moving_the_centres_along_does_not_put_off_a_birth() -> None:
    """Far users are seen for the first time on day 14, when the drift since day 6 would move the centres."""
    people = crowd() + np.random.default_rng(1).uniform(-3, 3, (USERS, 2))
    newcomers = np.array([12.0, 12.0]) + np.random.default_rng(5).normal(0, 0.5, (26, 2))
    before, after = walking(people), walking(np.vstack([people, newcomers]))
    shop = Shop(adjustment={"ask_above": 0.9, "drift_distance": 0.05})
    decisions = shop.days(
        lambda number: (after if number >= 10 else before)(number) + np.array([0.9, 0.0]) * (number > 5), 29
    )
    assert [alarm["reason"] for alarm in decisions[14]["evidence"]["alarms"]] == ["drift"]
    assert told(decisions)[1:] == [(21, "restructure", "far")]


def test_a_group_that_comes_from_far_outside_is_born_though_it_is_wider_than_all_others() -> None:
    """Ten standard deviations wide, forty away: no segment has room for all of them within what was far."""
    dice = np.random.default_rng(5)
    newcomers = np.array([160.0, 160.0]) + dice.normal(0, 40, (60, 2))
    before, after = walking(crowd()), walking(np.vstack([crowd(), newcomers]))
    shop = Shop(adjustment={"ask_above": 0.9})
    decisions = shop.days(lambda number: after(number) if number >= 10 else before(number), 40)
    first = {segment.segment_id for segment in shop.decided[0].model.segments}
    (change,) = told(decisions)[1:]
    assert change[1:] == ("restructure", "far")
    assert change[0] <= 10 + 14
    assert sorted(event["event"] for event in decisions[change[0]]["events"]) == ["born", *["survived"] * 3]
    assert len(shop.ids - first) == 1
    assert shop.ids > first


def test_users_that_are_far_in_all_directions_are_not_forgotten_by_moving_along() -> None:
    dice = np.random.default_rng(6)
    angle, length = dice.uniform(0, 2 * np.pi, 36), dice.uniform(60, 300, 36)
    strays = np.column_stack([np.cos(angle), np.sin(angle)]) * length[:, None]
    calm, stirred = walking(crowd()), walking(np.vstack([crowd(centres=CENTRES + np.array([0.6, 0.0])), strays]))
    shop = Shop(adjustment={"drift_distance": 0.05})
    decisions = shop.days(lambda number: stirred(number) if number > 5 else calm(number), 60)
    updated = [number for number, decision, _ in told(decisions) if decision == "update"]
    assert updated
    later = [
        one["evidence"]["evaluation"]["far"] for one in decisions[updated[0] + 1 :] if "evaluation" in one["evidence"]
    ]
    assert later
    assert min(later) > 0.05
    assert len(shop.ids) == 3


def test_far_users_are_not_forgotten_by_leaving_a_segment_out_nor_taken_for_what_one_more_always_saves() -> None:
    """As one group goes to another, some users are far in all directions but its own."""
    dice = np.random.default_rng(6)
    angle, length = dice.uniform(np.pi, 2 * np.pi, 36), dice.uniform(60, 300, 36)
    strays = np.column_stack([np.cos(angle), np.sin(angle)]) * length[:, None]
    goes = crowd()
    goes[2::3] = crowd(seed=3)[::3]
    calm, stirred = walking(crowd()), walking(np.vstack([goes, strays]))
    shop = Shop(adjustment={"ask_above": 1.0, "drift_distance": 9.0, "challenge_every_days": 3_640})
    shop.days(calm, 6)
    before = shop.parent.reference["evaluation"]
    decisions = shop.days(stirred, 20)
    (change,) = (one for one in decisions if one["decision"] == "restructure")
    assert (change["reason"], len(shop.ids)) == ("halved", 2)
    after = shop.parent.reference["evaluation"]
    assert after["far"] == before["far"]
    assert after["saved"] == before["saved"]


def test_a_group_that_parts_restructures_and_the_others_keep_their_ids() -> None:
    """From the tenth day on the halves of one group go apart, a little more each day, and stop where nobody is far."""
    points = crowd()
    axis = np.zeros(points.shape)
    axis[np.arange(USERS) % 6 == 1] = (0.0, 1.0)
    axis[np.arange(USERS) % 6 == 4] = (0.0, -1.0)
    places = walking(points)
    shop = Shop(adjustment={"ask_above": 0.9, "far_share": 0.2})
    shop.run(places(0))
    before = shop.ids
    decisions = shop.days(lambda number: places(number) + axis * np.clip((number - 10) / 4, 0, 3), 60)
    changes = [(number, what, why) for number, what, why in told(decisions) if what == "restructure"]
    assert [change[1:] for change in changes] == [("restructure", "parted")]
    events = decisions[changes[0][0]]["events"]
    (parted,) = (event for event in events if event["event"] == "split")
    assert {event["event"] for event in events} == {"survived", "split"}
    assert len(shop.ids) == 4
    assert before - {*parted["from"]} <= shop.ids


@pytest.mark.parametrize(("apart", "fitted", "found"), [(2.5, 4, True), (2.0, 3, False)])
def test_halves_that_part_less_are_found_if_a_model_fitted_anew_has_more_segments(
    apart: float, fitted: int, found: bool
) -> None:
    """The halves of one group end a few of its standard deviations apart: two save twice what two did, and not three times."""
    shop = Shop(adjustment={"ask_above": 0.9, "far_share": 0.2, "drift_distance": 9.0})
    places, axis = walking(crowd()), np.zeros((USERS, 2))
    axis[np.arange(USERS) % 6 == 1], axis[np.arange(USERS) % 6 == 4] = (0.0, 0.5), (0.0, -0.5)
    decisions = shop.days(lambda number: places(number) + axis * np.clip((number - 10) / 2, 0, apart), 60)
    judged = [one["evidence"] for one in decisions if "anew" in one["evidence"]]
    assert judged[-1]["anew"]["segments"] == fitted
    assert {one["evaluation"]["parted"] for one in judged} == {None}
    changes = [one for one in decisions if one["decision"] == "restructure"]
    assert [one["reason"] for one in changes] == ["parted"] * found
    assert all(f"have parted: {one['evidence']['evaluation']['parting']}" in one["sentence"] for one in changes)
    assert len(shop.ids) == 3 + found
    assert {one["reason"] for one in decisions} <= {"first_day", "ordinary", "evaluated", "challenged", "parted"}


def test_a_group_that_becomes_like_another_leaves_its_segment_to_be_dissolved() -> None:
    points = crowd()
    goes = np.arange(USERS) % 3 == 2
    there = points.copy()
    there[goes] = crowd(seed=3)[np.arange(USERS) % 3 == 0]
    before, after = walking(points), walking(there)

    def places(number: int) -> np.ndarray:
        gone = goes & (np.arange(USERS) < (number - 10) * 30)
        return np.where(gone[:, None], after(number), before(number))

    shop = Shop(adjustment={"ask_above": 0.9})
    shop.run(places(0))
    was = shop.ids
    decisions = shop.days(places, 50)
    changes = [(number, what, why) for number, what, why in told(decisions) if what == "restructure"]
    assert [change[1:] for change in changes] == [("restructure", "halved")]
    assert 10 < changes[0][0] <= 25 + 21  # the last of them goes on day 25
    assert len(shop.ids) == 2
    assert shop.ids < was


@pytest.mark.parametrize("segments", [2, "auto"])
def test_an_alarm_that_calls_for_what_may_not_be_does_not_keep_the_centres_from_moving(segments: int | str) -> None:
    """One of two groups comes near the other, and everybody drifts on, day after day; there are never fewer than two."""
    here, there = CENTRES[:2]

    def places(number: int) -> np.ndarray:
        points = crowd(centres=CENTRES[:2])
        points[1::2] += (here - there) * 0.6 * min(number / 10, 1)
        return points + np.array([0.0, 0.01]) * number

    shop = Shop(clustering={"segments": segments}, adjustment={"ask_above": 1.0, "drift_distance": 0.02})
    decisions = shop.days(places, 80)
    alarmed = [
        one for one in decisions if any(alarm["reason"] == "halved" for alarm in one["evidence"].get("alarms", ()))
    ]
    assert "update" in {one["decision"] for one in alarmed}
    assert len(shop.ids) == 2


def test_a_longer_time_between_challenges_counts_at_once() -> None:
    """The number of a block of 28 days is three times that of a block of 91."""
    shop = Shop(adjustment={"challenge_every_days": 28})
    shop.days(walking(crowd()), 30)
    shop.recipe = recipe(adjustment={"challenge_every_days": 91})
    decisions = shop.days(walking(crowd()), 100)
    assert sum("challenge" in one["evidence"] for one in decisions) in (1, 2)


def test_a_model_of_an_earlier_version_loses_no_segment_for_a_halved_share() -> None:
    """A group apart from all others has a third of its users left; what it was worth is not known."""
    shop = Shop(adjustment={"ask_above": 1.0})
    shop.run(crowd())
    assert shop.parent is not None
    founded = {
        name: value for name, value in shop.parent.reference["evaluation"].items() if name not in ("worth", "saved")
    }
    shop.parent = replace(shop.parent, reference={**shop.parent.reference, "evaluation": founded})
    rest = np.arange(USERS) % 9 != 2
    decisions = shop.days(walking(crowd()[rest & (np.arange(USERS) % 9 != 5)]), 30)
    assert any(one["evidence"].get("evaluation", {}).get("halved") for one in decisions)
    assert "restructure" not in {decision for _, decision, _ in told(decisions)}
    assert len(shop.ids) == 3


def test_a_large_change_is_proposed_and_not_again_before_its_time(grown: Places) -> None:
    shop = Shop(adjustment={"ask_above": 0.1, "ask_again_days": 21})
    shop.run(grown(0))
    before = shop.ids
    decisions = shop.days(grown, 60)
    proposed = [number for number, one in enumerate(decisions) if one["reason"] == "proposed"]
    assert len(proposed) >= 2
    assert min(np.diff(proposed)) >= 21
    assert shop.ids == before
    proposal = decisions[proposed[0]]["state"]["proposals"][0]
    names = {hash_json(fit.document()): fit for decided in shop.decided for fit in decided.fits}
    adopted = shop.run(grown(99), adopted=names[proposal["fit"]])
    assert (adopted["decision"], adopted["reason"]) == ("restructure", "adopted")
    assert len(shop.ids) == 4
    assert shop.ids > before


def test_one_segment_that_a_person_has_adopted_is_kept() -> None:
    shop = Shop()
    shop.run(crowd())
    kept = shop.parent.fit
    one = replace(kept, centres=kept.centres.mean(axis=0, keepdims=True))
    assert shop.run(crowd(), adopted=one)["reason"] == "adopted"
    decisions = [shop.run(crowd(), active_days=30 + number) for number in range(60)]  # twice as many days, too
    assert not {decision["decision"] for decision in decisions} & {"restructure"}
    assert len(shop.ids) == 1


def test_who_had_lapsed_on_the_day_before_is_not_moved_by_a_model() -> None:
    shop = Shop()
    shop.run(crowd())
    members = shop.parent.memberships().to_pylist()
    lapsed = [{**one, "segment_id": None if number % 2 else one["segment_id"]} for number, one in enumerate(members)]
    shop.parent = replace(shop.parent, memberships=lambda: pa.Table.from_pylist(lapsed))
    fit = shop.parent.fit
    decision = shop.run(crowd(), adopted=replace(fit, centres=fit.centres + 1e-6))
    assert (decision["reason"], decision["evidence"]["impact"]) == ("adopted", {"users": 0.0})


def test_of_two_births_the_one_that_no_segment_was_found_for_is_not_forgotten() -> None:
    shop = Shop(clustering={"max_segments": 4}, adjustment={"ask_above": 1.0})
    dice = np.random.default_rng(5)
    newcomers = [np.array(place) + dice.normal(0, 0.5, (60, 2)) for place in ((40.0, 0.0), (0.0, -40.0))]
    calm, stirred = walking(crowd()), walking(np.vstack([crowd(), *newcomers]))
    shop.days(calm, 6)
    far = shop.parent.reference["evaluation"]["far"]
    shop.days(stirred, 16)
    assert len(shop.ids) == 4  # one of them: there may not be more
    assert shop.parent.reference["evaluation"]["far"] == far
    shop.days(stirred, 14)
    assert shop.decided[-1].decision["state"]["evaluations"][-1]["far"] > 0.05


def test_a_fit_that_is_adopted_when_the_configuration_changes_gives_way_to_it() -> None:
    shop = Shop()
    shop.run(crowd())
    other = replace(shop.parent.fit, centres=shop.parent.fit.centres[:2])
    shop.recipe = recipe(clustering={"segments": 4})
    assert shop.run(crowd(), adopted=other)["reason"] == "recipe"
    assert len(shop.ids) == 4


def test_whose_segment_ends_counts_for_what_a_change_moves() -> None:
    """They are on their way to one of the others already: the nearest segment is the same, the published one is no more."""
    shop = Shop()
    shop.run(crowd())
    kept = shop.parent.fit
    two = replace(kept, centres=kept.centres[:2])
    last = shop.parent.model.ids[2]
    users = np.array([f"u{number:05}" for number in range(USERS)])
    on_the_way = pa.table({"user_id": users[::3], "segment_id": [last] * (USERS // 3)})
    there = crowd()[np.arange(USERS) % 3 != 1]  # none of the last one, at (8, 0)
    shop.parent = replace(shop.parent, memberships=lambda: on_the_way)
    impact = shop.run(there, adopted=two)["evidence"]["impact"]["users"]
    assert impact == pytest.approx(np.isin(users[: len(there)], users[::3]).mean(), abs=0.02)


def test_a_fit_that_is_adopted_on_the_first_day_founds_the_history() -> None:
    """As when a day is added before a history whose model a person took from the beginning on: also with too few users."""
    shop = Shop()
    shop.run(crowd())
    taken = shop.parent.fit
    for users in (USERS, 12):
        earlier = Shop()
        decision = earlier.run(crowd(users=users), adopted=taken)
        assert (decision["decision"], decision["reason"]) == ("baseline", "first_day")
        assert decision["evidence"]["structure"] == "adopted"
        assert decision["sentence"].endswith("Adopted by a person.")
        assert earlier.parent.model.fit == hash_json(taken.document())


def test_nobody_there_keeps_the_model() -> None:
    shop = Shop()
    shop.run(crowd())
    decision = shop.run(np.empty((0, 2)))
    assert (decision["decision"], decision["reason"]) == ("hold", "nobody")
    assert len(shop.ids) == 3


def test_a_changed_recipe_has_its_own_model_and_ids_live_on() -> None:
    shop = Shop()
    shop.run(crowd())
    before = shop.ids
    shop.recipe = recipe(clustering={"segments": 2})
    decision = shop.run(crowd())
    assert (decision["decision"], decision["reason"]) == ("restructure", "recipe")
    assert len(shop.ids) == 2
    assert shop.ids & before
    assert shop.run(crowd())["reason"] == "ordinary"


@pytest.mark.parametrize("better", [False, True])
def test_the_same_segments_at_another_optimum_of_their_own_are_no_news(
    monkeypatch: pytest.MonkeyPatch, better: bool
) -> None:
    """Where no alarm calls for it, only a fit that saves more (`settled` returns it as it is) may change the structure."""
    shop, elsewhere = Shop(adjustment={"challenge_every_days": 7, "ask_above": 1.0}), []
    shop.run(crowd())
    first, second, third = shop.parent.fit.centres
    moved = np.array([(first + second) / 2, third - 0.2, third + 0.2])

    def made(today: Today, keep: int | None) -> Fitted:
        return Fitted(
            replace(shop.parent.fit, centres=moved if better else shop.parent.fit.centres), {"structure": "kept"}
        )

    def optimum(new: Fit, *_: object, **__: object) -> Fit:
        elsewhere.append(new if better else replace(new, centres=moved))
        return elsewhere[-1]

    monkeypatch.setattr(Today, "fitted", made)
    monkeypatch.setattr(policy, "settled", optimum)
    changes = [change[1:] for change in told(shop.days(walking(crowd()), 8))]
    assert elsewhere
    assert changes == [("restructure", "scheduled") if better else ("hold", "challenged")]
