"""Which ids live on when the model changes: the rules by hand, against a second implementation, and for any matrix."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.clustering import model as model_module
from segmentation.clustering.model import Fit, MadeBy, Model, Segment
from segmentation.config import Clustering, Features
from segmentation.tracking import identity
from segmentation.tracking.identity import carry_over, overlap, segment_events

MADE_BY = MadeBy(Features(), Clustering())
BIRTH, DAY = date(2026, 1, 5), date(2026, 3, 9)
AXIS = {"feature": "recency", "fill": 0.0, "log": False, "low": -9.0, "high": 9.0, "mean": 0.0, "sd": 1.0}


def made_fit(centres: list[float]) -> Fit:
    return Fit.from_document({"algorithm": "kmeans", "transform": [AXIS], "centres": [[centre] for centre in centres]})


def old_model(*ids: str) -> Model:
    segments = (Segment(name, BIRTH, ("older",), (float(place),)) for place, name in enumerate(ids))
    return Model("an old fit", ("recency",), tuple(segments), MADE_BY)


def carried(ids: str, counts: list[list[int]]) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Ids of the new segments, new ones as n0, n1, … by column, and the events as (event, from, to).

    ids: one letter per old state, * for NOISE.
    """
    states = ["NOISE" if letter == "*" else letter for letter in ids]
    width = len(counts[0])
    model, events = carry_over(
        old_model(*(state for state in states if state != "NOISE")),
        states,
        made_fit([float(column) for column in range(width)]),
        "a new fit",
        DAY,
        np.array(counts),
    )
    new = {name: f"n{column}" for column, name in enumerate(model.ids) if name not in states}
    named = [new.get(name, name) for name in model.ids]
    told = [
        (event["event"], *(",".join(sorted(new.get(name, name) for name in event[end])) for end in ("from", "to")))
        for event in events
    ]
    return named, told


CASES = [
    (
        "each goes on where most of it is",
        ("ab", [[90, 10], [5, 95]]),
        (["a", "b"], [("survived", "a", "a"), ("survived", "b", "b")]),
    ),
    (
        "a small group grows out of two that go on",
        ("ab", [[95, 0, 5], [0, 90, 10]]),
        (["a", "b", "n2"], [("survived", "a", "a"), ("survived", "b", "b"), ("born", "", "n2")]),
    ),
    (
        "the child that holds half keeps the id",
        ("a", [[60, 40]]),
        (["a", "n1"], [("split", "a", "a,n1")]),
    ),
    (
        "no child holds half: the id ends",
        ("a", [[40, 35, 25]]),
        (["n0", "n1", "n2"], [("split", "a", "n0,n1,n2")]),
    ),
    (
        "of two halves the first centre keeps it",
        ("a", [[50, 50]]),
        (["a", "n1"], [("split", "a", "a,n1")]),
    ),
    (
        "a quarter is a part, less is none",
        ("ab", [[75, 25, 0], [0, 76, 24]]),
        (["a", "b", "n2"], [("survived", "a", "a"), ("survived", "b", "b"), ("born", "", "n2")]),
    ),
    (
        "two of a size become one, with the id of the larger",
        ("ab", [[90], [100]]),
        (["b"], [("merged", "a,b", "b")]),
    ),
    (
        "of equals the smaller id",
        ("ba", [[100], [100]]),
        (["a"], [("merged", "a,b", "a")]),
    ),
    (
        "five of a size become one",
        ("abcde", [[20], [21], [20], [20], [19]]),
        (["b"], [("merged", "a,b,c,d,e", "b")]),
    ),
    (
        "a small segment goes wholly into a large one, which only survived",
        ("ab", [[1000], [10]]),
        (["a"], [("survived", "a", "a"), ("absorbed", "b", "a")]),
    ),
    (
        "a small one goes into a new group made of small parts of a large one: the group is not the small one",
        ("ab", [[800, 200], [0, 10]]),
        (["a", "n1"], [("survived", "a", "a"), ("absorbed", "b", "n1"), ("born", "", "n1")]),
    ),
    (
        "a small one is shared out among large ones",
        ("abc", [[1000, 0], [0, 1000], [6, 4]]),
        (["a", "b"], [("survived", "a", "a"), ("survived", "b", "b"), ("absorbed", "c", "a,b")]),
    ),
    (
        "one of a size is shared out among two that go on: not a split and two mergers",
        ("abc", [[100, 0], [0, 100], [60, 40]]),
        (["a", "b"], [("survived", "a", "a"), ("survived", "b", "b"), ("absorbed", "c", "a,b")]),
    ),
    (
        "what a small one leaves to a large neighbour is no split",
        ("ab", [[1000, 0], [30, 70]]),
        (["a", "b"], [("survived", "a", "a"), ("survived", "b", "b")]),
    ),
    (
        "one goes to pieces: nothing new holds half of it",
        ("abcde", [[30, 24, 23, 23], [0, 50, 0, 0], [0, 0, 50, 0], [0, 0, 0, 50], [40, 0, 0, 0]]),
        (
            ["e", "b", "c", "d"],
            [
                *(("survived", name, name) for name in "bcde"),
                ("died", "a", ""),
            ],
        ),
    ),
    (
        "between two that go on, even a half is a shift of the border",
        ("ab", [[50, 50], [0, 60]]),
        (["a", "b"], [("survived", "a", "a"), ("survived", "b", "b")]),
    ),
    (
        "what an ending segment gives makes one that goes on",
        ("ab", [[40, 35, 25], [0, 0, 60]]),
        (["n0", "n1", "b"], [("split", "a", "b,n0,n1"), ("merged", "a,b", "b")]),
    ),
    (
        "two split, and a part of each makes a third",
        ("ab", [[60, 0, 40], [0, 65, 35]]),
        (["a", "b", "n2"], [("split", "a", "a,n2"), ("split", "b", "b,n2"), ("merged", "a,b", "n2")]),
    ),
    (
        "a segment without users today died, even where it would have stood",
        ("ab", [[100, 0], [0, 0]]),
        (["a", "n1"], [("survived", "a", "a"), ("died", "b", ""), ("born", "", "n1")]),
    ),
    (
        "users from NOISE make no parent",
        ("a*", [[100, 0], [0, 50]]),
        (["a", "n1"], [("survived", "a", "a"), ("born", "", "n1")]),
    ),
    (
        "what was mostly NOISE is not the few who were a segment",
        ("a*", [[10], [500]]),
        (["n0"], [("absorbed", "a", "n0"), ("born", "", "n0")]),
    ),
]


