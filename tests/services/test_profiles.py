"""Profiles against pairs compared one by one."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from segmentation.services.profiles import COMMONEST, FEWEST, profiles

SEGMENTS = ["a", "b", "c"]
NO_ATTRIBUTES = pa.table({})
USERS = st.lists(
    st.tuples(st.sampled_from([*SEGMENTS, "NOISE"]), st.none() | st.integers(-40, 40).map(lambda number: number / 4)),
    min_size=1,
    max_size=60,
)


def of(users, attributes=NO_ATTRIBUTES, made_of=()):
    ids = pa.array([segment for segment, _ in users], pa.string())
    features = pa.table({"frequency": pa.array([value for _, value in users], pa.float64())})
    return profiles(SEGMENTS, ids, features, made_of, attributes).to_pylist()


@given(USERS)
def test_figures_are_those_of_pairs_compared_one_by_one(users):
    for row in of(users, made_of=("frequency",)):
        inside = [value for segment, value in users if segment == row["segment_id"] and value is not None]
        others = [value for segment, value in users if segment != row["segment_id"] and value is not None]
        assert (row["users"], row["made_of"], row["value"]) == (len(inside), True, "")
        for key, values, figure in (
            ("mean", inside, np.mean),
            ("median", inside, np.median),
            ("others", others, np.mean),
            ("others_median", others, np.median),
        ):
            assert row[key] == (round(float(figure(values)), 6) + 0.0 if values else None)
        # Cliff (1993): the share of pairs in which the first is greater, less the share in which it is smaller
        pairs = [np.sign(one - other) for one in inside for other in others]
        assert row["effect"] == (round(float(np.mean(pairs)), 6) + 0.0 if pairs else None)


def test_large_amounts_and_small_differences_keep_their_order():
    users = [("a", 87_654_321.000001), ("b", 87_654_321.000002), ("c", -0.0), ("c", 0.0)]
    rows = {row["segment_id"]: row for row in of(users)}
    assert (rows["a"]["effect"], rows["b"]["effect"], rows["c"]["effect"]) == (round(1 / 3, 6), 1.0, -1.0)
    assert rows["a"]["mean"] == 87_654_321.000001
    assert rows["c"]["median"] == 0.0


def test_the_share_of_an_attribute_is_of_those_of_whom_it_is_known():
    users = [("a", 1.0)] * 40 + [("b", 1.0)] * 50
    states = ["SP"] * 20 + ["RJ"] * 10 + [None] * 10 + ["SP"] * 10 + ["RJ"] * 30 + [None] * 10
    rows = {
        (row["segment_id"], row["value"]): (row["users"], row["mean"], row["others"], row["effect"])
        for row in of(users, pa.table({"state": states}))
        if row["name"] == "state"
    }
    assert rows["a", "SP"] == (20, round(2 / 3, 6), 0.25, round(2 / 3 - 0.25, 6))
    assert rows["b", "RJ"] == (30, 0.75, round(1 / 3, 6), round(0.75 - 1 / 3, 6))
    assert rows["c", "SP"] == (0, None, round(3 / 7, 6), None)


def test_an_attribute_has_its_commonest_values_only_and_none_that_could_point_at_someone():
    counts = {f"c{number:02}": FEWEST + (number < 3) for number in range(COMMONEST + 3)} | {"rare": FEWEST - 1}
    cities = [name for name, count in counts.items() for _ in range(count)]
    rows = of([("a", 1.0)] * len(cities), pa.table({"city": cities}))
    found = {row["value"] for row in rows if row["name"] == "city"}
    assert found == {f"c{number:02}" for number in range(COMMONEST)}
    few = of([("a", 1.0)] * 4, pa.table({"email": [f"{number}@example.com" for number in range(4)]}))
    assert [row for row in few if row["name"] == "email"] == []


def test_with_one_segment_there_are_no_others():
    ids, features = pa.array(["a", "a"]), pa.table({"frequency": [1.0, 3.0]})
    (row,) = profiles(["a"], ids, features, (), NO_ATTRIBUTES).to_pylist()
    assert (row["mean"], row["others"], row["effect"]) == (2.0, None, None)
