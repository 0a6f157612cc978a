"""The table of the rules: against trying every rule by hand, in the shop and in each segment, and against published numbers."""

import math
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.stats import fisher_exact, hypergeom
from small_shops import Sets, brute_force, gathered, groceries, memberships, random_sets

from segmentation.rules_settings import Rules
from segmentation.services.occurrences import Members
from segmentation.services.rules import Associations, Nothing, association_rules
from segmentation.store.content import hash_table, parquet_bytes, read_parquet

USERS, SEGMENTS = 20, 3
Row = dict[str, Any]


def settings(**given: object) -> Rules:
    return Rules.model_validate({"min_support": 1e-9, "min_count": 3, "algorithm": "counting"} | given)


def found(sets: Iterable[Iterable[str]], asked: Rules, users: int = USERS) -> Associations:
    baskets = gathered(sets, users)
    return association_rules(baskets, Members.of(baskets, *memberships(users, SEGMENTS)), asked)


def benjamini_hochberg(p: list[float]) -> list[float]:
    order = sorted(range(len(p)), key=p.__getitem__, reverse=True)
    q, least = [0.0] * len(p), 1.0
    for rank, place in zip(range(len(p), 0, -1), order, strict=True):
        least = min(least, p[place] * len(p) / rank)
        q[place] = least
    return q


def by_hand(sets: Sets, asked: Rules) -> list[Row]:
    """Every row of the table, the slow way."""
    frame = pd.DataFrame({"basket": sets, "user": [f"user {number % USERS:02}" for number in range(len(sets))]})
    ids, segments = (column.to_pylist() for column in memberships(USERS, SEGMENTS))
    frame["segment"] = frame["user"].map(dict(zip(ids, segments, strict=True)))
    rules = sorted(
        (len(left), sorted(left), len(itemset - left), sorted(itemset - left))
        for itemset, count in brute_force(sets, asked.min_count, asked.max_items).items()
        for size in range(max(1, len(itemset) - asked.max_consequents), len(itemset))
        for left in map(frozenset, combinations(itemset, size))
        if count >= asked.min_confidence * sum(left <= basket for basket in sets) - 1e-9
    )
    rows = []
    for segment in [None, *sorted({name for name in segments if name})]:
        inside = frame if segment is None else frame[frame["segment"] == segment]
        for number, (_, left, _, right) in enumerate(rules):
            has = frame["basket"].map(lambda basket, left=left: set(left) <= basket)
            follows = frame["basket"].map(lambda basket, right=right: set(right) <= basket)
            n, a, c = len(inside), int(has[inside.index].sum()), int(follows[inside.index].sum())
            k = int((has & follows)[inside.index].sum())
            if not a:
                continue
            support, confidence = k / n, k / a
            leverage = k / n - a / n * c / n
            most = max(support * (1 - a / n), a / n * (c / n - support))
            row: Row = {
                "segment_id": segment,
                "rule": number,
                "antecedents": left,
                "consequents": right,
                "baskets": n,
                "antecedent_count": a,
                "consequent_count": c,
                "count": k,
                "support": support,
                "confidence": confidence,
                "lift": confidence / (c / n) if c else None,
                "leverage": leverage,
                "conviction": (1 - c / n) / (1 - confidence) if k < a else None,
                "zhang": leverage / most if most > 1e-12 else 0,
                "p": fisher_exact([[k, a - k], [c - k, n - a - c + k]], "greater").pvalue,
                "q": None,
                **dict.fromkeys(("confidence_outside", "confidence_ratio", "special_p", "special_q")),
            }
            if segment is not None:
                others = frame.index.difference(inside.index)
                of = int(has[others].sum())
                outside = int((has & follows)[others].sum()) / of if of else None
                row["confidence_outside"] = outside
                row["confidence_ratio"] = confidence / outside if outside else None
                row["special_p"] = hypergeom.sf(k - 1, int(has.sum()), int((has & follows).sum()), a)
            rows.append(row)
    for whole in (True, False):
        family = [row for row in rows if (row["segment_id"] is None) is whole]
        for p, q in [("p", "q")] if whole else [("p", "q"), ("special_p", "special_q")]:
            for row, value in zip(family, benjamini_hochberg([row[p] for row in family]), strict=True):
                row[q] = value
    return rows