@pytest.mark.parametrize(("given_", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_rules_by_hand(given_: tuple[str, list[list[int]]], expected: tuple[list[str], list[Any]]) -> None:
    assert carried(*given_) == expected


def test_a_segment_that_goes_to_noise_died_and_noise_is_told_as_its_end() -> None:
    model, events = carry_over(
        old_model("a", "b"), ["a", "b"], made_fit([0.0]), "new", DAY, np.array([[70, 30], [20, 60]])
    )
    assert model.ids == ("a",)
    assert events == [
        {
            "event": "survived",
            "from": ["a"],
            "to": ["a"],
            "overlap": {"a": {"a": 0.7}},
            "share_of_to": {"a": {"a": 0.777778}},
        },
        {
            "event": "died",
            "from": ["b"],
            "to": [],
            "overlap": {"b": {"a": 0.25, "NOISE": 0.75}},
            "share_of_to": {"b": {"a": 0.222222, "NOISE": 0.666667}},
        },
    ]


def test_who_keeps_an_id_keeps_birth_date_and_parents_and_stands_where_it_is_now() -> None:
    fit = made_fit([0.5, 2.0])
    model, _ = carry_over(old_model("a"), ["a"], fit, "new", DAY, np.array([[60, 40]]))
    kept, new = model.segments
    assert kept == Segment("a", BIRTH, ("older",), (0.5,))
    assert (new.born, new.parents, new.centre) == (DAY, ("a",), (2.0,))
    assert new.segment_id == Model.founded(fit, "new", DAY, MADE_BY).ids[1]
    assert (model.fit, model.features) == ("new", ("recency",))


def test_a_new_id_that_the_old_model_has_already_is_made_another() -> None:
    fit = made_fit([0.0, 1.0])
    there = Model.founded(fit, "new", DAY, MADE_BY).ids
    model, events = carry_over(old_model(*there), list(there), fit, "new", DAY, np.zeros((2, 2), dtype=int))
    assert len({*there, *model.ids}) == 4
    assert [event["event"] for event in events] == ["died", "died", "born", "born"]
    assert all(len(name) == 8 for name in model.ids)


def test_new_ids_that_are_alike_are_made_different(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (identity, model_module):  # ids of one character: ten of sixteen are alike for certain
        monkeypatch.setattr(module, "ID_CHARACTERS", 1)
    fit = made_fit([float(place) for place in range(10)])
    counts = np.ones((1, 10), dtype=int)
    model, _ = carry_over(old_model("a"), ["a"], fit, "new", DAY, counts)
    assert len(set(Model.founded(fit, "new", DAY, MADE_BY).ids)) < 10
    assert len({"a", *model.ids}) == 11


def test_a_model_without_any_segment_lets_all_die() -> None:
    model, events = carry_over(old_model("a"), ["a"], made_fit([]), "new", DAY, np.array([[5]]))
    assert model.segments == ()
    assert [(event["event"], event["overlap"]) for event in events] == [("died", {"a": {"NOISE": 1.0}})]


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2, 4), (3, 2)])
def test_counts_of_another_shape_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="2 old states and 2 new segments"):
        carry_over(old_model("a", "b"), ["a", "b"], made_fit([0.0, 1.0]), "new", DAY, np.ones(shape, dtype=int))


