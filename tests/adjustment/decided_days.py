"""Made-up users, whose changes are known, and the decisions of many days in a row about them."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation.adjustment.outcomes import Decided
from segmentation.adjustment.policy import decide
from segmentation.adjustment.today import Standing, Today
from segmentation.clustering.model import Fit
from segmentation.config import Adjustment, Clustering, Features, Recipe
from segmentation.store.content import hash_json
from segmentation.store.snapshots import NOISE

FIRST = date(2026, 1, 5)  # a Monday
NAMES = ("frequency", "monetary")  # where users are; not when they were seen last
CENTRES = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
USERS = 450

Places = Callable[[int], np.ndarray]


def crowd(seed: int = 0, users: int = USERS, centres: np.ndarray = CENTRES) -> np.ndarray:
    dice = np.random.default_rng(seed)
    return centres[np.arange(users) % len(centres)] + dice.normal(0, 1, (users, 2))


def recipe(**sections: Any) -> Recipe:
    clustering = Clustering(**{"max_segments": 5, **sections.get("clustering", {})})
    adjustment = Adjustment(**sections.get("adjustment", {}))
    features = Features(**sections.get("features", {}))
    return Recipe.model_construct(features=features, clustering=clustering, adjustment=adjustment)


class Shop:
    """One day after the other. patience: for how many days who is noise is published in the segment of before."""

    def __init__(self, patience: int = 0, **sections: Any) -> None:
        self.recipe, self.patience, self.names = recipe(**sections), patience, NAMES
        self.last: dict[
            str, tuple[str, int]
        ] = {}  # by user: the last segment that is not NOISE, and days of noise since
        self.day, self.parent = FIRST, None
        self.decided: list[Decided] = []

    def run(self, points: np.ndarray, adopted: Fit | None = None, active_days: int = 30) -> dict[str, Any]:
        points = np.round(points, 6)
        table = pa.table(
            {
                "user_id": [f"u{number:05}" for number in range(len(points))],
                **{name: points[:, place] for place, name in enumerate(NAMES)},
                "views": np.round(points.sum(axis=1), 6),
            }
        )
        today = Today(self.day, table, self.recipe, active_days, lambda: self.names, lambda _: table)
        decided = decide(today, self.parent, adopted)
        by_name = {hash_json(fit.document()): fit for fit in decided.fits}
        fit = by_name[decided.model.fit]
        near = np.argmin(fit.distances(table), axis=1) if len(points) else []
        states = decided.model.states(fit)
        users = table["user_id"].to_pylist()
        published = [self.published(user, states[place]) for user, place in zip(users, near, strict=True)]
        members = pa.table({"user_id": users, "segment_id": pa.array(published, pa.string())})
        self.parent = Standing(
            self.day, decided.model, fit, decided.reference, decided.decision, decided.drift_bins, lambda: members
        )
        self.decided.append(decided)
        self.day += timedelta(days=1)
        return decided.decision

    def published(self, user: str, nearest: str) -> str:
        last, noisy = self.last.get(user, (nearest, 0))
        self.last[user] = (last, noisy + 1) if nearest == NOISE else (nearest, 0)
        return last if nearest == NOISE and noisy < self.patience else nearest

    def days(self, places: Places, count: int) -> list[dict[str, Any]]:
        return [self.run(places(number)) for number in range(count)]

    @property
    def ids(self) -> set[str]:
        return set(self.decided[-1].model.ids)


def told(decisions: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    """The decisions that are not the daily one: number of the day, decision, reason."""
    return [
        (number, one["decision"], one["reason"])
        for number, one in enumerate(decisions)
        if one["reason"] not in ("ordinary", "evaluated")
    ]


def walking(points: np.ndarray, seed: int = 1) -> Places:
    """The same users every day, each a little elsewhere."""
    dice = np.random.default_rng(seed)
    return lambda _: points + dice.normal(0, 0.2, points.shape)