@pytest.mark.parametrize(
    ("seed", "given"),
    [(21, {}), (22, {"max_items": 4, "max_consequents": 3, "min_confidence": 0.6}), (23, {"min_confidence": 0.5})],
)
def test_every_column_of_every_row_is_what_counting_by_hand_gives(seed: int, given: dict[str, object]) -> None:
    sets = random_sets(seed)
    asked = settings(**given)
    expected = by_hand(sets, asked)
    table = found(sets, asked).table
    assert len(expected) > 150
    assert table.column_names == list(expected[0])
    for name, column in zip(table.column_names, table.columns, strict=True):
        values, wanted = column.to_pylist(), [row[name] for row in expected]
        if not pa.types.is_floating(column.type):
            assert values == wanted, name
        else:
            assert [value is None for value in values] == [value is None for value in wanted], name
            there = [value for value in values if value is not None]
            assert there == pytest.approx([value for value in wanted if value is not None], rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("algorithm", ["fpgrowth", "apriori", "counting"])
def test_every_algorithm_gives_the_same_table(algorithm: str) -> None:
    sets = random_sets(24)
    asked = settings(max_items=4)
    assert found(sets, settings(max_items=4, algorithm=algorithm)).table == found(sets, asked).table


def test_a_share_of_exactly_the_least_confidence_is_enough() -> None:
    sets = [{"a", "b"}] * 4 + [{"a"}] * 1 + [{"b"}] * 5  # of a's five baskets, four have b: 0.8, which is not in binary
    rules = found(sets, settings(min_confidence=0.8)).table
    assert {tuple(row["antecedents"]) for row in rules.to_pylist()} == {("a",)}
    assert found(sets, settings(min_confidence=0.8001)).nothing == Nothing.NOT_CONFIDENT


def test_groceries_gives_the_published_rules() -> None:
    baskets = groceries()
    nobody = Members.of(baskets, pa.array([], pa.string()), pa.array([], pa.string()))
    asked = Rules(min_support=0.001, min_count=1, min_confidence=0.5, max_items=10, algorithm="counting")
    made = association_rules(baskets, nobody, asked)
    table = made.table
    assert table.num_rows == made.figures["rules"] == 5_668
    assert pc.sum(pc.greater(pc.multiply(table["count"], 5), pc.multiply(table["antecedent_count"], 4))).as_py() == 371
    best = table.slice(int(np.argmax(table["lift"])), 1).to_pylist()[0]
    assert (best["antecedents"], best["consequents"]) == (["Instant food products", "soda"], ["hamburger meat"])
    assert (best["count"], round(best["confidence"], 2), round(best["lift"])) == (12, 0.63, 19)
    counts = dict(zip(baskets.items.to_pylist(), np.bincount(baskets.holds.indices).tolist(), strict=True))
    assert [counts[name] for name in ("whole milk", "other vegetables", "rolls/buns", "soda", "yogurt")] == [
        2513,
        1903,
        1809,
        1715,
        1372,
    ]


def test_the_order_of_baskets_and_users_changes_nothing() -> None:
    sets = random_sets(25)
    order = np.random.default_rng(0).permutation(len(sets))
    baskets, turned = gathered(sets), gathered(sets)
    turned = type(baskets).of([sets[place] for place in order], [f"user {place % USERS:02}" for place in order])
    users, segments = memberships(USERS, SEGMENTS)
    back = pa.array(range(len(users) - 1, -1, -1))
    one = association_rules(baskets, Members.of(baskets, users, segments), settings())
    other = association_rules(turned, Members.of(turned, users.take(back), segments.take(back)), settings())
    assert one == other


def test_the_table_can_be_kept_and_hashed() -> None:
    table = found(random_sets(26), settings()).table
    assert read_parquet(parquet_bytes(table)).equals(table)
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(table.num_rows)))
    assert hash_table(table, ["segment_id", "rule"]) == hash_table(shuffled, ["segment_id", "rule"])


def test_what_random_segments_do_is_not_special() -> None:
    """Baskets that are independent, in segments that mean nothing: 5 % false discoveries are allowed, hardly any is made."""
    draw = np.random.default_rng(5)
    sets = [frozenset(f"{item}" for item in draw.integers(0, 12, 4)) for _ in range(3_000)]
    table = found(sets, settings(min_count=30, min_confidence=0), users=3_000).table
    special = table.filter(pc.is_valid(table["segment_id"]))["special_q"].to_numpy()
    assert len(special) > 300
    assert (special < 0.05).sum() == 0


