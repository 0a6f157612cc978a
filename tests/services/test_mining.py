"""Frequent itemsets: complete, with exact counts, however they are found; and refused when they are too many."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_shops import brute_force, by_name, gathered, groceries, random_sets

from segmentation.errors import ConfigError
from segmentation.rules_settings import Rules, needed
from segmentation.services import candidates, counting, pairs
from segmentation.services.mining import frequent_itemsets
from segmentation.services.pairs import at_most, frequent_pairs, triangles
from segmentation.services.pruning import pruned


def settings(**given: object) -> Rules:
    return Rules.model_validate({"min_count": 1, "algorithm": "counting"} | given)


@pytest.mark.parametrize("algorithm", ["fpgrowth", "apriori", "counting"])
@pytest.mark.parametrize(("seed", "least", "max_items"), [(0, 3, 3), (1, 2, 5), (2, 12, 3), (3, 1, 9), (4, 5, 2)])
def test_itemsets_are_those_of_trying_every_set(algorithm: str, seed: int, least: int, max_items: int) -> None:
    sets = random_sets(seed)
    baskets = gathered(sets)
    found = frequent_itemsets(
        baskets.holds, settings(algorithm=algorithm, min_support=1e-9, min_count=least, max_items=max_items)
    )
    assert by_name(found, baskets.items) == brute_force(sets, least, max_items)


@pytest.mark.parametrize("algorithm", ["fpgrowth", "counting"])
def test_groceries_has_its_13492_itemsets(algorithm: str) -> None:
    found = frequent_itemsets(groceries().holds, settings(algorithm=algorithm, min_support=0.001, max_items=10))
    assert len(found) == 13_492


def test_pruning_loses_no_itemset_of_three() -> None:
    """Against mlxtend on the baskets as they are."""
    from mlxtend.frequent_patterns import fpgrowth

    holds = groceries().holds
    least = 40
    frame = pd.DataFrame(holds.toarray(), columns=range(holds.shape[1]))
    whole = fpgrowth(frame, min_support=(least - 0.5) / len(frame), max_len=3)
    left, columns = pruned(holds, frequent_pairs(holds, least, 10**6))
    assert left.nnz < 0.7 * holds.nnz
    part = fpgrowth(
        pd.DataFrame(left.toarray(), columns=range(len(columns))), min_support=(least - 0.5) / left.shape[0], max_len=3
    )

    def of_three(mined: pd.DataFrame, rows: int, items: np.ndarray) -> dict[frozenset[int], int]:
        mined = mined[mined["itemsets"].map(len) == 3]
        return {
            frozenset(items[list(itemset)].tolist()): round(support * rows)
            for itemset, support in zip(mined["itemsets"], mined["support"], strict=True)
        }

    expected = of_three(whole, len(frame), np.arange(holds.shape[1]))
    assert len(expected) > 100
    assert of_three(part, left.shape[0], columns) == expected


def test_working_in_small_portions_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    baskets = gathered(random_sets(5))
    asked = settings(min_support=1e-9, min_count=2, max_items=4)
    whole = by_name(frequent_itemsets(baskets.holds, asked), baskets.items)
    for module, name, value in (
        (pairs, "CELLS", 20),
        (pairs, "TOGETHER", 7),
        (candidates, "TOGETHER", 3),
        (counting, "TOGETHER", 40),
        (counting, "ROWS", 11),
    ):
        monkeypatch.setattr(module, name, value)
    assert by_name(frequent_itemsets(baskets.holds, asked), baskets.items) == whole


def test_a_share_is_meant_as_it_is_written() -> None:
    assert [needed(0.07, 100), needed(0.001, 9835), needed(0.1, 30), needed(1.0, 7)] == [7, 10, 3, 7]
    assert 0.07 * 100 > 7  # so rounding up would give 8
    asked = Rules(min_support=0.07, min_count=9)
    assert [asked.count_needed(100), asked.count_needed(200)] == [9, 14]


def test_an_itemset_that_is_in_exactly_as_many_baskets_as_asked_is_found() -> None:
    """Seven of 25: as a share times 25 that is above seven, and mlxtend would look for eight."""
    assert 7 / 25 * 25 > 7
    sets = [{"a", "b", "c"}] * 7 + [{"d", "e", "f"}] * 18
    found = frequent_itemsets(gathered(sets).holds, settings(algorithm="fpgrowth", min_support=1e-9, min_count=7))
    assert found.counts.tolist() == [*[7] * 3, *[18] * 3, *[7] * 3, *[18] * 3, 7, 18]


def test_triangles_are_counted_and_bound_the_itemsets() -> None:
    sets = random_sets(6, baskets=300, items=12)
    baskets = gathered(sets)
    for least in (2, 8, 15, 30):
        found = frequent_pairs(baskets.holds, least, 10**6)
        linked = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
        by_hand = sum(
            (i, j) in linked and (i, k) in linked and (j, k) in linked
            for i in range(12)
            for j in range(i + 1, 12)
            for k in range(j + 1, 12)
        )
        assert triangles(found, 10**6) == by_hand
        assert at_most(found, 3, 10**6) >= len(brute_force(sets, least, 3))


def test_more_pairs_than_are_wanted_are_cut_where_counts_differ() -> None:
    baskets = gathered(random_sets(7))
    every = frequent_pairs(baskets.holds, 1, 10**6)
    cut = frequent_pairs(baskets.holds, 1, 10)
    assert len(cut) <= 10
    assert cut.count.tolist() == every.of(cut.least).count.tolist()
    assert len(every.of(cut.least - 1)) > 10


def refused(holds: Any, asked: Rules) -> tuple[float, int] | None:
    """The support that fits and its count, as the error says; None if nothing is refused."""
    try:
        found = frequent_itemsets(holds, asked)
    except ConfigError as error:
        said = re.search(r"min_support = (0\.\d+) \(in (\d+) baskets\) fits", str(error))
        return (float(said[1]), int(said[2])) if said else (0, 0)
    return None if 0 < len(found) <= asked.max_itemsets else (0, 0)


@pytest.mark.parametrize("max_items", [2, 3, 6])
@pytest.mark.parametrize("most", [30, 60, 100])
def test_too_many_itemsets_are_refused_with_the_support_that_fits(max_items: int, most: int) -> None:
    holds = gathered(random_sets(8, baskets=997, items=14)).holds
    asked = settings(min_support=0.001, max_items=max_items, max_itemsets=most)
    for size in range(min(max_items, 3), max_items + 1):  # what fits for three items may not fit for four
        answer = refused(holds, asked)
        if answer is None:
            break
        support, count = answer
        assert asked.count_needed(997) < count <= needed(support, 997) <= count + 1, size
        asked = settings(min_support=support, max_items=max_items, max_itemsets=most)
    assert asked.min_support > 0.001
    assert refused(holds, asked) is None


def test_one_basket_less_than_the_support_that_fits_does_not_fit() -> None:
    holds = gathered(random_sets(8, baskets=997, items=14)).holds
    answer = refused(holds, settings(min_support=0.001, max_itemsets=60))
    assert answer is not None
    support, count = answer
    assert refused(holds, settings(min_support=support, max_itemsets=60)) is None
    assert refused(holds, settings(min_support=1e-9, min_count=count - 1, max_itemsets=60)) == answer
