"""A new segment whose users fill the window still goes where they go; the others stay."""

from datetime import timedelta

import numpy as np
from decided_days import FIRST, USERS, Shop, crowd, told, walking

from segmentation.clustering.model import MadeBy, Model, Segment

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
