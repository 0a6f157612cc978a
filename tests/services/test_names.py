"""Names: what they are made of, that no two are alike, and that they stay while they fit."""

from datetime import date

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from segmentation.features.catalogue import CATALOGUE
from segmentation.services.names import FAMILIES, STAYS, TELLING, Name, names, of_table, table
from segmentation.services.profiles import SCHEMA
from segmentation.services.profiles import effects as effects_of

DAY, LATER = date(2024, 3, 1), date(2024, 3, 2)
EFFECTS = st.dictionaries(
    st.sampled_from("abcdefg"),
    st.dictionaries(
        st.sampled_from(sorted(CATALOGUE)), st.integers(-10, 10).map(lambda number: number / 10), max_size=6
    ),
    min_size=1,
)


def profile(effects):
    rows = [
        {"segment_id": segment, "name": name, "value": "", "made_of": True, "users": 100, "effect": effect}
        for segment, found in effects.items()
        for name, effect in found.items()
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def named(effects, before=None, day=DAY):
    users = {segment: 100 - place for place, segment in enumerate(sorted(effects))}
    told = effects_of(profile(effects), dict.fromkeys(effects, 100))
    return names(told, told, users, before or {}, day)


def test_every_feature_is_in_one_family():
    assert sorted(name for family in FAMILIES for name in family) == sorted(CATALOGUE)


def test_the_most_telling_come_first_and_one_of_each_family():
    effects = {"a": {"frequency": 0.7, "active_days": 0.9, "monetary": 0.8, "recency": -0.4, "discount_share": 0.34}}
    assert named(effects)["a"] == Name(("frequency+", "monetary+", "recency-"), DAY)


def test_what_is_not_telling_is_not_said_unless_nothing_else_can_be():
    assert named({"a": {"frequency": 0.5, "recency": -0.2}})["a"].tags == ("frequency+",)
    assert named({"a": {"frequency": 0.1, "recency": -0.3}})["a"].tags == ("recency-",)
    # What is said from 0.2 on would come and go.
    assert named({"a": {"frequency": 0.1, "recency": -0.26}})["a"].tags == ()
    assert named({"a": {"frequency": 0.0}})["a"].tags == ()


@given(EFFECTS, EFFECTS)
def test_no_two_are_alike_on_any_day(first, second):
    before = named(first)
    for found in (before, named(second, before, LATER)):
        assert len({frozenset(name.tags) for name in found.values()}) == len(found)


@given(EFFECTS, EFFECTS)
def test_a_name_stays_exactly_while_it_fits(first, second):
    before = named(first)
    after = named(second, before, LATER)
    for segment in first.keys() & second.keys():
        tags = before[segment].tags
        signs = {"+": 1, "-": -1}
        said = [tag for tag in tags if not tag.startswith("#")]
        fits = all(second[segment].get(tag[:-1], 0) * signs[tag[-1]] >= STAYS for tag in said)
        if not said:
            fits = all(abs(effect) < TELLING for effect in second[segment].values())
        if fits:
            assert after[segment] == before[segment]
        elif after[segment].tags != tags:
            assert after[segment].since == LATER


def test_a_name_does_not_flicker_at_the_border():
    found = named({"a": {"frequency": 0.34}})
    for effect in (0.32, 0.21, 0.34):
        found = named({"a": {"frequency": effect, "recency": 0.9}}, found, LATER)
        assert found["a"] == Name(("frequency+",), DAY)
    assert named({"a": {"frequency": 0.19, "recency": 0.9}}, found, LATER)["a"] == Name(("recency+",), LATER)


def test_what_is_known_of_few_of_a_segments_users_is_not_said_of_it():
    table = profile({"a": {"order_gap": 0.9, "monetary": 0.4}})
    few = [49 if name == "order_gap" else 50 for name in table["name"].to_pylist()]
    table = table.set_column(table.schema.get_field_index("users"), "users", pa.array(few, pa.int64()))
    assert effects_of(table, {"a": 100}) == {"a": {"monetary": 0.4}}


def test_what_tells_two_apart_stays_as_well():
    effects = {"a": {"frequency": 0.5, "recency": 0.1}, "b": {"frequency": 0.5, "recency": 0.28, "monetary": 0.2}}
    found = named(effects)
    assert {segment: name.tags for segment, name in found.items()} == {
        "a": ("frequency+",),
        "b": ("frequency+", "recency+"),
    }
    for effect in (0.26, 0.21, 0.32):
        effects["b"]["recency"] = effect
        assert named(effects, found, LATER) == found
    effects["b"]["recency"] = 0.19  # nothing else is worth saying: a number
    assert named(effects, found, LATER)["b"].tags == ("frequency+", "#2")


def test_what_is_known_of_fewer_stays_in_a_name():
    told = {"a": {"frequency": 0.5}}
    found = names(told, told, {"a": 100}, {}, DAY)
    assert names({"a": {}}, told, {"a": 100}, found, LATER) == found
    assert names({"a": {}}, {"a": {}}, {"a": 100}, found, LATER)["a"].tags == ()


def test_high_is_also_above_in_the_mean():
    rows = profile({"a": {"monetary": 0.5, "recency": 0.5}})
    means = {"mean": [10.0, 3.0], "others": [40.0, 1.0]}
    for name, values in means.items():
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(values))
    assert effects_of(rows, {"a": 100}) == {"a": {"recency": 0.5}}


def test_names_come_back_from_their_table():
    found = {"b": Name(("frequency+", "#2"), DAY), "a": Name((), LATER)}
    assert of_table(table(found)) == found
    assert table(found)["segment_id"].to_pylist() == ["a", "b"]