def test_overlap_counts_the_users_by_both_states() -> None:
    before, after = np.array([0, 0, 1, 2, 0]), np.array([1, 1, 0, 1, 0])
    assert overlap(before, after, (3, 2)).tolist() == [[1, 2], [1, 0], [0, 1]]
    with pytest.raises(ValueError, match="invalid entry"):
        overlap(np.array([0, -1]), np.array([0, 0]), (3, 2))


def test_the_event_of_each_segment_of_a_day() -> None:
    counts = np.array([[60, 0, 40, 0, 0], [0, 65, 35, 0, 0], [0, 0, 0, 90, 10]])
    model, events = carry_over(old_model("a", "b", "c"), ["a", "b", "c"], made_fit([0, 1, 2, 3, 4]), "new", DAY, counts)
    named = segment_events(model, events, DAY)
    assert [named[name] for name in model.ids] == ["split", "split", "merged", "survived", "born"]
    assert set(segment_events(model, [], DAY).values()) == {"born", "continued"}
    assert segment_events(old_model("a"), [], DAY) == {"a": "continued"}
    assert segment_events(old_model("a"), [], BIRTH) == {"a": "born"}


# The rules once more, written from their text with exact fractions, and not from the code.


def brute_force(
    old: list[str], new: list[str], users: dict[tuple[str, str], int]
) -> tuple[dict[str, str], set[tuple[str, tuple[str, ...], tuple[str, ...]]]]:
    """New segment → the old id that it keeps; and the events as (event, from, to). Keys of `users` may name NOISE."""
    sizes = {p: sum(count for (origin, _), count in users.items() if origin == p) for p in old}

    def share(p: str, c: str) -> Fraction:
        return Fraction(users[p, c], sizes[p]) if sizes[p] else Fraction(0)

    made: dict[str, list[str]] = {}
    for p in old:
        mine = []
        for c in new:
            best = max(count for (_, end), count in users.items() if end == c)
            if share(p, c) >= Fraction(1, 4) and Fraction(users[p, c]) >= Fraction(best, 4):
                mine.append(c)
        made[p] = mine if sum(share(p, c) for c in mine) >= Fraction(1, 2) else []
    # An id goes to the child that half of the segment is in; who gives most is served first, then the smaller id, then
    # the smaller centre (the names of the new ones are in the order of their centres).
    kept: dict[str, str] = {}
    wishes = [(-users[p, c], p, c) for p in old for c in made[p] if share(p, c) >= Fraction(1, 2)]
    for _, p, c in sorted(wishes):
        if c not in kept and p not in kept.values():
            kept[c] = p
    for p in kept.values():
        made[p] = [c for c in made[p] if kept.get(c, p) == p]
    for p in set(old) - set(kept.values()):
        if len(made[p]) > 1 and set(made[p]) <= set(kept):
            made[p] = []
    makers = {c: [p for p in old if c in made[p]] for c in new}

    events: set[tuple[str, tuple[str, ...], tuple[str, ...]]] = set()
    for p in old:
        parts = [c for c in new if share(p, c) >= Fraction(1, 4)]
        if len(made[p]) > 1:
            events.add(("split", (p,), tuple(made[p])))
        elif len(made[p]) == 1:
            c = made[p][0]
            if makers[c] == [p]:
                events.add(("survived", (p,), (c,)))
        elif parts and sum(share(p, c) for c in parts) >= Fraction(1, 2):
            events.add(("absorbed", (p,), tuple(parts)))
        else:
            events.add(("died", (p,), ()))
    for c in new:
        if len(makers[c]) > 1:
            events.add(("merged", tuple(makers[c]), (c,)))
        elif not makers[c]:
            events.add(("born", (), (c,)))
    return kept, events


@st.composite
def matrices(draw: st.DrawFn) -> tuple[bool, np.ndarray]:
    """Whether the last row is NOISE, and counts for 1 to 4 old segments and 1 to 4 new ones (one may be NOISE).

    Few different values, many of them 0, so that ties and shares of just a quarter and a half are common.
    """
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    value = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 6, 8, 12, 100])
    cells = draw(st.lists(value, min_size=rows * columns, max_size=rows * columns))
    return draw(st.booleans()), np.array(cells).reshape(rows, columns)


