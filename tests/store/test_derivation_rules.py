"""Parents, recipes in force, what a derivation depends on (and on nothing else), stale days, and what a commit does."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from segmentation.config import Config
from segmentation.errors import ConfigError, SegmentationError
from segmentation.store import commits
from segmentation.store.adoptions import adopt
from segmentation.store.derivations import Derivations
from segmentation.store.log import Log
from segmentation.store.objects import Objects
from segmentation.store.recipes import record_recipe
from segmentation.store.state import AcceptedDay, AcceptedTable, Adoption, Alias, Published, RecipeFrom, State
from segmentation.store.store import Store

DAY = date(2024, 3, 1)
WINDOW = 5


def accept(store: Store, day: date, value: AcceptedDay) -> bool:
    """Accept the day as a run does that nobody came between; True if a record was written."""
    current = store.state().accepted.get(day)
    return commits.accept(store, day, value, current.hash if current else None) == "accepted"


def on(offset: int) -> date:
    return DAY + timedelta(days=offset)


def config(**sections: dict[str, Any]) -> Config:
    return Config(**{"sources": {"orders": {"path": "orders/*.csv"}}, "features": {"window_days": WINDOW}, **sections})


RECIPE = config().recipe()


def accepted(partition: str, users: str | None = None, reading: str = "", **other: Any) -> AcceptedDay:
    users = partition and (users or f"users of {partition}")
    table = AcceptedTable(partition, users, {}, 1, None, None, None, [], {})
    return AcceptedDay({"orders": replace(table, **other)}, reading or RECIPE.reading)


def state(days: int = 10, published: tuple[int, ...] = ()) -> State:
    """Days accepted from `DAY` on, some of them published as the state asks for at that time."""
    result = State(recipes=[RecipeFrom(RECIPE.hash, None)])
    for offset in range(days):
        result.accepted[on(offset)] = accepted(f"rows {offset}")
    for offset in published:
        publish(result, offset)
    return result


def publish(into: State, offset: int, snapshot_id: str | None = None) -> None:
    asked = derivations(into).asked(on(offset))
    assert asked is not None
    parent = into.published[asked.parent].snapshot_id if asked.parent else None
    name = snapshot_id or f"content of {offset}"
    into.published[on(offset)] = Published(name, asked.hash, asked.parent, parent, "folder", {}, {})


def derivations(of: State) -> Derivations:
    return Derivations(of, {recipe.hash: recipe for recipe in (RECIPE, OTHER, DELIMITED)}.__getitem__)


OTHER = config(adjustment={"move_points": 9000}).recipe()
DELIMITED = config(sources={"orders": {"path": "orders/*.csv", "options": {"delimiter": ";"}}}).recipe()


def test_the_parent_is_the_latest_earlier_published_day() -> None:
    at = state(published=(5, 7))
    parents = [derivations(at).parent_of(on(offset)) for offset in (4, 5, 6, 7, 8, 900)]
    assert parents == [None, None, on(5), on(5), on(7), on(7)]


def test_the_recipe_in_force_is_the_last_recorded_one_that_has_begun() -> None:
    at = State()
    assert at.recipe_on(DAY) is None
    at.recipes = [RecipeFrom("first", None), RecipeFrom("later", on(5)), RecipeFrom("latest", on(3))]
    assert [at.recipe_on(on(offset)) for offset in (-900, 2, 3, 4, 5, 900)] == ["first"] * 2 + ["latest"] * 4
    at.recipes = [RecipeFrom("first", None), RecipeFrom("later", on(5)), RecipeFrom("latest", on(8))]
    assert [at.recipe_on(on(offset)) for offset in (4, 5, 7, 8)] == ["first", "later", "later", "latest"]
    at.recipes.append(RecipeFrom("again from the beginning", None))
    assert at.recipe_on(on(9)) == "again from the beginning"


def test_a_recipe_that_another_one_replaced_before_it_began_is_in_force_nowhere() -> None:
    at = State(recipes=[RecipeFrom("first", None), RecipeFrom("wrong", on(5)), RecipeFrom("right", on(5))])
    assert at.recipes_in_force() == ["right", "first"]
    at.recipes.append(RecipeFrom("last", on(7)))
    assert at.recipes_in_force() == ["last", "right", "first"]
    at.recipes.append(RecipeFrom("again from the beginning", None))
    assert at.recipes_in_force() == ["again from the beginning"]
    assert State().recipes_in_force() == []


def test_a_day_that_another_recipe_read_is_missing_until_it_is_read_again() -> None:
    at = state()
    at.accepted[on(5)] = accepted("rows 5", reading=DELIMITED.reading)
    assert derivations(at).missing(on(7)) == [on(5)]
    assert derivations(at).asked(on(7)) is None
    at.recipes.append(RecipeFrom(DELIMITED.hash, on(5)))
    assert derivations(at).missing(on(7)) == [on(6), on(7)]


def test_a_day_asks_for_nothing_until_its_window_is_whole() -> None:
    at = state(days=8)
    assert derivations(at).asked(on(3)) is None
    assert derivations(at).missing(on(3)) == [on(-1)]
    assert derivations(at).asked(on(4)) is not None
    assert derivations(at).missing(on(4)) == []
    assert derivations(at).missing(on(9)) == [on(8), on(9)]
    assert derivations(State()).asked(DAY) is None


CHANGES: dict[str, tuple[Any, bool]] = {
    # what changes in the state → whether day 7 (window 3..7, parent 6) is asked for differently
    "rows of the day": (lambda at: at.accepted.update({on(7): accepted("other", "users of rows 7")}), True),
    "rows of the window's first day": (lambda at: at.accepted.update({on(3): accepted("x", "users of rows 3")}), True),
    "rows before the window": (lambda at: at.accepted.update({on(2): accepted("x", "users of rows 2")}), False),
    "users before the window": (lambda at: at.accepted.update({on(2): accepted("x", "others")}), True),
    "users of a day long ago": (lambda at: at.accepted.update({on(-400): accepted("x", "others")}), True),
    "an empty day long ago": (lambda at: at.accepted.update({on(-400): accepted("")}), False),
    "rows of the next day": (lambda at: at.accepted.update({on(8): accepted("x", "others")}), False),
    "the parent's content": (lambda at: publish(at, 6, "another content"), True),
    "the parent's derivation, its content equal": (
        lambda at: at.published.update({on(6): replace(at.published[on(6)], derivation="other", folder="other")}),
        False,
    ),
    "a day between the parent and the day's": (lambda at: at.published.pop(on(6)), True),
    "the parent's parent": (lambda at: publish(at, 5, "another content"), False),
    "a later day": (lambda at: publish(at, 9), False),
    "counts, files and places of the rows": (
        lambda at: at.accepted.update({on(7): accepted("rows 7", rows=9, files={"f": 1}, quality={"x": 1}, cells="k")}),
        False,
    ),
    "a recipe from the day on": (lambda at: at.recipes.append(RecipeFrom(OTHER.hash, on(7))), True),
    "a recipe from the next day on": (lambda at: at.recipes.append(RecipeFrom(OTHER.hash, on(8))), False),
    "an adoption from the day on": (lambda at: at.adoptions.append(Adoption("fit", on(7), "x")), True),
    "an adoption from the next day on": (lambda at: at.adoptions.append(Adoption("fit", on(8), "x")), False),
    "an adoption that the parent took": (lambda at: at.adoptions.append(Adoption("fit", on(6), "x")), False),
    "an alias": (lambda at: at.aliases.append(Alias("a", "b", 1.0)), False),
    "who wrote last": (lambda at: setattr(at, "at", "yesterday"), False),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_derivation_depends_on_what_it_reads_and_on_nothing_else(what: str) -> None:
    at = state(published=(5, 6, 7))
    before = derivations(at).asked(on(7))
    assert before
    assert derivations(at).stale() == []
    change, counts = CHANGES[what]
    change(at)
    after = derivations(at).asked(on(7))
    assert after
    assert (after.hash != before.hash) is counts
    assert (on(7) in derivations(at).stale()) is counts


def test_days_have_different_derivations_even_without_rows() -> None:
    at = state()
    for offset in range(10):
        at.accepted[on(offset)] = accepted("")
    hashes = [derivations(at).asked(on(offset)) for offset in range(4, 10)]
    assert len({asked.hash for asked in hashes if asked}) == 6


def test_equal_content_leaves_later_days_current() -> None:
    at = state(published=(5, 6, 7, 8))
    at.accepted[on(1)] = accepted("restated", "users of rows 1")  # in the window of day 5 only
    assert derivations(at).stale() == [on(5)]
    publish(at, 5, at.published[on(5)].snapshot_id)
    assert derivations(at).stale() == []


def test_other_content_makes_the_next_day_stale_and_so_on_as_long_as_content_differs() -> None:
    at = state(published=(5, 6, 7, 8))
    at.accepted[on(1)] = accepted("restated", "users of rows 1")
    publish(at, 5, "other content")
    assert derivations(at).stale() == [on(6)]
    publish(at, 6, "also other")
    assert derivations(at).stale() == [on(7)]
    publish(at, 7, at.published[on(7)].snapshot_id)
    assert derivations(at).stale() == []


def test_a_filled_gap_makes_the_day_after_it_stale() -> None:
    at = state(published=(5, 7, 8))
    publish(at, 6)
    assert derivations(at).stale() == [on(7)]


def test_a_day_whose_inputs_are_gone_is_closed_not_stale() -> None:
    at = state(published=(5, 6))
    del at.accepted[on(2)]
    assert derivations(at).stale() == []


# Commits and recipes, on a real log ---------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    objects = Objects(tmp_path)
    result = Store(objects, Log(objects))
    record_recipe(config(), result)
    for offset in range(10):
        accept(result, on(offset), accepted(f"rows {offset}"))
    return result


def wanted(store: Store, offset: int, snapshot_id: str = "content") -> Published:
    asked = Derivations(store.state(), store.recipe).asked(on(offset))
    assert asked
    return Published(snapshot_id, asked.hash, asked.parent, None, "folder", {}, {})


def test_accepting_the_same_rows_again_writes_nothing(store: Store) -> None:
    number = store.state().number
    assert not accept(store, on(3), accepted("rows 3"))
    assert not accept(store, on(3), accepted("rows 3", files={"a file that has grown": 1}))
    assert store.state().number == number
    assert accept(store, on(3), accepted("other rows"))
    assert accept(store, on(3), accepted("other rows", quarantine="quarantine/x"))
    assert accept(store, on(3), replace(accepted("other rows", quarantine="quarantine/x"), reading="otherwise"))
    assert store.state().number == number + 3


def test_a_snapshot_is_published_once(store: Store) -> None:
    first = wanted(store, 6)
    assert commits.publish(store, on(6), first, [])[0] == "published"
    number = store.state().number
    assert commits.publish(store, on(6), first, []) == ("current", first)
    assert store.state().number == number


def test_a_late_comer_is_dropped_if_the_current_one_is_asked_for(store: Store) -> None:
    late = wanted(store, 6, "late")
    commits.publish(store, on(5), wanted(store, 5), [])
    current = wanted(store, 6, "current")
    commits.publish(store, on(6), current, [])
    number = store.state().number
    assert commits.publish(store, on(6), late, [Alias("a", "b", 1.0)]) == ("superseded", current)
    assert store.state().published[on(6)] == current
    assert store.state().aliases == []  # nothing was replaced
    assert store.state().number == number


def test_a_day_without_a_snapshot_takes_a_stale_one_and_another_replaces_it(store: Store) -> None:
    early = wanted(store, 6, "early")
    commits.publish(store, on(5), wanted(store, 5), [])
    assert commits.publish(store, on(6), early, []) == ("published", early)
    assert Derivations(store.state(), store.recipe).stale() == [on(6)]
    asked = wanted(store, 6, "asked for")
    assert commits.publish(store, on(6), asked, []) == ("published", asked)
    assert Derivations(store.state(), store.recipe).stale() == []


def test_replaced_ids_are_told_once(store: Store) -> None:
    commits.publish(store, on(6), wanted(store, 6, "old"), [])
    commits.publish(store, on(5), wanted(store, 5), [])
    new = wanted(store, 6, "new")
    moved = [Alias("a", "b", 0.75), Alias("c", "b", 1.0)]
    commits.publish(store, on(6), new, moved)
    commits.publish(store, on(6), new, moved)
    assert store.state().aliases == moved


def test_a_recipe_is_recorded_once_and_from_the_day_after_the_latest_published_one(store: Store) -> None:
    number = store.state().number
    record_recipe(config(), store)
    assert store.state().number == number
    commits.publish(store, on(6), wanted(store, 6), [])
    changed = config(adjustment={"move_points": 9000})
    record_recipe(changed, store)
    record_recipe(changed, store)
    at = store.state()
    assert at.recipes == [RecipeFrom(RECIPE.hash, None), RecipeFrom(changed.recipe().hash, on(7))]
    assert Derivations(at, store.recipe).stale() == []
    record_recipe(config(), store)  # back again
    assert store.state().recipe_on(on(7)) == RECIPE.hash
    assert store.recipe(RECIPE.hash) == RECIPE


def test_before_anything_is_published_a_recipe_holds_from_the_beginning(store: Store) -> None:
    record_recipe(config(adjustment={"move_points": 9000}), store)
    assert store.state().recipe_on(on(-5000)) == OTHER.hash


def test_a_recipe_with_other_midnights_is_refused_unless_the_history_is_restated_from_its_first_day(
    store: Store,
) -> None:
    commits.publish(store, on(6), wanted(store, 6), [])
    number = store.state().number
    elsewhere = config(project={"timezone": "Europe/Paris"})
    for restate_from in (None, on(7)):
        with pytest.raises(ConfigError, match=r"timezone = 'Europe/Paris'.*'UTC'"):
            record_recipe(elsewhere, store, restate_from)
    assert store.state().number == number
    assert record_recipe(elsewhere, store, on(6)).recipe_on(on(-900)) == elsewhere.recipe().hash


def test_a_window_that_grows_is_the_longer_one_on_the_day_of_the_change(store: Store) -> None:
    """The new model is compared with the old one on the same users: both windows must be whole."""
    commits.publish(store, on(6), wanted(store, 6), [])
    record_recipe(config(features={"window_days": 3}), store)
    at = Derivations(store.state(), store.recipe)
    assert at.window(on(7)) == [on(offset) for offset in range(3, 8)]
    commits.publish(store, on(7), wanted(store, 7), [])
    assert Derivations(store.state(), store.recipe).window(on(8)) == [on(6), on(7), on(8)]


def test_a_recipe_restates_from_a_day_on(store: Store) -> None:
    for offset in (5, 6, 7):
        commits.publish(store, on(offset), wanted(store, offset), [])
    record_recipe(config(adjustment={"move_points": 9000}), store, on(6))
    assert Derivations(store.state(), store.recipe).stale() == [on(6), on(7)]
    number = store.state().number
    record_recipe(config(adjustment={"move_points": 9000}), store, on(7))  # in force from there on already
    assert store.state().number == number


def test_a_person_adopts_a_fit_from_the_first_unpublished_day_on(store: Store) -> None:
    fit = store.put_named("fits", {"algorithm": "kmeans"})
    with pytest.raises(SegmentationError, match="no day is published yet"):
        adopt(store, fit, None, "somebody")
    commits.publish(store, on(6), wanted(store, 6), [])
    assert adopt(store, fit[:6], None, "somebody") == Adoption(fit, on(7), "somebody")
    number = store.state().number
    adopt(store, fit, None, "somebody else")
    assert store.state().number == number
    at = store.state()
    assert [at.adopted(on(offset), on(6)) for offset in (7, 8, 20)] == [fit] * 3  # the first that is published
    assert at.adopted(on(8), on(7)) is None
    assert at.adopted(on(6), on(5)) is None
    assert State.from_document(at.document()).adoptions == at.adoptions
    other = store.put_named("fits", {"algorithm": "dbscan"})
    adopt(store, other, on(7), "somebody")
    assert store.state().adopted(on(7), on(6)) == other  # the last word counts
    adopt(store, fit, on(9), "somebody")
    adopt(store, other, on(7), "somebody")
    assert store.state().adopted(on(9), on(6)) == other  # also where another was to follow, and no day is between
    commits.publish(store, on(8), wanted(store, 8), [])
    number = store.state().number
    adopt(store, fit, on(9), "somebody")  # the day that is between now leaves each its own
    assert store.state().number == number
    assert store.state().adopted(on(9), on(8)) == fit
    for unknown, message in (("nothing", "the store has no such fit"), ("", "the store has no such fit")):
        with pytest.raises(ConfigError, match=message):
            adopt(store, unknown, None, "somebody")
