"""Where replaced ids went, and who was ever seen, against plain loops."""

import random
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from segmentation.store.derivations import FirstSeenChain
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay, AcceptedTable, Alias, State
from segmentation.tracking.aliases import aliases
from segmentation.tracking.first_seen import seen_before

SCHEMA = pa.schema([("user_id", pa.string()), ("segment_id", pa.string())])


def members(**places: str | None) -> pa.Table:
    return pa.table([list(places), list(places.values())], schema=SCHEMA)


def test_an_id_of_the_new_model_has_no_alias_even_if_nobody_is_in_it_now() -> None:
    assert aliases(members(u="a", v="b"), members(u="b", v="a"), {"a", "b"}) == []
    assert aliases(members(u="a", v="b"), members(u="b", v="b"), {"a", "b"}) == []


def test_half_of_the_users_are_enough_and_a_tie_goes_to_the_smaller_id() -> None:
    before = members(u="a", v="a", w="a", x="a")
    new = {"k", "l", "m", "n"}
    assert aliases(before, members(u="n", v="n", w="m", x="l"), new) == [Alias("a", "n", 0.5)]
    assert aliases(before, members(u="n", v="n", w="m", x="m"), new) == [Alias("a", "m", 0.5)]
    assert aliases(before, members(u="n", v="m", w="l", x="k"), new) == []


def test_who_lapsed_or_is_gone_counts_among_the_old_users_only() -> None:
    before = members(u="a", v="a", w=None)
    assert aliases(before, members(u="n", w="n", z="n"), {"n"}) == [Alias("a", "n", 0.5)]
    assert aliases(before, members(u="n", v=None), {"n"}) == [Alias("a", "n", 0.5)]


def test_an_id_none_of_whose_users_is_left_has_no_alias() -> None:
    assert aliases(members(u="a", v="b"), members(v="n"), {"n"}) == [Alias("b", "n", 1.0)]
    assert aliases(members(u="a", v="b"), members(u=None, v="n"), {"n"}) == [Alias("b", "n", 1.0)]


def test_aliases_of_random_histories_are_what_counting_says() -> None:
    dice = random.Random(8)
    for _ in range(200):
        users = [f"u{number}" for number in range(dice.randint(1, 12))]
        before = {user: dice.choice(["a", "b", "c", None]) for user in users if dice.random() < 0.9}
        after = {user: dice.choice(["b", "x", "y", None]) for user in users if dice.random() < 0.8}
        kept = {"b", "x", "y"}
        expected = []
        for old in sorted({name for name in before.values() if name} - kept):
            where = Counter(after.get(user) for user, name in before.items() if name == old)
            total = sum(where.values())
            del where[None]
            for new in sorted(where, key=lambda name: (-where[name], name))[:1]:
                if 2 * where[new] >= total:
                    expected.append(Alias(old, new, round(where[new] / total, 6)))
        assert aliases(members(**before), members(**after), kept) == expected


# First seen ---------------------------------------------------------------------------------------------------------


def accepted(objects: Objects, users: list[str]) -> AcceptedDay:
    table = pa.table({"user_id": pa.array(sorted(users), pa.string()), "lines": [1] * len(users)})
    cells = objects.put_table("cells/orders", table) if users else None
    name = ",".join(sorted(users))
    return AcceptedDay({"orders": AcceptedTable(name, name, {}, 0, None, cells, None, [], {})}, "reading")


@pytest.mark.parametrize("seed", range(8))
def test_seen_before_is_what_a_loop_over_all_days_says(tmp_path: Path, seed: int) -> None:
    """Random days over five months, asked in any order, with days added and restated between the questions."""
    dice = random.Random(seed)
    objects = Objects(tmp_path)
    state = State()
    truth: dict[date, list[str]] = {}
    everyone = [f"{dice.choice('aZé')}{number}" for number in range(40)]
    first = date(2023, 11, 20)
    for _ in range(25):
        for _ in range(dice.randint(1, 6)):
            day = first + timedelta(days=dice.randint(0, 150))
            truth[day] = dice.sample(everyone, dice.randint(0, 3))
            state.accepted[day] = accepted(objects, truth[day])
        until = first + timedelta(days=dice.randint(-5, 160))
        asked = sorted(dice.sample(everyone, dice.randint(0, 40)))
        expected = [any(user in users for day, users in truth.items() if day <= until) for user in asked]
        assert (
            seen_before(objects, state, FirstSeenChain(state), pa.array(asked, pa.string()), until).tolist() == expected
        )


def test_a_look_up_reads_one_table_a_month_not_every_day(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    state = State()
    for offset in range(300):
        day = date(2023, 1, 1) + timedelta(days=offset)
        state.accepted[day] = accepted(objects, [f"u{offset}"])
    until = date(2023, 10, 15)
    users = pa.array(["u3", "u299", "x"])
    assert seen_before(objects, state, FirstSeenChain(state), users, until).tolist() == [True, False, False]
    read: list[str] = []
    find = objects.find
    objects.find = lambda key: (read.append(key), find(key))[1]  # type: ignore[method-assign]
    assert seen_before(objects, state, FirstSeenChain(state), users, until).tolist() == [True, False, False]
    assert sum(key.startswith("cells/") for key in read) == 15  # of the month that is not over
    assert sum(key.startswith("first_seen/") for key in read) == 10  # nine months and the list of them