Result = tuple[Model, list[dict[str, Any]]]


def run(noise_row: bool, noise_column: bool, counts: np.ndarray, order: list[int] | None = None) -> Result:
    rows, columns = counts.shape
    states = [*(f"old{row}" for row in range(rows - noise_row)), *(["NOISE"] if noise_row else [])]
    order = list(range(columns - noise_column)) if order is None else order
    there = order + list(range(len(order), columns))
    return carry_over(
        old_model(*(state for state in states if state != "NOISE")),
        states,
        made_fit([float(place) for place in order]),
        "new",
        DAY,
        counts[:, there],
    )


@settings(max_examples=400, deadline=None)
@given(matrices(), st.booleans())
def test_a_second_implementation_finds_the_same_ids_and_events(
    drawn: tuple[bool, np.ndarray], noise_column: bool
) -> None:
    noise_row, counts = drawn
    model, events = run(noise_row, noise_column, counts)
    rows, columns = counts.shape
    old = [f"old{row}" for row in range(rows)]
    new = [f"new{column}" for column in range(columns)]
    users = {(p, c): int(counts[row, column]) for row, p in enumerate(old) for column, c in enumerate(new)}
    kept, expected = brute_force(old[: rows - noise_row], new[: columns - noise_column], users)
    ids = dict(zip(new, model.ids, strict=False))
    assert {c: name for c, name in ids.items() if name in old} == kept
    assert len(events) == len(expected)
    assert {(event["event"], tuple(event["from"]), tuple(event["to"])) for event in events} == {
        (event, origins, tuple(sorted(ids[c] for c in ends))) for event, origins, ends in expected
    }


@settings(max_examples=200, deadline=None)
@given(matrices(), st.booleans())
def test_every_segment_has_its_event_and_every_id_is_used_once(
    drawn: tuple[bool, np.ndarray], noise_column: bool
) -> None:
    noise_row, counts = drawn
    model, events = run(noise_row, noise_column, counts)
    old = {f"old{row}" for row in range(counts.shape[0] - noise_row)}
    assert len(set(model.ids)) == len(model.ids)
    fates = [name for event in events if event["event"] != "merged" for name in event["from"]]
    merged = {name for event in events if event["event"] == "merged" for name in event["from"]}
    assert len(fates) == len(set(fates))  # split, survived, absorbed or died: one of them at most
    assert {*fates, *merged} == old
    origins = [name for event in events if event["event"] in ("survived", "merged", "born") for name in event["to"]]
    split = {name for event in events if event["event"] == "split" for name in event["to"]}
    assert len(origins) == len(set(origins))
    assert {*origins, *split} == set(model.ids)
    assert segment_events(model, events, DAY).keys() == set(model.ids)
    for segment in model.segments:
        # Parents are old segments that the events name as its origin; a kept id has those that it had.
        told = {p for event in events if segment.segment_id in event["to"] for p in event["from"]}
        assert segment.parents == ("older",) if segment.segment_id in old else set(segment.parents) <= told
    for event in events:
        for shares in event["overlap"].values():
            assert all(0 < share <= 1 for share in shares.values())


@settings(max_examples=100, deadline=None)
@given(matrices(), st.booleans(), st.randoms())
def test_the_order_of_centres_and_of_states_changes_nothing(
    drawn: tuple[bool, np.ndarray], noise_column: bool, random: Any
) -> None:
    noise_row, counts = drawn
    model, events = run(noise_row, noise_column, counts)
    order = list(range(counts.shape[1] - noise_column))
    random.shuffle(order)
    shuffled, told = run(noise_row, noise_column, counts, order)
    assert told == events
    assert shuffled.segments == tuple(model.segments[place] for place in order)

    states = [*(f"old{row}" for row in range(counts.shape[0] - noise_row)), *(["NOISE"] if noise_row else [])]
    rows = random.sample(range(len(states)), len(states))
    parent = old_model(*(state for state in states if state != "NOISE"))
    again = carry_over(
        replace(parent, segments=tuple(random.sample(parent.segments, len(parent.segments)))),
        [states[row] for row in rows],
        made_fit([float(column) for column in range(counts.shape[1] - noise_column)]),
        "new",
        DAY,
        counts[rows],
    )
    assert again == (model, events)


def test_the_order_of_users_changes_nothing() -> None:
    pairs = [(0, 1), (0, 1), (1, 0), (1, 1)]
    found = {
        tuple(overlap(np.array([p for p, _ in users]), np.array([c for _, c in users]), (2, 2)).ravel())
        for users in permutations(pairs)
    }
    assert found == {(0, 2, 1, 1)}
