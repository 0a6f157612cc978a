"""Part 1: what each rule makes of the same distances: how much moves, how much comes back, how late it follows.

One model is fitted on the first day and frozen; the rules differ only in when a user's label follows the nearest centre. The
naive methods fit anew on every day, so their labels mean something else each day and cannot be late.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from adjustment_parts import rules
from adjustment_parts.journey import COLUMNS, Journey, days_between, load
from adjustment_parts.movement import (
    Labels,
    delays,
    explained_daily,
    lasting_changes,
    moved_share,
    quantile,
    undone_share,
)
from segmentation.clustering import selection
from segmentation.clustering.model import Fit
from segmentation.clustering.transform import Matrix, Transform
from segmentation.config import Adjustment, Clustering
from segmentation.features.catalogue import model_features

WINDOW = 90
AHEAD = 28  # days of spend that the labels are asked about
OURS = "points 11.5/18"
NEAREST = "nearest centre, frozen model"
# The limits for our rule: figure, whether it is the most or the least.
LIMITS: dict[str, tuple[float, Literal["≤", "≥"]]] = {
    "moved": (0.012, "≤"),
    "undone_7": (0.02, "≤"),
    "undone_28": (0.30, "≤"),
    "r2_ratio": (1.03, "≥"),
    "followed_median": (6, "≤"),
    "followed_95": (10, "≤"),
    "large_median": (4, "≤"),
}


# What the limits were set on; beside what the product takes by itself.
NAMED = ("recency", "frequency", "monetary", "average_order_value", "discount_share")
TUNED = date(2017, 7, 1), date(2017, 10, 31)
UNSEEN = date(2017, 4, 1), date(2017, 6, 30)
SEEDS = (0, 1)
GIVEN = (4, 5, 6)


@dataclass(frozen=True)
class Frozen:
    """A model of the first day and everyone's distances to its segments on all days, (users, days, segments)."""

    segments: int
    structure: str
    features: int
    distances: Matrix


def frozen(
    journey: Journey, days: Sequence[date], features: tuple[str, ...], segments: int | Literal["auto"], seed: int
) -> Frozen:
    """Fitted by the package on the first day's households, as the product does on its baseline."""
    settings = Clustering(segments=segments, seed=seed)
    first = journey.features[WINDOW, days[0]]
    choice = selection.choose(Transform.fit(first, features).apply(first), settings)
    fit = Fit.of(first, features, settings, choice.segments)
    distances = np.full((len(journey.users), len(days), len(fit.centres)), np.nan)
    for number, day in enumerate(days):
        table = journey.features[WINDOW, day]
        distances[journey.rows(table), number] = fit.distances(table)
    return Frozen(choice.segments, choice.structure, len(features), distances)


def labels_by_rule(
    journey: Journey, days: Sequence[date], features: tuple[str, ...], model: Frozen, seed: int, naive: bool
) -> dict[str, Labels]:
    """Labels, (users, days), of every rule; of the naive methods only where asked."""
    frozen_rules: dict[str, Callable[[Matrix], Labels]] = {
        NEAREST: rules.nearest,
        "7 days in a row": lambda distances: rules.in_a_row(distances, 7),
        "8 days in a row": lambda distances: rules.in_a_row(distances, 8),
        OURS: lambda distances: rules.product(journey.users, days, distances, Adjustment()),
        "sticky HMM filter": lambda distances: rules.sticky_hmm(distances, model.features),
    }
    found = {name: rule(model.distances) for name, rule in frozen_rules.items()}
    if not naive:
        return found
    points = []
    for day in days:
        table = journey.features[WINDOW, day]
        points.append((journey.rows(table), Transform.fit(table, features).apply(table)))
    refit = rules.daily_refit(points, len(journey.users), model.segments, seed)
    return {"daily re-fit, labels as they come": refit, "daily re-fit, labels matched": rules.matched(refit), **found}


def figures(
    journey: Journey, days: Sequence[date], model: Frozen, labels: dict[str, Labels]
) -> dict[str, dict[str, float]]:
    """Of each rule: the figures that LIMITS names. Those of following are NaN for the naive methods."""
    spend = np.column_stack([journey.after("amount", day, AHEAD) for day in days])
    stays = lasting_changes(labels[NEAREST])
    r2 = {name: explained_daily(table, spend) for name, table in labels.items()}
    found = {}
    for name, table in labels.items():
        figure = {
            "moved": moved_share(table),
            "undone_7": undone_share(table, 7),
            "undone_28": undone_share(table, 28),
            "r2_ratio": r2[name] / r2[NEAREST],
            "followed_median": np.nan,
            "followed_95": np.nan,
            "large_median": np.nan,
        }
        if not name.startswith("daily re-fit"):
            late, large = delays(table, stays, model.distances)
            figure["followed_median"] = quantile(late, 0.5)
            figure["followed_95"] = quantile(late, 0.95)
            figure["large_median"] = quantile(late[large], 0.5)
        found[name] = figure
    return found


def mean(runs: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Each rule's figures, averaged over runs (numbers of segments and seeds)."""
    return {
        name: {figure: float(np.mean([run[name][figure] for run in runs])) for figure in runs[0][name]}
        for name in runs[0]
    }


def met(figure: str, value: float) -> bool:
    """Whether the limit holds."""
    limit, side = LIMITS[figure]
    return value <= limit if side == "≤" else value >= limit


def measure() -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """(title, figures by rule): the limits are for the first; the others are reported."""
    auto = model_features(Clustering(), COLUMNS)
    given = f"k = {', '.join(map(str, GIVEN))}"
    named = (f"{given}, {', '.join(NAMED)}", NAMED, GIVEN)
    for first, last in (TUNED, UNSEEN):
        days = days_between(first, last)
        journey = load([(WINDOW, days)])
        for title, names, segments in (named, (given, auto, GIVEN), ("k = auto", auto, ("auto",))):
            runs, chosen = [], set()
            for number in segments:
                for seed in SEEDS:
                    model = frozen(journey, days, names, number, seed)
                    chosen.add(model.segments)
                    runs.append(
                        figures(journey, days, model, labels_by_rule(journey, days, names, model, seed, naive=True))
                    )
            told = "" if segments == GIVEN else f" ({', '.join(map(str, sorted(chosen)))})"
            yield f"Complete Journey {first} … {last}, {title}{told}, mean of {len(runs)} runs", mean(runs)
