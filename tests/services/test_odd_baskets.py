"""Shops of which little or nothing can be said: why there is no rule, and that what there is, is right."""

import pytest
from small_shops import gathered, memberships

from segmentation.errors import ConfigError
from segmentation.rules_settings import Rules
from segmentation.services.baskets import RETURNED, Baskets
from segmentation.services.bundles import bundles, next_items
from segmentation.services.occurrences import Members
from segmentation.services.rules import Associations, association_rules

SETTINGS = Rules(min_support=0.01, min_count=2)


def found(baskets: Baskets, settings: Rules = SETTINGS) -> Associations:
    members = Members.of(baskets, *memberships())
    rules = association_rules(baskets, members, settings)
    bundles(rules.table)
    next_items(rules.table, baskets, members, RETURNED.empty_table())
    return rules


def test_baskets_of_one_item() -> None:
    rules = found(gathered([["milk"], ["tea"]] * 50))
    assert (rules.nothing, rules.table.num_rows, rules.figures["of_one_item"]) == ("one_item", 0, 100)


def test_every_basket_the_same() -> None:
    rules = found(gathered([["milk", "tea", "jam"]] * 100))
    shop = [row for row in rules.table.to_pylist() if row["segment_id"] is None]
    assert len(shop) == 9  # one item from another: 6, from two others: 3
    assert {(row["confidence"], row["lift"], row["p"]) for row in shop} == {(1.0, 1.0, 1.0)}  # nothing but chance
    assert bundles(rules.table).num_rows == 0


def test_one_basket_of_ten_thousand_lines() -> None:
    long = [f"item {number}" for number in range(10_000)]
    rules = found(gathered([long, *[["milk", "tea"]] * 50]))
    assert rules.figures["too_long"] == 1
    assert {tuple(row["antecedents"]) for row in rules.table.to_pylist()} == {("milk",), ("tea",)}
    assert found(gathered([long])).nothing == "too_long"


def test_a_segment_of_five_baskets() -> None:
    baskets = gathered([["milk", "tea"], ["milk", "jam"], ["jam"], ["tea", "milk"]] * 60, users=20)
    ids, segments = memberships()
    few = Members(("few", "many"), (baskets.user > 0).astype("int64"))
    few.segment[[0, *range(60, 220, 40)]] = 0
    few.segment[few.segment == 0] = 1
    few.segment[:5] = 0
    table = association_rules(baskets, few, SETTINGS).table.to_pylist()
    inside = [row for row in table if row["segment_id"] == "few"]
    assert {row["baskets"] for row in inside} == {5}
    assert all(0 <= row["p"] <= 1 and 0 <= row["special_p"] <= 1 for row in inside)
    assert len(ids) == len(segments)


def test_a_support_so_low_that_itemsets_explode_is_stopped_before_and_told_what_fits() -> None:
    every = [f"item {number:02}" for number in range(40)]
    baskets = gathered([every[start : start + 25] for start in range(15)] * 10)
    settings = Rules(min_support=0.01, min_count=2, max_itemsets=2_000, longest_basket=50)
    with pytest.raises(ConfigError, match=r"more than max_itemsets = 2,000 .* min_support = (0\.\d+) .* fits") as error:
        found(baskets, settings)
    support = float(str(error.value).split("): min_support = ")[1].split(" ")[0])
    assert found(baskets, settings.model_copy(update={"min_support": support})).figures["itemsets"] <= 2_000