def test_what_one_segment_alone_does_is_special_to_it() -> None:
    draw = np.random.default_rng(6)
    sets = []
    for number in range(900):
        basket = {f"{item}" for item in draw.integers(0, 12, 4)} | ({"tea"} if number % 2 else set())
        user = number % USERS
        together = user % 5 != 4 and user % SEGMENTS == 1  # segment 1, as in `memberships`
        sets.append(frozenset(basket | ({"cup"} if draw.random() < (0.8 if together else 0.2) else set())))
    table = found(sets, settings(min_count=30, min_confidence=0)).table
    rows = [row for row in table.to_pylist() if (row["antecedents"], row["consequents"]) == (["tea"], ["cup"])]
    assert [row["segment_id"] for row in rows] == [None, "segment 0", "segment 1", "segment 2"]
    assert [row["special_q"] < 0.05 for row in rows[1:]] == [False, True, False]
    assert rows[2]["confidence"] > 0.7
    assert rows[2]["confidence_ratio"] > 2


BAD = {
    "no orders": ([], Nothing.NO_ORDERS),
    "one-item baskets only": ([{"a"}, {"b"}, {"a"}] * 9, Nothing.ONE_ITEM),
    "one basket of 10,000 lines": ([{f"{number}" for number in range(10_000)}], Nothing.TOO_LONG),
    "nothing is together twice": ([{"a", "b"}, {"c", "d"}, {"e", "f"}], Nothing.NOT_FREQUENT),
    "orders without an item": ([set(), set()], Nothing.NO_ITEMS),
}


@pytest.mark.parametrize("algorithm", ["fpgrowth", "apriori", "counting"])
@pytest.mark.parametrize("case", BAD)
def test_baskets_without_rules_give_an_empty_table_and_the_reason(case: str, algorithm: str) -> None:
    sets, reason = BAD[case]
    made = found(sets, settings(algorithm=algorithm))
    assert made.nothing == reason
    assert made.table.num_rows == made.figures["rules"] == 0
    assert made.table.schema == found(random_sets(27), settings()).table.schema


@pytest.mark.parametrize("algorithm", ["fpgrowth", "apriori", "counting"])
def test_every_basket_the_same_gives_rules_without_information(algorithm: str) -> None:
    """300 orders of the same 18 items: 18 + 153 + 816 itemsets of up to three, and nothing that is not by chance."""
    made = found([{f"{number:02}" for number in range(18)}] * 300, settings(algorithm=algorithm))
    assert made.figures["itemsets"] == 987
    assert made.figures["rules"] == 153 * 2 + 816 * 3
    for name, value in {"confidence": 1, "lift": 1, "leverage": 0, "zhang": 0, "p": 1, "q": 1}.items():
        assert set(made.table[name].to_pylist()) == {value}
    assert set(made.table["conviction"].to_pylist()) == {None}


def test_one_long_basket_among_others_is_left_out_and_counted() -> None:
    sets: list[set[str]] = [{"a", "b"}] * 10
    made = found([*sets, {"a", "b", *(f"{number}" for number in range(10_000))}], settings())
    assert made.figures["too_long"] == 1
    assert made.figures["baskets"] == 10
    assert made.table["baskets"][0].as_py() == 10


def test_a_segment_with_five_baskets_has_its_counts_and_proves_little() -> None:
    sets = [{"a", "b"}] * 50 + [{"a"}] * 50 + [{"b"}] * 50
    users = ["other"] * 148 + ["few"] * 2
    baskets = type(gathered(sets)).of([*sets, {"a", "b"}, {"a", "b"}, {"a", "b"}], [*users, *["few"] * 3])
    members = Members.of(baskets, pa.array(["few", "other"]), pa.array(["s1", "s2"]))
    rows = association_rules(baskets, members, settings(min_confidence=0.5)).table.to_pylist()
    few = [row for row in rows if row["segment_id"] == "s1" and row["antecedents"] == ["a"]]
    assert len(few) == 1
    assert (few[0]["baskets"], few[0]["antecedent_count"], few[0]["count"], few[0]["confidence"]) == (5, 3, 3, 1)
    assert few[0]["conviction"] is None
    assert few[0]["special_p"] == pytest.approx(53 * 52 * 51 / (103 * 102 * 101))
    assert math.isclose(few[0]["confidence_outside"], 0.5)


def test_a_segment_without_baskets_has_no_rows() -> None:
    baskets = gathered([{"a", "b"}] * 5, users=1)
    members = Members.of(baskets, pa.array(["user 00", "nobody"]), pa.array(["s1", "s2"]))
    table = association_rules(baskets, members, settings()).table
    assert set(table["segment_id"].to_pylist()) == {None, "s1"}


def test_rules_between_names_of_other_scripts_read_as_they_were_written() -> None:
    made = found([{"茶", "чашка", "كوب"}] * 5, settings())
    assert {tuple(row["antecedents"]) for row in made.table.to_pylist()} == {
        ("чашка",),
        ("كوب",),
        ("茶",),
        ("чашка", "كوب"),
        ("чашка", "茶"),
        ("كوب", "茶"),
    }
