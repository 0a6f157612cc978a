"""Part 3: shops whose truth is known, through the whole pipeline: what was decided, found and said, beside the naive methods.

The truth is kept apart from the data and read only here. A shop of `USERS` users, windows of `WINDOW` days; whatever happens
begins on day `HAPPENS`. Proposals count as taken (`ask_above = 1`): a person would have said yes.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.metrics import adjusted_rand_score

from segmentation import history
from segmentation.clustering import kmeans
from segmentation.clustering.model import Fit, Model
from segmentation.clustering.transform import Matrix, Transform
from segmentation.config import Config
from segmentation.simulation.scenario import Scenario, load
from segmentation.simulation.shop import kinds_on, simulate
from segmentation.store.store import Store, open_store

START = date(2024, 1, 1)
USERS, WINDOW, HAPPENS, DAYS = 3_000, 60, 100, 210
TELLABLE = 0.75  # Jaccard index from which on true groups can be told apart
LAST_EVALUATIONS = 5
CROSSED_WITHIN = 45  # days after a planted move in which a published move is taken for its consequence
STOPPED = ("lapsing", "gone")
# What each scenario plants: the kinds that begin and those that end; no others call for another structure.
BEGIN: dict[str, tuple[str, ...]] = {"born": ("firm",), "split": ("snacker", "stocker")}
END: dict[str, tuple[str, ...]] = {"dying": ("loyal",), "merged": ("bargain",)}
SCENARIOS = ("stationary", "born", "split", "merged", "dying", "price_rise", "sale", "bots", "outage", "drift")
Kinds = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Trial:
    """What one scenario with one seed gave.

    changes: (days after the happening began, the segments more or fewer) of each restructure; tellable: days after it
    from which on the planted groups can be told apart, None for never, or those that end have ended; index: adjusted
    Rand index to the truth on the last evaluation days, by method; worst: the largest share that moved on one of the 14
    days from the happening on; causes: right ones and all, of planted moves up and of planted stops, by the move there
    and by any move.
    """

    scenario: str
    seed: int
    changes: list[tuple[int, int]]
    tellable: int | None
    index: dict[str, float]
    worst: float
    causes: dict[str, tuple[int, int]]


def run(name: str, seed: int, folder: Path, users: int = USERS) -> Trial:
    """Simulate the scenario, segment every day, and hold what was published against the truth."""
    scenario = load(name)
    moved = tuple(one.model_copy(update={"after_days": HAPPENS}) for one in scenario.happenings)
    scenario = scenario.model_copy(update={"happenings": moved})
    simulate(folder, scenario, users, DAYS, START, seed)
    (folder / "segmentation.toml").unlink(missing_ok=True)
    config = Config(
        root=folder,
        sources={
            **{table: {"path": f"{table}/{{date}}.parquet"} for table in ("orders", "events", "reviews")},
            "users": {"path": "users.parquet"},
        },
        features={"window_days": WINDOW},
        adjustment={"ask_above": 1},
        validation={"empty_days": "allow"},
    )
    history.backfill(config, START + timedelta(days=WINDOW - 1), START + timedelta(days=DAYS - 1))
    store = open_store(config)
    decisions = {day: store.json(f"{one.folder}/decision.json") for day, one in _published(store)}
    evaluations = [day for day, decision in decisions.items() if "evaluation" in decision["evidence"]]
    days = [day for day, _ in _published(store)]
    changes = []
    for before, day in pairwise(days):
        if decisions[day]["decision"] == "restructure":
            more = decisions[day]["evidence"]["segments"] - decisions[before]["evidence"]["segments"]
            changes.append(((day - START).days - HAPPENS, more))
    return Trial(
        name,
        seed,
        changes,
        _tellable(store, folder, name, scenario, evaluations),
        _index(store, folder, evaluations[-LAST_EVALUATIONS:]),
        max(one.summary["share_moved"] for day, one in _published(store) if 0 <= (day - START).days - HAPPENS < 14),
        _causes(store, folder, scenario),
    )


def _published(store: Store) -> list[tuple[date, Any]]:
    return sorted(store.state().published.items())


def _there(store: Store, folder: Path, day: date) -> tuple[pa.Table, Kinds]:
    """The day's features, and the true kind of each of the users."""
    features = store.objects.table(f"{store.state().published[day].folder}/features.parquet")
    truth = kinds_on(folder, day)
    kinds = dict(zip(truth["user_id"].to_pylist(), truth["kind"].to_pylist(), strict=True))
    return features, np.array([kinds[user] for user in features["user_id"].to_pylist()])


def _oracle(points: Matrix, kinds: Kinds) -> Kinds:
    """Each user's kind as the nearest mean of the true kinds says: as good as these features allow with centres."""
    names = np.unique(kinds)
    centres = np.array([points[kinds == name].mean(axis=0) for name in names])
    return names[np.argmin(kmeans.distances(points, centres), axis=1)]


def _model(store: Store, day: date) -> tuple[Model, Fit]:
    model = Model.from_document(store.json(f"{store.state().published[day].folder}/model.json"))
    return model, Fit.from_document(store.named("fits", model.fit))


def _tellable(store: Store, folder: Path, name: str, scenario: Scenario, evaluations: list[date]) -> int | None:
    """For what begins: the first evaluation day on which the oracle tells all of it; for what ends: when it is complete."""
    happens = START + timedelta(days=HAPPENS)
    if name in END:
        return max((one.days or 0) for one in scenario.happenings)
    told = (day for day in evaluations if day >= happens and _told(store, folder, day, BEGIN.get(name, ())))
    first = next(told, None)
    return (first - happens).days if first else None


