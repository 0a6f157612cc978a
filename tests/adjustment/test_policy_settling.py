"""A new segment whose users fill the window still goes where they go; the others stay."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from decided_days import FIRST, USERS, Places, Shop, crowd, told, walking

from segmentation.clustering.model import MadeBy, Model, Segment
from segmentation.store.content import hash_json

LIMIT = 0.25  # frozen standard deviations: as far as an update may go


def test_a_new_segment_goes_along_with_its_users_as_they_fill_the_window() -> None:
    """110 newcomers, who are found while most of what they do lies ahead of them: by then they are far from where that was."""
    dice = np.random.default_rng(5)
    newcomers = np.array([9.0, 9.0]) + dice.normal(0, 0.5, (110, 2))
    places = walking(crowd())
    more = walking(newcomers, seed=2)

    def today(number: int) -> np.ndarray:
        on = np.array([10.0, 6.0]) * min(max((number - 14) / 30, 0), 1)
        return np.vstack([places(number), more(number) + on]) if number >= 10 else places(number)

    shop = Shop(adjustment={"ask_above": 0.9})
    decisions = shop.days(today, 90)
    changes = [one for one in told(decisions)[1:] if one[1] != "hold"]
    assert [one[1:] for one in changes if one[1] == "restructure"] == [("restructure", "far")]
    assert ("update", "settled") in [one[1:] for one in changes]
    assert len(shop.ids) == 4
    assert [one["reason"] for one in decisions[60:]].count("unexplained") == 0
    (new,) = [one for one in shop.decided[-1].model.segments if one.born > FIRST]
    fit = shop.decided[-1].fits[0]
    assert new.centre == tuple(fit.centres[shop.decided[-1].model.segments.index(new)])


def test_the_halves_of_a_segment_that_were_cut_early_go_where_their_users_go() -> None:
    """They part for forty days and are found after half of that; then everybody stays for two months, and goes on."""
    axis = np.zeros((USERS, 2))
    axis[np.arange(USERS) % 6 == 1], axis[np.arange(USERS) % 6 == 4] = (0.0, 1.0), (0.0, -1.0)
    places = walking(crowd())
    adjustment = {"ask_above": 0.9, "far_share": 0.5, "drift_distance": 9.0}
    shop = Shop(adjustment=adjustment, features={"window_days": 60})

    def today(number: int) -> np.ndarray:
        return places(number) + axis * (np.clip((number - 10) / 5, 0, 8) + np.clip((number - 100) / 5, 0, 2))

    decisions = shop.days(today, 120)
    assert {one["reason"] for one in decisions} == {
        "first_day",
        "ordinary",
        "evaluated",
        "challenged",
        "parted",
        "settled",
    }
    (cut,) = (number for number, one in enumerate(decisions) if one["decision"] == "restructure")
    (split,) = (one for one in decisions[cut]["events"] if one["event"] == "split")
    settled = [number for number, one in enumerate(decisions) if one["reason"] == "settled"]
    assert len(settled) > 1
    assert min(settled) > cut
    assert max(settled) <= 50 + 7  # though the window is not full of them for weeks to come
    for number in range(cut, 120):
        decided, founded = shop.decided[number], shop.decided[cut]
        assert decided.reference == founded.reference  # nothing is forgotten
        apart = np.linalg.norm(
            decided.fits[0].centres - np.array([one.centre for one in decided.model.segments]), axis=1
        )
        assert apart.max() == 0  # as if founded there
        still = [place for place, name in enumerate(decided.model.ids) if name not in split["to"]]
        assert np.array_equal(decided.fits[0].centres[still], founded.fits[0].centres[still])
    for number in settled:
        told_of = decisions[number]["evidence"]["settles"]
        assert told_of["segments"] == split["to"]
        assert (told_of["reason"], told_of["shift"] > LIMIT) == ("filling", True)
        assert all(name in decisions[number]["sentence"] for name in split["to"])


def test_who_settles() -> None:
    """Who came later than others and less than a window ago, and whom they have split off from."""
    born = {"old": (0, ()), "parent": (0, ()), "child": (40, ("parent",)), "grown": (20, ("old",))}
    segments = tuple(
        Segment(name, FIRST + timedelta(days=day), parents, (0.0,)) for name, (day, parents) in born.items()
    )
    recipe = Shop().recipe
    model = Model("", ("frequency",), segments, MadeBy(recipe.features, recipe.clustering))
    new = {day: model.settling(FIRST + timedelta(days=day), 60) for day in (40, 79, 80, 99, 100)}
    assert new == {40: (2, 3), 79: (2, 3), 80: (2,), 99: (2,), 100: ()}
    assert {day: model.with_parents(places) for day, places in new.items()} == {
        40: (0, 1, 2, 3),
        79: (0, 1, 2, 3),
        80: (1, 2),
        99: (1, 2),
        100: (),
    }


def newcomers(place: tuple[float, float], users: int = 60, seed: int = 5) -> Places:
    return walking(np.array(place) + np.random.default_rng(seed).normal(0, 0.6, (users, 2)), seed)


def test_a_second_group_is_taken_for_the_first_while_that_settles_and_no_longer() -> None:
    """Nobody is nearer to it than those who came two months before, eight to the side."""
    people, first, second = walking(crowd()), newcomers((8.0, 8.0)), newcomers((16.0, 8.0), seed=6)
    shop = Shop(adjustment={"ask_above": 0.9}, features={"window_days": 60})
    decisions = shop.days(
        lambda day: np.vstack([people(day)] + [first(day)] * (day >= 10) + [second(day)] * (day >= 50)), 100
    )
    changes = [number for number, one in enumerate(decisions) if one["decision"] == "restructure"]
    assert changes == [21, 84]  # the first evaluation day that is a window after the first
    assert [len(shop.decided[day].model.ids) for day in (20, 21, 84)] == [3, 4, 5]
    between = {one["reason"] for one in decisions[50:84]} - {"ordinary", "evaluated"}
    assert between == {"settled", "unexplained"}


def test_a_centre_whose_users_have_gone_does_not_go_to_its_neighbours() -> None:
    people, some = walking(crowd(users=600)), newcomers((5.0, 5.0))
    shop = Shop(adjustment={"ask_above": 0.9})
    decisions = shop.days(lambda day: np.vstack([people(day)] + [some(day)] * (10 <= day < 35)), 50)
    changes = [(day, why) for day, what, why in told(decisions) if what != "hold"][1:]
    assert changes == [(21, "far"), (42, "halved")]
    (gone,) = (event for event in decisions[42]["events"] if event["event"] != "survived")
    assert gone["event"] == "absorbed"
    assert decisions[42]["evidence"]["impact"]["users"] < 0.01


def test_a_birth_that_was_proposed_settles_when_it_is_adopted() -> None:
    """The newcomers walk on for a month, as in the first test; a person says yes after a week."""
    people, some = walking(crowd()), newcomers((9.0, 9.0), 110)
    shop = Shop(adjustment={"ask_above": 0.0})

    def today(number: int) -> np.ndarray:
        on = np.array([10.0, 6.0]) * min(max((number - 14) / 30, 0), 1)
        return np.vstack([people(number), some(number) + on]) if number >= 10 else people(number)

    shop.days(today, 25)
    (proposed,) = shop.decided[-1].decision["state"]["proposals"]
    (fit,) = (one for one in shop.decided[21].fits if hash_json(one.document()) == proposed["fit"])
    decisions = [shop.run(today(number), fit if number == 25 else None) for number in range(25, 70)]
    changes = [(number + 25, why) for number, what, why in told(decisions) if what != "hold"]
    assert changes == [(25, "adopted"), *((day, "settled") for day in (28, 35, 42))]
    assert [one["evidence"]["evaluation"]["far"] < 0.02 for one in decisions if "evaluation" in one["evidence"]][
        -3:
    ] == [True] * 3


def test_an_adopted_fit_stays_as_it_was_adopted() -> None:
    """Two segments more than the shop has, where K-means would not put them."""
    people = walking(crowd(users=900))
    shop = Shop(adjustment={"ask_above": 0.9})
    shop.days(people, 30)
    fit = shop.decided[-1].fits[0]
    beside = np.vstack([fit.centres, fit.centres[:2] + 0.6])
    adopted = replace(fit, centres=np.unique(beside, axis=0))
    decisions = [shop.run(people(day), adopted if day == 30 else None) for day in range(30, 60)]
    assert [(day, why) for day, what, why in told(decisions) if what != "hold"] == [(0, "adopted")]
    assert np.array_equal(shop.decided[-1].fits[0].centres, adopted.centres)


def test_segments_that_there_were_before_there_was_enough_to_tell_do_not_settle() -> None:
    """One segment becomes two, of which the larger keeps its id. Who comes from elsewhere after that is a stranger to both."""
    dice = np.random.default_rng(3)
    kinds = np.array([(4.0, 0.0), (-4.0, 0.0)])[(np.arange(600) % 20 >= 12).astype(int)]
    people = walking(kinds + dice.normal(0, 0.8, kinds.shape))
    some = walking(np.array([5.0, 9.0]) + dice.normal(0, 0.8, (60, 2)), 6)
    shop = Shop(adjustment={"ask_above": 0.9}, clustering={"max_segments": 4})
    decisions = []
    for day in range(60):
        places = np.vstack([people(day)] + [some(day)] * (day >= 40))
        decisions.append(shop.run(places, active_days=6 if day < 5 else 7))
    changes = [(day, why) for day, what, why in told(decisions) if what != "hold"]
    assert changes == [(0, "lacking"), (7, "lone"), (49, "far")]
    assert shop.decided[20].model.settling(FIRST + timedelta(days=20), 90) != ()


@pytest.mark.parametrize("drift_distance", [0.1, 0.5])
def test_users_who_are_far_because_their_segment_has_moved_take_its_centre_along(drift_distance: float) -> None:
    """A fifth of the users walks on by 2.4, too few for any feature to drift by 0.5, while newcomers settle elsewhere."""
    kind = np.where(np.arange(900) < 180, 1, np.where(np.arange(900) % 2, 0, 2))
    people = walking(np.array([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)])[kind] + crowd(3, 900, np.zeros((1, 2))))
    some, on = newcomers((-8.0, -8.0), 90), np.where((kind == 1)[:, None], [1.7, -1.7], 0.0)
    shop = Shop(adjustment={"ask_above": 0.9, "drift_distance": drift_distance}, clustering={"max_segments": 4})
    decisions = shop.days(lambda day: np.vstack([people(day) + on * (day >= 45)] + [some(day)] * (day >= 10)), 90)
    changed = [day for day, what, _ in told(decisions) if what == "update"]
    assert changed == [56]
    assert decisions[56]["reason"] == (
        "drift" if "drift" in {one["reason"] for one in decisions[56]["evidence"]["alarms"]} else "settled"
    )
    before, after = (shop.decided[day].fits[0].centres for day in (55, 56))
    moved = np.linalg.norm(after - before, axis=1)
    assert moved.max() > 0.1
    (new,) = shop.decided[56].model.settling(FIRST + timedelta(days=56), 90)
    assert moved[new] == 0
    far = [one["evidence"]["evaluation"]["far"] for one in decisions if "evaluation" in one["evidence"]]
    assert far[-5] > 0.03
    assert max(far[-4:]) < 0.02


def test_a_regular_challenge_waits_while_a_proposal_is_open() -> None:
    """Newcomers are proposed on day 21, and leave; the proposal is open for four weeks."""
    people, some = walking(crowd()), newcomers((9.0, 9.0))
    shop = Shop(adjustment={"ask_above": 0.0, "challenge_every_days": 7})
    decisions = shop.days(lambda day: np.vstack([people(day)] + [some(day)] * (10 <= day < 24)), 64)
    found = {day: one["reason"] for day, one in enumerate(decisions) if "evaluation" in one["evidence"]}
    assert found == {
        **dict.fromkeys((7, 14), "challenged"),
        21: "proposed",
        **dict.fromkeys((28, 35, 42), "evaluated"),
        **dict.fromkeys((49, 56, 63), "challenged"),
    }


@pytest.mark.parametrize(("apart", "reason"), [(0.0, "renewed"), (2.0, "challenged")])
def test_a_regular_challenge_does_not_renew_segments_of_which_one_is_parting(apart: float, reason: str) -> None:
    places, axis = walking(crowd()), np.zeros((USERS, 2))
    axis[np.arange(USERS) % 6 == 1], axis[np.arange(USERS) % 6 == 4] = (0.0, 0.5), (0.0, -0.5)
    adjustment = {"far_share": 0.2, "drift_distance": 9.0, "challenge_every_days": 28, "max_centre_shift": 0.01}
    shop = Shop(adjustment=adjustment)
    on = np.array([0.3, 0.3])  # everybody, so that the centres of a new model are elsewhere
    decisions = shop.days(lambda day: places(day) + (axis * apart + on) * np.clip((day - 22) / 2, 0, 1), 50)
    assert (decisions[42]["evidence"]["evaluation"]["parting"] is not None) == (apart > 0)
    assert decisions[42]["reason"] == reason
