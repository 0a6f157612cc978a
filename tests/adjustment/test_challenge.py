"""What makes a proposal the same as another, and when another optimum takes the place of the parent's."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from segmentation.adjustment.challenge import Compared, compare, settled
from segmentation.clustering import kmeans
from segmentation.clustering.model import Fit, MadeBy, Model, Segment
from segmentation.clustering.transform import Transform
from segmentation.config import Clustering, Features

FIT = Fit("kmeans", Transform(()), np.empty((0, 0)))


def model(ids: str) -> Model:
    segments = tuple(Segment(name, date(2026, 1, 5), (), ()) for name in ids)
    return Model("a fit", (), segments, MadeBy(Features(), Clustering()))


def key(ids: str, *events: tuple[str, str, str]) -> str:
    """Of what becomes of A, B and C: ids of the new model; events as (event, from, to)."""
    made: list[dict[str, Any]] = [
        {"event": event, "from": list(before), "to": list(after)} for event, before, after in events
    ]
    return Compared(FIT, model(ids), made, {}).key(model("ABC"))


A, B, C = (("survived", name, name) for name in "ABC")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Which of the two gives its id, and whether the smaller one made a part of it or was absorbed.
        (key("AC", ("merged", "AB", "A"), C), key("BC", ("merged", "AB", "B"), C)),
        (key("AC", ("merged", "AB", "A"), C), key("AC", A, ("absorbed", "B", "A"), C)),
        (key("A", ("merged", "ABC", "A")), key("n", ("merged", "ABC", "n"))),
        # Split off, born, or of a segment that ends with the split.
        (key("ABCn", ("split", "A", "An"), B, C), key("ABCn", A, B, C, ("born", "", "n"))),
        (key("ABCn", ("split", "A", "An"), B, C), key("BCmn", ("split", "A", "mn"), B, C)),
    ],
)
def test_it_is_the_same_proposal_whatever_some_users_at_the_limit_make_of_it(one: str, other: str) -> None:
    assert one == other


def test_other_segments_joined_left_out_or_added_are_another_proposal() -> None:
    keys = [
        key("ABC", A, B, C),
        key("AC", ("merged", "AB", "A"), C),
        key("AB", ("merged", "AC", "A"), B),
        key("AC", A, ("died", "B", ""), C),
        key("AB", A, B, ("died", "C", "")),
        key("ABCn", A, B, C, ("born", "", "n")),
        key("ABCmn", A, B, C, ("born", "", "m"), ("born", "", "n")),
        key("ABn", A, B, ("died", "C", ""), ("born", "", "n")),
    ]
    assert len(set(keys)) == len(keys)


def test_without_an_alarm_another_optimum_must_save_more() -> None:
    """Of a cloud without groups, whose optima differ by some percent; the shares saved are recomputed here."""
    names, dice = ("frequency", "monetary"), np.random.default_rng(0)
    points = np.round(dice.uniform(0, 1, (300, 2)), 6)
    users = pa.table({"user_id": [f"u{n:03}" for n in range(300)], **dict(zip(names, points.T, strict=True))})
    best = Fit.of(users, names, Clustering(), 5)
    places = best.points(users)

    def inertia(centres: np.ndarray) -> float:
        return float((np.linalg.norm(places[:, None] - centres[None], axis=2).min(axis=1) ** 2).sum())

    seen = set()
    for seed in range(20):
        parent = Fit("kmeans", best.transform, kmeans.fit(places, 5, seed, restarts=1))
        saves = 1 - inertia(best.centres) / inertia(parent.centres)
        taken = tuple(settled(best, parent, users, users, Clustering(), called) is best for called in (True, False))
        assert taken == (saves > 0.01, saves > 0.05)
        seen.add(taken)
    assert seen == {(False, False), (True, False), (True, True)}


def test_by_density_a_group_that_has_left_its_cores_is_still_the_one_that_it_is_published_as() -> None:
    """Three groups; the users of the last are elsewhere today, noise by the old model, and in the end published so, too."""
    names, dice, settings = ("frequency", "monetary"), np.random.default_rng(0), Clustering(algorithm="dbscan")
    points = dice.normal(0, 0.5, (600, 2)) + np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 200, axis=0)

    def users(places: np.ndarray) -> pa.Table:
        ids = [f"u{number:03}" for number in range(600)]
        return pa.table({"user_id": ids, **dict(zip(names, np.round(places, 6).T, strict=True))})

    before, after = users(points), users(points + np.repeat([[0, 0], [0, 0], [5.0, 9.0]], 200, axis=0))
    parent = Fit.of(before, names, settings, None)
    made = Model.founded(parent, "a fit", date(2026, 1, 5), MadeBy(Features(), settings))
    states = np.array(made.states(parent))[np.argmin(parent.distances(before), axis=1)]
    new = Fit.of(after, names, settings, None)
    assert set(np.argmin(parent.distances(after), axis=1)[400:]) == {3}

    def found(published: np.ndarray) -> tuple[list[str], float]:
        table = pa.table({"user_id": after["user_id"], "segment_id": pa.array(published, pa.string())})
        found = compare(made, parent, None, after, new, after, table, date(2026, 2, 5))
        return [event["event"] for event in found.events], found.evidence["impact"]["users"]

    assert found(states) == (["survived"] * 3, 0.0)
    states[400:500] = "NOISE"
    events, moved = found(states)
    assert events == ["survived"] * 3
    assert moved == pytest.approx(100 / 600, abs=0.01)
    states[400:] = "NOISE"
    assert found(states)[0] == ["survived", "survived", "died", "born"]