def _told(store: Store, folder: Path, day: date, planted: tuple[str, ...]) -> bool:
    """Whether true groups can be told apart by the model's features."""
    if not planted:
        return False
    features, kinds = _there(store, folder, day)
    names = _model(store, day)[0].features
    told = _oracle(Transform.fit(features, names).apply(features), kinds)
    return all(
        ((kinds == one) & (told == one)).sum() >= TELLABLE * max(((kinds == one) | (told == one)).sum(), 1)
        for one in planted
    )


def _index(store: Store, folder: Path, days: list[date]) -> dict[str, float]:
    """Mean adjusted Rand index to the truth over the days: of the published segments, of the nearest ones by the day's model,
    and of the naive methods. Labels that are matched from day to day have the same index."""
    first, _ = _published(store)[0]
    frozen = _model(store, first)[1]
    segments, names = len(frozen.centres), frozen.transform.features
    found: dict[str, list[float]] = {}
    for day in days:
        features, kinds = _there(store, folder, day)
        points = Transform.fit(features, names).apply(features)
        members = store.objects.table(f"{store.state().published[day].folder}/memberships.parquet")
        members = members.filter(pc.is_valid(members["segment_id"]))
        published = dict(zip(members["user_id"].to_pylist(), members["segment_id"].to_pylist(), strict=True))
        labels = {
            "ours": [published[user] for user in features["user_id"].to_pylist()],
            "ours, nearest": np.argmin(_model(store, day)[1].distances(features), axis=1),
            "daily re-fit": np.argmin(kmeans.distances(points, kmeans.fit(points, segments, 0)), axis=1),
            "frozen": np.argmin(frozen.distances(features), axis=1),
            "oracle": _oracle(points, kinds),
        }
        for method, label in labels.items():
            found.setdefault(method, []).append(adjusted_rand_score(kinds, label))
    return {method: float(np.mean(values)) for method, values in found.items()}


def _causes(store: Store, folder: Path, scenario: Scenario) -> dict[str, tuple[int, int]]:
    """Of the planted moves that a published move follows: how many have the right cause, up (behaviour), stopped (ageing).

    What began before a planted move does not follow from it: who had left the published segment already is not counted by the
    move that comes of that. Nor does what leads elsewhere: who begins to buy more may go to a segment of fewer orders first,
    for not having bought in the weeks before. So the first move to a segment whose users order more (fewer) counts; beside it
    (`any`) the first move of all.
    """
    first, last = _published(store)[0][0], _published(store)[-1][0]
    moves: dict[
        str, list[tuple[date, date, str, float]]
    ] = {}  # the way out began, the move, its cause, more orders there
    left: dict[str, date] = {}
    for day, one in _published(store)[1:]:
        members = store.objects.table(f"{one.folder}/memberships.parquet")
        orders = _orders(members, store.objects.table(f"{one.folder}/features.parquet"))
        moved = members.filter(pc.equal(members["status"], "moved"))
        for move in moved.to_pylist():
            more = orders[move["segment_id"]] - orders.get(move["previous_segment_id"], 0.0)
            moves.setdefault(move["user_id"], []).append((left.get(move["user_id"], day), day, move["cause"], more))
        away = members.filter(pc.not_equal(members["nearest_segment_id"], members["segment_id"]))
        left = {user: left.get(user, day) for user in away["user_id"].to_pylist()}
    rate = {name: kind.orders for name, kind in scenario.kinds.items()} | {"gone": 0.0}
    counted: Counter[tuple[str, bool]] = Counter()
    for move in pq.read_table(folder / "truth" / "moves.parquet").to_pylist():
        day, old, new = move["date"], move["from_kind"], move["to_kind"]
        if not first < day <= last - timedelta(days=CROSSED_WITHIN):
            continue
        which = "stopped" if new in STOPPED and old not in STOPPED else "up" if rate[new] > 2 * rate[old] else None
        found = moves.get(move["user_id"], ())
        after = [
            (cause, more) for began, at, cause, more in found if day <= began and (at - day).days <= CROSSED_WITHIN
        ]
        if not which:
            continue
        right = "ageing" if which == "stopped" else "behaviour"
        there = [(cause, more) for cause, more in after if (more < 0 if which == "stopped" else more > 0)]
        for name, counts in ((which, there[:1]), (f"{which}, any", after[:1])):
            for cause, _ in counts:
                counted[name, cause == right] += 1
    names = ("up", "stopped", "up, any", "stopped, any")
    return {name: (counted[name, True], counted[name, True] + counted[name, False]) for name in names}


def _orders(members: pa.Table, features: pa.Table) -> dict[str, float]:
    """By published segment: the mean frequency of its users."""
    both = members.select(["user_id", "segment_id"]).join(
        features.select(["user_id", "frequency"]), "user_id", join_type="inner"
    )
    means = both.group_by("segment_id").aggregate([("frequency", "mean")])
    return dict(zip(means["segment_id"].to_pylist(), means["frequency_mean"].to_pylist(), strict=True))


def found(trial: Trial) -> tuple[int | None, int]:
    """Days from when it could be told (or was complete) to the first right change, None if there was none; and how many
    changes were not planted. A segment more is right while something begins, one fewer while something ends."""
    right = [at for at, more in trial.changes if at >= 0 and _is_planted(trial.scenario, more)]
    wrong = len(trial.changes) - min(len(right), 1)
    if not right:
        return None, wrong
    return max(right[0] - (trial.tellable or 0), 0) if trial.tellable is not None else 0, wrong


def _is_planted(scenario: str, more: int) -> bool:
    return (scenario in BEGIN and more > 0) or (scenario in END and more < 0)
